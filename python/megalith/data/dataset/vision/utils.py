"""Files of datasets: where they lie, downloads, archives, images."""

import hashlib
import os
import shutil
import tarfile
import urllib.error
import urllib.request

import numpy as np

IMG_EXT = (".jpg", ".png", ".jpeg", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def _default_dataset_root():
    return os.path.expanduser(os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "megengine"))


def _prepare_root(root, default, download):
    """The folder of a dataset, made if the dataset is to be downloaded."""
    if root is not None and not os.path.exists(root) and not download:
        raise ValueError(f"dir {root} does not exist")
    root = default if root is None else root
    os.makedirs(root, exist_ok=True)
    return root


def load_raw_data_from_url(url: str, filename: str, target_md5: str, raw_data_dir: str):
    """Downloads a file unless it is there, and checks its MD5 sum.

    Raises:
        RuntimeError: it can't be downloaded, or is another file than expected; then it is removed.
    """
    path = os.path.join(raw_data_dir, filename)
    if not os.path.exists(path):
        part = path + ".part"
        try:
            with urllib.request.urlopen(url, timeout=60) as source, open(part, "wb") as file:
                shutil.copyfileobj(source, file)
        except (urllib.error.URLError, OSError) as e:
            if os.path.exists(part):
                os.remove(part)
            raise RuntimeError(
                f"{filename} can't be downloaded from {url} ({e}): put the file into {raw_data_dir}"
            ) from e
        os.replace(part, path)
    if calculate_md5(path) != target_md5:
        os.remove(path)
        raise RuntimeError(f"{filename} exists but fail to match md5")


def calculate_md5(filename):
    """The MD5 sum of a file."""
    digest = hashlib.md5()
    with open(filename, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_img(filename):
    """Whether a file has the name of an image."""
    return filename.lower().endswith(IMG_EXT)


def _extract(path, to, mode):
    with tarfile.open(path, mode) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(path=to, filter="data")
        else:
            tar.extractall(path=to)


def untar(path, to=None, remove=False):
    """Unpacks an archive."""
    _extract(path, os.path.dirname(path) if to is None else to, "r")
    if remove:
        os.remove(path)


def untargz(path, to=None, remove=False):
    """Unpacks a compressed archive."""
    if not path.endswith(".tar.gz"):
        raise ValueError(f"path {path} does not end with .tar.gz")
    _extract(path, os.path.dirname(path) if to is None else to, "r:gz")
    if remove:
        os.remove(path)


def _read_image(path, gray=False):
    """An image as BGR, or one channel: by OpenCV or Pillow, whichever is installed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image.
        RuntimeError: nothing that decodes images is installed.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"image {path} does not exist")
    try:
        import cv2
    except ImportError:
        cv2 = None
    if cv2 is not None:
        image = cv2.imread(path, cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{path} is no image that can be read")
        return image
    try:
        from PIL import Image
    except ImportError:
        raise RuntimeError(f"reading {path} needs opencv-python or pillow: install one of them") from None
    try:
        image = np.array(Image.open(path).convert("L" if gray else "RGB"))
    except OSError as e:
        raise ValueError(f"{path} is no image that can be read: {e}") from e
    return image if gray else np.ascontiguousarray(image[..., ::-1])
