"""AdamW."""

from typing import Iterable, Tuple, Union

from ..tensor import Parameter
from .adam import Adam, adam_delta
from .optimizer import live


class AdamW(Adam):
    """:class:`Adam` with the weight decay added to the step instead of the gradient.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: how much of the two means is kept.
        eps: added to the denominator.
        weight_decay: times the parameter, is added to the step.

    Examples:
        >>> import megalith as mge
        >>> from megalith.autodiff import GradManager
        >>> from megalith.optimizer import AdamW
        >>> w = mge.Parameter([1.0, 2.0])
        >>> gm, optimizer = GradManager().attach([w]), AdamW([w], lr=0.1)
        >>> with gm:
        ...     gm.backward((w**2).sum())
        >>> _ = optimizer.step().clear_grad()
        >>> bool((w.numpy() < [1, 2]).all())
        True
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
            param -= delta * live(lr)
