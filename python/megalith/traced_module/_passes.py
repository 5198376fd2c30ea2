"""Rewrites of traced modules."""

import copy
from typing import List

from .._errors import require
from ..module import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d
from ..tensor import Parameter
from .expr import GetAttr, is_call_module
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


def fuse_conv_bn(graph):
    """Folds normalizations that do not train into the convolutions before them, also in graphs that are called."""
    for _, inside in list(graph._subgraphs()):
        fuse_conv_bn(inside)
    for expr in list(graph._exprs):
        if not is_call_module(expr) or not _frozen(expr.inputs[0].owner, (BatchNorm1d, BatchNorm2d)):
            continue
        source = expr.inputs[1]
        call = source.expr
        if not is_call_module(call) or not _frozen(call.inputs[0].owner, (Conv1d, Conv2d)):
            continue
        conv, bn = call.inputs[0], expr.inputs[0]
        alone = len(source.users) == 1 and all(source is not out for out in graph.outputs)
        if not alone or len(conv.users) > 1 or not isinstance(conv.expr, GetAttr) or not bn.owner.track_running_stats:
            continue
        assign_attr(_fused(conv.owner, bn.owner), graph._module, conv.expr.name)
        graph.replace_node({expr.outputs[0]: source})
    graph.compile()


_PASSES = {"FuseConvBn": fuse_conv_bn}


def optimize(module: TracedModule, enabled_pass: List[str] = ["FuseConvBn"]) -> TracedModule:
    """A copy of a traced module that computes the same with less work.

    Args:
        module: the traced module.
        enabled_pass: names of the rewrites: ``FuseConvBn`` folds normalizations that do not train into convolutions.

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
    new = copy.deepcopy(module)
    for name in names:
        for graph in new.argdef_graph_map.values():
            _PASSES[name](graph)
    return new
