import gc

import numpy as np
import pytest

import megalith as mge
from megalith import _ops
from megalith.autodiff import Function, GradManager


def test_gradients_accumulate_until_cleared():
    x = mge.Tensor([1.0, 2.0])
    gm = GradManager().attach([x])
    for _ in range(2):
        with gm:
            gm.backward(x * x)
    np.testing.assert_allclose(x.grad.numpy(), [4, 8])


def test_backward_needs_a_record():
    x = mge.Tensor([1.0])
    gm = GradManager().attach(x)
    with pytest.raises(RuntimeError, match="no computation history"):
        gm.backward(x * 2)
    with gm:
        with pytest.raises(RuntimeError, match="already recording"):
            gm.record()
        gm.backward(x * 2)


def test_callbacks_run_in_order():
    x = mge.Tensor([1.0])
    gm = GradManager().attach(x, callbacks=[lambda t, g: g + 1, lambda t, g: g * 10])
    with gm:
        gm.backward(x * 2)
    assert x.grad.item() == 30


def test_second_order():
    x = mge.Tensor([2.0])
    outer, inner = GradManager().attach(x), GradManager().attach(x)
    with outer:
        with inner:
            inner.backward(x * x * x)
        first, x.grad = x.grad, None
        outer.backward(first)
    assert first.item() == 12 and x.grad.item() == 12


def test_a_dead_tensor_is_forgotten():
    x = mge.Tensor([1.0])
    gm = GradManager().attach(x)
    del x
    gc.collect()
    assert gm.attached_tensors() == []


def test_function():
    class Sine(Function):
        def forward(self, x, scale):
            self.x = x
            return _ops.Elemwise(x, mode="SIN"), x

        def backward(self, dy, dx):
            assert dx is None  # nothing was computed from that result
            return dy * _ops.Elemwise(self.x, mode="COS"), None

    x = mge.Tensor([0.5, 1.0])
    gm = GradManager().attach(x)
    with gm:
        y, _ = Sine()(x, mge.Tensor(3))
        gm.backward(y)
    np.testing.assert_allclose(x.grad.numpy(), np.cos([0.5, 1.0]), rtol=1e-6)


def test_long_chains_are_freed():
    x = mge.Tensor([1.0])
    gm = GradManager().attach(x)
    with gm:
        y = x
        for _ in range(20000):
            y = y + 1
    del y
    with gm:
        y = x
        for _ in range(20000):
            y = y + 1
        gm.backward(y)
    assert x.grad.item() == 1


def test_the_gradient_is_of_what_was_attached():
    x = mge.Tensor([1.0, 2.0])
    gm = GradManager().attach(x)
    with gm:
        x[0] = 3.0  # x is another value from here on
        gm.backward((x * x).sum())
    np.testing.assert_array_equal(x.grad.numpy(), [0, 4])


@pytest.mark.parametrize("value", [[1], "x", mge.Tensor([1, 2])])
def test_what_can_be_attached(value):
    with pytest.raises((TypeError, AssertionError), match="floating|Tensors"):
        GradManager().attach(value)


def test_functions_may_give_too_few_or_too_many_gradients():
    """As in MegEngine: those that lack are none, others are ignored."""

    class Sum(Function):
        def forward(self, x, y):
            return x + y

        def backward(self, dz):
            return self.grads(dz)

    for grads, want in [(lambda dz: dz, (1, None)), (lambda dz: (dz, dz * 2, dz), (1, 2))]:
        f, x, y = Sum(), mge.Tensor([1.0]), mge.Tensor([2.0])
        f.grads = grads
        with GradManager().attach([x, y]) as gm:
            gm.backward(f(x, y))
        assert [None if t.grad is None else float(t.grad.item()) for t in (x, y)] == list(want)


def test_functions_give_tensors():
    class Three(Function):
        def forward(self, x):
            return 3

        def backward(self, dz):
            return dz

    with pytest.raises(TypeError, match="Three.forward returns Tensors"):
        Three()(mge.Tensor([1.0]))
