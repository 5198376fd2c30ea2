#!/usr/bin/env python3
"""Select the golden cases of this folder from the full fixture set recorded with MegEngine 1.13.0.

usage: make.py FIXTURES        (FIXTURES holds manifest.json; see its README for how the cases were recorded)

Keeps every case whose files take less than LIMIT bytes together, and the listed ones whatever their size. Also cuts ten
test digits out of the MNIST archive for the demo. Needs only the Python standard library.
"""
import ast, json, os, shutil, struct, sys, zipfile

LIMIT = 120_000
ALWAYS = ["mnist/lenet_b1", "mnist/lenet_b8", "mnist/lenet_u8_28x28", "models/unet", "models/vit", "models/bert_tiny", "train/mnist_lenet_sgd"]
DIGITS = 10


def npy(raw):
    n, = struct.unpack_from("<H", raw, 8)
    head = ast.literal_eval(raw[10:10 + n].decode())
    return head["shape"], head["descr"], raw[10 + n:]


def npy_bytes(shape, descr, data):
    head = repr({"descr": descr, "fortran_order": False, "shape": tuple(shape)})
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data


def main():
    src, dst = sys.argv[1], os.path.dirname(os.path.abspath(__file__))
    man = json.load(open(os.path.join(src, "manifest.json")))
    kept, total = [], 0
    for c in man["cases"]:
        d = os.path.join(src, c["name"])
        names = [f["file"] for f in c["files"].values()]
        names += [x["file"] for k in ("inputs", "outputs", "outputs_v2") for x in c.get(k, [])]
        size = sum(os.path.getsize(os.path.join(d, n)) for n in names)
        if size > LIMIT and c["name"] not in ALWAYS:
            continue
        out = os.path.join(dst, "cases", c["name"])
        os.makedirs(out, exist_ok=True)
        for n in names:
            shutil.copyfile(os.path.join(d, n), os.path.join(out, n))
        kept.append(c)
        total += size
    man["cases"] = kept
    with open(os.path.join(dst, "cases", "manifest.json"), "w") as f:
        json.dump(man, f, indent=1)
        f.write("\n")
    z = zipfile.ZipFile(os.path.join(src, "mnist", "t10k_first1000.npz"))
    os.makedirs(os.path.join(dst, "mnist"), exist_ok=True)
    for key in ("images", "labels"):
        shape, descr, data = npy(z.read(key + ".npy"))
        row = len(data) // shape[0]
        shape = (DIGITS, 1, *shape[1:]) if key == "images" and len(shape) == 3 else (DIGITS, *shape[1:])
        open(os.path.join(dst, "mnist", key + ".npy"), "wb").write(npy_bytes(shape, descr, data[:DIGITS * row]))
    print(f"{len(kept)} cases, {total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
