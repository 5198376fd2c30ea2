"""Results of quantization under MegEngine or Megalith, for the recorded ones that test_quantization.py compares with.

    python python/tests/recorded/quantization_cases.py megengine python/tests/recorded/quantization.npz

Both packages run the same calls on the same numbers.
"""

import importlib
import sys
from functools import partial

import numpy as np


class Results:
    """The calls; ``out`` holds their results by name."""

    def __init__(self, package):
        def at(name):
            return importlib.import_module(f"{package}.{name}")

        self.mge = importlib.import_module(package)
        self.M, self.F, self.Q, self.optimizer = at("module"), at("functional"), at("quantization"), at("optimizer")
        self.qat, self.autodiff, self.dtype = at("module.qat"), at("autodiff"), at("core.tensor.dtype")
        self.rng = np.random.RandomState(0)
        self.out = {}

    def tensor(self, *shape, scale=1.0):
        return self.mge.Tensor((self.rng.randn(*shape) * scale).astype("float32"))

    def randomize(self, net):
        for _, p in sorted(net.named_parameters()):
            p[...] = self.tensor(*p.shape, scale=0.2)
        return net

    def keep(self, name, *values):
        for i, v in enumerate(values):
            self.out[f"{name}/{i}"] = np.array(v.numpy() if hasattr(v, "numpy") else v)

    def convnet(self):
        M, F = self.M, self.F

        class Net(M.Module):
            def __init__(self):
                super().__init__()
                self.quant, self.dequant = M.QuantStub(), M.DequantStub()
                self.c1 = M.ConvBnRelu2d(1, 4, 3, padding=1)
                self.c2 = M.ConvRelu2d(4, 4, 3, groups=2)
                self.c3 = M.Conv2d(4, 4, 3, padding=1, bias=False)
                self.add, self.cat = M.Elemwise("add"), M.Concat()
                self.fc, self.fc2 = M.LinearRelu(8 * 36, 8), M.Linear(8, 10)

            def forward(self, x):
                x = self.c2(self.c1(self.quant(x)))
                z = self.add(x, self.c3(x))
                x = F.flatten(self.cat([x, z], 1), 1)
                return self.dequant(self.fc2(self.fc(x)))

        return self.randomize(Net())

    def train(self, net, x, steps, name):
        """A few steps of QAT; the results of each."""
        opt = self.optimizer.SGD(net.parameters(), lr=0.01)
        gm = self.autodiff.GradManager().attach(net.parameters())
        labels = self.mge.Tensor(np.arange(x.shape[0], dtype="int32"))
        for i in range(steps):
            with gm:
                y = net(x)
                loss = self.F.loss.cross_entropy(self.F.flatten(y, 1), labels)
                gm.backward(loss)
            opt.step().clear_grad()
            self.keep(f"{name}/step{i}", y, loss)

    def stages(self, qconfig, name):
        """Float, QAT and quantized results of a network; the quantized network."""
        net, x = self.convnet(), self.tensor(4, 1, 8, 8)
        self.keep(f"{name}/float", net(x))
        net.train()
        self.Q.quantize_qat(net, qconfig=qconfig)
        self.train(net, x, 3, name)
        net.eval()
        self.keep(f"{name}/qat", net(x))
        self.keep(f"{name}/fc", *(v for k, v in sorted(net.state_dict().items()) if "observer" in k and "_val" in k))
        self.Q.quantize(net)
        net.eval()
        self.keep(f"{name}/quantized", net(x))
        return net, x

    def networks(self):
        Q = self.Q
        self.stages(Q.ema_fakequant_qconfig, "ema")
        self.stages(Q.min_max_fakequant_qconfig, "minmax")
        self.stages(Q.sync_ema_fakequant_qconfig, "sync")
        self.stages(Q.calibration_qconfig, "calibration")
        lsq = Q.QConfig(
            weight_observer=partial(Q.MinMaxObserver, dtype="qint8_narrow"),
            act_observer=partial(Q.MinMaxObserver, dtype="qint8"),
            weight_fake_quant=partial(Q.FakeQuantize, dtype="qint8_narrow"),
            act_fake_quant=partial(Q.FakeQuantize, dtype="qint8"),
        )
        net, x = self.convnet(), self.tensor(4, 1, 8, 8)
        Q.quantize_qat(net, qconfig=lsq)
        net(x)
        for kind, kwargs in ((Q.LSQ, {}), (Q.TQT, {})):
            config = Q.QConfig(None, None, partial(kind, dtype="qint8_narrow"), partial(kind, dtype="qint8"))
            other = Q.reset_qconfig(net, config, inplace=False)
            self.train(other, x, 2, kind.__name__)
        M = self.M  # of layers whose arguments are all tensors, which MegEngine's search needs
        easy = self.randomize(M.Sequential(M.QuantStub(), M.ConvRelu2d(1, 4, 3), M.Conv2d(4, 4, 3), M.DequantStub()))
        Q.quantize_qat(easy)
        easy(x)
        Q.reset_qconfig(easy, Q.passive_qconfig)
        easy.eval()
        Q.enable_fake_quant(easy)
        Q.apply_easy_quant(easy, x, num=5)
        self.keep("easy", easy(x), easy[1].weight_observer.scale, easy[1].act_observer.scale)
        Q.disable_fake_quant(easy)
        self.keep("easy_float", easy(x))

    def layers(self):
        M, Q = self.M, self.Q
        cases = {
            "conv_bn": (M.ConvBn2d(2, 4, 3, groups=2), (3, 2, 6, 6)),
            "conv_reflect": (M.ConvRelu2d(2, 4, 3, padding=1, padding_mode="reflect"), (3, 2, 6, 6)),
            "conv_transpose_bn": (M.ConvTransposeBn2d(2, 4, 3, stride=2), (3, 2, 6, 6)),
            "conv_transpose_bn_relu": (M.ConvTransposeBnRelu2d(2, 4, 3), (3, 2, 6, 6)),
            "conv_transpose_relu": (M.ConvTransposeRelu2d(2, 4, 3), (3, 2, 6, 6)),
            "conv_transpose": (M.ConvTranspose2d(2, 4, 3, bias=False, stride=2), (3, 2, 6, 6)),
            "linear_bn": (M.LinearBn1d(6, 5), (4, 6)),
            "linear_bn_relu": (M.LinearBnRelu1d(6, 5), (4, 6)),
            "bmm": (M.BatchMatMulActivation(3, 4, 5, bias=False), (3, 4, 2)),
        }
        for name, (layer, shape) in cases.items():
            net = self.randomize(M.Sequential(M.QuantStub(), layer, M.DequantStub()))
            x = self.tensor(*shape)
            Q.quantize_qat(net)
            self.keep(f"{name}/train", net(x), net(x * 2))
            net.eval()
            self.keep(f"{name}/eval", net(x))
            if name.startswith("conv_transpose") and name != "conv_transpose" or name == "bmm":
                continue  # MegEngine has no quantized form that runs
            Q.quantize(net)
            net.eval()
            self.keep(f"{name}/quantized", net(x))

    def observers(self):
        Q, modes = self.Q, self.Q.QuantMode
        for mode in (modes.SYMMERTIC, modes.ASYMMERTIC):
            dtype = "quint8" if mode is modes.ASYMMERTIC else "qint8"
            for kind in (Q.MinMaxObserver, Q.ExponentialMovingAverageObserver, Q.SyncMinMaxObserver,
                         Q.HistogramObserver):  # fmt: skip
                observer = kind(mode=mode, dtype=dtype)
                for factor in (1.0, 0.5, 2.0):
                    observer(self.tensor(50, 20, scale=factor) + 0.3)
                params = observer.get_qparams()
                zero = [] if params.zero_point is None else [params.zero_point]
                self.keep(f"{kind.__name__}/{dtype}", params.scale, observer.min_val, observer.max_val, *zero)
                fake = Q.FakeQuantize(dtype)
                self.keep(f"fake/{kind.__name__}/{dtype}", fake(self.tensor(5, 7), params))

    def dtypes(self):
        d, x = self.dtype, self.rng.randn(4, 5).astype("float32")
        for name, q in (("quint8", d.quint8(0.02, 100)), ("qint8", d.qint8(0.02)), ("qint32", d.qint32(0.003)),
                        ("quint4", d.quint4(0.2, 7)), ("qint4", d.qint4(0.2)), ("qint1", d.qint1(0.5))):  # fmt: skip
            stored = getattr(d, "convert_to_" + name)(x, q)
            self.keep(name, np.asarray(stored).view(stored.dtype.str), getattr(d, "convert_from_" + name)(stored))

    def gradients(self):
        """Of what fakes quantization: to its input, scale and zero point, per tensor and per channel."""
        utils = importlib.import_module(f"{self.mge.__name__}.quantization.utils")
        x = self.tensor(2, 3, 2, 2)
        for name in ("qint8", "quint8", "qint4", "quint4"):
            meta = self.dtype._builtin_quant_dtypes[name]
            for scale, zero in ((0.02, 3.0), (1.5, 3.0), (np.array([0.1, 0.2, 0.7]).reshape(1, 3, 1, 1), 2.0)):
                s, z = (
                    self.mge.Tensor(np.asarray(v, "float32")) for v in (scale, np.broadcast_to(zero, np.shape(scale)))
                )
                key = f"gradients/{name}/{np.ravel(scale)[0]}"
                for mode in ("SYMMERTIC", "ASYMMERTIC"):
                    qparams = utils.create_qparams(
                        getattr(utils.QuantMode, mode), meta, s, z if mode[0] == "A" else None
                    )
                    self.gradient(f"{key}/{mode}", partial(utils.fake_quant_tensor, x, qparams), x, s, z)
                if np.ndim(scale) == 0:
                    step = self.mge.Tensor(np.float32(0.3))
                    self.gradient(
                        f"{key}/lsq", partial(utils.lsq_forward, meta.qmin, meta.qmax, x, s, z, step), x, s, z
                    )
                    log = self.mge.Tensor(np.float32(np.log2(scale)))
                    self.gradient(f"{key}/tqt", partial(utils.tqt_forward, meta.qmin, meta.qmax, x, log), x, log)

    def gradient(self, name, function, *wrt):
        gm = self.autodiff.GradManager().attach(list(wrt))
        with gm:
            y = function()
            gm.backward((y * self.mge.Tensor(np.cos(np.arange(24.0)).reshape(2, 3, 2, 2).astype("float32"))).sum())
        self.keep(name, y, *(np.zeros(0) if t.grad is None else t.grad for t in wrt))
        for t in wrt:
            t.grad = None

    def run(self):
        for part in (self.networks, self.layers, self.observers, self.dtypes, self.gradients):
            self.rng = np.random.RandomState(1)
            part()
        return self.out


if __name__ == "__main__":
    np.savez_compressed(sys.argv[2], **Results(sys.argv[1]).run())
