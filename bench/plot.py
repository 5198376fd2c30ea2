"""A plot of ratios as SVG, without any library."""

import math

COLOURS = {
    "pytorch": "#d9542b",
    "onnxruntime": "#2767c5",
    "openvino": "#8a3fb5",
    "megengine": "#2a8f4e",
    "numpy": "#777777",
}
NAMES = {
    "pytorch": "PyTorch",
    "onnxruntime": "onnxruntime",
    "openvino": "OpenVINO",
    "megengine": "MegEngine",
    "numpy": "NumPy",
}
SHOWN = [
    "resnet18_n1", "resnet18_n8", "resnet50_n1", "resnet50_n8", "mobilenet_v2_n1", "mobilenet_v2_n8",
    "shufflenet_v2_x1_0_n1", "shufflenet_v2_x1_0_n8", "lenet_n1", "lenet_n8", "conv3x3_n1_64to64_56_s1",
    "conv1x1_n1_256to1024_14_s1", "convdw3x3_n1_32to32_112_s1", "sgemm_1024x1024x1024", "sgemm_1x1024x1024",
    "lstm_infer_T64_N1_I256_H256", "lstm_infer_T64_N32_I256_H256", "gru_infer_T64_N1_I256_H256",
    "gru_infer_T64_N32_I256_H256", "rnn_infer_T64_N1_I256_H256", "rnn_infer_T64_N32_I256_H256",
    "lstmcell_infer_T1_N1_I128_H128", "lstm_train_T64_N1_I256_H256", "lstm_train_T64_N32_I256_H256",
    "local_n1_128to128_14x14_k3s1p1_g1", "local_n8_128to128_14x14_k3s1p1_g1", "local_n8_256to256_14x14_k3s1p1_g256",
    "localshare_n1_128to128_28x28_k3s1p1_g1_sg4", "localshare_n8_128to128_28x28_k3s1p1_g1_sg4", "lenet_step_n64",
    "resnet18_step_n8", "call_add", "mlp_step",
]  # fmt: skip
LEFT, WIDTH, ROW, TOP = 330, 560, 17, 62
LOW, HIGH = 1 / 32, 8


def _x(ratio):
    place = math.log(min(max(ratio, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LEFT + place * WIDTH


def _text(x, y, text, anchor="start", size=12, colour="#222"):
    return '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s">%s</text>' % (
        x,
        y,
        size,
        anchor,
        colour,
        text,
    )


def svg(rows, title):
    """rows: of report.py. A line for each case, a dot for each peer: Megalith's time over the peer's."""
    by_name = {r.case["name"]: r for r in rows if r.threads == 1 and r.ours in r.ms and r.peers()}
    chosen = [by_name[name] for name in SHOWN if name in by_name]
    height = TOP + ROW * len(chosen) + 34
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">'
        % (LEFT + WIDTH + 30, height),
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        _text(10, 20, "Megalith's time over each peer's: left of 1, Megalith is faster (%s)" % title, size=14),
    ]
    x = LEFT
    for peer, colour in COLOURS.items():
        out.append('<circle cx="%d" cy="38" r="5" fill="%s"/>' % (x, colour) + _text(x + 9, 42, NAMES[peer]))
        x += 110
    bottom = TOP + ROW * len(chosen)
    for power in range(-5, 4):
        ratio = 2.0**power
        colour, width = ("#222", 1.5) if power == 0 else ("#ddd", 1)
        out.append(
            '<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s" stroke-width="%s"/>'
            % (_x(ratio), _x(ratio), TOP - 10, bottom, colour, width)
        )
        out.append(_text(_x(ratio), bottom + 16, "1/%d" % (1 / ratio) if power < 0 else "%d" % ratio, "middle"))
    for i, row in enumerate(chosen):
        y = TOP + ROW * i
        ours = row.ms[row.ours]
        out.append(_text(LEFT - 12, y + 4, row.case["name"], "end", 11))
        for spec, ms in row.peers().items():
            peer = spec.partition(":")[0]
            label = "%s: %.3g ms, Megalith %.3g ms, ratio %.2f" % (NAMES.get(peer, peer), ms, ours, ours / ms)
            out.append(
                '<circle cx="%.1f" cy="%d" r="4.5" fill="%s" fill-opacity="0.85"><title>%s</title></circle>'
                % (_x(ours / ms), y, COLOURS.get(peer, "#000"), label)
            )
    return "\n".join([*out, "</svg>", ""])
