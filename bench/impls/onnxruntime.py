"""ONNX Runtime on its CPU provider, with all graph optimizations; inputs and outputs stay on its side."""

import onnxruntime
from impls import onnx_graph


def version():
    return onnxruntime.__version__


def make(c, variant, threads):
    model, feed = onnx_graph.make(c)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, value in feed.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value))
    binding.bind_output(session.get_outputs()[0].name)
    return (lambda: session.run_with_iobinding(binding)), (lambda: session.run(None, feed))
