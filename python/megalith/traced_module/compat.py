"""Repairs of calls in traced modules that older releases of MegEngine saved.

Expressions carry the release that wrote them since 1.7; those of 1.6 carry none.
"""

import inspect

from ..core.ops.builtin import BatchNorm
from ..functional.elemwise import square
from .node import TensorNode
from .serialization import register_functional_loader, register_module_loader, register_opdef_loader


def _before(expr, release: str) -> bool:
    """Whether ``release`` or an earlier one wrote an expression."""
    version = getattr(expr, "version", None)

    def number(text):
        return [int("".join(c for c in part if c.isdigit()) or 0) for part in text.split(".")[:3]]

    return version is None or number(version) <= number(release)


def _arguments(expr, **old) -> dict:
    """All arguments of a call by the names, in the order and with the defaults that they had; ... stands for none."""
    P = inspect.Parameter
    kind = P.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([P(n, kind, default=P.empty if d is ... else d) for n, d in old.items()])
    bound = signature.bind(*expr.args, **expr.kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def _by_name(expr, places, old):
    """Gives a call its old arguments by name, the first ``places`` by place, if an old release wrote it so."""
    if getattr(expr, "version", None) is None or len(expr.args) == len(old):
        named = _arguments(expr, **old)
        first = [named.pop(name) for name in list(old)[:places]]
        expr.set_args_kwargs(*first, **named)
        return True
    return False


@register_functional_loader(("megengine.functional.tensor", "ones"), ("megengine.functional.tensor", "zeros"))
def tensor_gen_func_loader(expr):
    _by_name(expr, 1, dict(shape=..., dtype="float32", device=None))


@register_functional_loader(("megengine.functional.tensor", "full"))
def full_func_loader(expr):
    _by_name(expr, 2, dict(shape=..., value=..., dtype=None, device=None))


@register_functional_loader(("megengine.functional.tensor", "arange"))
def arange_func_loader(expr):
    _by_name(expr, 3, dict(start=0, stop=None, step=1, dtype="float32", device=None))


@register_functional_loader(("megengine.functional.tensor", "linspace"))
def linespace_loader(expr):
    _by_name(expr, 3, dict(start=..., stop=..., num=..., dtype="float32", device=None))


_CONV = dict(stride=1, padding=0, dilation=1, groups=1)
_MODES = dict(conv_mode="cross_correlation", compute_mode="default")


def _without_output_padding(expr, old):
    if _by_name(expr, 3, old):
        expr.set_args_kwargs(*expr.args, **{**expr.kwargs, "output_padding": 0})


@register_functional_loader(("megengine.functional.nn", "conv_transpose2d"))
def deconv_loader(expr):
    _without_output_padding(expr, dict(inp=..., weight=..., bias=None, **_CONV, **_MODES))


@register_functional_loader(("megengine.functional.quantized", "conv_transpose2d"))
def _quantized_deconv_loader(expr):
    _without_output_padding(expr, dict(inp=..., weight=..., bias=None, dtype=None, **_CONV, **_MODES))


@register_functional_loader(("megengine.functional.nn", "conv_transpose3d"))
def deconv3d_loader(expr):
    _without_output_padding(expr, dict(inp=..., weight=..., bias=None, **_CONV))


@register_functional_loader(("megengine.functional.math", "topk"))
def topk_loader(expr):
    if _before(expr, "1.12.0"):
        named = _arguments(expr, inp=..., k=..., descending=False, kth_only=False, no_sort=False)
        expr.set_args_kwargs(*named.values())


@register_functional_loader(("megengine.functional.nn", "pad"))
def pad_func_loader(expr):
    if "pad_witdth" in expr.kwargs:
        named = {"pad_width" if k == "pad_witdth" else k: v for k, v in expr.kwargs.items()}
        expr.set_args_kwargs(*expr.args, **named)


@register_functional_loader(("megengine.functional.nn", "batch_norm"))
def bn_func_loader(expr):
    gone = {"compute_mode", "param_dim"} & set(expr.kwargs)
    if gone:
        expr.set_args_kwargs(*expr.args, **{k: v for k, v in expr.kwargs.items() if k not in gone})


@register_functional_loader(("megengine.functional.math", "matmul"))
def matmul_func_loader(expr):
    if len(expr.args) == 6:  # the last one was the compute_mode
        expr.set_args_kwargs(*expr.args[:5])


def square_as_float32(x):
    """What ``square`` of 1.11 and earlier gave for other numbers than float32."""
    return square(x).astype("float32")


@register_functional_loader(("megengine.functional.elemwise", "square"))
def square_func_loader(expr):
    if _before(expr, "1.11.1") and expr.inputs[0].dtype != "float32":
        expr.func = square_as_float32


@register_opdef_loader(BatchNorm)
def bn_opdef_loader(expr):
    if getattr(expr, "version", None) is None and len(expr.outputs) == 5:
        expr.outputs.insert(4, TensorNode(expr, shape=(0,), qparams=expr.outputs[-1].qparams))


def _parts(expr, *names) -> list:
    """The attributes of the module that is called, and those of modules in it."""
    module = expr.inputs[0].owner
    return [getattr(part, "__dict__", {}) for part in (module, *(getattr(module, name, None) for name in names))]


@register_module_loader(
    *(("megengine.module.batchnorm", name) for name in ("BatchNorm1d", "BatchNorm2d", "SyncBatchNorm"))
)
def bn2d_module_loader(expr):
    _parts(expr)[0].pop("param_dim", None)


@register_module_loader(
    *(
        (f"megengine.module.{kind}conv", name)
        for kind in ("", "qat.", "quantized.")
        for name in ("Conv2d", "ConvRelu2d")
    ),
    ("megengine.module.conv", "Conv1d"),
)
def conv2d_module_loader(expr):
    _parts(expr)[0].setdefault("padding_mode", "zeros")


@register_module_loader(
    *((f"megengine.module.{kind}conv_bn", name) for kind in ("", "qat.") for name in ("ConvBn2d", "ConvBnRelu2d"))
)
def convbn2d_module_loader(expr):
    _, bn, conv = _parts(expr, "bn", "conv")
    bn.pop("param_dim", None)
    conv.setdefault("padding_mode", "zeros")


@register_module_loader(*(("megengine.module.quantized.conv_bn", name) for name in ("ConvBn2d", "ConvBnRelu2d")))
def quantized_convbn2d_module_loader(expr):
    conv2d_module_loader(expr)
