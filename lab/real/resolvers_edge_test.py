"""What unbound and BIND really send is decoded and counted by the edge. TAPIR_BIN: folder with the programs.

Each resolver answers queries from 60 client addresses while a Frame Streams listener records; the capture then goes
through the edge's offline twin, whose report must account for every frame.
"""

import base64
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import resolver
from dns import NOERROR, ask
from frames import Recorder
from processes import Processes, distribution_binary, free_ports, wait_for

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
CLIENTS = 60

NAMED_CONF = """options {{
  directory "{folder}"; pid-file none; session-keyfile "{folder}/session.key"; managed-keys-directory "{folder}";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion yes; allow-recursion {{ 127.0.0.0/8; }};
  forwarders {{ 127.0.0.1 port {upstream}; }}; forward only; dnssec-validation no; empty-zones-enable no;
  dnstap {{ client response; }}; dnstap-output unix "{socket}"; fstrm-set-reopen-interval 1;
}};
controls {{ }};
"""


def client(index):
    return f"127.1.{1 + index % 3}.{1 + index // 3}"


class Resolvers(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="tapir-resolver-")
        self.folder = pathlib.Path(self._folder.name)
        self.addCleanup(self._folder.cleanup)
        self.upstream, self.port = free_ports(2)
        self.socket = self.folder / "dnstap.sock"
        self.capture = self.folder / "capture.fstrm"

    def record(self, name, start):
        recorder = Recorder(self.socket, self.capture)
        recorder.start()
        with Processes(self.folder) as processes:
            resolver.start_authority(processes, self.folder, self.upstream)
            start(processes)

            def connected():
                ask(("127.0.0.1", self.port), "ready.se", timeout_s=0.4, attempt_s=0.2)
                return recorder.count > 0

            wait_for("the first frame", connected, 20, 0.05, processes.check)
            for index in range(CLIENTS):
                answer = ask(("127.0.0.1", self.port), f"www.{name}.se", source=client(index))
                self.assertIsNotNone(answer)
                self.assertEqual(answer.rcode, NOERROR)
            # unbound holds frames back for up to a second.
            wait_for("all frames", lambda: recorder.frames_with(name) >= CLIENTS, 20, 0.05, processes.check)
        recorder.finish()

    def process(self):
        out = self.folder / "out"
        done = subprocess.run(
            [BIN / "tapir-edge", "process", self.capture, "--out", out, "--single-interval",
             "--set", "client_networks=127.0.0.0/8"], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out, json.loads((out / "report.json").read_text())

    def check(self, name):
        out, report = self.process()
        read = report["frames"]["read"]
        self.assertGreaterEqual(read, CLIENTS)
        self.assertEqual(sum(capture["frames"] for capture in report["captures"]), read, report)
        fates = [count for reasons in report["frames"]["fates"].values() for count in reasons.values()]
        self.assertEqual(sum(fates), read, report)
        names = [json.loads(base64.urlsafe_b64decode(json.loads(line)["payload"] + "=="))["qname"]
                 for line in (out / "events.jsonl").read_text().splitlines()]
        # The host only if so many came after its domain's threshold that its own is reached too.
        self.assertIn(names, ([f"{name}.se."], [f"{name}.se.", f"www.{name}.se."]))

    def test_unbound(self):
        self.record("unbound", lambda processes: resolver.start_unbound(
            processes, self.folder, self.port, self.upstream, self.socket))
        self.check("unbound")

    def test_bind(self):
        def start(processes):
            home = self.folder / "bind"
            home.mkdir()
            (home / "named.conf").write_text(NAMED_CONF.format(folder=home, port=self.port, upstream=self.upstream,
                                                               socket=self.socket))
            processes.start("bind", [distribution_binary("named", self.folder / "bin"), "-g", "-n", "1",
                                     "-c", home / "named.conf"])
            wait_for("BIND resolves", lambda: ask(("127.0.0.1", self.port), "ready.se", timeout_s=0.4, attempt_s=0.2),
                     20, still_runs=processes.check)

        self.record("bind", start)
        self.check("bind")


if __name__ == "__main__":
    unittest.main(verbosity=2)
