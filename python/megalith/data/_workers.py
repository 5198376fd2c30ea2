"""Worker processes of a DataLoader: tasks go to them through pipes, batches come back through shared memory."""

import contextlib
import itertools
import mmap
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import traceback
import weakref
from multiprocessing.connection import wait

import numpy as np

_SMALL = 1 << 14  # bytes that are cheaper to send through the pipe
_WATCH = 5  # seconds after which a worker looks whether its parent is alive

worker_info = None


class WorkerInfo:
    """What a worker knows of itself: ``idx``, its number, ``worker``, how many there are, and ``seed``."""

    def __init__(self, **kwargs):
        self.__dict__.update(kwargs)

    def __setattr__(self, key, value):
        raise RuntimeError(f"Cannot assign attributes to {type(self).__name__} objects")

    def __repr__(self):
        return f"WorkerInfo({', '.join(f'{k}={v}' for k, v in self.__dict__.items())})"


def shared_folders(name):
    """Folders for files that both sides map: in memory if there is room, else on disk."""
    places = ["/dev/shm"] if os.path.isdir("/dev/shm") else []
    return [os.path.join(place, name) for place in (*places, tempfile.gettempdir())]


def pack(obj, folders, number=itertools.count()):
    """Bytes that :func:`unpack` turns into ``obj`` in another process; large arrays go into a file in ``folders``."""
    buffers = []
    head = pickle.dumps(obj, protocol=5, buffer_callback=buffers.append)
    raws = [b.raw() for b in buffers]
    if sum(r.nbytes for r in raws) <= _SMALL and len(head) <= _SMALL:
        return pickle.dumps((head, None, [r.tobytes() for r in raws]))
    raws.append(memoryview(head))
    error = None
    for folder in folders:
        path = os.path.join(folder, f"{os.getpid()}-{next(number)}")
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            spans, at = [], 0
            with open(path, "wb") as f:
                for r in raws:
                    spans.append((at, r.nbytes))
                    f.write(r)
                    at += r.nbytes
                    f.write(bytes(-at % 64))
                    at += -at % 64
            return pickle.dumps((None, path, spans))
        except OSError as e:  # no room
            error = e
            with contextlib.suppress(OSError):
                os.unlink(path)
    raise error


def unpack(data):
    """What :func:`pack` packed; arrays lie in the shared memory, which goes when they go."""
    head, path, buffers = pickle.loads(data)
    if path is not None:
        with open(path, "r+b") as f:
            memory = memoryview(mmap.mmap(f.fileno(), 0))
        with contextlib.suppress(OSError):  # a mapped file can't be removed on Windows; its folder goes at the end
            os.unlink(path)
        buffers = [memory[at : at + n] for at, n in buffers]
        head = buffers.pop()
    else:
        buffers = [bytearray(b) for b in buffers]
    return pickle.loads(head, buffers=buffers)


class Failure:
    """An exception of a worker."""

    def __init__(self, worker):
        kind, error, _ = sys.exc_info()
        self.name = kind.__name__
        self.where = f"in DataLoader worker process {worker}"
        self.text = "".join(traceback.format_exception(error))

    def reraise(self):
        """Raises it in this process."""
        raise RuntimeError(f"Caught {self.name} {self.where}.\nOriginal {self.text}")


class End:
    """A worker's stream has ended."""


def run(tasks, results, make_fetch, worker, workers, seed, folders):
    """The life of a worker. ``make_fetch()`` makes a function from task to batch, once ``worker_info`` is there."""
    global worker_info
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    parent = os.getppid()
    from ..random import seed as seed_tensors

    random.seed(seed)
    np.random.seed(seed % (1 << 32))
    seed_tensors(seed)
    worker_info = WorkerInfo(idx=worker, worker=workers, seed=seed)
    fetch = None
    try:
        while True:
            while not tasks.poll(_WATCH):
                if os.getppid() != parent:
                    for folder in folders:
                        shutil.rmtree(folder, ignore_errors=True)
                    return
            task = tasks.recv_bytes()
            if not task:
                return
            number, place = unpack(task)
            try:
                fetch = fetch or make_fetch()
                answer = pack((number, fetch(place)), folders)
            except StopIteration:
                answer = pack((number, End()), folders)
            except Exception:
                answer = pack((number, Failure(worker)), folders)
            results.send_bytes(answer)
    except (EOFError, OSError):
        pass  # the parent has gone


def _end(processes, pipes, folders):
    for tasks, _ in pipes:
        with contextlib.suppress(OSError, ValueError):
            tasks.close()
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        process.join(_WATCH)
        if process.is_alive():
            process.kill()
            process.join()
    for _, results in pipes:
        results.close()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


class Workers:
    """Worker processes that turn tasks into batches; results come in the order of the tasks.

    Args:
        count: how many processes.
        seed: of worker 0; the others get the numbers after it.
        make_fetch: see :func:`run`.
        tasks: iterator of tasks.
        timeout: seconds to wait for a batch, 0 for ever.
    """

    def __init__(self, count, seed, make_fetch, tasks, timeout):
        context = multiprocessing.get_context()
        self._folders = shared_folders(f"megalith-{os.getpid()}-{os.urandom(6).hex()}")
        self._task_source, self._timeout = tasks, timeout
        self._processes, self._pipes = [], []
        # Ends the workers when we go or the interpreter ends, in whatever state we are.
        self.close = weakref.finalize(self, _end, self._processes, self._pipes, self._folders)
        for i in range(count):
            theirs, tasks_out = context.Pipe(duplex=False)
            results, answers = context.Pipe(duplex=False)
            args = (theirs, answers, make_fetch, i, count, seed + i, self._folders)
            process = context.Process(target=run, args=args, daemon=True)
            self._pipes.append((tasks_out, results))
            self._processes.append(process)
            process.start()
            theirs.close()
            answers.close()
        self._active = [True] * count
        self._turn = itertools.cycle(range(count))
        self._sent = self._received = 0
        self._owner = {}  # number of a task -> worker that has it
        self._ready = {}  # number -> batch
        for _ in range(2 * count):
            self._send()

    def _send(self):
        if not any(self._active):
            return
        try:
            place = next(self._task_source)
        except StopIteration:
            return
        worker = next(w for w in self._turn if self._active[w])
        try:
            self._pipes[worker][0].send_bytes(pack((self._sent, place), self._folders))
        except (BrokenPipeError, ConnectionResetError):
            self._died([worker])
        self._owner[self._sent] = worker
        self._sent += 1

    def _died(self, workers):
        for w in workers:
            self._processes[w].join(_WATCH)
        pids = ", ".join(str(self._processes[w].pid) for w in workers)
        codes = ", ".join(str(self._processes[w].exitcode) for w in workers)
        names = ", ".join(map(str, workers))
        self.close()
        raise RuntimeError(
            f"DataLoader worker (worker(s): {names} , pid(s): {pids}) exited unexpectedly, exitcode(s): {codes}"
        )

    def _receive(self):
        pipes = {self._pipes[w][1]: w for w in set(self._owner.values())}
        readable = wait(list(pipes), self._timeout or None)
        if not readable:
            self.close()
            raise RuntimeError("dataloader timeout")
        for pipe in readable:
            try:
                number, batch = unpack(pipe.recv_bytes())
            except (EOFError, ConnectionResetError):
                self._died([pipes[pipe]])
            worker = self._owner.pop(number)
            if isinstance(batch, End):
                self._active[worker] = False
            self._ready[number] = batch

    def next(self):
        """The next batch.

        Raises:
            StopIteration: there are no more.
            RuntimeError: a worker failed or took too long.
        """
        while True:
            if self._received == self._sent or not self.close.alive:
                self.close()
                raise StopIteration
            while self._received not in self._ready:
                self._receive()
            batch = self._ready.pop(self._received)
            self._received += 1
            self._send()
            if isinstance(batch, Failure):
                batch.reraise()
            if not isinstance(batch, End):
                return batch
