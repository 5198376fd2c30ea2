"""Conversions that MegEngine's functions start with."""

import functools

import numpy as np

from ... import _core


def isscalar(x) -> bool:
    """Whether ``x`` is a number or a Tensor of shape ``()``."""
    return bool(x._scalar) if isinstance(x, _core.TensorBase) else np.isscalar(x)


def make_shape_tuple(shape) -> tuple:
    """Nested numbers and Tensors as one flat tuple of sizes."""
    flat = []

    def add(item):
        if isinstance(item, (list, tuple)):
            for one in item:
                add(one)
        elif isinstance(item, _core.TensorBase):
            add(item.numpy())
        elif isinstance(item, np.ndarray):
            flat.extend(int(i) for i in item.reshape(-1))
        else:
            flat.append(item)

    add(shape)
    return tuple(flat)


def astensor1d(x, *reference, dtype=None, device=None):
    """A Tensor with one axis of numbers, an array or a sequence of numbers and Tensors; Tensors are returned as they are.

    Args:
        x: what to convert.
        reference: Tensors or graph variables; where one is a graph variable, so is the result.
        dtype: element type, by default the one of the elements.
    """
    from ...functional.tensor import concat
    from ...tensor import Tensor

    if isinstance(x, _core.TensorBase):
        return x
    if isinstance(x, np.ndarray):
        if x.ndim != 1:
            raise ValueError(f"astensor1d takes one axis, not an array of shape {x.shape}")
        return Tensor(x, dtype=dtype, device=device)
    x = list(x) if hasattr(x, "__iter__") else [x]
    if not any(isinstance(i, _core.TensorBase) for i in x):
        array = np.asarray(x, dtype=dtype if dtype is None else np.dtype(dtype))
        if array.ndim != 1:
            raise ValueError(f"astensor1d takes one axis, not values of shape {array.shape}")
        return Tensor(array, dtype=dtype, device=device)
    parts = [i if isinstance(i, _core.TensorBase) else Tensor(i) for i in x]
    out = concat([p._with_scalar(False) if p._scalar else p for p in parts])
    return out if dtype is None else out.astype(dtype)


_convert_inputs = True


def get_convert_inputs() -> bool:
    """Whether :func:`convert_inputs` converts."""
    return _convert_inputs


def set_convert_inputs(flag: bool) -> bool:
    """Sets whether :func:`convert_inputs` converts; returns what was set before."""
    global _convert_inputs
    before, _convert_inputs = _convert_inputs, bool(flag)
    return before


def Const(value, dtype=None, device=None):
    """A constant Tensor."""
    from ...tensor import Tensor

    return Tensor(value, dtype=dtype, device=device)


def convert_single_value(v, *, dtype=None, device=None):
    """A number or an array as a Tensor of an element type; Tensors are converted to it unless they are quantized."""
    from .dtype import is_quantize

    if not isinstance(v, _core.TensorBase):
        return Const(v, dtype, device)
    return v if dtype is None or is_quantize(v.dtype) else v.astype(dtype)


def get_device(*args):
    """The device of the first Tensor among operands, or the default one."""
    from ...device import as_device

    for arg in args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args:
        if isinstance(arg, _core.TensorBase):
            return arg.device
    return as_device(None)


_KIND = {"b": 1, "i": 2, "u": 2, "f": 3}


def dtype_promotion(*args) -> np.dtype:
    """The smallest element type for all operands of the highest kind: bools, integers, real numbers.

    Python's numbers only say a kind; lists say nothing beside Tensors and arrays.
    """
    args = args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args
    types = [np.dtype(a.dtype) for a in args if isinstance(a, (_core.TensorBase, np.ndarray, np.generic))]
    if any(t.metadata for t in types):  # quantized
        return _core.convert_inputs(*args)[0].dtype
    numbers = [np.asarray(a).dtype for a in args if isinstance(a, (bool, int, float))]
    if not types and not numbers:
        types = [np.asarray(a).dtype for a in args]

    def kind(t):
        return _KIND.get(t.kind, 0)

    highest = max(map(kind, types + numbers), default=0)
    if highest > max(map(kind, types), default=0):
        types = [np.dtype({1: "bool", 2: "int32", 3: "float32"}[highest])]
    out = functools.reduce(np.promote_types, (t for t in types if kind(t) == highest))
    return {"int64": np.dtype("int32"), "float64": np.dtype("float32")}.get(out.name, out)


def cast_tensors(*args, promote=False) -> tuple:
    """Tensors in the higher (or lower) precision of automatic mixed precision."""
    from .amp import high, low

    return tuple(a if a is None else (high if promote else low)(a) for a in args)


def convert_inputs(*args, device=None) -> tuple:
    """Operands as Tensors of one element type."""
    return tuple(_core.convert_inputs(*args)) if _convert_inputs else args


def result_type(*args) -> np.dtype:
    """NumPy's common type of Tensors, dtypes and numbers."""
    return np.result_type(*(a.dtype if isinstance(a, _core.TensorBase) else a for a in args))


def _normalize_axis(ndim: int, axis, reverse: bool = False):
    """An axis counted from the front, or several in order."""

    def counted(a):
        if not -ndim <= a < ndim:
            raise _core.ArgumentError(f"axis {a} is out of range for {ndim} dimensions")
        return a % ndim

    if isinstance(axis, int):
        return counted(axis)
    axes = sorted(map(counted, axis), reverse=reverse)
    if len(set(axes)) != len(axes):
        raise _core.ArgumentError(f"an axis is given twice in {axis}")
    return axes


# What a subgraph calls ops by, with the number of operands.
_SYMBOLS = {
    ("-", 1): "NEGATE", ("abs", 1): "ABS", ("exp", 1): "EXP", ("log1p", 1): "LOG1P", ("relu", 1): "RELU",
    ("cond_leq_mov", 3): "COND_LEQ_MOV", ("fma3", 3): "FUSE_MUL_ADD3", ("fma4", 4): "FUSE_MUL_ADD4", ("+", 2): "ADD",
    ("-", 2): "SUB", ("*", 2): "MUL", ("/", 2): "TRUE_DIV", ("//", 2): "FLOOR_DIV", ("**", 2): "POW",
    ("max", 2): "MAX", ("min", 2): "MIN", ("additive", 2): "ADD", ("exp", 2): "EXP", ("switch_gt0", 2): "SWITCH_GT0",
    ("abs_grad", 2): "ABS_GRAD",
}  # fmt: skip


def _subgraph_call(op, *args, nr_out=None):
    from .._imperative_rt.core2 import apply

    if op in ("[?:]", "[:?]"):
        x, n = args
        n = int(n.item())
        return x[n:] if op == "[?:]" else x[:n]
    if isinstance(op, str):
        mode = _SYMBOLS.get((op, len(args)))
        if mode is None:
            raise ValueError(f"a subgraph has no op {op!r} of {len(args)} operands")
        return _core.elemwise(_core.elemwise_modes[mode], *args)
    results = apply(op, *args)
    if len(results) != (1 if nr_out is None else nr_out):
        raise ValueError(f"{op!r} has {len(results)} results, not {nr_out or 1}")
    return results[0] if nr_out is None else results


def subgraph_fn(name, dtype, device, nr_inputs, gopt_level=None, jit_fusion=False, custom_grad=False, *,
                interpret=False):  # fmt: skip
    """A function of Tensors made of ops.

    Args:
        name: what it is called.
        dtype: element type of its constants.
        device: device of its constants.
        nr_inputs: how many Tensors it takes.
        gopt_level, jit_fusion, interpret: accepted for compatibility; its ops run one after another.
        custom_grad: whether the function is a generator that yields its results, is sent their gradients, and yields those
            of its inputs.

    The function gets its inputs, ``f(op, *operands)``, which calls an op or a symbol such as ``"*"``, and ``c(value)``,
    which makes a constant. Without ``custom_grad`` it returns its results and, for each, whether gradients flow through it.

    Examples:
        >>> import megalith as mge
        >>> from megalith.core.tensor.utils import subgraph_fn
        >>> @subgraph_fn("Twice", dtype="float32", device=None, nr_inputs=1)
        ... def twice(inputs, f, c):
        ...     return (f("*", inputs[0], c(2.0)),), (True,)
        >>> twice(mge.Tensor([3.0]))
        [Tensor([6.], device=xpux:0)]
    """

    def constant(value, dtype=dtype, device=device):
        return Const(value, dtype, device)

    def check(args):
        if len(args) != nr_inputs:
            raise TypeError(f"{name} takes {nr_inputs} Tensors, not {len(args)}")

    def plain(function):
        def call(*args):
            check(args)
            outputs, differentiable = function(list(args), _subgraph_call, constant)
            return [out if d else out.detach() for out, d in zip(outputs, differentiable)]

        return call

    def with_gradient(function):
        from ...autodiff.function import Function

        class Subgraph(Function):
            def forward(self, *inputs):
                self.inputs = [i.detach() for i in inputs]
                generator = function(self.inputs, _subgraph_call, constant)
                outputs = tuple(next(generator))
                generator.close()
                return outputs

            def backward(self, *grads):
                generator = function(self.inputs, _subgraph_call, constant)
                outputs = next(generator)
                grads = [out * 0 if g is None else g for out, g in zip(outputs, grads)]
                inputs = generator.send(tuple(grads))
                generator.close()
                return list(inputs)

        def call(*args):
            check(args)
            return list(Subgraph()(*args))

        return call

    return with_gradient if custom_grad else plain


subgraph = subgraph_fn


def interpret_subgraph(func, dtype, device):
    """A function made of ops, that runs them one after another."""

    def call(*args):
        return subgraph_fn(func.__name__, dtype, device, len(args))(func)(*args)

    return call


def is_dtype_equal(dt0, dt1) -> bool:
    """Whether two element types are the same."""
    from .dtype import is_dtype_equal

    return is_dtype_equal(dt0, dt1)


def is_quantize(dtype) -> bool:
    """Whether an element type is quantized."""
    from .dtype import is_quantize

    return is_quantize(dtype)
