"""trace: records what a function does, checks that later calls do the same, and writes it as a `.mge` file."""

import contextlib
import functools
from typing import Any

from .. import _core
from .._errors import ArgumentError, ArgumentTypeError
from ..core import _trace_option
from ..module import Module
from ..optimizer import Optimizer
from ..tensor import Tensor
from ..utils.naming import AutoNaming

__all__ = ["TraceError", "exclude_from_trace", "is_tracing", "trace"]

active_trace = None


class TraceError(RuntimeError):
    """A traced function did something else than when it was recorded."""


def is_tracing() -> bool:
    """Whether a traced function is being recorded."""
    return active_trace is not None


@contextlib.contextmanager
def exclude_from_trace():
    """What runs in this context is not recorded; its results enter the graph as constants."""
    recorder = active_trace._recorder if active_trace is not None else None
    if recorder is None:
        yield
        return
    recorder.stop()
    try:
        yield
    finally:
        recorder.start()


def _flatten(value, leaves):
    """Appends the Tensors of nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        leaves.append(value)
    elif isinstance(value, (list, tuple)):
        for v in value:
            _flatten(v, leaves)
    elif isinstance(value, dict):
        for v in value.values():
            _flatten(v, leaves)


def _number_names(graph):
    """Calls of the same name get numbers: ``net.RELU[0]``, ``net.RELU[1]``."""
    calls = {}
    for node in graph.nodes():
        if node.kind == "compute":
            calls.setdefault(node.name, []).append(node)
    for name, nodes in calls.items():
        for i, node in enumerate(nodes if len(nodes) > 1 else ()):
            node.name = f"{name}[{i}]"
            for var in node.outputs:
                if var.name == name or var.name.startswith(f"{name}:o"):
                    var.name = node.name + var.name[len(name) :]


def _unflatten(structure, leaves):
    """Nested lists, tuples and dicts with other Tensors."""
    if isinstance(structure, _core.TensorBase):
        return next(leaves)
    if isinstance(structure, (list, tuple)):
        parts = [_unflatten(v, leaves) for v in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)
    if isinstance(structure, dict):
        return {k: _unflatten(v, leaves) for k, v in structure.items()}
    return structure


def _check_leaves(results, function):
    """Raises unless nested lists, tuples and dicts hold Tensors alone: nothing else comes out of a graph."""
    if isinstance(results, (list, tuple)):
        for r in results:
            _check_leaves(r, function)
    elif isinstance(results, dict):
        _check_leaves(list(results.values()), function)
    elif not isinstance(results, Tensor):
        raise ArgumentTypeError(
            f"trace of {function}: with without_host it returns Tensors, but one is {type(results).__name__}"
        )


class StateOfCalls:
    """Tensors that live longer than a call: those of modules that are arguments or are called, and of optimizers.

    While a function is recorded they are inputs of the graph, so that later calls read their values of that time.
    """

    def __init__(self, recorder, arguments):
        self._recorder = recorder
        self._read = {}  # id of a Tensor: its value of the graph
        self.tensors = {}
        self._add_arguments(arguments)

    def _add_arguments(self, value):
        if isinstance(value, (list, tuple)):
            for v in value:
                self._add_arguments(v)
        elif isinstance(value, dict):
            self._add_arguments(list(value.values()))
        elif isinstance(value, Module):
            self._add(value.tensors())
        elif isinstance(value, Optimizer):
            self.add_optimizer(value)

    def add_module(self, module):
        self._add(module.tensors(recursive=False))

    def add_optimizer(self, optimizer):
        self._add(optimizer._get_params())
        for states in optimizer._state.values():
            self._add(states.values())

    def _add(self, tensors):
        for t in tensors:
            if id(t) not in self._read and not self._recorder.made(t):
                name = f"state_{len(self.tensors)}"
                self._recorder.add_input(t, name)
                self._read[id(t)] = self._recorder.value_of(t)
                self.tensors[name] = t

    def changed(self) -> list:
        """The Tensors that the call gave another value, with its number in the graph."""
        now = [(t, self._recorder.value_of(t)) for t in self.tensors.values()]
        return [(t, value) for t, value in now if value != self._read[id(t)]]


class trace:
    """A function that is recorded as a graph when it is called.

    Args:
        function: what to record. Without it, ``trace(...)`` gives a decorator.
        symbolic: accepted for compatibility; recorded ops are always run as well.
        capture_as_const: constants of :meth:`dump` are the values of Tensors that the function takes from outside.
        record_only: record without checking later calls.
        symbolic_shape: whether ``shape`` is a Tensor while the function runs, so that the graph works for inputs of other
            sizes.
        profiling: whether :meth:`get_profile` can tell when ops ran.
        without_host: later calls run the recorded graph and no Python. The Tensors of modules and optimizers are read when a
            call begins and take their new values when it ends; other Tensors from outside, and numbers such as learning
            rates, stay what they were in the first call.
        sublinear_memory_config, dtr_config, opt_level, graph_opt_config: accepted for compatibility.

    The first call records; later calls run, and raise TraceError when their ops differ from the recorded ones, or
    the numbers they compute with do though the inputs have the same sizes. Tensors from outside may change.

    Examples:
        >>> import io
        >>> import megalith as mge
        >>> from megalith.jit import trace
        >>> @trace(symbolic=True, capture_as_const=True)
        ... def double(x):
        ...     return x * 2
        >>> double(mge.Tensor([1.0, 2.0]))
        Tensor([2. 4.], device=xpux:0)
        >>> double.dump(io.BytesIO()).outputs
        ['MUL']
    """

    third_party_backend = False

    def __new__(cls, *args, **kwargs):
        if not args:
            return functools.partial(cls, **kwargs)
        return super().__new__(cls)

    def __init__(self, function, symbolic=False, capture_as_const=False, record_only=False, sublinear_memory_config=None,
                 dtr_config=None, profiling: bool = False, opt_level: int = 2, graph_opt_config=None,
                 symbolic_shape: bool = True, without_host: bool = False):  # fmt: skip
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self._capture_as_const = capture_as_const or record_only
        self._record_only = record_only
        self._symbolic_shape = symbolic_shape
        self._without_host = without_host
        self._state = None  # with without_host: Tensors of modules and optimizers, by the graph's names
        self._updates = []  # those of them that a call changes
        self._profiling = profiling
        self._profile = None
        self._model = None
        self._before = False
        self._recorder = None
        self._graph = None
        self._first = [], []  # shapes of the first call's Tensors, constants that are numbers
        self._input_names = []
        self._outputs = None  # graph variables
        self._output_names = None

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args, **kwargs):
        if active_trace is not None:  # traced functions called by traced functions belong to them
            return self.__wrapped__(*args, **kwargs)
        if self._without_host and self._graph is not None:
            return self.execute(*args, **kwargs)
        return self._record(args, kwargs)

    def _record(self, args, kwargs):
        """Calls the function and keeps or compares what it does."""
        global active_trace
        names, tensors = self._name_inputs(args, kwargs)
        recorder = self._recorder = _core.Recorder()
        for name, tensor in zip(names, tensors):
            recorder.add_input(tensor, name)
        recorder.start()
        active_trace = self
        _trace_option._recorder = recorder
        recorder.set_scope(AutoNaming.get_scope())
        symbolic = _trace_option.set_symbolic_shape(self._symbolic_shape)
        try:
            if self._without_host:
                self._state = _trace_option._state = StateOfCalls(recorder, (args, kwargs))
            if self._profiling:
                _core.start_call_log()
            results = self.__wrapped__(*args, **kwargs)
        finally:
            if self._profiling:
                self._profile = _core.stop_call_log()
            _trace_option.set_symbolic_shape(symbolic)
            active_trace = _trace_option._recorder = _trace_option._state = None
            recorder.stop()
            self._recorder = None
        leaves = []
        if results is not None:
            _flatten(results, leaves)
        if self._without_host:
            _check_leaves(results, self.__name__)
        shapes = [t._tuple_shape for t in tensors]
        if self._graph is None:
            self._keep(recorder, names, results, leaves)
            self._first = shapes, recorder.literals
        elif not self._record_only:
            for leaf in leaves:
                recorder.value_of(leaf)
            # Other sizes may well give other numbers, and so may values where sizes are numbers.
            literals = self._first[1] if self._symbolic_shape and shapes == self._first[0] else []
            difference = _core.Recorder.difference(self._graph, recorder.take(), literals)
            if difference:
                raise TraceError(f"trace of {self.__name__}: {difference}")
        return results

    trace_normal = __call__

    @property
    def check_external(self) -> bool:
        """Whether values that the function takes from outside are checked: never."""
        return False

    @property
    def without_host(self) -> bool:
        """Whether calls after the first run the recorded graph and no Python; see :meth:`execute`."""
        return self._without_host

    @property
    def traced(self) -> bool:
        """Whether the graph that calls run in place of Python is there."""
        return self._without_host and self._graph is not None

    @property
    def ops(self) -> list:
        """The recorded ops."""
        return [n.op for n in self._recorded().nodes() if n.kind == "compute"]

    @property
    def vars(self) -> list:
        """The recorded graph's variables."""
        return [v for n in self._recorded().nodes() for v in n.outputs]

    def _recorded(self):
        if self._graph is None:
            raise _core.OpError(f"{self.__name__} is not recorded yet: call it once")
        return self._graph

    def flatten_inputs(self, *args, **kwargs) -> list:
        """The Tensors among arguments, in the order of the graph's inputs."""
        return self._name_inputs(args, kwargs)[1]

    def compile(self):
        """Plans the recorded graph, for :meth:`execute`."""
        self._model = self._recorded().compile([*self._outputs, *(var for _, var in self._updates)], True)

    def execute(self, *args, **kwargs):
        """Runs the recorded graph, and none of the function's Python.

        Examples:
            >>> import megalith as mge
            >>> from megalith.jit import trace
            >>> f = trace(lambda x: x * 2)
            >>> _ = f(mge.Tensor([1.0]))
            >>> f.execute(mge.Tensor([4.0]))
            Tensor([8.], device=xpux:0)
        """
        if self._model is None:
            self.compile()
        tensors = self.flatten_inputs(*args, **kwargs)
        if len(tensors) != len(self._input_names):
            raise ArgumentError(f"{self.__name__} takes {len(self._input_names)} Tensors, not {len(tensors)}")
        inputs = dict(zip(self._input_names, tensors), **(self._state.tensors if self._state else {}))
        used = {name for name, *_ in self._model.inputs()}
        values = self._model.run({k: v for k, v in inputs.items() if k in used})
        for value, scalar in zip(values, self._scalars):
            value._scalar = scalar
        for (tensor, _), value in zip(self._updates, values[len(self._outputs) :]):
            value._scalar = tensor._scalar
            tensor._reset(value)
        return _unflatten(self._structure, iter(values))

    compile_and_exec = trace_without_host = trace_without_host_overall = execute

    def setup_env(self):
        """Begins to look at shapes as the function does while it is recorded."""
        self._before = _trace_option.set_symbolic_shape(self._symbolic_shape)

    def unset_env(self):
        """Ends what :meth:`setup_env` began."""
        _trace_option.set_symbolic_shape(self._before)

    def convert_optimizer_state_to_tensor(self, *args, **kwargs):
        """Accepted for compatibility: states of optimizers are Tensors."""

    def setup_io_without_trace(self, inputs, outputs):
        """Takes graph variables for inputs and outputs, in place of what a call would record."""
        self._graph = outputs[0].graph
        self._outputs = list(outputs)
        self._input_names = [v.name for v in inputs]
        self._scalars, self._structure = [False] * len(outputs), list(outputs)

    def setup_without_host(self):
        """Plans the recorded graph, for :meth:`execute`."""
        self.compile()

    def _name_inputs(self, args, kwargs):
        names, tensors = [], []
        for name, arg in [*((f"arg_{i}", arg) for i, arg in enumerate(args)), *sorted(kwargs.items())]:
            first = len(tensors)
            _flatten(arg, tensors)
            leaves = range(len(tensors) - first)
            names.extend(name if isinstance(arg, Tensor) else f"{name}_{k}" for k in leaves)
        return names, tensors

    def _keep(self, recorder, names, results, leaves):
        if self._capture_as_const and isinstance(results, dict):
            self._output_names = list(results)
        for leaf in leaves:
            recorder.add_output(leaf, "")
        changed = self._state.changed() if self._state else []
        graph = self._graph = recorder.take()
        _number_names(graph)
        self._outputs = [var for var, _ in graph.outputs]
        self._updates = [(tensor, graph.value(number)) for tensor, number in changed]
        self._structure, self._scalars = _unflatten(results, iter(self._outputs)), [leaf._scalar for leaf in leaves]
        self._input_names = names

    def dump(self, file, *, arg_names=None, output_names=None, append=False, keep_var_name: int = 1,
             keep_opr_name: bool = False, keep_param_name: bool = False, keep_opr_priority: bool = False,
             no_change_graph: bool = False, strip_info_file=None, append_json=False, optimize_for_inference=True,
             user_info: Any = None, enable_metadata: bool = True, input_data=None, repeat=1, silent=False,
             no_assert=False, maxerr=1e-4, resize_input=False, input_transform=None, dump_format: str = None,
             model_version: int = 2, **kwargs):  # fmt: skip
        """Writes the recorded graph as a `.mge` file that MegEngine and Megalith load.

        Args:
            file: a path or a file that takes bytes.
            arg_names: names of the inputs; by default ``arg_0``, ``arg_1``, … and the keywords' names.
            output_names: names of the outputs; by default the names of what computes them.
            append: adds to the file instead of replacing it.
            keep_var_name: 0: none but inputs' and outputs' names; 1: names that were given; 2: all names.
            dump_format: ``"FBS_V2"`` (default) or ``"FBS"``, which releases before 1.10 read too.
            input_data, repeat, silent, no_assert, maxerr, resize_input, input_transform: test cases written before the model,
                see :mod:`megalith.utils.dump_tools`.

        Returns:
            What was written: number of operators, bytes, names of inputs and outputs.

        Raises:
            ValueError: the function was not traced with ``capture_as_const``.
            RuntimeError: it was not called yet.
        """
        from ..utils.dump_tools import dump_graph

        if not self._capture_as_const:
            raise ArgumentError("you must specify capture_as_const=True at __init__ to use dump")
        if self._graph is None:
            raise _core.OpError(f"dump of {self.__name__}: call it once, there is nothing recorded")
        if not self._outputs:
            raise ArgumentError(f"dump of {self.__name__}: it returns no Tensors")
        if isinstance(arg_names, str):
            arg_names = [arg_names]
        if isinstance(output_names, str):
            output_names = [output_names]
        names = list(self._input_names)
        if arg_names is not None:
            if len(arg_names) != len(names):
                raise ArgumentError(f"dump of {self.__name__}: {len(arg_names)} arg_names for {len(names)} inputs")
            names = list(arg_names)
        if output_names is None:
            output_names = self._output_names
        if output_names is not None and len(output_names) != len(self._outputs):
            raise ArgumentError(
                f"dump of {self.__name__}: {len(output_names)} output_names for {len(self._outputs)} outputs"
            )
        inputs = [n for n in self._graph.nodes() if n.kind == "input"]
        for node, name in zip(inputs, names):
            node.holder_name = node.name = name
        options = dict(kwargs, append=append, keep_var_name=keep_var_name, keep_opr_name=keep_opr_name,
                       keep_param_name=keep_param_name, keep_opr_priority=keep_opr_priority,
                       no_change_graph=no_change_graph, strip_info_file=strip_info_file, append_json=append_json,
                       optimize_for_inference=optimize_for_inference, user_info=user_info,
                       enable_metadata=enable_metadata, input_data=input_data, repeat=repeat, silent=silent,
                       no_assert=no_assert, maxerr=maxerr, resize_input=resize_input,
                       input_transform=input_transform, dump_format=dump_format, model_version=model_version)  # fmt: skip
        return dump_graph(file, self._outputs, output_names, **options)

    def get_profile(self) -> dict:
        """When the ops of the last call ran.

        Returns:
            ``graph_exec``: the ops by number; ``profiler``: for each, on each device, when it began and ended, in seconds.

        Raises:
            RuntimeError: the function was not traced with ``profiling``, or not called yet.
        """
        if self._profile is None:
            raise RuntimeError(f"{self.__name__} has no profile: trace it with profiling=True and call it")
        operators = {str(i): {"name": c[0], "type": c[0], "input_shapes": c[1]} for i, c in enumerate(self._profile)}
        host = {str(i): {"xpux:0": {"start": c[2], "kern": c[2], "end": c[3]}} for i, c in enumerate(self._profile)}
        return {"graph_exec": {"operator": operators}, "profiler": {"device": host, "host": host}}
