"""Normalizations that do not depend on the batch."""

from typing import Sequence

import numpy as np

from .._errors import require
from ..functional.nn import general_norm, group_norm, instance_norm, layer_norm
from ..tensor import Parameter
from .init import ones_, zeros_
from .module import Module


class _Norm(Module):
    """Weight and bias of a shape, if affine."""

    def _create(self, shape, eps, affine):
        self.eps = eps
        self.affine = affine
        self.weight = Parameter(np.ones(shape, dtype=np.float32)) if affine else None
        self.bias = Parameter(np.zeros(shape, dtype=np.float32)) if affine else None

    def reset_parameters(self):
        """Weight 1, bias 0."""
        if self.affine:
            ones_(self.weight)
            zeros_(self.bias)


class GroupNorm(_Norm):
    """Normalizes groups of channels of every image.

    Args:
        num_groups: number of groups, which divides the number of channels.
        num_channels: number of channels.
        eps: added to the variance.
        affine: whether to multiply by a weight and add a bias per channel.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> M.GroupNorm(1, 2)(mge.Tensor([[[[1.0]], [[3.0]]]])).numpy().ravel().round(3)
        array([-1.,  1.], dtype=float32)
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, **kwargs):
        super().__init__(**kwargs)
        require(num_channels % num_groups == 0, f"GroupNorm: {num_groups} groups don't divide {num_channels} channels")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self._create(num_channels, eps, affine)

    def forward(self, x):
        return group_norm(x, self.num_groups, self.affine, self.weight, self.bias, self.eps)

    def _module_info_string(self) -> str:
        return f"groups={self.num_groups}, channels={self.num_channels}, eps={self.eps}, affine={self.affine}"


class InstanceNorm(_Norm):
    """Normalizes every channel of every image; arguments as in :class:`GroupNorm`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((2, 3, 4, 4), "float32"))
        >>> M.InstanceNorm(3)(x).shape
        (2, 3, 4, 4)
    """

    def __init__(self, num_channels, eps=1e-5, affine=True, **kwargs):
        super().__init__(**kwargs)
        self.num_channels = num_channels
        self._create(num_channels, eps, affine)

    def forward(self, x):
        return instance_norm(x, self.affine, self.weight, self.bias, self.eps)

    def _module_info_string(self) -> str:
        return f"channels={self.num_channels}, eps={self.eps}, affine={self.affine}"


class LayerNorm(_Norm):
    """Normalizes over the last axes.

    Args:
        normalized_shape: size of these axes, an int or a sequence.
        eps: added to the variance.
        affine: whether to multiply by a weight and add a bias of this shape.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> M.LayerNorm(2)(mge.Tensor([[1.0, 3.0]])).numpy().round(3)
        array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, normalized_shape, eps=1e-05, affine=True, **kwargs):
        super().__init__(**kwargs)
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self._create(self.normalized_shape, eps, affine)

    def forward(self, x):
        return layer_norm(x, self.normalized_shape, self.affine, self.weight, self.bias, self.eps)

    def _module_info_string(self) -> str:
        return f"normalized_shape={self.normalized_shape}, eps={self.eps}, affine={self.affine}"


class GeneralNorm(_Norm):
    """Normalizes over any axes.

    Args:
        normalized_shape: sizes of the axes; needed if ``affine``.
        normalized_axis: an axis or ascending axes.
        eps: added to the variance.
        affine: whether to multiply by a weight and add a bias of this shape.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((4, 2, 3), "float32"))
        >>> M.GeneralNorm((2, 3), (1, 2))(x).shape
        (4, 2, 3)
    """

    def __init__(self, normalized_shape=None, normalized_axis=0, eps=1e-5, affine=True, **kwargs):
        super().__init__(**kwargs)
        if affine:
            require(normalized_shape is not None, "GeneralNorm: normalized_shape must be specified when affine is true")
            require(normalized_axis is not None, "GeneralNorm: normalized_axis must be specified when affine is true")
        if normalized_shape is not None and not isinstance(normalized_shape, Sequence):
            normalized_shape = [normalized_shape]
        if not isinstance(normalized_axis, Sequence):
            normalized_axis = [normalized_axis]
        if affine:
            fits = len(normalized_axis) == len(normalized_shape) and len(set(normalized_axis)) == len(normalized_axis)
            require(fits, f"GeneralNorm: normalized_axis is {normalized_axis}, normalized_shape {normalized_shape}")
        self._create(normalized_shape if affine else (), eps, affine)
        self.normalized_shape = normalized_shape
        self.normalized_axis = normalized_axis

    def forward(self, x):
        self.normalized_axis = [a + x.ndim if a < 0 else a for a in self.normalized_axis]
        if self.normalized_shape is not None:
            sizes = [int(x._tuple_shape[a]) for a in self.normalized_axis]
            require(
                sizes == list(self.normalized_shape),
                f"GeneralNorm: inp has shape {x._tuple_shape}, so axes {self.normalized_axis} have sizes {sizes}, "
                f"expected {self.normalized_shape}",
            )
        return general_norm(x, self.normalized_axis, self.affine, self.weight, self.bias, self.eps)

    def _module_info_string(self) -> str:
        return (
            f"normalized_shape={self.normalized_shape}, normalized_axis={self.normalized_axis}, eps={self.eps}, "
            f"affine={self.affine}"
        )
