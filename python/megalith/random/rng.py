"""Random tensors, drawn by the core's random ops."""

import time
from collections.abc import Iterable
from typing import Optional, Union

import numpy as np

from .. import _core
from .._errors import ArgumentError, ArgumentTypeError, require
from ..core.tensor.dtype import to_native
from ..device import as_device
from ..functional._compose import int_vector
from ..tensor import Tensor

__all__ = ["seed", "RNG", "uniform", "normal", "gamma", "beta", "poisson", "permutation", "shuffle"]

_MASK = (1 << 64) - 1
apply = _core.apply
_host_rng = None
_seed = 0  # what seed() was called with


def _mixed(x: int) -> int:
    """A number of 64 bits that all bits of ``x`` went into (splitmix64)."""
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def _parameters(op, size, **values):
    """The parameters of a distribution as float32 tensors of the result's shape."""
    tensors = []
    for name, value in values.items():
        if not isinstance(value, _core.TensorBase):
            require(value > 0, f"{op}: {name} is {value}, expected a number above 0")
            value = Tensor(value, dtype="float32")
        tensors.append(value)
    shapes = [tuple(t._tuple_shape) for t in tensors]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        require(False, f"{op}: parameters of shapes {', '.join(map(str, shapes))} don't broadcast")
    if isinstance(size, (int, np.integer)) and size != 0:
        size = (size,)
    if isinstance(size, Iterable):
        shape = tuple(int(n) for n in size) + shape
    if shape == ():
        return [t._with_scalar(False) for t in tensors]
    return [t if tuple(t._tuple_shape) == shape else t._broadcast(shape) for t in tensors]


def _size(size):
    if isinstance(size, (int, np.integer)):
        raise ArgumentTypeError(f"size is {size}, expected a shape")
    return int_vector((1,) if size is None else size)


class _Stream:
    """Seeds that follow from one."""

    def __init__(self, seed: int):
        self.seed = int(seed) & _MASK
        self.draws = 0

    def next_seed(self) -> int:
        """The next one; never 0, which stands for the stream that all share."""
        self.draws += 1
        return _mixed(_mixed(self.seed) ^ self.draws) or 1


_streams = {}  # by handle


def new_stream(seed: int) -> int:
    """The handle of a new stream."""
    handle = max(_streams, default=0) + 1
    _streams[handle] = _Stream(seed)
    return handle


def stream(handle: int) -> _Stream:
    """The stream of a handle."""
    if handle not in _streams:
        raise ArgumentError(f"there is no random number generator with the handle {handle}")
    return _streams[handle]


def delete_stream(handle: int):
    """Forgets a stream."""
    stream(handle)
    del _streams[handle]


class RNG:
    """Draws random tensors.

    Args:
        seed: start of a stream of this object's own; without one it draws from the stream that :func:`seed` restarts.
        device: device of the tensors.

    Examples:
        >>> import megalith.random as rand
        >>> a, b = rand.RNG(seed=100), rand.RNG(seed=100)
        >>> bool((a.uniform(size=(2, 2)) == b.uniform(size=(2, 2))).numpy().all())
        True
    """

    def __init__(self, seed: int = None, device: str = None):
        if device is not None:
            as_device(device)
        if seed is not None and (not isinstance(seed, (int, np.integer)) or seed < 0):
            raise ArgumentTypeError(f"RNG: seed is {seed!r}, expected a number of at least 0")
        self._device = device
        self._stream = None if seed is None else _Stream(seed)

    def _draw(self, op, *inputs, **params):
        if self._stream is not None:
            params["seed"] = self._stream.next_seed()
        out = apply(_core.Op(op, **params), *inputs)[0]
        if self._device is not None and isinstance(out, Tensor):
            out._device = as_device(self._device)
        return out

    def uniform(self, low: float = 0, high: float = 1, size: Optional[Iterable] = None):
        """Numbers that lie evenly between ``low`` and ``high``.

        Args:
            low: least value.
            high: greatest value.
            size: shape of the result, ``(1,)`` by default.

        Raises:
            ValueError: ``low`` is not less than ``high``.

        Examples:
            >>> import megalith.random as rand
            >>> x = rand.uniform(size=(2, 3))
            >>> x.shape, bool((x <= 1).numpy().all())
            ((2, 3), True)
        """
        require(low < high, f"uniform: low is {low}, not less than high, {high}")
        out = self._draw("UniformRNG", _size(size))
        return out if low == 0 and high == 1 else low + (high - low) * out

    def normal(self, mean: float = 0, std: float = 1, size: Optional[Iterable] = None):
        """Normally distributed numbers.

        Args:
            mean: their mean.
            std: their standard deviation.
            size: shape of the result, ``(1,)`` by default.

        Examples:
            >>> import megalith.random as rand
            >>> rand.normal(size=(2, 3)).shape
            (2, 3)
        """
        return self._draw("GaussianRNG", _size(size), mean=float(mean), std=float(std))

    def gamma(
        self, shape: Union[Tensor, float], scale: Union[Tensor, float] = 1, size: Optional[Iterable] = None
    ) -> Tensor:
        """Numbers of a gamma distribution.

        Args:
            shape: shape parameter, above 0.
            scale: scale parameter, above 0.
            size: what goes before the broadcast shape of the parameters in the shape of the result.

        Examples:
            >>> import megalith as mge, megalith.random as rand
            >>> rand.gamma(mge.Tensor([[1.0], [10.0]]), mge.Tensor([1.0, 5.0]), size=3).shape
            (3, 2, 2)
        """
        return self._draw("GammaRNG", *_parameters("gamma", size, shape=shape, scale=scale))

    def beta(self, alpha: Union[Tensor, float], beta: Union[Tensor, float], size: Optional[Iterable] = None) -> Tensor:
        """Numbers of a beta distribution.

        Args:
            alpha: first parameter, above 0.
            beta: second parameter, above 0.
            size: what goes before the broadcast shape of the parameters in the shape of the result.

        Examples:
            >>> import megalith.random as rand
            >>> rand.beta(2, 1, size=(2, 2)).shape
            (2, 2)
        """
        return self._draw("BetaRNG", *_parameters("beta", size, alpha=alpha, beta=beta))

    def poisson(self, lam: Union[float, Tensor], size: Optional[Iterable] = None) -> Tensor:
        """Numbers of a Poisson distribution, in the type of ``lam``: float32 for a number.

        Args:
            lam: its mean.
            size: what goes before the shape of ``lam`` in the shape of the result.

        Examples:
            >>> import megalith.random as rand
            >>> rand.poisson(2.0, size=(1, 3)).shape
            (1, 3)
        """
        (mean,) = _parameters("poisson", size, lam=lam)
        return self._draw("PoissonRNG", mean if mean.dtype.kind == "f" else mean.astype("float32")).astype(mean.dtype)

    def permutation(self, n: Union[int, Tensor], *, dtype: str = "int32") -> Tensor:
        """The numbers below ``n`` in random order, or the rows of a tensor in random order.

        Args:
            n: how many numbers, or a tensor.
            dtype: type of the numbers.

        Examples:
            >>> import megalith.random as rand
            >>> sorted(rand.permutation(4).tolist())
            [0, 1, 2, 3]
        """
        if isinstance(n, (int, np.integer)):
            require(n >= 0, f"permutation: n is {n}, expected 0 or more")
            native = to_native(dtype)
            drawn = np.dtype(dtype).name.capitalize() if native[0] in (0, 3, 4) else "Int32"
            return _core.astype(self._draw("PermutationRNG", int_vector((int(n),)), dtype=drawn), native)
        require(isinstance(n, _core.TensorBase), f"permutation: n is a {type(n).__name__}, expected an int or a Tensor")
        return self._shuffled("permutation", n)

    def shuffle(self, inp: Tensor):
        """Brings the rows of ``inp`` into random order, in place.

        Examples:
            >>> import megalith as mge, megalith.random as rand
            >>> x = mge.Tensor([1, 2, 3])
            >>> rand.shuffle(x)
            >>> sorted(x.tolist())
            [1, 2, 3]
        """
        require(isinstance(inp, _core.TensorBase), f"shuffle: inp is a {type(inp).__name__}, expected a Tensor")
        inp._reset(self._shuffled("shuffle", inp))

    def _shuffled(self, name, inp):
        require(
            inp.ndim == 0 or 0 not in tuple(inp._tuple_shape),
            f"{name}: a tensor of shape {inp._tuple_shape} has no elements",
        )
        return self._draw("ShuffleRNG", inp)


_default = RNG()

uniform = _default.uniform
normal = _default.normal
gamma = _default.gamma
beta = _default.beta
poisson = _default.poisson
permutation = _default.permutation
shuffle = _default.shuffle


def _random_seed_generator():
    """Seeds for what draws on the host: data loaders and samplers."""
    while True:
        yield int(_host_rng.integers(1 << 32))


def seed(seed: int):
    """Makes all that follows reproducible: random tensors, initial weights, dropout, samplers without a seed.

    Examples:
        >>> import megalith.random as rand
        >>> rand.seed(7)
        >>> a = rand.normal(size=(3,))
        >>> rand.seed(7)
        >>> bool((rand.normal(size=(3,)) == a).numpy().all())
        True
    """
    global _host_rng, _seed
    if not isinstance(seed, (int, np.integer)):
        raise ArgumentTypeError(f"seed takes an int, not a {type(seed).__name__}")
    require(seed >= 0, f"seed: {seed} is negative")
    _host_rng = np.random.Generator(np.random.MT19937(int(seed)))
    _seed = int(seed)
    _core.seed(_seed & _MASK)


seed(time.time_ns() & 0xFFFFFFFF)
