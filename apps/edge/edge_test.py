"""tapir-edge as its users meet it: a start that fails says why, bad input is counted, a stop loses nothing."""
import base64
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
SOURCE = pathlib.Path(os.environ["TAPIR_SOURCE"])
PATIENCE_S = 60
sys.path.insert(0, str(SOURCE / "lab/real"))
from frames import ACCEPT, CONTENT, READY, capture, control, dns_answer, dnstap_response  # noqa: E402
from processes import free_port  # noqa: E402


def wait_for(what, condition, patience_s=PATIENCE_S):
    deadline = time.monotonic() + patience_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {patience_s} s for {what}"
        time.sleep(0.02)
    return result


class Edge(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="tapir-edge-")
        self.addCleanup(self._folder.cleanup)
        self.folder = pathlib.Path(self._folder.name)
        subprocess.run([BIN / "tapir", "keys", "new", "--kid", "edge-1.example", "--out", self.folder], check=True,
                       capture_output=True)
        self.port = free_port()
        self.config = self.folder / "edge.toml"
        self.settings = {"input.unix": f'"{self.folder}/dnstap.sock"', "state.dir": f'"{self.folder}/state"',
                         "keys.signing": f'"{self.folder}/edge-1.example.jwk"', "metrics.listen": f'"127.0.0.1:{self.port}"',
                         "client_networks": '["10.0.0.0/8"]', "release.batch_s": "1"}

    def write(self, **more):
        lines = [f"{key} = {value}" for key, value in self.settings.items()]
        lines += [f"{key.replace('__', '.')} = {value}" for key, value in more.items()]
        self.config.write_text("\n".join(lines) + "\n")
        return len(lines)  # the number of the last line

    def refused(self):
        done = subprocess.run([BIN / "tapir-edge", "run", "--config", self.config], capture_output=True, text=True,
                              timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def start(self, *options):
        starts = self.log().count('"ready"') if (self.folder / "log").exists() else 0
        with open(self.folder / "log", "ab") as log, open(self.folder / "stdout", "wb") as said:
            self.process = subprocess.Popen([BIN / "tapir-edge", "run", "--config", self.config, *options], stdout=said,
                                            stderr=log)
        self.addCleanup(self.process.kill)
        wait_for("the edge", lambda: self.process.poll() is not None or self.log().count('"ready"') > starts)
        self.assertIsNone(self.process.poll(), self.log())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE_S), 0, self.log())

    def log(self):
        return (self.folder / "log").read_text()

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as page:
            for line in page.read().decode().splitlines():
                if line.startswith(name + " "):
                    return int(line.rsplit(" ", 1)[1])
        return 0

    def all_frames(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as page:
            return sum(int(line.rsplit(" ", 1)[1]) for line in page.read().decode().splitlines()
                       if line.startswith("tapir_edge_frames_total{"))

    def frames(self, fate, reason):
        return self.metric(f'tapir_edge_frames_total{{fate="{fate}",reason="{reason}"}}')

    def send(self, octets):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.folder / "dnstap.sock"))
            peer.sendall(octets)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096):
                pass

    def test_a_bad_start_names_file_line_and_key(self):
        line = self.write(histogram__no_such="1")
        self.assertIn(f"{self.config}:{line}: histogram.no_such: expected", self.refused())
        line = self.write(lists__well_known='"/nowhere/names.txt"')
        self.assertIn(f"{self.config}:{line}: lists.well_known: expected a readable file", self.refused())
        names = self.folder / "names.txt"
        names.write_text("good.se\n" + "x" * 64 + ".se\n")
        self.write(lists__well_known=f'"{names}"')
        self.assertIn(f"{names}:2: ", self.refused())
        clients = self.folder / "clients.txt"
        clients.write_text("# ours\n10.0.0.0/8\n10.0.0.0/99\n")
        self.write(lists__ignored_clients=f'"{clients}"')
        self.assertIn(f"{clients}:3: ", self.refused())
        for key, wrong, expected, why in (("url", "mqtt://192.0.2.1", "a broker that can be spoken to", "on loopback only"),
                                          ("topic_prefix", "events/#", "words joined by /", "events/#"),
                                          ("ca", "/nowhere/ca.pem", "a readable file", "/nowhere/ca.pem")):
            line = self.write(**{"mqtt__url": '"mqtt://127.0.0.1"', f"mqtt__{key}": f'"{wrong}"'})
            refused = self.refused()
            self.assertIn(f"{self.config}:{line}: mqtt.{key}: expected {expected}", refused)
            self.assertIn(why, refused)
        self.write(mqtt__url='"mqtt://127.0.0.1"', mqtt__cert=f'"{self.config}"')
        self.assertIn(f"{self.config}: mqtt.key: expected both a certificate and its key", self.refused())
        line = self.write(workers="0")
        self.assertIn(f"{self.config}:{line}: workers: expected at least 1", self.refused())
        line = self.write(workers='"many"')
        self.assertIn(f"{self.config}:{line}: workers: expected", self.refused())
        (self.folder / "edge-1.example.jwk").chmod(0o644)
        self.write()
        self.assertIn("keys.signing", self.refused())

    def test_bad_input_is_counted_and_the_edge_goes_on(self):
        self.write()
        self.start()
        good = dnstap_response(dns_answer("www.fresh-name.se"), bytes([10, 0, 0, 1]), int(time.time()))
        answer = dns_answer("www.fresh-name.se")
        looping = answer[:12] + b"\xc0\x0c" + answer[14:]
        bad = [b"\xff" * 5, *(dnstap_response(octets, bytes([10, 0, 0, 1]), int(time.time()))
                              for octets in (answer[:5], answer[:20], b"", answer[:12], looping))]
        self.send(capture([*bad, good]))
        self.send(capture([good])[:-20])  # ends inside the frame
        self.send(control(4, CONTENT)[:7])
        self.send(b"GET / HTTP/1.1\r\n\r\n")
        oversized = struct.pack("!I", 300_000) + bytes(300_000)
        octets = capture([good])
        start = len(control(2, CONTENT))
        self.send(octets[:start] + oversized + octets[start:])
        wait_for("the frames", lambda: self.frames("frame", "oversized") == 1 and self.frames("frame", "truncated") >= 1)
        wait_for("the good ones", lambda: self.frames("pending", "first_client") + self.frames("pending", "waiting") == 2)
        self.assertEqual(self.frames("frame", "undecodable"), 1)
        self.assertEqual(self.frames("dns", "malformed"), 4)
        self.assertEqual(self.frames("dns", "no_question"), 1)
        self.assertGreaterEqual(self.metric('tapir_edge_streams_ended_total{how="failed"}'), 1)
        for said in ("over the size limit", "ended inside a frame", "does not speak Frame Streams"):
            self.assertIn(said, self.log())
        self.stop()
        self.assertNotIn("10.0.0.1", self.log())

    def test_a_handshake_and_what_is_released_lies_in_outbox_and_ledger(self):
        self.write()
        self.start()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.folder / "dnstap.sock"))
            peer.sendall(control(READY, CONTENT))
            self.assertEqual(peer.recv(4096), control(ACCEPT, CONTENT))
            now = int(time.time())
            peer.sendall(capture([dnstap_response(dns_answer("www.fresh-name.se"), bytes([10, n % 4, 0, n]), now)
                                  for n in range(100)]))
            wait_for("FINISH", lambda: peer.recv(4096))
        wait_for("the domain's release, and the host's", lambda: self.frames("released", "now") == 2)
        self.stop()
        shown = subprocess.run([BIN / "tapir", "ledger", "verify", self.folder / "state/ledger"], check=True,
                               capture_output=True, text=True).stdout
        self.assertIn("all agree with the checkpoint", shown)
        sent = "".join(path.read_text() for path in (self.folder / "state/batches").rglob("new_qname.json"))
        self.assertEqual(sent.count('"signature"'), 2)
        self.start()  # and once more: the outbox is taken up again
        self.assertGreaterEqual(self.metric("tapir_edge_outbox_batches"), 1)
        self.stop()

    def test_lists_and_settings_change_while_frames_come(self):
        names, clients = self.folder / "names.txt", self.folder / "clients.txt"
        names.write_text("one.se\n")
        clients.write_text("192.0.2.0/24\n")
        lists = {"lists__well_known": f'"{names}"', "lists__ignored_clients": f'"{clients}"'}
        self.write(**lists)
        self.start()
        self.assertEqual(self.metric('tapir_edge_list_entries{list="well_known"}'), 1)
        asked = 0

        def ask():  # every name from every client: one is listed, before and after
            nonlocal asked
            asked += 20
            self.send(capture([dnstap_response(dns_answer(name), bytes([10, 0, 0, n]), int(time.time()))
                               for name in ("one.se", "two.se") for n in range(10)]))

        def reloads(outcome):
            return self.metric(f'tapir_edge_reloads_total{{outcome="{outcome}"}}')

        ask()
        clients.write_text("10.0.0.0/8\nnonsense\n")
        names.write_text("two.se\n")
        self.process.send_signal(signal.SIGHUP)
        wait_for("the refusal", lambda: reloads("refused") >= 1)
        self.assertIn(f"{clients}:2: expected an address or a network", self.log())
        ask()
        self.assertEqual(self.metric('tapir_edge_list_entries{list="well_known"}'), 1)
        clients.write_text("10.0.0.9\n")
        self.write(**lists, workers="2")
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: reloads("done") == 1)
        self.assertIn('"setting":"workers"', self.log())
        self.assertIn('"list":"well_known","added":1,"removed":1,"kept":0', self.log())

        def counts():  # none is ignored until the minute turns
            ask()
            return self.frames("ignored", "client") > 0

        wait_for("the minute", counts, 90)
        compiled = self.folder / "new"
        subprocess.run([BIN / "tapir", "list", "compile", names, "--out", compiled], check=True, capture_output=True)
        compiled.rename(names)  # seen without a signal, and found to be an index
        wait_for("the index", lambda: reloads("done") == 2)
        wait_for("every frame, once", lambda: self.all_frames() == asked)
        self.assertEqual(self.frames("dropped", "overload"), 0)
        self.stop()

    def test_a_start_after_a_crash_says_that_counts_are_lost(self):
        self.write()
        self.start()
        self.process.kill()
        self.process.wait()
        self.start()
        self.assertEqual(self.metric("tapir_edge_unclean_starts_total"), 1)
        self.assertIn("the last run did not end in order", self.log())
        self.stop()
        self.start()
        self.assertEqual(self.metric("tapir_edge_unclean_starts_total"), 0)
        self.stop()

    def test_a_dry_run_sends_nothing_and_says_what_would_have_left(self):
        self.write(core__url='"https://127.0.0.1:1"')
        self.start("--dry-run")
        now = int(time.time())
        self.send(capture([dnstap_response(dns_answer("www.fresh-name.se"), bytes([10, n % 4, 0, n]), now)
                           for n in range(100)]))
        wait_for("the domain's release, and the host's", lambda: self.frames("released", "now") == 2)
        self.stop()
        said = (self.folder / "stdout").read_text()
        self.assertIn("nothing was sent", said)
        self.assertIn("names that would have been told of: 2\n  fresh-name.se.\n  www.fresh-name.se.\n", said)
        self.assertEqual(self.log().count("cannot be reached"), 0)
        self.assertFalse((self.folder / "state/batches").exists(), "the edge's own state is not touched")
        self.assertTrue((self.folder / "state/dry-run/batches").exists())

    def test_a_person_releases_a_name_and_is_told(self):
        self.write()
        self.start()
        ask = [BIN / "tapir", "release", "--state", self.folder / "state", "--why", "found by hand"]
        done = subprocess.run([*ask, "evil.se"], capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("evil.se: it left", done.stdout)
        done = subprocess.run([*ask, "annas-iphone.evil.se"], capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn("id--device.evil.se.", done.stderr)
        self.stop()
        leaves = "".join(path.read_text() for path in (self.folder / "state/batches").rglob("leaf.json"))
        self.assertIn('"names":{"by_person":1}', leaves)
        self.assertNotIn("evil", leaves)

    def test_explain_takes_captures_and_names(self):
        frames = [dnstap_response(dns_answer("www.fresh-name.se"), bytes([10, 0, 0, n]), 1_790_000_040) for n in range(5)]
        (self.folder / "in.fstrm").write_bytes(capture(frames))
        done = subprocess.run([BIN / "tapir-edge", "explain", self.folder / "in.fstrm", "www.fresh-name.se"],
                              capture_output=True, text=True, check=True)
        self.assertIn("fresh-name.se. is its registered domain", done.stdout)
        self.assertIn("#5    held      R3", done.stdout)
        self.assertIn("5 messages under standard", done.stdout)
        self.assertNotIn("10.0.0.", done.stdout)

    def test_what_a_list_knows_is_not_new(self):
        """Imported while the edge is stopped, and through its folder while it runs."""
        known = self.folder / "known.txt"
        known.write_text("# before us\nwww.before.se\nno..name\n")
        self.write()
        done = subprocess.run([BIN / "tapir-edge", "import-seen", "--config", self.config, known], check=True,
                              capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertIn("1 names, 2 new marks, 1 malformed lines", done.stdout)
        self.assertIn("known.txt:3: expected a name", done.stdout)
        self.start()
        busy = subprocess.run([BIN / "tapir-edge", "import-seen", "--config", self.config, known],
                              capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(busy.returncode, 1)
        self.assertIn("import/", busy.stderr)
        lists = self.folder / "state/import"
        lists.mkdir()
        (lists / "later.csv.part").write_text("1,later.se\n")
        (lists / "later.csv.part").rename(lists / "later.csv")
        wait_for("the import", (lists / "later.csv.imported").exists)
        now = int(time.time())
        for name in ("www.before.se", "later.se", "www.fresh-name.se"):
            self.send(capture([dnstap_response(dns_answer(name), bytes([10, n % 4, 0, n]), now) for n in range(100)]))
        wait_for("the release", lambda: self.frames("released", "now") >= 1)
        self.stop()
        sent = "".join(path.read_text() for path in (self.folder / "state/batches").rglob("new_qname.json"))
        events = [json.loads(base64.urlsafe_b64decode(payload + "=="))
                  for payload in re.findall(r'"payload" *: *"([^"]+)"', sent)]
        self.assertIn("fresh-name.se.", {event["qname"] for event in events})
        self.assertFalse([event for event in events if not event["qname"].endswith("fresh-name.se.")])

    def test_examples_are_settings(self):
        for program in ("tapir-edge", "tapir-policy", "tapir-core"):
            example = subprocess.run([BIN / program, "example-settings"], check=True, capture_output=True, text=True).stdout
            self.assertIn("# ", example)
            help_text = subprocess.run([BIN / program, "help-settings"], check=True, capture_output=True, text=True).stdout
            self.assertIn("state.dir", help_text)

    def test_the_twin_accounts_for_every_frame(self):
        frames = [dnstap_response(dns_answer("www.fresh-name.se"), bytes([10, 0, 0, n]), 1_790_000_040) for n in range(5)]
        (self.folder / "in.fstrm").write_bytes(capture([*frames, b"\xff"]))
        out = self.folder / "out"
        done = subprocess.run([BIN / "tapir-edge", "process", self.folder / "in.fstrm", "--out", out], capture_output=True,
                              text=True, check=True)
        self.assertIn("test key", done.stderr)
        report = json.loads((out / "report.json").read_text())
        self.assertEqual(report["frames"]["read"], 6)
        self.assertEqual(sum(n for group in report["frames"]["fates"].values() for n in group.values()), 6)


if __name__ == "__main__":
    unittest.main()
