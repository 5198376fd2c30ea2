"""Downloads with a progress bar."""

import os
import shutil
import tempfile
import urllib.error
import urllib.request

CHUNK_SIZE = 1024
HTTP_CONNECTION_TIMEOUT = 5


class HTTPDownloadError(BaseException):
    """A download failed."""


class Bar:
    """A progress bar; without tqdm nothing is shown."""

    def __init__(self, total=100):
        try:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="iB", unit_scale=True, ncols=80)
        except ImportError:
            self._bar = None

    def __call__(self, bytes_num):
        """Goes on by a number of bytes."""
        if self._bar is not None:
            self._bar.update(bytes_num)

    def close(self):
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()


def download_from_url(url: str, dst: str):
    """Downloads ``http:``, ``https:`` or ``file:`` to a path, which appears when all is there.

    Returns:
        The number of bytes.

    Raises:
        HTTPDownloadError: it can't be had, or ends early.
    """
    dst = os.path.expanduser(dst)
    folder = os.path.dirname(dst) or "."
    received = 0
    try:
        with urllib.request.urlopen(url, timeout=HTTP_CONNECTION_TIMEOUT) as source:
            total = int(source.headers.get("Content-Length") or 0)
            bar = Bar(total)
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as out:
                try:
                    while chunk := source.read(64 * CHUNK_SIZE):
                        out.write(chunk)
                        received += len(chunk)
                        bar(len(chunk))
                    if total and received != total:
                        raise HTTPDownloadError(f"{url}: {received} of {total} bytes came")
                    out.close()
                    shutil.move(out.name, dst)
                finally:
                    bar.close()
                    if os.path.exists(out.name):
                        os.remove(out.name)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise HTTPDownloadError(f"{url} can't be downloaded: {error}") from None
    return received
