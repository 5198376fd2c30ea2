"""Graphs that are run by hand: inputs fetched and outputs delivered by callbacks, from another thread."""

import queue
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ... import _core
from ...device import as_device
from ...utils.network_node import OpNode, VarNode, canonical
from . import dtype as _dtype


class Rendezvous:
    """A value that one thread brings and another one waits for."""

    def __init__(self):
        self._values = queue.Queue()

    def set(self, value):
        """Brings a value."""
        self._values.put(("value", value))

    __call__ = set

    def set_exception(self, text: str):
        """Makes the waiting thread fail."""
        self._values.put(("error", text))

    def get(self):
        """Waits for a value."""
        kind, value = self._values.get()
        if kind == "error":
            raise RuntimeError(value)
        return value

    def drop(self):
        """Waits for a value and forgets it."""
        self.get()

    def reset(self):
        """Forgets what was brought."""
        self._values = queue.Queue()


class GraphOptions:
    """Options of MegEngine's executor; accepted for compatibility."""

    def __init__(self):
        self.async_exec_level = 1
        self.graph_opt_level = 2
        self.log_level = 1
        self.var_sanity_check_first_run = True
        self.no_force_inplace = False


def native(graph):
    """The graph below a Graph, or itself."""
    return getattr(graph, "_native", graph)


def _table(graph, name: str) -> dict:
    return graph.__dict__.setdefault(name, {})


class Graph:
    """A graph that variables are added to, and that is then run.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> from megalith.core.tensor import megbrain_graph as mgb
        >>> g = mgb.Graph()
        >>> x = g.make_const([1.0, 2.0])
        >>> out = mgb.OutputNode(F.exp(x) * 0 + x)
        >>> _ = g.compile(out.outputs[0])()
        >>> out.get_value().numpy().tolist()
        [1.0, 2.0]
    """

    def __init__(self):
        self._begin(_core.new_graph())

    @classmethod
    def of(cls, graph) -> "Graph":
        """A graph that was loaded or built otherwise, to be run by hand."""
        self = cls.__new__(cls)
        self._begin(native(graph))
        return self

    def _begin(self, graph):
        self._native = graph
        self.options = GraphOptions()
        self._thread = None
        self._model = self._future = None
        self._targets = []

    def __eq__(self, other):
        return native(other) is self._native

    def __hash__(self):
        return id(self._native)

    def compile(self, *args) -> "Graph":
        """Makes the graph ready to compute variables: outputs of OutputNodes, or any others."""
        variables = []
        for arg in args:
            variables.extend(arg if isinstance(arg, (list, tuple)) else [arg])
        self._targets = [_table(self._native, "_outputs").get(v.id) for v in variables]
        self._model = self._native.compile(variables)
        return self

    def _feeds(self, args) -> dict:
        callbacks = _table(self._native, "_inputs")
        feeds = {}
        args = iter(args)
        for name, *_ in self._model.inputs():
            if name in callbacks:
                feeds[name] = callbacks[name]()
            else:
                feeds[name] = next(args, None)
                if feeds[name] is None:
                    raise ValueError(f"input {name!r} has no value")
        return feeds

    def _run(self, args):
        deliveries = [t for t in self._targets if t is not None]
        try:
            results = self._model.run(self._feeds(args))
        except Exception as error:
            for _, callback in deliveries:
                if isinstance(callback, Rendezvous):
                    callback.set_exception(str(error))
            raise
        for target, value in zip(self._targets, results):
            if target is not None:
                convert, callback = target
                callback(convert(value))

    def execute(self, *args):
        """Starts to compute; ``args`` are values of the inputs that have no callback."""
        if self._future is not None:
            raise RuntimeError("the graph is running: wait() for it first")
        if self._model is None:
            raise RuntimeError("compile() the graph first")
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1)
        self._future = self._thread.submit(self._run, args)

    def wait(self):
        """Waits until everything is computed; raises what went wrong."""
        if self._future is None:
            raise RuntimeError("the graph is not running")
        future, self._future = self._future, None
        return future.result()

    def __call__(self, *args):
        self.execute(*args)
        return self.wait()

    def make_const(self, data, dtype=None, device=None, name=None) -> VarNode:
        """A constant."""
        from ...tensor import Tensor

        as_device(device)
        if not isinstance(data, Tensor):
            data = Tensor(np.asarray(data), dtype=dtype)
        return canonical(self._native.add_constant(data, name or ""))

    def make_h2d(self, *, dtype, device, shape=None, name=None) -> VarNode:
        """An input that is fed when the graph runs."""
        return _add_input(self._native, dtype, device, shape, name or "")

    def make_input(self, *args, device=None, dtype=None, shape=None) -> VarNode:
        """An input whose value is set while the graph runs."""
        return InputNode(*args, device=device, dtype=dtype, shape=shape, graph=self).outputs[0]


def _add_input(graph, dtype, device, shape, name):
    as_device(None if device is None else str(device))
    names = _table(graph, "_inputs")
    name = name or f"input_{len(graph.nodes())}_{len(names)}"
    sizes = [int(n) for n in shape] if shape is not None and len(tuple(shape)) else [1]
    return canonical(graph.add_input(name, _dtype.to_native(dtype or "float32"), sizes))


def _graph_of(args, graph):
    if graph is None:
        if not args:
            raise TypeError("an input needs a graph, or a variable of one")
        graph = args[0].graph
    return native(graph)


def input_callback(callback, *args, device=None, dtype=None, shape=None, graph=None):
    """A variable whose value ``callback()`` gives when the graph runs, and a second one that orders it."""
    graph = _graph_of(args, graph)
    var = _add_input(graph, dtype, device, shape, "")
    _table(graph, "_inputs")[var.name] = callback
    return var, var


def _deliver(var, convert, callback):
    dummy = canonical(_core.apply1(_core.Op("Identity"), var))
    _table(dummy.graph, "_outputs")[dummy.id] = (convert, callback)
    return dummy


def output_callback(callback, var, *args) -> VarNode:
    """A variable that, when it is computed, gives the value of ``var`` to ``callback``."""
    return _deliver(var, lambda value: value, callback)


def value_output_callback(callback, var, *args) -> VarNode:
    """As :func:`output_callback`, with an ndarray."""
    return _deliver(var, lambda value: value.numpy(), callback)


def attr_output_callback(callback, var, *args) -> VarNode:
    """As :func:`output_callback`, with shape, type and device."""
    return _deliver(var, lambda value: TensorAttr(value.shape, value.dtype, value.device), callback)


class TensorAttr:
    """What a tensor is like."""

    def __init__(self, shape=(), dtype=None, device=None):
        self.shape = shape
        self.dtype = dtype
        self.device = device

    @property
    def comp_node(self):
        """Its device."""
        return self.device

    @comp_node.setter
    def comp_node(self, device):
        self.device = as_device(None if device is None else str(device))


class _Callback(OpNode):
    def __init__(self, var):
        self._made(var)
        self._var = var
        self._rendezvous = Rendezvous()

    @property
    def type(self) -> str:
        """The op that stands for it in the graph."""
        return self._node.type

    @property
    def outputs(self) -> list:
        """The variable."""
        return [self._var]

    def reset(self):
        """Forgets what is waiting."""
        self._rendezvous.reset()


class InputNode(_Callback):
    """An input whose value is set while the graph runs."""

    def __init__(self, *args, device=None, dtype=None, shape=None, graph=None, use_static_shape=False):
        graph = _graph_of(args, graph)
        super().__init__(_add_input(graph, dtype, device, shape, ""))
        _table(graph, "_inputs")[self._var.name] = self._fetch

    def _fetch(self):
        return self._rendezvous.get()

    @property
    def name(self) -> str:
        """The input's name."""
        return self._var.name

    @name.setter
    def name(self, name: str):
        inputs = _table(self._var.graph, "_inputs")
        inputs[name] = inputs.pop(self._var.name)
        self._var.name = name

    @property
    def device(self):
        """Where it lives."""
        return self._var.device

    @property
    def dtype(self) -> np.dtype:
        """Its element type."""
        return self._var.dtype

    def set_value(self, value):
        """The value for the run that waits for one."""
        from ...tensor import Tensor

        if not isinstance(value, Tensor):
            raise TypeError(f"set_value takes a Tensor, not {type(value).__name__}")
        self._rendezvous.set(value)


class OutputNode(_Callback):
    """Gives the value of a variable when the graph ran."""

    _callback = staticmethod(output_callback)

    def __init__(self, var, *args):
        rendezvous = Rendezvous()
        super().__init__(self._callback(rendezvous, var, *args))
        self._rendezvous = rendezvous

    def get_value(self):
        """Waits for the value."""
        return self._rendezvous.get()

    def drop_value(self):
        """Waits for the value and forgets it."""
        self._rendezvous.drop()


class ValueOutputNode(OutputNode):
    """Gives the value as an ndarray."""

    _callback = staticmethod(value_output_callback)


class AttrOutputNode(OutputNode):
    """Gives shape, type and device of a value."""

    _callback = staticmethod(attr_output_callback)


class VirtualDepNode(OpNode):
    """The first of its variables, once all are computed."""

    def __init__(self, vars, device=""):
        self._made(canonical(_core.apply1(_core.Op("VirtualDep"), *vars)))

    @property
    def type(self) -> str:
        """The op's name."""
        return self._node.type
