"""Gradients as graphs."""

from .core2 import sync  # noqa: F401


def make_backward_graph(op, inputs, input_requires_grad, output_has_grad):
    """What the gradient of an op computes.

    Args:
        op: the op.
        inputs: a TensorAttr for each input.
        input_requires_grad: which inputs want a gradient.
        output_has_grad: which outputs have one.

    Returns:
        A graph whose inputs are those that are saved; which of inputs, outputs and outputs' gradients they are; and which
        inputs get a gradient.
    """
    from ... import _core
    from ..tensor import dtype as _dtype

    graph = _core.new_graph()
    given = [graph.add_input(f"x{i}", _dtype.to_native(a.dtype), list(a.shape) or [1]) for i, a in enumerate(inputs)]
    outputs = op.call(*given)
    dys = [graph.add_input(f"dy{i}", o._dtype, list(o._tuple_shape)) for i, o in enumerate(outputs)]
    total = None
    for y, dy, has in zip(outputs, dys, output_has_grad):
        if has:
            part = _core.reduce("sum", y * dy, None, False)
            total = part if total is None else total + part
    wanted = [v for v, r in zip(given, input_requires_grad) if r]
    grads = iter(graph.grad(total, wanted) if total is not None else [None] * len(wanted))
    found = [next(grads) if r else None for r in input_requires_grad]
    made = [g for g in found if g is not None]
    # What a gradient reads: the values on the way that are inputs or outputs of the op, not what computes them again.
    stops = {v.id: i for i, v in enumerate([*given, *outputs, *dys])}
    used, seen, pending = set(), set(), [g for g in made]
    while pending:
        var = pending.pop()
        if var.id in stops:
            used.add(stops[var.id])
        elif var.id not in seen:
            seen.add(var.id)
            pending.extend(_core.var_node(var).inputs)
    return graph, [i in used for i in range(len(stops))], [g is not None for g in found]
