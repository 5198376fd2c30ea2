"""Gradients of the functional API and of indexing against finite differences."""

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
from megalith import _core

RNG = np.random.RandomState(3)
X = RNG.uniform(0.3, 0.9, (3, 4)).astype(np.float32)
Y = RNG.uniform(0.3, 0.9, (3, 4)).astype(np.float32)
MASK = X > 0.6


def setitem(index):
    return lambda x, y: _core.setitem(x, index, y[index] * 2)


CALLS = {
    "int": lambda x, y: x[1] * y[-1],
    "element": lambda x, y: x[1, 2] * y[0, 0],
    "slice": lambda x, y: x[::2, 1:3] * y[1:, -2:],
    "backwards": lambda x, y: x[::-1] * y,
    "none": lambda x, y: x[:, None, 1] * y[0],
    "vector": lambda x, y: x[[0, 2, 0], [1, 1, 1]] * y[0, 0],
    "rows": lambda x, y: x[[0, 0]] * y[:2],
    "mixed": lambda x, y: x[1:, [0, 3]] * y[:2, :2],
    "mask": lambda x, y: x[MASK] * y[MASK],
    "row_mask": lambda x, y: x[[True, False, True]] * y[:2],
    "set_int": setitem(1),
    "set_slice": setitem((slice(None), slice(1, 3))),
    "set_vector": setitem(([0, 2], [1, 3])),
    "set_mask": lambda x, y: _core.setitem(x, MASK, y[MASK]),
    "set_broadcast": lambda x, y: _core.setitem(x, (slice(None), 0), y[0, 0]),
    "reshape": lambda x, y: F.reshape(x, (2, -1)) * F.reshape(y, (2, 6)),
    "transpose": lambda x, y: F.matmul(x.T, y),
    "broadcast": lambda x, y: F.broadcast_to(x[0], (3, 4)) * y,
    "squeeze": lambda x, y: F.squeeze(F.expand_dims(x, 1)) * y,
    "concat": lambda x, y: F.concat([x, y, x], 1) ** 2,
    "stack": lambda x, y: F.stack([x, y], 1) ** 2,
    "split": lambda x, y: F.split(x, [1, 2], 1)[2] * y[:, :2],
    "where": lambda x, y: F.where(mge.Tensor(MASK), x * x, y),
    "gather": lambda x, y: F.gather(x, 1, mge.Tensor([[0, 0], [1, 2], [3, 0]])) * y[:, :2],
    "cond_take": lambda x, y: F.cond_take(mge.Tensor(MASK), x)[0] * 3 + y.sum(),
    "sum": lambda x, y: F.sum(x, 1, True) * y,
    "mean": lambda x, y: F.mean(x) * y,
    "prod": lambda x, y: F.prod(x, 0) * y,
    "max": lambda x, y: F.max(x, 1) * F.min(y, 1),
    "var": lambda x, y: F.var(x, 1) + F.std(y, 1),
    "norm": lambda x, y: F.norm(x, axis=0) * F.norm(y, ord=3, axis=0),
    "normalize": lambda x, y: F.normalize(x, axis=1) * y,
    "sort": lambda x, y: F.sort(x)[0] * y,
    "topk": lambda x, y: F.topk(x, 2)[0] * y[:, :2],
    "cumsum": lambda x, y: F.cumsum(x, 1) * y,
    "roll": lambda x, y: F.roll(x, 1, 0) * y,
    "repeat": lambda x, y: F.repeat(x, 2, 0)[:3] * y,
    "tile": lambda x, y: F.tile(x, (2, 1))[2:5] * y,
    "diag": lambda x, y: F.diag(x) * y[:, 0],
    "dot": lambda x, y: F.dot(x[0], y[1]),
    "matmul": lambda x, y: F.matmul(x, y, transpose_b=True),
    "batched": lambda x, y: F.matmul(F.broadcast_to(x, (2, 3, 4)), y.reshape(4, 3)),
    "matinv": lambda x, y: F.matinv(x[:, :3] + mge.Tensor(np.eye(3, dtype="float32"))) * y[:, :3],
    "clip": lambda x, y: F.clip(x, 0.4, 0.7) * y,
    "maximum": lambda x, y: F.maximum(x, y) * F.minimum(x, y),
    "pow": lambda x, y: x**y,
    "atan2": lambda x, y: F.atan2(x, y),
    "comparison": lambda x, y: (x < 0.6).astype("float32") * y + (x < 0.6).sum() + F.isnan(x).astype("float32"),
    "logaddexp": lambda x, y: F.logaddexp(x, y),
    "div": lambda x, y: x / y - y / 2,
}
for name in ("abs acos asin atan asinh atanh cos cosh exp expm1 log log1p sin sinh sqrt square tan tanh neg").split():
    CALLS[name] = (lambda f: lambda x, y: f(x) * y)(getattr(F, name))


@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_finite_differences(name):
    f = CALLS[name]
    x, y = mge.Tensor(X), mge.Tensor(Y)
    weight = None
    tape = _core.Tape()
    tape.watch(x)
    tape.watch(y)
    out = f(x, y)
    weight = mge.Tensor(RNG.uniform(0.5, 1.5, out.shape).astype("float32"))
    grads = tape.gradients([out], [weight], [x, y])
    tape.release()

    def loss(a, b):
        return float((f(mge.Tensor(a), mge.Tensor(b)).numpy().astype("float64") * weight.numpy()).sum())

    step = 1e-3
    for k, g in enumerate(grads):
        want = np.zeros_like(X)
        for i in np.ndindex(X.shape):
            hi, lo = [X.copy(), Y.copy()], [X.copy(), Y.copy()]
            hi[k][i] += step
            lo[k][i] -= step
            want[i] = (loss(*hi) - loss(*lo)) / (2 * step)
        got = np.zeros_like(X) if g is None else g.numpy()
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=2e-2, atol=4e-3)
