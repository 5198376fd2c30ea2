"""Saving and loading: pickles, MegEngine's own ones included."""

import contextlib
import functools
import importlib
import pickle
import sys

import numpy as np

from . import _core
from ._errors import require
from .core.tensor import dtype as _dtype
from .device import CompNode, as_device
from .tensor import Parameter, Tensor

__all__ = ["load", "save"]


@contextlib.contextmanager
def _deep_recursion():
    """Lets pickles of deeply nested objects through."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 20000))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _plain_array(a: np.ndarray):
    """How to rebuild an array with names that every version of NumPy has."""
    a = np.ascontiguousarray(a).reshape(a.shape)
    return np.ndarray, (a.shape, a.dtype), (1, a.shape, a.dtype, False, a.tobytes())


class _MegEngineModule:
    """Is pickled as the module where MegEngine has its NumPy types."""

    def __reduce__(self):
        return importlib.import_module, ("megengine.core._imperative_rt",)


_NUMBER_TYPES = {dtype.type for dtype in _core.number_types().values()}


@functools.lru_cache(maxsize=8)
def _pickler(module):
    """A Pickler whose arrays load with any version of NumPy; NumPy 2 by itself names modules that NumPy 1 has not."""

    class Pickler(module.Pickler):
        def reducer_override(self, obj):
            if type(obj) is np.ndarray and not obj.dtype.hasobject:
                return _plain_array(obj)
            if isinstance(obj, type) and obj in _NUMBER_TYPES:
                return getattr, (_MegEngineModule(), obj.__name__)
            return NotImplemented

    return Pickler


def save(obj, f, pickle_module=pickle, pickle_protocol=pickle.DEFAULT_PROTOCOL):
    """Writes an object to a file: a state dict, a checkpoint, a Module.

    State dicts (of arrays) can be loaded by MegEngine as well.

    Args:
        obj: what to save.
        f: path or a binary file.
        pickle_module: a module like ``pickle``.
        pickle_protocol: version of the pickle format.

    Raises:
        ValueError: ``f`` is no file.

    Examples:
        >>> import io, megalith as mge, megalith.module as M
        >>> f, m = io.BytesIO(), M.Linear(2, 1)
        >>> mge.save(m.state_dict(), f)
        >>> _ = f.seek(0)
        >>> sorted(mge.load(f))
        ['bias', 'weight']
    """
    if isinstance(f, str) or hasattr(f, "__fspath__"):
        with open(f, "wb") as file:
            save(obj, file, pickle_module=pickle_module, pickle_protocol=pickle_protocol)
        return
    require(hasattr(f, "write"), f"save: {type(f).__name__} is neither a path nor a file to write to")
    with _deep_recursion():
        if hasattr(pickle_module, "Pickler"):
            _pickler(pickle_module)(f, pickle_protocol).dump(obj)
        else:
            pickle_module.dump(obj, f, pickle_protocol)


class dmap:
    """While active, tensors that are unpickled go where ``map_location`` says."""

    def __init__(self, map_location):
        self.map_location = map_location

    def __enter__(self):
        Tensor.dmap_callback = staticmethod(self.map_location)
        return self

    def __exit__(self, type, value, traceback):
        Tensor.dmap_callback = None


def _get_callable_map_location(map_location):
    """``map_location`` as a function from device name to device name."""
    if map_location is None:
        return lambda device: device
    if isinstance(map_location, str):
        return lambda device: map_location
    if isinstance(map_location, dict):
        for name in (*map_location.keys(), *map_location.values()):
            require(_is_device(name), f"load: {name!r} in map_location is no device")
        return lambda device: map_location.get(device[:4], device)
    require(
        callable(map_location), f"load: map_location is a {type(map_location).__name__}, not a str, dict or function"
    )
    return map_location


def _is_device(name):
    try:
        CompNode(name)
    except ValueError:
        return False
    except RuntimeError:  # a device that others have
        pass
    return True


def _located(device):
    """The device for a tensor that was saved on ``device``; the default one if this machine has none of that name."""
    if device is None:
        return None
    device = str(device)
    if Tensor.dmap_callback is not None:
        device = str(Tensor.dmap_callback(device))
    try:
        return as_device(device)
    except RuntimeError:
        return None


def _make(cls, data=None, dtype=None, device=None):
    out = cls.__new__(cls)
    if data is None:  # the values come with the state
        Tensor.__init__(out, np.zeros(0, np.float32))
        return out
    data = np.asarray(data)
    Tensor.__init__(out, data, dtype=dtype)
    out._device = _located(device)
    return out


# MegEngine rebuilds tensors by ``Tensor.__new__(Tensor, array, dtype, device)``.
class _Tensor:
    def __new__(cls, data=None, dtype=None, device=None, *rest):
        return _make(Tensor, data, dtype, device)


class _Parameter:
    def __new__(cls, data=None, dtype=None, device=None, *rest):
        return _make(Parameter, data, dtype, device)


class _CompNode(CompNode):
    """A device as MegEngine pickles it."""

    __slots__ = ()

    def __setstate__(self, name):
        self.__init__(_located(name) or as_device(None))
        self.__class__ = CompNode


def _import_ours(name):
    return importlib.import_module("megalith" + name.removeprefix("megengine"))


_STAND_INS = {
    ("megengine.core._imperative_rt.common", "CompNode"): _CompNode,
    ("megengine.tensor", "Tensor"): _Tensor,
    ("megengine.tensor", "Parameter"): _Parameter,
    ("megengine.core._imperative_rt.common", "bfloat16"): _dtype.bfloat16.type,
    ("importlib", "import_module"): _import_ours,
    ("megengine.core.tensor.core", "Tensor"): _Tensor,
    ("megengine", "Tensor"): _Tensor,
    ("megengine", "Parameter"): _Parameter,
}


@functools.lru_cache(maxsize=8)
def _unpickler(module):
    class Unpickler(module.Unpickler):
        def find_class(self, module, name):
            stand_in = _STAND_INS.get((module, name))
            if stand_in is not None:
                return stand_in
            if module.split(".")[0] == "megengine":
                module = "megalith" + module[len("megengine") :]
            elif module.startswith(("numpy._core", "numpy.core")):
                module = _numpy_module(module)
            return super().find_class(module, name)

    return Unpickler


def _numpy_module(name):
    """The name that this NumPy has for a module of its core."""
    for core in ("numpy._core", "numpy.core"):
        candidate = core + name[name.index("core") + 4 :]
        try:
            importlib.import_module(candidate)
            return candidate
        except ImportError:
            continue
    return name


def load(f, map_location=None, pickle_module=pickle):
    """Reads what :func:`save` of Megalith or of MegEngine wrote.

    Classes of MegEngine become ours. Like every pickle, the file may run code: load only what you trust.

    Args:
        f: path or a binary file.
        map_location: where tensors go: a device, a dict such as ``{"gpu0": "cpu0"}``, or a function from the saved
            device's name to another. Without it, tensors of devices that this machine has not go to the default one.
        pickle_module: a module like ``pickle``.

    Raises:
        ValueError: ``map_location`` makes no sense.

    Examples:
        >>> import io, megalith as mge
        >>> f = io.BytesIO()
        >>> mge.save({"x": mge.Tensor([1.0, 2.0])}, f)
        >>> _ = f.seek(0)
        >>> mge.load(f, map_location="cpu0")["x"]
        Tensor([1. 2.], device=cpu0:0)
    """
    if isinstance(f, str) or hasattr(f, "__fspath__"):
        with open(f, "rb") as file:
            return load(file, map_location=map_location, pickle_module=pickle_module)
    with dmap(_get_callable_map_location(map_location)):
        if not hasattr(pickle_module, "Unpickler"):
            return pickle_module.load(f)
        return _unpickler(pickle_module)(f).load()
