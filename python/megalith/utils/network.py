"""Network: a graph from a file that can be looked through, changed and written again."""

import collections.abc
import fnmatch
import itertools
import pickle
import re
from collections import OrderedDict
from typing import Any, Dict, List

import numpy as np

from .. import _core
from .._errors import ArgumentError, ArgumentTypeError
from ..core._trace_option import set_symbolic_shape as _set_symbolic_shape
from . import dump_tools
from .comp_graph_tools import find_vars_by_name, get_dep_vars, get_oprs_seq
from .network_node import (
    Host2DeviceCopy,
    ImmutableTensor,
    NetworkNode,
    OpNode,
    VarNode,
    absorb,
    canonical,
    rebind,
)


class Network:
    """A graph with its inputs and outputs.

    Variables and operators stay the same objects when the graph around them changes.

    Examples:
        >>> import io
        >>> import megalith as mge
        >>> from megalith.jit import trace
        >>> from megalith.utils.network import Network
        >>> double = trace(lambda x: x * 2, symbolic=True, capture_as_const=True)
        >>> _ = double(mge.Tensor([1.0]))
        >>> file = io.BytesIO()
        >>> _ = double.dump(file, arg_names=["x"], output_names=["y"])
        >>> _ = file.seek(0)
        >>> net = Network.load(file)
        >>> [v.name for v in net.input_vars], [v.name for v in net.output_vars]
        (['x'], ['y'])
    """

    def __init__(self):
        self.graph = _core.new_graph()
        self.output_vars = []
        self._metadata = None

    @classmethod
    def load(cls, model_path: str, outspec: List[str] = None):
        """Reads a model.

        Args:
            model_path: a path or a file of bytes.
            outspec: names of the variables that are to be the outputs.
        """
        from ..core.tensor.megbrain_graph import load_graph

        self = cls()
        loaded = load_graph(model_path)
        self.graph, self._metadata = loaded.graph, loaded.metadata
        self.output_vars = loaded.output_vars_list
        if outspec is not None:
            self.output_vars = find_vars_by_name(self.output_vars, list(outspec))
        return self

    @property
    def metadata(self):
        """What the file says about itself, a dict; None where it says nothing."""
        if self._metadata is None or not self._metadata.is_valid:
            return None
        try:
            user_info = pickle.loads(self._metadata.user_info)
        except Exception:  # no pickle, or one of classes that are not here
            user_info = self._metadata.user_info
        found = {
            "user_info": user_info,
            "graph_modified": self._metadata.graph_modified,
            "optimized_for_inference": self._metadata.optimized_for_inference,
        }
        found.update(dump_tools.deserialize_infer_option(self._metadata.optimize_options))
        return found

    @property
    def input_vars(self) -> list:
        """The inputs that the outputs depend on."""
        return sorted(get_dep_vars(self.output_vars, "Host2DeviceCopy"), key=lambda v: v.id)

    def optimize_for_inference(self, dest_vars, **kwargs):
        """Variables of a rewritten graph that computes ``dest_vars``; options as for :meth:`dump`."""
        from ..core.tensor.megbrain_graph import optimize_for_inference

        return optimize_for_inference([dest_vars] if isinstance(dest_vars, VarNode) else list(dest_vars), **kwargs)[0]

    def dump(self, file, *, keep_var_name: int = 1, keep_opr_name: bool = False, keep_param_name: bool = False,
             keep_opr_priority: bool = False, strip_info_file=None, append_json=False, optimize_for_inference=True,
             append=False, user_info: Any = None, enable_metadata=True, **kwargs):  # fmt: skip
        """Writes the outputs and what they need; options as for :meth:`megalith.jit.trace.dump`."""
        for name in ("arg_names", "output_names"):  # rename the variables instead
            kwargs.pop(name, None)
        return dump_tools.dump_graph(
            file, self.output_vars, keep_var_name=keep_var_name, keep_opr_name=keep_opr_name,
            keep_param_name=keep_param_name, keep_opr_priority=keep_opr_priority, strip_info_file=strip_info_file,
            append_json=append_json, optimize_for_inference=optimize_for_inference, append=append, user_info=user_info,
            enable_metadata=enable_metadata, graph_modified=True, **kwargs)  # fmt: skip

    def make_const(self, data, name=None, device=None):
        """A constant of this graph."""
        from ..tensor import Tensor

        return canonical(self.graph.add_constant(Tensor(np.atleast_1d(np.asarray(data))), name or ""))

    def make_input_node(self, shape, dtype, name=None, device=None):
        """An input of this graph."""
        from ..core.tensor.dtype import to_native

        return canonical(self.graph.add_input(name or "", to_native(dtype), [int(s) for s in shape]))

    def _take_in(self, variables):
        for var in variables:
            if not isinstance(var, VarNode):
                raise ArgumentTypeError(f"a Network takes graph variables, not {type(var).__name__}")
        graphs = [var.graph for var in variables]  # held: they know which objects stand for their variables
        variables = [canonical(var) for var in variables]
        for var in variables:
            if var.graph is not self.graph:
                absorb(self.graph, var.graph)
        del graphs
        return variables

    def add_dep_oprs(self, *vars):
        """Takes variables, with what they depend on, into the network; the variables."""
        return self._take_in(vars or self.output_vars)

    def add_output(self, *vars: VarNode):
        """Adds outputs."""
        for var in self._take_in(vars):
            if not any(var is v for v in self.output_vars):
                self.output_vars.append(var)

    def remove_output(self, *vars: VarNode):
        """Takes variables from the outputs."""
        for var in vars:
            self.output_vars = [v for v in self.output_vars if not v == var]

    def modify_opr_names(self, modifier):
        """Renames all operators.

        Args:
            modifier: what is put before each name, or a function from old to new names.
        """
        if isinstance(modifier, str):
            prefix = modifier

            def modifier(name):
                return f"{prefix}.{name}"

        for opr in self.all_oprs:
            opr.name = modifier(opr.name)

    def reset_batch_size(self, batchsize, *, blacklist=()):
        """Sets the first size of all inputs.

        Args:
            batchsize: the new size.
            blacklist: names of inputs to leave alone.

        Raises:
            ValueError: there is no input, inputs have different sizes now, or the blacklist names no input.
        """
        inputs = self.data_providers_filter.as_list()
        unknown = set(blacklist) - {i.name for i in inputs}
        if unknown:
            raise ArgumentError(f"reset_batch_size: {sorted(unknown)} are no inputs")
        inputs = [i for i in inputs if i.name not in blacklist]
        if not inputs:
            raise ArgumentError("reset_batch_size: the network has no inputs")
        sizes = {i.name: i.shape[0] for i in inputs}
        if len(set(sizes.values())) != 1:
            raise ArgumentError(f"reset_batch_size: inputs have different batch sizes: {sizes}")
        for one in inputs:
            one.shape = (batchsize, *one.shape[1:])

    def replace_vars(self, repl_dict: Dict[VarNode, VarNode]):
        """Lets everything read other variables.

        Args:
            repl_dict: from old to new variables; new ones may be of other networks.
        """
        pairs = [(canonical(old), canonical(new)) for old, new in repl_dict.items()]
        self._take_in([new for _, new in pairs])
        self._replace([(old, new) for old, new in pairs if old is not new], keep=True)

    def replace_oprs(self, repl_dict: Dict[OpNode, OpNode]):
        """Puts other operators in the place of operators; variables keep their names.

        Args:
            repl_dict: from old to new operators, with as many results.
        """
        pairs = []
        for old, new in repl_dict.items():
            if len(old.outputs) != len(new.outputs):
                raise ArgumentError(f"replace_oprs: {old} has {len(old.outputs)} results, {new} has {len(new.outputs)}")
            self._take_in(new.outputs)
            pairs.extend(zip(old.outputs, new.outputs))
        names = [(old, old.name) for old, _ in pairs]
        self._replace(pairs, keep=False)
        for var, name in names:
            var.name = name
        for old, new in repl_dict.items():
            old._node = new._node

    def _replace(self, pairs, keep):
        """Rebinds variables and operators to copies that read the second of each pair in place of the first.

        With ``keep``, what is replaced stays what it was; otherwise it stands for its replacement.
        """
        variables, replaced = self.all_vars, {old.id for old, _ in pairs}
        moves = [(v, now) for v, now in zip(variables, self.graph.replace(variables, dict(pairs))) if v.id != now.id]
        copies = [(var.owner, _core.var_node(now)) for var, now in moves if var.id not in replaced]
        for var, now in moves:
            if not keep or var.id not in replaced:
                rebind(var, now)
        for opr, node in copies:
            opr._rebind(node)

    def get_opr_by_type(self, oprcls, unique=True):
        """The operators of a class; the only one with ``unique``."""
        return self._one(self.opr_filter.type(oprcls).as_list(), oprcls, unique)

    def get_opr_by_name(self, name, unique=True):
        """The operators of a name, which may have wildcards; the only one with ``unique``."""
        return self._one(self.opr_filter.name(name).as_list(), name, unique)

    def get_var_by_name(self, name, unique=True):
        """The variables of a name, which may have wildcards; the only one with ``unique``."""
        return self._one(self.var_filter.name(name).as_list(), name, unique)

    @staticmethod
    def _one(found, what, unique):
        if not unique:
            return found
        assert len(found) == 1, f"{len(found)} operators of type {what} found"
        return found[0]

    def get_var_receive_oprs(self, var):
        """The operators that read ``var``."""
        return self.opr_filter.has_input(var).as_list()

    def get_dep_oprs(self, var):
        """The operators that ``var`` depends on."""
        return get_oprs_seq(var, False, False)

    @property
    def opr_filter(self):
        """All operators, to be filtered."""
        return NodeFilter(iter(self.all_oprs))

    @property
    def var_filter(self):
        """All variables, to be filtered."""
        return NodeFilter(iter(self.all_vars))

    @property
    def params_filter(self):
        """All constants, to be filtered."""
        return self.opr_filter.param_provider()

    @property
    def data_providers_filter(self):
        """All inputs, to be filtered."""
        return self.opr_filter.data_provider()

    @property
    def dest_vars(self):
        """The outputs."""
        return self.output_vars

    @property
    def all_oprs(self):
        """All operators, in an order in which they can run."""
        return get_oprs_seq(self.output_vars, False, False)

    @property
    def all_vars(self):
        """All variables, outputs first."""
        return get_dep_vars(self.output_vars)

    @property
    def all_vars_dict(self):
        """All variables by name."""
        return self.var_filter.as_dict()

    @property
    def all_oprs_dict(self):
        """All operators by name."""
        return self.opr_filter.as_dict()


def set_symbolic_shape(option: bool):
    """Sets whether shapes of graph variables are variables; returns what was set before."""
    return _set_symbolic_shape(option)


def as_varnode(obj):
    """The variable that ``obj`` is, makes as an operator with one result, or contains as the only one."""
    if isinstance(obj, VarNode):
        return obj
    if isinstance(obj, OpNode):
        outputs = obj.outputs
        assert len(outputs) == 1, f"operator {obj} must have one output to be converted to VarNode; got {len(outputs)}"
        return outputs[0]
    return as_varnode(_only(obj, "VarNode"))


def as_oprnode(obj):
    """The operator that ``obj`` is, that makes it, or that it contains as the only one."""
    if isinstance(obj, VarNode):
        return obj.owner
    if isinstance(obj, OpNode):
        return obj
    return as_oprnode(_only(obj, "OpNode"))


def _only(obj, wanted):
    assert isinstance(obj, collections.abc.Iterable), f"{obj} is not compatible with {wanted}"
    values = list(obj)
    assert len(values) == 1, f"can not convert sequence of length {len(values)} to {wanted}"
    return values[0]


class NodeFilter:
    """Variables or operators that pass some conditions; conditions can be chained.

    Args:
        node_iter: what to filter, or a variable or operator, which means all operators before it.
    """

    def __init__(self, node_iter):
        if isinstance(node_iter, (VarNode, OpNode)):
            start = node_iter if isinstance(node_iter, VarNode) else node_iter.inputs
            oprs = get_oprs_seq(start, False, False)
            node_iter = itertools.islice(oprs, len(oprs) - 1)
        if not isinstance(node_iter, collections.abc.Iterable):
            raise ArgumentTypeError(f"NodeFilter takes variables or operators, not {type(node_iter).__name__}")
        self._iter = node_iter

    @classmethod
    def make_all_deps(cls, *dest_vars):
        """All operators that variables depend on."""
        return cls(get_oprs_seq(list(dest_vars), False, False))

    def _where(self, condition):
        return NodeFilter(node for node in self if condition(node))

    def __iter__(self):
        for node in self._iter:
            if not isinstance(node, NetworkNode):
                raise ArgumentTypeError(f"all nodes should be {NetworkNode}; got {node!r}")
            yield node

    def type(self, node_type):
        """Those of a class."""
        assert issubclass(node_type, NetworkNode), f"bad opr type: {node_type}"
        return self._where(lambda node: isinstance(node, node_type))

    def check_type(self, node_type):
        """All of them, which must be of a class: TypeError otherwise."""

        def check(node):
            if not isinstance(node, node_type):
                raise ArgumentTypeError(f"all nodes should be {node_type}; got {node!r}")
            return True

        return self._where(check)

    def not_type(self, node_type):
        """Those that are not of a class."""
        assert issubclass(node_type, NetworkNode), f"bad opr type: {node_type}"
        return self._where(lambda node: not isinstance(node, node_type))

    def param_provider(self):
        """Constants."""
        return self.type(ImmutableTensor)

    def data_provider(self):
        """Inputs."""
        return self.type(Host2DeviceCopy)

    def name(self, pattern, ignorecase=True):
        """Those of a name, in which ``?`` and ``*`` stand for one and any number of letters."""
        assert isinstance(pattern, str), f"bad pattern: {pattern!r}"
        match = re.compile(fnmatch.translate(pattern), re.IGNORECASE if ignorecase else 0).match
        return self._where(lambda node: node.name == pattern or match(node.name))

    def has_input(self, var):
        """Operators that read a variable."""
        var = as_varnode(var)
        return self._where(lambda node: any(v == var for v in node.inputs))

    def as_list(self):
        """All that is left."""
        return list(self)

    def as_unique(self):
        """The only one that is left: ValueError for none or several."""
        (node,) = self
        return node

    def as_dict(self):
        """What is left, by name."""
        return OrderedDict((node.name, node) for node in self)

    def as_count(self):
        """How many are left."""
        return sum(1 for _ in self)
