"""Writing graphs as `.mge` files, with every option of MegEngine's dump."""

import io
import json
import os
import pickle
from collections import namedtuple

import numpy as np

from .. import _core
from .._errors import ArgumentError
from .dump_cases import assertions, make_cases

CompGraphDumpResult = namedtuple(
    "CompGraphDumpResult",
    ["nr_opr", "tot_bytes", "tensor_value_bytes", "content_hash", "inputs", "outputs", "params"],
)

# MegEngine's options of optimize_for_inference and their bits in a file's metadata.
_LAYOUTS = {"enable_nchw4": 1, "enable_hwcd4": 2, "enable_nchw88": 3, "enable_nchw44": 4, "enable_nchw44_dot": 5,
            "enable_nchw32": 6, "enable_chwn4": 7, "enable_nchw64": 8}  # fmt: skip
_FLAGS = {"enable_io16xc32": 1 << 0, "enable_ioc16": 1 << 1, "enable_fuse_conv_bias_nonlinearity": 1 << 2,
          "enable_fuse_conv_bias_with_z": 1 << 3, "enable_fuse_preprocess": 1 << 5, "enable_fuse_grain": 1 << 6}  # fmt: skip


def serialize_infer_option(options: dict) -> int:
    """The number that metadata keeps for options of ``optimize_for_inference``.

    Args:
        options: ``enable_…`` names; ``enable_fuse_grain`` is on unless it is turned off.

    Raises:
        ValueError: an option that MegEngine does not have, or two memory layouts at once.
    """
    options = dict({"enable_fuse_grain": True}, **options)
    unknown = [k for k in options if k not in _LAYOUTS and k not in _FLAGS]
    if unknown:
        raise ArgumentError(f"unknown options: {unknown}")
    layouts = [k for k in _LAYOUTS if options.get(k)]
    if len(layouts) > 1:
        raise ArgumentError(f"a graph has one memory layout, not {' and '.join(layouts)}")
    bits = _LAYOUTS[layouts[0]] << 32 if layouts else 0
    for name, bit in _FLAGS.items():
        if options.get(name):
            bits |= bit
    return bits


def deserialize_infer_option(x: int) -> dict:
    """The options behind the number that metadata keeps: those that are on."""
    found = {name: True for name, layout in _LAYOUTS.items() if x >> 32 == layout}
    found.update((name, True) for name, bit in _FLAGS.items() if x & bit)
    return found


def optimize(graph, **options):
    """Rewrites a graph for inference.

    ``enable_io16xc32`` and ``enable_ioc16`` make it compute in float16 between its inputs and outputs, which stay what they
    are. Memory layouts and fusions are chosen by Megalith when a file is loaded, for the processor that it runs on: such
    options are noted in the metadata and change no op.

    Returns:
        The rewritten graph, and the options as a number.

    Raises:
        ValueError: an unknown option.
    """
    bits = serialize_infer_option(options)
    for name in _core.writable_passes():
        graph.run_pass(name)
    if options.get("enable_io16xc32") or options.get("enable_ioc16"):
        graph = to_float16(graph, wide=bool(options.get("enable_io16xc32")))
        graph.run_pass("merge_equal")
        graph.run_pass("remove_dead")
    return graph, bits


def to_float16(graph, wide: bool):
    """A graph that computes in float16: float32 inputs are converted behind them, outputs before them.

    Args:
        graph: any graph.
        wide: sums inside of ops are taken in float32, where an op can.
    """
    from .. import _ops
    from ..tensor import Tensor

    now = {}  # id of a value -> the variable in its place
    for node in graph.nodes():
        inputs = [now.get(v.id, v) for v in node.inputs]
        before = node.outputs
        if node.kind == "input":
            if before[0].dtype == np.float32:
                now[before[0].id] = _ops.TypeCvt(before[0], dtype="float16")
        elif node.kind in ("constant", "parameter"):
            if before[0].dtype == np.float32 and node.value is not None:
                value = Tensor(node.value.numpy().astype(np.float16))
                add = graph.add_constant if node.kind == "constant" else graph.add_parameter
                now[before[0].id] = add(value, node.holder_name)
        elif any(v.id in now for v in node.inputs):
            params = node.op.params
            changed = {k: "float16" for k, v in params.items() if k == "dtype" and v == (0, 0.0, 0)}
            if wide and "compute_mode" in params:
                changed["compute_mode"] = "FLOAT32"
            op = _core.Op(node.op.name, **dict(params, **changed)) if changed else node.op
            for old, new in zip(before, _core.apply(op, *inputs)):
                new.name = old.name
                now[old.id] = new
    outputs, names = [], []
    for var, name in graph.outputs:
        new = now.get(var.id, var)
        if new.dtype == np.float16 and var.dtype == np.float32:
            new.name = ""
            new = _ops.TypeCvt(new, dtype="float32")
            new.name = var.name
        outputs.append(new)
        names.append(name)
    return graph.extract(outputs, names)


def default_output_names(outputs) -> list:
    """Names by what computes the outputs, told apart by numbers: ``ADD``, ``MUL[1]``."""
    names, taken = [], set()
    for i, var in enumerate(outputs):
        name = var.name
        if not name:
            op = var.owner.op
            name = str(op.params.get("mode", "")) if op.name == "Elemwise" else op.name
        if name in taken or (i > 0 and not var.name):
            name = f"{name}[{i}]"
        taken.add(name)
        names.append(name)
    return names


def dump_graph(file, outputs, output_names=None, *, append=False, keep_var_name=1, keep_opr_name=False,
               keep_param_name=False, keep_opr_priority=False, no_change_graph=False, strip_info_file=None,
               append_json=False, optimize_for_inference=True, user_info=None, enable_metadata=True, input_data=None,
               repeat=1, silent=False, no_assert=False, maxerr=1e-4, resize_input=False, input_transform=None,
               dump_format=None, model_version=2, graph_modified=False, metadata=None, **kwargs):  # fmt: skip
    """Writes graph variables and what they need; see :meth:`megalith.jit.trace.dump`."""
    if dump_format is None:
        dump_format = "FBS_V2"
    if dump_format not in ("FBS", "FBS_V2"):
        raise ArgumentError(f"dump_format is 'FBS' or 'FBS_V2', not {dump_format!r}")
    outputs = list(outputs)
    if not outputs:
        raise ArgumentError("a graph without outputs can't be dumped")
    names = list(output_names) if output_names is not None else default_output_names(outputs)
    graph = outputs[0].graph.extract(outputs, names)
    name_outputs(graph, names)
    cases = None
    if input_data is not None:
        cases = make_cases(graph, input_data, repeat, resize_input, input_transform, expect=not no_assert)
        if not no_assert:
            graph = assertions(graph, cases, verbose=not silent, maxerr=maxerr)
    options = 0
    if optimize_for_inference:
        if no_change_graph:
            options = serialize_infer_option(kwargs)
        else:
            graph, options = optimize(graph, **kwargs)
    graph.has_metadata = bool(enable_metadata)
    if enable_metadata:
        graph.user_info = pickle.dumps(user_info)
        graph.graph_modified = graph_modified
        graph.optimize_options = options
    if metadata is not None and metadata.is_valid:
        graph.has_metadata, graph.user_info = True, metadata.user_info
        graph.graph_modified, graph.optimize_options = metadata.graph_modified, metadata.optimize_options
    written = {} if cases is None else {"test_cases": [{k: _core_tensor(v) for k, v in case.items()} for case in cases]}
    data, info = graph.dump(dump_format, keep_var_name=int(keep_var_name), keep_opr_name=bool(keep_opr_name),
                            keep_param_name=bool(keep_param_name), keep_opr_priority=bool(keep_opr_priority),
                            model_version=int(model_version), **written)  # fmt: skip
    if hasattr(file, "write"):
        file.write(data)
    else:
        with open(os.fspath(file), "ab" if append else "wb") as f:
            f.write(data)
    if strip_info_file is not None:
        write_strip_info(strip_info_file, info, append_json)
    return CompGraphDumpResult(**{name: info[name] for name in CompGraphDumpResult._fields})


def name_outputs(graph, names):
    """Gives a graph's output variables their names in the file."""
    for (var, _), name in zip(graph.outputs, names):
        var.name = name


def _core_tensor(array):
    from ..tensor import Tensor

    return array if isinstance(array, _core.TensorBase) else Tensor(array)


def write_strip_info(file, info: dict, append: bool):
    """Writes which ops and element types a model needs, for a MegEngine that is built for this model only.

    Args:
        file: a path or a text file.
        info: what the dump returned.
        append: joins with what the file says already.
    """
    content = {"opr_types": info["opr_types"], "dtypes": info["dtypes"], "elemwise_modes": info["elemwise_modes"]}
    if isinstance(file, (str, os.PathLike)):
        before = ""
        if append and os.path.exists(file):
            with open(file) as f:
                before = f.read()
        with open(file, "w") as f:
            f.write(_strip_text(before, content, info["content_hash"]))
        return
    before = ""
    if append:
        try:
            file.seek(0)
            before = file.read()
        except io.UnsupportedOperation:
            pass
    file.seek(0)
    file.truncate()
    file.write(_strip_text(before, content, info["content_hash"]))


def _strip_text(before: str, content: dict, content_hash: int) -> str:
    merged = json.loads(before) if before.strip() else {}
    for key, values in content.items():
        known = merged.setdefault(key, [])
        known.extend(v for v in values if v not in known)
    merged["hash"] = content_hash
    return json.dumps(merged)
