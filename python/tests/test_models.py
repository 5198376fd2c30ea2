"""Models written for MegEngine train as they do there."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "recorded"))
from model_cases import train  # noqa: E402

RECORDED = np.load(Path(__file__).parent / "recorded" / "models.npz")


@pytest.mark.parametrize("name", ["LeNet", "ResNet18", "ShuffleNetV2"])
def test_trains_as_in_megengine(name):
    losses, outputs = train("megalith", name)
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(losses, RECORDED[name + "/losses"], rtol=1e-3)
    np.testing.assert_allclose(outputs, RECORDED[name + "/outputs"], rtol=2e-3, atol=2e-3)
