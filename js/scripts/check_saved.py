"""Whether MegEngine loads what saveMge() wrote and gives the same: check_saved.py FOLDER, which saved.mjs made.

For development: it needs the real MegEngine.
"""

import json
import os
import sys

import numpy as np
from megengine.utils.comp_graph_tools import GraphInference

folder = sys.argv[1]
with open(os.path.join(folder, "list.json")) as f:
    cases = json.load(f)
worst = 0.0
for case in cases:
    feeds = {k: np.array(v["data"], dtype=v["dtype"]).reshape(v["shape"]) for k, v in case["inputs"].items()}
    got = list(GraphInference(os.path.join(folder, case["file"])).run(inp_dict=feeds).values())
    assert len(got) == len(case["outputs"]), case["file"]
    for a, b in zip(got, case["outputs"]):
        want = np.array(b["data"], dtype=b["dtype"]).reshape(b["shape"])
        assert a.shape == want.shape, (case["file"], a.shape, want.shape)
        difference = np.abs(a - want).max() / np.abs(want).max()
        assert difference < 1e-5, (case["file"], difference)
        worst = max(worst, difference)
print(f"{len(cases)} files, largest difference {worst:.1e} of the largest value")
