"""Rewrites of traced modules."""

import copy
from typing import List

import numpy as np

from .. import functional as F
from .. import module as M
from .._errors import require
from ..logger import get_logger
from ..module import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d
from ..tensor import Parameter
from .expr import GetAttr, is_call_function, is_call_module, is_call_tensor_method
from .traced_module import TracedModule
from .utils import assign_attr


def _fused(conv, bn):
    """A convolution that does what ``conv`` and then ``bn`` do when they do not train."""
    factor = 1 / (bn.running_var.flatten() + bn.eps) ** 0.5
    if bn.affine:
        factor = factor * bn.weight.flatten()
    shift = -bn.running_mean.flatten() * factor
    if bn.affine:
        shift = shift + bn.bias.flatten()
    if conv.bias is not None:
        shift = shift + conv.bias.flatten() * factor
    new = copy.deepcopy(conv)
    weight = conv.weight
    # (out, in, ...) or (groups, out of a group, in, ...)
    axes = weight.ndim - conv_axes(conv)
    scale = factor.reshape(*weight.shape[:axes], *[1] * (weight.ndim - axes))
    new.weight = Parameter(weight * scale)
    new.bias = Parameter(shift.reshape(1, -1, *[1] * (conv_axes(conv) - 1)))
    new.training = False
    return new


def conv_axes(conv):
    """How many axes of a convolution's weights come after the output channels."""
    return 3 if isinstance(conv, Conv2d) else 2


def _frozen(module, classes):
    return type(module) in classes and not module.training


def _only_for(node):
    """Whether one expression alone uses a node."""
    return len(node.users) == 1 and all(node is not out for out in node.top_graph.outputs)


def _conv_of(node):
    """The node of the convolution that makes a node and that only this call of it uses; None if that is not so."""
    call = node.expr
    if not is_call_module(call) or not _frozen(call.inputs[0].owner, (Conv1d, Conv2d)) or not _only_for(node):
        return None
    conv = call.inputs[0]
    return conv if len(conv.users) == 1 and isinstance(conv.expr, GetAttr) else None


def fuse_conv_bn(graph):
    """Folds normalizations that do not train into the convolutions before them."""
    for expr in list(graph._exprs):
        if not is_call_module(expr) or not _frozen(expr.inputs[0].owner, (BatchNorm1d, BatchNorm2d)):
            continue
        source, bn = expr.inputs[1], expr.inputs[0]
        conv = _conv_of(source)
        if conv is None or not bn.owner.track_running_stats:
            continue
        assign_attr(_fused(conv.owner, bn.owner), graph._module, conv.expr.name)
        graph.replace_node({expr.outputs[0]: source})
    graph.compile()


_ADDS = {"__add__": 1, "__radd__": 1, "__iadd__": 1, "__sub__": -1, "__isub__": -1}
_MULS = {"__mul__": 1, "__rmul__": 1, "__imul__": 1, "__truediv__": -1, "__itruediv__": -1}


def _with_number(expr):
    """What an expression does to a Tensor of floats with a number: (the node, "add" or "mul", the number), or None."""
    if not is_call_tensor_method(expr, (*_ADDS, *_MULS)) or len(expr.inputs) != 1:
        return None
    node, values = expr.inputs[0], expr.unflatten_args(expr.inputs)[0][1:]
    floats = node.dtype is not None and np.dtype(node.dtype).kind == "f"
    if len(values) != 1 or type(values[0]) not in (int, float) or not floats:
        return None
    if expr.method in _ADDS:
        return node, "add", values[0] * _ADDS[expr.method]
    if _MULS[expr.method] > 0:
        return node, "mul", values[0]
    return (node, "mul", 1 / values[0]) if values[0] else None


def _apply(graph, expr, node, kind, value):
    """Puts ``node`` and a number in the place of an expression."""
    with graph.insert_exprs(expr):
        new = node + value if kind == "add" else node * value
    graph.replace_node({expr.outputs[0]: new})


def fuse_add_mul(graph):
    """Makes one addition of several of numbers that follow each other, and one multiplication of several."""
    for expr in list(graph._exprs):
        second = _with_number(expr)
        first = second and _with_number(second[0].expr)
        if first and first[1] == second[1] and _only_for(second[0]):
            value = first[2] + second[2] if first[1] == "add" else first[2] * second[2]
            _apply(graph, expr, first[0], first[1], value)
            graph.compile()
            return fuse_add_mul(graph)


_LINEAR = ((M.AvgPool2d, M.AdaptiveAvgPool2d, M.Identity),
           (F.avg_pool2d, F.adaptive_avg_pool2d, F.reshape, F.flatten, F.transpose, F.expand_dims, F.squeeze,
            F.vision.interpolate),
           ("reshape", "transpose", "flatten", "__neg__"))  # fmt: skip
_FOR_POSITIVE = ((M.ReLU, M.LeakyReLU, M.MaxPool2d, M.AdaptiveMaxPool2d),
                 (F.relu, F.leaky_relu, F.max_pool2d, F.adaptive_max_pool2d))  # fmt: skip


def _lets_pass(expr, factor):
    """Whether a factor may stand before an expression of one Tensor instead of after it."""
    modules, functions, methods = _LINEAR
    if factor > 0:
        modules, functions = modules + _FOR_POSITIVE[0], functions + _FOR_POSITIVE[1]
    if is_call_module(expr):
        return type(expr.inputs[0].owner) in modules and len(expr.inputs) == 2
    return len(expr.inputs) == 1 and (is_call_function(expr, functions) or is_call_tensor_method(expr, methods))


def _scaling(graph, node, factor):
    """Edits of what makes a node that multiply it, or None: a list of calls, none is done yet."""
    expr = node.expr
    if not _only_for(node):
        return None
    conv = _conv_of(node)
    if conv is not None:
        new = copy.deepcopy(conv.owner)
        new.weight = Parameter(new.weight * factor)
        if new.bias is not None:
            new.bias = Parameter(new.bias * factor)
        return [lambda: assign_attr(new, graph._module, conv.expr.name)]
    if _lets_pass(expr, factor):
        return _scaling(graph, expr.inputs[-1], factor)
    number = _with_number(expr)
    if number is not None:
        rest = _scaling(graph, number[0], factor)
        if rest is not None and number[1] == "add":
            rest = [lambda: _apply(graph, expr, number[0], "add", number[2] * factor), *rest]
        return rest
    if (is_call_tensor_method(expr, (*_ADDS,)) and len(expr.inputs) == 2) or is_call_function(expr, (F.concat,)):
        parts = [_scaling(graph, x, factor) for x in expr.inputs]
        return None if None in parts else sum(parts, [])
    return None


def backward_fold_scale(graph):
    """Folds factors into the weights of the convolutions before them, through all that a factor commutes with."""
    for expr in list(graph._exprs):
        number = _with_number(expr)
        edits = _scaling(graph, number[0], number[2]) if number and number[1] == "mul" else None
        if edits is not None:
            for edit in edits:
                edit()
            graph.replace_node({expr.outputs[0]: expr.inputs[0]})
            graph.compile()
            return backward_fold_scale(graph)


_PASSES = {"FuseConvBn": fuse_conv_bn, "FuseAddMul": fuse_add_mul, "BackwardFoldScale": backward_fold_scale}


def _run(name, module):
    """A pass over the graph of a traced module and over those that it calls. A module of several graphs has one set of
    weights for all of them: it is left as it is."""
    if len(module.argdef_graph_map) == 1:
        for graph in module.argdef_graph_map.values():
            for _, inside in list(graph._subgraphs()):
                _run(name, inside._module)
            _PASSES[name](graph)


def optimize(module: TracedModule, enabled_pass: List[str] = ["FuseConvBn"]) -> TracedModule:
    """A copy of a traced module that computes the same with less work.

    Args:
        module: the traced module.
        enabled_pass: names of the rewrites. ``FuseConvBn`` folds normalizations that do not train into convolutions,
            ``FuseAddMul`` makes one of additions (or multiplications) of numbers that follow each other,
            ``BackwardFoldScale`` folds factors into the weights of convolutions before them; it brings ``FuseConvBn`` along.

    Raises:
        ValueError: there is no rewrite of some name.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M, megalith.traced_module as tm
        >>> net = M.Sequential(M.Conv2d(3, 4, 3), M.BatchNorm2d(4))
        >>> net.eval()
        >>> traced = tm.trace_module(net, mge.Tensor(np.ones((1, 3, 5, 5), "float32")))
        >>> print(tm.optimize(traced).graph)  # doctest: +NORMALIZE_WHITESPACE
        Sequential.Graph (self, inp) {
            %2:  _0 = getattr(self, "0") -> (Conv2d)
            %4:  _0_out = _0(inp, )
            return _0_out
        }
    """
    require(isinstance(module, TracedModule), f"optimize takes a TracedModule, not a {type(module).__name__}")
    names = [enabled_pass] if isinstance(enabled_pass, str) else list(enabled_pass)
    for name in names:
        require(name in _PASSES, f"optimize: there is no pass {name!r}; there are {', '.join(_PASSES)}")
    if "BackwardFoldScale" in names and "FuseConvBn" not in names:
        get_logger(__name__).warning("BackwardFoldScale needs FuseConvBn, which is done too")
        names.append("FuseConvBn")
    new = copy.deepcopy(module)
    for name in [n for n in _PASSES if n in names]:
        _run(name, new)
    if "BackwardFoldScale" in names and "FuseAddMul" in names:  # what a factor stood between
        _run("FuseAddMul", new)
    return new
