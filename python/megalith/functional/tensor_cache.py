"""Scalars that are used again and again."""

from ..tensor import Tensor

small_tensor_cache = {}


def _scalar(value, dtype, device):
    key = (value, dtype, device)
    if key not in small_tensor_cache:
        small_tensor_cache[key] = Tensor(value, dtype=dtype, device=device)
    return small_tensor_cache[key]


def get_scalar_zero(dtype=None, device=None):
    """0."""
    return _scalar(0, dtype, device)


def get_scalar_zero_point_five(dtype=None, device=None):
    """0.5."""
    return _scalar(0.5, dtype, device)


def get_scalar_one(dtype=None, device=None):
    """1."""
    return _scalar(1, dtype, device)


def get_scalar_two(dtype=None, device=None):
    """2."""
    return _scalar(2, dtype, device)
