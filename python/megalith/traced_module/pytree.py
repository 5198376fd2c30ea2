"""Nested arguments and results as flat lists: which tensors and constants are inside, and how to put them back."""

from collections import OrderedDict, defaultdict, namedtuple
from enum import Enum
from inspect import FullArgSpec
from typing import Any, Callable, List, Tuple

import numpy as np

from .._core import TensorBase
from .._errors import ArgumentError
from ..core.ops._opdef import OpDef
from ..core.tensor.dtype import QuantDtypeMeta
from ..device import CompNode
from ..module.module import Module
from ..quantization.utils import LSQParams, QParams
from ..tensor import Parameter, Tensor
from .node import ModuleNode, Node, NodeMixin, TensorNode


class ArgsIndex:
    """Stands for an argument, by its place or name."""

    def __init__(self, index=0, name="") -> None:
        self.index = index
        self.name = name

    def __repr__(self):
        return self.name


NodeType = namedtuple("NodeType", ["flatten", "unflatten"])

USER_REGISTERED_CONTAINER_TYPE = []
USER_REGISTERED_LEAF_TYPE = []

SUPPORTED_LEAF_TYPE = {
    Tensor, Parameter, ArgsIndex, FullArgSpec, CompNode, QuantDtypeMeta,
    str, int, float, bool, bytes, bytearray, type(Ellipsis), type(None),
}  # fmt: skip
SUPPORTED_LEAF_CLS = [Module, Node, NodeMixin, TensorBase, np.dtype, np.ndarray, np.number, np.bool_, OpDef, Enum, type]


def _sorted_keys(d):
    try:
        return tuple(sorted(d))
    except TypeError:  # keys of several types
        return tuple(d)


def _dict_flatten(ordered, d):
    keys = tuple(d) if ordered else _sorted_keys(d)
    return [d[k] for k in keys], keys


def qparams_flatten(inp):
    """Fields of quantization parameters, and their names."""
    names = tuple(k for k in inp.__slots__ if getattr(inp, k, None) is not None)
    return [getattr(inp, k) for k in names], names


def qparams_unflatten(qparam_type, inp, aux_data):
    """Quantization parameters of their fields."""
    out = qparam_type.__new__(qparam_type)
    for key in qparam_type.__slots__:
        setattr(out, key, None)
    for key, value in zip(aux_data, inp):
        setattr(out, key, value)
    return out


def _plain_dict(kind):
    def unflatten(values, keys):
        out = kind() if kind is not defaultdict else defaultdict(None)
        out.update(zip(keys, values))
        return out

    return NodeType(lambda d: _dict_flatten(kind is OrderedDict, d), unflatten)


SUPPORTED_TYPE = {
    list: NodeType(lambda x: (list(x), None), lambda x, _: list(x)),
    tuple: NodeType(lambda x: (list(x), None), lambda x, _: tuple(x)),
    dict: _plain_dict(dict),
    defaultdict: _plain_dict(defaultdict),
    OrderedDict: _plain_dict(OrderedDict),
    slice: NodeType(lambda x: ([x.start, x.stop, x.step], None), lambda x, _: slice(*x)),
    QParams: NodeType(qparams_flatten, lambda x, aux: qparams_unflatten(QParams, x, aux)),
    LSQParams: NodeType(qparams_flatten, lambda x, aux: qparams_unflatten(LSQParams, x, aux)),
}


def register_supported_type(
    type,
    flatten_fn: Callable[[Any], Tuple[List, Any]] = None,
    unflatten_fn: Callable[[List, Any], Any] = None,
):
    """Lets a type of one's own appear in arguments and results of traced modules.

    Args:
        type: the type.
        flatten_fn: gives a list of what is inside a value, and what else is needed to rebuild it. Without it and
            ``unflatten_fn``, values of the type are constants.
        unflatten_fn: makes a value from both.

    Examples:
        >>> from megalith.traced_module import register_supported_type
        >>> class Box:
        ...     def __init__(self, lo, hi):
        ...         self.lo, self.hi = lo, hi
        >>> register_supported_type(Box, lambda b: ([b.lo, b.hi], None), lambda parts, _: Box(*parts))
    """
    if flatten_fn is not None and unflatten_fn is not None:
        USER_REGISTERED_CONTAINER_TYPE.append(type)
        SUPPORTED_TYPE[type] = NodeType(flatten_fn, unflatten_fn)
        return
    if flatten_fn is not None or unflatten_fn is not None:
        raise ArgumentError("register_supported_type takes both functions or none")
    USER_REGISTERED_LEAF_TYPE.append(type)
    SUPPORTED_LEAF_TYPE.add(type)


def _is_leaf(obj):
    return type(obj) in SUPPORTED_LEAF_TYPE or isinstance(obj, tuple(SUPPORTED_LEAF_CLS)) or callable(obj)


def _is_const_leaf(obj):
    return not isinstance(obj, (TensorBase, Module, Node, NodeMixin))


def _leaf_type(node):
    if isinstance(node, (TensorBase, TensorNode)):
        return (Tensor, TensorNode, ArgsIndex)
    if isinstance(node, (NodeMixin, Module, ModuleNode)):
        return (Module, ModuleNode, NodeMixin, ArgsIndex)
    return (type(node), ArgsIndex)


def tree_flatten(
    values,
    leaf_type: Callable = _leaf_type,
    is_leaf: Callable = _is_leaf,
    is_const_leaf: Callable = _is_const_leaf,
):
    """The leaves of nested values, and a definition that puts such leaves back.

    Raises:
        ValueError: there is a value of a type that is not registered.

    Examples:
        >>> from megalith.traced_module.pytree import tree_flatten
        >>> leaves, tree = tree_flatten({"b": [1, 2], "a": 3})
        >>> leaves, tree.unflatten([x * 10 for x in leaves])
        ([3, 1, 2], {'a': 30, 'b': [10, 20]})
    """
    container = SUPPORTED_TYPE.get(type(values))
    if container is None and isinstance(values, tuple) and hasattr(values, "_fields"):  # a named tuple
        container = NodeType(lambda x: (list(x), type(values)), lambda x, kind: kind(*x))
    if container is None:
        if not is_leaf(values):
            raise ArgumentError(
                f"a traced module takes and returns no {type(values).__name__}: make it known by register_supported_type"
            )
        definition = LeafDef(leaf_type(values))
        if is_const_leaf(values):
            definition.const_val = values
        return [values], definition
    leaves, children = [], []
    inside, aux = container.flatten(values)
    for value in inside:
        found, definition = tree_flatten(value, leaf_type, is_leaf, is_const_leaf)
        leaves.extend(found)
        children.append(definition)
    return leaves, TreeDef(type(values), aux, children)


class TreeDef:
    """A container: its type, what is needed to rebuild it, and the definitions of what is inside."""

    def __init__(self, type, aux_data, children_defs):
        self.type = type
        self.aux_data = aux_data
        self.children_defs = children_defs
        self.num_leaves = sum(child.num_leaves for child in children_defs)

    def unflatten(self, leaves):
        """The container with these leaves."""
        at, inside = 0, []
        for child in self.children_defs:
            inside.append(child.unflatten(leaves[at : at + child.num_leaves]))
            at += child.num_leaves
        if self.type not in SUPPORTED_TYPE:  # a named tuple
            return self.type(*inside)
        return SUPPORTED_TYPE[self.type].unflatten(inside, self.aux_data)

    def leaves(self):
        """Definitions of the leaves, in order."""
        for child in self.children_defs:
            yield from child.leaves()

    def __hash__(self):
        aux = tuple(self.aux_data) if isinstance(self.aux_data, (list, tuple)) else None
        return hash((self.type, aux, tuple(hash(child) for child in self.children_defs)))

    def __ne__(self, other) -> bool:
        return not self == other

    def __eq__(self, other) -> bool:
        return (
            type(other) is TreeDef
            and self.type == other.type
            and self.aux_data == other.aux_data
            and self.children_defs == other.children_defs
        )

    def __repr__(self):
        inside = [repr(child) for child in self.children_defs]
        if self.type in (list, tuple):
            return "{}{}{}".format(
                "[" if self.type is list else "(", ", ".join(inside), "]" if self.type is list else ")"
            )
        if self.type in (dict, OrderedDict, defaultdict):
            return "{" + ", ".join(f"{k!r}:{v}" for k, v in zip(self.aux_data, inside)) + "}"
        return f"{self.type.__name__}({', '.join(inside)})"


class LeafDef(TreeDef):
    """One value: the types that may stand there, and the value if it is a constant."""

    def __init__(self, type):
        super().__init__(type if isinstance(type, tuple) else (type,), None, [])
        self.num_leaves = 1
        self.const_val = None

    def __setstate__(self, state):
        from ..serialization import _Parameter, _Tensor

        self.__dict__.update(state)  # pickles of MegEngine name classes that stand for ours
        stand_ins = {_Tensor: Tensor, _Parameter: Parameter}
        self.type = tuple(stand_ins.get(t, t) for t in self.type)

    def unflatten(self, leaves):
        """The leaf itself."""
        (leaf,) = leaves
        if not isinstance(leaf, self.type):
            raise ArgumentError(f"expected {self}, got a {type(leaf).__name__}")
        return leaf

    def leaves(self):
        """Itself."""
        yield self

    def is_const(self):
        """Whether a constant stands there."""
        return self.type[0] not in (Tensor, Module)

    def __ne__(self, other) -> bool:
        return not self == other

    def __eq__(self, other):
        if type(other) is not LeafDef:
            return False
        if isinstance(self.const_val, np.ndarray) or isinstance(other.const_val, np.ndarray):
            return self.type == other.type and np.array_equal(self.const_val, other.const_val)
        return self.type == other.type and bool(self.const_val == other.const_val)

    def __hash__(self):
        try:
            return hash((self.type, self.const_val))
        except TypeError:  # an array
            return hash(self.type)

    def __repr__(self):
        return repr(self.const_val) if self.is_const() else self.type[0].__name__
