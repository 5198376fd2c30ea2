"""Expressions of a traced module's graph: what makes its nodes."""

import builtins
import inspect
from typing import Callable, Dict, Iterable, List

from .. import _core
from .._errors import require
from ..core._imperative_rt.core2 import apply
from ..module.module import Module
from ..tensor import Parameter, Tensor
from .node import GraphPart, ModuleNode, Node, TensorNode
from .pytree import tree_flatten
from .utils import get_subattr

Const = Tensor  # what a constant in a graph is

_PUBLIC = "megalith.functional."


def rstrip(s: str, __chars: str):
    """``s`` without the end ``__chars``, if it has it."""
    return s[: -len(__chars)] if __chars and s.endswith(__chars) else s


def get_suffix_name(prefix: str, name: str):
    """What comes after ``prefix`` and a dot in ``name``; None if it does not begin so."""
    if name == prefix:
        return ""
    return name[len(prefix) + 1 :] if not prefix or name.startswith(prefix + ".") else None


def signature_of(spec):
    """A signature of a function or of a FullArgSpec; None where there is none."""
    if not isinstance(spec, inspect.FullArgSpec):
        try:
            return inspect.signature(spec)
        except (TypeError, ValueError):  # native functions
            return None
    P = inspect.Parameter
    defaults = dict(zip(reversed(spec.args), reversed(spec.defaults or ())))
    parameters = [P(n, P.POSITIONAL_OR_KEYWORD, default=defaults.get(n, P.empty)) for n in spec.args]
    if spec.varargs:
        parameters.append(P(spec.varargs, P.VAR_POSITIONAL))
    only = spec.kwonlydefaults or {}
    parameters += [P(n, P.KEYWORD_ONLY, default=only.get(n, P.empty)) for n in spec.kwonlyargs]
    if spec.varkw:
        parameters.append(P(spec.varkw, P.VAR_KEYWORD))
    return inspect.Signature(parameters)


def _native_signature(method):
    """A signature for a native method of tensors."""
    P = inspect.Parameter
    names = {"__setitem__": ["self", "index", "value"], "__getitem__": ["self", "index"]}.get(method, ["self"])
    parameters = [P(n, P.POSITIONAL_OR_KEYWORD) for n in names]
    if method in ("reshape", "transpose", "_broadcast"):
        parameters.append(P("args", P.VAR_POSITIONAL))
    elif len(names) == 1 and method.strip("_") not in _UNARY:
        parameters.append(P("value", P.POSITIONAL_OR_KEYWORD))
    return inspect.Signature(parameters)


_UNARY = ("neg", "pos", "abs", "invert", "round", "floor", "ceil")


def full_args(signature, args, kwargs):
    """Arguments with the defaults of those that were not given, by place where they can be."""
    if signature is None:
        return args, kwargs
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args, bound.kwargs


class Expr(GraphPart):
    """What makes nodes of nodes.

    Attributes:
        inputs: nodes that it takes.
        outputs: nodes that it makes.
        const_val: (place, value) of arguments that are constants.
        arg_def, out_def: how arguments and results are nested.
    """

    inputs = None
    outputs = None
    const_val = None
    arg_def = None
    out_def = None
    _kind = "expr"

    def __init__(self) -> None:
        self._id = self._new_id()
        self._disable_remove = False

    def enable_remove(self):
        """Lets ``graph.compile()`` drop it when nothing uses its results."""
        self._disable_remove = False

    def disable_remove(self):
        """Keeps it, whether its results are used or not."""
        self._disable_remove = True

    def add_inputs(self, vals):
        """Adds nodes (or values that are constants) to what it takes."""
        for val in vals if isinstance(vals, (list, tuple)) else (vals,):
            if isinstance(val, Node):
                self.inputs.append(val)
                val.users.append(self)
            else:
                self.const_val.append((len(self.inputs) + len(self.const_val), val))

    def add_outputs(self, outputs):
        """Adds nodes for results, of the values they had."""
        for value in outputs if isinstance(outputs, (list, tuple)) else (outputs,):
            self.outputs.append(self._new_node(value))

    def _new_node(self, value):
        if isinstance(value, Node):
            value.expr = self
            return value
        if isinstance(value, Module):
            return ModuleNode(self)
        node = TensorNode(self)
        node._take(value)
        return node

    def _set_arguments(self, nodes, definition):
        """Takes over flat nodes and constants, nested as ``definition`` says."""
        for node in set(self.inputs or ()):
            node.users[:] = [u for u in node.users if u is not self]
        self.inputs, self.const_val, self.arg_def = [], [], definition
        self.add_inputs(nodes)

    def unflatten_args(self, inputs):
        """Arguments (args, kwargs) of flat inputs and the constants."""
        if self.arg_def is None:
            return inputs, {}
        flat = list(inputs)
        for place, value in self.const_val:
            flat.insert(place, value)
        return self.arg_def.unflatten(flat)

    def _call(self, inputs):
        args, kwargs = self.unflatten_args(inputs)
        return args, kwargs

    def _results(self, value):
        """Tensors in a result, in order."""
        if isinstance(value, _core.TensorBase):
            return (value,)
        leaves, _ = tree_flatten(value)
        return tuple(leaf for leaf in leaves if isinstance(leaf, _core.TensorBase))

    def replace_inputs(self, repl_dict: Dict[Node, Node]):
        """Takes other nodes in place of some.

        Args:
            repl_dict: new nodes by old ones; the new ones must be made before this expression.
        """
        for old, new in repl_dict.items():
            if old is new or not any(node is old for node in self.inputs):
                continue
            graph = self.top_graph
            require(old.top_graph is graph and new.top_graph is graph, f"replace_inputs: {new} is not in the graph")
            require(graph._place(new.expr) < graph._place(self), f"replace_inputs: {new} is made after {self}")
            old.users[:] = [u for u in old.users if u is not self]
            for i, node in enumerate(self.inputs):
                if node is old:
                    self.inputs[i] = new
                    new.users.append(self)

    @property
    def _support_set_args_kwargs(self):
        return False

    def _signature(self):
        """The signature of what it calls."""
        return None

    def set_args_kwargs(self, *args, **kwargs):
        """Calls with other arguments: nodes and constants."""
        require(self._support_set_args_kwargs, f"{type(self).__name__}: its arguments can't be set")
        args, kwargs = full_args(self._signature(), args, kwargs)
        nodes, definition = tree_flatten((args, kwargs))
        graph = self.top_graph
        for node in nodes:
            if isinstance(node, Node) and graph is not None:
                require(node.top_graph is graph, f"set_args_kwargs: {node} is not in the graph")
                require(graph._place(node.expr) < graph._place(self), f"set_args_kwargs: {node} is made after {self}")
        self._set_arguments(nodes, definition)

    @property
    def args(self):
        """Arguments by place: nodes and constants."""
        require(self.arg_def is not None, f"{type(self).__name__} has no arguments")
        return self.unflatten_args(self.inputs)[0]

    @property
    def kwargs(self):
        """Arguments by name."""
        require(self.arg_def is not None, f"{type(self).__name__} has no arguments")
        return self.unflatten_args(self.inputs)[1]

    @property
    def named_args(self):
        """All arguments by the names of what it calls."""
        signature = self._signature()
        if signature is None:
            raise NotImplementedError(f"{type(self).__name__}: its arguments have no names")
        return dict(signature.bind(*self.args, **self.kwargs).arguments)

    def set_arg(self, name, val):
        """Calls with another value of one argument.

        Args:
            name: the argument's name.
            val: a node or a constant.
        """
        named = self.named_args
        signature = self._signature()
        require(name in signature.parameters, f"set_arg: {self} has no argument {name!r}")
        named[name] = val
        args, kwargs = [], {}
        for key, parameter in signature.parameters.items():
            if key not in named:
                continue
            if parameter.kind is parameter.VAR_POSITIONAL:
                args.extend(named[key])
            elif parameter.kind is parameter.VAR_KEYWORD:
                kwargs.update(named[key])
            elif parameter.kind is parameter.KEYWORD_ONLY:
                kwargs[key] = named[key]
            else:
                args.append(named[key])
        self.set_args_kwargs(*args, **kwargs)

    @property
    def return_val(self):
        """Its results, nested as the call gave them."""
        if self.out_def is None:
            return self.outputs[0]
        flat, outputs = [], iter(self.outputs)
        for leaf in self.out_def.leaves():
            flat.append(leaf.const_val if leaf.is_const() else next(outputs))
        return self.out_def.unflatten(flat)

    @return_val.setter
    def return_val(self, new_outputs):
        nodes, self.out_def = tree_flatten(new_outputs)
        self.outputs = [node for node in nodes if isinstance(node, Node)]

    def _text(self, spec):
        raise NotImplementedError

    def __format__(self, format_spec: str) -> str:
        return f"%{self._id}:\t{self._text(format_spec or '')}"

    def __repr__(self):
        return format(self, "")


class _Shown:
    """A node that prints itself in some format."""

    def __init__(self, node, spec):
        self.text = format(node, spec)

    def __repr__(self):
        return self.text


def _shown(value, spec):
    """A nested value with nodes in some format, as text."""
    if isinstance(value, Node):
        return format(value, spec)
    if type(value) in (list, tuple):
        inside = ", ".join(_shown_inside(v, spec) for v in value)
        if type(value) is list:
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_shown_inside(v, spec)}" for k, v in value.items()) + "}"
    return str(value)


def _shown_inside(value, spec):
    return _shown(value, spec) if isinstance(value, (Node, list, tuple, dict)) else repr(value)


def _arguments_text(args, kwargs, spec):
    places = ", ".join(_shown(a, spec) for a in args)
    names = ", ".join(f"{k}={_shown(v, spec)}" for k, v in kwargs.items())
    return f"({places}, {names})"


class Input(Expr):
    """An argument of the graph."""

    def __init__(self, type: List[Node], name: str = "args", qualname: str = ""):
        super().__init__()
        require(type in (ModuleNode, TensorNode), "Input takes ModuleNode or TensorNode")
        self.inputs = []
        self.outputs = [type(self, name, qualname)]
        self.name = name

    @classmethod
    def make(cls, *args, **kwargs):
        """The node of a new expression."""
        return cls(*args, **kwargs).outputs[0]

    def _text(self, spec):
        return f"{self.outputs[0]:{spec}} = Input()"


class GetAttr(Expr):
    """A module or tensor by its path in a module."""

    def __init__(self, module: ModuleNode, type: Node, attr_name: str, name: str = ""):
        super().__init__()
        require(isinstance(module, ModuleNode), "GetAttr takes the node of a module")
        require(type in (ModuleNode, TensorNode), "GetAttr makes a ModuleNode or a TensorNode")
        self.inputs = [module]
        module.users.append(self)
        self.name = attr_name
        qualname = f"{module.qualname}.{attr_name}"
        self.outputs = [type(self, name or attr_name.replace(".", "_"), qualname)]

    @classmethod
    def make(cls, *args, **kwargs):
        """The node of a new expression."""
        return cls(*args, **kwargs).outputs[0]

    def interpret(self, *inputs):
        """The attribute of a module."""
        return (get_subattr(inputs[0], self.name),)

    def _text(self, spec):
        out = self.outputs[0]
        kind = "Tensor" if isinstance(out, TensorNode) else out.module_type.__name__
        return f'{out:{spec}} = getattr({self.inputs[0]:{spec}}, "{self.name}") -> ({kind})'


class CallMethod(Expr):
    """A call of a module, or of a method of a tensor."""

    def __init__(self, node, method="__call__"):
        super().__init__()
        if isinstance(node, type):
            self.inputs, self.const_val = [], [(0, node)]
        else:
            require(isinstance(node, (TensorNode, ModuleNode)), "CallMethod takes a node")
            self.inputs, self.const_val = [], []
        self.method = method

    @classmethod
    def make(cls, *args, **kwargs):
        """A new expression."""
        return cls(*args, **kwargs)

    @property
    def graph(self):
        """The graph of the module that is called, if it is a traced one."""
        if not self.inputs or not isinstance(self.inputs[0], ModuleNode):
            return None
        module = self.inputs[0].owner
        graphs = getattr(module, "argdef_graph_map", None)
        return None if graphs is None else module._find_graph(self.arg_def)

    def interpret(self, *inputs):
        """Calls it."""
        args, kwargs = self._call(inputs)
        owner, args = args[0], args[1:]
        if self.method == "__new__" and isinstance(owner, type):
            return (owner(*args, **kwargs),)
        if self.method == "__setitem__":
            owner[args[0]] = args[1]
            return (owner,)
        return self._results(getattr(owner, self.method)(*args, **kwargs))

    @property
    def _support_set_args_kwargs(self):
        return bool(self.inputs)

    def _signature(self):
        if not self.inputs:
            return None
        if isinstance(self.inputs[0], TensorNode):
            return signature_of(getattr(Tensor, self.method)) or _native_signature(self.method)
        module = self.inputs[0].owner
        if self.method != "__call__":
            return signature_of(getattr(type(module), self.method))
        if getattr(module, "argspec", None) is not None:
            return signature_of(module.argspec)
        return None if hasattr(module, "argdef_graph_map") else signature_of(type(module).forward)

    def _text(self, spec):
        args, kwargs = self.args, self.kwargs
        owner, args = args[0], args[1:]
        call = _shown(owner, spec) if self.method == "__call__" else f"{_shown(owner, spec)}.{self.method}"
        return f"{_shown(self.return_val, spec)} = {call}{_arguments_text(args, kwargs, spec)}"


class Apply(Expr):
    """A call of an op."""

    def __init__(self, opdef):
        super().__init__()
        self.opdef = opdef
        self.inputs, self.const_val = [], []

    @classmethod
    def make(cls, *args, **kwargs):
        """A new expression."""
        return cls(*args, **kwargs)

    def interpret(self, *inputs):
        """Calls it."""
        return tuple(apply(self.opdef, *inputs))

    @classmethod
    def apply_module_trace_hook(cls, opdef, *inputs):
        """Records a call of an op on the nodes of tensors."""
        from .module_tracer import active_module_tracer

        return active_module_tracer().call_op(opdef, inputs)

    def op_name(self):
        """The name of the op; an element-wise one has that of its mode."""
        mode = getattr(self.opdef, "mode", None) if type(self.opdef).__name__ == "Elemwise" else None
        return str(getattr(mode, "name", mode)) if mode is not None else type(self.opdef).__name__

    def _text(self, spec):
        inputs = ", ".join(format(node, spec) for node in self.inputs)
        return f"{', '.join(format(node, spec) for node in self.outputs)} = {self.op_name()}({inputs})"

    def __setstate__(self, state):
        super().__setstate__(state)
        fields = self.__dict__.pop("opdef_state", None)
        if fields is not None:  # as MegEngine writes it
            kind = fields["opdef_type"]
            given = {k: v for k, v in fields.items() if k in kind._fields and not _is_default(k, v)}
            self.opdef = kind(**given)


def _is_default(field, value):
    return field == "axis" and value == 7  # what MegEngine's ops have for "no axis"


class CallFunction(Expr):
    """A call of a function."""

    def __init__(self, func):
        super().__init__()
        require(callable(func), "CallFunction takes a function")
        self.func = func
        self.inputs, self.const_val = [], []

    @classmethod
    def make(cls, *args, **kwargs):
        """A new expression."""
        return cls(*args, **kwargs)

    def interpret(self, *inputs):
        """Calls it."""
        args, kwargs = self._call(inputs)
        return self._results(self.func(*args, **kwargs))

    @property
    def _support_set_args_kwargs(self):
        return True

    def _signature(self):
        return signature_of(self.func)

    def _text(self, spec):
        module, name = function_name(self.func)
        module = module[len(_PUBLIC) :] if module.startswith(_PUBLIC) else module
        out = _shown(self.return_val, spec)
        return f"{out} = {module}.{name}{_arguments_text(self.args, self.kwargs, spec)}"

    def __getstate__(self):
        state = super().__getstate__()
        state["func"] = function_name(self.func)
        return state


def function_name(func):
    """Module and name under which everybody finds a function."""
    from .patcher import public_functions

    if isinstance(func, tuple):  # of a file, not looked up yet
        return func
    known = public_functions().get(id(func))
    return known[1:] if known is not None else (func.__module__, func.__qualname__)


class Constant(Expr):
    """A tensor or module that is none of the traced module's own."""

    value = None
    _constant_cache = {}

    def __init__(self, c, name: str = "", qualname: str = ""):
        super().__init__()
        require(
            isinstance(c, (_core.TensorBase, Module)),
            f"a constant is a Tensor or a Module, not a {builtins.type(c).__name__}",
        )
        self.value = c
        self.inputs = []
        self.outputs = [ModuleNode(self, name, qualname) if isinstance(c, Module) else TensorNode(self, name, qualname)]
        if isinstance(c, Module):
            self.outputs[0].module_type = type(c)
        else:
            self.outputs[0]._take(c)

    @classmethod
    def make(cls, *args, **kwargs):
        """The node of a new expression."""
        return cls(*args, **kwargs).outputs[0]

    def interpret(self, *inputs):
        """The constant."""
        return (self.value,)

    def _text(self, spec):
        out = self.outputs[0]
        kind = "Tensor" if isinstance(out, TensorNode) else out.module_type.__name__
        return f"{out:{spec}} = Constant() -> ({kind})"

    def is_parameter(self):
        """Whether it was made of a Parameter."""
        return isinstance(self.value, Parameter)


def is_call_module(expr, module_cls: Module = None):
    """Whether an expression calls a module, of some class if one is given."""
    return (
        isinstance(expr, CallMethod)
        and bool(expr.inputs)
        and isinstance(expr.inputs[0], ModuleNode)
        and expr.method == "__call__"
        and (module_cls is None or isinstance(expr.inputs[0].owner, module_cls))
    )


def is_call_tensor_method(expr, method: Iterable[str] = None):
    """Whether an expression calls a method of a tensor, one of some if they are given."""
    if not isinstance(expr, CallMethod) or is_call_module(expr):
        return False
    if method is None:
        return True
    return expr.method in ((method,) if isinstance(method, str) else tuple(method))


def is_call_function(expr, func: Iterable[Callable] = None):
    """Whether an expression calls a function, one of some if they are given."""
    if not isinstance(expr, CallFunction):
        return False
    if func is None:
        return True
    return any(expr.func is f for f in ((func,) if callable(func) else tuple(func)))


def is_constant(expr):
    """Whether an expression is a constant."""
    return isinstance(expr, Constant)


def is_getattr(expr):
    """Whether an expression takes an attribute of a module."""
    return isinstance(expr, GetAttr)


def is_apply_def(expr, opdef=None):
    """Whether an expression calls an op, of some classes if they are given."""
    if not isinstance(expr, Apply):
        return False
    if opdef is None:
        return True
    return isinstance(expr.opdef, tuple(opdef) if isinstance(opdef, (list, tuple, set)) else opdef)


def is_input(expr):
    """Whether an expression is an argument of its graph."""
    return isinstance(expr, Input)
