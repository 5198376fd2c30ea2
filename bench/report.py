"""Tables of what bench.py wrote: times, ratios to peers and to the limit, and which bars are met."""

import collections

import bars
import cases
import limits

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
            self.errors[record["impl"]] = record["error"]

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
        row.limit = limits.limit_ms(row.case, measured["measures"], row.threads) if measured else None
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
            yield "fails" if spec in row.errors else ""
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
