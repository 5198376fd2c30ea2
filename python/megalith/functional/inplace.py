"""Updates of a Tensor's value."""

from .elemwise import _M, _elemwise


def _inplace_add_(dest, delta, alpha, beta):
    """``dest = alpha * dest + beta * delta``; returns ``dest``."""
    out = _elemwise(_M["FUSE_MUL_ADD4"], dest, alpha, delta, beta)
    dest._reset(out if out.dtype == dest.dtype else out.astype(dest.dtype))
    return dest
