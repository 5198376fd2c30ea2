"""What Module does with its attributes, and initial values."""

import copy
import pickle

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M


class Net(M.Module):
    def __init__(self):
        super().__init__()
        self.fc = M.Linear(2, 3)
        self.bn = M.BatchNorm1d(3)
        self.parts = [M.Linear(3, 3), {"a": M.ReLU(), "b": mge.Parameter([1.0])}]
        self.shared = self.fc
        self.buffer = mge.Tensor([2.0])
        self.numbers = [1, 2]

    def forward(self, x):
        return self.parts[0](self.bn(self.fc(x)))


def test_attributes_are_found_once_and_in_order():
    net = Net()
    assert [k for k, _ in net.named_parameters()] == [
        "bn.bias", "bn.weight", "fc.bias", "fc.weight", "parts.0.bias", "parts.0.weight", "parts.1.b"]  # fmt: skip
    assert [k for k, _ in net.named_buffers()] == ["bn.running_mean", "bn.running_var", "buffer"]
    assert [k for k, _ in net.named_modules()] == ["", "bn", "fc", "parts.0", "parts.1.a"]
    assert [k for k, _ in net.named_children()] == ["bn", "fc", "parts.0", "parts.1.a"]
    assert len(list(net.tensors())) == 10 and [k for k, _ in net.named_tensors(prefix="n")][0] == "n.bn.bias"
    assert [p for _, p in net.modules(with_parent=True)][0] is None
    assert list(net.parameters(recursive=False)) == [net.parts[1]["b"]]


def test_names_are_paths():
    net = Net()
    assert net.fc.weight._name == "fc.weight" and net.fc.weight.name == "" and net.fc._name == "fc"
    assert net.parts[0].weight._name == "parts.0.weight"
    net.extra = mge.Parameter([1.0], name="mine")
    assert net.extra._name == "mine" and net.extra.name == "mine"


def test_state_dict_round_trip():
    a, b = Net(), Net()
    state = a.state_dict()
    assert list(state) == [
        "bn.bias", "bn.running_mean", "bn.running_var", "bn.weight", "buffer", "fc.bias", "fc.weight", "parts.0.bias",
        "parts.0.weight", "parts.1.b"] or set(state) == {k for k, _ in a.named_tensors()}  # fmt: skip
    assert state["bn.weight"].shape == (3,) and a.bn.weight.shape == (1, 3, 1, 1)
    b.load_state_dict(state)
    for k, v in b.state_dict().items():
        np.testing.assert_equal(v, state[k])
    with pytest.raises(KeyError, match="Unused"):
        b.load_state_dict({**state, "more": np.zeros(1)})
    less = {k: v for k, v in state.items() if k != "buffer"}
    with pytest.raises(KeyError, match="Missing"):
        b.load_state_dict(less)
    b.load_state_dict(less, strict=False)
    with pytest.raises(ValueError, match="shape mismatch"):
        b.load_state_dict({**state, "fc.bias": np.zeros(2, "float32")})
    with pytest.raises(AssertionError):
        b.load_state_dict({**state, "fc.bias": [0.0] * 3})
    b.load_state_dict(lambda k, v: np.zeros(v.shape, "float32"))
    assert b.fc.weight.numpy().max() == 0
    b.fc.weight.numpy()[:] = 1  # a copy
    assert b.fc.weight.numpy().max() == 0


def test_dtype_of_loaded_values_is_kept():
    m = M.Linear(2, 2)
    m.load_state_dict({k: v.astype("float16") for k, v in m.state_dict().items()})
    assert m.weight.dtype == np.float16 and isinstance(m.weight, mge.Parameter)


def test_train_and_eval():
    net = Net()
    net.eval()
    assert not any(m.training for m in net.modules())
    net.train()
    assert net.bn.training
    net.train(False, recursive=False)
    assert not net.training and net.bn.training


def test_hooks():
    net, seen = Net(), []
    pre = net.fc.register_forward_pre_hook(lambda m, inputs: seen.append(len(inputs)))
    post = net.fc.register_forward_hook(lambda m, inputs, out: out * 0)
    x = mge.Tensor(np.ones((4, 2), "float32"))
    assert net.fc(x).numpy().max() == 0 and seen == [1]
    pre.remove(), post.remove(), post.remove()
    assert np.abs(net.fc(x).numpy()).max() > 0 and seen == [1]
    net.fc.register_forward_pre_hook(lambda m, inputs: inputs[0] * 0)
    np.testing.assert_equal(net.fc(x).numpy(), np.tile(net.fc.bias.numpy(), (4, 1)))


def test_copies_and_pickles():
    net = Net()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert repr(other) == repr(net) and other.shared is other.fc and other.fc is not net.fc
        for (k, v), (j, w) in zip(net.state_dict().items(), other.state_dict().items(), strict=True):
            assert k == j
            np.testing.assert_equal(v, w)
        assert isinstance(other.fc.weight, mge.Parameter)


def test_repr_and_removal():
    net = M.Sequential(M.Conv2d(3, 4, 3), M.ReLU())
    assert repr(net) == "Sequential(\n  (0): Conv2d(3, 4, kernel_size=(3, 3))\n  (1): ReLU()\n)"
    del net[1]
    assert len(net) == 1 and "ReLU" not in repr(net) and [type(m) for m in net] == [M.Conv2d]
    assert isinstance(M.Sequential(M.ReLU(), M.ReLU())[0:1], M.Sequential)


def test_modules_before_init_are_errors():
    class Bad(M.Module):
        def __init__(self):
            self.fc = M.Linear(1, 1)

        def forward(self, x):
            return x

    with pytest.raises(AttributeError):
        Bad()
    with pytest.raises(TypeError):
        M.Module()


@pytest.mark.parametrize(
    "make",
    [
        lambda: M.Conv2d(3, 4, 3, groups=2),
        lambda: M.Conv2d(3, 3, (1, 2, 3)),
        lambda: M.Conv2d(3, 3, 0),
        lambda: M.GroupNorm(2, 3),
        lambda: M.MultiHeadAttention(7, 2),
        lambda: M.Embedding(2, 2, 1),
    ],
)
def test_arguments_that_make_no_sense(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize(
    "name, mean, std",
    [
        ("normal_", 0, 1),
        ("uniform_", 0.5, 0.2887),
        ("xavier_normal_", 0, (2 / 600) ** 0.5),
        ("xavier_uniform_", 0, (2 / 600) ** 0.5),
        ("msra_normal_", 0, (2 / 200) ** 0.5),
        ("msra_uniform_", 0, (2 / 200) ** 0.5),
        ("zeros_", 0, 0),
        ("ones_", 1, 0),
    ],
)
def test_initial_values(name, mean, std):
    p = mge.Parameter(np.zeros((400, 200), "float32"))
    getattr(M.init, name)(p)
    assert isinstance(p, mge.Parameter) and p.dtype == np.float32
    np.testing.assert_allclose([p.numpy().mean(), p.numpy().std()], [mean, std], rtol=2e-2, atol=1e-2)


def test_embedding_from_table():
    table = mge.Parameter(np.arange(6, dtype="float32").reshape(3, 2))
    m = M.Embedding.from_pretrained(table)
    np.testing.assert_equal(m(mge.Tensor([[2]], dtype="int32")).numpy(), [[[4, 5]]])
    from megalith.autodiff import GradManager

    with GradManager().attach(m.parameters()) as gm:
        gm.backward(m(mge.Tensor([0], dtype="int32")).sum() + 0 * table.sum())
    assert m.weight.grad is None


def test_local_share_is_between_local_and_shared():
    x = mge.Tensor(np.random.RandomState(0).randn(2, 3, 4, 4).astype("float32"))
    m = M.LocalShareConv2d(3, 2, 3, spatial_groups=1, padding=1, bias=False)
    plain = m.weight.numpy()[0, 0].transpose(3, 0, 1, 2).copy()  # (C, KH, KW, OC) to (OC, C, KH, KW)
    np.testing.assert_allclose(m(x).numpy(), F.conv2d(x, mge.Tensor(plain), padding=1).numpy(), rtol=1e-5, atol=1e-5)


def test_local_share_conv2d_is_a_convolution_for_each_rectangle():
    r = np.random.RandomState(1)
    groups, rows, columns = 2, 2, 3  # of channels; of rectangles
    x = mge.Tensor(r.randn(2, 4, 7, 11).astype("float32"))
    w = mge.Tensor(r.randn(groups, rows, columns, 2, 3, 3, 5).astype("float32"))
    b = mge.Tensor(r.randn(1, 10, 1, 1).astype("float32"))

    def shared():
        return F.nn.local_share_conv2d(x, w, b, 2, 1, spatial_groups=(rows, columns), groups=groups)

    def pieces():
        padded = F.nn.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        lines = []
        for i in range(rows):
            line = []
            for j in range(columns):  # 2 x 2 results each, of windows that start at (4i, 4j)
                filters = w[:, i, j].transpose(0, 4, 1, 2, 3)
                line.append(
                    F.conv2d(padded[:, :, 4 * i : 4 * i + 5, 4 * j : 4 * j + 5], filters, None, 2, groups=groups)
                )
            lines.append(F.concat(line, 3))
        return F.concat(lines, 2) + b

    results = []
    for f in (shared, pieces):
        with mge.autodiff.GradManager().attach([x, w, b]) as gm:
            y = f()
            gm.backward((y * y).sum())
        results.append([y.numpy(), x.grad.numpy(), w.grad.numpy(), b.grad.numpy()])
        x.grad = w.grad = b.grad = None
    assert results[0][0].shape == (2, 10, 4, 6)
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)
