"""Calls whose results MegEngine 1.13.0 gave (see call_results.py): values, element types, shapes of scalars, errors."""

import json
import math
from pathlib import Path

import pytest

import call_results
import megalith as mge
import megalith.functional as F
from megalith import _core

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "data/calls.jsonl").read_text().splitlines()]
ENV = call_results.names(mge, F)
# What our exceptions stand for.
ALSO = {t.__name__: {b.__name__ for b in t.__mro__} for t in
        (_core.OpError, _core.IndexingError, _core.ArgumentError, _core.ArgumentTypeError, NotImplementedError)}  # fmt: skip


def same(want, got):
    if isinstance(want, dict) and "error" in want:
        return isinstance(got, dict) and want["error"] in ALSO.get(got.get("error"), {got.get("error")})
    if isinstance(want, dict):
        return (
            isinstance(got, dict)
            and {k: want[k] for k in ("shape", "dtype")} == {k: got.get(k) for k in ("shape", "dtype")}
            and len(want["values"]) == len(got["values"])
            and all(map(close, want["values"], got["values"]))
        )
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(map(same, want, got))
    return close(want, got)


def close(a, b):
    if isinstance(a, float) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-3 if abs(a) < 1e-3 else 2e-5, abs_tol=1e-6)
    return a == b


@pytest.mark.parametrize("chunk", range(0, len(RECORDED), 100))
def test_calls_give_what_megengine_gives(chunk):
    wrong = []
    for text, want in RECORDED[chunk : chunk + 100]:
        got = call_results.call(text, ENV, mge.Tensor)
        if not same(want, got):
            wrong.append(f"{text}\n    MegEngine {want}\n    Megalith  {got}")
    assert not wrong, "\n".join(wrong)
