"""No model computes with a reference kernel that tests/reference_kernels.txt doesn't list for it."""

import unittest

import cli
import reference_kernels


class ReferenceKernels(cli.Case):
    def test_list(self):
        listed = reference_kernels.read_list()
        seen = 0
        for name, (path, feeds) in reference_kernels.models().items():
            steps = reference_kernels.profile(path, feeds)
            if steps is None:
                continue
            seen += 1
            with self.subTest(name):
                more = set(reference_kernels.references(steps)) - set(listed.get(name, ()))
                self.assertFalse(more, "if that is meant: reference_kernels.py --update")
        self.assertGreater(seen, 5)


if __name__ == "__main__":
    unittest.main()
