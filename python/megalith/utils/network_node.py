"""Variables and operators of graphs."""

import weakref

import numpy as np

from .. import _core
from .._errors import ArgumentError, ArgumentTypeError
from ..core import _trace_option
from ..core.tensor import dtype as _dtype
from ..core.tensor.array_method import ArrayMethodMixin
from ..device import CompNode, as_device

__all__ = ["NetworkNode", "OpNode", "VarNode", "str_to_mge_class"]


class NetworkNode:
    """What a network is made of."""


def _cache(graph, kind: str):
    """The objects that stand for a graph's variables or operators, as long as somebody holds them."""
    found = graph.__dict__.get(kind)
    if found is None:
        found = graph.__dict__[kind] = weakref.WeakValueDictionary()
    return found


def canonical(var):
    """The one object of a variable: the first that was asked for, while it lives."""
    return _cache(var.graph, "_vars").setdefault(var.id, var)


def rebind(var, to):
    """Makes ``var`` stand for what ``to`` stands for, everywhere that it is held."""
    cache = _cache(var.graph, "_vars")
    if cache.get(var.id) is var:
        del cache[var.id]
    _core.rebind_var(var, to)
    _cache(var.graph, "_vars")[var.id] = var


def absorb(graph, other):
    """Takes all of another graph in; variables and operators of it that are held belong to ``graph`` from here on."""
    held_vars, held_ops = list(_cache(other, "_vars").values()), list(_cache(other, "_ops").values())
    first_node = len(graph.nodes())
    moved = graph.absorb(other)
    for var in held_vars:
        rebind(var, graph.value(var.id + moved))
    for op in held_ops:
        op._rebind(graph.node(op.id + first_node))
    return moved


class VarNode(_core.TensorBase, ArrayMethodMixin, NetworkNode):
    """A value in a graph. Every function that takes Tensors takes graph variables and extends their graph."""

    @property
    def graph(self):
        """The graph that it belongs to."""
        return _core.var_graph(self)

    @property
    def id(self) -> int:
        """Its number in the graph."""
        return _core.var_id(self)

    @property
    def owner(self) -> "OpNode":
        """The operator that makes it."""
        return op_of(_core.var_node(self))

    op = owner

    @property
    def _node(self):
        return self

    var = _node

    @classmethod
    def load(cls, sym_var, owner_opr) -> "VarNode":
        """The one object of a variable."""
        return canonical(sym_var)

    def set_owner_opr(self, owner_opr):
        """Raises ValueError unless ``owner_opr`` makes the variable: that can't be changed."""
        if owner_opr != self.owner:
            raise ArgumentError(f"{self!r} is made by {self.owner!r}, not by {owner_opr!r}")

    def shapeof(self, axis):
        """A size as a variable."""
        return canonical(_core.apply1(_core.Op("GetVarShape", axis=axis), self))

    @property
    def users(self) -> list:
        """The operators that read it."""
        return [op_of(n) for n in self.graph.nodes() if any(v.id == self.id for v in n.inputs)]

    @property
    def name(self) -> str:
        """Its name in dumps; an input's name."""
        node = _core.var_node(self)
        return (node.holder_name if node.kind != "compute" else "") or _core.var_name(self)

    @name.setter
    def name(self, name: str):
        _core.set_var_name(self, name)
        node = _core.var_node(self)
        if node.kind != "compute":
            node.holder_name = name

    @property
    def shape(self):
        """Its shape for the declared inputs, or None where it depends on data; a variable under ``set_symbolic_shape``."""
        if _trace_option.use_symbolic_shape():
            return self._get_var_shape()
        return self._tuple_shape if _core.var_known(self) else None

    @property
    def partial_shape(self) -> tuple:
        """Its shape for the declared inputs, or None where it depends on data."""
        return self._tuple_shape if _core.var_known(self) else None

    def _get_var_shape(self):
        return _core.apply1(_core.Op("GetVarShape"), self)

    @property
    def comp_node(self) -> CompNode:
        """The device that computes it."""
        return self.device

    @property
    def dtype(self) -> np.dtype:
        """Its element type."""
        return _dtype.to_numpy(self._dtype)

    @property
    def device(self) -> CompNode:
        """The device that computes it."""
        return as_device(None)

    def numpy(self) -> np.ndarray:
        """Its value, where it is known without running the graph.

        Raises:
            ValueError: it is not.
        """
        return self._numpy()

    def detach(self):
        """Itself."""
        return self

    def __eq__(self, other):
        # Comparing makes a graph value only with operands; identity is for dicts and lists.
        if isinstance(other, VarNode):
            return self.graph is other.graph and self.id == other.id
        return ArrayMethodMixin.__eq__(self, other)

    def __hash__(self):
        return hash((id(self.graph), self.id))

    def __bool__(self):
        return bool(self.item())

    def __repr__(self):
        known = f", shape={self.shape}, dtype={self.dtype}" if _core.var_known(self) else ""
        return f"VarNode({self.name or self.id}{known})"


class OpNode(NetworkNode):
    """An operator in a graph. ``megalith.utils.network_node.Reduce`` and so on are its classes by type."""

    type = None

    def __init__(self):
        raise ArgumentTypeError(f"{type(self).__name__}: operators are made by calls with graph variables")

    @classmethod
    def _of(cls, node):
        self = cls.__new__(cls)
        self._node = node
        return self

    @classmethod
    def load(cls, opr) -> "OpNode":
        """The one object of an operator."""
        return op_of(getattr(opr, "_node", opr))

    def compile(self):
        """Accepted for compatibility: an operator is in its graph from the start."""

    def add_inp_var(self, x):
        """Raises ValueError unless ``x`` is read already: inputs are given when an operator is made."""
        if x not in self.inputs:
            raise ArgumentError(f"{self!r} does not read {x!r}; call the op anew and replace this one")

    def add_out_var(self, x):
        """Raises ValueError unless ``x`` is made by this operator."""
        if x not in self.outputs:
            raise ArgumentError(f"{self!r} does not make {x!r}")

    def _made(self, var):
        self._node = _core.var_node(var)
        _cache(var.graph, "_ops")[self._node.id] = self

    def _rebind(self, node):
        cache = _cache(self._node.graph, "_ops")
        if cache.get(self.id) is self:
            del cache[self.id]
        self._node = node
        _cache(node.graph, "_ops")[node.id] = self

    @property
    def graph(self):
        """The graph that it belongs to."""
        return self._node.graph

    @property
    def id(self) -> int:
        """Its number in the graph."""
        return self._node.id

    @property
    def kind(self) -> str:
        """``input``, ``constant``, ``parameter`` or ``compute``."""
        return self._node.kind

    @property
    def op(self):
        """The op with its parameters."""
        return self._node.op

    @property
    def params(self) -> dict:
        """Its parameters by name."""
        return self._node.op.params

    @property
    def priority(self) -> int:
        """Operators of lower priority run first, where their order is free."""
        return self._node.priority

    @priority.setter
    def priority(self, value: int):
        self._node.priority = value

    @property
    def inputs(self) -> list:
        """The variables that it reads."""
        return [canonical(v) for v in self._node.inputs]

    @property
    def outputs(self) -> list:
        """The variables that it makes."""
        return [canonical(v) for v in self._node.outputs]

    @property
    def name(self) -> str:
        """Its name, or the one of what it makes."""
        return self._node.name or (self.outputs[0].name if self._node.outputs else "")

    @name.setter
    def name(self, name: str):
        self._node.name = name
        if self.kind != "compute":
            self.outputs[0].name = name

    def __eq__(self, other):
        return isinstance(other, OpNode) and self._node == other._node

    def __hash__(self):
        return hash(self._node)

    def __repr__(self):
        return f"{self.name or self.id}{{{self.type}}}"


class Host2DeviceCopy(OpNode):
    """An input of the graph."""

    type = "Host2DeviceCopy"

    def __init__(self, shape=None, dtype=None, name=None, device=None):
        as_device(device)
        self._graph = _core.new_graph()  # of its own until a network takes it in
        self._made(
            self._graph.add_input(name or "", _dtype.to_native(dtype or "float32"), [int(s) for s in shape or ()])
        )

    def compile(self, graph):
        """Accepted for compatibility: an operator is in its graph from the start."""

    @property
    def shape(self) -> tuple:
        """The declared shape."""
        return self.outputs[0].partial_shape

    @shape.setter
    def shape(self, shape):
        self._node.declare(self.outputs[0]._dtype, [int(s) for s in shape])
        self.graph.infer()

    @property
    def dtype(self) -> np.dtype:
        """The declared element type."""
        return self.outputs[0].dtype

    @dtype.setter
    def dtype(self, dtype):
        self._node.declare(_dtype.to_native(dtype), list(self.shape))
        self.graph.infer()


class ConstOpBase(OpNode):
    """A value that the graph holds."""

    _add = None

    def __init__(self, data=None, name=None, device=None, graph=None):
        from ..tensor import Tensor

        if self._add is None or data is None:
            raise ArgumentTypeError(f"{type(self).__name__} takes a value")
        as_device(device)
        self._graph = _core.new_graph() if graph is None else graph
        self._made(getattr(self._graph, self._add)(Tensor(np.atleast_1d(np.asarray(data))), name or ""))

    def compile(self, graph):
        """Accepted for compatibility: an operator is in its graph from the start."""

    @property
    def shape(self) -> tuple:
        """The value's shape."""
        return self.outputs[0].partial_shape

    @property
    def dtype(self) -> np.dtype:
        """The value's element type."""
        return self.outputs[0].dtype

    def numpy(self) -> np.ndarray:
        """The value."""
        return self._node.value.numpy()

    def set_value(self, data, device=None):
        """Another value; shapes of what reads it follow."""
        from ..tensor import Tensor

        self._node.set_value(Tensor(np.atleast_1d(np.asarray(data))))
        self.graph.infer()


class ImmutableTensor(ConstOpBase):
    """A constant."""

    type = "ImmutableTensor"
    _add = "add_constant"


class SharedDeviceTensor(ConstOpBase):
    """A parameter."""

    type = "SharedDeviceTensor"
    _add = "add_parameter"


class ReadOnlyOpNode(OpNode):
    """An operator that this version does not know."""

    @property
    def type(self) -> str:
        """Its name in the file."""
        return self._node.type


# Ops whose classes MegEngine names with "Forward", and the two classes whose type is another word.
_FORWARD = {"Convolution", "GroupLocal", "Pooling", "AdaptivePooling", "ROIPooling", "BatchNorm", "ROIAlign",
            "WarpPerspective", "WarpAffine", "Remap", "Resize", "Argsort", "CvtColor"}  # fmt: skip
_TYPES = {"BatchedMatrixMul": "BatchedMatmul", "ConvolutionBackwardData": "ConvTranspose"}
_known = {c.type: c for c in (Host2DeviceCopy, ImmutableTensor, SharedDeviceTensor)}
_names = None


def str_to_mge_class(classname: str) -> type:
    """The OpNode class of a type of op. MegEngine's ``ConvolutionForward`` is the same as ``Convolution``."""
    global _names
    if _names is None:
        _names = {e["name"] for e in _core.registry()}
    name = classname
    if name not in _names:
        other = (name.removesuffix("Forward"), name + "Forward", name + "MGB", name + "Opr")
        name = next((n for n in other if n in _names), name)
    if name not in _names:
        return ReadOnlyOpNode
    if name not in _known:
        base = ConstOpBase if "DeviceTensor" in name else OpNode
        shown = name + "Forward" if name in _FORWARD else name
        kind = _TYPES.get(name, name.removesuffix("Forward"))
        _known[name] = type(shown, (base,), {"type": kind, "__module__": __name__, "__doc__": f"A call of {name}."})
    return _known[name]


def op_of(node) -> OpNode:
    """The one object of an operator, while it lives."""
    cache = _cache(node.graph, "_ops")
    found = cache.get(node.id)
    if found is None:
        found = cache[node.id] = str_to_mge_class(node.type)._of(node)
    return found


def __getattr__(name: str):
    if not name.startswith("_"):
        found = str_to_mge_class(name)
        if found is not ReadOnlyOpNode:
            return found
    raise AttributeError(f"Megalith does not have megengine.utils.network_node.{name}")
