"""Repositories brought to the hub's folder: over HTTPS as an archive, over SSH or from a local path by git."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from typing import Tuple

from ..distributed.helper import synchronized
from ..logger import get_logger
from ..utils.http_download import CHUNK_SIZE, HTTP_CONNECTION_TIMEOUT, download_from_url  # noqa: F401
from ..version import __version__
from .const import DEFAULT_BRANCH_NAME, HTTP_READ_TIMEOUT
from .exceptions import GitCheckoutError, GitPullError, InvalidGitHost, InvalidRepo

logger = get_logger(__name__)
HTTP_TIMEOUT = (HTTP_CONNECTION_TIMEOUT, HTTP_READ_TIMEOUT)
# Host names: dot-separated labels of letters, digits and dashes, at least two.
pattern = re.compile(r"^(?:[a-z0-9](?:[a-z0-9-_]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-_]{0,61}[a-z]$")


def _git(folder, *args, error, silent=True):
    done = subprocess.run(["git", *args], cwd=folder, capture_output=silent, text=True)
    if done.returncode:
        raise error(f"git {args[0]}: {(done.stderr or '').strip() or f'exit status {done.returncode}'}")


class RepoFetcherBase:
    """Brings a repository to the current folder."""

    @classmethod
    def fetch(
        cls, git_host: str, repo_info: str, use_cache: bool = False, commit: str = None, silent: bool = True
    ) -> str:
        """Fetches a repository.

        Args:
            git_host: host name or IPv4 address.
            repo_info: ``"owner/name"``, perhaps followed by ``":branch"`` or ``":tag"``; the branch is ``master`` by default.
            use_cache: whether what was fetched before will do.
            commit: a commit, in place of the branch.
            silent: whether git's messages are kept from the terminal.

        Returns:
            The folder's name, below the current one.

        Raises:
            InvalidGitHost, InvalidRepo: a name is malformed.
        """
        if not cls._check_git_host(git_host):
            raise InvalidGitHost(f"git_host {git_host!r} is no host name")
        owner, name, branch = cls._parse_repo_info(repo_info)
        raw = f"{owner}_{name}_{branch.replace('/', '_')}" + (f"_{commit}" if commit else "")
        folder = __version__.replace(".", "_") + "_" + cls._gen_repo_dir(raw)
        if use_cache and os.path.exists(folder):
            logger.debug("%s is in %s", repo_info, folder)
            return folder
        fresh = tempfile.mkdtemp(dir=".")  # the folder appears when it is complete
        try:
            target = os.path.join(fresh, "repo")
            cls._bring(git_host, owner, name, branch, commit, target, silent)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(target, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return folder

    @classmethod
    def _bring(cls, git_host, owner, name, branch, commit, target, silent):
        raise NotImplementedError

    @classmethod
    def _parse_repo_info(cls, repo_info: str) -> Tuple[str, str, str]:
        prefix, colon, branch = repo_info.partition(":")
        parts = prefix.split("/")
        if len(parts) != 2 or not all(parts) or ":" in branch or (colon and not branch):
            raise InvalidRepo(f"repo_info {repo_info!r} is not of the form 'owner/name[:branch]'")
        return parts[0], parts[1], branch or DEFAULT_BRANCH_NAME

    @classmethod
    def _check_git_host(cls, git_host) -> bool:
        return bool(cls._is_valid_domain(git_host) or cls._is_valid_host(git_host))

    @classmethod
    def _is_valid_domain(cls, s):
        try:
            return pattern.match(s.encode("idna").decode("ascii"))
        except UnicodeError:
            return False

    @classmethod
    def _is_valid_host(cls, s):
        numbers = s.split(".")
        return len(numbers) == 4 and all(n.isdigit() and int(n) < 256 for n in numbers)

    @classmethod
    def _gen_repo_dir(cls, repo_dir: str) -> str:
        return hashlib.sha1(repo_dir.encode()).hexdigest()[:16]


def clone(url: str, branch, commit, target: str, silent=True):
    """Clones a repository without its history; the working tree alone stays.

    Raises:
        GitPullError: git can't clone it.
        GitCheckoutError: there is no such commit.
    """
    if commit is None:
        chosen = ["-b", branch, "--depth=1"] if branch else ["--depth=1"]
        _git(None, "clone", *chosen, "--", url, target, error=GitPullError, silent=silent)
    else:
        _git(None, "clone", "--", url, target, error=GitPullError, silent=silent)
        _git(target, "checkout", "--detach", commit, "--", error=GitCheckoutError, silent=silent)
    shutil.rmtree(os.path.join(target, ".git"))


class GitSSHFetcher(RepoFetcherBase):
    """Clones over SSH."""

    @classmethod
    @synchronized
    def fetch(
        cls, git_host: str, repo_info: str, use_cache: bool = False, commit: str = None, silent: bool = True
    ) -> str:
        """See :meth:`RepoFetcherBase.fetch`.

        Raises:
            GitPullError, GitCheckoutError: git failed.
        """
        return super().fetch(git_host, repo_info, use_cache, commit, silent)

    @classmethod
    def _bring(cls, git_host, owner, name, branch, commit, target, silent):
        clone(f"git@{git_host}:{owner}/{name}.git", branch.replace("/", "_"), commit, target, silent)


class GitHTTPSFetcher(RepoFetcherBase):
    """Downloads an archive over HTTPS."""

    @classmethod
    @synchronized
    def fetch(
        cls, git_host: str, repo_info: str, use_cache: bool = False, commit: str = None, silent: bool = True
    ) -> str:
        """See :meth:`RepoFetcherBase.fetch`.

        Raises:
            HTTPDownloadError: the archive can't be had.
        """
        return super().fetch(git_host, repo_info, use_cache, commit, silent)

    @classmethod
    def _bring(cls, git_host, owner, name, branch, commit, target, silent):
        url = cls._git_archive_link(git_host, owner, name, branch, commit)
        cls._download_zip_and_extract(url, target)

    @classmethod
    def _git_archive_link(cls, git_host, repo_owner, repo_name, branch_info, commit) -> str:
        return f"https://{git_host}/{repo_owner}/{repo_name}/archive/{commit or branch_info}.zip"

    @classmethod
    def _download_zip_and_extract(cls, url, target_dir):
        folder = os.path.dirname(target_dir)
        archive = os.path.join(folder, "archive.zip")
        download_from_url(url, archive)
        inside = os.path.join(folder, "inside")
        with zipfile.ZipFile(archive) as z:
            z.extractall(inside)  # which refuses names that lead out of the folder
        (top,) = os.listdir(inside)  # archives of repositories have one folder
        os.replace(os.path.join(inside, top), target_dir)
