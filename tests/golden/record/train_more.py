"""Layers in training mode and their gradients. See recorder.main for how to run it."""
import numpy as np
import megengine as mge
import megengine.functional as F
from megengine.autodiff import GradManager

from recorder import main


def grads(f):
    """outputs: the results of f, then the gradients of all inputs but the last, which is the upstream gradient of the first"""
    def fn(*a):
        with GradManager() as gm:
            gm.attach(list(a[:-1]))
            y = f(*a[:-1])
            y = list(y) if isinstance(y, (list, tuple)) else [y]
            gm.backward(F.sum(y[0] * a[-1]))
        out = y + [t.grad for t in a[:-1]]
        for t in a[:-1]:
            t.grad = None
        return out
    return fn


def cases(s):
    A = lambda name, shape, lo=-1.5, hi=1.5: s.rng(name).uniform(lo, hi, shape).astype("f4")
    g = "train_more"
    tol = dict(rtol=1e-3, atol=1e-4)
    G = lambda n, f, ins, ys, **k: s.case(g, n, grads(f), dict(ins, dy=A("dy" + n, ys)), tol=tol, **k)
    one = (1, 4, 1, 1)
    bn = dict(x=A("bn", (3, 4, 5, 6)), w=A("bw", one, .5, 1.5), b=A("bb", one))
    st = dict(m=A("bm", one), v=A("bv", one, .5, 1.5))
    # MegEngine refuses to trace BatchNorm in training; nn.py writes such files.
    s.case(g, "bn_eval_stats_as_inputs", lambda x, w, b, m, v: F.batch_norm(x, m, v, w, b, training=False), dict(bn, **st), tol=tol)
    G("bn_eval_grad", lambda x, w, b: F.batch_norm(x, mge.tensor(st["m"]), mge.tensor(st["v"]), w, b, training=False), bn, (3, 4, 5, 6))
    for n, kw, xs, ws, ys in (("dil", dict(dilation=2, padding=1), (2, 3, 8, 9), (4, 3, 3, 3), (2, 4, 6, 7)), ("k2s2", dict(stride=2), (2, 4, 7, 8), (3, 4, 2, 2), (2, 3, 3, 4)), ("g", dict(groups=2, stride=2), (1, 4, 7, 7), (2, 3, 2, 3, 3), (1, 6, 3, 3)), ("pad", dict(padding=(2, 0)), (1, 2, 4, 6), (3, 2, 3, 2), (1, 3, 6, 5))):
        G("conv2d_" + n, lambda x, w, kw=kw: F.conv2d(x, w, **kw), dict(x=A("cx" + n, xs), w=A("cw" + n, ws)), ys)
    for n, kw, xs, ws, ys in (("s2", dict(stride=2), (1, 2, 4, 4, 5), (3, 2, 2, 2, 2), (1, 3, 2, 2, 2)), ("pad", dict(padding=1, dilation=1), (1, 2, 3, 4, 4), (2, 2, 3, 3, 3), (1, 2, 3, 4, 4))):
        G("conv3d_" + n, lambda x, w, kw=kw: F.conv3d(x, w, **kw), dict(x=A("3x" + n, xs), w=A("3w" + n, ws)), ys)
    G("deconv_s3", lambda x, w: F.conv_transpose2d(x, w, stride=3, padding=1), dict(x=A("dx", (2, 3, 3, 4)), w=A("dw", (3, 2, 4, 4))), (2, 2, 8, 11))
    for n, f, ys in (("max_k3", lambda x: F.max_pool2d(x, 3, 1, 0), (2, 3, 5, 6)), ("avg_k3s2p1", lambda x: F.avg_pool2d(x, 3, 2, 1), (2, 3, 4, 4)), ("avg_incl", lambda x: F.avg_pool2d(x, 3, 2, 1, mode="average"), (2, 3, 4, 4)),
                     ("ada_max", lambda x: F.adaptive_max_pool2d(x, (3, 2)), (2, 3, 3, 2)), ("ada_avg", lambda x: F.adaptive_avg_pool2d(x, (4, 3)), (2, 3, 4, 3))):
        G("pool_" + n, f, dict(x=A("px", (2, 3, 7, 8))), ys)
    G("interpolate_nearest", lambda x: F.vision.interpolate(x, size=(5, 9), mode="nearest"), dict(x=A("ix", (1, 2, 4, 6))), (1, 2, 5, 9))
    G("interpolate_bicubic", lambda x: F.vision.interpolate(x, size=(7, 3), mode="bicubic"), dict(x=A("ix", (1, 2, 4, 6))), (1, 2, 7, 3))
    G("interpolate_ac", lambda x: F.vision.interpolate(x, size=(7, 3), mode="bilinear", align_corners=True), dict(x=A("ix", (1, 2, 4, 6))), (1, 2, 7, 3))
    for bm in ("replicate", "reflect", "wrap", "constant"):
        G("remap_" + bm, lambda x, m, bm=bm: F.vision.remap(x, m, border_mode=bm, scalar=.5), dict(x=A("rx", (1, 2, 5, 6)), m=s.rng("rm").uniform(-1, 6, (1, 3, 4, 2)).astype("f4")), (1, 2, 3, 4))
        G("warp_" + bm, lambda x, m, bm=bm: F.vision.warp_perspective(x, m, (4, 5), border_mode=bm, border_val=.5), dict(x=A("wx", (1, 2, 6, 6)), m=(np.eye(3)[None] + .07).astype("f4")), (1, 2, 4, 5))
    G("layer_norm_2d", lambda x, w, b: F.nn.layer_norm(x, (4, 5), True, w, b), dict(x=A("lx", (3, 4, 5)), w=A("lw", (4, 5)), b=A("lb", (4, 5))), (3, 4, 5))
    G("layer_norm_plain", lambda x: F.nn.layer_norm(x * 2, (5,), False), dict(x=A("lx", (3, 4, 5))), (3, 4, 5))
    G("general_norm_plain", lambda x: F.nn.general_norm(x * 2, (0, 1), False), dict(x=A("lx", (3, 4, 5))), (3, 4, 5))
    for nc in (True, False):
        G("group_norm_plain_%d" % nc, lambda x: F.nn.group_norm(x * 2, 2, False), dict(x=A("gx", (2, 4, 3, 3))), (2, 4, 3, 3), dump=dict(no_change_graph=nc))
        G("instance_norm_plain_%d" % nc, lambda x: F.nn.instance_norm(x * 2, False), dict(x=A("gx", (2, 4, 3, 3))), (2, 4, 3, 3), dump=dict(no_change_graph=nc))
    G("correlation_sub", lambda a, b: F.vision.correlation(a, b, 1, 2, 1, 1, 2, False), dict(a=A("ca", (1, 2, 6, 6)), b=A("cb", (1, 2, 6, 6))), (1, 25, 6, 6))
    G("sliding_window_dil", lambda x: F.nn.sliding_window(x, (2, 3), 1, 1, 2), dict(x=A("sx", (1, 2, 6, 7))), (1, 2, 6, 5, 2, 3))
    G("deformable_dg2", lambda x, w, o, m: F.deformable_conv2d(x, w, o, m, padding=1, stride=2), dict(x=A("fx", (1, 4, 6, 6)), w=A("fw", (2, 4, 3, 3)), o=A("fo", (1, 36, 3, 3), -.8, .8), m=A("fm", (1, 18, 3, 3), 0, 1)), (1, 2, 3, 3))
    G("psroi", lambda x, t: F.nn.deformable_psroi_pooling(x, mge.tensor(np.array([[0, 1, 1, 9, 9], [0, 2, 3, 12, 10]], "f4")), t, False, 2, 2, 2, 2, .5), dict(x=A("sx8", (1, 8, 8, 8)), t=A("st", (2, 2, 2, 2), -.3, .3)), (2, 8, 2, 2))
    G("local_s2", lambda x, w: F.local_conv2d(x, w, stride=2, padding=1), dict(x=A("ox", (2, 2, 6, 5)), w=A("ow", (1, 3, 3, 2, 3, 3, 3))), (2, 3, 3, 3))


if __name__ == "__main__":
    main([cases])
