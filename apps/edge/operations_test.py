"""What an operator does with tapir-edge beside running it."""
import os
import pathlib
import subprocess
import tempfile
import unittest

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
PATIENCE_S = 60


def edge(*words, **more):
    return subprocess.run([BIN / "tapir-edge", *words], capture_output=True, text=True, timeout=PATIENCE_S, **more)


class Migrate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tapir-operations-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.old = self.folder / "old.toml"
        self.old.write_text('cryptopan-key = "hush-hush"\ninput-tcp = "127.0.0.1:6000"\nminimiser-workers = 2\n')

    def test_the_result_is_taken_by_the_edge_itself(self):
        new = self.folder / "edge.toml"
        environment = {**os.environ, "DNSTAPIR_EDM_HTTP_URL": "https://aggrec.example"}
        done = edge("migrate", self.old, "--out", new, "--adopt-state", "--", "run", "--minimiser-workers=3", "-disable-mqtt",
                    env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("to decide: client_networks", done.stderr)
        text = new.read_text()
        self.assertIn("\nworkers = 3\n", text)
        self.assertIn('\ncore.url = "https://aggrec.example"\n', text)
        self.assertNotIn("hush", text + done.stderr + done.stdout)
        # It gets as far as the key that is not there, past all settings.
        started = edge("run", "--config", new)
        self.assertEqual(started.returncode, 1)
        self.assertIn("keys.signing: expected a readable key file", started.stderr)

    def test_what_it_does_not_know_it_refuses_with_its_line(self):
        self.old.write_text("debug = true\nnot-a-key = 1\n")
        done = edge("migrate", self.old)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        self.assertIn(f"{self.old}:2: not-a-key: expected a known setting", done.stderr)


if __name__ == "__main__":
    unittest.main()
