"""Random tensors: shapes and types as MegEngine's, reproducible streams, distributions."""

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
import megalith.random as rand


def test_shapes_and_types_are_megengines():
    lam = mge.Tensor([[1.0, 2.0]])
    assert rand.uniform().shape == rand.normal().shape == rand.gamma(2).shape == rand.beta(2, 1).shape == (1,)
    assert rand.poisson(2).shape == (1,)
    assert rand.uniform(size=(0, 2)).shape == (0, 2)
    assert rand.uniform(size=mge.Tensor([2, 3])).shape == (2, 3)
    assert rand.gamma(2, size=3).shape == (3,) and rand.gamma(2, size=()).shape == (1,)
    assert rand.gamma(mge.Tensor([1.0, 2.0]), size=(3,)).shape == (3, 2)
    assert rand.gamma(mge.Tensor([[1.0], [2.0]]), mge.Tensor([1.0, 2.0, 3.0])).shape == (2, 3)
    assert rand.poisson(lam, size=(2,)).shape == (2, 1, 2)
    assert rand.permutation(5).dtype == np.int32 and rand.permutation(0).shape == (0,)
    for dtype in ("int16", "float32"):
        assert rand.permutation(5, dtype=dtype).dtype == np.dtype(dtype)


def test_refusals():
    for call in (
        lambda: rand.uniform(1, 1),
        lambda: rand.gamma(-1),
        lambda: rand.permutation(-1),
        lambda: rand.permutation(5.0),
        lambda: rand.permutation(mge.Tensor(np.zeros((0, 2)))),
        lambda: rand.gamma(mge.Tensor([1.0, 2.0]), mge.Tensor([1.0, 2.0, 3.0])),
        lambda: rand.normal(size=(-1,)),
    ):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(TypeError):
        rand.uniform(size=3)
    with pytest.raises(TypeError):
        rand.seed("1")


def draws():
    x = mge.Tensor(np.arange(50))
    rand.shuffle(x)
    layer = M.Linear(5, 5)
    ones = mge.Tensor(np.ones(50, "float32"))
    results = [
        rand.uniform(size=(4,)),
        rand.normal(size=(4,)),
        rand.permutation(9),
        x,
        layer.weight,
        F.dropout(ones, 0.5),
    ]
    return [r.numpy() for r in results]


def test_a_seed_makes_everything_reproducible():
    rand.seed(3)
    first = draws()
    second = draws()
    rand.seed(3)
    third = draws()
    rand.seed(4)
    fourth = draws()
    for a, b, c, d in zip(first, second, third, fourth):
        np.testing.assert_array_equal(a, c)
        assert (a != b).any() and (a != d).any()


def test_streams_of_their_own():
    a, b = rand.RNG(seed=100), rand.RNG(seed=100)
    x = [a.uniform(size=(5,)).numpy() for _ in range(3)]
    rand.seed(1)
    y = []
    for _ in range(3):
        rand.normal(size=(7,))
        y.append(b.uniform(size=(5,)).numpy())
    np.testing.assert_array_equal(x, y)
    assert (x[0] != x[1]).all() and (rand.RNG(seed=0).uniform(size=(5,)).numpy() != x[0]).all()
    rand.seed(1)
    before = rand.normal(size=(3,)).numpy()
    rand.seed(1)
    rand.RNG(seed=5).uniform()
    np.testing.assert_array_equal(rand.normal(size=(3,)).numpy(), before)


def test_distributions():
    rng, n = rand.RNG(seed=1), 40000
    for draw, mean, var in (
        (rng.uniform(-1, 3, (n,)), 1, 16 / 12),
        (rng.normal(2, 3, (n,)), 2, 9),
        (rng.gamma(2, 3, (n,)), 6, 18),
        (rng.gamma(0.5, 1, (n,)), 0.5, 0.5),
        (rng.beta(2, 3, (n,)), 0.4, 0.04),
        (rng.poisson(4, (n,)), 4, 4),
    ):
        a = draw.numpy().astype("float64")
        assert abs(a.mean() - mean) < 5 * np.sqrt(var / n)
        assert abs(a.var() - var) < 0.06 * var
    rows = mge.Tensor(np.arange(300).reshape(100, 3))
    p = rng.permutation(rows).numpy()
    assert (p[:, 1] == p[:, 0] + 1).all() and sorted(p[:, 0]) == list(range(0, 300, 3)) and p[0, 0] != 0
