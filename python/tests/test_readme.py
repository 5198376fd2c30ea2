"""The Python examples of the READMEs and the guides run as they stand there and print what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

import megalith as mge
from megalith import compat

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


GUIDES = sorted((ROOT / "docs/guides").glob("*.md"))


@pytest.mark.parametrize("guide", [g for g in GUIDES if "```python" in g.read_text()], ids=lambda g: g.stem)
def test_a_guide_runs_from_top_to_bottom(guide, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    try:
        for block in re.findall(r"^```python\n(.*?)^```", guide.read_text(), re.M | re.S):
            exec(compile(block, guide.name, "exec"), names)
            expected = re.findall(r"print\(.*\)  # (.*)", block)
            assert (capsys.readouterr().out.splitlines() == expected) or block.endswith("print(traced.graph)\n")
    finally:
        compat.uninstall()
    if "traced" in names and guide.stem == "traced-modules":
        shown = re.search(r"^```text\n(.*?)^```", guide.read_text(), re.M | re.S)[1]
        assert str(mge.traced_module.trace_module(names["net"], names["x"]).graph) + "\n" == shown


def test_the_chinese_guides_have_the_same_examples():
    for guide in GUIDES:
        chinese = ROOT / "docs/zh" / guide.name
        if guide.stem == "add-an-op":
            continue
        first, second = (re.findall(r"^```.*?^```", page.read_text(), re.M | re.S) for page in (guide, chinese))
        assert first == second, guide.stem


def test_links_of_the_documentation_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    broken = []
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            made = target.endswith(".md") and Path(target).parent.name in ("api", "op")  # by scripts/docs_pages.py
            if not (target.startswith("http") or made or (page.parent / target).exists()):
                broken.append((page.name, target))
    assert not broken


def test_the_pages_that_are_made_have_text(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import docs_pages

    pages = {path: text for path, text in (*docs_pages.api_pages(), *docs_pages.op_pages())}
    assert len(pages) > 180 and all(len(text) > 40 for text in pages.values())
    for path, text in pages.items():
        undocumented = re.findall(r"^#+ (.*)\n\n```python\n.*\n```\n{2,}(?=#|\Z)", text, re.M)
        assert not undocumented, (path, undocumented)
    menu = re.findall(r": ([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert all((ROOT / "docs" / page).exists() or page in pages for page in menu)
    for page in (ROOT / "docs").glob("**/*.md"):
        listed = page.parent.name == "decisions" or str(page.relative_to(ROOT / "docs")) in menu
        assert listed, f"{page.name} is not in the menu of mkdocs.yml"
