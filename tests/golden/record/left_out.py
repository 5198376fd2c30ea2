"""What MegEngine's CPU kernels round, leave out or store in a way of their own. See recorder.main for how to run it."""
import numpy as np
import megengine as mge
import megengine.functional as F
from megengine.core._imperative_rt.core2 import apply
from megengine.core.ops import builtin as B
from megengine.core.tensor.dtype import qint8, qint32, quint8

from conv import ACT, block, block_filter, geo
from recorder import POLICY, main

WINDOWS = dict(
    k3=((1, 4, 6, 5), (8, 4, 3, 3), dict(pad_h=1, pad_w=1)), k1=((2, 4, 3, 5), (8, 4, 1, 1), {}), k1s2=((1, 4, 6, 6), (8, 4, 1, 1), dict(stride_h=2, stride_w=2)),
    pixel=((2, 4, 1, 1), (8, 4, 1, 1), {}), dil=((1, 4, 8, 7), (8, 4, 3, 3), dict(dilate_w=2)), g2=((1, 4, 6, 6), (2, 4, 2, 3, 3), dict(sparse="group")),
    dw=((1, 4, 6, 6), (4, 1, 1, 3, 3), dict(sparse="group", pad_h=1, pad_w=1)), c32=((1, 4, 6, 5), (8, 4, 3, 3), dict(compute_mode="float32")))
WINDOWS3 = dict(
    k3=((2, 6, 5, 4, 6), (5, 6, 3, 3, 3), dict(pad_d=1, pad_h=1, pad_w=1)), flip=((1, 4, 4, 5, 5), (3, 4, 2, 3, 2), dict(mode="CONVOLUTION", pad_h=1)),
    g2s2=((1, 8, 5, 5, 6), (2, 3, 4, 3, 2, 3), dict(sparse="GROUP", stride_d=2, stride_h=2)), dil=((1, 5, 6, 6, 6), (4, 5, 2, 2, 2), dict(dilate_d=2, dilate_h=3, dilate_w=1)))


def cases(s):
    A = lambda name, shape, dt="f4", lo=-1.5, hi=1.5: s.rng(name).uniform(lo, hi, shape).astype(dt)
    g = "left_out"
    for n, (xs, ws, kw) in WINDOWS.items():
        ys = geo(xs, ws, kw)
        arrays = dict(x=A(n, xs), w=A(n + "w", ws), b=A(n + "b", (1, ys[1], 1, 1)), z=A(n + "z", ys))
        half = {k: v.astype("f2") for k, v in arrays.items()}
        for act in ACT:
            s.case(g, "f16_%s_%s" % (n, act), lambda x, w, b, z, kw=kw, act=act: [apply(B.ConvBias(nonlineMode=act, **kw), x, w, b)[0], apply(B.ConvBias(nonlineMode=act, **kw), x, w, b, z)[0]], half)
        if n != "c32":
            s.case(g, "q8_" + n, lambda x, w, b, z, kw=kw: apply(B.ConvBias(dtype=qint8(.09), nonlineMode="relu", **kw), x.astype(qint8(.02)), w.astype(qint8(.03)), b.astype(qint32(.0006)), z.astype(qint8(.05)))[0].astype("float32"),
                   arrays, tol=dict(rtol=0, atol=.091))
            s.case(g, "qu8_" + n, lambda x, w, b, z, kw=kw: apply(B.ConvBias(dtype=quint8(.09, 120), nonlineMode="relu", **kw), x.astype(quint8(.02, 128)), w.astype(quint8(.03, 120)), b.astype(qint32(.0006)), z.astype(quint8(.05, 100)))[0].astype("float32"),
                   arrays, tol=dict(rtol=0, atol=.091))
    for k, st, flip in ((3, 1, 0), (3, 2, 0), (3, 3, 0), (4, 1, 0), (5, 1, 0), (5, 1, 1), (7, 1, 0)):
        kw = dict(sparse="group", format="nchw44", stride_h=st, stride_w=st, mode="convolution" if flip else "cross_correlation")
        xs, ws = (1, 8, 9, 8), (8, 1, 1, k, k)
        w = np.ascontiguousarray(A("dw%d" % k, ws).reshape(2, 4, 1, 1, k, k).transpose(0, 2, 3, 4, 5, 1))
        ys = geo(xs, ws, kw)
        s.case(g, "nchw44_dw%d_s%d_%d" % (k, st, flip), lambda x, w, b, z, kw=kw: apply(B.ConvBias(**kw), x, w, b, z)[0],
               dict(x=block(A("dwx", xs), 4), w=w, b=block(A("dwb", (1, 8, 1, 1)), 4), z=block(A("dwz%d%d" % (k, st), ys), 4)))
    out3 = lambda xs, ws, kw: (xs[0], ws[0] * ws[1] if len(ws) == 6 else ws[0]) + tuple(
        (xs[2 + i] + 2 * kw.get("pad_" + a, 0) - (ws[-3 + i] - 1) * kw.get("dilate_" + a, 1) - 1) // kw.get("stride_" + a, 1) + 1 for i, a in enumerate("dhw"))
    for n, (xs, ws, kw) in WINDOWS3.items():
        x, w, dy = A(n, xs, "f2"), A(n + "w", ws, "f2"), A(n + "dy", out3(xs, ws, kw), "f2")
        p = [("param.Convolution3D", kw), POLICY]
        exact = dict(rtol=1e-3, atol=0)
        s.op(g, "3d_f16_" + n, "Convolution3D", dict(x=x, w=w), p, tol=exact)
        s.op(g, "3d_f16_bwd_data_" + n, "Convolution3DBackwardData", dict(w=w, dy=dy, x=x), p, tol=exact)
        s.op(g, "3d_f16_bwd_filter_" + n, "Convolution3DBackwardFilter", dict(x=x, dy=dy, w=w), p, tol=exact)
    # Moving the elements of packed types.
    for n, q in (("q4", ("QuantizedS4", .4)), ("qu4", ("Quantized4Asymm", .4, 7))):
        x, y = A("4x", (3, 5, 3), lo=-3, hi=3), A("4y", (3, 2, 3), lo=-3, hi=3)
        i = lambda *v: np.array(v, "i4")
        s.op(g, "concat_" + n, "Concat", dict(x=x, y=y), [("param.Axis", {"axis": 1})], quant=dict(x=q, y=q))
        s.op(g, "dimshuffle_" + n, "Dimshuffle", dict(x=x), [("param.Dimshuffle", {"pattern": [1, 0, 2], "ndim": 3})], quant=dict(x=q))
        s.op(g, "split_" + n, "Split", dict(x=x), [("param.Axis", {"axis": 0})], outs=(0, 1), consts=dict(a=i(1), b=i(2)), order=["x", "a", "b"], quant=dict(x=q))
        item = {"axis": 1, "begin": True, "end": True, "step": False, "idx": False}
        s.op(g, "subtensor_" + n, "Subtensor", dict(x=x), [("param.IndexDescMaskDump", {"items": [item]})], consts=dict(b=i(1), e=i(4)), order=["x", "b", "e"], quant=dict(x=q))
    # The shape of the image comes from an Alloc.
    pads = dict(output_padding=(1, 0, 1), stride=(2, 2, 2), padding=(1, 1, 1), dilation=(1, 1, 1))
    s.case(g, "deconv3d_alloc", lambda x, w: F.conv_transpose3d(x, w, **pads), dict(x=A("dx", (1, 4, 3, 3, 3)), w=A("dw", (4, 2, 3, 3, 3))))
    i32 = lambda *v: mge.tensor(np.array(v, "i4"))
    s.case(g, "reduce_int_to_half", lambda x: apply(B.Reduce(mode="min", data_type="float_o16xc32"), x, i32(1, 1, 5, 1))[0], dict(x=s.rng("ri").randint(-150, 150, (3, 4, 5, 2)).astype("i2")))


if __name__ == "__main__":
    main([cases])
