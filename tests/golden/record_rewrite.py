#!/usr/bin/env python3
"""Judge the writer with MegEngine 1.13.0, and record the result for the tests.

usage: record_rewrite.py FIXTURES MGL        (Python 3.8 with megengine==1.13.0; MGL is the built `mgl` command)

`mgl rewrite` writes every file of every case again, in both formats. MegEngine then runs the original and the
rewritten file on the case's inputs; `max_abs_diff` is the largest difference between the two. A file that MegEngine
can't run in the first place has its error as `original_fails`, and the rewritten one is compared with the recorded
outputs. rewrite_results.json keeps the SHA-256 of each
rewritten file: the test suite checks that the writer still makes these bytes, which needs no MegEngine.

MegEngine aborts on some files, so child processes run them (JOBS of them), started again behind the case where one
died. ONLY=text takes the cases whose names hold the text.
"""
import collections, concurrent.futures, hashlib, io, json, os, struct, subprocess, sys, tempfile, threading

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ.setdefault("MGB_WORKER_MAX_SPIN", "1")  # MegEngine's threads otherwise spin while they wait
FORMATS = ("FBS", "FBS_V2")
TIMEOUT = 60  # seconds for one case


def graphs(data):
    """the model and the test cases behind it"""
    at, parts = 12 if data[:8] == b"mgbtest0" else 0, []
    while at < len(data):
        begin = at
        if data[at:at + 4] == b"MGBC":
            at += 24 + struct.unpack_from("<Q", data, at + 16)[0]
        at += 4 + struct.unpack_from("<I", data, at)[0]
        parts.append(data[begin:at])
    return parts


def run_graph(data, feeds):
    import megengine as mge
    import numpy as np
    from megengine.utils.comp_graph_tools import GraphInference
    mge.random.seed(1)
    g = GraphInference(io.BytesIO(data))
    r = g.run(inp_dict={k: mge.tensor(feeds[k]) for k in g._inp_dict})
    return sorted(g._inp_dict), [np.asarray(v) for v in r.values()]


def run_file(path, feeds):
    """the outputs of the model, for each of its test cases when it has some, and the test cases themselves"""
    model, *cases = graphs(open(path, "rb").read())
    if not cases:
        return run_graph(model, feeds)[1]
    from megengine.utils.network import Network
    names = sorted(v.name for v in Network.load(io.BytesIO(model)).input_vars)
    outs = []
    for c in cases:
        values = run_graph(c, {})[1]
        outs += values + run_graph(model, dict(zip(names, values)))[1]
    return outs


def judge(root, case, mgl, tmp):
    import numpy as np
    d = os.path.join(root, case["name"])
    feeds = {i["name"]: np.load(os.path.join(d, i["file"])) for i in case["inputs"]}
    rows = []
    for src in FORMATS:
        if src not in case["files"]:
            continue
        path, original, error = os.path.join(d, case["files"][src]["file"]), None, None
        try:
            original = run_file(path, feeds)
        except Exception as e:
            error = "%s: %s" % (type(e).__name__, str(e).strip().splitlines()[0][:160] if str(e).strip() else "")
        for dst in FORMATS:
            out = os.path.join(tmp, "rewritten.mge")
            row = dict(case=case["name"], source=src, target=dst)
            rows.append(row)
            r = subprocess.run([mgl, "rewrite", path, out, "--format", dst], stderr=subprocess.PIPE)
            if r.returncode:
                row["not_written"] = r.stderr.decode().strip()[-200:]
                continue
            row["sha256"] = hashlib.sha256(open(out, "rb").read()).hexdigest()
            if error:
                row["original_fails"] = error
                original = [np.load(os.path.join(d, o["file"])) for o in case["outputs"]]  # as recorded
            try:
                got = run_file(out, feeds)
                assert len(got) == len(original), "%d outputs, were %d" % (len(got), len(original))
                diff = 0.0
                for a, b in zip(got, original):
                    assert a.shape == b.shape and a.dtype == b.dtype, "%s%s, was %s%s" % (a.dtype, a.shape, b.dtype, b.shape)
                    if a.size:
                        delta = np.abs(a.astype("f8") - b.astype("f8"))
                        delta[(a == b) | (np.isnan(a.astype("f8")) & np.isnan(b.astype("f8")))] = 0
                        diff = max(diff, float(delta.max()))
                row["diff_to_recorded" if error else "max_abs_diff"] = diff if np.isfinite(diff) else None
            except Exception as e:
                row["rewritten_fails"] = "%s: %s" % (type(e).__name__, str(e).strip()[:200])
    return rows


def child(root, mgl):
    cases = {c["name"]: c for c in json.load(open(os.path.join(root, "manifest.json")))["cases"]}
    with tempfile.TemporaryDirectory() as tmp:
        for name in sys.stdin.read().split():
            print(json.dumps([name, judge(root, cases[name], mgl, tmp)]), flush=True)


def run_children(root, mgl, todo, env=None):
    """one child after another; a case in which the child dies or hangs is tried once more"""
    rows, failures = [], collections.Counter()
    while todo:
        p = subprocess.Popen([sys.executable, __file__, root, mgl, "--child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))
        p.stdin.write("\n".join(todo).encode())
        p.stdin.close()
        while True:
            watchdog = threading.Timer(TIMEOUT, p.kill)
            watchdog.start()
            line = p.stdout.readline()
            watchdog.cancel()
            if not line:
                break
            if line.startswith(b'["'):
                name, got = json.loads(line)
                rows += got
                todo = todo[todo.index(name) + 1:]
                print("%d left, %s" % (len(todo), name), file=sys.stderr)
        p.wait()
        if todo:
            failures[todo[0]] += 1
            print("died in %s" % todo[0], file=sys.stderr)
        if todo and failures[todo[0]] == 2:
            rows.append(dict(case=todo.pop(0), megengine_dies=True))
    return rows


def main():
    root, mgl = sys.argv[1], os.path.abspath(sys.argv[2])
    if "--child" in sys.argv:
        return child(root, mgl)
    names = [c["name"] for c in json.load(open(os.path.join(root, "manifest.json")))["cases"]]
    only = os.environ.get("ONLY", "")
    names, jobs = [n for n in names if only in n], int(os.environ.get("JOBS", os.cpu_count()))
    def run(names, **env):
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            parts = pool.map(lambda k: run_children(root, mgl, names[k::jobs], env), range(jobs))
        return sum(parts, [])

    # MegEngine's fast kernels don't run everything (float16 Local), need instructions that not every machine has, and add
    # into memory that they did not clear (gradients of LocalShare): such cases are judged with its naive kernels.
    rows = run(names)
    again = {r["case"] for r in rows if r.get("max_abs_diff") != 0}
    naive = run([n for n in names if n in again], MGB_USE_MEGDNN_DBG="2")
    rows = [r for r in rows if r["case"] not in again] + [dict(r, kernels="naive") for r in naive]
    rows.sort(key=lambda r: names.index(r["case"]))
    key = lambda f: sum(f in r for r in rows)
    summary = dict(files=len(rows), same_in_megengine=sum(r.get("max_abs_diff") == 0 for r in rows),
                   differ=sum(r.get("max_abs_diff", 0) != 0 for r in rows), rewritten_fails=key("rewritten_fails"),
                   original_fails=key("original_fails"), megengine_dies=key("megengine_dies"), not_written=key("not_written"))
    with open(os.environ.get("OUT", os.path.join(HERE, "rewrite_results.json")), "w") as f:
        f.write('{"megengine": "1.13.0", "summary": %s,\n"files": [\n' % json.dumps(summary))
        f.write(",\n".join(json.dumps(r) for r in rows) + "\n]}\n")
    print(json.dumps(summary))
    for r in rows:
        if r.get("max_abs_diff", 0) != 0 or "rewritten_fails" in r or "megengine_dies" in r or "not_written" in r:
            print(r)


if __name__ == "__main__":
    main()
