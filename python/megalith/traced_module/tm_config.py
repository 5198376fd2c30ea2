"""What traced modules check of themselves."""

_enable_expr_checker = False
_enable_graph_surgery_mode = False
_enable_default_checker = True


def _get_expr_checker():
    return _enable_expr_checker


def enable_expr_checker():
    """From now on, tracing runs every expression again and compares, and names the first that differs."""
    global _enable_expr_checker
    _enable_expr_checker = True


def disable_default_checker():
    """From now on, tracing does not compare the outputs of the traced module with those of the original."""
    global _enable_default_checker
    _enable_default_checker = False


def _get_default_checker():
    return _enable_default_checker
