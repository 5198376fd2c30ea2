"""Quantization: results of MegEngine at every stage, and what the conversions promise."""

import sys
from pathlib import Path

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
import megalith.quantization as Q
from megalith.core.tensor import dtype
from megalith.core.tensor.dtype import qint8, qint32
from megalith.jit import trace

RECORDED = Path(__file__).parent / "recorded"
sys.path.insert(0, str(RECORDED))

from quantization_cases import Results  # noqa: E402

WANTED = np.load(RECORDED / "quantization.npz")


@pytest.fixture(scope="module")
def results():
    return Results("megalith").run()


def test_the_same_results_are_recorded(results):
    assert set(WANTED.files) == set(results)


@pytest.mark.parametrize("name", sorted({n.split("/")[0] for n in WANTED.files}))
def test_results_are_megengines(results, name):
    for key in WANTED.files:
        if key.split("/")[0] == name:
            np.testing.assert_allclose(results[key], WANTED[key], rtol=1e-4, atol=1e-5, err_msg=key)


def quantized_net():
    return Results("megalith").stages(Q.ema_fakequant_qconfig, "net")


def test_traced_and_dumped_networks_compute_the_same(tmp_path):
    net, x = quantized_net()
    wanted = net(x).numpy()
    traced = trace(net, symbolic=True, capture_as_const=True)
    for _ in range(2):
        np.testing.assert_array_equal(traced(x).numpy(), wanted)
    traced.dump(str(tmp_path / "q.mge"), arg_names=["data"])
    assert (tmp_path / "q.mge").stat().st_size < 20_000  # weights are stored as int8


def test_quantized_layers_compute_with_integers():
    net, x = quantized_net()
    seen = []
    for layer in (net.c1, net.c2, net.c3, net.add, net.cat, net.fc, net.fc2):
        layer.register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    net(x)
    assert len(seen) == 7 and all(d == np.int8 and dtype.is_quantize(d) for d in seen)
    assert net.fc.weight.dtype == np.int8


def test_quantized_operands_decide_the_type():
    a = mge.Tensor([1.0, -2.0, 3.0]).astype(qint8(0.5))
    assert dtype.is_dtype_equal((a + mge.Tensor([1.0, 2.0, 3.0])).dtype, qint8(0.5))
    with pytest.raises(TypeError, match="no promotion rule"):
        a + a.astype(qint8(0.25))
    x = mge.Tensor(np.arange(6, dtype="float32").reshape(2, 3) * 0.5).astype(qint8(0.5))
    w = mge.Tensor(np.arange(12, dtype="float32").reshape(4, 3) * 0.25).astype(qint8(0.25))
    out = F.linear(x, w, mge.Tensor([1.0, 2.0, 3.0, 4.0]))
    assert dtype.is_dtype_equal(out.dtype, qint32(0.125))
    np.testing.assert_array_equal(out.numpy()[0], [13, 30, 47, 64])


def test_quantized_layers_refuse_training():
    net, x = quantized_net()
    net.train()
    with pytest.raises(ValueError, match="only support inference"):
        net(x)


def test_conversions_not_in_place_leave_the_model():
    net = Results("megalith").convnet()
    other = Q.quantize_qat(net, inplace=False)
    assert type(net.c1) is M.ConvBnRelu2d and type(other.c1) is M.qat.ConvBnRelu2d
    assert repr(other.c1).startswith("QAT.ConvBnRelu2d")


def test_disabled_modules_stay_float():
    net = Results("megalith").convnet()
    net.c2.disable_quantize()
    Q.quantize_qat(net)
    assert type(net.c2) is M.ConvRelu2d and type(net.c3) is M.qat.Conv2d


def test_modules_in_lists_are_converted():
    class Net(M.Module):
        def __init__(self):
            super().__init__()
            self.layers = [M.Linear(2, 2), {"a": M.Linear(2, 2)}]

        def forward(self, x):
            return self.layers[1]["a"](self.layers[0](x))

    net = Q.quantize_qat(Net())
    assert type(net.layers[0]) is type(net.layers[1]["a"]) is M.qat.Linear


def test_observers_and_fake_quantizers_switch_on_and_off():
    net, x = Results("megalith").convnet(), mge.Tensor(np.ones((1, 1, 8, 8), "float32"))
    net.eval()
    wanted = net(x).numpy()
    Q.quantize_qat(net)
    Q.disable_fake_quant(net)
    net.eval()
    np.testing.assert_allclose(net(x).numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert not net.c1.act_fake_quant.enabled and not net.c1.act_observer.enabled
    Q.enable_fake_quant(net)
    Q.enable_observer(net)
    assert net.c1.weight_fake_quant.enabled and net.c1.act_observer.enabled
    Q.disable_observer(net)
    assert not net.c1.weight_observer.enabled


def test_custom_modules_are_converted_by_mapping():
    class Scale(M.Module):
        def forward(self, x):
            return x * 2

    class QATScale(Scale, M.qat.QATModule):
        with_weight = False

        def forward(self, x):
            return self.apply_quant_activation(super().forward(x))

        @classmethod
        def from_float_module(cls, float_module):
            return cls()

    net = Q.quantize_qat(M.Sequential(Scale(), M.DequantStub()), mapping={Scale: QATScale})
    assert type(net[0]) is QATScale and net[0].act_fake_quant is not None


@pytest.mark.parametrize("kind", [Q.MinMaxObserver, Q.FakeQuantize, Q.TQT, Q.LSQ])
def test_unknown_types_are_refused(kind):
    with pytest.raises(ValueError, match="unknown dtype 'int3'"):
        kind(dtype="int3")


def test_qconfig_refuses_instances():
    with pytest.raises(ValueError, match="no instances"):
        Q.QConfig(Q.MinMaxObserver(), None, None, None)
    assert Q.easyquant_qconfig is Q.passive_qconfig


def test_qparams_compare_and_update():
    a, b = Q.create_qparams(dtype_meta="qint8", scale=mge.Tensor(0.5)), Q.create_qparams()
    assert a != b
    b.update(a)
    assert a == b and a.scale is b.scale and "dtype_meta" in repr(a)


def test_conversions_of_arrays_check_their_types():
    with pytest.raises(ValueError, match="expected an ndarray"):
        dtype.convert_to_qint8([1.0], qint8(0.1))
    with pytest.raises(ValueError, match="expected qint8"):
        dtype.convert_to_qint8(np.ones(2, "float32"), qint32(0.1))
    with pytest.raises(ValueError, match="expected qint4"):
        dtype.convert_from_qint4(np.ones(2, "int8"))
