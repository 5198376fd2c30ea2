"""What can go wrong when a repository is fetched."""


class FetcherError(Exception):
    """A repository could not be fetched."""


class InvalidRepo(FetcherError):
    """A repository's name is malformed, or it does not exist."""


class InvalidGitHost(FetcherError):
    """A host's name is malformed."""


class GitPullError(FetcherError):
    """Git could not clone."""


class GitCheckoutError(FetcherError):
    """Git has no such commit."""


class InvalidProtocol(FetcherError):
    """There is no such protocol."""
