"""Functions of the library, and how others stand in for them for a while."""

import functools
import importlib
import sys
import types

from ..core._imperative_rt import core2

USER_REGISTERED_FUNCTION = []

_BINARY = "add sub mul matmul truediv floordiv mod pow lshift rshift and or xor".split()
BUILTIN_ARRAY_METHOD = [
    *(f"__{n}__" for n in "lt le gt ge eq ne neg pos abs invert round floor ceil".split()),
    *(f"__{prefix}{n}__" for prefix in ("", "r", "i") for n in _BINARY),
    "transpose", "astype", "reshape", "_broadcast", "flatten", "sum", "prod", "min", "max", "mean",
    "__getitem__", "__setitem__",
]  # fmt: skip
BUILTIN_TENSOR_WRAP_METHOD = ["to", "detach"]


def get_tensor_wrapable_method():
    """Methods of tensors whose calls become expressions."""
    return BUILTIN_TENSOR_WRAP_METHOD + BUILTIN_ARRAY_METHOD


# Modules whose functions become expressions, in the order in which a function's public name is looked for.
_FUNCTION_MODULES = [
    *(f"megalith.functional.{n}" for n in "elemwise math tensor nn loss vision quantized inplace metric".split()),
    "megalith.functional.distributed", "megalith.random",
]  # fmt: skip
_NOT_TRACED = {"seed"}


@functools.lru_cache(maxsize=1)
def _library_functions():
    found = {}
    for module_name in _FUNCTION_MODULES:
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            continue
        for name in getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]:
            value = vars(module).get(name)
            if not callable(value) or isinstance(value, type) or name in _NOT_TRACED:
                continue
            home = getattr(value, "__module__", None) or ""
            if (
                home.startswith("megalith.functional")
                and not home.split(".")[-1].startswith("_")
                and home != module_name
            ):
                continue  # passed on from where it is defined
            found.setdefault(id(value), (value, module_name, name))
    return found


def public_functions():
    """(function, module, name) by id, of all functions whose calls become expressions."""
    found = dict(_library_functions())
    for func in USER_REGISTERED_FUNCTION:
        found[id(func)] = (func, func.__module__, func.__qualname__)
    return found


class PatchedFn:
    """A name in a namespace whose value was replaced for a while.

    Args:
        frame_dict: a dict of names, a class, or the cell of a variable.
        name: the name.
    """

    def __init__(self, frame_dict, name):
        self.frame_dict = frame_dict
        self.name = name
        if isinstance(frame_dict, types.CellType):
            self.origin_fn = frame_dict.cell_contents
        else:
            names = vars(frame_dict) if isinstance(frame_dict, type) else frame_dict
            self.origin_fn = names.get(name, NotExist)

    def set_func(self, func):
        """Gives the name another value; ``NotExist`` takes it away."""
        if isinstance(self.frame_dict, types.CellType):
            self.frame_dict.cell_contents = func
        elif isinstance(self.frame_dict, type):
            if func is NotExist:
                delattr(self.frame_dict, self.name)
            else:
                setattr(self.frame_dict, self.name, func)
        elif func is NotExist:
            del self.frame_dict[self.name]
        else:
            self.frame_dict[self.name] = func


class NotExist:
    """The value of a name that a namespace has not."""


class Patcher:
    """Replaces functions by recording ones, in the library and in namespaces that use them; puts them back at the end.

    Args:
        wrap_fn: makes a recording function of one.
    """

    def __init__(self, wrap_fn):
        self.wrapped = {key: wrap_fn(func) for key, (func, _, _) in public_functions().items()}
        self.wrapped[id(core2.apply)] = wrap_fn(core2.apply)
        self._done = []
        self._namespaces = set()

    def replace(self, frame_dict, name, value):
        """Gives a name another value until the end."""
        patched = PatchedFn(frame_dict, name)
        self._done.append(patched)
        patched.set_func(value)

    def follow(self, func):
        """Replaces the functions that a function uses: in its module, and as variables of functions around it."""
        if not isinstance(func, types.FunctionType) or id(func.__code__) in self._namespaces:
            return
        self._namespaces.add(id(func.__code__))
        self.auto_patch(func.__globals__)
        for cell in func.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # not set yet
                continue
            if id(value) in self.wrapped:
                self.replace(cell, "cell_contents", self.wrapped[id(value)])
            elif not (getattr(value, "__module__", None) or "megalith").startswith("megalith"):
                self.follow(value)

    def auto_patch(self, frame_dict, check_frame_id=True):
        """Replaces the functions in a namespace, whatever names they have there."""
        if check_frame_id and id(frame_dict) in self._namespaces:
            return
        self._namespaces.add(id(frame_dict))
        for name, value in list(frame_dict.items()):
            recording = self.wrapped.get(id(value))
            if recording is not None:
                self.replace(frame_dict, name, recording)

    def __enter__(self):
        for name, module in list(sys.modules.items()):
            own = name == "megalith" or name.startswith("megalith.")
            if own and name not in ("megalith.functional", *_FUNCTION_MODULES):
                continue
            names = getattr(module, "__dict__", None)
            if isinstance(names, dict):
                self.auto_patch(names)
        return self

    def __exit__(self, type, vlaue, trace):
        for patched in reversed(self._done):
            patched.set_func(patched.origin_fn)
