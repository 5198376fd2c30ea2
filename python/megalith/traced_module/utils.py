"""Attributes of modules by their paths."""

from typing import Union

from ..module.module import Module
from ..tensor import Tensor


def get_subattr(module: Module, target: str):
    """The attribute at a dotted path; parts of it may be places in lists and keys of dicts.

    Examples:
        >>> import megalith.module as M
        >>> from megalith.traced_module.utils import get_subattr
        >>> get_subattr(M.Sequential(M.ReLU(), M.Linear(2, 3)), "1.weight").shape
        (3, 2)
    """
    obj = module
    for part in target.split(".") if target else ():
        try:
            if isinstance(obj, (list, tuple)):
                obj = obj[int(part)]
            elif isinstance(obj, dict):
                obj = obj[part]
            else:
                obj = getattr(obj, part)
        except (AttributeError, IndexError, KeyError, ValueError):
            raise AttributeError(f"{type(module).__name__} has nothing at {target!r}: no {part!r}") from None
    return obj


def assign_attr(obj: Union[Module, Tensor], module: Module, target: str):
    """Makes ``obj`` the attribute at a dotted path; modules in between are made where there are none."""
    from .traced_module import TracedModule

    *parents, last = target.split(".")
    for part in parents:
        inner = getattr(module, part, None)
        if inner is None:
            inner = TracedModule(False, {}, {})
            inner.training = module.training
            _put(module, part, inner)
        module = inner
    _put(module, last, obj)


def _put(module, name, obj):
    """Sets an attribute of a module; ``obj`` keeps the names that it has."""
    module.__dict__[name] = obj
    if isinstance(obj, Module) and name not in module._modules:
        module._modules.append(name)
