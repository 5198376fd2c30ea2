"""OpenVINO on its CPU plugin: float32 unless the variant is bf16; one stream."""

import io

import openvino
from impls import onnx_graph


def version():
    return openvino.get_version()


def make(c, variant, threads):
    model, feed = onnx_graph.make(c)
    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
               "INFERENCE_PRECISION_HINT": "bf16" if variant == "bf16" else "f32"}  # fmt: skip
    request = core.compile_model(core.read_model(io.BytesIO(model)), "CPU", options).create_infer_request()
    for name, value in feed.items():
        request.set_tensor(name, openvino.Tensor(value))

    def output():
        request.infer()
        return [request.get_output_tensor(0).data.copy()]

    return request.infer, output
