"""Functions, losses, modules and optimizers give the results that MegEngine 1.13.0 recorded."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "recorded"))
from nn_cases import CASES, results  # noqa: E402

RECORDED = np.load(Path(__file__).parent / "recorded" / "nn.npz")


@pytest.mark.parametrize("name", CASES)
def test_equals_megengine(name):
    expected = {k: RECORDED[k] for k in RECORDED.files if k.rsplit("/", 1)[0] == name}
    assert expected, f"nothing is recorded for {name}"
    got = results("megalith", [name])
    assert sorted(got) == sorted(expected)
    for key, want in expected.items():
        have = got[key]
        if want.dtype == np.uint8 and have.dtype == np.uint8 and want.ndim == 1:  # texts
            assert have.tobytes().decode() == want.tobytes().decode()
            continue
        assert have.shape == want.shape, f"{key}: shape {have.shape}, expected {want.shape}"
        assert have.dtype == want.dtype, f"{key}: type {have.dtype}, expected {want.dtype}"
        atol = 1 if name.startswith("conv_bias") else 2e-5  # a quantized value on the edge may round either way
        np.testing.assert_allclose(have, want, rtol=2e-5, atol=atol, err_msg=key)
