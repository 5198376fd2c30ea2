"""Conversions of whole models: float to QAT, QAT to quantized."""

import logging
from copy import deepcopy
from functools import partial
from typing import Callable

import numpy as np

from .. import functional as F
from .. import module as Float
from ..module import Module
from ..module import qat as QAT
from ..module import quantized as Quantized
from ..module.qat import QATModule
from ..module.quantized import QuantizedModule
from ..tensor import Tensor
from ..utils.module_utils import set_expand_structure
from .qconfig import QConfig, ema_fakequant_qconfig

logger = logging.getLogger(__name__)


def _conversions():
    """Float to QAT and QAT to quantized: whatever has the same name in all three packages."""
    names = [
        name
        for name, value in sorted(vars(Quantized).items())
        if isinstance(value, type) and issubclass(value, QuantizedModule) and value is not QuantizedModule
    ]
    qat = [getattr(QAT, name) for name in names]
    return dict(zip((getattr(Float, name) for name in names), qat)), dict(
        zip(qat, (getattr(Quantized, name) for name in names))
    )


_float2qat_dict, _qat2quantized_dict = _conversions()
qat_modules = tuple(_qat2quantized_dict)


def _convert(module, kinds, method, skip=lambda leaf, parent: False):
    """Replaces submodules of the types in ``kinds`` by what ``method`` of the type there makes of them."""
    types = tuple(kinds)
    found = module._flatten(with_key=True, with_parent=True, predicate=lambda leaf: isinstance(leaf, types))
    for key, leaf, parent in list(found):  # a list: the tree changes
        if skip(leaf, parent):
            continue
        if type(leaf) not in kinds:
            raise KeyError(f"{type(leaf).__name__} at {key} has no conversion; add one with mapping=")
        set_expand_structure(module, key, getattr(kinds[type(leaf)], method)(leaf))
    return module


def quantize(module: Module, inplace: bool = True, mapping: dict = None):
    """Makes quantized modules of the QAT ones in a model.

    Args:
        module: the model.
        inplace: whether it is changed itself.
        mapping: further types: QATModule to QuantizedModule.

    Returns:
        The model; call ``eval()`` before using it.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M, megalith.quantization as Q
        >>> net = M.Sequential(M.QuantStub(), M.Conv2d(1, 2, 3), M.DequantStub())
        >>> net = Q.quantize_qat(net)
        >>> _ = net(mge.Tensor(np.ones((1, 1, 4, 4), "float32")))
        >>> net = Q.quantize(net)
        >>> net.eval()
        >>> net(mge.Tensor(np.ones((1, 1, 4, 4), "float32"))).shape
        (1, 2, 2, 2)
    """
    if not inplace:
        module = deepcopy(module)
    return _convert(module, {**_qat2quantized_dict, **(mapping or {})}, "from_qat_module")


def quantize_qat(
    module: Module,
    inplace: bool = True,
    qconfig: QConfig = ema_fakequant_qconfig,
    mapping: dict = None,
):
    """Makes QAT modules of the float ones in a model and configures them.

    Args:
        module: the model.
        inplace: whether it is changed itself.
        qconfig: observers and fake quantizers.
        mapping: further types: Module to QATModule.

    Examples:
        >>> import megalith.module as M, megalith.quantization as Q
        >>> net = M.Sequential(M.QuantStub(), M.Linear(2, 3), M.DequantStub())
        >>> Q.quantize_qat(net, Q.ema_fakequant_qconfig)[1]
        QAT.Linear(
          in_features=2, out_features=3, bias=True
          (act_observer): ExponentialMovingAverageObserver()
          (act_fake_quant): FakeQuantize()
          (weight_observer): MinMaxObserver()
          (weight_fake_quant): FakeQuantize()
        )
    """
    if not inplace:
        module = deepcopy(module)
    kinds = {**_float2qat_dict, **(mapping or {})}
    types = tuple(kinds)
    _convert(
        module,
        kinds,
        "from_float_module",
        skip=lambda leaf, parent: isinstance(parent, types) or leaf.quantize_disabled,  # the parent is converted
    )
    propagate_qconfig(module, qconfig)
    return module


def _qat_modules_in(module):
    return list(module._flatten(predicate=lambda leaf: isinstance(leaf, QATModule)))


def reset_qconfig(module: Module, qconfig: QConfig, inplace: bool = True):
    """Gives QAT modules other observers and fake quantizers, which start from the present scales.

    Args:
        module: the model.
        qconfig: observers and fake quantizers.
        inplace: whether the model is changed itself.
    """
    if not inplace:
        module = deepcopy(module)

    def make(kind, qparams):
        made = None if kind is None else kind()
        if getattr(made, "set_qparams", None) is not None:
            made.set_qparams(qparams)
        return made

    for m in _qat_modules_in(module):
        if m.with_weight:
            qparams = m.get_weight_qparams()
            m.weight_observer = make(qconfig.weight_observer, qparams)
            m.weight_fake_quant = make(qconfig.weight_fake_quant, qparams)
        if m.with_act:
            qparams = m.get_activation_qparams()
            m.act_observer = make(qconfig.act_observer, qparams)
            m.act_fake_quant = make(qconfig.act_fake_quant, qparams)
    return module


def _propagate(module: Module, func_str: str, *args, **kargs):
    """Calls a method of every QAT module."""

    def call(m: Module):
        if isinstance(m, QATModule):
            getattr(m, func_str)(*args, **kargs)

    module.apply(call)


def propagate_qconfig(module: QATModule, qconfig: QConfig):
    """Gives every QAT module new observers and fake quantizers.

    Args:
        module: the model.
        qconfig: observers and fake quantizers.
    """
    _propagate(module, "set_qconfig", qconfig)


def hook_qat_module(module: Module, func: Callable):
    """Registers a forward hook with every QAT module inside; their handles."""
    return [m.register_forward_hook(func) for m in _qat_modules_in(module)]


def apply_easy_quant(module: Module, data: Tensor, start: float = 0.8, stop: float = 1.2, num: int = 40):
    """Searches scales that keep every layer's result closest to the float one (https://arxiv.org/abs/2006.16669).

    Args:
        module: a QAT model with :data:`passive_qconfig`.
        data: a batch of inputs.
        start, stop, num: the scales to try, as factors of the present one.
    """
    batch_size = data.shape[0]

    def cosine_of(x, y):
        axis = tuple(range(1, x.ndim))
        down = F.sqrt((x * x).sum(axis=axis)) * F.sqrt((y * y).sum(axis=axis))
        return ((x * y).sum(axis=axis) / down).mean(axis=0)

    # The first half of the batch runs in floats, the second half with what was found so far.
    def search(mod, inputs, outputs, where):
        mod._forward_hooks.clear()
        normal_in = [x[:batch_size] for x in inputs]
        fake_in = [x[batch_size:] for x in inputs]
        disable_fake_quant(mod)
        normal_out = mod(*normal_in)
        enable_fake_quant(mod)
        observer = getattr(mod, where)
        if observer is None:
            return None
        best = best_scale = 0
        for scale in np.linspace(start * observer.orig_scale, stop * observer.orig_scale, num):
            observer.scale = scale
            cosine = cosine_of(normal_out, mod(*fake_in))
            if cosine > best:
                best, best_scale = cosine, scale
        if best_scale == 0:
            logger.warning("EasyQuant finds no better scale")
        else:
            observer.scale = best_scale
        return F.concat([normal_out, outputs[batch_size:]])

    data = F.concat([data, data])
    for where in ("weight_observer", "act_observer"):
        hook_qat_module(module, partial(search, where=where))
        module(data)
    return module


def disable_fake_quant(module: Module):
    """Stops all fake quantizers in a model."""
    _propagate(module, "set_fake_quant", False)


def disable_observer(module: Module):
    """Stops all observers in a model."""
    _propagate(module, "set_observer", False)


def enable_fake_quant(module: Module):
    """Starts all fake quantizers in a model."""
    _propagate(module, "set_fake_quant", True)


def enable_observer(module: Module):
    """Starts all observers in a model."""
    _propagate(module, "set_observer", True)
