"""GradScaler."""

from typing import Iterable, List, Union

from .. import _core, _ops
from ..autodiff import GradManager
from ..tensor import Tensor


class GradScaler:
    """Multiplies losses so that small gradients survive in float16, and divides gradients again.

    Steps whose gradients are not finite are left out, and the scale is lowered; it grows again after a while.

    Args:
        init_scale: first scale.
        growth_factor: what the scale is multiplied by when it grows.
        backoff_factor: what it is multiplied by when gradients were not finite.
        growth_interval: steps with finite gradients before it grows; 0 never looks at gradients.

    Examples:
        >>> import megalith as mge
        >>> from megalith.autodiff import GradManager
        >>> w = mge.Parameter([2.0])
        >>> gm, scaler = GradManager().attach(w), mge.amp.GradScaler()
        >>> with gm:
        ...     scaler.backward(gm, (w * w).sum())
        >>> w.grad
        Tensor([4.], device=xpux:0)
    """

    def __init__(
        self,
        init_scale: float = 2.0**4,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ):
        self.scale_factor = float(init_scale)
        self.growth_factor = float(growth_factor)
        self.backoff_factor = float(backoff_factor)
        self.growth_interval = growth_interval
        self._growth_tracker = 0
        self._found_non_finite = False

    def backward(
        self,
        gm: GradManager,
        y: Union[Tensor, List[Tensor]] = None,
        dy: Union[Tensor, List[Tensor]] = None,
        *,
        unscale_grad: bool = True,
        update_scale: bool = "if_unscale_grad",
    ):
        """:meth:`GradManager.backward` of a scaled loss.

        Args:
            gm: the manager that records.
            y, dy: as in :meth:`GradManager.backward`.
            unscale_grad: whether to call :meth:`unscale` afterwards.
            update_scale: whether to call :meth:`update` after that.
        """
        ys = [] if y is None else list(y) if isinstance(y, (tuple, list)) else [y]
        if dy is None:
            dys = [_core.full_like(one, self.scale_factor)._with_scalar(one._scalar) for one in ys]
        else:
            dys = [one * self.scale_factor for one in (dy if isinstance(dy, (tuple, list)) else [dy])]
        gm.backward(y=ys, dy=dys)
        if unscale_grad:
            self.unscale(gm.attached_tensors())
            if update_scale:
                self.update()

    def unscale(self, grad_tensors: Iterable[Tensor]):
        """Divides gradients by the scale; forgets them if one is not finite.

        Args:
            grad_tensors: tensors with or without gradients.

        Returns:
            This scaler.
        """
        tensors = [t for t in grad_tensors if t is not None and getattr(t, "grad", None) is not None]
        if self.growth_interval == 0:
            for tensor in tensors:
                tensor.grad *= 1.0 / self.scale_factor
        elif self._check_gradients([t.grad for t in tensors], 1.0 / self.scale_factor):
            self._found_non_finite = True
            for tensor in tensors:
                tensor.grad = None
        return self

    def _check_gradients(self, grads, scale) -> bool:
        """Multiplies gradients; whether one is not finite."""
        if not grads:
            return False
        *scaled, found = _ops.CheckNonFinite(*grads, scale=scale)
        for grad, new in zip(grads, scaled):
            grad._reset(new._with_scalar(grad._scalar))
        return bool(found.numpy().any())

    def update(self, new_scale: float = None):
        """Changes the scale after a step.

        Args:
            new_scale: the new scale; by default it falls or grows.
        """
        if self.growth_interval == 0:
            return
        if new_scale is not None:
            self.scale_factor = float(new_scale)
        elif self._found_non_finite:
            self.scale_factor *= self.backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker >= self.growth_interval:
                self.scale_factor *= self.growth_factor
                self._growth_tracker = 0
        self._found_non_finite = False

    def state_dict(self):
        """Scale and settings."""
        names = ("scale_factor", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state):
        """Takes over a :meth:`state_dict`."""
        for name in self.state_dict():
            setattr(self, name, state[name])
