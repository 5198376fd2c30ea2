"""Models by the name of the repository that describes them in its ``hubconf.py``."""

import functools
import hashlib
import os
import sys
import types
from typing import Any, List
from urllib.parse import unquote, urlparse

from ..distributed import is_distributed
from ..logger import get_logger
from ..serialization import load as _load_object
from ..utils.http_download import download_from_url
from .const import (
    DEFAULT_CACHE_DIR,
    DEFAULT_GIT_HOST,
    DEFAULT_PROTOCOL,
    ENV_MGE_HOME,
    ENV_XDG_CACHE_HOME,
    HUBCONF,
    HUBDEPENDENCY,
)
from .exceptions import InvalidProtocol, InvalidRepo
from .fetcher import GitHTTPSFetcher, GitSSHFetcher, clone
from .tools import cd, check_module_exists, load_module

logger = get_logger(__name__)

PROTOCOLS = {"HTTPS": GitHTTPSFetcher, "SSH": GitSSHFetcher}


def _get_megengine_home() -> str:
    cache = os.getenv(ENV_XDG_CACHE_HOME, DEFAULT_CACHE_DIR)
    return os.path.expanduser(os.getenv(ENV_MGE_HOME, os.path.join(cache, "megengine")))


def _local_repo(repo_info: str, cache_dir: str, use_cache: bool, commit):
    """The folder of a repository on this machine, a path or a ``file:`` URL; None when it is meant otherwise.

    With a commit, or as a URL of a bare repository, it is cloned; another folder is used in place.
    """
    if repo_info.startswith("file:"):
        path = unquote(urlparse(repo_info).path)
    elif repo_info.startswith(("/", "./", "../", "~")) or repo_info == ".":
        path = repo_info
    else:
        return None
    path = os.path.abspath(os.path.expanduser(path))
    if not os.path.isdir(path):
        raise InvalidRepo(f"repo_info {repo_info!r}: there is no folder {path}")
    if commit is None and os.path.isfile(os.path.join(path, HUBCONF)):
        return path
    target = os.path.join(cache_dir, "local_" + hashlib.sha1(f"{path}@{commit}".encode()).hexdigest()[:16])
    if not (use_cache and os.path.isdir(target)):
        import shutil

        shutil.rmtree(target, ignore_errors=True)
        clone(path, None, commit, target)
    return target


def _get_repo(git_host: str, repo_info: str, use_cache: bool = False, commit: str = None,
              protocol: str = DEFAULT_PROTOCOL) -> str:  # fmt: skip
    if protocol not in PROTOCOLS:
        raise InvalidProtocol(f"the protocol is one of {', '.join(PROTOCOLS)}, not {protocol!r}")
    cache_dir = os.path.join(_get_megengine_home(), "hub")
    os.makedirs(cache_dir, exist_ok=True)
    local = _local_repo(repo_info, cache_dir, use_cache, commit)
    if local is not None:
        return local
    with cd(cache_dir):
        return os.path.join(cache_dir, PROTOCOLS[protocol].fetch(git_host, repo_info, use_cache, commit))


def _check_dependencies(module: types.ModuleType):
    missing = [m for m in getattr(module, HUBDEPENDENCY, None) or () if not check_module_exists(m)]
    if missing:
        raise RuntimeError(f"the model needs modules that are not installed: {', '.join(missing)}")


def import_module(repo_info: str, git_host: str, use_cache: bool = True, commit: str = None,
                  protocol: str = DEFAULT_PROTOCOL):  # fmt: skip
    """The module of a repository's ``hubconf.py``.

    Args:
        repo_info: ``"owner/name"``, perhaps with ``":branch"`` or ``":tag"`` (``master`` by default); or a folder or git
            repository on this machine, as a path that begins with ``/``, ``./``, ``../`` or ``~``, or a ``file:`` URL.
        git_host: host of the repository.
        use_cache: whether what was fetched before will do.
        commit: a commit, in place of the branch.
        protocol: ``HTTPS`` or ``SSH``.
    """
    folder = _get_repo(git_host, repo_info, use_cache=use_cache, commit=commit, protocol=protocol)
    path = os.path.join(folder, HUBCONF)
    if not os.path.isfile(path):
        raise InvalidRepo(f"{repo_info!r} has no {HUBCONF}")
    sys.path.insert(0, folder)
    try:
        return load_module(HUBCONF, path)
    finally:
        sys.path.remove(folder)


def _entry(module, entry: str):
    found = getattr(module, entry, None)
    if not callable(found):
        raise RuntimeError(f"{HUBCONF} has no function {entry!r}")
    return found


def list(repo_info: str, git_host: str = DEFAULT_GIT_HOST, use_cache: bool = True, commit: str = None,
         protocol: str = DEFAULT_PROTOCOL) -> List[str]:  # fmt: skip
    """Names of the models of a repository; see :func:`import_module` for the arguments."""
    module = import_module(repo_info, git_host, use_cache, commit, protocol)
    return [name for name in dir(module) if not name.startswith("__") and callable(getattr(module, name))]


def load(repo_info: str, entry: str, *args, git_host: str = DEFAULT_GIT_HOST, use_cache: bool = True,
         commit: str = None, protocol: str = DEFAULT_PROTOCOL, **kwargs) -> Any:  # fmt: skip
    """A model of a repository.

    Args:
        repo_info, git_host, use_cache, commit, protocol: see :func:`import_module`.
        entry: name of a function in ``hubconf.py``.
        args, kwargs: what the function is called with, such as ``pretrained=True``.

    Raises:
        RuntimeError: there is no such function, or a module that it needs is not installed.
    """
    module = import_module(repo_info, git_host, use_cache, commit, protocol)
    function = _entry(module, entry)
    _check_dependencies(module)
    return function(*args, **kwargs)


def help(repo_info: str, entry: str, git_host: str = DEFAULT_GIT_HOST, use_cache: bool = True, commit: str = None,
         protocol: str = DEFAULT_PROTOCOL) -> str:  # fmt: skip
    """What a repository says about one of its models; see :func:`load`."""
    return _entry(import_module(repo_info, git_host, use_cache, commit, protocol), entry).__doc__


def load_serialized_obj_from_url(url: str, model_dir=None) -> Any:
    """The object in a file at a URL, such as a state dict; the file is kept.

    Args:
        url: ``http:``, ``https:`` or ``file:``.
        model_dir: where files are kept, ``serialized`` in the hub's folder by default.
    """
    model_dir = model_dir or os.path.join(_get_megengine_home(), "serialized")
    os.makedirs(model_dir, exist_ok=True)
    name = hashlib.sha256(url.encode()).hexdigest()[:6] + "_" + os.path.basename(urlparse(url).path)
    path = os.path.join(model_dir, name)
    if not os.path.exists(path):
        logger.info("downloading %s to %s", url, path)
        if is_distributed():
            logger.warning("every process downloads %s: download it once before they start", url)
        download_from_url(url, path)
    return _load_object(path)


class pretrained:
    """Gives a function that makes a model an argument ``pretrained``, which loads weights from a URL.

    Args:
        url: of a state dict, see :func:`load_serialized_obj_from_url`.

    Examples:
        >>> import megalith.module as M
        >>> from megalith import hub
        >>> @hub.pretrained("https://example.com/linear.pkl")
        ... def model(**kwargs):
        ...     return M.Linear(2, 3, **kwargs)
        >>> model(pretrained=False).weight.shape
        (3, 2)
    """

    def __init__(self, url):
        self.url = url

    def __call__(self, func):
        """The function with the argument."""

        @functools.wraps(func)
        def make(pretrained=False, **kwargs):
            model = func(**kwargs)
            if pretrained:
                model.load_state_dict(load_serialized_obj_from_url(self.url))
            return model

        return make


__all__ = ["list", "load", "help", "load_serialized_obj_from_url", "pretrained", "import_module"]
