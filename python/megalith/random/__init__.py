"""Random tensors."""

from .._missing import module_getattr as _module_getattr
from .rng import RNG, beta, gamma, normal, permutation, poisson, seed, shuffle, uniform

__all__ = ["RNG", "beta", "gamma", "normal", "permutation", "poisson", "seed", "uniform", "shuffle"]

__getattr__ = _module_getattr(__name__)
