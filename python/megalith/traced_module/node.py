"""Values of a traced module's graph: modules and tensors."""

from abc import ABC
from typing import Tuple

import numpy as np

from ..module.module import Module
from ..tensor import Tensor


class GraphPart:
    """What nodes and expressions share: a number, the graph that they belong to, and that copies are themselves."""

    _next_ids = {"node": 0, "expr": 0}
    _kind = "node"
    _top_graph = None

    @property
    def top_graph(self):
        """The graph that it belongs to."""
        return self._top_graph

    @classmethod
    def _new_id(cls) -> int:
        """A number for a new one; finished graphs number theirs anew."""
        cls._next_ids[cls._kind] += 1
        return cls._next_ids[cls._kind] - 1

    @classmethod
    def _get_next_id(cls):
        return cls._next_ids[cls._kind]

    @classmethod
    def _set_next_id(cls, id: int = 0):
        cls._next_ids[cls._kind] = id

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return memo.get(id(self), self)

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != "_top_graph"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._top_graph = None


class Node(GraphPart):
    """A value: the result of an expression.

    Attributes:
        expr: the expression that makes it.
        users: expressions that take it.
    """

    def __init__(self, expr, name: str, qualname: str):
        self.expr = expr
        self.users = []
        self._id = self._new_id()
        self._name = name
        self._qualname = qualname

    def __repr__(self):
        return format(self, "")

    def __format__(self, format_spec: str) -> str:
        if format_spec in (None, ""):
            return self._name or f"%{self._id}"
        graph = self.top_graph
        prefix = f"{graph._name}_" if graph is not None and "p" in format_spec else ""
        number = f"%{self._id}_" if "i" in format_spec else ""
        return f"{number}{prefix}{self._name}"

    @property
    def name(self):
        """Its name, which no other node of its graph has."""
        return self._name

    @name.setter
    def name(self, new_name: str):
        graph = self.top_graph
        if graph is not None:
            if new_name in graph._namespace.used_names:
                raise ValueError(f"the graph {graph.name} has a node named {new_name!r} already")
            graph._namespace.unassociate_name_with_obj(self)
            graph._namespace.associate_name_with_obj(new_name, self)
        self._name = new_name

    @property
    def qualname(self):
        """Where it comes from in the traced module, such as ``Net.block.[out]``."""
        return self._qualname


class ModuleNode(Node):
    """A module in a graph.

    Attributes:
        module_type: its class if the graph does not look inside; otherwise ``Module``.
    """

    module_type = Module

    def __init__(self, expr, name: str = None, qualname: str = None):
        super().__init__(expr, name, qualname)

    @property
    def owner(self):
        """The module itself."""
        from .expr import GetAttr

        graph = self.top_graph
        if graph is None or graph._module is None:
            return None
        if isinstance(self.expr, GetAttr):
            return self.expr.interpret(self.expr.inputs[0].owner)[0]
        if hasattr(self.expr, "value"):
            return self.expr.value
        return graph._module

    def __setstate__(self, state):
        super().__setstate__(state)
        if isinstance(self.__dict__.get("module_type"), tuple):  # as MegEngine writes it
            from .serialization import find

            self.module_type = find(*self.module_type)


class TensorNode(Node):
    """A tensor in a graph. Between the braces of ``with graph.insert_exprs():`` it computes as a Tensor does."""

    _shape = _dtype = _device = _qparams = _value = None

    def __init__(
        self,
        expr,
        name: str = None,
        qualname: str = None,
        shape: Tuple[int] = None,
        dtype: np.dtype = None,
        qparams=None,
    ):
        super().__init__(expr, name, qualname)
        self._shape = shape
        self._dtype = dtype
        self._qparams = qparams

    @property
    def shape(self):
        """Its shape when the module was traced."""
        return self._shape

    @shape.setter
    def shape(self, shape):
        self._shape = shape

    @property
    def dtype(self):
        """Its element type when the module was traced."""
        return self._dtype

    @dtype.setter
    def dtype(self, dtype):
        self._dtype = dtype

    @property
    def device(self):
        """Its device when the module was traced."""
        return self._device

    @device.setter
    def device(self, device):
        self._device = device

    @property
    def qparams(self):
        """Its quantization parameters when the module was traced, if it had any."""
        return self._qparams

    @qparams.setter
    def qparams(self, qparams):
        self._qparams = qparams

    @property
    def value(self):
        """A tensor that someone put there; nothing by itself."""
        return self._value

    @value.setter
    def value(self, value):
        if isinstance(value, Tensor):
            self._take(value)
        self._value = value

    def _take(self, value):
        self._shape, self._dtype, self._device = tuple(value._tuple_shape), value.dtype, value.device
        self._qparams = value._qparams


class NodeMixin(ABC):
    """Which node stands for a value, while a module is traced."""

    @classmethod
    def _scope(cls):
        from .module_tracer import active_module_tracer

        tracer = active_module_tracer()
        return None if tracer is None else tracer.current_scope()

    @classmethod
    def wrap(cls, value, node):
        """Says that ``node`` (or what it returns, if it is a function) stands for ``value``."""
        scope = cls._scope()
        if scope is not None:
            scope.bind(value, node if isinstance(node, Node) else node())

    @classmethod
    def wrap_safe(cls, value, node):
        """As :meth:`wrap`, where no node stands for the value yet."""
        if cls.get(value, None) is not None:
            raise ValueError("a node stands for this value already")
        cls.wrap(value, node)

    @classmethod
    def get(cls, value, *default):
        """The node of a value.

        Raises:
            AttributeError: there is none, and no default was given.
        """
        scope = cls._scope()
        node = None if scope is None else scope.known(value)
        if node is None:
            if default:
                return default[0]
            raise AttributeError("no node stands for this value")
        return node

    @classmethod
    def clear_node(cls, value):
        """Forgets the node of a value."""
        scope = cls._scope()
        if scope is not None:
            scope.nodes.pop(id(value), None)

    @classmethod
    def get_wrapped_type(cls, value):
        """The class of the nodes that stand for values such as this one."""
        return TensorNode if isinstance(value, Tensor) else ModuleNode
