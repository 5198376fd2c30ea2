"""Runs the mgl command for the tests in this folder; standard library only."""

import json
import os
import struct
import subprocess
import tempfile
import unittest

MGL = os.environ["MGL"]
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOLDEN = os.path.join(TESTS, "golden", "cases")
LENET = os.path.join(GOLDEN, "mnist", "lenet_u8_28x28", "model_v2.mge")
LENET_FBS = os.path.join(GOLDEN, "mnist", "lenet_u8_28x28", "model.mge")


def mgl(*args, env=None, program=MGL, stdin="", timeout=120):
    full = dict(os.environ, **(env or {}))
    return subprocess.run([program, *map(str, args)], capture_output=True, text=True, env=full, input=stdin,
                          timeout=timeout)


def case(name, v2=True):
    return os.path.join(GOLDEN, name, "model_v2.mge" if v2 else "model.mge")


def write_npy(path, dtype, shape, values):
    """dtype is a letter of the struct module."""
    descr = {"f": "<f4", "d": "<f8", "i": "<i4", "h": "<i2", "H": "<u2", "b": "|i1", "B": "|u1"}[dtype]
    header = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (descr, tuple(shape))
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        f.write(struct.pack("<%d%s" % (len(values), dtype), *values))


def read_dump(path):
    """A file of --bin_io_dump or --bin_out_dump: (title, dtype number, shape, bytes)."""
    with open(path, "rb") as f:
        data = f.read()
    size, dtype, rank = struct.unpack_from("<III", data)
    shape = [d for d in struct.unpack_from("<%dI" % rank, data, 12) if d]
    at = 12 + 4 * rank
    return data[at : at + size].decode("ascii"), dtype, shape, data[at + size :]


def type_id(name):
    """The number that stands for an operator in a file: XXH64 of its name (shorter than 32 bytes)."""
    k1, k2, k3, k4, k5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                          0x27D4EB2F165667C5)
    mask = 2**64 - 1

    def rotl(v, n):
        return ((v << n) | (v >> (64 - n))) & mask

    h = (20160701 + k5 + len(name)) & mask
    at = 0
    while at + 8 <= len(name):
        v = struct.unpack_from("<Q", name, at)[0]
        h = (rotl(h ^ (rotl(v * k2 & mask, 31) * k1 & mask), 27) * k1 + k4) & mask
        at += 8
    while at + 4 <= len(name):
        h = (rotl(h ^ (struct.unpack_from("<I", name, at)[0] * k1 & mask), 23) * k2 + k3) & mask
        at += 4
    while at < len(name):
        h = rotl(h ^ (name[at] * k5 & mask), 11) * k1 & mask
        at += 1
    h = (h ^ (h >> 33)) * k2 & mask
    h = (h ^ (h >> 29)) * k3 & mask
    return h ^ (h >> 32)


class Case(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)

    def path(self, name):
        return os.path.join(self._folder.name, name)

    def ok(self, *args, **kwargs):
        done = mgl(*args, **kwargs)
        self.assertEqual(done.returncode, 0, "%s\n%s\n%s" % (args, done.stdout[-2000:], done.stderr[-2000:]))
        return done

    def result(self, *args, **kwargs):
        return json.loads(self.ok(*args, "--json", **kwargs).stdout)

    def fails(self, code, *args, **kwargs):
        """One sentence on stderr, the right exit code. Returns stderr."""
        done = mgl(*args, **kwargs)
        self.assertEqual(done.returncode, code, "%s\n%s\n%s" % (args, done.stdout[-2000:], done.stderr[-2000:]))
        errors = [line for line in done.stderr.splitlines() if line.startswith("mgl: error: ")]
        self.assertEqual(len(errors), 1, done.stderr)
        return done.stderr
