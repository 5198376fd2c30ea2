"""Graphs by the names of MegEngine's native module."""

from ... import _core
from ...utils.network_node import VarNode
from ..tensor._graph_run import (
    Graph as ComputingGraph,
    GraphOptions as GraphOptimizeOptions,
    Rendezvous as DeviceTensorNDRendezvous,
    attr_output_callback,
    input_callback,
    output_callback,
    value_output_callback,
)
from ..tensor.megbrain_graph import (
    SerializationMetadata,
    dump_graph,
    load_graph,
    modify_opr_algo_strategy_inplace,
    optimize_for_inference,
)

HostTensorNDRendezvous = TensorAttrRendezvous = DeviceTensorNDRendezvous
OperatorNode = _core.Node
FBS, FBS_V2 = "FBS", "FBS_V2"


class SerializationFormat:
    """Formats of `.mge` files."""

    FBS = FBS
    FBS_V2 = FBS_V2


def make_const(graph, data, device=None, dtype=None, name=None) -> VarNode:
    """A constant of a graph."""
    from ...utils.network_node import ImmutableTensor
    from ..tensor._graph_run import native

    return ImmutableTensor(data, name, device, native(graph)).outputs[0]


def make_shared(graph, data) -> VarNode:
    """A parameter of a graph."""
    from ...utils.network_node import canonical
    from ..tensor._graph_run import native

    return canonical(native(graph).add_parameter(data, ""))


def make_h2d(graph, device, dtype, shape=None, name=None) -> VarNode:
    """An input of a graph."""
    return graph.make_h2d(dtype=dtype, device=device, shape=shape, name=name)


def virtual_dep(variables, device="") -> VarNode:
    """The first variable, once all are computed."""
    from ..tensor._graph_run import VirtualDepNode

    return VirtualDepNode(variables, device).outputs[0]
