"""How notebooks show tensors and modules."""

import html

import numpy as np

_STYLE = "text-align: left; font-family: monospace"


def _bytes(count):
    for unit in ("bytes", "kB", "MB"):
        if count < 1000 or unit == "MB":
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count} bytes"
        count /= 1000


def table(header, rows):
    """An HTML table."""

    def cells(row, tag):
        return "".join(f'<{tag} style="{_STYLE}">{html.escape(str(c))}</{tag}>' for c in row)

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{cells(header, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def tensor(t):
    """Kind, shape, type, size and values; long ones are cut."""
    values = t.numpy()
    shape = " × ".join(map(str, values.shape)) or "scalar"
    title = f"<b>{type(t).__name__}</b> {shape}, {t.dtype}, {t.device}, {_bytes(values.nbytes)}"
    if t._name:
        title += f", {html.escape(t._name)}"
    text = html.escape(np.array2string(values, threshold=60))
    return f"<div>{title}<pre>{text}</pre></div>"


def module(m):
    """Every module inside with what it is and how many parameters it has of its own, and the sum."""
    rows = []
    for path, inside in m.named_modules():
        own = sum(p.size for p in inside.parameters(recursive=False))
        info = inside._module_info_string().replace("\n", ", ")
        rows.append(
            (
                path or "·",
                f"{type(inside).__name__}({info})",
                f"{own:,}" if own else "",
                "" if inside.training else "eval",
            )
        )
    parameters = list(m.parameters())
    count, size = sum(p.size for p in parameters), sum(p.numpy().nbytes for p in parameters)
    title = f"<div><b>{type(m).__name__}</b>, {count:,} parameters, {_bytes(size)}</div>"
    return title + table(("module", "what", "parameters", "mode"), rows)


def calls(log):
    """What a profile recorded: for each op how often it ran, for how long, and what it made."""
    ops = {}
    for name, _, begin, end, _, size in log:
        count, seconds, made = ops.get(name, (0, 0.0, 0))
        ops[name] = (count + 1, seconds + end - begin, made + size)
    total = sum(seconds for _, seconds, _ in ops.values()) or 1e-9
    rows = [
        (name, f"{count:,}", f"{seconds * 1e3:.3f}", f"{seconds / total:.1%}", _bytes(made))
        for name, (count, seconds, made) in sorted(ops.items(), key=lambda item: -item[1][1])
    ]
    title = f"<div><b>Profile</b>, {len(log):,} calls, {total * 1e3:.3f} ms in ops</div>"
    return title + table(("op", "calls", "ms", "share", "results"), rows)


def text(value):
    """Text as it is printed."""
    return f"<pre>{html.escape(str(value))}</pre>"
