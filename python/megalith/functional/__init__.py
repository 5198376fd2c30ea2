"""Functions of Tensors, under MegEngine's names."""

from .._missing import module_getattr as _module_getattr
from .elemwise import *
from .math import *
from .nn import *
from .tensor import *
from .utils import *

from .vision import remap, warp_affine, warp_perspective  # isort: skip
from . import inplace, loss, metric, nn, quantized, utils, vision  # isort: skip

__getattr__ = _module_getattr(__name__)
