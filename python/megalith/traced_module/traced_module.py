"""TracedModule: a module whose computation is a graph that can be read, edited and saved."""

import copy
import inspect
from typing import Any, Callable, Dict, Sequence, Tuple, Type

from .._errors import require
from ..module.module import Module
from .checker import TracedModuleChecker
from .expr import CallMethod, GetAttr, full_args, is_call_module, signature_of
from .filters import (
    BaseFilter,
    ExprFilter,
    ExprFilterCallFunction,
    ExprFilterCallMethod,
    ExprFilterExprId,
    NodeFilter,
    NodeFilterName,
    NodeFilterNodeId,
    NodeFilterType,
)
from .graph import InternalGraph, NameSpace
from .module_tracer import USER_REGISTERED_FUNCTION, USER_REGISTERED_MODULE, ModuleTracer, tracing
from .node import Node
from .pytree import tree_flatten
from .tm_config import _get_default_checker


class TracedModule(Module):
    """A module that runs a graph. :func:`trace_module` makes them.

    Its modules and tensors are those that the graph uses; the parameters are those of the traced module.
    """

    # Graphs by the definitions of the arguments that they are for, and the definitions of their results.
    argdef_graph_map = None
    argdef_outdef_map = None

    def __init__(self, is_top, argdef_graph_map, argdef_outdef_map, is_qat=False):
        super().__init__()
        # Not through __setattr__, which looks for modules inside of containers.
        self.__dict__.update(
            argdef_graph_map=argdef_graph_map,
            argdef_outdef_map=argdef_outdef_map,
            _is_top=is_top,
            watch_points=[],
            watch_node_value={},
            end_points=[],
            is_qat=is_qat,
            argspec=None,
        )
        for graph in argdef_graph_map.values():
            graph._module = self

    def forward(self, *args, **kwargs):
        """Runs the graph for arguments of these kinds."""
        if self.argspec is not None:
            try:
                args, kwargs = self._bound(args, kwargs)
            except TypeError:
                if not self._takes_as_is(args, kwargs):
                    raise
        key = tree_flatten(((self, *args), kwargs))
        leaves, definition = key
        graph = self.argdef_graph_map.get(definition)
        if graph is None:
            known = "\n".join(f"forward({_inside(d)})" for d in self.argdef_graph_map)
            require(False, f"support input args kwargs format: \n{known}, but get: \n{_inside(definition)}")
        values = [v for leaf, v in zip(definition.leaves(), leaves) if not leaf.is_const()]
        self.watch_node_value = {}
        outputs = graph.interpret(*values)
        if graph._end_point:
            return outputs
        return self._nested(self.argdef_outdef_map[definition], outputs)

    def _bound(self, args, kwargs):
        args, kwargs = full_args(signature_of(self.argspec), (self, *args), kwargs)
        return args[1:], kwargs

    def _takes_as_is(self, args, kwargs):
        return tree_flatten(((self, *args), kwargs))[1] in self.argdef_graph_map

    @staticmethod
    def _nested(definition, outputs):
        tensors = iter(outputs)
        return definition.unflatten([d.const_val if d.is_const() else next(tensors) for d in definition.leaves()])

    def _find_graph(self, definition):
        """The graph for a call; None if there is none."""
        return self.argdef_graph_map.get(definition)

    def _key_of(self, graph):
        for key, one in self.argdef_graph_map.items():
            if one is graph:
                return key
        require(False, f"the graph {graph.name} is none of this module")

    def _rekey(self, graph, definition):
        """Makes a graph the one for other arguments."""
        old = self._key_of(graph)
        del self.argdef_graph_map[old]
        self.argdef_graph_map[definition] = graph
        self.argdef_outdef_map[definition] = self.argdef_outdef_map.pop(old)
        self.argspec = None

    @property
    def graph(self) -> InternalGraph:
        """Its graph, if it has one only."""
        if self._is_top:
            self._update_ref()
        require(
            len(self.argdef_graph_map) == 1, f"the module has {len(self.argdef_graph_map)} graphs: see argdef_graph_map"
        )
        return next(iter(self.argdef_graph_map.values()))

    def _update_ref(self):
        """Tells graphs which graph calls them."""
        for graph in self.argdef_graph_map.values():
            graph._module = self
            for _, inside in graph._subgraphs():
                inside._top_graph = graph
                inside._module._update_ref()

    def _set_points(self, nodes, attribute):
        nodes = list(nodes) if isinstance(nodes, (list, tuple)) else [nodes]
        require(self._is_top, "watch points and end points belong to the outermost module")
        graphs = list(self.argdef_graph_map.values())
        for node in nodes:
            require(isinstance(node, Node), f"expected nodes, not a {type(node).__name__}")
            top = node.top_graph
            if attribute == "_watch_point":
                while top is not None and top.top_graph is not None:
                    top = top.top_graph
            require(any(top is g for g in graphs), f"{node} is not in the graph of this module")
        for node in nodes:
            getattr(node.top_graph, attribute).append(node)
        return nodes

    def _clear_points(self, attribute):
        for graph in self.argdef_graph_map.values():
            for expr in graph.exprs():
                for node in expr.outputs:
                    getattr(node.top_graph, attribute).clear()

    def set_watch_points(self, nodes):
        """Keeps the values of nodes: after a call, ``watch_node_value`` has them."""
        self.clear_watch_points()
        self.watch_points = self._set_points(nodes, "_watch_point")

    def clear_watch_points(self):
        """Keeps no values any more."""
        self._clear_points("_watch_point")
        self.watch_points = []
        self.watch_node_value = {}

    def set_end_points(self, nodes: Sequence[Node]):
        """Makes calls end when these nodes are known, and return their values."""
        self.clear_end_points()
        self.end_points = self._set_points(nodes, "_end_point")

    def clear_end_points(self):
        """Makes calls run to their end again."""
        self._clear_points("_end_point")
        self.end_points = []

    def flatten(self):
        """A copy of it with one graph: those of the modules inside are put where they are called.

        Examples:
            >>> import megalith as mge, megalith.module as M, megalith.traced_module as tm
            >>> class Inner(M.Module):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.act = M.ReLU()
            ...     def forward(self, x):
            ...         return self.act(x) + 1
            >>> class Net(M.Module):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.inner = Inner()
            ...     def forward(self, x):
            ...         return self.inner(x) * 2
            >>> net = tm.trace_module(Net(), mge.Tensor([1.0]))
            >>> print(net.flatten().graph)  # doctest: +NORMALIZE_WHITESPACE
            Net.Graph (self, x) {
                %2:  inner_act = getattr(self, "inner.act") -> (ReLU)
                %3:  inner_act_out = inner_act(x, )
                %4:  inner_out = inner_act_out.__add__(1, )
                %5:  mul_out = inner_out.__mul__(2, )
                return mul_out
            }
        """
        new = copy.deepcopy(self)
        for graph in new.argdef_graph_map.values():
            new._update_ref()
            _inline_all(graph)
            graph.compile()
            graph._renumber()
        return new

    def __getstate__(self):
        state = dict(self.__dict__)
        state["watch_node_value"] = {}
        return state

    def __setstate__(self, state):
        from .serialization import load_expr, restored

        state = {k: restored(v) for k, v in state.items() if k != "dump_info"}
        super().__setstate__(state)
        self._modules[:] = [n for n in self._modules if n in state and _holds_modules(state[n])]
        for graph in self.argdef_graph_map.values():
            graph._module = self
            for expr in graph._exprs:
                if is_call_module(expr):
                    load_expr(expr)

    def __copy__(self):
        new = TracedModule.__new__(TracedModule)
        new.__dict__.update(self.__dict__)
        return new

    def __deepcopy__(self, memo):
        new = TracedModule.__new__(TracedModule)
        memo[id(self)] = new
        new.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        for graph in new.argdef_graph_map.values():
            graph._module = new
        if new._is_top:
            new._update_ref()
        return new


def _holds_modules(value):
    return isinstance(value, (Module, list, tuple, dict))


def _inside(definition):
    """The arguments of a call, for messages."""
    args, kwargs = definition.children_defs
    inside = [repr(d) for d in args.children_defs]
    inside += [f"{k}={d!r}" for k, d in zip(kwargs.aux_data, kwargs.children_defs)]
    return ", ".join(inside)


def _inline_all(graph):
    """Puts the expressions of called graphs in place of the calls."""
    exprs, graph._exprs = graph._exprs, []
    paths = {}  # of GetAttrs, by path

    def attribute(path, node_type, node):
        known = paths.get(path)
        if known is None:
            expr = GetAttr(graph.inputs[0], node_type, path, node._name)
            known = paths[path] = expr.outputs[0]
            known._qualname = f"{graph.qualname}.{path}"
            for field in ("module_type", "_shape", "_dtype", "_device", "_qparams"):
                if field in node.__dict__:
                    setattr(known, field, node.__dict__[field])
            known._name = graph._namespace.create_unique_name(node._name, known)
            graph._exprs.append(expr)
        return known

    def place(expr, mapping, stem):
        """Adds one expression, whose inputs are those of another graph."""
        inside = expr.graph if isinstance(expr, CallMethod) else None
        if isinstance(expr, GetAttr):
            node = expr.outputs[0]
            base = _path_of(mapping[id(expr.inputs[0])])
            path = f"{base}.{expr.name}" if base else expr.name
            if stem:
                node._name = f"{stem}_{node._name}"
            mapping[id(node)] = attribute(path, type(node), node)
            return
        inputs = [mapping[id(node)] for node in expr.inputs]
        if inside is None:
            expr.inputs = inputs
            for node in inputs:
                node.users.append(expr)
            for node in expr.outputs:
                node.users = []
                mapping[id(node)] = node
                if stem:
                    node._name = graph._namespace.create_unique_name(f"{stem}_{node._name}", node)
            graph._exprs.append(expr)
            return
        copied = copy.deepcopy(inside, {id(inside._module): inside._module, **_kept(inside)})
        inner = dict(zip((id(node) for node in copied.inputs), inputs))
        for one in copied._exprs:
            place(one, inner, inputs[0]._name)
        for node, result in zip(expr.outputs, copied.outputs):
            new = inner[id(result)]
            mapping[id(node)] = new
            if new.expr is not None and any(new is o for e in copied._exprs for o in e.outputs):
                graph._namespace.unassociate_name_with_obj(new)
                graph._namespace._used_names[node._name] = new
                new._name, new._qualname = node._name, node._qualname

    mapping = {id(node): node for node in graph.inputs}
    for node in graph.inputs:
        node.users = []
    graph._namespace._used_names = {node._name: node for node in graph.inputs}
    for expr in exprs:
        for node in expr.outputs:
            graph._namespace._used_names[node._name] = node
    for expr in exprs:
        if isinstance(expr, GetAttr):
            graph._namespace.unassociate_name_with_obj(expr.outputs[0])
        place(expr, mapping, "")
    graph._outputs[:] = [mapping[id(node)] for node in graph._outputs]
    graph._relink()


def _kept(graph):
    """A memo for copies that share the tensors of a graph."""
    return {id(e.value): e.value for e in graph._exprs if hasattr(e, "value")}


def _path_of(node):
    return node.expr.name if isinstance(node.expr, GetAttr) else ""


class TracedModuleBuilder:
    """Makes the TracedModule of a module that was called while it was traced.

    Args:
        mod: the module.
        is_top_module: whether it is the outermost one.
    """

    def __init__(self, mod, is_top_module=False):
        self._mod = mod
        self._is_top = is_top_module
        self.argdef_graph_map = {}
        self.argdef_outdef_map = {}
        self.built = None

    def build(self):
        """The TracedModule, with what its graphs take of the module; modules inside are built as well."""
        from ..module.qat import QATModule

        is_qat = isinstance(self._mod, QATModule)
        new = TracedModule(self._is_top, self.argdef_graph_map, self.argdef_outdef_map, is_qat)
        new.training = self._mod.training
        new.argspec = inspect.getfullargspec(type(self._mod).forward)._replace(annotations={})
        new._name, new._short_name = self._mod._name, self._mod._short_name
        if is_qat:
            for key in ("weight_observer", "act_observer", "weight_fake_quant", "act_fake_quant"):
                setattr(new, key, getattr(self._mod, key, None))
        self.built = new
        return new


def trace_module(mod: Module, *args: Tuple[Any], **kwargs: Dict[str, Any]) -> TracedModule:
    """Runs a module and keeps what it computes as a :class:`TracedModule`.

    Calls of functions and methods of tensors become expressions. Modules of ``megalith.module`` (and those of classes that
    were made known by :func:`register_as_builtin`) are kept whole; into others it looks. Python's own control flow is gone
    afterwards: what ran is what will run.

    Args:
        mod: the module.
        args, kwargs: what to call it with.

    Raises:
        TypeError: the arguments don't fit.
        ValueError: ``mod`` is no module, or the traced module computes something else.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M, megalith.traced_module as tm
        >>> net = M.Sequential(M.Linear(4, 3), M.ReLU())
        >>> traced = tm.trace_module(net, mge.Tensor(np.ones((2, 4), "float32")))
        >>> print(traced.graph)  # doctest: +NORMALIZE_WHITESPACE
        Sequential.Graph (self, inp) {
                %2:  _0 = getattr(self, "0") -> (Linear)
                %3:  _1 = getattr(self, "1") -> (ReLU)
                %4:  _0_out = _0(inp, )
                %5:  _1_out = _1(_0_out, )
                return _1_out
        }
    """
    require(isinstance(mod, Module), f"trace_module takes a Module, not a {type(mod).__name__}")
    if isinstance(mod, TracedModule):
        return copy.deepcopy(mod)
    args, kwargs = copy.deepcopy(args), copy.deepcopy(kwargs)
    spec = inspect.getfullargspec(type(mod).forward)
    full_args(signature_of(spec), (mod, *args), kwargs)  # says what is missing
    checked = _get_default_checker() and not any(m.training for m in mod.modules())
    again = copy.deepcopy((args, kwargs)) if checked else None
    with tracing() as tracer:
        outputs, builder = tracer.trace_top(mod, args, kwargs)
    traced = tracer.build(builder)
    for graph in traced.argdef_graph_map.values():
        graph._renumber()
    traced._update_ref()
    if checked:
        TracedModuleChecker(tracer).check_net_outputs(traced(*again[0], **again[1]), outputs)
    return traced


def register_as_builtin(mod_cls: Type[Module]) -> None:
    """Makes :func:`trace_module` keep modules of a class whole instead of looking into them.

    Args:
        mod_cls: a class of modules.

    Examples:
        >>> import megalith as mge, megalith.module as M, megalith.traced_module as tm
        >>> class Scaled(M.Module):
        ...     def forward(self, x):
        ...         return x * 3
        >>> tm.register_as_builtin(Scaled)
        >>> class Net(M.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.scaled = Scaled()
        ...     def forward(self, x):
        ...         return self.scaled(x)
        >>> [str(e.method) for e in tm.trace_module(Net(), mge.Tensor(1.0)).graph.get_method_by_type()]
        ['__call__']
    """
    require(isinstance(mod_cls, type) and issubclass(mod_cls, Module), "register_as_builtin takes a class of modules")
    USER_REGISTERED_MODULE.append(mod_cls)
    ModuleTracer.register_as_builtin(mod_cls)


def wrap(func: Callable):
    """Makes :func:`trace_module` keep calls of a function as one expression instead of looking into it.

    Args:
        func: a function that can be imported.

    Returns:
        The function: it can be used as a decorator.

    Examples:
        >>> import megalith.traced_module as tm
        >>> @tm.wrap
        ... def scaled(x, factor=2):
        ...     return x * factor
    """
    require(callable(func), f"wrap takes a function, not a {type(func).__name__}")
    USER_REGISTERED_FUNCTION.append(func)
    return func
