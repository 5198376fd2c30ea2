"""Network, comp_graph_tools and GraphInference: loading, looking through, changing, running and writing graphs."""

import io

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
from megalith import _core
from megalith.core.ops.builtin import Elemwise
from megalith.core.tensor import megbrain_graph as G
from megalith.jit import trace
from megalith.utils import comp_graph_tools as cg
from megalith.utils import network_node as N
from megalith.utils.comp_graph_tools import GraphInference
from megalith.utils.network import Network, NodeFilter, as_oprnode, as_varnode, set_symbolic_shape

A, B = mge.tensor([1.0, 2.0]), mge.tensor([3.0, 4.0])


def dumped(function, *args, **options):
    traced = trace(symbolic=True, capture_as_const=True)(function)
    traced(*args)
    out = io.BytesIO()
    traced.dump(out, **{"optimize_for_inference": False, **options})
    out.seek(0)
    return out


@pytest.fixture
def net():
    return Network.load(dumped(lambda a, b: (a + b) * 2, A, B, arg_names=["a", "b"], output_names="o"))


def again(net, **options):
    out = io.BytesIO()
    net.dump(out, **options)
    out.seek(0)
    return out


def ran(net, *args, **named):
    return GraphInference(again(net)).run(*args, inp_dict=named)


def test_replace_var(net):
    a, b = net.get_var_by_name("a"), net.get_var_by_name("b")
    output = net.output_vars[0]
    (add,) = net.opr_filter.has_input(a)
    net.replace_vars({add.outputs[0]: F.relu(a * b)})
    assert net.output_vars[0] is output and output.name == "o"
    np.testing.assert_array_equal(ran(net, A, B)["o"], [6, 16])


def test_replace_opr(net):
    a, b = net.get_var_by_name("a"), net.get_var_by_name("b")
    old = net.opr_filter.has_input(a).as_unique()
    (new,) = net.add_dep_oprs(F.relu(a - b))
    new_opr = new.owner
    net.replace_oprs({old: new_opr})
    for i, var in enumerate(old.outputs):
        assert var.owner is new_opr and var.owner.outputs[i] is var
    np.testing.assert_array_equal(ran(net, A, B)["o"], [0, 0])
    with pytest.raises(ValueError, match="results"):
        split = F.split(net.get_var_by_name("a"), 2)[0].owner
        net.replace_oprs({net.output_vars[0].owner: split})


def test_networks_together():
    one = Network.load(dumped(lambda a, b: (a + b) * 2, A, B, arg_names=["i0", "i1"], output_names="o1"))
    two = Network.load(dumped(lambda a: a * 2 - 1, A, arg_names=["j0"], output_names="o2"))
    one.add_output(*two.output_vars)
    one.replace_vars({one.get_var_by_name("i0"): two.get_var_by_name("o2")})
    names = [v.name for v in Network.load(again(one, keep_var_name=2, optimize_for_inference=False)).all_vars]
    assert "i0" not in names and "j0" in names
    out = ran(one, j0=A, i1=B)
    np.testing.assert_array_equal(out["o1"], [(1 + 3) * 2, (3 + 4) * 2])
    np.testing.assert_array_equal(out["o2"], [1, 3])


def test_variable_of_another_network(net):
    other = Network.load(dumped(lambda c, d: c + d, A, B, arg_names=["c", "d"], output_names="p"))
    p = other.get_var_by_name("p")
    net.replace_vars({net.get_var_by_name("a"): p, net.get_var_by_name("b"): p})
    np.testing.assert_array_equal(ran(net, c=A, d=B)["o"], [16, 24])


def test_constants_inputs_and_outputs(net):
    net.params_filter.as_unique().set_value(3)
    np.testing.assert_array_equal(ran(net, A, B)["o"], [12, 18])
    net.replace_vars({net.get_var_by_name("b"): net.make_const(np.array([0.0, 0.0]), name="zero")})
    np.testing.assert_array_equal(ran(net, A)["o"], [3, 6])
    o = net.get_var_by_name("o")
    out = o + net.make_input_node((2,), np.float32, name="c")
    out.name = "o1"
    net.remove_output(o)
    net.add_output(out)
    result = ran(net, a=A, c=B)
    assert list(result) == ["o1"]
    np.testing.assert_array_equal(result["o1"], [6, 10])


def test_queries():
    conv = M.Sequential(M.Conv2d(3, 4, 3), M.Conv2d(4, 4, 3))
    file = dumped(lambda x: conv(x), mge.tensor(np.ones((1, 3, 8, 8), "float32")), arg_names=["data"], output_names="o")
    net = Network.load(file)
    assert net.data_providers_filter.as_count() == 1 and net.params_filter.as_count() == 4
    convs = net.opr_filter.type(N.ConvolutionForward)
    assert convs.as_count() == 2 and N.ConvolutionForward is N.Convolution
    assert net.opr_filter.not_type(N.ConvolutionForward).as_count() == len(net.all_oprs) - 2
    data = net.get_opr_by_name("data")
    assert isinstance(data, N.Host2DeviceCopy) and data is net.get_opr_by_type(N.Host2DeviceCopy)
    assert data.shape == (1, 3, 8, 8) and data.dtype == np.float32
    var = net.get_var_by_name("DAT?")
    assert as_varnode(data) is var and as_oprnode([var]) is data
    assert net.get_var_receive_oprs(var)[0].type == "Convolution" == var.users[0].type
    assert NodeFilter(net.output_vars[0]).as_count() == len(net.all_oprs) - 1
    assert set(net.all_oprs_dict) >= {"data"} and set(net.all_vars_dict) >= {"data", "o"}
    with pytest.raises(AssertionError, match="2 operators"):
        net.get_opr_by_type(N.Convolution)
    with pytest.raises(TypeError, match="should be"):
        net.opr_filter.check_type(N.Elemwise).as_list()
    with pytest.raises(AttributeError, match="Nonsense"):
        N.Nonsense


def test_names_and_batch_size():
    file = dumped(lambda x: F.exp(x), mge.tensor(np.ones((3, 2), "float32")), arg_names=["a"])
    net = Network.load(file)
    net.modify_opr_names("net")
    net.modify_opr_names(lambda name: "net1." + name)
    net.reset_batch_size(5)
    found = Network.load(again(net, optimize_for_inference=False)).data_providers_filter.as_unique()
    assert found.name == "net1.net.a" and found.shape == (5, 2)
    assert net.output_vars[0].shape == (5, 2)
    with pytest.raises(ValueError, match="no inputs"):
        net.reset_batch_size(1, blacklist=["other"])


def test_outspec_and_metadata():
    file = dumped(lambda a, b: (a - b, a * b), A, B, arg_names=["a", "b"], output_names=["x", "y"], user_info=[1])
    net = Network.load(file, outspec=["y"])
    assert net.metadata == {"user_info": [1], "graph_modified": False, "optimized_for_inference": False}
    assert [v.name for v in net.output_vars] == ["y"]
    again_net = Network.load(again(net, enable_nchw4=True, enable_fuse_grain=False))
    assert again_net.metadata["graph_modified"] and again_net.metadata["enable_nchw4"]
    assert Network.load(again(net, enable_metadata=False)).metadata is None
    file.seek(0)
    with pytest.raises(ValueError, match="Can not find"):
        Network.load(file, outspec=["z"])


@pytest.mark.parametrize("option", ["enable_io16xc32", "enable_ioc16"])
def test_float16(option):
    conv, x = M.Conv2d(3, 4, 3), np.random.RandomState(0).rand(1, 3, 8, 8).astype(np.float32)
    net = Network.load(dumped(lambda x: F.relu(conv(x)), mge.tensor(x), output_names="o"))
    file = again(net, **{option: True})
    (out,) = G.load_graph(file).output_vars_list
    assert out.dtype == np.float32 and out.owner.inputs[0].dtype == np.float16
    file.seek(0)
    opr = Network.load(file).get_opr_by_type(N.Convolution)
    assert opr.params["compute_mode"] == ("FLOAT32" if option == "enable_io16xc32" else "DEFAULT")
    file.seek(0)
    np.testing.assert_allclose(GraphInference(file).run(x)["o"], F.relu(conv(mge.tensor(x))).numpy(), atol=5e-3)


def test_symbolic_shape(net):
    var = net.input_vars[0]
    before = set_symbolic_shape(True)
    try:
        assert isinstance(var.shape, mge.VarNode) and var.partial_shape == (2,)
    finally:
        set_symbolic_shape(before)
    assert var.shape == var.partial_shape


def test_order():
    def function(x, y):
        a = x + y
        return F.relu(a) - F.abs(a), F.ceil(a) * 2 / F.floor(a)

    net = Network.load(dumped(function, A, B, keep_opr_name=True, keep_opr_priority=True))
    found = [o.params["mode"] if o.type == "Elemwise" else o.type for o in net.all_oprs]
    assert found[:3] == ["Host2DeviceCopy", "Host2DeviceCopy", "ADD"]
    assert found.index("CEIL") < found.index("ImmutableTensor") == found.index("MUL") - 1
    assert found.index("MUL") < found.index("TRUE_DIV") and len(found) == 11


def test_graph_tools(net):
    (out,) = net.output_vars
    oprs, variables, var2oprs, receivers, _, degrees = cg.graph_traversal([out])
    a = net.get_var_by_name("a")
    assert var2oprs[a.id] == [(a.users[0].id, 0)] and receivers[a.owner.id] == [a.users[0].id]
    assert degrees[out.owner.id] == 2 and len(oprs) == 5 and variables[a.id] is a
    assert cg.get_owner_opr_inputs(out) == out.owner.inputs and cg.get_owner_opr_type(out) == "Elemwise"
    assert cg.get_opr_type(out.owner) == "Elemwise"
    assert [v.name for v in cg.get_dep_vars(out, "Host2DeviceCopy")] == ["a", "b"]
    assert len(cg.get_oprs_seq([out])) == 4 and len(cg.get_oprs_seq([out], prune_immtensor=False)) == 5
    (new,) = cg.replace_vars([out], {a: a * a})
    (model, first) = (out.graph.compile([new, out]), {"a": B, "b": A})
    np.testing.assert_array_equal(model.run(first)[0].numpy(), [20, 36])
    (new,) = cg.replace_oprs([out], {a.users[0]: (a - a).owner})
    np.testing.assert_array_equal(out.graph.compile([new]).run({"a": B})[0].numpy(), [0, 0])
    new, made = cg.embed_inputs([out], [A.numpy(), B.numpy()])
    np.testing.assert_array_equal(out.graph.compile(new).run({})[0].numpy(), [8, 12])
    assert list(made) == ["a", "b"]
    cg.set_priority_to_id([out])
    assert out.owner.priority == out.owner.id
    for bad in (lambda: cg.replace_vars([1], {}), lambda: cg.get_opr_type(1), lambda: cg.replace_oprs([out], {1: 2})):
        with pytest.raises(TypeError):
            bad()


def test_shapes_are_left_out():
    file = dumped(lambda x: F.reshape(x, F.concat([mge.tensor([1]), mge.tensor([2])])) + 1, A)
    outputs = G.load_graph(file).output_vars_list
    pruned, whole = cg.get_oprs_seq(outputs, True), cg.get_oprs_seq(outputs, False)
    assert len(pruned) <= len(whole) and {o.id for o in pruned} <= {o.id for o in whole}
    assert "Reshape" in [o.type for o in pruned]


def test_inference_arguments():
    a, b = np.array([1, 2, 3], np.int32), np.array([3], np.int32)
    args = (mge.tensor(a), mge.tensor(b))
    file = dumped(lambda a, b: (a - b, a * b), *args, arg_names=["a", "b"], output_names=["x", "y"])
    model = GraphInference(file)
    for result in (model.run(a, b), model.run(a, inp_dict={"b": b}), model.run(inp_dict={"a": a, "b": b})):
        np.testing.assert_array_equal(result["x"], a - b)
        np.testing.assert_array_equal(result["y"], a * b)
    for bad in ((a,), (a, b, a)):
        with pytest.raises(ValueError, match="expects"):
            model.run(*bad)
    file.seek(0)
    assert list(GraphInference(file, outputs=["y"]).run(a, b)) == ["y"]


def test_core_graph_names():
    graph = _core.new_graph()
    x = graph.add_input("x", (0, 0.0, 0), [2])
    (y,) = G.apply_normal_varnode(Elemwise(Elemwise.Mode.ADD), x, x)
    data, info = G.dump_graph({"y": y})
    assert info.outputs == ["y"]
    loaded = G.load_graph(io.BytesIO(data))
    assert list(loaded.output_vars_dict) == ["y"] and not loaded.metadata.is_valid
    np.testing.assert_array_equal(GraphInference(io.BytesIO(data)).run(A)["y"], [2, 4])


def test_operators_by_hand(net):
    net.replace_vars({net.get_var_by_name("a"): N.Host2DeviceCopy((2,), "float32", "z").outputs[0]})
    net.replace_vars({net.get_var_by_name("b"): N.ImmutableTensor([1.0, 1.0]).outputs[0]})
    np.testing.assert_array_equal(ran(net, z=A)["o"], [4, 6])
    with pytest.raises(TypeError, match="Elemwise"):
        N.Elemwise()


def test_calls_are_named_by_modules():
    class Net(M.Module):
        def __init__(self):
            super().__init__(name="net")
            self.k = mge.Parameter(2.0, name="scale")
            self.linear = M.Linear(3, 3)
            self.blocks = [M.Linear(3, 2)]

        def forward(self, x):
            x = self.k * x
            x.name = "scaled"
            x = self.linear(F.relu(F.relu(x)))
            return F.topk(self.blocks[0](x), 1)

    traced = mge.jit.trace(Net(), symbolic=True, capture_as_const=True)
    traced(mge.Tensor(np.ones((2, 3), np.float32)))
    file = io.BytesIO()
    info = traced.dump(file, arg_names="x", keep_opr_name=True, optimize_for_inference=False)
    assert info.outputs == ["net.TopK:o0", "net.TopK:o1"]
    file.seek(0)
    oprs = {o.name: o for o in Network.load(file).all_oprs}
    wanted = ["net.MUL", "net.RELU[0]", "net.RELU[1]", "net.linear.MatrixMul", "net.linear.ADD", "net.blocks.0.ADD"]
    assert all(name in oprs for name in wanted)
    assert oprs["net.MUL"].outputs[0].name == "scaled"
    assert [v.name for v in oprs["net.linear.MatrixMul"].inputs] == ["net.RELU[1]", "net.linear.weight"]
    assert "net.scale" in [v.name for v in oprs["net.MUL"].inputs]


def test_a_copy_to_a_device_is_recorded():
    traced = mge.jit.trace(lambda x: x.to("cpu0"), symbolic=True, capture_as_const=True)
    traced(mge.Tensor([1.0]))
    file = io.BytesIO()
    traced.dump(file)
    file.seek(0)
    (out,) = GraphInference(file).run(np.float32([7])).values()
    assert out.tolist() == [7]
