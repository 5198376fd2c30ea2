"""What a model costs: parameters, operations and activations, module by module."""

import collections
from collections import namedtuple
from contextlib import contextmanager
from functools import partial
from typing import Iterable

import numpy as np

from .. import functional as F, module as M
from .._errors import ArgumentTypeError
from ..core.tensor.dtype import get_dtype_bit
from ..logger import get_logger
from ..tensor import Tensor
from .module_utils import set_module_mode_safe

logger = get_logger(__name__)
logger.setLevel("INFO")

_flops = {}
_receptive_fields = {}
_receptive_field_enabled = False

total_stats = namedtuple("total_stats", ["param_size", "param_dims", "flops", "act_size", "act_dims"])
stats_details = namedtuple("module_stats", ["params", "flops", "activations"])


def _register(table, modules):
    def decorate(function):
        table.update(dict.fromkeys(modules, function))
        return function

    return decorate


def register_flops(*modules):
    """A decorator for ``function(module, inputs, outputs)``, which counts the operations of modules of these classes."""
    return _register(_flops, modules)


def register_receptive_field(*modules):
    """A decorator for a function that gives receptive field and stride of modules of these classes."""
    return _register(_receptive_fields, modules)


def enable_receptive_field():
    """Reports receptive fields as well."""
    global _receptive_field_enabled
    _receptive_field_enabled = True


def disable_receptive_field():
    """Reports no receptive fields."""
    global _receptive_field_enabled
    _receptive_field_enabled = False


def _count(shape) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _first(outputs):
    return outputs[0] if isinstance(outputs, (tuple, list)) else outputs


@register_flops(M.Conv1d, M.Conv2d, M.Conv3d, M.LocalConv2d, M.DeformableConv2d)
def flops_convNd(module: M.Conv2d, inputs, outputs):
    """For each result: a product for each weight that it reads, and the bias."""
    per_result = module.in_channels // module.groups * _count(module.kernel_size) + (module.bias is not None)
    return _count(_first(outputs)._tuple_shape) * per_result


@register_flops(M.ConvTranspose2d)
def flops_convNdTranspose(module: M.Conv2d, inputs, outputs):
    """For each input: a product for each weight that reads it; and the bias for each result."""
    per_input = module.out_channels // module.groups * _count(module.kernel_size)
    bias = _count(_first(outputs)._tuple_shape) if module.bias is not None else 0
    return _count(inputs[0]._tuple_shape) * per_input + bias


@register_flops(M.batchnorm._BatchNorm, M.SyncBatchNorm, M.GroupNorm, M.LayerNorm, M.InstanceNorm)
def flops_norm(module: M.Linear, inputs, outputs):
    """Seven operations for each element."""
    return _count(inputs[0]._tuple_shape) * 7


@register_flops(M.AvgPool2d, M.MaxPool2d)
def flops_pool(module: M.AvgPool2d, inputs, outputs):
    """The window's size for each result."""
    size = module.kernel_size
    window = _count(size) if isinstance(size, tuple) else size**2
    return _count(_first(outputs)._tuple_shape) * window


@register_flops(M.AdaptiveAvgPool2d, M.AdaptiveMaxPool2d)
def flops_adaptivePool(module: M.AdaptiveAvgPool2d, inputs, outputs):
    """The window's size for each result."""
    out = _first(outputs)._tuple_shape
    window = [-(-n // m) for n, m in zip(inputs[0]._tuple_shape[2:], out[2:])]
    return _count(out) * _count(window)


@register_flops(M.Linear)
def flops_linear(module: M.Linear, inputs, outputs):
    """A product for each weight and row, and the bias."""
    bias = module.out_features if module.bias is not None else 0
    return _count(_first(outputs)._tuple_shape) * module.in_features + bias


@register_flops(M.BatchMatMulActivation)
def flops_batchmatmul(module: M.BatchMatMulActivation, inputs, outputs):
    """A product for each pair of elements that meet, and the bias."""
    batch, n, p = inputs[0]._tuple_shape
    return n * (p + (module.bias is not None)) * module.weight._tuple_shape[2] * batch


# Classes whose modules are looked at; quantized modules derive from them.
hook_modules = [M.conv._ConvNd, M.Linear, M.BatchMatMulActivation, M.batchnorm._BatchNorm, M.LayerNorm, M.GroupNorm,
                M.InstanceNorm, M.pooling._PoolNd, M.adaptive_pooling._AdaptivePoolNd]  # fmt: skip


def register_hook_module(module):
    """Looks at modules of another class, or of several.

    Raises:
        TypeError: something is no class of modules.
    """
    for one in module if isinstance(module, (tuple, list)) else [module]:
        if not (isinstance(one, type) and issubclass(one, M.Module)):
            raise ArgumentTypeError(f"register_hook_module takes classes of modules, not {one!r}")
        hook_modules.append(one)


def dict2table(list_of_dict, header):
    """Rows of the columns in ``header``, which is the first row."""
    return [header, *([d.get(h, "") for h in header] for d in list_of_dict)]


def sizeof_fmt(num, suffix="B"):
    """A number with a prefix: bytes in powers of 1024, anything else in powers of 1000."""
    scale, units = (1024.0, " Ki Mi Gi Ti Pi Ei Zi Yi") if suffix == "B" else (1000.0, " K M G T P E Z Y")
    units = units.split(" ")
    for unit in units:
        if abs(num) < scale or unit == units[-1]:
            return f"{num:3.3f} {unit}{suffix}"
        num /= scale


def _table(rows) -> str:
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rule = "  ".join("-" * w for w in widths)
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def preprocess_receptive_field(module, inputs, outputs):
    """The largest receptive field and stride of what the inputs come from, for each of two axes."""
    owners = [getattr(i, "owner", None) for i in inputs]

    def most(name):
        return tuple(max(getattr(o, name, (1, 1))[axis] for o in owners) for axis in (0, 1))

    return most("_rf"), most("_stride")


def get_op_stats(module, inputs, outputs):
    """Shapes and the number of operations of a call; None when nothing is known of the module's class."""
    results = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    stats = {"input_shapes": [i.shape for i in inputs], "output_shapes": [o.shape for o in results]}
    known = False
    for key, table in (("flops_num", _flops), (("receptive_field", "stride"), _receptive_fields)):
        found = next((f for kind, f in table.items() if isinstance(module, kind)), None)
        if found is None:
            continue
        known = True
        value = found(module, inputs, results)
        stats.update(zip(key, value) if isinstance(key, tuple) else [(key, value)])
    return stats if known else None


def _shares(rows, key: str, total, longest: int, bar: str):
    """Adds shares of the total, and bars, to rows."""
    most = max([r[key] for r in rows], default=0)
    for r in rows:
        r["ratio"] = r[key] / total if total else 0.0
        r["percentage"] = f"{r['ratio'] * 100:.2f}%"
        r[bar] = "#" * (int(r[key] / most * longest) if most else 0)


def sum_op_stats(flops, bar_length_max=20):
    """The number of operations of all rows, and the rows with shares and a total."""
    total = 0
    for r in flops:
        total += int(r["flops_num"])
        r["flops_cum"] = sizeof_fmt(total, suffix="OPs")
    _shares(flops, "flops_num", total, bar_length_max, "bar")
    for r in flops:
        r["flops"] = sizeof_fmt(r["flops_num"], suffix="OPs")
    channels = sum(s[1] if len(s) > 1 else 0 for r in flops for s in r["output_shapes"])
    flops.append(dict(name="total", flops=sizeof_fmt(total, suffix="OPs"), output_shapes=channels))
    return total, flops


def print_op_stats(flops):
    """Logs the rows of :func:`sum_op_stats`."""
    fields = ["receptive_field", "stride"] if _receptive_field_enabled else []
    header = ["name", "class_name", "input_shapes", "output_shapes", *fields, "flops", "flops_cum", "percentage", "bar"]
    logger.info("flops stats: \n" + _table(dict2table(flops, header=header)))


def _moments(x) -> dict:
    values = x.astype("float32").numpy()
    return {"mean": f"{values.mean():.3g}", "std": f"{values.std():.3g}"}


def get_param_stats(param: Tensor):
    """Type, shape, mean, deviation and size of a parameter."""
    nbits = get_dtype_bit(np.dtype(param.dtype).name)
    dims = _count(param._tuple_shape)
    return {"dtype": np.dtype(param.dtype), "shape": param._tuple_shape, **_moments(param), "param_dim": dims,
            "nbits": nbits, "size": dims * nbits // 8}  # fmt: skip


def _sizes(rows, dims: str, longest: int):
    """The elements and bytes of rows, to which shares and a total are added."""
    total_dims = total_size = 0
    for r in rows:
        total_dims += int(r[dims])
        total_size += int(r["size"])
        r["size_cum"] = sizeof_fmt(total_size)
    _shares(rows, "size", total_size, longest, "size_bar")
    for r in rows:
        r["size"] = sizeof_fmt(r["size"])
    rows.append({"name": "total", dims: total_dims, "size": sizeof_fmt(total_size)})
    return total_dims, total_size, rows


def sum_param_stats(params, bar_length_max=20):
    """Elements and bytes of all parameters, and the rows with shares and a total."""
    return _sizes(params, "param_dim", bar_length_max)


def print_param_stats(params):
    """Logs the rows of :func:`sum_param_stats`."""
    header = ["name", "dtype", "shape", "mean", "std", "param_dim", "nbits", "size", "size_cum", "percentage",
              "size_bar"]  # fmt: skip
    logger.info("param stats: \n" + _table(dict2table(params, header=header)))


def get_activation_stats(output: Tensor, has_input=False):
    """Type, shape and size of a result; mean and deviation as well when the input was given."""
    nbits = get_dtype_bit(np.dtype(output.dtype).name)
    dims = _count(output._tuple_shape)
    stats = {"dtype": np.dtype(output.dtype), "shape": output._tuple_shape, "act_dim": dims, "nbits": nbits,
             "size": dims * nbits // 8}  # fmt: skip
    return {**stats, **_moments(output)} if has_input else stats


def sum_activations_stats(activations, bar_length_max=20):
    """Elements and bytes of all results, and the rows with shares and a total."""
    return _sizes(activations, "act_dim", bar_length_max)


def print_activations_stats(activations, has_input=False):
    """Logs the rows of :func:`sum_activations_stats`."""
    moments = ["mean", "std"] if has_input else []
    header = ["name", "class_name", "dtype", "shape", *moments, "nbits", "act_dim", "size", "size_cum", "percentage",
              "size_bar"]  # fmt: skip
    logger.info("activations stats: \n" + _table(dict2table(activations, header=header)))


def print_summary(**kwargs):
    """Logs names and values."""
    logger.info("summary\n" + _table([["item", "value"], *map(list, kwargs.items())]))


def _load(x):
    if isinstance(x, (Tensor, np.ndarray)):
        return Tensor(x)
    if isinstance(x, collections.abc.Mapping):
        return {k: _load(v) for k, v in x.items()}
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(_load, x))
    if isinstance(x, collections.abc.Sequence):
        return [_load(v) for v in x]
    return Tensor(x, dtype=np.float32)


@contextmanager
def _watch_parameters(names, record):
    """Calls ``record`` for weights and biases that are read from modules, so that those count that no call shows."""

    def look(module, item):
        value = object.__getattribute__(module, item)
        if item in ("weight", "bias") and isinstance(value, Tensor) and module in names:
            record(value, names[module] + ("-w" if item == "weight" else "-b"))
        return value

    M.Module.__getattribute__ = look
    try:
        yield
    finally:
        del M.Module.__getattribute__


def module_stats(
    model: M.Module,
    inputs: Iterable[np.ndarray] = None,
    input_shapes: list = None,
    cal_params: bool = True,
    cal_flops: bool = True,
    cal_activations: bool = True,
    logging_to_stdout: bool = True,
    bar_length_max: int = 20,
):
    """Runs a model once and tells what its parameters, operations and activations amount to.

    Args:
        model: the model.
        inputs: what it is called with, an array or a list of them.
        input_shapes: shape or shapes of inputs of zeros, in place of ``inputs``.
        cal_params, cal_flops, cal_activations: what is counted.
        logging_to_stdout: whether tables are logged.
        bar_length_max: length of the longest bar in the tables.

    Returns:
        Totals (``param_size``, ``param_dims``, ``flops``, ``act_size``, ``act_dims``) and the rows behind them (``params``,
        ``flops``, ``activations``).

    Examples:
        >>> import megalith.module as M
        >>> from megalith.utils.module_stats import module_stats
        >>> total, _ = module_stats(M.Linear(3, 4), input_shapes=(2, 3), logging_to_stdout=False)
        >>> total.param_dims, total.flops
        (16, 28)
    """
    given = inputs is not None
    if given:
        inputs = _load(inputs if isinstance(inputs, (tuple, list)) else [inputs])
    elif input_shapes:
        shapes = input_shapes if isinstance(input_shapes[0], tuple) else [input_shapes]
        inputs = [F.zeros(shape, dtype=np.float32) for shape in shapes]
    else:
        logger.error("module_stats needs inputs or input_shapes")
        return None
    disable_receptive_field()
    params, flops, activations, seen = [], [], [], set()

    def record(param, name):
        if cal_params and param not in seen:
            seen.add(param)
            params.append(dict(get_param_stats(param), name=name))

    def look(module, inputs, outputs, name=""):
        kind = type(module).__name__
        if cal_flops:
            stats = get_op_stats(module, inputs, outputs)
            if stats is not None:
                flops.append(dict(stats, name=name, class_name=kind))
        for attribute, suffix in (("weight", "-w"), ("bias", "-b")):
            value = module.__dict__.get(attribute)
            if value is not None:
                record(value, name + suffix)
        if cal_activations:
            activations.append(dict(get_activation_stats(_first(outputs), given), name=name, class_name=kind))

    names, hooks = {}, []
    for name, module in model.named_modules():
        if isinstance(module, tuple(hook_modules)):
            hooks.append(module.register_forward_hook(partial(look, name=name)))
            names[module] = name
    try:
        with set_module_mode_safe(model, training=False) as model, _watch_parameters(names, record):
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    summary = {"#params": len(params)}
    param_dims = param_size = operations = act_dims = act_size = 0
    if cal_params:
        param_dims, param_size, params = sum_param_stats(params, bar_length_max)
        summary["total_param_dims"] = sizeof_fmt(param_dims, suffix="")
        summary["total_param_size"] = sizeof_fmt(param_size)
    if cal_flops:
        operations, flops = sum_op_stats(flops, bar_length_max)
        summary["total_flops"] = sizeof_fmt(operations, suffix="OPs")
    if cal_activations:
        act_dims, act_size, activations = sum_activations_stats(activations, bar_length_max)
        summary["total_act_dims"] = sizeof_fmt(act_dims, suffix="")
        summary["total_act_size"] = sizeof_fmt(act_size)
    if cal_flops and param_size:
        summary["flops/param_size"] = f"{operations / param_size:3.3f}"
    if logging_to_stdout:
        if cal_params:
            print_param_stats(params)
        if cal_flops:
            print_op_stats(flops)
        if cal_activations:
            print_activations_stats(activations, given)
    print_summary(**summary)
    return total_stats(param_size, param_dims, operations, act_size, act_dims), stats_details(
        params, flops, activations
    )
