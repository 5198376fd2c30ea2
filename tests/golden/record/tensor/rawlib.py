"""Single-op files written with mge_encode, run by MegEngine, recorded in the fixtures' form."""
import os, sys, json, shutil, zlib, warnings
warnings.simplefilter("ignore")
sys.path[:0] = [os.environ["FIXLIB_DIR"], os.environ["MGE_FORMAT_DIR"]]  # fixlib.py; mge_encode.py, mge_decode.py and mge-format.json
import numpy as np
import megengine as mge
from fixlib import mge_decode, npy, run_model, default_tol
from mge_encode import ModelWriter, NP2DT
POL = ("param.ExecutionPolicy", {})
E = ("param.Empty", {})

class Raw:
    def __init__(self, root, allow_nan=True):
        self.root, self.manifest, self.errors, self.seen = root, [], [], set()
        os.makedirs(root, exist_ok=True)
        self.state = os.path.join(root, "progress.txt")
        self.done = {}
        if os.path.exists(self.state):
            for l in open(self.state):
                n, *r = l.rstrip("\n").split("\t", 1)
                self.done[n] = r[0] if r else None
        self.only = os.environ.get("ONLY")
    def log(self, name, v):
        with open(self.state, "a") as f: f.write(name + ("\t" + v if v is not None else "") + "\n")
    def case(self, name, build, ins, tol=None, note=None, stochastic=False, keep_unstable=False, formats=(("FBS", "model.mge"), ("FBS_V2", "model_v2.mge"))):
        assert name not in self.seen, name
        self.seen.add(name)
        if self.only and self.only not in name: return
        if name in self.done:
            v = self.done[name]
            if v is None: self.errors.append(dict(name=name, error="CRASH"))
            elif v.startswith("ERR "): self.errors.append(dict(name=name, error=v[4:]))
            else: self.manifest.append(json.loads(v))
            return
        self.log(name, None)
        d = os.path.join(self.root, name)
        shutil.rmtree(d, ignore_errors=True); os.makedirs(d)
        e = dict(name=name, files={}, inputs=[], outputs=[], writer="mge_encode")
        try:
            ref = ref2 = None
            for fmt, fn in formats:
                m = ModelWriter(fmt)
                vs = {k: m.input(k, v.shape, NP2DT[str(v.dtype)]) for k, v in ins.items()}
                outs = build(m, vs)
                if isinstance(outs, int): outs = [outs]
                # outputs must be named operators' outputs: an Identity carries the name
                for i, o in enumerate(outs):
                    m.output(m.op("Identity", [o], [E], out_names=["out_%d" % i])[0], "out_%d" % i)
                p = os.path.join(d, fn)
                open(p, "wb").write(m.finish())
                dm = mge_decode.load(p)
                e["files"][fmt] = dict(file=fn, nr_opr=len(dm.opers), op_kinds=dm.op_kinds())
                got = run_model(p, ins)
                if not stochastic:
                    for a, b in zip(got, run_model(p, ins)):
                        if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"): raise AssertionError("unstable result in MegEngine")
                if ref is None: ref = got
                elif not stochastic and any(a.shape != b.shape or not np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(ref, got)): ref2 = got
        except Exception as ex:
            self.errors.append(dict(name=name, error=str(ex)[:300])); self.log(name, "ERR " + " ".join(str(ex)[:200].split()) + type(ex).__name__)
            for k, v in ins.items(): np.save(os.path.join(d, "in_%s.npy" % k), v)
            return
        for k, v in ins.items(): e["inputs"].append(dict(name=k, **npy(os.path.join(d, "in_%s.npy" % k), v)))
        for i, o in enumerate(ref): e["outputs"].append(dict(name="out_%d" % i, **npy(os.path.join(d, "out_%d.npy" % i), o)))
        if ref2 is not None: e["outputs_v2"] = [dict(name="out_%d" % i, **npy(os.path.join(d, "out_v2_%d.npy" % i), o)) for i, o in enumerate(ref2)]
        e["tolerance"] = tol or default_tol(ref)
        if stochastic: e["stochastic"] = True
        if note: e["note"] = note
        self.manifest.append(e)
        self.log(name, json.dumps(e))
    def simple(self, name, op, ins, params, n_out=1, outs=None, consts=None, order=None, output_dtype=None, casts=None, out_cast=None, **k):
        """one op; casts: {arg: dtype (tuple for quantized)} by TypeCvt; out_cast: dtype of the results' TypeCvt"""
        def build(m, vs):
            vs = dict(vs)
            for kk, c in (consts or {}).items(): vs[kk] = m.const(c)
            for kk, t in (casts or {}).items(): vs[kk] = m.op("TypeCvt", [vs[kk]], [("DType", m.dtype(t))])[0]
            ids = m.op(op, [vs[a] for a in (order or list(ins) + list(consts or {}))], params, n_out=n_out, output_dtype=output_dtype)
            ids = [ids[i] for i in (outs if outs is not None else range(n_out))]
            if out_cast: ids = [m.op("TypeCvt", [i], [("DType", m.dtype(out_cast))])[0] for i in ids]
            return ids
        self.case(name, build, ins, **k)
    def write(self):
        self.manifest.sort(key=lambda e: e["name"])
        json.dump(dict(megengine=mge.__version__, numpy=np.__version__, cases=self.manifest), open(os.path.join(self.root, "manifest.json"), "w"), indent=1)
        json.dump(self.errors, open(os.path.join(self.root, "errors.json"), "w"), indent=1)
        print(len(self.manifest), "cases", len(self.errors), "errors")

def rng(name): return np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)
