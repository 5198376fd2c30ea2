"""Recurrent networks: PyTorch's recorded results and gradients, finite differences, lengths, packs, files."""

import sys
from pathlib import Path

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
from megalith.autodiff import GradManager
from megalith.utils import rnn as R

sys.path.insert(0, str(Path(__file__).parent / "recorded"))
from rnn_cases import BATCH, CASES, HIDDEN, STEPS, WIDTH, data  # noqa: E402

RECORDED = np.load(Path(__file__).parent / "recorded" / "rnn.npz")


def recorded(name):
    count = len([k for k in RECORDED.files if k.rsplit("/", 1)[0] == name])
    return [RECORDED[f"{name}/{i}"] for i in range(count)]


def check(name, call):
    """call(x, states, weights) -> outputs and last states, compared with gradients of everything."""
    x, states, scales, weights = data(name)
    x, states = mge.Tensor(x), [mge.Tensor(s) for s in states]
    weights = [mge.Parameter(v) for v in weights.values()]
    with GradManager().attach([x, *states, *weights]) as gm:
        outs = call(x, states, weights)
        gm.backward(sum((o * mge.Tensor(s)).sum() for o, s in zip(outs, scales)))
    got = [o.numpy() for o in outs] + [t.grad.numpy() for t in (x, *states, *weights)]
    for have, want in zip(got, recorded(name), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_functions_equal_pytorch(name):
    kind, layers, bias, bi, first, lengths = CASES[name]

    def call(x, states, weights):
        f = getattr(F.nn, kind.lower())
        hx = tuple(states) if kind == "LSTM" else states[0]
        out, last = f(x, hx, weights, layers, bias, 0.0, True, bi, first, lengths=lengths)
        return [out, *(last if kind == "LSTM" else [last])]

    check(name, call)


@pytest.mark.parametrize("name", CASES)
def test_modules_equal_pytorch(name):
    kind, layers, bias, bi, first, lengths = CASES[name]
    x, states, scales, weights = data(name)
    m = getattr(M, kind)(WIDTH, HIDDEN, layers, bias=bias, batch_first=first, bidirectional=bi)
    R.load_torch_weights(m, weights)
    for key, value in R.to_torch_weights(m).items():
        np.testing.assert_equal(value, weights[key])
    x, states = mge.Tensor(x), [mge.Tensor(s) for s in states]
    hx = tuple(states) if kind == "LSTM" else states[0]
    with GradManager().attach([x, m._flatten_weights]) as gm:
        if lengths is None:
            out, last = m(x, hx)
        else:
            packed, last = m(R.pack_padded_sequence(x, lengths, enforce_sorted=False), hx)
            out, back = R.pad_packed_sequence(packed)
            assert back.tolist() == list(lengths)
        last = list(last) if kind == "LSTM" else [last]
        gm.backward(sum((o * mge.Tensor(s)).sum() for o, s in zip([out, *last], scales)))
    want = recorded(name)
    n = 1 + len(states)
    for have, w in zip([out, *last], want):
        np.testing.assert_allclose(have.numpy(), w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(x.grad.numpy(), want[n], rtol=1e-4, atol=1e-5)
    flat = np.concatenate([g.ravel() for g in want[2 * n :]])
    np.testing.assert_allclose(m._flatten_weights.grad.numpy().ravel(), flat, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_sequences_are_cells_in_a_row(kind):
    rng = np.random.RandomState(0)
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[kind]
    x = mge.Tensor(rng.randn(STEPS, BATCH, WIDTH).astype("float32"))
    h = [mge.Tensor(rng.randn(1, BATCH, HIDDEN).astype("float32")) for _ in range(2 if kind == "lstm" else 1)]
    shapes = [(gates * HIDDEN, WIDTH), (gates * HIDDEN, HIDDEN), (gates * HIDDEN,), (gates * HIDDEN,)]
    w = [mge.Tensor(rng.randn(*s).astype("float32")) for s in shapes]
    out, _ = getattr(F.nn, kind)(x, tuple(h) if kind == "lstm" else h[0], w)
    state = tuple(s[0] for s in h) if kind == "lstm" else h[0][0]
    for t in range(STEPS):
        state = getattr(F.nn, kind + "_cell")(x[t], state, *w)
        np.testing.assert_allclose(
            out[t].numpy(), (state[0] if kind == "lstm" else state).numpy(), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_of_cells_are_finite_differences(kind, bias):
    rng = np.random.RandomState(1)
    m = getattr(M, kind)(2, 3, bias)
    x = mge.Parameter(rng.randn(2, 2).astype("float32"))
    states = [mge.Parameter(rng.randn(2, 3).astype("float32")) for _ in range(2 if kind == "LSTMCell" else 1)]
    wanted = [x, *states, *m.parameters()]

    def loss():
        out = m(x, tuple(states) if kind == "LSTMCell" else states[0])
        return ((out[0] * out[1] if kind == "LSTMCell" else out) ** 2).sum()

    with GradManager().attach(wanted) as gm:
        gm.backward(loss())
    for t in wanted:
        value, expected = t.numpy(), np.zeros(t.shape)
        for i in np.ndindex(*t.shape):
            ends = []
            for step in (1e-2, -1e-2):
                moved = value.copy()
                moved[i] += step
                t.set_value(moved)
                ends.append(loss().item())
            t.set_value(value)
            expected[i] = (ends[0] - ends[1]) / 2e-2
        np.testing.assert_allclose(t.grad.numpy(), expected, rtol=2e-2, atol=2e-3)


def test_dropout_acts_between_layers_while_training():
    x = mge.Tensor(np.ones((3, 2, 4), "float32"))
    for kind in (M.RNN, M.LSTM, M.GRU):
        m = kind(4, 8, 2, dropout=0.5)
        plain = kind(4, 8, 2)
        plain._flatten_weights.set_value(m._flatten_weights.numpy())
        assert (m(x)[0].numpy() != m(x)[0].numpy()).any()
        m.eval()
        np.testing.assert_equal(m(x)[0].numpy(), plain(x)[0].numpy())
        one = kind(4, 8, 1, dropout=0.5)  # no layer follows
        np.testing.assert_equal(one(x)[0].numpy(), one(x)[0].numpy())


@pytest.mark.parametrize("settings", [dict(proj_size=2), dict(proj_size=-1), dict(proj_size=9), dict(dropout=1.5),
                                      dict(dropout=True), dict(num_layers=0)])  # fmt: skip
def test_settings_that_make_no_sense_are_errors(settings):
    with pytest.raises(ValueError):
        M.LSTM(3, 4, **settings)


def test_errors_name_shapes():
    with pytest.raises(ValueError, match="input has shape"):
        M.GRU(3, 4)(mge.Tensor(np.zeros((2, 3), "float32")))
    with pytest.raises(ValueError, match="weights have"):
        M.GRU(3, 4)(mge.Tensor(np.zeros((2, 3, 5), "float32")))
    with pytest.raises(ValueError, match="w_ih"):
        M.LSTMCell(3, 4)(mge.Tensor(np.zeros((2, 5), "float32")))


def test_keras_weights():
    rng = np.random.RandomState(0)
    kernel, recurrent, bias = rng.randn(2, 9), rng.randn(3, 9), rng.randn(2, 9)
    m = M.GRU(2, 3)
    R.load_keras_weights(m, [kernel, recurrent, bias])
    x, h = rng.randn(1, 2), rng.randn(1, 3)
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    # Keras' definition, gates z, r, h
    xz, xr, xh = np.split(x @ kernel + bias[0], 3, 1)
    hz, hr, hh = np.split(h @ recurrent + bias[1], 3, 1)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    want = z * h + (1 - z) * np.tanh(xh + r * hh)
    out, _ = m(mge.Tensor(x[None].astype("float32")), mge.Tensor(h[None].astype("float32")))
    np.testing.assert_allclose(out.numpy()[0], want, rtol=1e-4)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_files_compute_the_same(kind, tmp_path):
    from megalith import _core
    from megalith.jit import trace

    m = getattr(M, kind)(4, 3, 2, bidirectional=True)
    m.eval()

    @trace(symbolic=True, capture_as_const=True)
    def f(x):
        return m(x)[0]

    x = mge.Tensor(np.random.RandomState(0).randn(5, 2, 4).astype("float32"))
    want = f(x).numpy()
    path = str(tmp_path / "net.mge")
    f.dump(path, arg_names=["x"])
    got = _core.Model.load(path).run({"x": x})[0].numpy()
    if kind == "GRU":  # which files get made of other ops
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_equal(got, want)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_pack_gives_what_each_sequence_gives_alone(kind, bidirectional):
    rng = np.random.RandomState(3)
    lengths = [3, 9, 1, 9, 5, 9, 2]
    sequences = [mge.Tensor(rng.randn(n, 4).astype("float32")) for n in lengths]
    m = getattr(M, kind)(4, 6, 2, bidirectional=bidirectional)
    m.eval()
    out, last = m(R.pack_sequence(sequences, enforce_sorted=False))
    out, back = R.pad_packed_sequence(out)
    padded, ends = getattr(F.nn, kind.lower())(
        R.pad_sequence(sequences), m._first_states(len(lengths)), m._flatten_weights, 2, bidirectional=bidirectional,
        lengths=lengths,
    )  # fmt: skip
    assert back.tolist() == lengths
    np.testing.assert_array_equal(padded.numpy(), out.numpy())
    for i, x in enumerate(sequences):
        want, state = m(F.expand_dims(x, 1))
        np.testing.assert_allclose(out.numpy()[: lengths[i], i], want.numpy()[:, 0], rtol=1e-5, atol=1e-6)
        assert not out.numpy()[lengths[i] :, i].any()
        for have, also, w in zip(*(s if kind == "LSTM" else (s,) for s in (last, ends, state))):
            np.testing.assert_allclose(have.numpy()[:, i], w.numpy()[:, 0], rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(also.numpy(), have.numpy())
