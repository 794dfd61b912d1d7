"""What must hold before a figure may be believed: inputs are those of this generator, a record names what was measured."""

import contextlib
import io
import pathlib
import subprocess
import tempfile
import unittest

import tools


class Tools(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tapir-bench-")
        self.addCleanup(folder.cleanup)
        before = tools.ROOT, tools.BIN, tools.WORK
        self.addCleanup(lambda: self.place(*before))
        self.root = pathlib.Path(folder.name)
        self.place(self.root, self.root / "bin", self.root / "work")
        tools.BIN.mkdir()
        tools.WORK.mkdir()
        quiet = contextlib.redirect_stdout(io.StringIO())
        quiet.__enter__()
        self.addCleanup(quiet.__exit__, None, None, None)

    @staticmethod
    def place(root, programs, work):
        tools.ROOT, tools.BIN, tools.WORK = root, programs, work

    @staticmethod
    def generator(word):
        program = tools.BIN / "bench_inputs"
        program.write_text(f'#!/bin/sh\necho {word} "$@"\n')
        program.chmod(0o755)

    def test_an_input_is_made_once(self):
        self.generator("first")
        made = tools.make_input("names-3-1.txt", "names", 3, 1)
        made.write_text("kept")
        self.assertEqual(tools.make_input("names-3-1.txt", "names", 3, 1).read_text(), "kept")

    def test_another_generator_makes_another_input(self):
        self.generator("first")
        old = tools.make_input("names-3-1.txt", "names", 3, 1)
        other = tools.make_input("names-30-1.txt", "names", 30, 1)
        self.generator("second")
        new = tools.make_input("names-3-1.txt", "names", 3, 1)
        self.assertEqual(new.read_text(), "second names 3 1\n")
        self.assertFalse(old.exists())
        self.assertTrue(other.exists())

    def test_other_arguments_make_another_input(self):
        self.generator("first")
        tools.make_input("frames-3.fstrm", "frames", "names", 3, 7, 50)
        self.assertEqual(tools.make_input("frames-3.fstrm", "frames", "names", 3, 7, 1000).read_text(), "first frames names 3 7 1000\n")

    def git(self, *words):
        subprocess.run(["git", "-C", self.root, "-c", "user.name=test", "-c", "user.email=test@example.org", *words],
                       check=True, capture_output=True)

    def test_a_record_names_a_commit_and_nothing_else(self):
        record = self.root / "record.json"
        source = self.root / "source.cpp"
        with self.assertRaises(SystemExit, msg="no repository"):
            tools.recordable_commit(record)
        self.git("init", "-q")
        source.write_text("one")
        record.write_text("{}")
        self.git("add", "source.cpp", "record.json")
        self.git("commit", "-q", "-m", "first")
        commit = tools.recordable_commit(record)
        self.git("cat-file", "-e", f"{commit}^{{commit}}")
        record.write_text("{1}")
        self.assertEqual(tools.recordable_commit(record), commit)
        source.write_text("two")
        with self.assertRaises(SystemExit, msg="a change"):
            tools.recordable_commit(record)
        source.write_text("one")
        (self.root / "new.cpp").write_text("found by pattern")
        with self.assertRaises(SystemExit, msg="a new file"):
            tools.recordable_commit(record)


if __name__ == "__main__":
    unittest.main(verbosity=2)
