"""Adadelta."""

from typing import Iterable, Union

from .._errors import require
from ..functional._compose import elwise
from ..tensor import Parameter
from .optimizer import Optimizer, check_settings, f32, live, rest


class Adadelta(Optimizer):
    """Adadelta: scales gradients by the ratio of the running roots of squared steps and squared gradients.

    Args:
        params: Parameters or groups of them.
        lr: what steps are multiplied by.
        rho: how much of the running means is kept.
        eps: added to both means.
        weight_decay: times the parameter, is added to its gradient.

    Examples:
        >>> import megalith as mge
        >>> from megalith.autodiff import GradManager
        >>> from megalith.optimizer import Adadelta
        >>> w = mge.Parameter([1.0, 2.0])
        >>> gm, optimizer = GradManager().attach([w]), Adadelta([w], lr=1.0)
        >>> with gm:
        ...     gm.backward((w**2).sum())
        >>> _ = optimizer.step().clear_grad()
        >>> bool((w.numpy() < [1, 2]).all())
        True
    """

    def __init__(
        self,
        params: Union[Iterable[Parameter], dict],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ):
        check_settings(lr=lr, eps=eps, weight_decay=weight_decay)
        require(0.0 <= rho <= 1.0, f"rho is {rho}, expected a number in [0, 1]")
        super().__init__(params, dict(lr=lr, rho=rho, eps=eps, weight_decay=weight_decay))
        self._disable_type_convert = True

    def _create_state(self, param_group):
        for param in param_group["params"]:
            self._add_state(param, "square_avg")
            self._add_state(param, "acc_delta")
            self._add_state(param, "step", initializer=0.0)

    def _updates(self, param_group):
        lr, rho, eps, decay = (float(param_group[k]) for k in ("lr", "rho", "eps", "weight_decay"))
        rho = f32(rho)
        for param in param_group["params"]:
            grad = param.grad
            if grad is None:
                continue
            states = self._state[param]
            step = states["step"]
            step += 1.0
            if decay != 0.0:
                grad = grad + param * decay
            square = rho * states["square_avg"] + rest(rho) * elwise("POW", grad, 2.0)
            root = elwise("POW", square + eps, 0.5)
            delta = elwise("POW", states["acc_delta"] + eps, 0.5) / root * grad
            param -= live(lr) * delta
            states["square_avg"]._reset(square)
            states["acc_delta"]._reset(rho * states["acc_delta"] + rest(rho) * elwise("POW", delta, 2.0))
