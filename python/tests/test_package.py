"""What the installed package brings: a quiet, quick import, type stubs, NumPy as the only requirement, the command."""

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import megalith

HERE = Path(megalith.__file__).parent
installed = pytest.mark.skipif(not (HERE / "bin/mgl").exists(), reason="run from the source tree")


def python(*args):
    return subprocess.run([sys.executable, *args], capture_output=True, text=True)


def test_the_import_is_quiet_and_brings_in_numpy_only():
    code = (
        "import sys; old = set(sys.modules); import megalith; print(*{m.split('.')[0] for m in set(sys.modules) - old})"
    )
    run = python("-I", "-c", code) if (HERE / "bin/mgl").exists() else python("-c", code)
    assert run.returncode == 0 and run.stderr == ""
    # cython_runtime comes with NumPy
    foreign = set(run.stdout.split()) - set(sys.stdlib_module_names) - {"megalith", "numpy", "cython_runtime"}
    assert {name for name in foreign if not name.startswith("_")} == set()


def test_the_import_is_quick():
    def seconds():  # of the processor: others may be busy
        code = "import time; t = time.process_time(); import megalith; print(time.process_time() - t)"
        return float(python("-c", code).stdout)

    assert min(seconds() for _ in range(3)) < 0.3  # numpy included


@installed
def test_stubs_are_python():
    assert (HERE / "py.typed").exists()
    for name in ("_core.pyi", "_ops.pyi"):
        ast.parse((HERE / name).read_text())


@installed
def test_the_native_stub_has_what_the_module_has():
    tree = ast.parse((HERE / "_core.pyi").read_text())
    stubbed = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    theirs = {n for n, v in vars(megalith._core).items() if callable(v) and not n.startswith("__")}
    elements = {dtype.type.__name__ for dtype in megalith._core.number_types().values()}  # made by that call
    assert theirs - elements <= stubbed


@installed
def test_numpy_is_the_only_requirement():
    needed = [r for r in importlib.metadata.requires("megalith") if "extra ==" not in r]
    assert len(needed) == 1 and needed[0].startswith("numpy")


@installed
def test_the_wheel_brings_the_native_command(tmp_path):
    __import__("megalith.__main__")
    mgl = Path(sys.executable).with_name("mgl")
    run = subprocess.run([mgl, "inspect", "--ops"], capture_output=True, text=True)
    assert run.returncode == 0 and '"Convolution"' in run.stdout
    run = subprocess.run([mgl, "run", tmp_path / "missing.mge"], capture_output=True, text=True)
    assert run.returncode != 0 and "missing.mge" in run.stderr
