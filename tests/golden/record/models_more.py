"""Small float and int8 networks under every dump option. See recorder.main for how to run it.

Files with CUDA layouts (LAYOUT_ONLY) carry the values of the plain model, as in the fixture set."""
import copy
import numpy as np
import megengine as mge
import megengine.functional as F
import megengine.module as M

from recorder import main

LAYOUT_ONLY = ("enable_nchw4", "enable_nchw32", "enable_chwn4", "enable_nchw64")


def nets():
    class Flat(M.Module):  # flattens after pooling
        def __init__(self):
            super().__init__()
            self.qs, self.dq = M.QuantStub(), M.DequantStub()
            self.c1 = M.ConvBnRelu2d(3, 8, 3, stride=2, padding=1)
            self.c2 = M.ConvBnRelu2d(8, 8, 3, padding=1, groups=2)
            self.c3 = M.ConvBn2d(8, 8, 1)
            self.add = M.Elemwise("FUSE_ADD_RELU")
            self.pool = M.MaxPool2d(2)
            self.fc = M.Linear(8 * 25, 6)

        def forward(self, x):
            x = self.c1(self.qs(x))
            x = self.pool(self.add(self.c3(self.c2(x)), x))
            return self.dq(self.fc(F.flatten(x, 1)))

    class Wide(M.Module):  # enough channels for the formats of 32 and 64
        def __init__(self):
            super().__init__()
            self.qs, self.dq = M.QuantStub(), M.DequantStub()
            self.c1 = M.ConvBnRelu2d(4, 64, 3, padding=1)
            self.c2 = M.ConvBnRelu2d(64, 64, 3, stride=2, padding=1)
            self.c3 = M.ConvRelu2d(64, 32, 1)
            self.c4 = M.Conv2d(32, 64, 3)
            self.pool = M.AvgPool2d(2)

        def forward(self, x):
            x = self.c2(self.c1(self.qs(x)))
            y = self.c4(self.pool(self.c3(x)))
            return self.dq(F.flatten(y, 1))

    class Cat(M.Module):  # concatenation, deconvolution, reshape to more axes
        def __init__(self):
            super().__init__()
            self.qs, self.dq = M.QuantStub(), M.DequantStub()
            self.c1 = M.ConvRelu2d(3, 8, 3, padding=1)
            self.c2 = M.Conv2d(8, 8, 3, padding=1, groups=8)
            self.cat = M.Concat()
            self.c3 = M.ConvRelu2d(16, 4, 3)

        def forward(self, x):
            x = self.c1(self.qs(x))
            y = self.c3(self.cat((x, self.c2(x)), 1))
            return [self.dq(F.reshape(y, (y.shape[0], 2, 2, -1))), self.dq(x)]

    return dict(flat=(Flat, (2, 3, 20, 20)), wide=(Wide, (1, 4, 12, 12)), cat=(Cat, (2, 3, 7, 8)))


def floats():
    class Mix(M.Module):
        def __init__(self):
            super().__init__()
            self.c1 = M.Conv2d(3, 8, 3, padding=1, stride=2)
            self.b1 = M.BatchNorm2d(8)
            self.dw = M.Conv2d(8, 8, 3, padding=1, groups=8)
            self.g = M.Conv2d(8, 16, 3, padding=1, groups=2, dilation=1)
            self.k1 = M.Conv2d(16, 16, 1, bias=False)
            self.up = M.ConvTranspose2d(16, 8, 4, 2, padding=1)
            self.fc = M.Linear(8, 7)

        def forward(self, x):
            x = F.relu(self.b1(self.c1(x)))
            y = F.nn.hswish(self.dw(x)) + x
            y = F.sigmoid(self.g(y))
            y = F.relu(self.k1(y) + y)
            z = F.avg_pool2d(self.up(y), 2)
            z = F.concat([z, F.max_pool2d(z, 3, 1, 1)], 1)[:, :8]
            return [F.softmax(self.fc(F.mean(F.flatten(z, 2), 2))), F.flatten(z, 1), F.vision.interpolate(y, scale_factor=2)]

    class Pre(M.Module):  # preprocessing in the graph
        def __init__(self):
            super().__init__()
            self.c1 = M.Conv2d(3, 8, 3, padding=1, stride=2)
            self.c2 = M.Conv2d(8, 4, 1)

        def forward(self, x):
            x = (x.astype("float32") - 128.) * 0.01
            return self.c2(F.relu(self.c1(x)))

    return dict(mix=(Mix, (2, 3, 16, 20)), pre=(Pre, (1, 3, 12, 10)))


OPTIONS = [dict([(k, True)]) for k in ("enable_io16xc32", "enable_ioc16", "enable_hwcd4", "enable_nchw88", "enable_nchw44", "enable_nchw44_dot", "enable_nchw4", "enable_nchw32", "enable_chwn4", "enable_nchw64",
           "enable_fuse_conv_bias_nonlinearity", "enable_fuse_conv_bias_with_z", "enable_fuse_preprocess", "enable_fuse_grain", "enable_layout_transform")]
OPTIONS += [{}, dict(no_change_graph=True), dict(enable_nchw44=True, enable_fuse_conv_bias_nonlinearity=True), dict(enable_nchw88=True, enable_fuse_conv_bias_nonlinearity=True),
            dict(enable_nchw44_dot=True, enable_fuse_conv_bias_nonlinearity=True), dict(enable_fuse_conv_bias_nonlinearity=True, enable_fuse_conv_bias_with_z=True), dict(enable_fuse_conv_bias_nonlinearity=True, enable_fuse_preprocess=True, enable_nchw4=True),
            dict(enable_ioc16=True, enable_nchw88=True), dict(enable_ioc16=True, enable_fuse_conv_bias_nonlinearity=True), dict(keep_var_name=2, keep_opr_name=True, enable_nchw44=True)]


def cases(s):
    A = lambda name, shape, lo=-1., hi=1.: s.rng(name).uniform(lo, hi, shape).astype("f4")

    def fill(net, r):
        for n, p in sorted(list(net.named_parameters()) + list(net.named_buffers())):
            v = p.numpy()
            if v.dtype.kind == "f":
                w = r.uniform(.6, 1.4, v.shape) if n.endswith("running_var") or v.ndim <= 1 and n.endswith("weight") else r.standard_normal(v.shape) * (1.4 / max(1, np.prod(v.shape[1:] if v.ndim < 5 else v.shape[2:]))**.5 if v.ndim > 1 else .1)
                p[...] = mge.tensor(w.astype("f4"))
        net.eval()
        return net

    def quantized(cls, shape, qc):
        import megengine.quantization as Q
        from megengine.quantization.quantize import quantize, quantize_qat, enable_observer, disable_observer, enable_fake_quant, disable_fake_quant
        net = quantize_qat(fill(cls(), s.rng("qw" + cls.__name__)), qconfig=getattr(Q, qc))
        net.train()
        enable_observer(net)
        disable_fake_quant(net)
        for i in range(4):
            net(mge.tensor(A("cal%d" % i, shape)))
        enable_fake_quant(net)
        disable_observer(net)
        net.eval()
        q = quantize(net, inplace=False)
        q.eval()
        return q

    def one(group, name, make, x, tol, kw):
        def rec():
            net = make()
            Recorder = type(s)
            plain = any(k in kw for k in LAYOUT_ONLY)
            super(Recorder, s).case(group, name, lambda x: net(x), dict(data=x), tol=tol, dump=kw, run=not (plain and group == "int8_nets"), compare_eager=False)
        s.forked(rec, group + "/" + name)

    for n, (cls, shape) in nets().items():
        for qc in ("min_max_fakequant_qconfig",):
            for kw in OPTIONS:
                nm = "%s_%s" % (n, "_".join(k.replace("enable_", "") for k in kw) or "plain")
                one("int8_nets", nm, lambda cls=cls, shape=shape, qc=qc: quantized(cls, shape, qc), A("x" + n, shape), dict(rtol=1e-2, atol=5e-2), kw)
    for n, (cls, shape) in floats().items():
        for kw in OPTIONS:
            half = any("16" in k for k in kw)
            nm = "%s_%s" % (n, "_".join(k.replace("enable_", "") for k in kw) or "plain")
            x = s.rng("u" + n).randint(0, 256, shape).astype("u1") if n == "pre" else A("x" + n, shape)
            one("float_nets", nm, lambda cls=cls: fill(cls(), s.rng("fw" + n)), x, dict(rtol=2e-2, atol=2e-2) if half else dict(rtol=1e-3, atol=1e-4), kw)


if __name__ == "__main__":
    main([cases])
