"""Graphs by the names of MegEngine's core."""

import collections
import os

from ... import _core
from ...utils.comp_graph_tools import set_priority_to_id
from ...utils.dump_tools import deserialize_infer_option
from ...utils.network_node import OpNode, VarNode, canonical
from ._graph_run import (
    AttrOutputNode,
    Graph,
    InputNode,
    OutputNode,
    TensorAttr,
    ValueOutputNode,
    VirtualDepNode,
    attr_output_callback,
    input_callback,
    output_callback,
    value_output_callback,
)

CompGraphLoadResult = collections.namedtuple(
    "CompGraphLoadResult", ["graph", "output_vars_dict", "output_vars_list", "metadata"]
)


class SerializationMetadata:
    """What a file says about itself."""

    def __init__(self, graph=None):
        self.is_valid = bool(graph is not None and graph.has_metadata)
        self.user_info = graph.user_info if self.is_valid else b""
        self.graph_modified = graph.graph_modified if self.is_valid else False
        self.optimize_options = graph.optimize_options if self.is_valid else 0

    @property
    def optimized_for_inference(self) -> bool:
        """Whether the graph was rewritten for inference."""
        return self.optimize_options != 0


def load_graph(fpath) -> CompGraphLoadResult:
    """Reads a graph from a path or a file of bytes.

    Returns:
        The graph, its outputs by name and in order, and what the file says about itself.
    """
    if isinstance(fpath, (str, os.PathLike)):
        os.stat(fpath)  # a FileNotFoundError if it is missing
        graph, _ = _core.Graph.load(os.fspath(fpath))
    else:
        graph, _ = _core.Graph.loads(fpath.read())
    named = [(name, canonical(var)) for var, name in graph.outputs]
    for name, var in named:
        if name and not var.name:
            var.name = name
    return CompGraphLoadResult(graph, dict(named), [var for _, var in named], SerializationMetadata(graph))


def dump_graph(output_vars, *, keep_var_name: int = 1, keep_opr_name: bool = False, keep_param_name: bool = False,
               keep_opr_priority: bool = False, no_change_graph: bool = False, strip_info_file=None, append_json=False,
               metadata=None, dump_format=None, model_version: int = 2):  # fmt: skip
    """The bytes of a file with these outputs, and what is in it.

    Args:
        output_vars: a list, or a dict from names to variables.
    """
    import io

    from ...utils import dump_tools

    names = list(output_vars) if isinstance(output_vars, dict) else None
    variables = list(output_vars.values()) if isinstance(output_vars, dict) else list(output_vars)
    out = io.BytesIO()
    info = dump_tools.dump_graph(out, variables, names, keep_var_name=keep_var_name, keep_opr_name=keep_opr_name,
                                 keep_param_name=keep_param_name, keep_opr_priority=keep_opr_priority,
                                 no_change_graph=no_change_graph, strip_info_file=strip_info_file,
                                 append_json=append_json, optimize_for_inference=False, metadata=metadata,
                                 enable_metadata=False, dump_format=dump_format, model_version=model_version)  # fmt: skip
    return out.getvalue(), info


def optimize_for_inference(dest_vars, **kwargs):
    """Variables of a rewritten graph that computes the same, and the options as a number."""
    from ...utils import dump_tools

    names = [v.name for v in dest_vars]
    graph = dest_vars[0].graph.extract(list(dest_vars), names)
    graph, bits = dump_tools.optimize(graph, **kwargs)
    return [canonical(var) for var, _ in graph.outputs], bits


def modify_opr_algo_strategy_inplace(dest_vars, strategy: str):
    """Accepted for compatibility: MegEngine's strategies choose between CUDA algorithms."""
    for part in str(strategy).split("+"):
        if part not in ("HEURISTIC", "PROFILE", "REPRODUCIBLE", "OPTIMIZED"):
            raise ValueError(f"{strategy!r} is no strategy: use HEURISTIC, PROFILE, REPRODUCIBLE or OPTIMIZED")


def apply_normal_varnode(op, *args) -> list:
    """Calls an op on graph variables."""
    from .._imperative_rt.core2 import apply

    return [canonical(v) for v in apply(op, *args)]
