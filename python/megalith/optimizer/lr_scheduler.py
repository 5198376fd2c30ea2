"""Learning rates that change with time."""

from abc import ABCMeta

from .._errors import ArgumentTypeError
from .optimizer import Optimizer


class LRScheduler(metaclass=ABCMeta):
    """Sets the learning rate of every group at each :meth:`step`; subclasses say to what.

    Args:
        optimizer: whose learning rates.
        current_epoch: the last epoch; -1 at the beginning.

    Raises:
        TypeError: ``optimizer`` is none.
        KeyError: training goes on, but a group has no ``initial_lr``.
    """

    def __init__(self, optimizer: Optimizer, current_epoch: int = -1):
        if not isinstance(optimizer, Optimizer):
            raise ArgumentTypeError(f"a scheduler takes an Optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.current_epoch = current_epoch
        for i, group in enumerate(optimizer.param_groups):
            if current_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(f"param 'initial_lr' is not specified in param_groups[{i}] when resuming an optimizer")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.step()

    def state_dict(self):
        """What :meth:`load_state_dict` takes; subclasses say what it is."""
        raise NotImplementedError

    def load_state_dict(self, state_dict):
        """Takes over a :meth:`state_dict`."""
        raise NotImplementedError

    def get_lr(self):
        """Learning rates of all groups for the current epoch."""
        raise NotImplementedError

    def step(self, epoch=None):
        """Goes to the next epoch, or to ``epoch``."""
        self.current_epoch = self.current_epoch + 1 if epoch is None else epoch
        for group, lr in zip(self.optimizer.param_groups, self.get_lr()):
            group["lr"] = lr
