"""Every op of the registry as a class."""

from .._opdef import OpDef, classes as _classes


def __getattr__(name: str):
    found = _classes().get(name)
    if found is None:
        raise AttributeError(f"Megalith does not have megengine.core.ops.builtin.{name}")
    return found


def __dir__():
    return sorted(_classes())
