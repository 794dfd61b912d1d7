"""The loop as a whole, and that the lab cleans up after itself. TAPIR_BIN: folder with the programs."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from processes import wait_for

LOOP = pathlib.Path(__file__).with_name("loop.py")
BIN = os.environ["TAPIR_BIN"]


def left_over(folder):
    """Processes whose command line names the lab's folder."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found


class Loop(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="tapir-lab-")
        self.folder = pathlib.Path(self._folder.name) / "state"
        self.addCleanup(self._folder.cleanup)

    def start(self, binaries, *words):
        return subprocess.Popen([sys.executable, "-B", LOOP, "--bin", binaries, "--state", self.folder, *words],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def test_closes_once_and_leaves_nothing_behind(self):
        self.close_once([], ["first query", "reached the threshold", "event:", "observation:", "IXFR", "NXDOMAIN:",
                             "still resolves", "never left"])

    def test_closes_once_through_a_broker(self):
        self.close_once(["--mqtt"], ["first query", "reached the threshold", "event:", "by MQTT", "observation:",
                                     "on the broker", "IXFR", "NXDOMAIN:", "has the existing core's form",
                                     "was published and taken", "still resolves", "never left"])

    def close_once(self, words, steps):
        lab = self.start(BIN, "--once", *words)
        output, _ = lab.communicate(timeout=300)
        print(output)
        self.assertEqual(lab.returncode, 0)
        places = [output.find(step) for step in steps]
        self.assertNotIn(-1, places, f"not all of {steps} are in the timeline")
        self.assertEqual(places, sorted(places), "the timeline is out of order")
        self.assertEqual(left_over(self.folder), [])

    def test_stays_up_until_interrupted(self):
        lab = self.start(BIN)
        seen = []
        for line in lab.stdout:
            seen.append(line)
            if "The loop is up" in line:
                break
        self.assertIn("The loop is up", seen[-1], "".join(seen))
        lab.send_signal(signal.SIGINT)
        lab.communicate(timeout=60)
        self.assertEqual(lab.returncode, 0)
        wait_for("no process left", lambda: not left_over(self.folder), 5)

    def test_says_what_failed_when_a_daemon_does_not_start(self):
        binaries = self.folder.parent / "bin"
        binaries.mkdir()
        for name in ("tapir-edge", "tapir-core", "tapir-policy"):
            (binaries / name).write_text("#!/bin/sh\necho 'core.toml:1: listen: expected a port' >&2\nexit 1\n")
            (binaries / name).chmod(0o755)
        lab = self.start(binaries, "--once")
        output, _ = lab.communicate(timeout=120)
        self.assertEqual(lab.returncode, 1, output)
        self.assertIn("ended with status 1", output)
        self.assertIn("core.toml:1: listen: expected a port", output)
        self.assertEqual(left_over(self.folder), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
