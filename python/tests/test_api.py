"""Names and signatures: what is there has MegEngine's parameters and defaults; what is missing says so."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import api_table

RESULTS = api_table.survey()
# Ours take sequences of different lengths as well, which MegEngine can't.
EXTENDED = {"module.LSTM.apply_op", "module.RNN.apply_op", "module.rnn.RNNBase.apply_op", "module.rnn.RNNBase.forward",
            "module.rnn.RNNBase.init_hidden"}  # fmt: skip


def test_parameters_and_defaults_are_megengines():
    assert {name: diff for name, (_, _, diff) in RESULTS.items() if diff and name not in EXTENDED} == {}


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
