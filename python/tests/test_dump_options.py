"""Options of trace.dump: what the written file says, read back."""

import io
import json

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
from megalith import _core
from megalith.jit import trace
from megalith.utils.dump_tools import deserialize_infer_option, serialize_infer_option

X = np.random.RandomState(0).rand(2, 3, 8, 8).astype(np.float32)


@pytest.fixture
def traced():
    net = M.Sequential(M.Conv2d(3, 4, 3), M.BatchNorm2d(4), M.ReLU())
    net.eval()

    @trace(symbolic=True, capture_as_const=True)
    def f(x):
        return net(x)

    return f, f(mge.tensor(X)).numpy()


def written(f, **options):
    out = io.BytesIO()
    info = f.dump(out, arg_names=["data"], output_names=["out"], **options)
    return out.getvalue(), info


def types(data):
    return [n.type for n in _core.Graph.loads(data)[0].nodes()]


@pytest.mark.parametrize("dump_format", ["FBS", "FBS_V2"])
def test_results_stay(traced, dump_format):
    f, expected = traced
    for optimize in (False, True):
        data, info = written(f, dump_format=dump_format, optimize_for_inference=optimize)
        graph, file = _core.Graph.loads(data)
        assert file["format"] == dump_format and info.tot_bytes == len(data)
        assert info.inputs == ["data"] and info.outputs == ["out"]
        assert ("BatchNorm" in types(data)) != optimize
        (result,) = graph.compile([v for v, _ in graph.outputs]).run({"data": mge.tensor(X)})
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_names(traced):
    f, _ = traced
    sizes = [len(written(f, keep_var_name=k, optimize_for_inference=False)[0]) for k in (0, 1, 2)]
    assert sizes[0] <= sizes[1] <= sizes[2]
    graph = _core.Graph.loads(written(f)[0])[0]
    assert [name for _, name in graph.outputs] == ["out"]


def test_metadata(traced):
    import pickle

    f, _ = traced
    graph = _core.Graph.loads(written(f, user_info={"a": [1]}, enable_nchw44=True)[0])[0]
    assert graph.has_metadata and pickle.loads(graph.user_info) == {"a": [1]} and not graph.graph_modified
    assert deserialize_infer_option(graph.optimize_options) == {"enable_nchw44": True, "enable_fuse_grain": True}
    assert not _core.Graph.loads(written(f, enable_metadata=False)[0])[0].has_metadata


def test_options_as_numbers():
    assert serialize_infer_option({}) == 64 and serialize_infer_option({"enable_fuse_grain": False}) == 0
    assert serialize_infer_option({"enable_nchw64": True, "enable_io16xc32": True}) == (8 << 32) + 65
    with pytest.raises(ValueError, match="unknown options"):
        serialize_infer_option({"enable_magic": True})
    with pytest.raises(ValueError, match="one memory layout"):
        serialize_infer_option({"enable_nchw4": True, "enable_nchw44": True})


def test_test_cases(traced, tmp_path):
    f, expected = traced
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "list").write_text(f"data:{tmp_path}/x.npy\n#rand(-1, 1, 5, ...)\n")
    data, info = written(f, input_data=[f"@{tmp_path}/list", "#rand(0,1)"], maxerr=1e-3, optimize_for_inference=False)
    assert data.startswith(b"mgbtest0\3\0\0\0") and "AssertEqual" in types(data)
    graph, file = _core.Graph.loads(data)
    assert [case["data"].shape for case in file["cases"]] == [(2, 3, 8, 8), (5, 3, 8, 8), (2, 3, 8, 8)]
    np.testing.assert_array_equal(file["cases"][0]["data"].numpy(), X)
    np.testing.assert_allclose(file["cases"][0]["out:expect"].numpy(), expected, rtol=1e-6)
    model = graph.compile([v for v, _ in graph.outputs])
    for case in file["cases"]:
        model.run(case)  # AssertEqual fails where results differ
    wrong = dict(file["cases"][0], data=mge.tensor(X + 1))
    with pytest.raises(Exception, match="AssertEqual"):
        model.run(wrong)

    data, _ = written(f, input_data=["#rand(0,1)"], no_assert=True)
    assert "AssertEqual" not in types(data) and list(_core.Graph.loads(data)[1]["cases"][0]) == ["data"]
    data, _ = written(f, input_data=[f"{tmp_path}/x.npy"], repeat=2, input_transform="data * 2", no_assert=True)
    np.testing.assert_array_equal(_core.Graph.loads(data)[1]["cases"][0]["data"].numpy(), np.repeat(X, 2, 0) * 2)


@pytest.mark.parametrize("spec", ["other:#rand(0,1)", "#rand(0)", "#rand(0,1,a)", "data:#rand(0,1);b:#rand(0,1)"])
def test_bad_test_cases(traced, spec):
    with pytest.raises(ValueError, match="dump"):
        written(traced[0], input_data=[spec])


def test_append_and_strip_info(traced, tmp_path):
    f, _ = traced
    path, strip = tmp_path / "a.mge", tmp_path / "strip.json"
    f.dump(path)
    size = path.stat().st_size
    f.dump(path, append=True, strip_info_file=str(strip))
    assert path.stat().st_size == 2 * size
    first = json.loads(strip.read_text())
    assert set(first) == {"dtypes", "elemwise_modes", "opr_types", "hash"} and "RELU" in first["elemwise_modes"]
    g = trace(symbolic=True, capture_as_const=True)(lambda x: F.exp(x))
    g(mge.tensor(X))
    g.dump(path, strip_info_file=str(strip), append_json=True)
    assert {"RELU", "EXP"} <= set(json.loads(strip.read_text())["elemwise_modes"])
    g.dump(path, strip_info_file=str(strip))
    assert json.loads(strip.read_text())["elemwise_modes"] == ["EXP"]


def test_refused(traced):
    with pytest.raises(ValueError, match="unknown options"):
        written(traced[0], enable_magic=True)
