"""Values in the attributes of modules by dotted paths, through lists and dicts."""

import contextlib

from .._errors import ArgumentTypeError
from ..module.module import Module, _access_structure


def get_expand_structure(obj, key: str):
    """The value at a dotted path such as ``"blocks.0.conv"``."""
    return _access_structure(obj, key)


def set_expand_structure(obj, key: str, value):
    """Replaces the value at a dotted path."""

    def put(parent, name, _):
        if isinstance(parent, (list, dict)):
            parent[name] = value
        elif isinstance(parent, tuple):
            raise ArgumentTypeError(f"set_expand_structure: {key} is in a tuple, which can't be changed; use a list")
        else:
            setattr(parent, name, value)

    _access_structure(obj, key, put)


@contextlib.contextmanager
def set_module_mode_safe(module: Module, training: bool = False):
    """Within a ``with`` block, a module and all modules inside are in training mode or not."""
    before = [(m, m.training) for m in module.modules()]
    for m, _ in before:
        m.train(training, recursive=False)
    try:
        yield module
    finally:
        for m, mode in before:
            m.training = mode
