"""Models from repositories on this machine, weights from URLs, and what is said of names that make no sense."""

import subprocess

import numpy as np
import pytest

import megalith as mge
import megalith.module as M
from megalith import hub
from megalith.hub import exceptions, fetcher

HUBCONF = '''
from parts import WIDTH
import megengine.module as M
dependencies = ["numpy"]

def small(bias=True):
    """A small model."""
    return M.Linear(2, WIDTH, bias=bias)
'''


@pytest.fixture
def repo(tmp_path, monkeypatch):
    from megalith import compat

    compat.install()
    monkeypatch.setenv("MGE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "hubconf.py").write_text(HUBCONF)
    (folder / "parts.py").write_text("WIDTH = 3\n")
    yield folder
    compat.uninstall()
    import sys

    sys.modules.pop("parts", None)


def _git(folder, *args):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    return subprocess.run(["git", *who, *args], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_folder(repo):
    for info in (str(repo), repo.as_uri()):
        assert "small" in hub.list(info)
        assert hub.help(info, "small") == "A small model."
        model = hub.load(info, "small", bias=False)
        assert isinstance(model, M.Linear) and model.weight.shape == (3, 2) and model.bias is None
    with pytest.raises(RuntimeError, match="no function 'large'"):
        hub.load(str(repo), "large")


def test_a_commit_of_a_git_repository(repo):
    import sys

    _git(repo, "init", "-q", "-b", "main")
    _git(repo, "add", ".")
    _git(repo, "commit", "-qm", "one")
    first = _git(repo, "rev-parse", "HEAD")
    (repo / "parts.py").write_text("WIDTH = 5\n")
    _git(repo, "commit", "-qam", "two")
    assert hub.load(str(repo), "small").weight.shape == (5, 2)
    sys.modules.pop("parts")
    assert hub.load(str(repo), "small", commit=first).weight.shape == (3, 2)
    with pytest.raises(exceptions.GitCheckoutError):
        hub.load(str(repo), "small", commit="0" * 40)


def test_dependencies(repo):
    (repo / "hubconf.py").write_text(HUBCONF.replace('"numpy"', '"no_such_module"'))
    with pytest.raises(RuntimeError, match="no_such_module"):
        hub.load(str(repo), "small")


def test_pretrained_weights(repo, tmp_path):
    weights = {"weight": np.full((3, 2), 7, np.float32), "bias": np.zeros(3, np.float32)}
    mge.save(weights, str(tmp_path / "w.pkl"))
    url = (tmp_path / "w.pkl").as_uri()

    @hub.pretrained(url)
    def model():
        return M.Linear(2, 3)

    assert (model(pretrained=True).weight.numpy() == 7).all()
    (tmp_path / "w.pkl").unlink()  # the second time from the cache
    assert (hub.load_serialized_obj_from_url(url)["weight"] == 7).all()
    from megalith.utils.http_download import HTTPDownloadError

    with pytest.raises(HTTPDownloadError):
        hub.load_serialized_obj_from_url((tmp_path / "none.pkl").as_uri())


def test_names_that_make_no_sense(repo):
    with pytest.raises(exceptions.InvalidProtocol):
        hub.load("a/b", "small", protocol="FTP")
    with pytest.raises(exceptions.InvalidGitHost):
        hub.load("a/b", "small", git_host="no host")
    for info in ("a", "a/b/c", "a/b:c:d", "a/b:"):
        with pytest.raises(exceptions.InvalidRepo):
            hub.load(info, "small")
    with pytest.raises(exceptions.InvalidRepo):
        hub.load("/no/such/folder", "small")
    base = fetcher.RepoFetcherBase
    assert base._parse_repo_info("a/b") == ("a", "b", "master")
    assert base._parse_repo_info("a/b:v1") == ("a", "b", "v1")
    assert base._check_git_host("github.com") and base._check_git_host("127.0.0.1")
    assert not base._check_git_host("300.0.0.1")
    link = fetcher.GitHTTPSFetcher._git_archive_link("github.com", "a", "b", "master", None)
    assert link == "https://github.com/a/b/archive/master.zip"


def test_an_archive_over_http(repo, tmp_path, monkeypatch):
    import functools
    import http.server
    import os
    import shutil
    import threading

    inside = tmp_path / "zip" / "models-master"
    shutil.copytree(repo, inside)
    shutil.make_archive(str(tmp_path / "served"), "zip", tmp_path / "zip")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *a: None)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/served.zip"
    monkeypatch.setattr(fetcher.GitHTTPSFetcher, "_git_archive_link", classmethod(lambda cls, *a: url))
    try:
        assert hub.load("a/b", "small", use_cache=False).weight.shape == (3, 2)
    finally:
        server.shutdown()
        server.server_close()
    assert hub.load("a/b", "small").weight.shape == (3, 2)  # cached
    assert len(os.listdir(tmp_path / "home" / "hub")) == 1
