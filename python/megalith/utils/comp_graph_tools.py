"""Walking, changing and running graphs."""

import heapq
from collections import OrderedDict, defaultdict
from typing import Dict, List, Tuple, Union

import numpy as np

from .. import _core
from .._errors import ArgumentError, ArgumentTypeError
from .network_node import OpNode, ReadOnlyOpNode, VarNode, canonical

__all__ = ["get_dep_vars", "get_owner_opr_inputs", "get_owner_opr_type", "get_opr_type", "graph_traversal",
           "get_oprs_seq", "replace_vars", "replace_oprs", "set_priority_to_id", "GraphInference"]  # fmt: skip


def _vars(var) -> list:
    return [var] if isinstance(var, VarNode) else list(var)


def _same_type(op_type: str, wanted) -> bool:
    return op_type in wanted or op_type + "Forward" in wanted or op_type.removesuffix("Forward") in wanted


def get_dep_vars(var: Union[VarNode, List[VarNode]], var_type: Union[str, List[str]] = None) -> List[VarNode]:
    """The variables that ``var`` depends on, itself first, nearer ones before farther ones.

    Args:
        var: one or more variables.
        var_type: only those that operators of these types make.
    """
    wanted = None if var_type is None else [var_type] if isinstance(var_type, str) else list(var_type)
    queue, seen, found = [canonical(v) for v in _vars(var)], set(), []
    at = 0
    while at < len(queue):
        v = queue[at]
        at += 1
        if v.id in seen:
            continue
        seen.add(v.id)
        owner = v.owner
        queue.extend(owner.inputs)
        if wanted is None or _same_type(get_opr_type(owner), wanted):
            found.append(v)
    return found


def get_owner_opr_inputs(var: VarNode) -> List[VarNode]:
    """What the operator that makes ``var`` reads."""
    return var.owner.inputs


def get_owner_opr_type(var: VarNode) -> str:
    """The type of the operator that makes ``var``."""
    return get_opr_type(var.owner)


def get_opr_type(opr: OpNode) -> str:
    """The type of an operator, by the name of its class: a ``Convolution`` is a ``ConvolutionForward``."""
    if not isinstance(opr, OpNode):
        raise ArgumentTypeError(f"get_opr_type takes an operator, not {type(opr).__name__}")
    return opr.type if type(opr) is ReadOnlyOpNode else type(opr).__name__


def _reachable(outputs) -> dict:
    """The operators behind variables, by number, from the outputs on."""
    found, queue = {}, [v.owner for v in _vars(outputs)]
    at = 0
    while at < len(queue):
        opr = queue[at]
        at += 1
        if opr.id not in found:
            found[opr.id] = opr
            queue.extend(v.owner for v in opr.inputs)
    return found


def graph_traversal(outputs: VarNode):
    """Who reads what in the graph behind ``outputs``.

    Returns:
        ``(map_oprs, map_vars, var2oprs, opr2receivers, indegree2opr, opr2indegree)``: operators and variables by number;
        for a variable's number the ``(operator, position)`` that read it; for an operator's number its readers; operators by
        how many inputs they have, and the other way around.
    """
    map_oprs = _reachable(outputs)
    map_vars, var2oprs, receivers = {}, defaultdict(list), defaultdict(list)
    by_degree, degrees = defaultdict(set), {}
    for opr in map_oprs.values():
        inputs = opr.inputs
        for position, var in enumerate(inputs):
            map_vars[var.id] = var
            var2oprs[var.id].append((opr.id, position))
            receivers[var.owner.id].append(opr.id)
        by_degree[len(inputs)].add(opr.id)
        degrees[opr.id] = len(inputs)
    return map_oprs, map_vars, var2oprs, receivers, by_degree, degrees


def get_oprs_seq(outputs: List[VarNode], prune_reshape=False, prune_immtensor=True) -> List[OpNode]:
    """The operators behind ``outputs`` in an order in which they can run: by priority, then by number; inputs and constants
    stand before the first operator that reads them.

    Args:
        outputs: variables.
        prune_reshape: leaves out operators that only compute shapes for Reshape.
        prune_immtensor: leaves out constants.
    """
    oprs = _reachable(outputs)
    receivers, waiting = defaultdict(list), {}
    for opr in oprs.values():
        before = {v.owner.id for v in opr.inputs}
        waiting[opr.id] = len(before)
        for i in before:
            receivers[i].append(opr.id)
    ready = [(opr.priority, i) for i, opr in oprs.items() if not waiting[i]]
    heapq.heapify(ready)
    order = []
    while ready:
        _, i = heapq.heappop(ready)
        order.append(oprs[i])
        for r in receivers[i]:
            waiting[r] -= 1
            if not waiting[r]:
                heapq.heappush(ready, (oprs[r].priority, r))
    useless = _shape_oprs(outputs, oprs) if prune_reshape else set()
    providers = {o.id for o in order if o.type in ("ImmutableTensor", "Host2DeviceCopy")}
    placed, result = set(), []

    def place(opr):
        if opr.id not in placed:
            placed.add(opr.id)
            if not (prune_immtensor and opr.type == "ImmutableTensor") and opr.id not in useless:
                result.append(opr)

    for opr in order:
        if opr.id in providers:
            continue
        for var in opr.inputs:
            if var.owner.id in providers:
                place(var.owner)
        place(opr)
    for opr in order:
        place(opr)
    return result


def _shape_oprs(outputs, oprs) -> set:
    """Operators whose results reach nothing but the target shapes of Reshape."""
    readers = defaultdict(set)
    for opr in oprs.values():
        for position, var in enumerate(opr.inputs):
            if not (opr.type == "Reshape" and position == 1):
                readers[var.owner.id].add(opr.id)
    useful, queue = set(), [v.owner.id for v in _vars(outputs)]
    while queue:
        i = queue.pop()
        if i in useful:
            continue
        useful.add(i)
        opr = oprs[i]
        queue.extend(v.owner.id for v in (opr.inputs[:1] if opr.type == "Reshape" else opr.inputs))
    return set(oprs) - useful


def replace_vars(dst: List[VarNode], varmap: Dict[VarNode, VarNode]) -> List[VarNode]:
    """``dst`` computed from other variables.

    Args:
        dst: what is to be computed.
        varmap: what takes the place of what, a dict or pairs.

    Returns:
        The new variables for ``dst``; the old ones stay as they are.
    """
    dst = _vars(dst)
    pairs = list(varmap.items() if hasattr(varmap, "items") else varmap)
    for v in [*dst, *(v for pair in pairs for v in pair)]:
        if not isinstance(v, VarNode):
            raise ArgumentTypeError(f"replace_vars takes graph variables, not {type(v).__name__}")
    return [canonical(v) for v in dst[0].graph.replace(dst, dict(pairs))] if dst else []


def replace_oprs(dst: List[VarNode], oprmap: Dict[OpNode, OpNode]) -> List[VarNode]:
    """``dst`` computed with other operators; see :func:`replace_vars`."""
    varmap = []
    for old, new in oprmap.items() if hasattr(oprmap, "items") else oprmap:
        for opr in (old, new):
            if not isinstance(opr, OpNode):
                raise ArgumentTypeError(f"replace_oprs takes operators, not {type(opr).__name__}")
        if len(old.outputs) != len(new.outputs):
            raise ArgumentError(f"replace_oprs: {old} has {len(old.outputs)} results, {new} has {len(new.outputs)}")
        varmap.extend(zip(old.outputs, new.outputs))
    return replace_vars(dst, varmap)


def set_priority_to_id(dest_vars):
    """Operators without a priority get their number as one, so that they run in the order in which they were made."""
    for opr in _reachable(dest_vars).values():
        if opr.priority == 0:
            opr.priority = opr.id


def find_vars_by_name(dst: List[VarNode], names: List[str]) -> List[VarNode]:
    """The variables of these names among ``dst`` and what they depend on.

    Raises:
        ValueError: there is none of a name.
    """
    found = {}
    for var in get_dep_vars(dst):
        found.setdefault(var.name, var)
    missing = [n for n in names if n not in found]
    if missing:
        raise ArgumentError(f"Can not find varnode {missing} in this model")
    return [found[n] for n in names]


def embed_inputs(dst: List[VarNode], data: List[np.ndarray],
                 inputs: List[VarNode] = None) -> Tuple[List[VarNode], Dict[str, VarNode]]:  # fmt: skip
    """``dst`` with values in place of its inputs.

    Args:
        dst: what is computed.
        data: a value for each input.
        inputs: the inputs to replace; all by default.

    Returns:
        The new variables, and the values' variables by the inputs' names.
    """
    from ..tensor import Tensor

    if inputs is None:
        inputs = get_dep_vars(dst, "Host2DeviceCopy")
    if len(data) != len(inputs):
        raise ArgumentError(f"embed_inputs: {len(data)} values for {len(inputs)} inputs")
    made = OrderedDict()
    for var, value in zip(inputs, data):
        made[var.name] = var.graph.add_parameter(Tensor(value), var.name)
    new = replace_vars(dst, list(zip(inputs, made.values())))
    for before, after in zip(_vars(dst), new):
        after.name = before.name
    return new, made


def convert_inputs(dst: List[VarNode], inputs: List[VarNode] = None) -> Tuple[List[VarNode], Dict[str, VarNode]]:
    """``dst`` with inputs whose values are set while the graph runs.

    Args:
        dst: what is computed.
        inputs: the inputs to replace; all by default.

    Returns:
        The new variables, and an InputNode for each input by its name.
    """
    from ..core.tensor.megbrain_graph import InputNode

    if inputs is None:
        inputs = get_dep_vars(dst, "Host2DeviceCopy")
    made = OrderedDict()
    for var in inputs:
        name, node = var.name, InputNode(dtype=var.dtype, shape=var.partial_shape, graph=var.graph)
        made[name] = node
        var.name = f"{name}:replaced"
        node.name = name
    new = replace_vars(dst, {v: n.outputs[0] for v, n in zip(inputs, made.values())})
    for before, after in zip(_vars(dst), new):
        after.name = before.name
    return new, made


def convert_outputs(dst: List[VarNode]) -> Tuple[List[VarNode], Dict[str, VarNode]]:
    """Variables that deliver ``dst`` when the graph runs, and an OutputNode for each by its name."""
    from ..core.tensor.megbrain_graph import OutputNode

    made = OrderedDict((var.name, OutputNode(var)) for var in _vars(dst))
    return [node.outputs[0] for node in made.values()], made


class GraphInference:
    """A model from a file, ready to run.

    Args:
        file: a path or a file of bytes.
        outputs: names of the variables to compute; by default the model's outputs.
        profiling: accepted for compatibility.
        optimize_for_inference: rewrites the graph into a faster one with the same results.
    """

    def __init__(self, file, outputs: List[str] = None, profiling: bool = False, optimize_for_inference: bool = False,
                 **kwargs):  # fmt: skip
        from ..core.tensor.megbrain_graph import load_graph

        loaded = load_graph(file)
        self._graph = loaded.graph
        found = loaded.output_vars_list
        if outputs is not None:
            found = find_vars_by_name(found, list(outputs))
        self._origin_outputs = found
        self._inp_dict = OrderedDict((v.name, v) for v in get_dep_vars(found, "Host2DeviceCopy"))
        self._oup_dict = OrderedDict((v.name, v) for v in found)
        self._model = self._graph.compile(list(self._oup_dict.values()), optimize=optimize_for_inference)

    def run(self, *inp_args: np.ndarray, inp_dict: Dict[str, np.ndarray] = None) -> Dict[str, np.ndarray]:
        """Computes the outputs.

        Args:
            inp_args: values of the first inputs, in the graph's order; names are safer.
            inp_dict: values by the inputs' names.

        Returns:
            Arrays by the outputs' names.

        Raises:
            ValueError: the inputs are not those of the model.
        """
        from ..tensor import Tensor

        names = list(self._inp_dict)
        if len(inp_args) > len(names):
            raise ArgumentError(f"This model expects {len(names)} inputs, but gets {len(inp_args)}")
        given = dict(zip(names, inp_args))
        given.update(inp_dict or {})
        if set(given) != set(names):
            raise ArgumentError(f"This model expects inputs {names}, but gets inputs {list(given)}")
        results = self._model.run({n: v if isinstance(v, _core.TensorBase) else Tensor(v) for n, v in given.items()})
        return OrderedDict((name, r.numpy()) for name, r in zip(self._oup_dict, results))
