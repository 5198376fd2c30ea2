"""Tables of what bench.py wrote: times, ratios to peers and to the limit, and which bars are met."""

import collections
import json
import os

import bars
import cases
import limits
import plot

CASES = {c["name"]: c for group in cases.GROUPS.values() for c in group()}
SHORT = {"megalith": "Megalith", "pytorch": "PyTorch", "onnxruntime": "ORT", "openvino": "OpenVINO",
         "megengine": "MegEngine", "numpy": "NumPy"}  # fmt: skip


def shown(spec):
    name, _, variant = spec.partition(":")
    return SHORT.get(name, name) + (" " + variant.replace("+", " ") if variant else "")


def number(ms):
    return "%.4g" % ms if ms < 1000 else "%.0f" % ms


def _time(record):
    """On one thread, time of the processor where that is less: what the clock shows while others use the machine says
    little. MegEngine computes on a thread of its own, whose time is known late: there, the mean."""
    if record["threads"] > 1:
        return record["min_ms"]
    cpu = "cpu_mean_ms" if record["impl"].startswith("megengine") else "cpu_min_ms"
    return min(record["min_ms"], record[cpu])


class Row:
    """A case at a number of threads: all times are of one run."""

    def __init__(self, case, threads, run):
        self.case, self.threads, self.run = case, threads, run
        self.ms, self.errors, self.order = {}, {}, []
        self.limit = None
        self.judged = []

    def add(self, record):
        self.order.append(record["impl"])
        if "min_ms" in record:
            self.ms[record["impl"]] = _time(record)
        else:
            self.errors[record["impl"]] = "wrong" if record.get("wrong") else "fails"

    @property
    def ours(self):
        """The first Megalith: bars are for it."""
        return next((s for s in self.order if s.startswith("megalith")), None)

    def peers(self):
        return {s: ms for s, ms in self.ms.items() if not s.startswith("megalith")}


def rows(lines):
    """By (case, threads), of the latest run of each."""
    found, headers = collections.OrderedDict(), {r["run"]: r for r in lines if "limits" in r}
    for r in lines:
        if "case" not in r or r["case"] not in CASES:
            continue
        key = (r["case"], r["threads"])
        if key not in found or found[key].run != r["run"]:
            found[key] = Row(CASES[r["case"]], r["threads"], r["run"])
        found[key].add(r)
    for row in found.values():
        measured = (headers.get(row.run, {}).get("limits") or {}).get(str(row.threads))
        row.limit = limits.limit_ms(row.case, measured, row.threads) if measured else None
        if row.ours in row.ms:
            alone = found.get((row.case["name"], 1))
            alone = alone.ms.get(row.ours) if alone else None
            others = {s: ms for s, ms in row.ms.items() if s != row.ours}
            row.judged = bars.judge(row.case, row.threads, row.ms[row.ours], others, row.limit, alone)
    return list(found.values())


def _bar(factor, names, ratio):
    of = "/".join(SHORT.get(n, n) for n in names.split("/"))
    met = "met" if ratio <= factor else "**no**"
    return "%.3g × %s: %s" % (factor, of, met) if factor >= 0.1 else "1/%.0f of %s: %s" % (1 / factor, of, met)


def _cells(row, specs):
    ours = row.ms.get(row.ours)
    for spec in specs:
        ms = row.ms.get(spec)
        if ms is None:
            yield row.errors.get(spec, "")
        elif spec == row.ours or not ours:
            yield number(ms)
        else:
            yield "%s (%.2f)" % (number(ms), ours / ms)
    yield "%s (%.2f)" % (number(row.limit), ours / row.limit) if row.limit and ours else ""
    yield "; ".join(_bar(*j) for j in row.judged)


def table(lines):
    """Markdown: a table for each group and number of threads. In brackets: Megalith's time over this one."""
    tables = collections.OrderedDict()
    for row in rows(lines):
        tables.setdefault((row.case["group"], row.threads), []).append(row)
    text = []
    for (group, threads), members in tables.items():
        specs = list(collections.OrderedDict.fromkeys(s for row in members for s in row.order))
        text.append("### %s, %d thread%s\n" % (group, threads, "s" if threads > 1 else ""))
        text.append("| ms | %s | limit | bar |" % " | ".join(shown(s) for s in specs))
        text.append("|---" * (len(specs) + 3) + "|")
        for row in members:
            text.append("| %s | %s |" % (row.case["name"], " | ".join(_cells(row, specs))))
        text.append("")
    return "\n".join(text)


def summary(lines):
    """How many bars are met, by group."""
    counts = collections.OrderedDict()
    for row in rows(lines):
        for factor, _, ratio in row.judged:
            met = counts.setdefault((row.case["group"], row.threads), [0, 0])
            met[0] += ratio <= factor
            met[1] += 1
    text = ["| group | threads | bars met |", "|---|---|---|"]
    return "\n".join(text + ["| %s | %d | %d of %d |" % (g, t, met, n) for (g, t), (met, n) in counts.items()])


def save(lines):
    """Takes the cases of a run into the files of this processor in results/."""
    machine = next(r["machine"] for r in lines if "machine" in r)
    base = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results", machine["file"])
    os.makedirs(os.path.dirname(base), exist_ok=True)
    earlier = []
    if os.path.exists(base + ".jsonl"):
        with open(base + ".jsonl") as f:
            earlier = [json.loads(line) for line in f]
    new = {(r["case"], r["threads"]) for r in lines if "case" in r}
    kept = [r for r in earlier if "case" in r and (r["case"], r["threads"]) not in new]
    kept += [r for r in lines if "case" in r]
    order = {name: i for i, name in enumerate(CASES)}
    kept = sorted((r for r in kept if r["case"] in order), key=lambda r: (order[r["case"]], r["threads"]))
    runs = {r["run"] for r in kept}
    headers = [r for r in earlier + lines if "machine" in r and r["run"] in runs]
    with open(base + ".jsonl", "w") as f:
        f.writelines(json.dumps(r) + "\n" for r in headers + kept)
    versions = collections.OrderedDict()
    for h in headers:
        versions.update((shown(s).split()[0], v) for s, v in h["versions"].items())
    text = ["# %s (%s), %d processors\n" % (machine["name"], machine["file"], machine["cpus"])]
    text.append(
        "Written by `bench.py --save`; see [README](../README.md) for how to read it. In brackets: Megalith's time over"
    )
    text.append("that one's. Versions: %s.\n" % ", ".join("%s %s" % v for v in sorted(versions.items())))
    for h in headers:
        loads = [r["load"] for r in kept if r["run"] == h["run"]]
        text.append("- %s, load %.1f to %.1f: `%s`" % (h["run"], min(loads), max(loads), h["command"]))
    text += ["", summary(headers + kept), "", table(headers + kept)]
    with open(base + ".md", "w") as f:
        f.write("\n".join(text))
    with open(base + ".svg", "w") as f:
        f.write(plot.svg(rows(headers + kept), "%s, 1 thread, %s" % (machine["name"], headers[-1]["run"][:10])))
