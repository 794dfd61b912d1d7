"""What an operator does with tapir-edge beside running it: migrate, check, top, status, metrics and their page."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
import urllib.request

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
SOURCE = pathlib.Path(os.environ["TAPIR_SOURCE"])
PATIENCE_S = 60
sys.path.insert(0, str(SOURCE / "lab/real"))
from frames import capture, dns_answer, dnstap_response  # noqa: E402
from processes import free_port  # noqa: E402


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.02)
    return result


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


class Running(unittest.TestCase):
    """One edge that has released a name and has a core that does not answer."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tapir-operations-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        subprocess.run([BIN / "tapir", "keys", "new", "--kid", "edge-1.example", "--out", self.folder], check=True,
                       capture_output=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", self.folder / "edge.key", "-out",
                        self.folder / "edge.pem", "-subj", "/CN=edge-1.example", "-days", "30"], check=True, capture_output=True)
        self.port = free_port()
        (self.folder / "names.txt").write_text("listed.example\n")
        self.config = self.folder / "edge.toml"
        self.config.write_text(f"""
            input.unix = "{self.folder}/dnstap.sock"
            state.dir = "{self.folder}/state"
            keys.signing = "{self.folder}/edge-1.example.jwk"
            lists.well_known = "{self.folder}/names.txt"
            metrics.listen = "127.0.0.1:{self.port}"
            metrics.socket = "{self.folder}/status.sock"
            client_networks = ["10.0.0.0/8"]
            release.batch_s = 1
            mqtt.url = "mqtt://127.0.0.1:1"
            core.url = "https://127.0.0.1:1"
            core.cert = "{self.folder}/edge.pem"
            core.key = "{self.folder}/edge.key"
            """)

    def start(self, **environment):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([BIN / "tapir-edge", "run", "--config", self.config], stderr=log,
                                            env={**os.environ, **environment})
        self.addCleanup(self.process.kill)
        wait_for("the edge", lambda: self.process.poll() is not None or '"ready"' in (self.folder / "log").read_text())
        self.assertIsNone(self.process.poll(), (self.folder / "log").read_text())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE_S), 0, (self.folder / "log").read_text())

    def send(self, name, clients=100):
        now = int(time.time())
        octets = capture([dnstap_response(dns_answer(name), bytes([10, n % 4, 0, n]), now) for n in range(clients)])
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.folder / "dnstap.sock"))
            peer.sendall(octets)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096):
                pass

    def page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as page:
            return page.read().decode()

    def status(self):
        return json.loads(self.page("/status"))

    def test_every_metric_is_documented_and_the_other_way_round(self):
        self.start()
        self.send("www.fresh-name.se")
        wait_for("a batch to wait", lambda: self.status()["outbox"]["batches"] > 0)
        page = self.page("/metrics")
        live = {(name, kind) for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.M)}
        text = (SOURCE / "docs/operating/metrics.md").read_text()
        documented = set(re.findall(r"^\| `([a-z0-9_]+)` \| (counter|gauge|histogram) \|", text, re.M))
        self.assertEqual(live - documented, set(), "not in docs/operating/metrics.md")
        self.assertEqual(documented - live, set(), "documented and not there")
        self.assertEqual(page.count("# HELP"), len(live))
        # What the alerts and the dashboard ask for is there.
        names = {name for name, _ in live}
        names |= {f"{name}_{part}" for name, kind in live if kind == "histogram" for part in ("bucket", "sum", "count")}
        rules = (SOURCE / "packaging/prometheus/tapir-edge.rules.yml").read_text()
        dashboard = (SOURCE / "packaging/grafana/tapir-edge.json").read_text()
        board = json.loads(dashboard)
        asked = set()
        for expression in [target["expr"] for panel in board["panels"] for target in panel["targets"]] + re.findall(
                r"expr: (?:>-\n)?((?:.*\n?)(?:\s{10}.*\n)*)", rules):
            asked |= set(re.findall(r"\b((?:tapir|process|edm)_[a-z0-9_]+)", expression))
        self.assertGreater(len(asked), 20)
        # Those of a group are on other pages; aggregation_test looks at them.
        of_groups = re.findall(r"`(tapir_(?:edge_group|aggregator)_[a-z_]+)`", (SOURCE / "docs/operating/aggregation.md").read_text())
        self.assertEqual(asked - names - set(of_groups), set(), "asked for and not there")
        # The existing minimiser's names.
        edm = {name for name in names if name.startswith("edm_")}
        self.assertEqual(len(edm), 13, edm)
        self.assertRegex(page, r"# HELP edm_cryptopan_lru_hit_total Always 0: ")
        self.assertGreater(float(re.search(r"^process_resident_memory_bytes (\S+)$", page, re.M).group(1)), 1e6)
        self.assertRegex(page, r'tapir_edge_certificate_end_timestamp_seconds\{setting="core.cert"\} [1-9]')
        self.assertRegex(page, r"tapir_edge_frame_delay_seconds_count [1-9]")
        self.stop()

    def test_the_status_says_what_is_going_on(self):
        self.start()
        self.send("www.fresh-name.se")
        self.send("listed.example", 5)
        status = wait_for("the release", lambda: (s := self.status())["domains"] and s["outbox"]["batches"] and s)
        self.assertEqual([one["domain"] for one in status["domains"]], ["fresh-name.se"])
        self.assertEqual(status["profile"], "standard")
        self.assertEqual(status["frames"]["total"], sum(f["total"] for f in status["frames"]["fates"]))
        self.assertIn({"list": "well_known", "entries": 1}, [{k: e[k] for k in ("list", "entries")} for e in status["lists"]])
        wait_for("the ledger's head", lambda: self.status()["ledger"]["root"])
        self.assertNotIn("10.0.0.", json.dumps(status))
        by_socket = edge("top", "--socket", self.folder / "status.sock", "--json")
        self.assertEqual(json.loads(by_socket.stdout)["program"], "tapir-edge")
        once = edge("top", "--config", self.config, "--once")
        self.assertEqual(once.returncode, 0, once.stderr)
        self.assertIn("fresh-name.se", once.stdout)
        self.stop()
        self.assertEqual(edge("top", "--config", self.config, "--once").returncode, 1)

    def test_top_lives_in_a_terminal_and_leaves_it_as_it_was(self):
        self.start()
        self.send("www.fresh-name.se")
        wait_for("the release", lambda: self.status()["domains"])
        child, terminal = pty.fork()
        if child == 0:
            os.execv(BIN / "tapir-edge", ["tapir-edge", "top", "--config", str(self.config)])
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        before = termios.tcgetattr(terminal)[3]
        shown = b""

        def read():
            nonlocal shown
            while select.select([terminal], [], [], 0.1)[0]:
                try:
                    octets = os.read(terminal, 65536)
                except OSError:  # the other side is gone
                    return
                if not octets:
                    return
                shown += octets

        wait_for("a screen", lambda: read() or b"fresh-name.se" in shown)
        last = shown.rsplit(b"\x1b[H", 1)[1].split(b"\x1b[J")[0]
        lines = [re.sub(rb"\x1b\[K", b"", line).rstrip(b"\r") for line in last.split(b"\n")]
        self.assertLessEqual(len(lines), 24)
        self.assertLessEqual(max(len(line) for line in lines), 80)
        shown = b""
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 40, 0, 0))
        wait_for("a smaller screen", lambda: read() or any(
            frame and max(len(re.sub(rb"\x1b\[.", b"", line).rstrip(b"\r")) for line in frame.split(b"\n")) <= 40
            for frame in shown.split(b"\x1b[H")[1:-1]))
        os.write(terminal, b"q")
        status = wait_for("the end", lambda: read() or os.waitpid(child, os.WNOHANG)[0] == child and [0])
        self.assertTrue(status)
        self.assertTrue(shown.endswith(b"\x1b[?25h\x1b[?1049l"), shown[-40:])
        self.assertEqual(termios.tcgetattr(terminal)[3], before)
        os.close(terminal)
        self.stop()

    def test_the_service_manager_is_told(self):
        path = str(self.folder / "notify.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(PATIENCE_S)
            self.start(NOTIFY_SOCKET=path, WATCHDOG_USEC="60000000")
            self.assertTrue(manager.recv(4096).startswith(b"READY=1\nSTATUS=ready, profile standard"))
            self.assertEqual(manager.recv(4096), b"WATCHDOG=1")
            self.stop()
            said = [manager.recv(4096)]
            while said[-1] == b"WATCHDOG=1":
                said.append(manager.recv(4096))
            self.assertEqual(said[-1], b"STOPPING=1")

    def test_check_says_what_would_not_work(self):
        good = edge("check", "--config", self.config)
        self.assertEqual(good.returncode, 0, good.stdout)
        self.assertIn("ok    keys.signing: Ed25519, kid edge-1.example", good.stdout)
        (self.folder / "edge.key").chmod(0o644)
        bad = edge("check", "--config", self.config)
        self.assertEqual(bad.returncode, 1)
        self.assertIn("FAIL  core.key", bad.stdout)
        # The daemon keeps to the same rule.
        started = edge("run", "--config", self.config)
        self.assertEqual(started.returncode, 1)
        self.assertIn("core.key: expected a key file that others cannot read", started.stderr)
        (self.folder / "edge.key").chmod(0o600)
        online = edge("check", "--config", self.config, "--online")
        self.assertEqual(online.returncode, 1)
        self.assertIn("FAIL  core.url", online.stdout)
        self.assertNotIn((self.folder / "edge.key").read_text().splitlines()[1], good.stdout + bad.stdout + online.stdout)
        self.config.write_text("no.such = 1\n")
        self.assertIn(f"FAIL  settings: {self.config}:1: no", edge("check", "--config", self.config).stdout)

    def test_a_newer_state_is_refused(self):
        self.start()
        self.stop()
        version = self.folder / "state/version"
        self.assertEqual(version.read_text(), "1\n")
        version.write_text("2\n")
        refused = edge("run", "--config", self.config)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("the state is of version 2, this program knows 1", refused.stderr)


if __name__ == "__main__":
    unittest.main()
