"""Adagrad."""

from typing import Iterable, Union

from ..functional._compose import elwise
from ..tensor import Parameter
from .optimizer import Optimizer, check_settings, live


class Adagrad(Optimizer):
    """Adagrad: divides gradients by the root of the sum of their squares so far.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        lr_decay: after `t` steps the learning rate is `lr / (1 + (t - 1) * lr_decay)`.
        eps: added to the sum.
        weight_decay: times the parameter, is added to its gradient.

    Examples:
        >>> import megalith as mge
        >>> from megalith.autodiff import GradManager
        >>> from megalith.optimizer import Adagrad
        >>> w = mge.Parameter([1.0, 2.0])
        >>> gm, optimizer = GradManager().attach([w]), Adagrad([w], lr=0.1)
        >>> with gm:
        ...     gm.backward((w**2).sum())
        >>> _ = optimizer.step().clear_grad()
        >>> bool((w.numpy() < [1, 2]).all())
        True
    """

    def __init__(
        self,
        params: Union[Iterable[Parameter], dict],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ):
        check_settings(lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay)
        super().__init__(params, dict(lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay))
        self._disable_type_convert = True

    def _create_state(self, param_group):
        for param in param_group["params"]:
            self._add_state(param, "square_avg")
            self._add_state(param, "step", initializer=0.0)

    def _updates(self, param_group):
        lr, lr_decay, decay, eps = (float(param_group[k]) for k in ("lr", "lr_decay", "weight_decay", "eps"))
        for param in param_group["params"]:
            grad = param.grad
            if grad is None:
                continue
            step, square = self._state[param]["step"], self._state[param]["square_avg"]
            step += 1.0
            if decay != 0.0:
                grad = grad + param * decay
            square += elwise("POW", grad, 2.0)
            delta = grad / elwise("POW", square + eps, 0.5)
            param -= live(lr) / (1.0 + (step - 1.0) * lr_decay) * delta
