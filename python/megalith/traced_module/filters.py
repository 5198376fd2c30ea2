"""Filters of expressions and nodes, which can be chained."""

import fnmatch
import re
from collections import OrderedDict
from typing import Callable, Iterable, List

from .._errors import require
from .expr import CallFunction, CallMethod
from .node import ModuleNode


class BaseFilter:
    """Some of the items of an iterable.

    Examples:
        >>> from megalith.traced_module.filters import BaseFilter
        >>> BaseFilter([1, 2]).as_list(), BaseFilter([1, 2]).as_count()
        ([1, 2], 2)
    """

    def __init__(self, iter: Iterable):
        self._iter = iter

    def __iter__(self):
        return iter(self._iter)

    def as_list(self):
        """The items, as a list."""
        return list(self)

    def as_dict(self):
        """The items by their ids."""
        return OrderedDict((item._id, item) for item in self)

    def as_unique(self):
        """The only item.

        Raises:
            ValueError: there are none or several.
        """
        items = self.as_list()
        require(len(items) == 1, f"{len(items)} elements found")
        return items[0]

    def as_count(self):
        """How many items there are."""
        return sum(1 for _ in self)


def _ids(ids):
    return {ids} if isinstance(ids, int) else set(ids)


class NodeFilter(BaseFilter):
    """Nodes."""

    def type(self, owner_type):
        """Nodes of modules of a class."""
        return NodeFilterType(self, owner_type)

    def node_id(self, node_id: List[int]):
        """The nodes with these ids."""
        return NodeFilterNodeId(self, node_id)

    def name(self, name: str, ignorecase: bool = True):
        """Nodes whose name, or whose path, fits a pattern with ``*`` and ``?``."""
        return NodeFilterName(self, name, ignorecase)


class NodeFilterType(NodeFilter):
    """Nodes of modules of a class."""

    def __init__(self, expr_iter, owner_type):
        super().__init__(expr_iter)
        self.owner_type = owner_type

    def __iter__(self):
        for node in self._iter:
            if isinstance(node, ModuleNode) and issubclass(node.module_type, self.owner_type):
                yield node


class NodeFilterNodeId(NodeFilter):
    """Nodes with some ids."""

    def __init__(self, expr_iter, node_id: List[int]):
        super().__init__(expr_iter)
        self.node_id_set = _ids(node_id)

    def __iter__(self):
        return (node for node in self._iter if node._id in self.node_id_set)


class NodeFilterName(NodeFilter):
    """Nodes whose name fits a pattern."""

    def __init__(self, node_iter, pattern, ignorecase):
        super().__init__(node_iter)
        self.pattern = self.make_re(pattern, ignorecase)

    @classmethod
    def make_re(cls, pattern, ignorecase=True):
        """A compiled pattern of one with ``*`` and ``?``; a compiled one is taken as it is."""
        if isinstance(pattern, re.Pattern):
            return pattern
        require(isinstance(pattern, str), "a pattern is a string or a compiled regular expression")
        return re.compile(fnmatch.translate(pattern), re.IGNORECASE if ignorecase else 0)

    def __iter__(self):
        for node in self._iter:
            graph = node.top_graph
            full = f"{graph.name}_{node.name}" if graph is not None else node.name
            if self.pattern.match(full) or self.pattern.match(node.name):
                yield node


class ExprFilter(BaseFilter):
    """Expressions."""

    def call_function(self, func):
        """Calls of a function."""
        return ExprFilterCallFunction(self, func)

    def call_method(self, method):
        """Calls of a method."""
        return ExprFilterCallMethod(self, method)

    def expr_id(self, expr_id: List[int]):
        """The expressions with these ids."""
        return ExprFilterExprId(self, expr_id)


class ExprFilterCallFunction(ExprFilter):
    """Calls of a function, or of any."""

    def __init__(self, expr_iter, func: Callable = None):
        super().__init__(expr_iter)
        self.func = getattr(func, "_records", func)  # within insert_exprs, functions are recording ones

    def __iter__(self):
        for expr in self._iter:
            if isinstance(expr, CallFunction) and (self.func is None or expr.func is self.func):
                yield expr


class ExprFilterCallMethod(ExprFilter):
    """Calls of a method, or of any."""

    def __init__(self, expr_iter, method: str = None):
        super().__init__(expr_iter)
        self.method = method

    def __iter__(self):
        for expr in self._iter:
            if isinstance(expr, CallMethod) and (self.method is None or expr.method == self.method):
                yield expr


class ExprFilterExprId(ExprFilter):
    """Expressions with some ids."""

    def __init__(self, expr_iter, expr_id: List[int]):
        super().__init__(expr_iter)
        self.expr_id_set = _ids(expr_id)

    def __iter__(self):
        return (expr for expr in self._iter if expr._id in self.expr_id_set)
