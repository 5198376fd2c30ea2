"""What people see: errors of at most three lines that name the op and the shapes, and how notebooks show things."""

import re

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
import megalith.traced_module as tm
from megalith.utils.profiler import Profiler


def t(*shape, dtype="float32"):
    return mge.Tensor(np.zeros(shape, dtype))


MASK = mge.Tensor(np.ones((4, 5), bool))
# What is wrong, what the message has to name, and the call.
CALLS = [
    ("add", "ADD (2,3) (4,5)", lambda: F.add(t(2, 3), t(4, 5))),
    ("minus", "SUB (2,3) (4,5)", lambda: t(2, 3) - t(4, 5)),
    ("in place", "MUL (2,3) (4,5)", lambda: t(2, 3).__imul__(t(4, 5))),
    ("less", "LT (2,3) (4,5)", lambda: t(2, 3) < t(4, 5)),
    ("matmul", "MatrixMul (2,3) (4,5)", lambda: t(2, 3) @ t(4, 5)),
    ("dot", "Dot (3) (4)", lambda: F.dot(t(3), t(4))),
    ("concat", "Concat (2,3) (4,5)", lambda: F.concat([t(2, 3), t(4, 5)], 0)),
    ("stack", "stack (2,3) (4,5)", lambda: F.stack([t(2, 3), t(4, 5)], 0)),
    ("reshape", "Reshape (2,3) (4,5)", lambda: t(2, 3).reshape(4, 5)),
    ("transpose", "Dimshuffle (2,3)", lambda: F.transpose(t(2, 3), (0, 2))),
    ("broadcast_to", "Broadcast (2,3) (4,5)", lambda: F.broadcast_to(t(2, 3), (4, 5))),
    ("conv2d channels", "Convolution (1,3,8,8) (4,5,3,3)", lambda: F.conv2d(t(1, 3, 8, 8), t(4, 5, 3, 3))),
    ("conv2d rank", "Convolution (3,8,8)", lambda: F.conv2d(t(3, 8, 8), t(4, 3, 3, 3))),
    ("conv2d window", "Convolution (1,3,2,2) (4,3,3,3)", lambda: F.conv2d(t(1, 3, 2, 2), t(4, 3, 3, 3))),
    ("conv3d", "Convolution3D (1,3,8,8,8) (4,5,3,3,3)", lambda: F.conv3d(t(1, 3, 8, 8, 8), t(4, 5, 3, 3, 3))),
    ("linear", "linear (2,3) (4,5)", lambda: F.linear(t(2, 3), t(4, 5))),
    ("max_pool2d", "Pooling (2,3)", lambda: F.max_pool2d(t(2, 3), 2)),
    ("avg_pool2d", "Pooling (1,1,2,2)", lambda: F.avg_pool2d(t(1, 1, 2, 2), 5)),
    ("index", "Subtensor (2,3)", lambda: t(2, 3)[5]),
    ("indices", "indexing (2,3)", lambda: t(2, 3)[0, 0, 0]),
    ("index tensor", "IndexingMultiAxisVec (2,3)", lambda: t(2, 3)[mge.Tensor([7])]),
    ("mask", "indexing (4,5) (2,3)", lambda: t(2, 3)[MASK]),
    ("item of a tensor", "SetSubtensor (4) (3)", lambda: t(2, 3).__setitem__(0, t(4))),
    ("cross_entropy", "cross_entropy (2,3) (4,5)", lambda: F.loss.cross_entropy(t(2, 3), t(4, 5))),
    ("ctc_loss", "ctc_loss (2,3)", lambda: F.loss.ctc_loss(t(2, 3), t(2), t(2), t(2))),
    ("squeeze", "AxisAddRemove (2,3)", lambda: F.squeeze(t(2, 3), 0)),
    ("swapaxes", "swapaxes (2,3)", lambda: F.swapaxes(t(2, 3), 0, 4)),
    ("repeat", "repeat (2,3)", lambda: F.repeat(t(2, 3), 2, 5)),
    ("matinv", "MatrixInverse (2,3)", lambda: F.matinv(t(2, 3))),
    ("svd", "SVD (3)", lambda: F.svd(t(3))),
    ("interpolate", "interpolate (2,3)", lambda: F.vision.interpolate(t(2, 3), (4, 4))),
    ("nms", "nms (2,3)", lambda: F.vision.nms(t(2, 3), t(2), 0.5)),
    ("cond_take", "CondTake (2,3) (4,5)", lambda: F.cond_take(MASK, t(2, 3))),
    ("item", "item (2,3)", lambda: t(2, 3).item()),
    ("LSTM", "lstm (2,3,5)", lambda: M.LSTM(3, 4)(t(2, 3, 5))),
    ("LSTMCell", "lstm_cell (2,5) (16,3)", lambda: M.LSTMCell(3, 4)(t(2, 5))),
    ("Linear", "linear (2,5) (4,3)", lambda: M.Linear(3, 4)(t(2, 5))),
    ("Conv2d", "Convolution (1,5,8,8) (4,3,3,3)", lambda: M.Conv2d(3, 4, 3)(t(1, 5, 8, 8))),
    ("axis", "sum 5", lambda: F.sum(t(2, 3), 5)),
    ("type", "embedding float32", lambda: F.embedding(t(2), t(3, 4))),
    ("repetitions", "tile 2", lambda: F.tile(t(2, 3), 2)),
    ("state dict", "bias (4)", lambda: M.Linear(3, 4).load_state_dict({"weight": np.zeros((4, 3), "f4"), "bias": np.zeros(5, "f4")})),
]  # fmt: skip


@pytest.mark.parametrize("names, call", [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
def test_an_error_names_the_op_and_the_shapes(names, call):
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        call()
    text = str(caught.value)
    plain = re.sub(r",(?=\))", "", text.replace(", ", ",")).lower()
    assert 0 < len(text.splitlines()) <= 3
    assert all(name.lower() in plain for name in names.split()), text


def test_tensors_in_notebooks():
    html = mge.Tensor(np.arange(12, dtype="float32").reshape(3, 4))._repr_html_()
    assert "<b>Tensor</b> 3 × 4, float32, xpux:0, 48 bytes" in html and "11." in html
    assert "scalar" in mge.Tensor(1.0)._repr_html_()
    long = mge.Tensor(np.zeros((1000, 1000), "float32"))._repr_html_()
    assert "4 MB" in long and len(long) < 2000
    named = mge.Parameter([1.0], name="<x>")._repr_html_()
    assert "<b>Parameter</b>" in named and "&lt;x&gt;" in named


def test_profiles_in_notebooks(tmp_path):
    with Profiler(str(tmp_path)) as profiler:
        assert "running" in profiler._repr_html_()
        x = mge.Tensor(np.ones((64, 64), "float32"))
        x @ x + x
    html = profiler._repr_html_()
    assert "<b>Profile</b>, 2 calls" in html and "MatrixMul" in html and "16.4 kB" in html and "%" in html
    profiler.dump()
    assert "nothing recorded" in profiler._repr_html_()


def test_modules_and_graphs_in_notebooks():
    net = M.Sequential(M.Conv2d(1, 2, 3), M.Dropout(0.1), M.Linear(3, 4))
    html = net._repr_html_()
    assert "<b>Sequential</b>, 36 parameters, 144 bytes" in html
    assert "Conv2d(1, 2, kernel_size=(3, 3))" in html and html.count("<tr>") == 5
    net.eval()
    assert net._repr_html_().count(">eval<") == 4
    graph = tm.trace_module(M.ReLU(), t(2, 3)).graph
    assert graph._repr_html_() == f"<pre>{graph}</pre>".replace('"', "&quot;")


@pytest.mark.parametrize("f", [F.sum, F.zeros, F.zeros_like, F.squeeze, lambda x: F.reshape(x, 1), lambda x: F.expand_dims(x, 0),
                               lambda x: F.full_like(mge.Tensor([1.0]), x), lambda x: F.broadcast_to(x, 1), F.transpose])  # fmt: skip
def test_none_is_no_tensor(f):
    args = (None, (0,)) if f is F.transpose else (None,)
    with pytest.raises(TypeError) as error:
        f(*args)
    assert "incompatible" not in str(error.value) and len(str(error.value).splitlines()) == 1


def test_full_takes_one_value():
    with pytest.raises(ValueError, match="0 elements"):
        F.full((), [])


@pytest.mark.parametrize("seed", ["a", 1.5, -1])
def test_seeds_are_numbers(seed):
    with pytest.raises(TypeError, match="seed"):
        mge.random.RNG(seed)
