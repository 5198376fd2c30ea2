"""Pooling, normalization, deformable and restricted convolutions, RelayoutFormat, locally connected layers.
See recorder.main for how to run it."""
import numpy as np
import megengine as mge
import megengine.functional as F
from megengine.core._imperative_rt.core2 import apply
from megengine.core.ops import builtin as B
from megengine.core.tensor.dtype import qint8, quint8, qint4, quint4

from conv import block
from recorder import POLICY, main


def cases(s):
    A = lambda name, shape, lo=-1.5, hi=1.5: s.rng(name).uniform(lo, hi, shape).astype("f4")
    I = lambda name, shape, lo, hi, dt="i4": s.rng(name).randint(lo, hi, shape).astype(dt)
    i32 = lambda *v: mge.tensor(np.array(v, "i4"))
    g = "pool_more"
    P = dict(k2=dict(window_h=2, window_w=2, stride_h=2, stride_w=2), k3p=dict(window_h=3, window_w=3, pad_h=1, pad_w=1, stride_h=2, stride_w=2), k3s1=dict(window_h=3, window_w=3, stride_h=1, stride_w=1),
             asym=dict(window_h=3, window_w=2, pad_h=1, stride_h=2, stride_w=1), k5=dict(window_h=5, window_w=5, pad_h=2, pad_w=2, stride_h=3, stride_w=3), gap=dict(window_h=2, window_w=2, stride_h=3, stride_w=4),
             k1=dict(window_h=1, window_w=1, stride_h=2, stride_w=2), k4=dict(window_h=4, window_w=4, pad_h=1, pad_w=1, stride_h=2, stride_w=2), k13=dict(window_h=7, window_w=7, pad_h=3, pad_w=3, stride_h=1, stride_w=1),
             widepad=dict(window_h=2, window_w=2, pad_h=1, pad_w=1, stride_h=2, stride_w=2), all=dict(window_h=9, window_w=8, stride_h=1, stride_w=1))
    types = dict(f32=lambda x: x, f16=lambda x: x.astype("float16"), q8=lambda x: x.astype(qint8(.02)), qu8=lambda x: x.astype(quint8(.02, 100)), q4=lambda x: x.astype(qint4(.3)), qu4=lambda x: x.astype(quint4(.3, 7)), i8=lambda x: (x * 60).astype("int8"))
    back = dict(q8=lambda y: y.astype("float32"), qu8=lambda y: y.astype("float32"), q4=lambda y: y.astype(qint8(.3)).astype("float32"), qu4=lambda y: y.astype(quint8(.3, 7)).astype("float32"))
    ptol = dict(q8=dict(rtol=0, atol=.0201), qu8=dict(rtol=0, atol=.0201), q4=dict(rtol=0, atol=.301), qu4=dict(rtol=0, atol=.301))
    for mode in ("max", "average", "average_count_exclude_padding"):
        for n, kw in P.items():
            for t, cv in types.items():
                for fmt in ("nchw", "nhwc", "nchw4", "nchw32", "nchw44", "nchw88", "nchw64", "chwn4", "nhwcd4"):
                    b = int(fmt[4:6] or 0) if fmt.startswith("nchw") and len(fmt) > 4 else 4
                    b = dict(nchw44=4, nchw88=8).get(fmt, b)
                    if n not in ("k3p", "k2", "asym") and fmt not in ("nchw", "nchw44"):
                        continue
                    if t in ("q4", "qu4") and fmt not in ("nchw", "nhwc", "nchw64"):
                        continue
                    x = A("p" + n, (2, 64 if b in (32, 64) else 8, 9, 8))
                    if fmt == "nhwc":
                        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
                    elif fmt != "nchw":
                        x = block(x, b)
                        if fmt == "chwn4":
                            x = np.ascontiguousarray(x.transpose(1, 2, 3, 0, 4))
                        if fmt == "nhwcd4":
                            x = np.ascontiguousarray(x.transpose(0, 2, 1, 3, 4))
                    s.case(g, "%s_%s_%s_%s" % (dict(max="max", average="avg").get(mode, "excl"), n, t, fmt), lambda x, kw=kw, cv=cv, t=t, mode=mode, fmt=fmt: back.get(t, lambda y: y)(apply(B.Pooling(mode=mode, format=fmt, **kw), cv(x))[0]), dict(x=x), tol=ptol.get(t))
        for n, (sh, o) in dict(a=((2, 3, 9, 8), (3, 4)), b=((1, 4, 7, 7), (1, 1)), c=((2, 2, 5, 6), (5, 6)), d=((1, 3, 11, 10), (4, 3)), e=((1, 3, 7, 5), (2, 5)), f=((1, 3, 10, 13), (7, 6))).items():
            for t in ("f32", "f16", "q8", "qu8"):
                s.case(g, "adaptive_%s_%s_%s" % (mode[:9], n, t), lambda x, o=o, mode=mode, t=t: back.get(t, lambda y: y)(apply(B.AdaptivePooling(mode=mode, format="nchw", shape=[]), types[t](x), i32(*o))[0]), dict(x=A("ad" + n, sh)), tol=ptol.get(t))
            s.case(g, "adaptive_%s_%s_nhwc" % (mode[:9], n), lambda x, o=o, mode=mode: apply(B.AdaptivePooling(mode=mode, format="nhwc", shape=[]), x, i32(*o))[0], dict(x=np.ascontiguousarray(A("ad" + n, sh).transpose(0, 2, 3, 1))))
            s.case(g, "adaptive_%s_%s_shape" % (mode[:9], n), lambda x, o=o, mode=mode: apply(B.AdaptivePooling(mode=mode, format="nchw", shape=list(o)), x)[0], dict(x=A("ad" + n, sh)))
    for n, kw in P.items():
        for mode in ("MAX", "AVERAGE", "AVERAGE_COUNT_EXCLUDE_PADDING"):
            o = [(d + 2 * kw.get("pad_" + a, 0) - kw["window_" + a]) // kw["stride_" + a] + 1 for d, a in ((9, "h"), (8, "w"))]
            def build(m, v, kw=kw, mode=mode):
                p = [("param.Pooling", dict(kw, mode=mode))]
                y, = m.op("Pooling", [v["x"]], p, out_names=["y"])
                return m.op("PoolingBackward", [v["x"], y, v["dy"]], p, out_names=["dx"])
            s.graph(g, "backward_%s_%s" % (mode[:9].lower(), n), build, dict(x=A("p" + n, (2, 3, 9, 8)), dy=A("d" + n, (2, 3, *o))))

    g = "norm_more"
    dims = dict(dim_1c11=(1, 4, 1, 1), dim_111c=(1, 1, 1, 5), dim_11hw=(1, 1, 3, 5), dim_1chw=(1, 4, 3, 5))
    for pd, ps in dims.items():
        for t in ("f4", "f2"):
            s.case(g, "bn_infer_%s_%s" % (pd, t), lambda x, sc, b, m, v, pd=pd: apply(B.BatchNorm(fwd_mode="inference", epsilon=1e-3, param_dim=pd), x, sc, b, m, v)[-1],
                   dict(x=A("bn", (2, 4, 3, 5)).astype(t), sc=A("bs", ps), b=A("bb", ps), m=A("bm", ps), v=A("bv", ps, .5, 1.5)))
        bp = ("param.BN", {"param_dim": pd.upper(), "fwd_mode": "TRAINING", "epsilon": 1e-4, "avg_factor": 0.3})
        def nostat(m, vs, bp=bp):
            f = m.op("BatchNorm", [vs["x"], vs["scale"], vs["bias"]], [bp], n_out=4, out_names=["f0", "f1", "f2", "f3"])
            return [f[i] for i in (0, 1, 3)] + m.op("BatchNormBackward", [vs["x"], vs["dy"], f[0], f[1], vs["scale"], f[2]], [bp], n_out=3, out_names=["b0", "b1", "b2"])
        s.graph(g, "bn_train_" + pd, nostat, dict(x=A("bn", (3, 4, 3, 5)), scale=A("bs", ps), bias=A("bb", ps), dy=A("bdy", (3, 4, 3, 5))), tol=dict(rtol=1e-3, atol=1e-4))
        def stats(m, vs, bp=bp, ps=ps):
            m.nshared += 2
            a, = m.op("SharedDeviceTensor", [], tensors=[m.tensor("mean", ps, "Float32", A("bm", ps).tobytes())])
            b, = m.op("SharedDeviceTensor", [], tensors=[m.tensor("var", ps, "Float32", A("bv", ps, .5, 1.5).tobytes())])
            f = m.op("BatchNorm", [vs["x"], vs["scale"], vs["bias"], a, b], [bp], n_out=6, out_names=["f%d" % i for i in range(6)])
            return [f[i] for i in (0, 1, 2, 3, 5)]
        for n in (1, 3):
            s.graph(g, "bn_stats_%s_%d" % (pd, n), stats, dict(x=A("bn", (n, 4, 3, 5)), scale=A("bs", ps), bias=A("bb", ps)), tol=dict(rtol=1e-3, atol=1e-4))
    for n, (sh, nd) in dict(a=((2, 5, 6), (6,)), b=((2, 5, 6), (5, 6)), c=((3, 7), (7,)), d=((2, 3, 4, 17), (17,)), e=((2, 3, 4, 5), (3, 4, 5)), f=((4, 1), (1,)), g=((1, 33), (33,))).items():
        for t in ("f4", "f2"):
            s.case(g, "layer_norm_%s_%s" % (n, t), lambda x, w, b, nd=nd: list(apply(B.LayerNorm(affine=True, eps=1e-3, normalized_dim=len(nd), normalized_size=int(np.prod(nd))), x, w, b)), dict(x=A("ln", sh).astype(t), w=A("lw", nd).astype(t), b=A("lb", nd).astype(t)))
            s.case(g, "layer_norm_plain_%s_%s" % (n, t), lambda x, nd=nd: list(apply(B.LayerNorm(affine=False, eps=1e-5, normalized_dim=len(nd), normalized_size=int(np.prod(nd))), x)), dict(x=A("ln", sh).astype(t)))
        s.case(g, "F_layer_norm_%s" % n, lambda x, w, b, nd=nd: F.nn.layer_norm(x, nd, True, w, b, 1e-2), dict(x=A("ln", sh), w=A("lw", nd), b=A("lb", nd)))
    for n, (sh, a0, a1) in dict(a=((2, 5, 6), 0, 1), b=((2, 5, 6), 1, 2), c=((2, 5, 6), 1, 3), d=((2, 3, 4, 5), 0, 3), e=((2, 3, 4, 5), 2, 3), f=((3, 4), 0, 2)).items():
        for t in ("f4", "f2"):
            s.case(g, "general_norm_%s_%s" % (n, t), lambda x, w, b, a0=a0, a1=a1: list(apply(B.GeneralNorm(affine=True, eps=1e-3, axis_start=a0, axis_end=a1), x, w, b)), dict(x=A("gn", sh).astype(t), w=A("gw", sh[a0:a1]).astype(t), b=A("gb", sh[a0:a1]).astype(t)))
            s.case(g, "general_norm_plain_%s_%s" % (n, t), lambda x, a0=a0, a1=a1: list(apply(B.GeneralNorm(affine=False, eps=1e-3, axis_start=a0, axis_end=a1), x)), dict(x=A("gn", sh).astype(t)))
    for nc in (True, False):
        for n, (sh, gr) in dict(a=((2, 4, 5, 6), 2), b=((2, 6, 3, 3), 3), c=((1, 6, 4, 4), 1), d=((2, 4, 2, 5), 4), e=((2, 4, 1, 1), 2)).items():
            kw = dict(dump=dict(no_change_graph=nc))
            for t in ("f4", "f2"):
                s.case(g, "group_norm_%s_%d_%s" % (n, nc, t), lambda x, gr=gr: list(apply(B.GroupNorm(affine=False, eps=1e-3, group=gr, format="nchw"), x)), dict(x=A("gn", sh).astype(t)), **kw)
                s.case(g, "group_norm_affine_%s_%d_%s" % (n, nc, t), lambda x, w, b, gr=gr: list(apply(B.GroupNorm(affine=True, eps=1e-3, group=gr, format="nchw"), x, w, b)), dict(x=A("gn", sh).astype(t), w=A("gw", sh[1:2]).astype(t), b=A("gb", sh[1:2]).astype(t)), **kw)
            s.case(g, "instance_norm_%s_%d" % (n, nc), lambda x: F.nn.instance_norm(x, False), dict(x=A("gn", sh)), **kw)
            s.case(g, "instance_norm_affine_%s_%d" % (n, nc), lambda x, w, b: F.nn.instance_norm(x, True, w, b), dict(x=A("gn", sh), w=A("gw", sh[1:2]), b=A("gb", sh[1:2])), **kw)
            s.case(g, "F_group_norm_%s_%d" % (n, nc), lambda x, w, b, gr=gr: F.nn.group_norm(x, gr, True, w, b), dict(x=A("gn", sh), w=A("gw", sh[1:2]), b=A("gb", sh[1:2])), **kw)
    for n, kw in dict(a=dict(n=5, k=2., alpha=1e-4, beta=.75), b=dict(n=3, k=1., alpha=.1, beta=.5), c=dict(n=9, k=.5, alpha=.2, beta=1.), d=dict(n=1, k=1., alpha=.5, beta=.75)).items():
        for t in ("f4", "f2"):
            s.case(g, "lrn_%s_%s" % (n, t), lambda x, kw=kw: apply(B.LRN(**kw), x)[0], dict(x=A("lrn", (2, 7, 3, 4)).astype(t)))
    # ---- BFloat16
    g = "bf16_more"
    bf = lambda *names: dict(quant={n: "BFloat16" for n in names}, tol=dict(rtol=2e-2, atol=2e-2))
    xw = dict(x=A("bx", (1, 4, 7, 8)), w=A("bw", (8, 4, 3, 3)))
    for cm in ("DEFAULT", "FLOAT32"):
        s.op(g, "conv_" + cm, "Convolution", xw, [("param.Convolution", dict(pad_h=1, compute_mode=cm)), POLICY], **bf("x", "w"))
        s.op(g, "conv_bias_" + cm, "ConvBiasForward", dict(xw, b=A("bb", (1, 8, 1, 1))), [("param.ConvBias", dict(pad_h=1, compute_mode=cm, nonlineMode="RELU")), POLICY], **bf("x", "w", "b"))
        s.op(g, "bwd_" + cm, "ConvolutionBackwardData", dict(w=A("bw", (8, 4, 3, 3)), dy=A("bd", (1, 8, 5, 6))), [("param.Convolution", dict(compute_mode=cm)), POLICY], **bf("w", "dy"))
    for m in ("MAX", "AVERAGE"):
        s.op(g, "pool_" + m, "Pooling", dict(x=xw["x"]), [("param.Pooling", dict(mode=m, pad_h=1))], **bf("x"))
    s.op(g, "adaptive", "AdaptivePooling", dict(x=xw["x"]), [("param.AdaptivePooling", {"mode": "AVERAGE"})], consts=dict(o=np.array([2, 3], "i4")), order=["x", "o"], **bf("x"))
    for m in ("LINEAR", "NEAREST"):
        s.op(g, "resize_" + m, "Resize", dict(x=xw["x"]), [("param.Resize", {"imode": m, "format": "NCHW"})], consts=dict(o=np.array([5, 11], "i4")), order=["x", "o"], **bf("x"))
    s.op(g, "warp", "WarpPerspective", dict(x=xw["x"], m=(np.eye(3)[None] + .05).astype("f4")), [("param.WarpPerspective", {})], consts=dict(o=np.array([5, 6], "i4")), order=["x", "m", "o"], **bf("x"))
    s.op(g, "remap", "Remap", dict(x=xw["x"], m=A("bm", (1, 4, 5, 2), -1, 8)), [("param.Remap", {"format": "NCHW"})], **bf("x"))
    s.op(g, "lrn", "LRN", dict(x=xw["x"]), [("param.LRN", {})], **bf("x"))
    s.op(g, "local", "GroupLocal", dict(x=A("lx", (1, 2, 4, 4)), w=A("lw", (1, 2, 2, 2, 3, 3, 3))), [("param.Convolution", {"sparse": "GROUP"})], **bf("x", "w"))

    g = "conv_misc"
    for n, (xs, ws, kw) in dict(basic=((2, 4, 6, 7), (3, 4, 3, 3), dict(padding=1)), s2=((1, 4, 9, 8), (3, 4, 3, 3), dict(padding=1, stride=2)), dil=((1, 2, 9, 9), (3, 2, 3, 3), dict(dilation=2)), k1=((1, 4, 5, 5), (6, 4, 1, 1), {}),
                                asym=((1, 2, 7, 9), (4, 2, 2, 3), dict(padding=(0, 1), stride=(2, 1))), grp=((1, 4, 6, 6), (2, 3, 2, 3, 3), dict(padding=1, groups=2)), conv=((1, 2, 6, 6), (3, 2, 3, 3), dict(conv_mode="cross_correlation"))).items():
        p, st, di = (v if isinstance(v, tuple) else (v, v) for v in (kw.get("padding", 0), kw.get("stride", 1), kw.get("dilation", 1)))
        o = [(xs[2 + i] + 2 * p[i] - (ws[-2 + i] - 1) * di[i] - 1) // st[i] + 1 for i in (0, 1)]
        k = ws[-1] * ws[-2]
        for dg in (1, 2):
            for sc in (.7, 3.):
                s.case(g, "deformable_%s_%d_%g" % (n, dg, sc), lambda x, w, off, m, kw=kw: F.deformable_conv2d(x, w, off, m, **kw), dict(x=A("dx", xs), w=A("dw", ws), off=A("do", (xs[0], 2 * k * dg, *o), -sc, sc), m=A("dm", (xs[0], k * dg, *o), 0, 1)))
    tr = A("tr", (3, 2, 3, 3), -.4, .4)
    rois = np.array([[0, 1, 1, 9, 9], [1, 2, 3, 12, 10], [0, -2, -1, 4, 5], [1, 6, 6, 6, 6]], "f4")
    for n, (c, kw) in dict(a=(8, dict(no_trans=False, part_size=2, pooled_h=2, pooled_w=2, sample_per_part=2, spatial_scale=.5, trans_std=.1)), b=(9, dict(no_trans=False, part_size=3, pooled_h=3, pooled_w=3, sample_per_part=1, spatial_scale=1., trans_std=.3)),
                           c=(4, dict(no_trans=True, part_size=2, pooled_h=2, pooled_w=3, sample_per_part=3, spatial_scale=.7, trans_std=0.)), d=(18, dict(no_trans=False, part_size=3, pooled_h=3, pooled_w=2, sample_per_part=2, spatial_scale=.5, trans_std=.2))).items():
        s.case(g, "psroi_" + n, lambda x, r, t, kw=kw: list(apply(B.DeformablePSROIPooling(**kw), x, r, t)), dict(x=A("ps", (2, c, 8, 9)), r=rois, t=A("pt" + n, (4, 2, kw["part_size"], kw["part_size"]), -.4, .4)))
    for n, (xs, ws, kw) in dict(basic=((2, 4, 6, 6), (4, 1, 1, 3, 3), dict(padding=1)), s2=((1, 4, 7, 7), (4, 1, 1, 3, 3), dict(padding=1, stride=2)), dil=((1, 4, 8, 8), (4, 1, 1, 3, 3), dict(dilation=2)), k5=((1, 4, 9, 9), (4, 1, 1, 5, 5), dict(padding=2)),
                                mult=((1, 4, 6, 6), (4, 2, 1, 3, 3), dict(padding=1)), g2=((1, 4, 6, 6), (2, 3, 2, 3, 3), {})).items():
        p, st, di = (kw.get("padding", 0), kw.get("stride", 1), kw.get("dilation", 1))
        o = [(xs[2 + i] + 2 * p - (ws[-2 + i] - 1) * di - 1) // st + 1 for i in (0, 1)]
        for dt in ("i4", "u1"):
            s.case(g, "region_%s_%s" % (n, dt), lambda x, w, a, b, kw=kw, gr=ws[0]: F.nn.region_restricted_conv(x, w, a, b, groups=gr, **kw), dict(x=A("rr", xs), w=A("rw", ws), a=I("ra", (xs[0], *xs[2:]), 0, 3, dt), b=I("rb", (xs[0], *o), 0, 3, dt)))
    for n, (xs, ws, kw) in dict(basic=((2, 2, 6, 7), (3, 2, 3, 3), dict(pad_h=1, pad_w=1)), s2=((1, 3, 8, 9), (4, 3, 3, 2), dict(stride_h=2, stride_w=2)), dil=((1, 2, 8, 8), (3, 2, 3, 3), dict(dilate_h=2, dilate_w=2)), flip=((1, 2, 5, 5), (3, 2, 3, 3), dict(mode="CONVOLUTION")), grp=((1, 4, 5, 5), (2, 3, 2, 3, 3), dict(sparse="GROUP"))).items():
        o = [(xs[2 + i] + 2 * kw.get("pad_" + a, 0) - (ws[-2 + i] - 1) * kw.get("dilate_" + a, 1) - 1) // kw.get("stride_" + a, 1) + 1 for i, a in enumerate("hw")]
        for dt in ("i4", "i1", "i2"):
            s.op(g, "mask_conv_%s_%s" % (n, dt), "MaskConvolution", dict(x=A("mx", xs), w=A("mw", ws)), [("param.Convolution", kw)], consts=dict(m=I("mm", tuple(o), 0, 2, dt)), order=["x", "w", "m"])
        if len(ws) == 4:
            for dt in ("i4", "i1", "i2", "u1"):
                mp = {"pad_h": kw.get("pad_h", 0), "pad_w": kw.get("pad_w", 0), "kernel_h": ws[2], "kernel_w": ws[3], "stride_h": kw.get("stride_h", 1), "stride_w": kw.get("stride_w", 1), "dilate_h": kw.get("dilate_h", 1), "dilate_w": kw.get("dilate_w", 1)}
                s.op(g, "mask_propagate_%s_%s" % (n, dt), "MaskPropagate", dict(m=I("mp", xs[2:], 0, 2, dt)), [("param.MaskPropagate", mp)])
    # ---- RelayoutFormat
    nchw = lambda c, n=2: A("rl%d" % c, (n, c, 3, 5))
    b4 = lambda x, b: block(x, b)
    R = dict(NCHW_NHWC=nchw(3), NHWC_NCHW=A("rl", (2, 3, 5, 4)), NCHW_NCHW88=nchw(16), NCHW_NCHW88_pad=nchw(5), NCHW88_NCHW=b4(nchw(16), 8), NCHW_NCHW4=nchw(8), NCHW_NCHW4_pad=nchw(3), NCHW4_NCHW=b4(nchw(8), 4), NCHW4_CHWN4=b4(nchw(8), 4),
             CHWN4_NCHW4=np.ascontiguousarray(b4(nchw(8), 4).transpose(1, 2, 3, 0, 4)), NCHW_NHWCD4=nchw(8), NHWC_NHWCD4=A("rl", (2, 3, 5, 8)), NHWCD4_NCHW=A("rd", (2, 3, 2, 5, 4)), NHWCD4_NHWC=A("rd", (2, 3, 2, 5, 4)),
             NCHW_NCHW88_CONV_DENSE_WEIGHT=A("w1", (16, 8, 3, 3)), NCHW_NCHW88_CONV_GROUP_WEIGHT=A("w2", (2, 8, 16, 3, 3)), NCHW_NCHW88_CONV_CHAN_WEIGHT=A("w3", (16, 1, 1, 3, 3)), NCHW_NCHW4_IC_SMALL=nchw(3), NCHW_NCHW4_IC_SMALL_CONV_DENSE_WEIGHT=A("w4", (8, 3, 3, 3)),
             NCHW_NCHW4_WEIGHT=A("w5", (8, 4, 3, 3)), NCHW_NCHW4_WEIGHT_pad=A("w6", (6, 3, 3, 3)), NCHW_NCHW64=nchw(64), NCHW_NCHW64_pad=nchw(40), NCHW64_NCHW=b4(nchw(64), 64), INTER_WEIGHT_DENSE=A("w7", (8, 4, 3, 3)), INTER_WEIGHT_GROUP=A("w8", (2, 4, 4, 3, 3)), INTER_WEIGHT_CHAN=A("w9", (8, 1, 1, 3, 3)))
    for n, x in R.items():
        mode = n.replace("_pad", "")
        s.op(g, "relayout_" + n, "RelayoutFormat", dict(x=x), [("param.RelayoutFormat", {"mode": mode})])
        s.op(g, "relayout_q8_" + n, "RelayoutFormat", dict(x=x), [("param.RelayoutFormat", {"mode": mode})], quant=dict(x=("QuantizedS8", .02)))
        for oc, ic, gr in ((5, 3, 1), (6, 6, 2)):
            if "NCHW4" in n and "CHWN4" not in n and "SMALL" not in n:
                s.op(g, "relayout_q8_%s_%d_%d" % (n, oc, gr), "RelayoutFormat", dict(x=x), [("param.RelayoutFormat", {"mode": mode, "oc": oc, "group": gr})], quant=dict(x=("QuantizedS8", .02)))
    # ---- locally connected
    g = "local_more"
    for n, (xs, k, oc, gr, kw) in dict(basic=((3, 2, 5, 6), (3, 2), 4, 1, {}), pad=((1, 3, 4, 4), (3, 3), 5, 1, dict(padding=2)), s3=((2, 2, 10, 9), (2, 3), 3, 1, dict(stride=3)), g3=((2, 6, 5, 5), (3, 3), 6, 3, dict(padding=1)), one=((1, 1, 3, 3), (3, 3), 1, 1, {})).items():
        st, p = kw.get("stride", 1), kw.get("padding", 0)
        oh, ow = (xs[2] + 2 * p - k[0]) // st + 1, (xs[3] + 2 * p - k[1]) // st + 1
        for t in ("f4", "f2"):
            s.case(g, "conv2d_%s_%s" % (n, t), lambda x, w, kw=kw: F.local_conv2d(x, w, **kw), dict(x=A("lc" + n, xs).astype(t), w=A("lw" + n, (gr, oh, ow, xs[1] // gr, k[0], k[1], oc // gr)).astype(t)))


if __name__ == "__main__":
    main([cases])
