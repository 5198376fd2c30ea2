"""Names and signatures: what is there has MegEngine's parameters and defaults; what is missing says so."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import api_table
import op_stubs

from megalith import _core

RESULTS = api_table.survey()


def test_parameters_and_defaults_are_megengines():
    assert {name: diff for name, (_, _, diff) in RESULTS.items() if diff} == {}


def test_the_table_of_the_api_is_fresh():
    assert api_table.TABLE.read_text() == api_table.table(RESULTS), "stale: run python python/tools/api_table.py"


def test_the_stubs_of_ops_are_fresh():
    assert op_stubs.STUBS.read_text() == op_stubs.stubs(_core.registry()), "stale: run python python/tools/op_stubs.py"


def test_functional_has_the_names_of_its_modules():
    modules = ("elemwise", "math", "tensor", "metric", "inplace", "utils", "tensor_cache")
    private = {"complex", "real", "imag", "polar"}  # complex numbers are not supported
    imports = {"apply", "Const", "broadcast_cpp", "dtype_promotion", "expand_dims_cpp", "get_device", "split_cpp",
               "squeeze_cpp", "create_complex", "get_imag", "get_real"}  # fmt: skip
    missing = []
    for name, (_, present, _) in RESULTS.items():
        parts = name.split(".")
        if parts[0] == "functional" and len(parts) == 3 and parts[1] in modules and not present:
            if parts[2] not in private | imports:
                missing.append(name)
    assert missing == []


@pytest.mark.parametrize("name", ["functional.complex", "functional.no_such_name"])
def test_a_missing_name_says_so(name):
    with pytest.raises(AttributeError, match="Megalith does not have megengine.functional"):
        api_table.find(name)
