"""MegEngine's native module, as far as scripts touch it."""

from ... import _core
from ...device import CompNode
from ..ops._opdef import OpDef
from . import core2, ops

OperatorNode = _core.Node
_LATER = ("common", "graph", "imperative", "utils")


def __getattr__(name: str):
    import importlib

    if name in _LATER:
        return importlib.import_module(f"{__name__}.{name}")
    if not name.startswith("_"):
        for module in _LATER:
            found = importlib.import_module(f"{__name__}.{module}")
            if name in vars(found):
                return vars(found)[name]
    raise AttributeError(f"Megalith does not have megengine.core._imperative_rt.{name}")
