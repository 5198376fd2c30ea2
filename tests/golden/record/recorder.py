"""A Suite (see fixlib.py of the fixture set) that records every case in a process of its own, so that a crash of
MegEngine loses one case, and that also takes graphs built operator by operator with mge_encode."""
import json, os, shutil, signal, sys

import numpy as np
from fixlib import Suite, default_tol, mge_decode, npy, run_model
from mge_encode import ModelWriter, NP2DT

POLICY = ("param.ExecutionPolicy", {})


class Recorder(Suite):
    def case(self, *a, **k):
        return self.forked(lambda: Suite.case(self, *a, **k), "%s/%s" % tuple(a[:2]))

    def forked(self, fn, name):
        if self.only and not any(o in name for o in self.only.split(",")):
            return None
        tmp = os.path.join(self.root, ".entry.json")
        if os.path.exists(tmp):
            os.remove(tmp)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self.only = None
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.alarm(25)
            err = open(os.devnull, "w")
            os.dup2(err.fileno(), 2)
            n, m = len(self.manifest), len(self.errors)
            try:
                fn()
            finally:
                with open(tmp, "w") as f:
                    json.dump([self.manifest[n:], self.errors[m:]], f, default=str)
                sys.stdout.flush()
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.path.exists(tmp) and status == 0:
            man, err = json.load(open(tmp))
            self.manifest += man
            self.errors += err
            if len(self.manifest) % 25 == 0:
                self.write()
        else:
            shutil.rmtree(os.path.join(self.root, name), ignore_errors=True)
            self.errors.append(dict(name=name, error="crash, status %d" % status))
            print("CRASH %s (%d)" % (name, status), flush=True)

    def graph(self, group, name, build, ins, tol=None, note=None, runs=1):
        """build(writer, {name: var}) -> output vars, in a file written with mge_encode"""
        self.forked(lambda: self._graph(group, name, build, ins, tol, note), "%s/%s" % (group, name))

    def _graph(self, group, name, build, ins, tol, note):
        d = os.path.join(self.root, group, name)
        os.makedirs(d, exist_ok=True)
        e = dict(name="%s/%s" % (group, name), files={}, inputs=[], outputs=[], writer="mge_encode")
        try:
            ref = None
            for fmt, fn in (("FBS", "model.mge"), ("FBS_V2", "model_v2.mge")):
                m = ModelWriter(fmt)
                vs = {k: m.input(k, v.shape, NP2DT[str(v.dtype)]) for k, v in ins.items()}
                for i, o in enumerate(build(m, vs)):
                    m.output(o, "out_%d" % i)
                p = os.path.join(d, fn)
                open(p, "wb").write(m.finish())
                dm = mge_decode.load(p)
                e["files"][fmt] = dict(file=fn, nr_opr=len(dm.opers), op_kinds=dm.op_kinds())
                for rep in range(3):
                    got = run_model(p, ins)
                    ref = ref or got
                    for a, b in zip(ref, got):
                        assert a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), "unstable result in MegEngine"
            for k, v in ins.items():
                e["inputs"].append(dict(name=k, **npy(os.path.join(d, "in_%s.npy" % k), v)))
            for i, o in enumerate(ref):
                e["outputs"].append(dict(name="out_%d" % i, **npy(os.path.join(d, "out_%d.npy" % i), o)))
            e["tolerance"] = tol or default_tol(ref)
            if note:
                e["note"] = note
            self.manifest.append(e)
            print("ok   %s" % e["name"], flush=True)
        except Exception as ex:
            shutil.rmtree(d, ignore_errors=True)
            self.errors.append(dict(group=group, name=name, error=str(ex)[:300], at=""))
            print("ERR  %s/%s %s" % (group, name, str(ex).splitlines()[0][:220] if str(ex) else repr(ex)), flush=True)

    def op(self, group, name, op, ins, params, outs=(0,), consts=None, order=None, quant=None, output_dtype=None, as_float=True, **k):
        """one operator. consts: {name: array} beside the inputs; order: the arguments; quant: {name: dtype tuple} inputs
        that are converted to that type first; output_dtype: the operator's configured type"""
        def build(m, vs):
            vs = dict(vs)
            for kk, c in (consts or {}).items():
                vs[kk] = m.const(c)
            for kk, d in (quant or {}).items():
                vs[kk], = m.op("TypeCvt", [vs[kk]], [("DType", m.dtype(d))])
            n = max(outs) + 1
            ids = m.op(op, [vs[a] for a in (order or list(ins))], params, n_out=n, output_dtype=output_dtype,
                       out_names=["o%d" % i for i in range(n)])
            r = [ids[i] for i in outs]
            if quant and as_float:
                r = [m.op("TypeCvt", [v], [("DType", m.dtype("Float32"))])[0] for v in r]
            return r
        self.graph(group, name, build, ins, **k)


def main(modules):
    """usage: SCRIPT OUT [SALT] with the fixture set's generate/ and mge-format/ on PYTHONPATH; ONLY=a,b names a part"""
    import warnings
    warnings.simplefilter("ignore")
    os.makedirs(sys.argv[1], exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
    s = Recorder(sys.argv[1], salt=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    try:
        for cases in modules:
            cases(s)
    finally:
        s.write()
