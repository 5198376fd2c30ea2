"""jit.trace: what has to stay the same between calls; without_host, where later calls run the graph of the first one and no
Python, as in MegEngine 1.13.0."""

import io

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
from megalith import optimizer
from megalith.autodiff import GradManager
from megalith.jit import TraceError, trace


def T(*values):
    return mge.Tensor(values, dtype="float32")


@pytest.mark.parametrize("options", [{}, {"symbolic": True}, {"symbolic": True, "capture_as_const": True}])
def test_python_runs_once(options):
    calls = []

    @trace(without_host=True, **options)
    def f(x, twice=2):
        calls.append(1)
        return {"y": x * twice, "more": [x.reshape(x.shape[0], -1), (x[0],)]}

    assert f.without_host and not f.traced
    f(T(1.0), 2)
    r = f(T(3.0, 5.0), 7)  # numbers are those of the first call
    np.testing.assert_array_equal(r["y"].numpy(), [6, 10])
    assert r["more"][0].numpy().shape == (2, 1)
    np.testing.assert_array_equal(r["more"][1][0].numpy(), 3)
    assert calls == [1] and f.traced


def test_branches_are_those_of_the_first_call():
    f = trace(lambda x: x * 2 if float(x.numpy()[0]) > 0 else x, without_host=True)
    f(T(1.0))
    assert f(T(-1.0)).numpy() == -2


def test_what_does_not_fit_the_graph_raises():
    f = trace(lambda x: x.reshape(2), without_host=True)
    f(T(1.0, 2.0))
    with pytest.raises(RuntimeError, match="reshape"):
        f(T(1.0, 2.0, 3.0))
    with pytest.raises(RuntimeError, match="Int32 was fed"):
        f(mge.Tensor([1, 2]))
    for wrong in [(), (T(1.0), T(1.0)), (3.0,), (np.ones(2, "float32"),)]:
        with pytest.raises(ValueError, match="takes 1 Tensors"):
            f(*wrong)


@pytest.mark.parametrize("result", [None, 3, (T(1.0), None)])
def test_a_graph_gives_tensors_alone(result):
    with pytest.raises(TypeError, match="returns Tensors"):
        trace(lambda x: result, without_host=True)(T(1.0))


@pytest.mark.parametrize("as_argument", [True, False])
def test_tensors_of_modules_are_read_anew_and_written(as_argument):
    net = M.BatchNorm1d(2)
    f = trace((lambda x, m: m(x)) if as_argument else (lambda x, *_: net(x)), without_host=True)
    other = M.BatchNorm1d(2)
    x = mge.Tensor(np.arange(8).reshape(4, 2).astype("float32"))
    for step in range(3):
        net.weight[...] = other.weight[...] = F.full((1, 2, 1, 1), step + 1.0)
        np.testing.assert_array_equal(f(x, net).numpy(), other(x).numpy())
    np.testing.assert_array_equal(net.running_var.numpy(), other.running_var.numpy())


def test_random_numbers_differ_between_calls():
    f = trace(lambda x: F.dropout(x, 0.5), without_host=True)
    masks = [f(F.ones((64,))).numpy().tobytes() for _ in range(4)]
    assert len(set(masks)) == 4


OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2},
    "Adam": {"lr": 0.1},
    "AdamW": {"lr": 0.1},
    "Adagrad": {"lr": 0.1},
    "Adadelta": {"lr": 0.1},
}


def losses(name, as_arguments, **options):
    """Five training steps: what they return, and the parameters after them."""
    net = M.Sequential(M.Linear(3, 4), M.BatchNorm1d(4), M.ReLU(), M.Linear(4, 2))
    for i, p in enumerate(net.parameters()):
        p[...] = mge.Tensor(np.sin(np.arange(p.size) + i).reshape(p.shape).astype("float32"))
    opt = getattr(optimizer, name)(net.parameters(), **OPTIMIZERS[name])
    gm = GradManager().attach(net.parameters())
    calls = []

    @trace(**options)
    def step(x, y, *_):
        calls.append(1)
        with gm:
            loss = F.nn.cross_entropy(net(x), y)
            gm.backward(loss)
        opt.step().clear_grad()
        return loss

    r = []
    for i in range(5):
        x = mge.Tensor(np.cos(np.arange(15) + i).reshape(5, 3).astype("float32"))
        r.append(
            float(step(x, mge.Tensor(np.arange(5) % 2, dtype="int32"), *((net, opt) if as_arguments else ())).item())
        )
    return r, [p.numpy() for p in net.parameters()], len(calls)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_steps_give_the_bits_of_eager_ones(name):
    want, parameters, _ = losses(name, False)
    for as_arguments in (True, False):
        got, same, calls = losses(name, as_arguments, without_host=True)
        assert got == want and calls == 1
        assert all(np.array_equal(a, b) for a, b in zip(parameters, same))


def test_recorded_gradients_read_the_values_of_the_graph():
    """Not those that the first call had: the derivative of exp reads its result."""
    gm = GradManager()

    @trace(symbolic=True, capture_as_const=True)
    def slope(x):
        gm.attach(x)
        with gm:
            y = F.exp(x * 2.0)
            gm.backward(y, F.ones(2))
        return x.grad

    slope(T(0.0, 0.0))
    file = io.BytesIO()
    slope.dump(file, optimize_for_inference=False)
    file.seek(0)
    graph = mge.utils.comp_graph_tools.GraphInference(file)
    (got,) = graph.run(np.float32([0.5, 1])).values()
    np.testing.assert_allclose(got, 2 * np.exp([1, 2]), 1e-5)


# Numbers are constants of the graph, in any place; Tensors from outside may change.
NUMBERS = [lambda x, k: x * k, lambda x, k: k - x, lambda x, k: F.maximum(x, k), lambda x, k: x + np.full(2, k, "float32"),
           lambda x, k: F.where(x > k, x, x), lambda x, k: x[k - 3], lambda x, k: x[k - 3 :], lambda x, k: x[[k - 3]],
           lambda x, k: F.broadcast_to(x, (k, 2)), lambda x, k: F.zeros(k), lambda x, k: F.dropout(x, 0.1 * k),
           lambda x, k: F.broadcast_to(x, (4, 2)).reshape(k % 4 + 1, -1)]  # fmt: skip


@pytest.mark.parametrize("symbolic", [True, False])
@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_have_to_stay_what_they_were(number, symbolic):
    f = trace(number, symbolic=symbolic)
    for _ in range(2):
        f(T(1.0, 2.0), 3)
    with pytest.raises(TraceError, match="number|is now"):
        f(T(1.0, 2.0), 4)


def test_an_assigned_number_has_to_stay_what_it_was():
    def f(x, k):
        x = x * 1
        x[0] = k
        return x

    f = trace(f, symbolic=True)
    f(T(1.0, 2.0), 3)
    with pytest.raises(TraceError, match="number"):
        f(T(1.0, 2.0), 4)


def test_tensors_from_outside_and_sizes_may_change():
    outside = [T(1.0)]
    f = trace(lambda x: x * outside[0] + len(x), symbolic=True)
    f(T(1.0, 2.0))
    outside[0] = T(5.0)
    np.testing.assert_array_equal(f(T(1.0, 2.0)).numpy(), [7, 12])
    np.testing.assert_array_equal(f(T(1.0, 2.0, 3.0)).numpy(), [8, 13, 18])


@pytest.mark.parametrize("name", [*OPTIMIZERS, "LAMB"])
def test_learning_rates_of_traced_steps_may_change(name):
    def run(traced):
        w = mge.Parameter([1.0, 2.0])
        opt, gm = getattr(optimizer, name)([w], lr=0.5), GradManager().attach(w)
        schedule = optimizer.MultiStepLR(opt, [1, 2], gamma=0.25)

        def step(x):
            with gm:
                gm.backward((w * w * x).sum())
            opt.step().clear_grad()

        step = trace(step, symbolic=True) if traced else step
        for _ in range(4):
            step(T(1.0, 3.0))
            schedule.step()
        return w.numpy()

    np.testing.assert_array_equal(run(True), run(False))
