"""The README's commands work as they stand there. TAPIR_BIN: folder with the programs.

Those that this test is part of (scripts/…) and the daemon that would not end are checked for being there only.
"""

import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

from frames import Recorder
import resolver
from dns import ask
from processes import Processes, free_ports, wait_for

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def commands():
    """Each command line of the README's sh blocks, without its comment."""
    text = (ROOT / "README.md").read_text()
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


class Readme(unittest.TestCase):
    def record(self, folder):
        """A short capture of real traffic."""
        upstream, port = free_ports(2)
        recorder = Recorder(folder / "dnstap.sock", folder / "capture.fstrm")
        recorder.start()
        with Processes(folder) as processes:
            resolver.start_authority(processes, folder, upstream)
            resolver.start_unbound(processes, folder, port, upstream, folder / "dnstap.sock")
            for index in range(60):
                ask(("127.0.0.1", port), "www.readme.se", source=f"127.1.{1 + index % 3}.{1 + index // 3}")
            wait_for("all frames", lambda: recorder.frames_with("readme") >= 60, 20, 0.05, processes.check)
        recorder.finish()

    def test_commands(self):
        with tempfile.TemporaryDirectory(prefix="tapir-readme-") as name:
            folder = pathlib.Path(name)
            self.record(folder)
            (folder / "names.txt").write_text("readme.se\n.example.org\n")
            run = 0
            for words in commands():
                if words[0].startswith("scripts/"):
                    self.assertTrue(os.access(ROOT / words[0], os.X_OK), words)
                    continue
                self.assertTrue(words[0].startswith("build/release/bin/"), words)
                words[0] = str(BIN / pathlib.Path(words[0]).name)
                if words[1] == "run":
                    words[1:] = ["run", "--help"]
                # The program itself may lie anywhere, below /tmp too.
                words[1:] = [re.sub(r"^/(tmp|etc)/", f"{folder}/", word) for word in words[1:]]
                done = subprocess.run(["sh", "-c", " ".join(words)], cwd=folder, capture_output=True, text=True,
                                      timeout=60, check=False)
                self.assertEqual(done.returncode, 0, f"{words}: {done.stdout} {done.stderr}")
                run += 1
            self.assertGreaterEqual(run, 4)

    def test_example_settings_are_those_of_the_parser(self):
        for program in ("tapir-edge", "tapir-core", "tapir-policy"):
            shown = subprocess.run([BIN / program, "example-settings"], capture_output=True, text=True, check=True)
            self.assertIn("state", shown.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
