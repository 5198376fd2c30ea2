"""Tensor and Parameter."""

from typing import Union

import numpy as np

from . import _core
from .core import _trace_option
from .core.tensor import dtype as _dtype
from .core.tensor.array_method import ArrayMethodMixin
from .device import CompNode, as_device, device_at, place_of

__all__ = ["Parameter", "Tensor"]


def _host_array(data, dtype):
    """An array and the native dtype that stores it: Python numbers are float32, int32 or bool."""
    native = None if dtype is None else _dtype.to_native(dtype)
    a = np.asarray(data)
    if a.dtype.kind not in "fiub" and a.dtype not in _dtype._ID:
        if a.dtype == object and any(isinstance(item, (list, tuple)) for item in a.flat):  # NumPy before 1.24
            raise ValueError("can't make a tensor of nested lists with different lengths")
        raise _core.ArgumentTypeError(f"can't make a tensor of {type(data).__name__} with elements of type {a.dtype}")
    native = native or _dtype.to_native(a.dtype.newbyteorder("="))
    return np.ascontiguousarray(a, dtype=None).reshape(a.shape), native


def _is_real(native):
    return native[0] in (0, 9)


_FORMATS = ("default", "nchw", "nhwc")


class Tensor(_core.TensorBase, ArrayMethodMixin):
    """A multi-dimensional array of one element type.

    Args:
        data: numbers, nested lists, an ndarray or a Tensor, which is copied.
        dtype: element type; by default that of ``data``, with 64-bit types as 32-bit ones. For a quantized one ``data``
            are the stored integers; :meth:`astype` quantizes.
        device: name of the device, by default the one of :func:`megalith.set_default_device`.
        is_const: accepted for compatibility; every tensor may be recorded as a constant.
        no_cache: accepted for compatibility.
        name: a name for dumps and messages.
        format: memory format of images, ``default``, ``nchw`` or ``nhwc``.

    Raises:
        TypeError: ``data`` is no array of numbers.

    Examples:
        >>> import megalith as mge
        >>> mge.Tensor([1, 2.5]) * 2
        Tensor([2. 5.], device=xpux:0)
    """

    grad = None
    dmap_callback = None
    _qparams = None
    _name = ""
    _custom_name = ""
    _short_name = ""
    _prefix = ""

    def __init__(
        self,
        data: Union["Tensor", np.ndarray, list, int, float],
        dtype: np.dtype = None,
        device: str = None,
        is_const: bool = False,
        no_cache: bool = False,
        name: str = None,
        format: str = "default",
    ):
        super().__init__()
        if isinstance(data, _core.TensorBase):
            self._reset(data if dtype is None else data.astype(dtype))
        else:
            array, native = _host_array(data, dtype)
            array = np.require(_dtype.to_stored(array, native), requirements="CA")
            if native[0] == 17:  # rounding to bfloat16 is a conversion, not a storage format
                self._reset(_core.astype(_core.from_array(array, 0), native))
            else:
                self._reset(_core.from_array(array, native))
        if device is not None:
            self._device = as_device(device)
        if name is not None:
            self._name = self._custom_name = name
            if _trace_option._recorder is not None:
                _trace_option._recorder.name_captured(self, name)
        if format != "default":
            self.format = format

    @property
    def shape(self) -> Union[tuple, "Tensor"]:
        """Its dimensions; () for a scalar. In a function that is traced it is a Tensor, so that the recorded graph follows
        the sizes of its inputs."""
        if _trace_option._use_symbolic_shape and not self._scalar:
            return _core.apply1(_core.Op("GetVarShape"), self)
        return self._tuple_shape

    @property
    def dtype(self) -> np.dtype:
        """The element type as a NumPy dtype; quantized types carry scale and zero point as metadata."""
        return _dtype.to_numpy(self._dtype)

    def _isscalar(self) -> bool:
        return self._scalar

    @property
    def _device(self):
        return device_at(self._place)

    @_device.setter
    def _device(self, device):
        self._place = place_of(device)

    @property
    def device(self) -> CompNode:
        """The device that holds it."""
        return self._device or as_device(None)

    @property
    def format(self) -> str:
        """What an image is marked as: ``default``, ``nchw`` or ``nhwc``. Kernels choose the layout in memory themselves."""
        return _FORMATS[self._memory_format]

    @format.setter
    def format(self, format: str):
        if format not in _FORMATS:
            raise ValueError(f"format {format!r} is none of 'default', 'nchw' and 'nhwc'")
        self._memory_format = _FORMATS.index(format)

    @property
    def qparams(self):
        """Quantization parameters of a fake-quantized tensor."""
        if self._qparams is None:
            from .quantization.utils import create_qparams

            self._qparams = create_qparams()
        return self._qparams

    @property
    def name(self) -> str:
        """The name it was given; in a Module it is also known by its path."""
        return self._custom_name

    @name.setter
    def name(self, name):
        self._custom_name = "" if name is None else name
        self._name = f"{self._prefix}.{self._custom_name}" if self._prefix else self._custom_name
        if _trace_option._recorder is not None and self._custom_name:
            _trace_option._recorder.name_value(self, self._custom_name)

    def numpy(self) -> np.ndarray:
        """A copy of the values; quantized ones as stored integers with the quantized dtype."""
        return _dtype.from_stored(self._numpy(), self._dtype)

    def detach(self) -> "Tensor":
        """The same values, through which no gradient flows."""
        return self._detach()

    @property
    def graph(self):
        """Raises: only graph variables belong to a graph."""
        raise AttributeError("a Tensor belongs to no graph; a graph variable does")

    @property
    def var(self):
        """Raises: only a graph variable has one."""
        raise _core.OpError("a Tensor stands for no variable of a graph; a graph variable does")

    def value_id(self) -> int:
        """A number of its value: where it lies in memory."""
        return self._storage[0]

    def _dev_tensor(self) -> "Tensor":
        return self  # MegEngine's name for the memory below a Tensor

    @property
    def comp_node(self) -> CompNode:
        """The device that holds it."""
        return self.device

    def set_value(self, value):
        """Replaces the values; they are converted to this tensor's dtype."""
        if not isinstance(value, Tensor):
            value = Tensor(value, dtype=self.dtype)
        elif not _dtype.is_dtype_equal(value.dtype, self.dtype):
            value = value.astype(self.dtype)
        marked = self._memory_format
        self._reset(value)
        self._memory_format = marked

    def reset_zero(self):
        """Sets every element to zero."""
        self *= 0

    def to(self, device, *, _borrow=False) -> "Tensor":
        """A copy on another device."""
        out = _core.apply1(_core.Op("Copy"), self)
        out._scalar = self._scalar
        out._device = as_device(device)
        return out

    @property
    def requires_grad(self):
        """Accepted for compatibility; a GradManager says what gets gradients."""
        raise AttributeError("requires_grad is reserved: attach the tensor to a GradManager")

    @requires_grad.setter
    def requires_grad(self, value):
        raise AttributeError("requires_grad is reserved: attach the tensor to a GradManager")

    def __hash__(self):
        return id(self)

    def __repr__(self):
        kind = type(self).__name__
        native = self._dtype
        name = "" if native[0] == 0 else f", dtype={_dtype_text(self.dtype) if self.dtype.metadata else self.dtype}"
        with np.printoptions(precision=4):
            return f"{kind}({self.numpy()!s}{name}, device={self.device})"

    def __array_wrap__(self, array, context=None, return_scalar=False):
        """What NumPy's functions of a tensor return: a tensor."""
        return type(self)(array, device=self.device)

    def _repr_html_(self):
        from . import _html

        return _html.tensor(self)

    def __format__(self, spec):
        return (
            format(self.item(), spec)
            if spec and self.size == 1
            else str(self)
            if not spec
            else format(self.numpy(), spec)
        )

    def __reduce_ex__(self, protocol):
        return (_rebuild, (type(self), self.numpy(), self.dtype, str(self.device), self._state()))

    def __setstate__(self, state):
        """Takes over the state that MegEngine pickled."""
        if "data" in state:  # before version 1.0
            from .serialization import _located

            self._reset(Tensor(state["data"], dtype=state.get("dtype")))
            self._device = _located(state.get("device"))
        self._qparams = state.get("qparams", state.get("qdict"))

    def _state(self):
        state = {k: v for k, v in self.__dict__.items() if k != "grad"}
        return dict(state, _format=self.format) if self._memory_format else state

    def __deepcopy__(self, memo):
        import copy

        out = type(self).__new__(type(self))
        Tensor.__init__(out, self.detach())
        memo[id(self)] = out
        for k, v in self.__dict__.items():
            if k != "grad":
                out.__dict__[k] = copy.deepcopy(v, memo)
        return out

    def __copy__(self):
        out = type(self).__new__(type(self))
        Tensor.__init__(out, self)
        out.__dict__.update(self.__dict__)
        return out


def _dtype_text(dtype):
    info = dtype.metadata["mgb_dtype"]
    rest = ", ".join(f"{k}={v:g}" for k, v in info.items() if k != "name")
    return f"{info['name']}({rest})" if rest else info["name"]


def _rebuild(cls, array, dtype, device, state):
    from .serialization import _located

    out = cls.__new__(cls)
    Tensor.__init__(out, array, dtype=dtype)
    out._device = _located(device)
    out.format = state.pop("_format", "default")
    out.__dict__.update(state)
    return out


class Parameter(Tensor):
    """A Tensor that a Module trains."""


def _convert(value):
    """What native calls make of operands that are no Tensors."""
    return Tensor(value)


tensor = Tensor
