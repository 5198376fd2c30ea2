"""What happens while a module is traced: calls of functions, methods and modules become expressions.

Tensors are real ones. A scope for every graph that is being made knows which node stands for which tensor; calls that
happen inside of another recorded call are not recorded.
"""

import contextlib
import copy
import functools
import threading

import numpy as np

from .. import _core
from .._errors import ArgumentError, require
from ..core._imperative_rt import core2
from ..core.ops import builtin
from ..module.module import Module
from ..tensor import Parameter, Tensor
from . import tm_config
from .checker import TracedModuleChecker
from .expr import Apply, CallFunction, CallMethod, Constant, GetAttr, Input, full_args, signature_of
from .graph import InternalGraph
from .node import ModuleNode, Node, TensorNode
from .patcher import (
    BUILTIN_ARRAY_METHOD,
    BUILTIN_TENSOR_WRAP_METHOD,
    USER_REGISTERED_FUNCTION,
    NotExist,
    PatchedFn,
    Patcher,
    get_tensor_wrapable_method,
)
from .pytree import USER_REGISTERED_LEAF_TYPE, tree_flatten
from .utils import assign_attr, get_subattr

USER_REGISTERED_MODULE = []

_active = None


def active_module_tracer():
    """The tracer of the module that is being traced, if one is."""
    return _active


def set_active_module_tracer(tracer):
    """Makes a tracer the active one, or none."""
    global _active
    _active = tracer


class Scope:
    """A graph that is being made, and what stands for what in it.

    Args:
        graph: the graph.
        module: the module that it computes.
        self_node: the node of the module.
    """

    def __init__(self, graph, module, self_node):
        self.graph = graph
        self.module = module
        self.self_node = self_node
        self.nodes = {}  # id: (value, node); values are kept so that ids stay theirs
        self.attributes = {}  # nodes of GetAttrs by path
        self.paths = None

    def bind(self, value, node):
        """Says that a node stands for a value."""
        self.nodes[id(value)] = (value, node)

    def known(self, value):
        """The node that stands for a value; None if there is none."""
        found = self.nodes.get(id(value))
        return None if found is None else found[1]

    def path(self, value):
        """The path of a module or tensor in the module; None if it is not inside."""
        if value is self.module:
            return ""
        if self.paths is None:
            self.paths = {}
            for name, inside in (*self.module.named_modules(), *self.module.named_tensors()):
                self.paths.setdefault(id(inside), name)
        return self.paths.get(id(value))

    def attribute(self, path, value):
        """The node of a module or tensor at a path."""
        node = self.attributes.get(path)
        if node is None:
            kind = TensorNode if isinstance(value, _core.TensorBase) else ModuleNode
            name = self.graph._namespace.create_unique_name(path.replace(".", "_"))
            node = GetAttr.make(self.self_node, type=kind, attr_name=path, name=name)
            self.graph._namespace._used_names[name] = node
            if kind is TensorNode:
                node._take(value)
            elif ModuleTracer.is_builtin(value):
                node.module_type = type(value)
            self.add(node.expr)
            self.attributes[path] = node
        self.bind(value, node)
        return node

    def add(self, expr):
        """Adds an expression."""
        self.graph._adopt(expr)
        self.graph._exprs.append(expr)

    def node_of(self, value):
        """The node that stands for a tensor or module: what made it, an attribute, or a constant."""
        if isinstance(value, Node):
            return value
        node = self.known(value)
        if node is not None:
            return node
        path = self.path(value)
        if path == "":
            return self.self_node
        if path is not None:
            return self.attribute(path, value)
        name = (
            "const_module"
            if isinstance(value, Module)
            else "const_parameter"
            if isinstance(value, Parameter)
            else "const_tensor"
        )
        unique = self.graph._namespace.create_unique_name(name)
        node = Constant.make(value, name=unique, qualname=f"{self.graph.qualname}.[{name}]")
        self.graph._namespace._used_names[unique] = node
        self.add(node.expr)
        self.bind(value, node)
        return node


class ModuleTracer:
    """Records what a module does.

    Args:
        insertion: whether nodes, not tensors, are what the caller computes with (``graph.insert_exprs``).
    """

    _builtin = set()

    def __init__(self, insertion=False):
        self.insertion = insertion
        self._thread = threading.get_ident()  # what other threads compute meanwhile is none of the module's
        self._scopes = []
        self._off = 0  # how many recorded calls are under way
        self._depth = 0  # how many calls of insertion mode are under way
        self._builders = {}  # by id of the module
        self._checker = TracedModuleChecker(self)
        self.patcher = None

    @classmethod
    def register_as_builtin(cls, mod):
        """Makes modules of a class be kept whole."""
        cls._builtin.add(mod)
        return mod

    @classmethod
    def is_builtin(cls, mod):
        """Whether a module is kept whole: the library's own are, except for containers."""
        from ..module import Sequential
        from .traced_module import TracedModule

        kind = mod if isinstance(mod, type) else type(mod)
        if kind in cls._builtin:
            return True
        return kind.__module__.startswith("megalith.module") and kind not in (Sequential, TracedModule)

    def push_scope(self, scope):
        """Begins a graph."""
        self._scopes.append(scope)

    def pop_scope(self):
        """Ends a graph."""
        self._scopes.pop()

    def current_scope(self):
        """The graph that is being made."""
        return self._scopes[-1] if self._scopes else None

    def current_constant_cache(self):
        """Values of the current graph, with their nodes, by id."""
        return self.current_scope().nodes

    def top_scope(self):
        """The outermost graph that is being made."""
        return self._scopes[0] if self._scopes else None

    @property
    def recording(self):
        """Whether a call that happens now becomes an expression."""
        return bool(self._scopes) and not self._off and threading.get_ident() == self._thread

    @contextlib.contextmanager
    def _quiet(self):
        self._off += 1
        try:
            yield
        finally:
            self._off -= 1

    # Calls.

    def _record(self, expr, arguments, run):
        """Runs a call and adds its expression.

        Args:
            expr: what it will be.
            arguments: (args, kwargs) with tensors; without names for an op.
            run: makes the result.
        """
        scope = self.current_scope()
        leaves, definition = tree_flatten(arguments)
        nodes = [scope.node_of(v) if isinstance(v, (_core.TensorBase, Module)) else v for v in leaves]
        check = tm_config._get_expr_checker()
        with self._quiet():
            before = [copy.deepcopy(v) for v in leaves if isinstance(v, _core.TensorBase)] if check else []
            result = run()
        try:
            found, out_def = tree_flatten(result)
        except ArgumentError:  # an iterator, an array: what comes of it becomes a constant where it is used
            return result
        found = [v for v in found if isinstance(v, _core.TensorBase)]
        if not found:
            return result
        expr._set_arguments(nodes, definition)
        expr.out_def = out_def
        expr.outputs = []
        expr.add_outputs(found)
        scope.graph._namespace.auto_naming_for_outputs(expr)
        for value, node in zip(found, expr.outputs):
            scope.bind(value, node)
        scope.add(expr)
        if check and not isinstance(expr.inputs[0] if expr.inputs else None, ModuleNode):
            with self._quiet():
                self._checker.check_expr(expr, before, found)
        return result

    def call_function(self, func, args, kwargs):
        """Records a call of a function."""
        try:
            args, kwargs = full_args(signature_of(func), args, kwargs)
        except TypeError:  # the function says what is wrong
            return func(*args, **kwargs)
        return self._record(CallFunction(func), (args, kwargs), lambda: func(*args, **kwargs))

    def call_method(self, name, method, args, kwargs):
        """Records a call of a method of a tensor, which is the first argument."""
        if name in ("astype", "flatten", "sum", "prod", "min", "max", "mean"):
            args, kwargs = full_args(signature_of(method), args, kwargs)

        def run():
            result = method(*args, **kwargs)
            return args[0] if name == "__setitem__" else result

        result = self._record(CallMethod(TensorNode(None), name), (args, kwargs), run)
        return None if name == "__setitem__" else result

    def call_op(self, opdef, inputs):
        """Records a call of an op; its results are a list."""
        expr = Apply(opdef)
        result = self._record(expr, inputs, lambda: _apply(opdef, *inputs))
        expr.arg_def = expr.out_def = None  # inputs and outputs are flat
        return result

    def new_tensor(self, tensor, init, args, kwargs):
        """Records that a tensor is made of others."""
        init(tensor, *args, **kwargs)
        scope = self.current_scope()
        try:
            leaves, _ = tree_flatten((args, kwargs))
        except ArgumentError:
            return
        if any(isinstance(v, _core.TensorBase) and scope.known(v) is not None for v in leaves):
            self._record(CallMethod(Tensor, "__new__"), ((Tensor, *args), kwargs), lambda: tensor)

    def shape_of(self, tensor):
        """The shape of a tensor as a tensor; None for tensors that are constants."""
        if self.current_scope().known(tensor) is None:
            return None
        return self.call_op(builtin.GetVarShape(), (tensor,))[0]

    def attribute(self, module, name, value):
        """What an attribute of a module is while it is traced."""
        scope = self.current_scope()
        if isinstance(value, (_core.TensorBase, Module)):
            if scope.known(value) is None and vars(module).get(name) is value:
                base = scope.path(module)
                if base is not None:
                    scope.attribute(f"{base}.{name}" if base else name, value)
            return value
        return self.patcher.wrapped.get(id(value), value)

    def call_module(self, call, module, args, kwargs):
        """Records a call of a module; one that is none of the traced module's own is looked through."""
        from .traced_module import TracedModule

        scope = self.current_scope()
        if scope.known(module) is None and scope.path(module) in (None, ""):
            self.patcher.follow(type(module).forward)
            return call(module, *args, **kwargs)
        args, kwargs = full_args(signature_of(type(module).forward), (module, *args), kwargs)
        expr = CallMethod(scope.node_of(module))
        if self.is_builtin(module) or isinstance(module, TracedModule):
            return self._record(expr, (args, kwargs), lambda: call(*args, **kwargs))
        builder = self._builder(module)
        _, definition = tree_flatten((args, kwargs))
        if definition in builder.argdef_graph_map:
            return self._record(expr, (args, kwargs), lambda: call(*args, **kwargs))
        node = scope.node_of(module)
        # Inside of the call, tensors are known by the nodes of the inner graph; afterwards by those of the outer one.
        arguments = (args, kwargs)
        for leaf in tree_flatten(arguments)[0]:  # before they are changed
            if isinstance(leaf, _core.TensorBase):
                scope.node_of(leaf)
        result = self._trace_into(builder, call, args, kwargs, f"{scope.graph.name}_{node.name}", node.qualname)
        return self._record(expr, arguments, lambda: result)

    def _builder(self, module, top=False):
        from .traced_module import TracedModuleBuilder

        found = self._builders.get(id(module))
        if found is None:
            found = self._builders[id(module)] = TracedModuleBuilder(module, top)
        return found

    def _trace_into(self, builder, call, args, kwargs, name, qualname):
        """Makes the graph of one call of a module; ``args`` begin with the module."""
        module = args[0]
        graph = InternalGraph(name, qualname)
        node = Input.make(name=graph._namespace.create_unique_name("self"), type=ModuleNode, qualname=qualname)
        graph._namespace._used_names["self"] = node
        graph._adopt(node.expr)
        graph._inputs.append(node)
        scope = Scope(graph, module, node)
        for path, value in _named_leaves(signature_of(type(module).forward), args, kwargs):
            if isinstance(value, _core.TensorBase) and value is not module:
                one = graph._new_input(path)
                one._take(value)
                graph._inputs.append(one)
                scope.bind(value, one)
        _, definition = tree_flatten((args, kwargs))
        self.patcher.follow(type(module).forward)
        self.push_scope(scope)
        try:
            result = call(*args, **kwargs)
            leaves, out_def = tree_flatten(result)
            for leaf in leaves:
                require(
                    isinstance(leaf, _core.TensorBase) or type(leaf) in USER_REGISTERED_LEAF_TYPE,
                    f"trace_module: {type(module).__name__}.forward returns a {type(leaf).__name__}; a traced module"
                    " returns Tensors",
                )
            graph._outputs.extend(scope.node_of(leaf) for leaf in leaves if isinstance(leaf, _core.TensorBase))
        finally:
            self.pop_scope()
        graph.compile()
        builder.argdef_graph_map[definition] = graph
        builder.argdef_outdef_map[definition] = out_def
        return result

    def trace_top(self, module, args, kwargs):
        """Traces the outermost module; its results, and what makes the TracedModule."""
        builder = self._builder(module, top=True)
        args, kwargs = full_args(signature_of(type(module).forward), (module, *args), kwargs)
        name = type(module).__name__
        return self._trace_into(builder, _call, args, kwargs, name, name), builder

    def build(self, builder):
        """The TracedModule of a builder, with those of the modules inside."""
        if builder.built is not None:
            return builder.built
        traced = builder.build()
        used = [e.name for g in builder.argdef_graph_map.values() for e in g._exprs if isinstance(e, GetAttr)]
        done = set()
        for path in used:
            parts = path.split(".")
            for prefix in (".".join(parts[: n + 1]) for n in range(len(parts))):  # modules before what is inside
                if prefix in used and prefix not in done:
                    assign_attr(self.built(get_subattr(builder._mod, prefix)), traced, prefix)
                    done.add(prefix)
        return traced

    def built(self, value):
        """What stands in a traced module for a module or tensor of the original."""
        inner = self._builders.get(id(value))
        return value if inner is None else self.build(inner)

    # Insertion: the caller has nodes, and calls are made with tensors of their shapes.

    def with_tensors(self, call, args, kwargs):
        """Calls with tensors in place of nodes and gives nodes in place of tensors."""
        if self._depth:
            return call(*args, **kwargs)
        scope = self.current_scope()
        leaves, definition = tree_flatten((args, kwargs))
        args, kwargs = definition.unflatten([self._value(v) for v in leaves])
        self._depth += 1
        try:
            result = call(*args, **kwargs)
        finally:
            self._depth -= 1
        try:
            leaves, definition = tree_flatten(result)
        except ArgumentError:
            return result
        return definition.unflatten([scope.node_of(v) if isinstance(v, _core.TensorBase) else v for v in leaves])

    def _value(self, leaf):
        scope = self.current_scope()
        if not isinstance(leaf, Node):
            return leaf
        require(leaf.top_graph is scope.graph, f"insert_exprs: {leaf} is not in the graph {scope.graph.name}")
        if isinstance(leaf, ModuleNode):
            scope.bind(leaf.owner, leaf)
            return leaf.owner
        for value, node in scope.nodes.values():
            if node is leaf:
                return value
        require(leaf._shape is not None, f"insert_exprs: the shape of {leaf} is not known")
        with self._quiet():
            value = Tensor(np.zeros(leaf._shape, "float32")).astype(
                leaf._dtype if leaf._dtype is not None else "float32"
            )
        value._qparams = leaf._qparams
        scope.bind(value, leaf)
        return value

    def node_attribute(self, node, name):
        """An attribute of the module of a node."""
        scope = self.current_scope()
        value = getattr(node.owner, name)
        if not isinstance(value, (_core.TensorBase, Module)):
            return value
        base = node.expr.name if isinstance(node.expr, GetAttr) else ""
        return scope.attribute(f"{base}.{name}" if base else name, value)


def _named_leaves(signature, args, kwargs):
    """(name, value) of the leaves of arguments: parameters' names, with places and keys of what is inside."""
    names, rest = [], None
    for parameter in signature.parameters.values() if signature is not None else ():
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = parameter.name
        elif parameter.kind is not parameter.KEYWORD_ONLY and parameter.kind is not parameter.VAR_KEYWORD:
            names.append(parameter.name)
    for i, value in enumerate(args):
        yield from _leaves(names[i] if i < len(names) else f"{rest or 'args'}_{i - len(names)}", value)
    for name in sorted(kwargs):
        yield from _leaves(name, kwargs[name])


def _leaves(name, value):
    if isinstance(value, (list, tuple)):
        for i, inside in enumerate(value):
            yield from _leaves(f"{name}_{i}", inside)
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _leaves(f"{name}_{key}", value[key])
    else:
        leaves = tree_flatten(value)[0]
        for i, leaf in enumerate(leaves):
            yield (name if len(leaves) == 1 else f"{name}_{i}"), leaf


_apply = core2.apply
_call = Module.__call__
_getattribute = Module.__getattribute__


def _recorded(func):
    """A function that records calls of ``func``."""
    if func is _apply:
        return _recorded_apply

    @functools.wraps(func)
    def function(*args, **kwargs):
        tracer = _active
        if tracer is None or not tracer.recording:
            return func(*args, **kwargs)
        if tracer.insertion:
            return tracer.with_tensors(lambda *a, **k: tracer.call_function(func, a, k), args, kwargs)
        return tracer.call_function(func, args, kwargs)

    function._records = func
    return function


def _recorded_apply(op, *args):
    tracer = _active
    if tracer is None or not tracer.recording:
        return _apply(op, *args)
    if tracer.insertion:
        return tracer.with_tensors(lambda *a: tracer.call_op(op, a), args, {})
    return tracer.call_op(op, args)


def _recorded_method(name, method):
    @functools.wraps(method)
    def recorded(*args, **kwargs):
        tracer = _active
        if not tracer.recording:
            return method(*args, **kwargs)
        if tracer.insertion:
            return tracer.with_tensors(lambda *a, **k: tracer.call_method(name, method, a, k), args, kwargs)
        return tracer.call_method(name, method, args, kwargs)

    return recorded


def _unrecorded_method(method):
    @functools.wraps(method)
    def unrecorded(*args, **kwargs):
        with _active._quiet():
            return method(*args, **kwargs)

    return unrecorded


def _iterated(self):
    with _active._quiet():
        count = len(self)
    return (self[i] for i in range(count))


def _shape(self):
    shape = _active.shape_of(self) if _active.recording else None
    return self._tuple_shape if shape is None else shape


def _size(self):
    shape = _active.shape_of(self) if _active.recording else None
    return _core.TensorBase.size.__get__(self) if shape is None else shape.prod()


def _new_tensor(init):
    def __init__(self, *args, **kwargs):
        if _active.recording:
            _active.new_tensor(self, init, args, kwargs)
        else:
            init(self, *args, **kwargs)

    return __init__


def _traced_attribute(self, name):
    value = _getattribute(self, name)
    if name[0] == "_" or not _active.recording:
        return value
    return _active.attribute(self, name, value)


def _traced_call(self, *args, **kwargs):
    if not _active.recording:
        return _call(self, *args, **kwargs)
    if _active.insertion:
        return _active.with_tensors(lambda m, *a, **k: _active.call_module(_call, m, a, k), (self, *args), kwargs)
    return _active.call_module(_call, self, args, kwargs)


def _node_method(name):
    def method(*args, **kwargs):
        return _active.with_tensors(getattr(Tensor, name), args, kwargs)

    return method


def _node_call(self, *args, **kwargs):
    return _active.with_tensors(lambda m, *a, **k: m(*a, **k), (self, *args), kwargs)


def _node_attribute(self, name):
    if name[0] == "_":
        raise AttributeError(name)
    return _active.node_attribute(self, name)


@contextlib.contextmanager
def _patched(tracer):
    """Everything that records, while ``tracer`` is active."""
    require(_active is None, "modules are traced one at a time")
    with Patcher(_recorded) as patcher:
        patcher.auto_patch(vars(core2))
        for name in get_tensor_wrapable_method():
            method = getattr(Tensor, name, None)
            if method is not None:
                patcher.replace(Tensor, name, _recorded_method(name, method))
        for name in ("__len__", "__bool__", "__int__", "__index__", "__float__", "__array__", "item", "tolist", "numpy",
                     "__contains__", "__repr__", "__format__", "__deepcopy__", "__copy__", "set_value", "_reset"):  # fmt: skip
            patcher.replace(Tensor, name, _unrecorded_method(getattr(Tensor, name)))
        patcher.replace(Tensor, "__iter__", _iterated)
        patcher.replace(Tensor, "shape", property(_shape))
        patcher.replace(Tensor, "size", property(_size))
        patcher.replace(Tensor, "__init__", _new_tensor(Tensor.__init__))
        patcher.replace(Module, "__getattribute__", _traced_attribute)
        patcher.replace(Module, "__call__", _traced_call)
        if tracer.insertion:
            for name in (*get_tensor_wrapable_method(), "__iter__"):
                if hasattr(Tensor, name):
                    patcher.replace(TensorNode, name, _node_method(name))
            patcher.replace(TensorNode, "__hash__", object.__hash__)
            patcher.replace(TensorNode, "T", property(_node_method("transpose")))
            patcher.replace(TensorNode, "shape", property(_node_shape))
            patcher.replace(ModuleNode, "__call__", _node_call)
            patcher.replace(ModuleNode, "__getattr__", _node_attribute)
        tracer.patcher = patcher
        set_active_module_tracer(tracer)
        try:
            yield
        finally:
            set_active_module_tracer(None)


def _node_shape(self):
    tracer = _active
    if tracer._depth or tracer._off:
        return self._shape
    return tracer.with_tensors(lambda value: tracer.call_op(builtin.GetVarShape(), (value,))[0], (self,), {})


@contextlib.contextmanager
def tracing():
    """A tracer, for the time in which a module runs."""
    tracer = ModuleTracer()
    with _patched(tracer):
        yield tracer


@contextlib.contextmanager
def insertion(graph, after):
    """Calls with nodes of a graph become expressions of it."""
    tracer = ModuleTracer(insertion=True)
    graph._continue_ids()
    count = len(graph._exprs)
    scope = Scope(graph, graph._module, graph._inputs[0])
    tracer.push_scope(scope)
    try:
        with _patched(tracer):
            yield
    except BaseException:
        del graph._exprs[count:]
        raise
    finally:
        tracer.pop_scope()
    new = graph._exprs[count:]
    del graph._exprs[count:]
    inside = {id(expr) for expr in new}
    needed = [graph._place(node.expr) for expr in new for node in expr.inputs if id(node.expr) not in inside]
    place = max(needed, default=-1) if after is None else graph._place(after)
    if after is not None and needed and max(needed) > place:
        for expr in new:
            for node in expr.inputs:
                node.users[:] = [u for u in node.users if id(u) not in inside]
        raise ArgumentError(f"insert_exprs: what is inserted after {after} takes a node that is made later")
    graph._exprs[place + 1 : place + 1] = new
    for path in [expr.name for expr in new if isinstance(expr, GetAttr)]:
        value = get_subattr(graph._module, path)
        if id(value) in tracer._builders:
            assign_attr(tracer.built(value), graph._module, path)
    graph._module._update_ref()
