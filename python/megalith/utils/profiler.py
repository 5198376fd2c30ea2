"""Profiles of eager calls: when each ran and for how long, as a timeline for a browser or a picture of memory."""

import atexit
import json
import os
import re
import weakref
from contextlib import ContextDecorator, contextmanager
from typing import List

from .. import _core, _html
from .._errors import ArgumentTypeError
from ..logger import get_logger

_running = None
_living = weakref.WeakSet()  # profilers whose results are not written yet


class Profiler(ContextDecorator):
    """Writes down the eager calls within a ``with`` block or a function.

    Args:
        path: the folder where :meth:`dump` writes ``<process>.<format>``.
        format: ``chrome_timeline.json``, for ``chrome://tracing`` or Perfetto, or ``memory_flow.svg``, a picture.
        formats: several of them.
        with_backtrace, with_scopes: accepted for compatibility.
        kwargs: ``sample_rate``, ``profile_device``, ``num_tensor_watch`` and ``enable_cupti``, for MegEngine's devices.

    Raises:
        AssertionError: an unknown format.

    Examples:
        >>> import os, tempfile
        >>> import megalith as mge
        >>> from megalith.utils.profiler import Profiler
        >>> folder = tempfile.mkdtemp()
        >>> with Profiler(folder) as profiler:
        ...     _ = mge.Tensor([1.0]) + 1
        >>> profiler.dump()
        >>> [name.split(".", 1)[1] for name in os.listdir(folder)]
        ['chrome_timeline.json']
    """

    CHROME_TIMELINE = "chrome_timeline.json"
    valid_options = {"sample_rate": 0, "profile_device": 1, "num_tensor_watch": 10, "enable_cupti": 0}
    valid_formats = {"chrome_timeline.json", "memory_flow.svg"}

    def __init__(self, path: str = "profile", format: str = "chrome_timeline.json", formats: List[str] = None,
                 with_backtrace: bool = False, with_scopes: bool = False, **kwargs) -> None:  # fmt: skip
        formats = formats or [format]
        assert not isinstance(formats, str), "formats is a list, not a str"
        for one in formats:
            assert one in self.valid_formats, f"there is no format {one!r}: use one of {sorted(self.valid_formats)}"
        unknown = set(kwargs) - set(self.valid_options)
        if unknown:
            raise ArgumentTypeError(f"Profiler has no option {', '.join(sorted(unknown))}")
        self._path = path
        self._formats = list(formats)
        self._options = {k: int(kwargs.get(k, v)) for k, v in self.valid_options.items()}
        self._pid = "<PID>"
        self._calls = None
        self._scopes = []

    @property
    def path(self) -> str:
        """Where results are written."""
        formats = self._formats[0] if len(self._formats) == 1 else "{" + ",".join(self._formats) + "}"
        return self.format_path(self._path, self._pid, formats)

    @property
    def directory(self) -> str:
        """The folder where results are written."""
        return self._path

    @property
    def formats(self) -> list:
        """The formats that are written."""
        return list(self._formats)

    def start(self):
        """Begins to write down calls.

        Raises:
            RuntimeError: a profiler is running.
        """
        global _running
        if _running is not None:
            raise RuntimeError("a profiler is running already")
        _core.start_call_log()
        _running = self
        self._pid = os.getpid()
        self._calls, self._scopes = None, []
        return self

    def stop(self):
        """Ends; :meth:`dump` writes the results.

        Raises:
            RuntimeError: it is not running.
        """
        global _running
        if _running is not self:
            raise RuntimeError("this profiler is not running")
        _running = None
        self._calls = _core.stop_call_log()
        _living.add(self)

    def step(self):
        """Marks the end of an iteration."""
        if _running is None:
            raise RuntimeError("no profiler is running")
        now = _core.call_log_time()
        self._scopes.append(("step", now, now))
        return self

    def dump(self):
        """Writes what was recorded since the last time."""
        if self._calls is None:
            return
        os.makedirs(self._path, exist_ok=True)
        for one in self._formats:
            text = self._timeline() if one == self.CHROME_TIMELINE else _memory_picture(self._calls)
            with open(self.format_path(self._path, self._pid, one), "w") as f:
                f.write(text)
        get_logger().info("profile written to %s", self.path)
        self._calls = None
        _living.discard(self)

    def _repr_html_(self):
        if self._calls is None:
            return _html.text(f"Profiler: {'running' if _running is self else 'nothing recorded since the last dump'}")
        return _html.calls(self._calls)

    def format_path(self, path, pid, format):
        """The file of a process and a format."""
        return os.path.join(path, f"{pid}.{format}")

    def _timeline(self) -> str:
        events = []

        def add(phase, name, seconds, thread, **more):
            events.append({"ph": phase, "name": name, "ts": seconds * 1e6, "pid": self._pid, "tid": thread, **more})

        for name, begin, end in self._scopes:
            add("B", name, begin, "scopes")
            add("E", name, end, "scopes")
        for name, shapes, begin, end, thread, size in self._calls:
            args = {"inputs": shapes, "bytes": size}
            add("X", name, begin, thread, dur=max(0.0, (end - begin) * 1e6), args=args)
        events.sort(key=lambda e: e["ts"])
        return json.dumps({"traceEvents": events, "metadata": {"localTime": 0}})

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def __call__(self, func):
        """The function with a profile of every call."""
        wrapped = super().__call__(func)
        wrapped.__profiler__ = self
        return wrapped

    def __del__(self):
        try:
            self.dump()
        except Exception:  # the interpreter may be going away
            pass


def _memory_picture(calls, width=1200, height=400) -> str:
    """The bytes that calls made over time, as a picture: one bar for each call."""
    end = max((c[3] for c in calls), default=1e-6)
    most = max((c[5] for c in calls), default=1) or 1
    bars = []
    for name, shapes, begin, stop, _, size in calls:
        tall = max(1.0, size / most * (height - 30))
        bars.append(
            f'<rect x="{begin / end * width:.2f}" y="{height - tall:.2f}" width="{max(0.5, (stop - begin) / end * width):.2f}" '
            f'height="{tall:.2f}" fill="#4a7ebb"><title>{name} {shapes}: {size} bytes</title></rect>'
        )
    text = (
        f'<text x="4" y="14" font-size="12">{len(calls)} calls in {end * 1e3:.3f} ms; at most {most} bytes each</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{text}' + "".join(bars) + "</svg>\n"
    )


@contextmanager
def scope(name):
    """Names a part of a program in a profile."""
    begin = _core.call_log_time() if _running is not None else None
    try:
        yield
    finally:
        if begin is not None and _running is not None:
            _running._scopes.append((name, begin, _core.call_log_time()))


def profile(*args, **kwargs):
    """A decorator that profiles a function, with or without arguments of :class:`Profiler`.

    Examples:
        >>> from megalith.utils.profiler import profile
        >>> @profile
        ... def work():
        ...     return 1
        >>> type(work.__profiler__).__name__
        'Profiler'
    """
    if len(args) == 1 and not kwargs and callable(args[0]):
        return Profiler()(args[0])
    return Profiler(*args, **kwargs)


def merge_trace_events(directory: str):
    """Joins the timelines of several processes in a folder into ``merge.chrome_timeline.json``."""
    events = []
    for name in sorted(os.listdir(directory)):
        if re.fullmatch(r"\d+\.chrome_timeline\.json", name):
            with open(os.path.join(directory, name)) as f:
                content = json.load(f)
            events.extend(content["traceEvents"] if isinstance(content, dict) else content)
    events.sort(key=lambda e: e.get("ts", 0))
    with open(os.path.join(directory, "merge.chrome_timeline.json"), "w") as f:
        json.dump({"traceEvents": events}, f)


def is_profiling() -> bool:
    """Whether a profiler is running."""
    return _running is not None


def _stop_current_profiler():
    if _running is not None:
        _running.stop()
    for one in list(_living):
        one.dump()


atexit.register(_stop_current_profiler)
