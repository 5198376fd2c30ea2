"""Optimizers, learning rate schedules and limits for gradients."""

from .._missing import module_getattr as _module_getattr
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam
from .adamw import AdamW
from .clip_grad import *
from .lamb import LAMB, LAMBFp16
from .lr_scheduler import LRScheduler
from .multi_step_lr import MultiStepLR
from .optimizer import Optimizer
from .sgd import SGD

__getattr__ = _module_getattr(__name__)
