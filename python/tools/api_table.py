"""Compares Megalith's public names and signatures with MegEngine 1.13.0's and writes docs/python-api.md.

    python python/tools/api_table.py                  # write the table
    python python/tools/api_table.py --check          # exit status 1 when the table is stale or a signature differs
    python python/tools/api_table.py --reduce API     # make python/tests/data/api.json of a full inventory

The inventory holds one entry per public name of MegEngine: priority (P0 is used by beginners' tutorials and model zoos,
P2 hardly ever), the first name where it is an alias, and the parameters: name, kind and default as source text.
"""

import argparse
import ast
import enum
import functools
import importlib
import inspect
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "python/tests/data/api.json"
TABLE = ROOT / "docs/python-api.md"
OBJECT = "<object>"  # a default that has no literal form
# What takes more parameters than MegEngine's, behind its own: sequences of different lengths.
EXTENDED = {"module.LSTM.apply_op", "module.RNN.apply_op", "module.rnn.RNNBase.apply_op", "module.rnn.RNNBase.forward",
            "module.rnn.RNNBase.init_hidden"}  # fmt: skip


def _default(node):
    if isinstance(node, ast.Attribute):
        return OBJECT
    text = ast.unparse(node)
    return OBJECT if text == repr(OBJECT) else text


def parse_signature(text: str):
    """Parameters of ``(a, b: int = 1, *, c=<object>)`` as [name, kind, default], or None when it can't be read."""
    head = re.sub(r"\s*->.*$", "", text)
    head = re.sub(r"<[^<>]*>", repr(OBJECT), head)
    try:
        args = ast.parse(f"def f{head}: pass").body[0].args
    except SyntaxError:
        return None
    out = []
    plain = args.posonlyargs + args.args
    defaults = [None] * (len(plain) - len(args.defaults)) + [_default(d) for d in args.defaults]
    for a, d in zip(plain, defaults):
        out.append([a.arg, "pos", d])
    if args.vararg:
        out.append([args.vararg.arg, "*", None])
    for a, d in zip(args.kwonlyargs, args.kw_defaults):
        out.append([a.arg, "key", _default(d) if d is not None else None])
    if args.kwarg:
        out.append([args.kwarg.arg, "**", None])
    return out


def reduce(path: str):
    """The inventory that is kept: without annotations, usage and private members."""
    out = {}
    for e in json.loads(Path(path).read_text())["entries"]:
        name = e["name"].removeprefix("megengine.")
        kept = {"priority": e["priority"], "kind": e["kind"]}
        if e.get("alias_of"):
            kept["alias"] = e["alias_of"].removeprefix("megengine.")
        elif e.get("signature"):
            kept["params"] = parse_signature(e["signature"])
        out[name] = kept
        for m, v in (e.get("members") or {}).items():
            if m.startswith("_") or v.get("kind") != "method" or e.get("alias_of"):
                continue
            if v.get("defined_in", "").endswith(e["name"].rsplit(".", 1)[1]):
                params = parse_signature(v["signature"]) if v.get("signature") else None
                out[f"{name}.{m}"] = {"priority": v["priority"], "kind": "method", "params": params}
    DATA.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(out.items())) + "\n}\n")


@functools.lru_cache(maxsize=None)
def _module(name: str):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def find(name: str):
    """Megalith's object of a MegEngine name; raises AttributeError when there is none."""
    parts = ("megalith." + name).split(".")
    for cut in range(len(parts), 0, -1):
        obj = _module(".".join(parts[:cut]))
        if obj is None:
            continue
        for p in parts[cut:]:
            obj = getattr(obj, p)
        return obj
    raise AttributeError(name)


def our_signature(obj):
    """Parameters as parse_signature() gives them, or None for what has no Python signature."""
    if isinstance(obj, type) and type(obj.__init__).__name__ == "nb_method":  # Python 3.13 makes one up
        return None
    try:
        params = inspect.signature(obj).parameters.values()
    except (ValueError, TypeError):
        return None
    kinds = {"POSITIONAL_ONLY": "pos", "POSITIONAL_OR_KEYWORD": "pos", "VAR_POSITIONAL": "*", "KEYWORD_ONLY": "key",
             "VAR_KEYWORD": "**"}  # fmt: skip
    out = []
    for p in params:
        default = None
        if p.default is not p.empty:
            try:
                default = ast.unparse(ast.parse(repr(p.default), mode="eval"))
            except SyntaxError:
                default = OBJECT
        out.append([p.name, kinds[p.kind.name], default])
    return out


def difference(wanted, obj, extended=False):
    """What differs between MegEngine's parameters and an object's, as text; None when they agree.

    An ``extended`` object may have more parameters at the end.
    """
    if wanted is None:
        return None
    if isinstance(obj, type) and issubclass(obj, enum.Enum):  # Python's own, which changes with its version
        return None
    if wanted[:1] == [["cls", "pos", None]] and not inspect.isfunction(obj):  # bound by getattr
        wanted = wanted[1:]
    ours = our_signature(obj)
    if ours is None:
        return None
    if extended:
        ours = ours[: len(wanted)]
    if [p[:2] for p in wanted] != [p[:2] for p in ours]:
        return f"parameters are {[p[0] for p in ours]}, MegEngine's {[p[0] for p in wanted]}"
    for (name, _, a), (_, _, b) in zip(wanted, ours):
        if (a is None) != (b is None) or (OBJECT not in (a, b) and a != b):
            return f"default of {name} is {b}, MegEngine's {a}"
    return None


def survey():
    """{name: (entry, present, difference)}"""
    out = {}
    for name, entry in json.loads(DATA.read_text()).items():
        try:
            obj = find(name)
        except AttributeError:
            out[name] = (entry, False, None)
            continue
        out[name] = (entry, True, difference(entry.get("params"), obj, name in EXTENDED))
    return out


def table(results) -> str:
    """The support table as Markdown."""
    areas = defaultdict(dict)
    for name, r in results.items():
        if "alias" not in r[0]:
            areas[name.split(".")[0] if "." in name else "megengine"][name] = r
    lines = ["# Python API: what is there", "",
             "Generated by `python/tools/api_table.py`: the public names of MegEngine 1.13.0, each counted once, and",
             "those that Megalith has with the same parameters and defaults. P0 names are used by tutorials and the",
             "model zoo, P2 ones hardly ever. A missing name raises an AttributeError that says so.", "",
             "| package | P0 | P1 | P2 |", "|---|---|---|---|"]  # fmt: skip

    def count(rows, p):
        of = [r for r in rows if r[0]["priority"] == p]
        return f"{sum(r[1] and not r[2] for r in of)} of {len(of)}" if of else ""

    for area in sorted(areas):
        lines.append(f"| {area} | " + " | ".join(count(areas[area].values(), p) for p in ("P0", "P1", "P2")) + " |")
    every = [r for rows in areas.values() for r in rows.values()]
    lines.append("| **all** | " + " | ".join(count(every, p) for p in ("P0", "P1", "P2")) + " |")
    lines += ["", "## Missing or different", ""]
    for area in sorted(areas):
        for p in ("P0", "P1", "P2"):
            names = sorted(n for n, r in areas[area].items() if r[0]["priority"] == p and not (r[1] and not r[2]))
            if names:
                lines.append(f"- {area}, {p}: " + ", ".join(f"`{n}`" for n in names))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--reduce", metavar="API")
    args = parser.parse_args()
    if args.reduce:
        return reduce(args.reduce)
    sys.path.insert(0, str(ROOT / "python"))
    results = survey()
    for name, (_, _, diff) in results.items():
        if diff:
            print(f"{name}: {diff}")
    text = table(results)
    if args.check:
        stale = not TABLE.exists() or TABLE.read_text() != text
        if stale:
            print(f"{TABLE} is stale")
        return int(stale or any(r[2] for r in results.values()))
    TABLE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
