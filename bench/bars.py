"""How fast is fast enough: for each case, at most so many times another's time.

A bar is (factor, of whom): peers' names, of which the fastest counts; "limit"; "reference", our own plain kernels;
"1 thread", this implementation's time on one thread. Bars of peers hold at one thread.
"""

BEST_GEMM = ("pytorch", "numpy", "onnxruntime")
RUNTIMES = ("onnxruntime", "openvino")
SECOND_THREAD = (0.6, ("1 thread",))


def _local(case):
    bars = [(1.3 if case["n"] == 1 else 1.6, ("limit",)), (1.0, ("pytorch",))]
    return bars + ([(0.4, ("megengine",))] if case["n"] >= 8 else [])


def _local_share(case):
    bars = [(1.6, ("limit",)), (1 / 50, ("reference",))]
    return bars + ([(0.5, ("pytorch",))] if case["n"] >= 8 else [])


def _rnn(case):
    lstm, many = case["kind"] == "lstm", case["N"] >= 16
    if case["mode"] == "train":
        if case["cell"]:
            return [(0.5, ("pytorch",))]
        return [((0.85 if many else 0.4) if lstm else (0.75 if many else 0.25), ("pytorch",))]
    if case["cell"]:
        return [(0.5, ("pytorch",))]
    if many:
        return [(0.9 if lstm else 0.8, ("pytorch", "onnxruntime"))]
    return [(0.5, ("pytorch",)), (0.7 if lstm else 0.8, ("onnxruntime",))]


def _model(case):
    if case["model"] == "lenet":
        return [(1.0, ("onnxruntime",))] if case["n"] == 1 else []
    return [(0.8, ("megengine",)), (0.65, ("pytorch",)), (1.25, RUNTIMES)]


def _train(case):
    return [(0.6, ("pytorch",)), (1 / 15, ("megengine",))] if case["model"] == "lenet" else []


def _dispatch(case):
    return [(1.0, ("pytorch",))] if case["name"] == "call_add" else []


OF_GROUP = {"local": _local, "local_share": _local_share, "rnn": _rnn, "model": _model, "train": _train,
            "matmul": lambda case: [(1.05, BEST_GEMM)], "dispatch": _dispatch}  # fmt: skip


def of(case, threads, one_thread_ms=None):
    """Bars of a case; one_thread_ms is what it takes on one thread."""
    if threads > 1:
        return [SECOND_THREAD] if one_thread_ms and one_thread_ms > 1 and threads == 2 else []
    return OF_GROUP.get(case["group"], lambda case: [])(case)


def judge(case, threads, ours, others, limit, one_thread_ms=None):
    """[(factor, of whom, reached ratio)] of the bars whose other side was measured. others: ms by spec."""
    judged = []
    for factor, names in of(case, threads, one_thread_ms):
        if names == ("limit",):
            base = limit
        elif names == ("1 thread",):
            base = one_thread_ms
        elif names == ("reference",):
            base = others.get("megalith:reference")
        else:
            base = min((ms for spec, ms in others.items() if spec.partition(":")[0] in names), default=None)
        if base:
            judged.append((factor, "/".join(names), ours / base))
    return judged
