"""AdamW."""

from typing import Iterable, Tuple, Union

from ..tensor import Parameter
from .adam import Adam, adam_delta


class AdamW(Adam):
    """:class:`Adam` with the weight decay added to the step instead of the gradient.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: how much of the two means is kept.
        eps: added to the denominator.
        weight_decay: times the parameter, is added to the step.
    """

    def __init__(
        self,
        params: Union[Iterable[Parameter], dict],
        lr: float,
        betas: Tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(params, lr, betas, eps, weight_decay)

    def _updates(self, param_group):
        lr, decay, eps = (float(param_group[k]) for k in ("lr", "weight_decay", "eps"))
        for param in param_group["params"]:
            if param.grad is None:
                continue
            delta = adam_delta(self._state[param], param.grad, param_group["betas"], eps)
            if decay != 0.0:
                delta = delta + param * decay
            param -= delta * lr
