"""Batch normalizations folded into the layer before them."""

import copy

from .. import module as M
from ..tensor import Parameter


def fold_weight_bias(weight, bias, gamma, beta, bn_mean, bn_var, eps=1e-05, transpose=False):
    """Weight and bias of a layer that computes what it and a normalization after it compute.

    Args:
        weight, bias: of the layer; the bias may be None.
        gamma, beta, bn_mean, bn_var, eps: of the normalization.
        transpose: whether output channels are the weight's axis 1 (2 with groups), as in transposed convolutions.
    """
    shape = (1, -1, 1, 1) if bn_mean.ndim == 4 else (1, -1)
    mean, var = bn_mean.reshape(-1), bn_var.reshape(-1)
    scale = (var + eps) ** -0.5
    if gamma is not None:
        scale = scale * gamma.reshape(-1)
    shift = -mean * scale if beta is None else beta.reshape(-1) - mean * scale
    if bias is not None:
        shift = shift + bias.reshape(-1) * scale
    if weight.ndim == 5:  # groups first
        groups = weight.shape[0]
        form = (groups, 1, -1, 1, 1) if transpose else (groups, -1, 1, 1, 1)
    elif weight.ndim == 4:
        form = (1, -1, 1, 1) if transpose else (-1, 1, 1, 1)
    else:
        form = (-1, 1)
    return weight * scale.reshape(form), shift.reshape(shape if weight.ndim > 2 else (-1,))


def _fused(layer, bn, relu):
    module = copy.deepcopy(layer)
    weight, bias = fold_weight_bias(
        layer.weight, layer.bias, bn.weight, bn.bias, bn.running_mean, bn.running_var, bn.eps
    )
    module.weight, module.bias = Parameter(weight), Parameter(bias)
    return module if relu is None else M.Sequential(module, relu)


def fuse_conv_bn_relu_module(conv: M.Conv2d, bn: M.BatchNorm2d, relu: M.ReLU):
    """A convolution that computes what it, a normalization and perhaps a ReLU compute; for inference."""
    module = _fused(conv, bn, None)
    if relu is None:
        return module
    fused = M.ConvRelu2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups,
        bias=True, conv_mode=conv.conv_mode, compute_mode=conv.compute_mode, padding_mode=conv.padding_mode,
    )  # fmt: skip
    fused.weight, fused.bias = module.weight, module.bias
    fused.training = conv.training
    return fused


def fuse_linear_bn_relu_module(linear: M.Linear, bn: M.BatchNorm1d, relu: M.ReLU):
    """A linear layer that computes what it, a normalization and perhaps a ReLU compute; for inference."""
    return _fused(linear, bn, relu)
