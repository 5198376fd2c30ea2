"""Convolutions: formats, types, groups, dilation, odd shapes. See recorder.main for how to run it.

MegEngine's optimized int8 kernels need a JIT that some machines forbid: record those (group conv_int8) with
MGB_USE_MEGDNN_DBG=2. Integer sums are the same."""
import numpy as np
import megengine.functional as F
from megengine.core._imperative_rt.core2 import apply
from megengine.core.ops import builtin as B
from megengine.core.tensor.dtype import qint8, quint8, qint32, qint4, quint4

from recorder import POLICY, main

ACT = ("identity", "relu", "sigmoid", "h_swish")


def out(i, k, p, s, d):
    return (i + 2 * p - (k - 1) * d - 1) // s + 1


def geo(xs, ws, kw):
    oc = ws[0] * ws[1] if len(ws) == 5 else ws[0]
    return (xs[0], oc, out(xs[2], ws[-2], kw.get("pad_h", 0), kw.get("stride_h", 1), kw.get("dilate_h", 1)),
            out(xs[3], ws[-1], kw.get("pad_w", 0), kw.get("stride_w", 1), kw.get("dilate_w", 1)))


def block(x, b):
    n, c, h, w = x.shape
    return np.ascontiguousarray(x.reshape(n, c // b, b, h, w).transpose(0, 1, 3, 4, 2))


def block_filter(w, b, dot=False):
    """(oc, ic, h, w) or (g, oc, ic, h, w) to both channels blocked"""
    g = w.shape[:-4]
    oc, ic, h, k = w.shape[-4:]
    v = w.reshape(g + (oc // b, b, ic // b, b, h, k))
    n = len(g)
    axes = list(range(n)) + [n + i for i in ((0, 2, 4, 5, 1, 3) if dot else (0, 2, 4, 5, 3, 1))]
    return np.ascontiguousarray(v.transpose(axes))


GEOMETRY = dict(
    k3=((2, 8, 7, 9), (8, 8, 3, 3), {}), k3p=((1, 8, 6, 5), (8, 8, 3, 3), dict(pad_h=1, pad_w=1)),
    k3s2=((2, 8, 9, 8), (16, 8, 3, 3), dict(pad_h=1, pad_w=1, stride_h=2, stride_w=2)),
    asym=((1, 8, 9, 13), (8, 8, 2, 5), dict(pad_h=1, pad_w=2, stride_h=3, stride_w=2)),
    k1=((3, 8, 4, 5), (16, 8, 1, 1), {}), k1p=((1, 8, 4, 5), (8, 8, 1, 1), dict(pad_h=1, pad_w=1, stride_h=2, stride_w=2)),
    k5=((1, 8, 9, 9), (8, 8, 5, 5), dict(pad_h=2, pad_w=2)), k7s2=((1, 8, 15, 14), (8, 8, 7, 7), dict(pad_h=3, pad_w=3, stride_h=2, stride_w=2)),
    k2=((1, 8, 5, 5), (8, 8, 2, 2), dict(stride_h=2, stride_w=2)), dil=((1, 8, 11, 12), (8, 8, 3, 3), dict(dilate_h=2, dilate_w=3, pad_h=2, pad_w=1)),
    padwide=((1, 8, 3, 3), (8, 8, 3, 3), dict(pad_h=4, pad_w=5)), flip=((1, 8, 6, 7), (8, 8, 3, 2), dict(mode="convolution", pad_h=1)),
    flip_dil=((1, 8, 9, 9), (8, 8, 3, 3), dict(mode="convolution", dilate_h=2, dilate_w=2)), one=((1, 8, 1, 1), (8, 8, 1, 1), {}),
    exact=((2, 8, 3, 4), (8, 8, 3, 4), {}))
GROUPS = dict(
    g2=((2, 16, 6, 7), (2, 8, 8, 3, 3), dict(pad_h=1, pad_w=1)), g4s2=((1, 32, 7, 7), (4, 8, 8, 3, 3), dict(stride_h=2, stride_w=2)),
    g2flip=((1, 16, 6, 6), (2, 8, 8, 3, 3), dict(mode="convolution")), g2dil=((1, 16, 9, 9), (2, 8, 8, 3, 3), dict(dilate_h=2, dilate_w=2)))
DEPTHWISE = dict(
    dw3=((2, 8, 7, 6), (8, 1, 1, 3, 3), dict(pad_h=1, pad_w=1)), dw5s2=((1, 8, 11, 10), (8, 1, 1, 5, 5), dict(pad_h=2, pad_w=2, stride_h=2, stride_w=2)),
    dw2=((1, 8, 5, 5), (8, 1, 1, 2, 2), {}), dwdil=((1, 8, 9, 9), (8, 1, 1, 3, 3), dict(dilate_h=2, dilate_w=2, pad_h=2, pad_w=2)), dw7=((1, 8, 9, 9), (8, 1, 1, 7, 7), dict(pad_h=3, pad_w=3)))
ODD = dict(
    c1=((2, 1, 5, 6), (1, 1, 3, 3), dict(pad_h=1, pad_w=1)), c3to5=((1, 3, 8, 7), (5, 3, 3, 3), dict(pad_h=1, pad_w=1, stride_h=2, stride_w=1)), c7to3=((3, 7, 4, 5), (3, 7, 1, 1), {}),
    c5k4=((1, 5, 10, 9), (6, 5, 4, 4), dict(pad_h=2, pad_w=1, stride_h=2, stride_w=2)), g3=((1, 6, 5, 5), (3, 1, 2, 3, 3), dict(pad_h=1, pad_w=1)), mult=((1, 3, 5, 5), (3, 4, 1, 3, 3), {}),
    g_mult=((2, 9, 6, 6), (3, 2, 3, 2, 2), {}), n0=((0, 3, 8, 7), (5, 3, 3, 3), {}))


def cases(s):
    A = lambda name, shape, lo=-1.5, hi=1.5: s.rng(name).uniform(lo, hi, shape).astype("f4")
    I = lambda name, shape, lo, hi, dt="i1": s.rng(name).randint(lo, hi, shape).astype(dt)

    def kw_of(ws, kw):
        kw = dict(kw)
        if len(ws) == 5:
            kw["sparse"] = "group"
        return kw

    ALL = {**GEOMETRY, **GROUPS, **DEPTHWISE, **ODD}
    # ---- float, NCHW: Convolution and ConvBias with and without z
    g = "conv_more"
    for n, (xs, ws, kw) in ALL.items():
        kw = kw_of(ws, kw)
        s.case(g, "f32_" + n, lambda x, w, kw=kw: apply(B.Convolution(**kw), x, w)[0], dict(x=A(n, xs), w=A(n + "w", ws)))
        s.case(g, "f16_" + n, lambda x, w, kw=kw: apply(B.Convolution(**kw), x, w)[0], dict(x=A(n, xs).astype("f2"), w=A(n + "w", ws).astype("f2")))
        ys = geo(xs, ws, kw)
        for i, act in enumerate(ACT):
            if i and n not in ("k3p", "g2", "dw3", "c3to5"):
                continue
            bias = {"identity": (1, ys[1], 1, 1), "relu": ys, "sigmoid": (1, ys[1], 1, 1), "h_swish": (1, ys[1], 1, 1)}[act]
            s.case(g, "bias_%s_%s" % (n, act), lambda x, w, b, kw=kw, act=act: apply(B.ConvBias(nonlineMode=act, **kw), x, w, b)[0], dict(x=A(n, xs), w=A(n + "w", ws), b=A(n + "b", bias)))
            s.case(g, "z_%s_%s" % (n, act), lambda x, w, b, z, kw=kw, act=act: apply(B.ConvBias(nonlineMode=act, **kw), x, w, b, z)[0],
                   dict(x=A(n, xs), w=A(n + "w", ws), b=A(n + "b", (1, ys[1], 1, 1)), z=A(n + "z", ys)))
        s.case(g, "nobias_" + n, lambda x, w, kw=kw: apply(B.ConvBias(nonlineMode="relu", **kw), x, w)[0], dict(x=A(n, xs), w=A(n + "w", ws)))
    # ---- blocked float formats
    for fmt, b in (("nchw88", 8), ("nchw44", 4)):
        for n, (xs, ws, kw) in {**GEOMETRY, **GROUPS, **DEPTHWISE}.items():
            kw = dict(kw_of(ws, kw), format=fmt)
            x, w = A(n, xs), A(n + "w", ws)
            xb = block(x, b)
            wb = np.ascontiguousarray(w.reshape(ws[0] // b, b, 1, 1, *ws[3:]).transpose(0, 2, 3, 4, 5, 1)) if n in DEPTHWISE else block_filter(w, b)
            s.case(g, "%s_%s" % (fmt, n), lambda x, w, kw=kw: apply(B.Convolution(**kw), x, w)[0], dict(x=xb, w=wb))
            ys = geo(xs, ws, kw)
            bias = block(A(n + "b", (1, ys[1], 1, 1)), b)
            for act in ACT[:2] if n != "k3p" else ACT:
                s.case(g, "%s_bias_%s_%s" % (fmt, n, act), lambda x, w, b, kw=kw, act=act: apply(B.ConvBias(nonlineMode=act, **kw), x, w, b)[0], dict(x=xb, w=wb, b=bias))
            s.case(g, "%s_z_%s" % (fmt, n), lambda x, w, b, z, kw=kw: apply(B.ConvBias(**kw), x, w, b, z)[0], dict(x=xb, w=wb, b=bias, z=block(A(n + "z", ys), b)))
        for n, (xs, ws, kw) in dict(first=((2, 3, 9, 8), (8, 3, 3, 3), dict(pad_h=1, pad_w=1)), first_s2=((1, 3, 11, 12), (16, 3, 3, 3), dict(pad_h=1, pad_w=1, stride_h=2, stride_w=2)),
                                    first_k7=((1, 3, 15, 15), (8, 3, 7, 7), dict(pad_h=3, pad_w=3, stride_h=2, stride_w=2)), first_c1=((1, 1, 6, 6), (8, 1, 3, 3), {})).items():
            wb = np.ascontiguousarray(A(n + "w", ws).reshape(ws[0] // b, b, *ws[1:]).transpose(0, 3, 4, 2, 1))
            s.case(g, "%s_%s" % (fmt, n), lambda x, w, b_, kw=kw, fmt=fmt: apply(B.ConvBias(format=fmt, **kw), x, w, b_)[0], dict(x=A(n, xs), w=wb, b_=block(A(n + "b", (1, ws[0], 1, 1)), b)))
    # ---- NHWC
    for n, (xs, ws, kw) in {**GEOMETRY, **GROUPS, **DEPTHWISE, **ODD}.items():
        kw = dict(kw_of(ws, kw), format="nhwc")
        x = np.ascontiguousarray(A(n, xs).transpose(0, 2, 3, 1))
        w = A(n + "w", ws)
        w = np.ascontiguousarray(w.transpose(0, 2, 3, 1) if w.ndim == 4 else w.transpose(0, 1, 3, 4, 2))
        s.case(g, "nhwc_" + n, lambda x, w, kw=kw: apply(B.Convolution(**kw), x, w)[0], dict(x=x, w=w))
        ys = geo(xs, ws, kw)
        s.case(g, "nhwc_z_" + n, lambda x, w, b, z, kw=kw: apply(B.ConvBias(nonlineMode="relu", **kw), x, w, b, z)[0],
               dict(x=x, w=w, b=A(n + "b", (1, 1, 1, ys[1])), z=np.ascontiguousarray(A(n + "z", ys).transpose(0, 2, 3, 1))))
        s.case(g, "nhwc_bias_" + n, lambda x, w, b, kw=kw: apply(B.ConvBias(nonlineMode="relu", **kw), x, w, b)[0], dict(x=x, w=w, b=A(n + "b", (1, 1, 1, ys[1]))))
    # ---- backward data with every geometry, backward filter
    for n, (xs, ws, kw) in ALL.items():
        kw_ = kw_of(ws, kw)
        ys = geo(xs, ws, kw)
        s.case(g, "bwd_data_" + n, lambda w, dy, kw=kw_: apply(B.ConvolutionBackwardData(**kw), w, dy)[0], dict(w=A(n + "w", ws), dy=A(n + "dy", ys)))
        s.case(g, "bwd_data_shaped_" + n, lambda w, dy, x, kw=kw_: apply(B.ConvolutionBackwardData(**kw), w, dy, x)[0], dict(w=A(n + "w", ws), dy=A(n + "dy", ys), x=A(n, xs)))
        up = {k: v.upper() if isinstance(v, str) else v for k, v in kw_.items()}
        s.op(g, "bwd_filter_" + n, "ConvolutionBackwardFilter", dict(x=A(n, xs), dy=A(n + "dy", ys), w=A(n + "w", ws)), [("param.Convolution", up), POLICY])
    for n in ("k3s2", "g2", "dw3"):
        xs, ws, kw = ALL[n]
        s.case(g, "bwd_data_f16_" + n, lambda w, dy, kw=kw_of(ws, kw): apply(B.ConvolutionBackwardData(**kw), w, dy)[0], dict(w=A(n + "w", ws).astype("f2"), dy=A(n + "dy", geo(xs, ws, kw)).astype("f2")))
        s.case(g, "f16_c32_" + n, lambda x, w, kw=kw_of(ws, kw): apply(B.Convolution(compute_mode="float32", **kw), x, w)[0], dict(x=A(n, xs).astype("f2"), w=A(n + "w", ws).astype("f2")))
        s.case(g, "f16_bias_" + n, lambda x, w, b, kw=kw_of(ws, kw): apply(B.ConvBias(nonlineMode="relu", **kw), x, w, b)[0],
               dict(x=A(n, xs).astype("f2"), w=A(n + "w", ws).astype("f2"), b=A(n + "b", (1, geo(xs, ws, kw)[1], 1, 1)).astype("f2")))
    # ---- 3d
    for n, (xs, ws, kw) in dict(
            basic=((2, 3, 5, 6, 7), (4, 3, 2, 3, 3), dict(pad_h=1)), s2=((1, 2, 7, 7, 6), (3, 2, 3, 3, 3), dict(pad_d=1, pad_h=1, pad_w=1, stride_d=2, stride_h=2, stride_w=1)),
            dil=((1, 2, 7, 8, 9), (2, 2, 2, 2, 3), dict(dilate_d=2, dilate_h=3, dilate_w=2)), flip=((1, 2, 4, 5, 6), (3, 2, 3, 2, 3), dict(mode="convolution")),
            group=((1, 4, 5, 5, 5), (2, 3, 2, 3, 3, 3), dict(pad_d=1)), dw=((2, 3, 4, 5, 5), (3, 1, 1, 3, 3, 3), dict(pad_d=1, pad_h=1, pad_w=1)), k1=((2, 3, 4, 4, 4), (5, 3, 1, 1, 1), {})).items():
        kw = dict(kw, sparse="group") if len(ws) == 6 else kw
        s.case(g, "3d_" + n, lambda x, w, kw=kw: apply(B.Convolution3D(**kw), x, w)[0], dict(x=A(n, xs), w=A(n + "w", ws)))
        oc = ws[0] * ws[1] if len(ws) == 6 else ws[0]
        ys = (xs[0], oc) + tuple(out(xs[2 + i], ws[-3 + i], kw.get("pad_" + a, 0), kw.get("stride_" + a, 1), kw.get("dilate_" + a, 1)) for i, a in enumerate("dhw"))
        s.case(g, "3d_bwd_data_" + n, lambda w, dy, kw=kw: apply(B.Convolution3DBackwardData(**kw), w, dy)[0], dict(w=A(n + "w", ws), dy=A(n + "dy", ys)))
        up = {k: v.upper() if isinstance(v, str) else v for k, v in kw.items()}
        s.op(g, "3d_bwd_filter_" + n, "Convolution3DBackwardFilter", dict(x=A(n, xs), dy=A(n + "dy", ys), w=A(n + "w", ws)), [("param.Convolution3D", up), POLICY])
        s.case(g, "3d_f16_" + n, lambda x, w, kw=kw: apply(B.Convolution3D(**kw), x, w)[0], dict(x=A(n, xs).astype("f2"), w=A(n + "w", ws).astype("f2")))
    # ---- integers
    g = "conv_int8"
    tol = lambda sc: dict(rtol=0, atol=sc * 1.01)
    for n, (xs, ws, kw) in ALL.items():
        kw = kw_of(ws, kw)
        xi, wi = I(n, xs, -30, 30), I(n + "w", ws, -30, 30)
        ys = geo(xs, ws, kw)
        s.case(g, "i8_" + n, lambda x, w, kw=kw: apply(B.Convolution(**kw), x, w)[0], dict(x=xi, w=wi))
        s.case(g, "q8_" + n, lambda x, w, b, z, kw=kw: [apply(B.ConvBias(dtype=qint8(.09), nonlineMode=m, **kw), x.astype(qint8(.02)), w.astype(qint8(.03)), b.astype(qint32(.0006)), z.astype(qint8(.05)))[0].astype("float32")
               for m in ("identity", "relu", "h_swish")], dict(x=A(n, xs), w=A(n + "w", ws), b=A(n + "b", (1, ys[1], 1, 1)), z=A(n + "z", ys)), tol=tol(.09))
        s.case(g, "q8_nobias_" + n, lambda x, w, kw=kw: apply(B.ConvBias(dtype=qint8(.09), nonlineMode="relu", **kw), x.astype(qint8(.02)), w.astype(qint8(.03)))[0].astype("float32"),
               dict(x=A(n, xs), w=A(n + "w", ws)), tol=tol(.09))
        s.case(g, "q8_q32_" + n, lambda x, w, kw=kw: apply(B.Convolution(**kw), x.astype(qint8(.02)), w.astype(qint8(.03)))[0].astype("float32"), dict(x=A(n, xs), w=A(n + "w", ws)))
        s.case(g, "qu8_" + n, lambda x, w, b, kw=kw: [apply(B.ConvBias(dtype=quint8(.09, 120), nonlineMode=m, **kw), x.astype(quint8(.02, 128)), w.astype(quint8(.03, 120)), b.astype(qint32(.0006)))[0].astype("float32")
               for m in ("identity", "relu")], dict(x=A(n, xs), w=A(n + "w", ws), b=A(n + "b", (1, ys[1], 1, 1))), tol=tol(.09))
        s.case(g, "q4_" + n, lambda x, w, b, kw=kw: apply(B.ConvBias(dtype=qint4(.9), nonlineMode="identity", **kw), x.astype(qint4(.2)), w.astype(qint4(.3)), b.astype(qint32(.06)))[0].astype(qint8(.9)).astype("float32"),
               dict(x=A(n, xs), w=A(n + "w", ws), b=A(n + "b", (1, ys[1], 1, 1))), tol=tol(.9))
        s.case(g, "qu4_" + n, lambda x, w, b, kw=kw: apply(B.ConvBias(dtype=quint4(.9, 7), nonlineMode="identity", **kw), x.astype(quint4(.2, 8)), w.astype(qint4(.3)), b.astype(qint32(.06)))[0].astype(quint8(.9, 7)).astype("float32"),
               dict(x=A(n, xs), w=A(n + "w", ws), b=A(n + "b", (1, ys[1], 1, 1))), tol=tol(.9))
        s.case(g, "bwd_q8_" + n, lambda w, dy, kw=kw: apply(B.ConvolutionBackwardData(dtype=qint8(.3), **kw), w.astype(qint8(.02)), dy.astype(qint8(.03)))[0].astype("float32"),
               dict(w=A(n + "w", ws), dy=A(n + "dy", ys)), tol=tol(.3))
        s.case(g, "bwd_qu8_" + n, lambda w, dy, kw=kw: apply(B.ConvolutionBackwardData(dtype=quint8(.3, 128), **kw), w.astype(quint8(.02, 128)), dy.astype(quint8(.03, 118)))[0].astype("float32"),
               dict(w=A(n + "w", ws), dy=A(n + "dy", ys)), tol=tol(.3))
        s.case(g, "bwd_i8_" + n, lambda w, dy, kw=kw: apply(B.ConvolutionBackwardData(**kw), w, dy)[0], dict(w=wi, dy=I(n + "dy", ys, -30, 30)))
        s.case(g, "to_f32_" + n, lambda x, w, b, kw=kw: apply(B.ConvBias(dtype=np.float32, **kw), x.astype(qint8(.02)), w.astype(qint8(.03)), b)[0], dict(x=A(n, xs), w=A(n + "w", ws), b=A(n + "b", (1, ys[1], 1, 1))))
    for fmt, b in (("nchw4", 4), ("nchw32", 32), ("nchw44", 4), ("nchw44_dot", 4), ("nchw4_nchw", 4), ("nchw4_nchw32", 4), ("nchw32_nchw4", 32), ("nchw4_nhwc", 4), ("chwn4", 4), ("nchw64", 64), ("nhwc", 0)):
        for n, (xs, ws, kw) in {**GEOMETRY, **GROUPS, **DEPTHWISE}.items():
            if b in (32, 64) and n not in ("k3p", "asym", "k1", "dil", "flip"):
                continue
            kw = dict(kw_of(ws, kw), format=fmt)
            if b in (32, 64):
                xs, ws = (xs[0], b) + xs[2:], (b, b) + ws[2:]
            if fmt == "nchw4_nchw32":
                ws = (32,) + ws[1:]
            x, w = A(n, xs), A(n + "w", ws)
            ys = geo(xs, ws, kw)
            ob = {"nchw4_nchw": 1, "nchw4_nchw32": 32, "nchw32_nchw4": 4, "nchw4_nhwc": 0}.get(fmt, b)
            lay = lambda v, k: v if k == 1 else np.ascontiguousarray(v.transpose(0, 2, 3, 1)) if k == 0 else block(v, k)
            if fmt == "chwn4":
                lay = lambda v, k: np.ascontiguousarray(block(v, 4).transpose(1, 2, 3, 0, 4))
            xb = lay(x, b)
            if fmt in ("nchw44", "nchw44_dot"):
                wb = np.ascontiguousarray(w.reshape(ws[0] // b, b, 1, 1, *ws[3:]).transpose(0, 2, 3, 4, 5, 1)) if n in DEPTHWISE else block_filter(w, b, fmt == "nchw44_dot")
            elif b == 0:
                wb = np.ascontiguousarray(w.transpose(0, 2, 3, 1) if w.ndim == 4 else w.transpose(0, 1, 3, 4, 2))
            elif n in DEPTHWISE:
                wb = w
            else:
                v = w.reshape(ws[:-3] + (ws[-3] // b, b) + ws[-2:])
                wb = np.ascontiguousarray(np.moveaxis(v, -3, -1))
                if fmt == "chwn4" and wb.ndim == 5:
                    wb = np.ascontiguousarray(wb.transpose(1, 2, 3, 0, 4))
            bias = A(n + "b", (1, ys[1], 1, 1))
            z = A(n + "z", ys)
            od, odt = (np.float32, .0) if fmt in ("nchw4_nchw", "nchw4_nhwc") else (None, .09)
            fl = od is not None

            def run(x, w, b_, z=None, kw=kw, fl=fl):
                r = []
                for m in ("identity", "relu", "h_swish"):
                    a = [x.astype(qint8(.02)), w.astype(qint8(.03)), b_ if fl else b_.astype(qint32(.0006))]
                    if z is not None:
                        a.append(z if fl else z.astype(qint8(.05)))
                    r.append(apply(B.ConvBias(dtype=np.float32 if fl else qint8(.09), nonlineMode=m, **kw), *a)[0].astype("float32"))
                return r
            s.case(g, "%s_%s" % (fmt, n), run, dict(x=xb, w=wb, b_=lay(bias, ob)), tol=tol(.09))
            s.case(g, "%s_z_%s" % (fmt, n), run, dict(x=xb, w=wb, b_=lay(bias, ob), z=lay(z, ob)), tol=tol(.09))
            if fmt in ("nchw4", "nchw44", "nhwc", "nchw44_dot"):
                s.case(g, "%s_conv_%s" % (fmt, n), lambda x, w, kw=kw: apply(B.Convolution(**kw), x, w)[0], dict(x=(xb * 20).astype("i1"), w=(wb * 20).astype("i1")))
            if fmt == "nchw4":
                s.case(g, "nchw4_bwd_%s" % n, lambda w, dy, kw=kw: apply(B.ConvolutionBackwardData(dtype=qint8(.3), **kw), w.astype(qint8(.02)), dy.astype(qint8(.03)))[0].astype("float32"), dict(w=wb, dy=lay(A(n + "dy", ys), 4)), tol=tol(.3))
            if fmt in ("nchw64", "nhwc"):
                s.case(g, "%s_q4_%s" % (fmt, n), lambda x, w, b_, kw=kw: apply(B.ConvBias(dtype=qint4(.9), **kw), x.astype(qint4(.2)), w.astype(qint4(.3)), b_.astype(qint32(.06)))[0].astype(qint8(.9)).astype("float32"),
                       dict(x=xb, w=wb, b_=lay(bias, ob)), tol=tol(.9))
    # ---- a filter for every image
    for n, (xs, ws, kw) in dict(basic=((2, 4, 6, 6), (2, 4, 4, 3, 3), dict(pad_h=1, pad_w=1)), s2=((3, 4, 7, 5), (3, 8, 4, 2, 3), dict(stride_h=2)), flip=((2, 4, 6, 6), (2, 4, 4, 3, 3), dict(mode="convolution")),
                                group=((2, 8, 6, 6), (2, 2, 4, 4, 3, 3), dict(pad_h=1, sparse="group")), dil=((2, 4, 8, 8), (2, 4, 4, 3, 3), dict(dilate_h=2, dilate_w=2))).items():
        for m in ("identity", "relu"):
            oc = ws[1] if len(ws) == 5 else ws[1] * ws[2]
            s.case(g, "batch_%s_%s" % (n, m), lambda x, w, b, kw=kw, m=m: apply(B.BatchConvBias(dtype=qint8(.1), nonlineMode=m, **kw), x.astype(qint8(.02)), w.astype(qint8(.03)), b.astype(qint32(.0006)))[0].astype("float32"),
                   dict(x=A(n, xs), w=A(n + "w", ws), b=A(n + "b", (1, oc, 1, 1))), tol=tol(.1))
            if len(ws) == 5:
                w4 = np.ascontiguousarray(A(n + "w", ws)[..., None].transpose(0, 1, 2, 3, 4, 5).reshape(ws[0], ws[1], 1, 4, *ws[3:]).transpose(0, 1, 2, 4, 5, 3))
                s.case(g, "batch_nchw4_%s_%s" % (n, m), lambda x, w, b, kw=kw, m=m: apply(B.BatchConvBias(dtype=qint8(.1), nonlineMode=m, format="nchw4", **kw), x.astype(qint8(.02)), w.astype(qint8(.03)), b.astype(qint32(.0006)))[0].astype("float32"),
                       dict(x=block(A(n, xs), 4), w=w4, b=block(A(n + "b", (1, oc, 1, 1)), 4)), tol=tol(.1))


if __name__ == "__main__":
    main([cases])
