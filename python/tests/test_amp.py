"""Mixed precision, and what optimizers do besides MegEngine's recorded numbers."""

import numpy as np
import pytest

import megalith as mge
import megalith.amp as amp
import megalith.functional as F
import megalith.module as M
import megalith.optimizer as O
from megalith.autodiff import GradManager


def test_autocast_sets_types():
    x = mge.Tensor(np.ones((2, 4, 5, 5), "float32"))
    w = mge.Tensor(np.ones((4, 4, 3, 3), "float32"))
    bn = M.BatchNorm2d(4)
    with amp.autocast():
        assert amp.enabled
        y = F.conv2d(x, w, mge.Tensor(np.ones((1, 4, 1, 1), "float32")))
        assert y.dtype == np.float16 and F.relu(y).dtype == np.float16
        assert bn(y).dtype == np.float16 and bn.running_mean.dtype == np.float32
        assert (
            F.exp(y).dtype == np.float32
            and F.softmax(y).dtype == np.float16
            and (y + x[:, :, :3, :3]).dtype == np.float32
        )
        assert F.matmul(x[0, 0], x[0, 1]).dtype == np.float16 and F.linear(x[0, 0], x[0, 1]).dtype == np.float16
        assert F.mean(y).dtype == np.float32
        with amp.autocast(low_prec_dtype="bfloat16"):
            assert amp.low_prec_dtype == "bfloat16"
        assert amp.low_prec_dtype == "float16" and amp.enabled
    assert not amp.enabled and F.conv2d(x, w).dtype == np.float32

    @amp.autocast()
    def f(a):
        return F.conv2d(a, w)

    assert f(x).dtype == np.float16 and F.exp(f(x)).dtype == np.float16


def test_settings_of_the_module():
    amp.enabled = True
    assert F.exp(mge.Tensor([1.0], dtype="float16")).dtype == np.float32
    amp.enabled = False
    with pytest.raises(ValueError, match="int8"):
        amp.low_prec_dtype = "int8"
    assert amp.high_prec_dtype == "float32"


def test_training_in_mixed_precision():
    rng = np.random.RandomState(0)
    net = M.Sequential(M.Conv2d(1, 4, 3), M.BatchNorm2d(4), M.ReLU())
    fc = M.Linear(4 * 9, 3)
    params = [*net.parameters(), *fc.parameters()]
    gm, opt, scaler = GradManager().attach(params), O.SGD(params, lr=0.1), amp.GradScaler()
    x, y = mge.Tensor(rng.randn(6, 1, 5, 5).astype("float32")), mge.Tensor(np.array([0, 1, 2] * 2, "int32"))
    losses = []
    for _ in range(8):
        with gm, amp.autocast():
            loss = F.nn.cross_entropy(fc(F.flatten(net(x), 1)), y)
            scaler.backward(gm, loss)
        assert all(p.grad.dtype == np.float32 for p in params)
        opt.step().clear_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] * 0.7 and all(p.dtype == np.float32 for p in params)


def test_grad_scaler_leaves_out_steps_that_are_not_finite():
    w = mge.Parameter([1.0])
    gm, scaler = GradManager().attach(w), amp.GradScaler(init_scale=8.0, growth_interval=2)
    with gm:
        scaler.backward(gm, (w * float("inf")).sum())
    assert w.grad is None and scaler.scale_factor == 4
    for _ in range(2):
        with gm:
            scaler.backward(gm, (w * 3).sum())
        np.testing.assert_allclose(w.grad.numpy(), 3)
        w.grad = None
    assert scaler.scale_factor == 8
    other = amp.GradScaler()
    other.load_state_dict(scaler.state_dict())
    assert other.scale_factor == 8 and other.growth_interval == 2


@pytest.mark.parametrize(
    "name, settings",
    [
        ("SGD", dict(lr=0.1, momentum=0.9)),
        ("Adam", dict(lr=0.1)),
        ("AdamW", dict(lr=0.1)),
        ("Adagrad", dict(lr=0.1)),
        ("Adadelta", dict(lr=5.0)),
        ("LAMB", dict(lr=0.1)),
        ("LAMB", dict(lr=0.02, weight_decay=0.01, always_adapt=True)),
    ],
)
def test_every_optimizer_finds_the_minimum_and_resumes(name, settings):
    def start():
        w = mge.Parameter(np.array([2.0, -3.0], "float32"))
        return w, getattr(O, name)([{"params": [w]}], **settings)

    def steps(w, opt, n):
        gm = GradManager().attach(w)
        for _ in range(n):
            with gm:
                gm.backward(((w - 1) ** 2).sum())
            opt.step().clear_grad()

    w, opt = start()
    before = ((w.numpy() - 1) ** 2).sum()
    steps(w, opt, 30)
    assert ((w.numpy() - 1) ** 2).sum() < before * 0.8
    other, resumed = start()
    other.set_value(w.numpy())
    resumed.load_state_dict(opt.state_dict())
    steps(w, opt, 5), steps(other, resumed, 5)
    np.testing.assert_equal(w.numpy(), other.numpy())


def test_lamb_for_float16_keeps_float32():
    w = mge.Parameter(np.ones(2), dtype="float16")
    opt = O.LAMBFp16(w, lr=1e-4)
    for _ in range(10):
        w.grad = mge.Tensor(np.ones(2), dtype="float16")
        opt.step()
    assert w.dtype == np.float16
    np.testing.assert_allclose(opt.state_dict()["state"][0]["param_fp32"], 1 - 1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda w: O.SGD([], lr=1), ValueError),
        (lambda w: O.SGD(3, lr=1), TypeError),
        (lambda w: O.SGD([mge.Tensor([1.0])], lr=1), TypeError),
        (lambda w: O.SGD([w, {"params": [w]}], lr=1), TypeError),
        (lambda w: O.SGD([{"params": w}, {"params": w}], lr=1), AssertionError),
        (lambda w: O.SGD(w, lr=-1), ValueError),
        (lambda w: O.SGD(w, lr=1, nesterov=True), ValueError),
        (lambda w: O.Adam(w, 1, (1, 1)), ValueError),
        (lambda w: O.SGD([{"params": {w}}], lr=1), TypeError),
        (lambda w: O.MultiStepLR(O.SGD(w, 1), [3, 1]), ValueError),
        (lambda w: O.LRScheduler(w), TypeError),
        (lambda w: O.MultiStepLR(O.SGD(w, 1), [3], current_epoch=2), KeyError),
        (lambda w: O.SGD(w, 1).load_state_dict({"param_groups": [], "state": {}}), ValueError),
    ],
)
def test_arguments_that_make_no_sense(make, error):
    with pytest.raises(error):
        make(mge.Parameter([1.0]))


def test_groups_have_settings_of_their_own():
    a, b = mge.Parameter([1.0]), mge.Parameter([1.0])
    opt = O.SGD([{"params": a, "lr": 0.5}, {"params": b}], lr=0.25)
    a.grad = b.grad = mge.Tensor([1.0])
    opt.step()
    assert (a.item(), b.item()) == (0.5, 0.75)
    assert O.clip_grad_norm([mge.Parameter([1.0])], 1.0).item() == 0
