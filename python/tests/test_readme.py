"""The Python examples of the READMEs run as they stand there and print what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

import megalith as mge

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh.md")
BLOCKS = [
    pytest.param(block, id=f"{name}-{i}")
    for name in READMES
    for i, block in enumerate(re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(), re.M | re.S))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_runs(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(block, "README", "exec"), names)
    expected = re.findall(r"print\(.*\)  # (.*)", block)
    assert capsys.readouterr().out.splitlines() == expected
    if "predict" in names:
        rows = np.full((1, 28, 28), 0.5, "float32")
        assert (tmp_path / "lstm.mge").stat().st_size > 4 * 4 * 64 * (28 + 64)
        assert names["predict"](mge.Tensor(rows)).shape == (1, 64)


def test_the_readmes_have_the_same_examples():
    first, second = (re.findall(r"^```.*?^```", (ROOT / name).read_text(), re.M | re.S) for name in READMES)
    assert first == second and len(BLOCKS) >= 4
