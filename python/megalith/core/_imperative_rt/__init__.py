"""MegEngine's native module, as far as scripts touch it."""

from ... import _core
from ...device import CompNode
from ..ops._opdef import OpDef
from . import core2, ops

Graph = ComputingGraph = _core.Graph
OperatorNode = _core.Node


def __getattr__(name: str):
    if name == "VarNode":
        from ...utils.network_node import VarNode

        return VarNode
    raise AttributeError(f"Megalith does not have megengine.core._imperative_rt.{name}")
