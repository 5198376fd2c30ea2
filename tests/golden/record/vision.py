"""Image operators: every mode, format and type. See recorder.main for how to run it."""
import numpy as np
import megengine as mge
import megengine.functional as F
from megengine.core._imperative_rt.core2 import apply
from megengine.core.ops import builtin as B
from megengine.core.tensor.dtype import qint8, quint8

from conv import block
from recorder import main

BORDERS = ("replicate", "reflect", "reflect_101", "wrap", "constant")
INTERP = ("nearest", "linear", "area", "cubic", "lanczos4")


def cases(s):
    A = lambda name, shape, lo=-1.5, hi=1.5: s.rng(name).uniform(lo, hi, shape).astype("f4")
    I = lambda name, shape, lo=0, hi=256, dt="u1": s.rng(name).randint(lo, hi, shape).astype(dt)
    i32 = lambda *v: mge.tensor(np.array(v, "i4"))
    g = "vision_more"
    one = dict(rtol=0, atol=1)
    typed = dict(f32=lambda n, sh: A(n, sh), f16=lambda n, sh: A(n, sh).astype("f2"), u8=lambda n, sh: I(n, sh), i8=lambda n, sh: I(n, sh, -128, 128, "i1"))
    tol = lambda t: one if t in ("u8", "i8") else None
    # ---- resize
    sizes = dict(up=(9, 11), down=(3, 4), mixed=(9, 3), same=(6, 7), tiny=(1, 1), big=(18, 21), half=(3, 7))
    for t, mk in typed.items():
        for im in INTERP:
            for n, sz in sizes.items():
                for fmt, sh in (("nchw", (2, 3, 6, 7)), ("nhwc", (2, 6, 7, 3)), ("nhwc", (1, 6, 7, 1)), ("nhwc", (1, 6, 7, 5))):
                    s.case(g, "resize_%s_%s_%s_%s%d" % (t, im, n, fmt, sh[3 if fmt == "nhwc" else 1]), lambda x, im=im, fmt=fmt, sz=sz: apply(B.Resize(imode=im, format=fmt), x, i32(*sz))[0], dict(x=mk("rz", sh)), tol=tol(t))
    for im in ("linear", "nearest", "cubic"):
        for fmt, b in (("nchw44", 4), ("nchw88", 8), ("nchw4", 4), ("nhwcd4", 4)):
            x = block(A("rzb", (2, 8, 5, 6)), b)
            if fmt == "nhwcd4":
                x = np.ascontiguousarray(x.transpose(0, 2, 1, 3, 4))
            s.case(g, "resize_%s_%s" % (fmt, im), lambda x, im=im, fmt=fmt: apply(B.Resize(imode=im, format=fmt), x, i32(8, 4))[0], dict(x=x))
            s.case(g, "resize_q8_%s_%s" % (fmt, im), lambda x, im=im, fmt=fmt: apply(B.Resize(imode=im, format=fmt), x.astype(qint8(.02)), i32(8, 4))[0].astype("float32"), dict(x=x), tol=dict(rtol=0, atol=.021))
            s.case(g, "resize_f16_%s_%s" % (fmt, im), lambda x, im=im, fmt=fmt: apply(B.Resize(imode=im, format=fmt), x, i32(8, 4))[0], dict(x=x.astype("f2")))
        s.case(g, "resize_qu8_nchw_" + im, lambda x, im=im: apply(B.Resize(imode=im, format="nchw"), x.astype(quint8(.02, 128)), i32(8, 4))[0].astype("float32"), dict(x=A("rzq", (2, 3, 5, 6))), tol=dict(rtol=0, atol=.021))
    for n, (sh, sz) in dict(up=((1, 2, 3, 4, 5), (5, 6, 7)), down=((2, 1, 5, 6, 4), (2, 3, 3)), mixed=((1, 3, 4, 4, 4), (7, 2, 4)), one=((1, 1, 2, 3, 4), (1, 1, 1))).items():
        for ac in (True, False):
            for t in ("f32", "f16"):
                s.case(g, "resize3d_%s_%d_%s" % (n, ac, t), lambda x, sz=sz, ac=ac: apply(B.Resize3D(imode="linear", format="ncdhw", align_corners=ac), x, i32(*sz))[0], dict(x=typed[t]("r3", sh)))
    for m, kw in dict(bilinear=dict(size=(9, 5)), ac=dict(size=(9, 5), align_corners=True), nearest=dict(scale_factor=1.7, mode="nearest"), bicubic=dict(scale_factor=(2.5, .6), mode="bicubic"),
                      ac1=dict(size=(1, 5), align_corners=True)).items():
        s.case(g, "interpolate_" + m, lambda x, kw=kw: F.vision.interpolate(x, **kw), dict(x=A("ip", (2, 3, 6, 7))))
    # ---- warps
    mat = lambda n, k=0: (np.tile(np.array([[[1.1, .1, -.3], [-.05, .9, .4], [.01, .02, 1.]]], "f4"), (n, 1, 1)) + s.rng("wm%d" % k).uniform(-.05, .05, (n, 3, 3))).astype("f4")
    far = np.array([[[3., .4, -7.], [.3, 2.5, -6.], [.02, -.03, 1.]]] * 2, "f4")
    for t, mk in typed.items():
        for bm in BORDERS:
            for im in ("linear", "nearest", "cubic"):
                for fmt, sh in (("nchw", (2, 3, 7, 8)), ("nhwc", (2, 7, 8, 3)), ("nhwc", (2, 7, 8, 1)), ("nhwc", (2, 7, 8, 4))):
                    c = sh[3 if fmt == "nhwc" else 1]
                    bv = 0.5 if t in ("f32", "f16") else 7.6
                    s.case(g, "warp_perspective_%s_%s_%s_%s%d" % (t, bm, im, fmt, c), lambda x, m, f, bm=bm, im=im, fmt=fmt, bv=bv: [apply(B.WarpPerspective(imode=im, bmode=bm, format=fmt, border_val=bv), x, k, i32(5, 9))[0] for k in (m, f)],
                           dict(x=mk("wp", sh), m=mat(2), f=far), tol=tol(t))
                    if fmt == "nhwc" or t != "f16":
                        s.case(g, "warp_affine_%s_%s_%s_%s%d" % (t, bm, im, fmt, c), lambda x, m, f, bm=bm, im=im, fmt=fmt, bv=bv: [apply(B.WarpAffine(imode=im, border_mode=bm, format=fmt, border_val=bv), x, k, i32(5, 9))[0] for k in (m, f)],
                               dict(x=mk("wa", sh), m=mat(2)[:, :2], f=np.ascontiguousarray(far[:, :2])), tol=tol(t))
        for fmt, sh in (("nchw", (2, 3, 7, 8)), ("nhwc", (2, 7, 8, 3))):
            s.case(g, "warp_perspective_idx_%s_%s" % (t, fmt), lambda x, m, i, fmt=fmt: apply(B.WarpPerspective(imode="linear", bmode="constant", format=fmt, border_val=1.), x, m, i, i32(4, 5))[0],
                   dict(x=mk("wp", sh), m=mat(4), i=np.array([1, 0, 1, 1], "i4")), tol=tol(t))
    for fmt, b in (("nchw4", 4), ("nhwcd4", 4), ("nchw64", 64)):
        x = block(A("wpb", (1, b * 2, 5, 6)), b)
        if fmt == "nhwcd4":
            x = np.ascontiguousarray(x.transpose(0, 2, 1, 3, 4))
        s.case(g, "warp_perspective_q8_" + fmt, lambda x, m, fmt=fmt: apply(B.WarpPerspective(imode="linear", bmode="replicate", format=fmt), x.astype(qint8(.02)), m, i32(4, 5))[0].astype("float32"), dict(x=x, m=mat(1)), tol=dict(rtol=0, atol=.021))
    s.case(g, "warp_perspective_f16_mat16", lambda x, m: apply(B.WarpPerspective(imode="linear", bmode="reflect", format="nchw"), x, m, i32(4, 5))[0], dict(x=A("wp", (2, 3, 7, 8)).astype("f2"), m=mat(2).astype("f2")))
    # ---- remap
    mp = s.rng("rm").uniform(-4, 12, (2, 4, 5, 2)).astype("f4")
    mp[0, 0, 0] = (2, 3)
    mp[0, 0, 1] = (6.5, 2.5)
    for t, mk in typed.items():
        for bm in BORDERS:
            for im in ("linear", "nearest"):
                for fmt, sh in (("nchw", (2, 3, 7, 8)), ("nhwc", (2, 7, 8, 3))):
                    s.case(g, "remap_%s_%s_%s_%s" % (t, bm, im, fmt), lambda x, m, bm=bm, im=im, fmt=fmt: apply(B.Remap(imode=im, border_type=bm, format=fmt, scalar=1.5), x, m)[0], dict(x=mk("re", sh), m=mp), tol=tol(t))
    # ---- regions
    rois = np.array([[0, 1, 1, 6, 6], [1, 0, 2, 7, 5.5], [0, -3, -2, 4, 9], [1, 3, 3, 3, 3], [0, 6, 6, 2, 1], [0, 5.3, 2.1, 20, 11]], "f4")
    for md in ("average", "max"):
        for n, (p, sc, off, sm) in dict(a=((3, 2), 1., .5, (2, 2)), b=((2, 3), .7, 0., (1, 3)), c=((1, 1), .5, .5, (3, 1)), d=((4, 4), 2., 0., (2, 2))).items():
            for t in ("f32", "f16"):
                s.case(g, "roi_align_%s_%s_%s" % (md, n, t), lambda x, r, md=md, p=p, sc=sc, off=off, sm=sm: apply(B.ROIAlign(mode=md, format="nchw", spatial_scale=sc, offset=off, pooled_height=p[0], pooled_width=p[1], sample_height=sm[0], sample_width=sm[1]), x, r)[0],
                       dict(x=typed[t]("ra", (2, 3, 8, 9)), r=rois.astype(typed[t]("z", (1,)).dtype)))
        for n, (p, sc) in dict(a=((3, 2), 1.), b=((2, 2), .5), c=((1, 1), .9), d=((4, 5), 2.)).items():
            for t in ("f32", "f16"):
                s.case(g, "roi_pooling_%s_%s_%s" % (md, n, t), lambda x, r, md=md, p=p, sc=sc: F.vision.roi_pooling(x, r, p, md, sc), dict(x=typed[t]("ra", (2, 3, 8, 9)), r=np.abs(rois).astype(typed[t]("z", (1,)).dtype)))
    bx = s.rng("nms").uniform(0, 20, (1, 24, 4)).astype("f4")
    bx[..., 2:] += bx[..., :2]
    for th in (.0, .3, .7):
        for mx in (3, 24, 100):
            s.case(g, "nms_%g_%d" % (th, mx), lambda b, th=th, mx=mx: list(apply(B.NMSKeep(iou_thresh=th, max_output=mx), b)), dict(b=bx))
    s.case(g, "nms_batch", lambda b: list(apply(B.NMSKeep(iou_thresh=.4, max_output=8), b)), dict(b=np.ascontiguousarray(np.concatenate([bx, bx[:, ::-1], bx * .5]))))
    # ---- colours
    for m in [k for k in dir(B.CvtColor.Mode) if k[0].isupper()]:
        c = 4 if m.startswith("RGBA") else 1 if "_N" in m or "_Y" in m or m.startswith(("YCr", "GRAY")) else 3
        for n, (h, w) in dict(a=(6, 4), b=(12, 10), c=(5, 7), d=(1, 1)).items():
            s.case(g, "cvt_u8_%s_%s" % (m, n), lambda x, m=m: apply(B.CvtColor(mode=m), x)[0], dict(x=I("cv", (2, h, w, c))), tol=dict(rtol=0, atol=0))
            s.case(g, "cvt_f32_%s_%s" % (m, n), lambda x, m=m: apply(B.CvtColor(mode=m), x)[0], dict(x=A("cv", (2, h, w, c), 0, 1)))
    for t in ("f32", "u8", "i8"):
        for cw in (True, False):
            for sh in ((1, 4, 5, 1), (2, 4, 5, 3), (1, 3, 7, 1)):
                s.op(g, "rotate_%s_%d_%d%d" % (t, cw, sh[1], sh[3]), "Rotate", dict(x=typed[t]("ro", sh)), [("param.Rotate", {"clockwise": cw})])
        for v in (0, 1):
            for h in (0, 1):
                for c in (1, 3):
                    s.op(g, "flip_%s_%d%d_%d" % (t, v, h, c), "Flip", dict(x=typed[t]("fl", (2, 4, 5, c))), [("param.Flip", {"vertical": bool(v), "horizontal": bool(h)})])
        for bm in ("REPLICATE", "REFLECT", "REFLECT_101", "CONSTANT"):
            for n, kw in dict(k3=dict(kernel_height=3, kernel_width=3, sigma_x=1., sigma_y=1.), k53=dict(kernel_height=5, kernel_width=3, sigma_x=.8, sigma_y=1.7), auto=dict(kernel_height=0, kernel_width=0, sigma_x=.9, sigma_y=0.), k1=dict(kernel_height=1, kernel_width=5, sigma_x=0., sigma_y=0.)).items():
                for c in (1, 3):
                    s.op(g, "blur_%s_%s_%s_%d" % (t, bm, n, c), "GaussianBlur", dict(x=typed[t]("gb", (2, 6, 7, c))), [("param.GaussianBlur", dict(kw, border_mode=bm))], tol=tol(t))
    # ---- correlation, dct, windows
    for n, (k, d, s1, s2, p, mul) in dict(a=(3, 2, 1, 2, 2, True), b=(1, 1, 1, 1, 1, False), c=(3, 4, 2, 2, 4, True), d=(1, 3, 2, 1, 3, False), e=(5, 1, 1, 1, 2, True), f=(1, 0, 1, 1, 0, True)).items():
        for t in ("f32", "f16"):
            s.case(g, "correlation_%s_%s" % (n, t), lambda a, b, k=k, d=d, s1=s1, s2=s2, p=p, mul=mul: apply(B.Correlation(format="nchw", kernel_size=k, max_displacement=d, stride1=s1, stride2=s2, pad_size=p, is_multiply=mul), a, b)[0],
                   dict(a=typed[t]("co", (2, 3, 8, 9)), b=typed[t]("cp", (2, 3, 8, 9))))
    x = I("dct", (2, 3, 16, 24))
    for n, blk in dict(b8=8, b4=4, b2=2).items():
        s.op(g, "dct_" + n, "DctChannelSelect", dict(x=x), [("param.DctChannelSelect", {"dct_block_size": blk})], tol=dict(rtol=1e-4, atol=1e-2))
    s.op(g, "dct_mask", "DctChannelSelect", dict(x=x), [("param.DctChannelSelect", {})], consts=dict(o=np.array([0, 4, 4, 12], "i4"), v=np.array([0, 1, 8, 16, 3, 2, 0, 63, 5, 9, 10, 17], "i4")), order=["x", "o", "v"], tol=dict(rtol=1e-4, atol=1e-2))
    s.op(g, "dct_fix32", "DctChannelSelect", dict(x=x), [("param.DctChannelSelect", {"fastImpl": "FIX_32_MASK"})], consts=dict(o=np.array([0, 16, 24, 32], "i4"), v=np.arange(32, dtype="i4") % 24), order=["x", "o", "v"], tol=dict(rtol=1e-4, atol=1e-2))
    s.op(g, "dct_nchw4", "DctChannelSelect", dict(x=x), [("param.DctChannelSelect", {"format": "NCHW4"})], consts=dict(o=np.array([0, 4, 4, 12], "i4"), v=np.array([0, 1, 8, 16, 3, 2, 0, 63, 5, 9, 10, 17], "i4")), order=["x", "o", "v"],
         quant={}, output_dtype=("QuantizedS8", 10.), tol=dict(rtol=0, atol=10.1))
    for n, kw in dict(a=dict(pad_h=1, pad_w=2, stride_h=2, stride_w=1, window_h=3, window_w=2), b=dict(window_h=2, window_w=2, stride_h=2, stride_w=2), c=dict(pad_h=1, pad_w=1, window_h=3, window_w=3, dilate_h=2, dilate_w=2)).items():
        for t in ("f32", "f16", "i8", "u8"):
            s.case(g, "images2neibs_%s_%s" % (n, t), lambda x, kw=kw: apply(B.Images2Neibs(**kw), x)[0], dict(x=typed[t]("i2", (2, 3, 7, 8))))
        o = lambda i, a: (i + 2 * kw.get("pad_" + a, 0) - (kw["window_" + a] - 1) * kw.get("dilate_" + a, 1) - 1) // kw.get("stride_" + a, 1) + 1
        for t in ("f32", "f16"):
            s.case(g, "sliding_window_transpose_%s_%s" % (n, t), lambda x, kw=kw: apply(B.SlidingWindowTranspose(out_h=7, out_w=8, **kw), x)[0], dict(x=typed[t]("sw", (2, 3, o(7, "h"), o(8, "w"), kw["window_h"], kw["window_w"]))))


if __name__ == "__main__":
    main([cases])
