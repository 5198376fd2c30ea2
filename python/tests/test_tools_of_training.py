"""What programs use around a model: statistics, profiles, the server of processes, datasets with boxes and masks."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
from megalith.data import dataset as D
from megalith.distributed import Client, Server
from megalith.utils import bn_fusion
from megalith.utils.module_stats import module_stats, register_hook_module, sizeof_fmt
from megalith.utils.profiler import Profiler, is_profiling, merge_trace_events, profile, scope


class Net(M.Module):
    def __init__(self):
        super().__init__()
        self.conv = M.Conv2d(3, 4, 3, padding=1)
        self.bn = M.BatchNorm2d(4)
        self.pool = M.MaxPool2d(2)
        self.fc = M.Linear(4 * 4 * 4, 10)

    def forward(self, x):
        return self.fc(F.flatten(self.pool(F.relu(self.bn(self.conv(x)))), 1))


def test_module_stats():
    total, details = module_stats(Net(), input_shapes=(1, 3, 8, 8), logging_to_stdout=False)
    assert total.param_dims == 3 * 4 * 9 + 4 + 2 * 4 + 64 * 10 + 10
    assert total.param_size == 4 * total.param_dims
    conv, bn, pool, fc = 4 * 64 * (27 + 1), 4 * 64 * 7, 4 * 16 * 4, 10 * 64 + 10
    assert total.flops == conv + bn + pool + fc
    assert total.act_dims == 4 * 64 * 2 + 4 * 16 + 10
    assert [p["name"] for p in details.params] == ["conv-w", "conv-b", "bn-w", "bn-b", "fc-w", "fc-b", "total"]
    again, _ = module_stats(Net(), inputs=np.ones((1, 3, 8, 8), np.float32), logging_to_stdout=False)
    assert again == total
    assert sizeof_fmt(2048) == "2.000 KiB" and sizeof_fmt(1500, suffix="OPs") == "1.500 KOPs"
    with pytest.raises(TypeError):
        register_hook_module(3)


def test_parameters_that_are_read_without_a_call_count():
    class Reads(M.Module):
        def __init__(self):
            super().__init__()
            self.conv = M.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv.calc_conv(x, self.conv.weight, self.conv.bias)

    _, details = module_stats(Reads(), input_shapes=(1, 3, 8, 8), logging_to_stdout=False)
    assert [p["name"] for p in details.params] == ["conv-w", "conv-b", "total"]
    assert "__getattribute__" not in vars(M.Module)


def test_profiles(tmp_path):
    net = Net()
    with Profiler(str(tmp_path), formats=["chrome_timeline.json", "memory_flow.svg"]) as profiler:
        assert is_profiling()
        with scope("my_scope"):
            net(F.ones((2, 3, 8, 8)))
    assert not is_profiling()
    profiler.dump()
    (timeline,) = tmp_path.glob("*.json")
    events = json.loads(timeline.read_text())["traceEvents"]
    names = [e["name"] for e in events]
    assert {"Convolution", "BatchNorm", "RELU", "Pooling", "MatrixMul"} <= set(names) and names.count("my_scope") == 2
    assert all(e["dur"] >= 0 for e in events if "dur" in e)
    assert [e["ts"] for e in events] == sorted(e["ts"] for e in events)
    assert (next(tmp_path.glob("*.svg"))).read_text().startswith("<svg")
    merge_trace_events(str(tmp_path))
    assert (tmp_path / "merge.chrome_timeline.json").exists()
    with pytest.raises(AssertionError):
        Profiler(format="pdf")
    with profiler, pytest.raises(RuntimeError, match="running"):
        Profiler(str(tmp_path)).start()

    @profile(str(tmp_path / "more"))
    def work():
        return mge.Tensor([1.0]) + 1

    work()
    work.__profiler__.dump()
    assert list((tmp_path / "more").iterdir())


def test_the_profile_of_a_traced_function():
    traced = mge.jit.trace(lambda x: -x, profiling=True)
    with pytest.raises(RuntimeError, match="call it"):
        traced.get_profile()
    traced(mge.Tensor([1.0]))
    found = traced.get_profile()
    assert [o["name"] for o in found["graph_exec"]["operator"].values()] == ["NEGATE"] and found["profiler"]["host"]


def test_a_recorded_graph_runs_without_python():
    calls = []

    @mge.jit.trace
    def f(x, scale=None):
        calls.append(1)
        return {"sum": (x * scale).sum(), "all": [x + 1]}

    f(mge.Tensor([1.0, 2.0]), scale=mge.Tensor(2.0))
    out = f.execute(mge.Tensor([3.0, 4.0]), scale=mge.Tensor(10.0))
    assert calls == [1] and out["sum"].item() == 70 and out["sum"].shape == () and out["all"][0].tolist() == [4, 5]


def test_server_and_clients():
    server = Server()
    a, b = Client("127.0.0.1", server.py_server_port), Client("127.0.0.1", server.py_server_port)
    assert a.get_mm_server_port() == server.mm_server_port
    got = []
    waits = threading.Thread(target=lambda: got.append(b.user_get("key")))
    waits.start()
    a.user_set("key", 5)
    waits.join(10)
    assert got == [5] and a.user_pop("key") == 5
    both = threading.Thread(target=lambda: got.append(b.bcast_val(None, "v", 2)))
    both.start()
    assert a.bcast_val("x", "v", 2) == "x"
    both.join(10)
    barrier = threading.Thread(target=lambda: b.group_barrier("g", 2))
    barrier.start()
    a.group_barrier("g", 2)
    barrier.join(10)
    assert got == [5, "x"] and not barrier.is_alive()
    a.set_is_grad("s", True)
    assert b.check_is_grad("s") is True
    server.proc.terminate()


def test_normalizations_fold_into_layers():
    conv, bn = M.Conv2d(3, 4, 3, groups=1), M.BatchNorm2d(4)
    bn.running_mean.set_value(np.random.rand(1, 4, 1, 1))
    bn.running_var.set_value(np.random.rand(1, 4, 1, 1) + 0.5)
    bn.weight.set_value(np.random.rand(1, 4, 1, 1))
    bn.eval()
    x = mge.Tensor(np.random.rand(2, 3, 6, 6).astype(np.float32))
    fused = bn_fusion.fuse_conv_bn_relu_module(conv, bn, M.ReLU())
    np.testing.assert_allclose(fused(x).numpy(), F.relu(bn(conv(x))).numpy(), atol=1e-5)
    linear, bn = M.Linear(3, 4), M.BatchNorm1d(4)
    bn.eval()
    x = mge.Tensor(np.random.rand(2, 3).astype(np.float32))
    np.testing.assert_allclose(
        bn_fusion.fuse_linear_bn_relu_module(linear, bn, None)(x).numpy(), bn(linear(x)).numpy(), atol=1e-5
    )


def _write_image(path, array):
    cv2 = pytest.importorskip("cv2")
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), array)


@pytest.mark.parametrize("kind", [D.COCO, D.Objects365])
def test_boxes_in_one_file(tmp_path, kind):
    _write_image(tmp_path / "a.png", np.zeros((4, 6, 3), np.uint8))
    anno = {"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "iscrowd": 0, "segmentation": []}
    empty = {"image_id": 2, "category_id": 3, "bbox": [1, 2, 0, 4], "iscrowd": 0}
    images = [{"id": i, "file_name": n, "height": 4, "width": 6} for i, n in ((1, "a.png"), (2, "b.png"))]
    categories = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
    file = tmp_path / "anno.json"
    file.write_text(json.dumps({"images": images, "annotations": [anno, empty], "categories": categories}))
    order = ("image", "boxes", "boxes_category", "info")
    data = kind(str(tmp_path), str(file), True, order=order)
    assert len(data) == 1 and data.get_img_info(0)["width"] == 6
    image, boxes, category, info = data[0]
    assert image.shape == (4, 6, 3) and boxes.tolist() == [[1, 2, 4, 6]] and category.tolist() == [2]
    assert info == [4, 6, "a.png"] and len(kind(str(tmp_path), str(file))) == 2
    with pytest.raises(NotImplementedError):
        kind(str(tmp_path), str(file), order=("polygons",))


def test_pascal_voc(tmp_path):
    _write_image(tmp_path / "JPEGImages" / "x.jpg", np.zeros((4, 6, 3), np.uint8))
    mask = np.zeros((4, 6, 3), np.uint8)
    mask[0, 0] = [0, 0, 128]  # an aeroplane, in blue, green, red
    mask[1, 1] = [1, 2, 3]
    _write_image(tmp_path / "SegmentationClass" / "x.png", mask)
    for folder in ("Main", "Segmentation"):
        (tmp_path / "ImageSets" / folder).mkdir(parents=True)
        (tmp_path / "ImageSets" / folder / "train.txt").write_text("x\n")
    (tmp_path / "Annotations").mkdir()
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    (tmp_path / "Annotations" / "x.xml").write_text(
        f"<annotation><object><name>cat</name>{box}</object><object><name>dog</name>{box}</object></annotation>"
    )
    data = D.PascalVOC(str(tmp_path), "train", order=("image", "boxes", "boxes_category", "info"))
    image, boxes, category, info = data[0]
    assert boxes.tolist() == [[1, 2, 3, 4]] * 2 and category.tolist() == [8, 12] and info == [4, 6, "x"]
    (labels,) = D.PascalVOC(str(tmp_path), "train", order=("mask",))[0]
    assert labels.shape == (4, 6, 1) and labels[0, 0] == 1 and labels[1, 1] == 255 and labels[3, 3] == 0
    with pytest.raises(ValueError, match="not both"):
        D.PascalVOC(str(tmp_path), "train", order=("boxes", "mask"))


def test_cityscapes(tmp_path):
    _write_image(tmp_path / "leftImg8bit/train/bonn/bonn_0_leftImg8bit.png", np.zeros((2, 3, 3), np.uint8))
    mask = np.array([[7, 8, 0], [33, 1, 26]], np.uint8)
    _write_image(tmp_path / "gtFine/train/bonn/bonn_0_gtFine_labelIds.png", mask)
    data = D.Cityscapes(str(tmp_path), "train", "gtFine", order=("image", "mask", "info"))
    image, labels, info = data[0]
    assert labels[:, :, 0].tolist() == [[0, 1, 255], [18, 255, 13]] and info[:2] == [2, 3] and len(data) == 1
    with pytest.raises(ValueError, match="train_extra"):
        D.Cityscapes(str(tmp_path), "train_extra", "gtFine")


def test_workers_that_may_need_too_much_memory(tmp_path):
    data = D.ArrayDataset(np.zeros((4, 1)))
    mge.data.DataLoader(data).check_memory_rationality()


def test_programs(tmp_path):
    import subprocess
    import sys

    def run(*args):
        env = dict(os.environ, PYTHONPATH=str(Path(mge.__file__).parents[1]))
        return subprocess.run([sys.executable, "-m", *args], capture_output=True, text=True, cwd=tmp_path, env=env)

    traced = mge.jit.trace(lambda x: F.relu(x) + 1, symbolic=True, capture_as_const=True)
    traced(F.ones((2, 3)))
    traced.dump(str(tmp_path / "m.mge"), arg_names=["data"], output_names=["out"])
    np.save(tmp_path / "x.npy", np.full((4, 3), 2, np.float32))
    done = run("megalith.tools.load_network_and_run", "m.mge", "--load-input-data", "data:x.npy", "--iter", "2",
               "--calc-output-rms", "--enable-io16xc32")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "out of shape (4, 3): root mean square 3" in done.stderr and "of 2" in done.stderr
    (tmp_path / "work.py").write_text(
        "import megalith as mge, sys\nassert sys.argv[1:] == ['a']\nmge.Tensor([1.0]) + 1\n"
    )
    done = run("megalith.tools.profiler", "-o", "out", "work.py", "a")
    assert done.returncode == 0, done.stderr
    (timeline,) = (tmp_path / "out").iterdir()
    assert "ADD" in timeline.read_text()
    assert run("megalith.tools.profiler", "none.py").returncode == 1


def test_settings_of_rematerialization():
    mge.dtr.eviction_threshold = "2GB"
    assert mge.dtr.eviction_threshold == mge.dtr.dtr.eviction_threshold == 2 << 30
    mge.dtr.eviction_threshold = 0
    with pytest.raises(ValueError, match="bytes"):
        mge.dtr.evictee_minimum_size = "big"
    mge.dtr.enable()
    mge.dtr.disable()


def test_other_runtimes_say_that_they_are_not_there():
    from megalith.module import external

    with pytest.raises(RuntimeError, match="tensorrt"):
        external.TensorrtRuntimeSubgraph(b"")(mge.Tensor([1.0]))
    with pytest.raises(RuntimeError, match="CPU"):
        mge.get_cuda_version()
    assert F.distributed.all_reduce_sum(mge.Tensor([2.0])).tolist() == [2]
