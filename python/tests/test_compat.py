"""``import megengine`` gives Megalith: in a process, for a script, and installed as a wheel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import megalith

PACKAGES = Path(megalith.__file__).resolve().parents[1]  # where the package under test is, installed or not
ALIAS = Path(__file__).resolve().parents[1] / "alias"

SCRIPT = """
import sys
import megengine as mge
import megengine.functional as F
import megengine.functional.nn, megengine.core.tensor.dtype
from megengine.core._imperative_rt.core2 import apply, TensorWeakRef, sync, AsyncError
from megengine.core.autodiff.grad import Grad, Function
from megengine.core.ops import builtin
from megengine.core.ops.builtin import Elemwise
from megengine.core.tensor.utils import astensor1d, isscalar, make_shape_tuple
from megengine import Tensor
import megalith
assert mge is megalith and F is megalith.functional and Tensor is megalith.Tensor
assert sys.modules["megengine.core.ops.builtin"] is megalith.core.ops.builtin
assert F.__name__ == F.__spec__.name == "megalith.functional"
a = mge.tensor([1.0, 2.0])
assert apply(Elemwise(mode=Elemwise.Mode.ADD), a, a)[0].numpy().tolist() == [2, 4]
print("ran", *sys.argv[1:])
"""


def run(*arguments, path=PACKAGES, cwd=None):
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, path if isinstance(path, list) else [path])))
    return subprocess.run([sys.executable, *arguments], env=env, cwd=cwd, capture_output=True, text=True)


def test_script(tmp_path):
    (tmp_path / "helper.py").write_text("import megengine\nNAME = megengine.__name__\n")
    (tmp_path / "script.py").write_text(SCRIPT + "import helper\nprint(helper.NAME, __name__, sys.argv[0])\n")
    done = run("-m", "megalith", str(tmp_path / "script.py"), "a", "--b")
    assert done.stderr == ""
    assert done.stdout == f"ran a --b\nmegalith __main__ {tmp_path / 'script.py'}\n"


def test_code_and_exit_status():
    assert run("-m", "megalith", "-c", "import megengine, sys; sys.exit(3)").returncode == 3
    assert run("-m", "megalith", "/nonexistent.py").returncode == 2
    assert "usage" in run("-m", "megalith").stderr


def test_install_and_uninstall(tmp_path):
    (tmp_path / "megengine").mkdir()
    (tmp_path / "megengine" / "__init__.py").write_text("REAL = 1\n")
    code = """
from megalith import compat
compat.install(); compat.install()
import megengine, megengine.optimizer
assert megengine.__name__ == "megalith" and megengine.optimizer.SGD
compat.uninstall()
import megengine
assert megengine.REAL
try:
    compat.install()
except RuntimeError as e:
    assert "imported already" in str(e)
else:
    assert False
"""
    assert run("-c", code, path=[PACKAGES, tmp_path]).stderr == ""


def test_functions_named_as_their_module():
    code = """
import megengine.quantization.quantize
from megengine.quantization.quantize import quantize_qat
from megengine.quantization import quantize
assert quantize is megengine.quantization.quantize and quantize.__name__ == "quantize"
"""
    assert run("-m", "megalith", "-c", code).stderr == ""


def test_what_is_missing_says_so():
    done = run("-m", "megalith", "-c", "import megengine.nonsense")
    assert "No module named 'megengine.nonsense'" in done.stderr
    done = run("-m", "megalith", "-c", "import megengine; megengine.nonsense")
    assert "Megalith does not have megengine.nonsense" in done.stderr


def test_alias_package():
    done = run("-c", SCRIPT, path=[PACKAGES, ALIAS])
    assert (done.stderr, done.stdout) == ("", "ran\n")


def test_alias_wheel(tmp_path):
    pytest.importorskip("setuptools")
    pytest.importorskip("wheel")
    source = tmp_path / "source"

    shutil.copytree(ALIAS, source)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(tmp_path / "at")]
    pip = run("-m", "pip", "install", *options, str(source))
    if "No module named pip" in pip.stderr:
        pytest.skip("no pip")
    assert pip.returncode == 0, pip.stderr
    done = run("-c", SCRIPT, path=[PACKAGES, tmp_path / "at"])
    assert (done.stderr, done.stdout) == ("", "ran\n")


def test_ops_as_objects():
    import megalith as mge
    from megalith.core._imperative_rt.core2 import apply
    from megalith.core.ops import builtin

    op = builtin.Elemwise("relu")
    assert op.mode == builtin.Elemwise.Mode.RELU == "RELU" and str(op.mode) == "Elemwise.Mode.RELU"
    assert op == builtin.Elemwise(mode="RELU") and hash(op) == hash(builtin.Elemwise(mode="RELU"))
    op.mode = "exp"
    assert op != builtin.Elemwise("relu")
    one = apply(builtin.Elemwise(mode="ADD"), mge.tensor(1.0), mge.tensor(2.0))[0]
    assert one.shape == () and one.numpy() == 3
    x = mge.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert apply(builtin.Reduce(mode=builtin.Reduce.Mode.SUM, axis=0), x)[0].numpy().tolist() == [[4, 6]]
    assert apply(builtin.TypeCvt(dtype="int32"), x)[0].dtype == "int32"
    for bad in (lambda: builtin.Elemwise(mode="nonsense"), lambda: builtin.Elemwise(nonsense=1)):
        with pytest.raises((ValueError, TypeError), match="Elemwise"):
            bad()
    with pytest.raises(AttributeError, match="nonsense"):
        builtin.nonsense
    with pytest.raises(TypeError):
        apply(builtin.Elemwise("relu"), 1.0)


def test_grad_of_the_core():
    import megalith as mge
    from megalith.core.autodiff.grad import Grad

    x, seen = mge.tensor([1.0, 2.0]), []
    with Grad() as grad:
        grad.wrt(x, callback=seen.append)
        y = x * x
        grad(y, mge.tensor([1.0, 10.0]))
    assert [g.numpy().tolist() for g in seen] == [[2, 40]]


def test_conversions_of_the_core():
    import megalith as mge
    from megalith.core.tensor.utils import astensor1d, isscalar, make_shape_tuple

    assert astensor1d([1, mge.tensor(2), mge.tensor([3])]).numpy().tolist() == [1, 2, 3]
    assert astensor1d((1, 2), dtype="float32").dtype == "float32"
    assert isscalar(1) and isscalar(mge.tensor(1)) and not isscalar(mge.tensor([1]))
    assert make_shape_tuple([1, (2, mge.tensor(3)), mge.tensor([4, 5])]) == (1, 2, 3, 4, 5)
