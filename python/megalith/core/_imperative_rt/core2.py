"""Eager calls by MegEngine's native names."""

import weakref

from ... import _core
from .._config import get_auto_format_convert, set_auto_format_convert
from .._options import get_option, set_option
from ..tensor.amp import (
    _get_amp_dtype_autocast,
    _get_amp_high_prec_dtype,
    _get_amp_low_prec_dtype,
    _set_amp_dtype_autocast,
    _set_amp_high_prec_dtype,
    _set_amp_low_prec_dtype,
)
from ..tensor.utils import make_shape_tuple

Tensor = _core.TensorBase


class AsyncError(RuntimeError):
    """An error of a call that failed after it returned; calls here fail at once."""


class TensorWeakRef:
    """A reference that does not keep a Tensor alive."""

    def __init__(self, tensor):
        self._ref = weakref.ref(tensor)

    def __call__(self):
        return self._ref()


def apply(op, *args) -> tuple:
    """Calls an op on Tensors or graph variables.

    Args:
        op: an object of a class in ``megengine.core.ops.builtin``.
        args: its inputs.

    Returns:
        Its results.
    """
    from ..ops._opdef import OpDef

    if not isinstance(op, (OpDef, _core.Op)):
        raise TypeError(f"apply takes an op, not {type(op).__name__}")
    for arg in args:
        if not isinstance(arg, _core.TensorBase):
            raise TypeError(f"apply of {type(op).__name__}: inputs are Tensors, not {type(arg).__name__}")
    results = op.call(*args) if isinstance(op, OpDef) else _core.apply(op, *args)
    if type(op).__name__ in ("Elemwise", "TypeCvt", "Identity") and args and all(a._scalar for a in args):
        for out in results:  # stored with shape (1,), seen as ()
            out._scalar = True
    return tuple(results)


def sync():
    """Waits for calls that are under way: there are none."""


full_sync = _full_sync = sync


def config_async_level(level: int):
    """Sets when errors of a call are raised; here they always are at once."""
    if level not in (0, 1, 2):
        raise RuntimeError(f"async level should be <= 2 and >= 0, got {level}")
    set_option("async_level", level)


def get_async_level() -> int:
    """When errors of a call are raised."""
    return get_option("async_level")


def _get_frame_cache_id() -> int:
    return 0


def _mge_backtrace() -> str:
    """Where Python is."""
    import traceback

    return "".join(traceback.format_stack()[:-1])


def _ignore(*args):
    """Accepted for compatibility."""


_set_swap_flag = _set_drop_flag = _clear_algorithm_cache = name_tensor = clear_candidates = _ignore
enable_cupti = disable_cupti = group_start = group_end = _ignore
set_python_backtrace_enabled = set_transformation_backtrace_enabled = _ignore


_scopes = []


def push_scope(name: str):
    """Begins a part of a program for profiles."""
    _scopes.append(name)


def pop_scope(name: str):
    """Ends the part that began last.

    Raises:
        RuntimeError: it has another name.
    """
    if not _scopes or _scopes[-1] != name:
        raise _core.OpError(f"the scope that ends is {name!r}, the last that began {_scopes[-1:]}")
    _scopes.pop()


def is_tracing_module() -> bool:
    """Whether a Module is being traced."""
    from ...traced_module.module_tracer import active_module_tracer

    return active_module_tracer() is not None


def is_external_convert() -> bool:
    """Whether gradients are converted for another runtime: never."""
    return False


def set_external_convert_hook(hook):
    """Accepted for compatibility: gradients are converted for no other runtime."""


set_external_convert = unset_external_convert = _ignore


def astype_cpp(x, dtype, _=None):
    """The values as another element type."""
    return x.astype(dtype)


def getitem_cpp(x, index):
    """x[index]."""
    return _core.getitem(x, index)


def setitem_cpp(x, index, value):
    """x[index] = value; the new x."""
    return _core.setitem(x, index, value)


def transpose_cpp(x, args):
    """Axes in another order; 'x' adds one."""
    return _core.transpose(x, tuple(args))


def reshape_cpp(x, shape, *rest):
    """The elements in another shape."""
    from ...functional import reshape

    return reshape(x, shape)


def broadcast_cpp(x, shape, *rest):
    """Repeated to a shape."""
    return _core.broadcast(x, shape)


def expand_dims_cpp(x, axis):
    """With axes of size 1 added."""
    return _core.expand_dims(x, axis)


def squeeze_cpp(x, axis):
    """With axes of size 1 removed."""
    return _core.squeeze(x, axis)


def split_cpp(x, sections, axis):
    """In parts along an axis."""
    from ...functional import split

    return split(x, sections, axis)


def pixel_shuffle_cpp(x, factor):
    """Channels spread over space."""
    from ...functional import pixel_shuffle

    return pixel_shuffle(x, factor)


def adaptive_pool2d_cpp(x, shape, mode):
    """Pooling to an output size, ``AVERAGE`` or ``MAX``."""
    from ...functional import adaptive_avg_pool2d, adaptive_max_pool2d

    return (adaptive_avg_pool2d if str(mode).upper() == "AVERAGE" else adaptive_max_pool2d)(x, shape)


def matmul_cpp(a, b, transpose_a=False, transpose_b=False, compute_mode="default", *rest):
    """A matrix product."""
    return _core.matmul(a, b, transpose_a, transpose_b, compute_mode)


batched_matmul_cpp = matmul_cpp


def convert_inputs_cpp(*args):
    """Operands as Tensors of one element type; the last argument is a device."""
    return tuple(_core.convert_inputs(*args[:-1]))


def convert_single_value_cpp(value, dtype=None, device=None):
    """A number as a Tensor."""
    from ..tensor.utils import convert_single_value

    return convert_single_value(value, dtype=dtype, device=device)


def astensor1d_cpp(x, dtype=None, device=None, reference=None):
    """A Tensor with one axis."""
    from ..tensor.utils import astensor1d

    return astensor1d(x, dtype=dtype, device=device)


def dtype_promotion(*args):
    """The element type of a call on these operands."""
    from ..tensor.utils import dtype_promotion

    return dtype_promotion(*args)


def get_device(*args):
    """The device of operands."""
    from ..tensor.utils import get_device

    return get_device(*args)


def Const(value, dtype=None, device=None, ref=None):
    """A constant Tensor."""
    from ..tensor.utils import Const

    return Const(value, dtype, device)


def _get_convert_inputs() -> bool:
    from ..tensor.utils import get_convert_inputs

    return get_convert_inputs()


def _set_convert_inputs(flag: bool) -> bool:
    from ..tensor.utils import set_convert_inputs

    return set_convert_inputs(flag)


def create_complex(*args):
    """Raises: there are no complex numbers."""
    raise RuntimeError("there are no complex numbers")


get_real = get_imag = create_complex
