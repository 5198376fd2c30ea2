"""Batch normalization."""

from typing import Optional

import numpy as np

from .._errors import ArgumentError, require
from ..functional._compose import expand_dims, squeeze
from ..functional.nn import batch_norm, sync_batch_norm
from ..tensor import Parameter, Tensor
from . import init
from .module import Module


class _BatchNorm(Module):
    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.9,
        affine=True,
        track_running_stats=True,
        freeze=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._track_running_stats_saved = track_running_stats
        self.freeze = freeze
        require(track_running_stats or not freeze, "a frozen BatchNorm needs track_running_stats")
        shape = (1, num_features, 1, 1)
        self.weight = Parameter(np.ones(shape, dtype=np.float32)) if affine else None
        self.bias = Parameter(np.zeros(shape, dtype=np.float32)) if affine else None
        self.running_mean = Tensor(np.zeros(shape, dtype=np.float32)) if track_running_stats else None
        self.running_var = Tensor(np.ones(shape, dtype=np.float32)) if track_running_stats else None

    def reset_running_stats(self) -> None:
        """Running mean 0, running variance 1."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)

    def reset_parameters(self) -> None:
        """Statistics, weight and bias as at first."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def _check_input_ndim(self, inp):
        raise NotImplementedError

    def _factor(self):
        return self.momentum if self.training and self.track_running_stats else 0.0

    def forward(self, inp):
        self._check_input_ndim(inp)
        require(
            self._track_running_stats_saved or not self.track_running_stats,
            "track_running_stats can not be initialized to False and changed to True later",
        )
        weight, bias = self.weight, self.bias
        if self.freeze:
            scale = (self.running_var + self.eps) ** -0.5
            if weight is not None:
                scale = scale * weight.detach()
            shift = -self.running_mean * scale
            if bias is not None:
                shift = shift + bias.detach()
            if inp.ndim != 4:
                added = list(range(inp.ndim, 4))
                return squeeze(expand_dims(inp, added) * scale + shift, added)
            return inp * scale + shift
        tracked = self.track_running_stats
        return batch_norm(
            inp,
            self.running_mean if tracked else None,
            self.running_var if tracked else None,
            weight,
            bias,
            training=self.training or (self.running_mean is None and self.running_var is None),
            momentum=self._factor(),
            eps=self.eps,
        )

    def _module_info_string(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class SyncBatchNorm(_BatchNorm):
    """:class:`BatchNorm2d` whose statistics are those of all processes of a group.

    Args:
        group: the processes; there is one.
        num_features, eps, momentum, affine, track_running_stats, freeze: as in :class:`BatchNorm2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((2, 3, 4, 4), "float32"))
        >>> M.SyncBatchNorm(3)(x).shape
        (2, 3, 4, 4)
    """

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.9,
        affine=True,
        track_running_stats=True,
        freeze=False,
        group: Optional["Group"] = None,  # noqa: F821
        **kwargs,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, freeze, **kwargs)
        self.group = group

    def _check_input_ndim(self, inp):
        if inp.ndim not in (2, 3, 4):
            raise ArgumentError(f"expected 2D, 3D or 4D input (got {inp.ndim}D input)")

    def forward(self, inp):
        self._check_input_ndim(inp)
        weight, bias = self.weight, self.bias
        if self.freeze:
            weight = None if weight is None else weight.detach()
            bias = None if bias is None else bias.detach()
        training = (self.training and not self.freeze) or (self.running_mean is None and self.running_var is None)
        return sync_batch_norm(inp, self.running_mean, self.running_var, weight, bias, training=training,
                               momentum=self._factor(), eps=self.eps, group=self.group)  # fmt: skip


class BatchNorm1d(_BatchNorm):
    """Normalizes features of shape `(N, C)` or `(N, C, L)`; arguments as in :class:`BatchNorm2d`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((4, 3), "float32"))
        >>> M.BatchNorm1d(3)(x).shape
        (4, 3)
    """

    def _check_input_ndim(self, inp):
        if inp.ndim not in (2, 3):
            raise ArgumentError(f"expected 2D or 3D input (got {inp.ndim}D input)")


class BatchNorm2d(_BatchNorm):
    """Normalizes channels of images of shape `(N, C, H, W)` by statistics of the batch, in evaluation by running ones.

    Args:
        num_features: number of channels.
        eps: added to the variance.
        momentum: how much of the old running statistics is kept.
        affine: whether to multiply by a weight and add a bias per channel.
        track_running_stats: whether there are running statistics.
        freeze: whether to always use them, and to leave weight and bias without gradients.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> m = M.BatchNorm2d(1)
        >>> m(mge.Tensor([[[[1.0, 3.0]]]])).numpy().round(3)
        array([[[[-1.,  1.]]]], dtype=float32)
        >>> m.running_mean.numpy().round(3)
        array([[[[0.2]]]], dtype=float32)
    """

    def _check_input_ndim(self, inp):
        if inp.ndim != 4:
            raise ArgumentError(f"expected 4D input (got {inp.ndim}D input)")
