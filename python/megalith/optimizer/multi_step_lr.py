"""Learning rates that fall at milestones."""

from bisect import bisect_right
from typing import Iterable as Iter

from .._errors import ArgumentError
from .lr_scheduler import LRScheduler
from .optimizer import Optimizer


class MultiStepLR(LRScheduler):
    """Multiplies learning rates by ``gamma`` at every milestone.

    Args:
        optimizer: whose learning rates.
        milestones: ascending epochs.
        gamma: the factor.
        current_epoch: the last epoch; -1 at the beginning.

    Examples:
        >>> import megalith as mge
        >>> opt = mge.optimizer.SGD(mge.Parameter([1.0]), lr=1.0)
        >>> scheduler = mge.optimizer.MultiStepLR(opt, [2])
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> opt.param_groups[0]["lr"]
        0.1
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iter[int],
        gamma: float = 0.1,
        current_epoch: int = -1,
    ):
        if list(milestones) != sorted(milestones):
            raise ArgumentError(f"Milestones should be a list of increasing integers. Got {milestones}")
        self.milestones = milestones
        self.gamma = gamma
        super().__init__(optimizer, current_epoch)

    def state_dict(self):
        """Milestones, factor and epoch."""
        return {key: self.__dict__[key] for key in ("milestones", "gamma", "current_epoch")}

    def load_state_dict(self, state_dict):
        """Takes over a :meth:`state_dict`."""
        for key in ("milestones", "gamma", "current_epoch"):
            if key not in state_dict:
                raise KeyError(f"key '{key}' is not specified in state_dict when loading state dict")
        self.__dict__.update({key: state_dict[key] for key in ("milestones", "gamma", "current_epoch")})

    def get_lr(self):
        """Learning rates of all groups for the current epoch."""
        return [lr * self.gamma ** bisect_right(self.milestones, self.current_epoch) for lr in self.base_lrs]
