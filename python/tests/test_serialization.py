"""save and load; data/megengine_checkpoint.pkl was written by MegEngine 1.13.0 after one step of Adam."""

import io
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
from megalith.core.tensor import dtype as types

CHECKPOINT = str(Path(__file__).parent / "data" / "megengine_checkpoint.pkl")


class Net(M.Module):
    def __init__(self):
        super().__init__()
        self.conv = M.Conv2d(1, 2, 3)
        self.bn = M.BatchNorm2d(2)
        self.fc = M.Linear(8, 3)

    def forward(self, x):
        return self.fc(F.flatten(F.relu(self.bn(self.conv(x))), 1))


def test_megengines_checkpoint():
    from megalith.optimizer import Adam

    c = mge.load(CHECKPOINT)
    net = Net()
    net.load_state_dict(c["state_dict"])
    net.eval()
    np.testing.assert_allclose(net(mge.Tensor(c["x"])).numpy(), c["y"], rtol=1e-5, atol=1e-6)
    optimizer = Adam(net.parameters(), lr=1)
    optimizer.load_state_dict(c["optimizer"])
    assert optimizer.param_groups[0]["lr"] == 0.01 and c["epoch"] == 3


def test_megengines_tensors_and_modules():
    c = mge.load(CHECKPOINT)
    assert type(c["tensor"]) is mge.Tensor and type(c["param"]) is mge.Parameter
    assert c["tensor"].tolist() == [1, 2] and c["param"].tolist() == [[1.5]]
    assert c["scalar"].shape == () and c["scalar"].item() == 2.5
    assert types.get_scale(c["q"].dtype) == 0.5 and types.get_zero_point(c["q8"].dtype) == 128
    assert c["half"].dtype == np.float16
    assert types.is_bfloat16(c["bf16"].dtype) and c["bf16"].astype("float32").tolist() == [1, 2]
    assert type(c["seq"]) is M.Sequential and c["seq"](mge.Tensor([[1.0, 2.0]])).shape == (1, 3)


def roundtrip(obj, **kwargs):
    f = io.BytesIO()
    mge.save(obj, f)
    f.seek(0)
    return mge.load(f, **kwargs)


def test_our_own():
    net = Net()
    obj = {"net": net, "x": mge.Tensor([[1.0]]), "scalar": mge.Tensor(3), "a": np.arange(6).reshape(2, 3).T,
           "q": mge.Tensor([1, 2], dtype=types.qint8(0.5)), "bf": mge.Tensor([1.5], dtype="bfloat16"),
           "empty": np.zeros((0, 3)), "zero": np.array(2.0), "objects": np.array([None, "a"], object)}  # fmt: skip
    back = roundtrip(obj)
    x = mge.Tensor(np.random.rand(2, 1, 4, 4).astype("float32"))
    np.testing.assert_array_equal(back["net"](x).numpy(), net(x).numpy())
    assert isinstance(back["net"].fc.weight, mge.Parameter) and back["scalar"].shape == ()
    for key in ("a", "empty", "zero", "objects"):
        np.testing.assert_array_equal(back[key], obj[key])
        assert back[key].dtype == obj[key].dtype
    back["a"][0, 0] = 9  # may be written to
    assert types.get_scale(back["q"].dtype) == 0.5 and types.is_bfloat16(back["bf"].dtype)


def test_state_dicts_need_only_old_numpy(tmp_path):
    path = tmp_path / "state.pkl"
    mge.save(Net().state_dict(), str(path))
    mge.load(path)
    strings = [arg for op, arg, _ in pickletools.genops(path.read_bytes()) if isinstance(arg, str)]
    assert not [s for s in strings if s.startswith(("numpy.", "megalith"))]


@pytest.mark.parametrize("where", ["cpu1", {"xpux": "cpu1"}, lambda device: "cpu1" if device == "xpux:0" else "cpu2"])
def test_map_location(where):
    assert str(mge.load(CHECKPOINT, map_location=where)["tensor"].device) == "cpu1:0"
    assert str(roundtrip(mge.Tensor([1]), map_location=where).device) == "cpu1:0"


def test_devices_that_are_not_here():
    data = Path(CHECKPOINT).read_bytes().replace(b"xpux:0", b"gpu0:0")
    x = mge.load(io.BytesIO(data))["tensor"]
    assert x.device == mge.Tensor(1).device
    assert str(mge.load(io.BytesIO(data), map_location={"gpu0": "cpu0"})["tensor"].device) == "cpu0:0"


def test_refusals():
    for where in ({"gpu0": "tpu0"}, 3):
        with pytest.raises(ValueError):
            mge.load(CHECKPOINT, map_location=where)
    with pytest.raises(ValueError):
        mge.save({}, 3)
    assert mge.Tensor.dmap_callback is None
    with pytest.raises((pickle.UnpicklingError, EOFError)):
        mge.load(io.BytesIO(b""))
