"""Numbers of kernels and strides: one for all axes, or one for each."""

import collections.abc
import functools

from .._errors import require


def get_ndtuple(value, *, n, allow_zero=True):
    """A tuple of ``n`` ints of an int or of ``n`` of them.

    Raises:
        ValueError: the number of ints differs, or one is too small.
    """
    if isinstance(value, collections.abc.Iterable):
        value = tuple(value)
        require(len(value) == n, f"expected {n} numbers, got {value}")
        value = tuple(int(v) for v in value)
    else:
        value = (int(value),) * n
    require(
        min(value) >= (0 if allow_zero else 1), f"expected numbers of at least {0 if allow_zero else 1}, got {value}"
    )
    return value


_single = functools.partial(get_ndtuple, n=1, allow_zero=True)
_pair = functools.partial(get_ndtuple, n=2, allow_zero=True)
_pair_nonzero = functools.partial(get_ndtuple, n=2, allow_zero=False)
_triple = functools.partial(get_ndtuple, n=3, allow_zero=True)
_triple_nonzero = functools.partial(get_ndtuple, n=3, allow_zero=False)
_quadruple = functools.partial(get_ndtuple, n=4, allow_zero=True)
