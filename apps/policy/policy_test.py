"""tapir-policy from outside: feed, lists, transfers, restarts, and real resolvers that follow it.

Everything is on the loopback address, on free ports, in a temporary folder; unbound and BIND are
copies of the distribution's programs (a confinement profile may forbid them the folder otherwise).
"""
import base64
import http.server
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(os.environ.get("TAPIR_SOURCE", ".")).resolve() / "lab/real"))
from processes import free_port  # noqa: E402

POLICY = pathlib.Path(os.environ.get("TAPIR_BIN", "build/dev/bin")).resolve() / "tapir-policy"
SECRET = base64.b64encode(bytes(range(32))).decode()
TSIG = f"hmac-sha256:rpz-key:{SECRET}"
KID = "core-test"
WAIT_S = 30


def b64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def wait_for(what, condition, seconds=WAIT_S):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e9):09d}Z"


class Signer:
    """An Ed25519 key that signs observations, by the openssl program."""

    def __init__(self, folder):
        self.folder = folder
        self.pem = folder / "core.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.pem], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", self.pem, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "kid": KID, "alg": "EdDSA", "x": b64url(der[-32:])}

    def sign(self, payload):
        protected = b64url(json.dumps({"alg": "EdDSA", "kid": KID}).encode())
        body = b64url(json.dumps(payload).encode())
        source = self.folder / "to-sign"
        source.write_text(f"{protected}.{body}")
        signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.pem, "-in", source], check=True,
                                   capture_output=True).stdout
        return json.dumps({"payload": body, "protected": protected, "signature": b64url(signature)})

    def observation(self, added=(), removed=(), ttl=3600, tags=1):
        now = time.time()
        item = lambda name: {"name": name, "time_added": rfc3339(now), "ttl": ttl, "tag_mask": tags, "extended_tags": []}
        return self.sign({"src_name": "dns-tapir", "creator": "test", "msg_type": "observation", "list_type": "doubtlist",
                          "added": [item(name) for name in added], "removed": [item(name) for name in removed], "msg": "",
                          "timestamp": rfc3339(now), "time_str": ""})


class Core:
    """The two resources of a core that policy follows."""

    def __init__(self):
        self.messages, self.next_id, self.streams = [], 1, []
        self.asked = []  # Last-Event-ID of each stream
        core = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                if self.path == "/api/v1/observations":
                    body = json.dumps({"last_id": str(core.next_id - 1), "observations": [json.loads(m) for m in core.messages]}).encode()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                events = queue.Queue()
                core.asked.append(self.headers.get("Last-Event-ID"))
                core.streams.append(events)
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                self.close_connection = True
                while (event := events.get()) is not None:
                    self.wfile.write(event.encode())
                    self.wfile.flush()

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def send(self, jws):
        event = f"id: {self.next_id}\ndata: {jws}\n\n"
        self.next_id += 1
        for stream in self.streams:
            stream.put(event)

    def reset(self):
        for stream in self.streams:
            stream.put(f"event: reset\ndata: {self.next_id - 1}\n\n")

    def stop(self):
        for stream in self.streams:
            stream.put(None)
        self.server.shutdown()
        self.server.server_close()


class Authority:
    """Answers every question with 192.0.2.1: what the resolvers forward to."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            end = query.index(b"\0", 12) + 5
            is_a = query[end - 4:end - 2] == b"\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2\1" if is_a else b""
            self.socket.sendto(query[:2] + b"\x84\0" + struct.pack(">HHHH", 1, 1 if is_a else 0, 0, 0) + query[12:end] + answer, peer)

    def stop(self):
        self.socket.close()


class PolicyTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tapir-policy-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.children = []
        self.addCleanup(self.stop_all)
        self.rpz_port, self.metrics_port = free_port(), free_port()
        self.signer = Signer(self.folder)
        (self.folder / "keys.jwks").write_text(json.dumps({"keys": [self.signer.jwk]}))
        secret = self.folder / "tsig.secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        self.allow, self.deny = self.folder / "allow.txt", self.folder / "deny.txt"
        self.allow.write_text("good.example\n")
        self.deny.write_text("denied.example\ngood.example\n.tree.example\n")
        self.core = None
        self.settings = {"rpz.listen": f"127.0.0.1:{self.rpz_port}", "metrics.listen": f"127.0.0.1:{self.metrics_port}",
                         "lists.allow": [str(self.allow)], "lists.deny": [str(self.deny)], "lists.check": "100ms",
                         "policy.mode": "enforce", "policy.rules": {"globally_new": "nxdomain", "badip": "drop"},
                         "tsig.name": "rpz-key", "tsig.secret_file": str(secret), "state.dir": str(self.folder / "state")}

    def stop_all(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.kill()
                child.wait()
        if self.core:
            self.core.stop()

    def start_child(self, arguments, log, **more):
        with open(self.folder / log, "ab") as out:
            child = subprocess.Popen([str(a) for a in arguments], stdout=out, stderr=out, cwd=self.folder, **more)
        self.children.append(child)
        return child

    def write_config(self):
        def value(v):
            if isinstance(v, dict):
                return "{ " + ", ".join(f"{k} = {json.dumps(w)}" for k, w in v.items()) + " }"
            return json.dumps(v)
        config = self.folder / "policy.toml"
        config.write_text("".join(f"{key} = {value(v)}\n" for key, v in self.settings.items()))
        return config

    def start(self, wait=True):
        self.policy = self.start_child([POLICY, "run", "--config", self.write_config()], "policy.log")
        if wait:
            wait_for("the policy answers and is started", lambda: self.policy.poll() is None and self.metric("tapir_policy_serial"))
        return self.policy

    def follow_core(self):
        self.core = Core()
        self.settings |= {"core.url": self.core.url, "core.trusted_keys": str(self.folder / "keys.jwks")}

    def stop_policy(self):
        self.policy.terminate()
        self.assertEqual(self.policy.wait(20), 0, self.log())

    def log(self):
        return (self.folder / "policy.log").read_text()

    def page(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def metric(self, name):
        for line in self.page("/metrics").splitlines():
            if line.startswith(name + " "):
                return int(line.split()[1])
        return 0

    def dig(self, *arguments, port=None):
        return subprocess.run(["dig", "@127.0.0.1", "-p", str(port or self.rpz_port), "+tries=1", "+time=3", *arguments],
                              capture_output=True, text=True, timeout=60).stdout

    def serial(self):
        words = self.dig("dnstapir.", "SOA", "+short").split()
        return int(words[2]) if len(words) > 2 else 0

    def rules(self, *arguments):
        """The zone by AXFR as a sorted list; asserts that no owner stands twice."""
        out = self.dig("dnstapir.", "AXFR", "+noall", "+answer", *arguments)
        rules = sorted(" ".join((w[0].removesuffix(".dnstapir."), w[4])) for w in map(str.split, out.splitlines()) if len(w) > 4 and w[3] == "CNAME")
        owners = [rule.split()[0] for rule in rules]
        self.assertEqual(len(owners), len(set(owners)), out)
        return rules

    def ixfr(self, serial):
        return self.dig("dnstapir.", f"IXFR={serial}", "+noall", "+answer")

    def rcode(self, name, port):
        for line in self.dig(name, "A", port=port).splitlines():
            if "status: " in line:
                return line.split("status: ")[1].split(",")[0]
        return None


class Serving(PolicyTest):
    LISTED = ["*.tree.example .", "denied.example ."]

    def test_lists_alone_without_a_core(self):
        self.start()
        self.assertEqual(self.rules(), self.LISTED)
        soa = self.dig("DNSTAPIR.", "SOA", "+notcp")
        self.assertIn("localhost. hostmaster.DNSTAPIR.", soa)
        self.assertIn("IN\tSOA", self.dig("dnstapir.", "SOA", "+tcp"))
        self.assertIn("status: REFUSED", self.dig("other.example.", "SOA"))
        # One SOA for who is current (RFC 1995).
        self.assertEqual(self.ixfr(self.serial()).count("SOA"), 1)
        self.stop_policy()

    def test_tsig_as_dig_and_kdig_have_it(self):
        self.settings["rpz.allow_plain"] = []
        self.start()
        self.assertIn("status: REFUSED", self.dig("dnstapir.", "SOA"))
        self.assertEqual(self.rules("-y", TSIG), self.LISTED)
        self.assertNotIn("WARNING", self.dig("dnstapir.", "AXFR", "-y", TSIG))
        kdig = subprocess.run(["kdig", "@127.0.0.1", "-p", str(self.rpz_port), "-y", TSIG, "dnstapir.", "AXFR"], capture_output=True, text=True)
        self.assertIn("denied.example.dnstapir.", kdig.stdout)
        self.assertNotIn("WARNING", kdig.stdout + kdig.stderr)
        wrong = base64.b64encode(b"x" * 32).decode()
        self.assertIn("BADSIG", self.dig("dnstapir.", "SOA", "-y", f"hmac-sha256:rpz-key:{wrong}"))
        self.assertIn("BADKEY", self.dig("dnstapir.", "SOA", "-y", f"hmac-sha256:other:{SECRET}"))
        self.stop_policy()

    def test_a_large_signed_transfer(self):
        self.deny.write_text("".join(f"n{i}.example\n" for i in range(30_000)))
        self.settings["rpz.allow_plain"] = []
        self.start()
        out = self.dig("dnstapir.", "AXFR", "-y", TSIG)
        self.assertEqual(out.count("CNAME"), 30_000)
        self.assertNotIn("WARNING", out)
        self.assertNotIn("Couldn't verify", out)
        self.stop_policy()

    def test_lists_are_read_again_and_kept_on_error(self):
        self.start()
        before = self.serial()
        self.deny.write_text("denied.example\nmore.example\n")
        wait_for("the changed list", lambda: self.rules() == ["denied.example .", "more.example ."])
        self.assertGreater(self.serial(), before)
        self.assertIn("more.example", self.ixfr(before))
        good = self.rules()
        self.deny.write_text("fine.example\n" + "x" * 64 + ".example\n")
        self.policy.send_signal(signal.SIGHUP)
        wait_for("the refused reload", lambda: 'tapir_policy_reloads_total{result="failed"}' in self.page("/metrics"))
        self.assertIn("deny.txt:2", self.log())
        self.assertEqual(self.rules(), good)
        self.deny.write_text("fine.example\n")
        wait_for("the mended list", lambda: self.rules() == ["fine.example ."])
        self.stop_policy()

    def test_a_bad_start_says_where(self):
        for change, expected in (({"policy.mode": "perhaps"}, "policy.toml:6: policy.mode: expected"),
                                 ({"policy.rules": {"looptest": "drop"}}, "policy.rules: expected a tag"),
                                 ({"rpz.zone": "a..b"}, "rpz.zone: expected"),
                                 ({"rpz.such": 1}, "rpz.such: expected"),
                                 ({"core.url": "http://127.0.0.1:1"}, "core.trusted_keys: expected"),
                                 ({"feed.transport": "mqtt"}, "policy.toml: mqtt.url: expected"),
                                 ({"feed.transport": "mqtt", "mqtt.url": "mqtts://b", "mqtt.key": "/nowhere"}, "mqtt.key: expected a readable file"),
                                 ({"feed.transport": "mqtt", "mqtt.url": "ftp://b", "mqtt.client_id": "p",
                                   "core.trusted_keys": str(self.folder / "keys.jwks")}, "mqtt.url: expected a broker"),
                                 ({"tsig.secret_file": "/nowhere"}, "tsig.secret_file: expected"),
                                 ({"lists.deny": ["/nowhere"]}, "lists.deny: expected")):
            with self.subTest(expected=expected):
                saved = dict(self.settings)
                self.settings |= change
                run = subprocess.run([POLICY, "run", "--config", self.write_config()], capture_output=True, text=True, timeout=30)
                self.settings = saved
                self.assertEqual(run.returncode, 1, run.stderr)
                self.assertIn(expected, run.stderr)
        self.deny.write_text("fine.example\na..b\n")
        run = subprocess.run([POLICY, "run", "--config", self.write_config()], capture_output=True, text=True, timeout=30)
        self.assertEqual(run.returncode, 1)
        self.assertIn("deny.txt:2: expected", run.stderr)

    def test_build_makes_the_same_zone_file_twice(self):
        feed = self.folder / "feed.jsonl"
        feed.write_text(self.signer.observation(["New.Example"]) + "\n" + self.signer.observation(["bad.example."], tags=4) + "\n")
        self.settings |= {"feed.files": [str(feed)], "core.trusted_keys": str(self.folder / "keys.jwks")}
        texts = []
        for out in ("a.zone", "b.zone"):
            subprocess.run([POLICY, "build", "--config", self.write_config(), "--out", self.folder / out], check=True, capture_output=True)
            texts.append((self.folder / out).read_text())
        self.assertEqual(texts[0], texts[1])
        self.assertIn("new.example.dnstapir. 3600 IN CNAME .\n", texts[0])
        self.assertIn("bad.example.dnstapir. 3600 IN CNAME rpz-drop.\n", texts[0])
        checked = subprocess.run(["named-checkzone", "dnstapir", self.folder / "a.zone"], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout)
        later = subprocess.run([POLICY, "build", "--config", self.write_config(), "--out", self.folder / "c.zone", "--now", "2200-01-01T00:00:00Z"],
                               capture_output=True, text=True)
        self.assertEqual(later.returncode, 0, later.stderr)
        self.assertNotIn("new.example", (self.folder / "c.zone").read_text())


class Feed(PolicyTest):
    def setUp(self):
        super().setUp()
        self.follow_core()

    def streaming(self):
        wait_for("the stream", lambda: self.core.streams and self.metric("tapir_policy_feed_connected"))

    def test_observations_come_expire_and_are_withdrawn(self):
        self.core.messages.append(self.signer.observation(["snap.example"]))
        self.start()
        self.streaming()
        wait_for("the snapshot", lambda: "snap.example ." in self.rules())
        self.core.send(self.signer.observation(["short.example"], ttl=2))
        self.core.send(self.signer.observation(["long.example", "good.example"]))
        wait_for("the entries", lambda: {"short.example .", "long.example ."} <= set(self.rules()))
        self.assertNotIn("good.example", " ".join(self.rules()))
        wait_for("the end of the short one", lambda: "short.example ." not in self.rules(), 10)
        self.core.send(self.signer.observation(removed=["LONG.example."]))
        wait_for("the removal", lambda: "long.example ." not in self.rules())
        said = json.loads(self.page("/explain?name=snap.example"))
        self.assertEqual((said["action"], said["rule"], said["tag"]), ("nxdomain", "tag", "globally_new"))
        self.assertEqual(json.loads(self.page("/explain?name=good.example"))["rule"], "allow")
        self.stop_policy()

    def test_reset_takes_a_snapshot_and_drops_what_is_not_in_it(self):
        self.start()
        self.streaming()
        self.core.send(self.signer.observation(["old.example"]))
        wait_for("the entry", lambda: "old.example ." in self.rules())
        self.core.messages.append(self.signer.observation(["new.example"]))
        self.core.reset()
        wait_for("the snapshot", lambda: "new.example ." in self.rules())
        self.assertNotIn("old.example .", self.rules())
        self.stop_policy()

    def test_bad_messages_are_counted_and_change_nothing(self):
        self.start()
        self.streaming()
        before = self.serial()
        good = json.loads(self.signer.observation(["bad.example"]))
        forged = dict(good, signature=b64url(bytes(64)))
        for message in ("no jws", json.dumps(forged), self.signer.sign({"src_name": "dns-tapir"})):
            self.core.send(message)
        self.core.send(self.signer.observation(["a..b", "x" * 64 + ".example", "fine.example"]))
        wait_for("the good one", lambda: "fine.example ." in self.rules())
        page = self.page("/metrics")
        for result in ("malformed", "bad_signature", "bad_msg_type", "accepted"):
            self.assertIn(f'tapir_policy_messages_total{{result="{result}"}} 1', page)
        self.assertIn('tapir_policy_entries_total{result="bad_label"} 2', page)
        self.assertEqual(self.serial(), before + 1)
        self.stop_policy()

    def test_kill_9_keeps_zone_serial_history_and_place(self):
        self.start()
        self.streaming()
        first = self.serial()
        for index in range(5):
            self.core.send(self.signer.observation([f"n{index}.example"]))
            wait_for("the entry", lambda index=index: f"n{index}.example ." in self.rules())
        rules, serial = self.rules(), self.serial()
        self.assertGreater(serial, first)
        self.policy.kill()
        self.policy.wait()
        for stream in self.core.streams:
            stream.put(None)
        self.core.streams.clear()
        self.start()
        self.assertEqual((self.rules(), self.serial()), (rules, serial))
        self.assertIn("n4.example", self.ixfr(first))
        self.assertEqual(self.ixfr(first).count("SOA"), 2 + 2 * (serial - first))
        self.streaming()
        self.assertEqual(self.core.asked[-1], "5")
        self.core.send(self.signer.observation(["after.example"]))
        wait_for("the next one", lambda: "after.example ." in self.rules())
        self.assertEqual(self.serial(), serial + 1)
        self.stop_policy()

    def test_serves_the_last_state_with_the_core_absent(self):
        self.start()
        self.streaming()
        self.core.send(self.signer.observation(["kept.example"]))
        wait_for("the entry", lambda: "kept.example ." in self.rules())
        self.stop_policy()
        self.core.stop()
        self.core = None
        self.start()
        self.assertIn("kept.example .", self.rules())
        self.stop_policy()

    def test_fault_11_transfers_in_a_loop_during_changes(self):
        self.deny.write_text("".join(f"n{i}.example\n" for i in range(20_000)))
        self.start()
        self.streaming()
        done = threading.Event()
        broken = []

        def transfer():
            while not done.is_set():
                out = self.dig("dnstapir.", "AXFR", "+noall", "+answer")
                soas = [line for line in out.splitlines() if "SOA" in line]
                if len(soas) != 2 or soas[0] != soas[1]:
                    broken.append(out[:300])
        threads = [threading.Thread(target=transfer) for _ in range(2)]
        for thread in threads:
            thread.start()
        for index in range(40):
            self.core.send(self.signer.observation([f"change{index}.example"]))
        wait_for("all changes", lambda: self.metric("tapir_policy_doubts") == 40)
        done.set()
        for thread in threads:
            thread.join()
        self.assertFalse(broken)
        self.stop_policy()

    def test_fault_5_a_notify_hangs_nothing(self):
        self.start()
        self.streaming()
        notify = struct.pack(">HHHHHH", 7, 0x2400, 1, 0, 0, 0) + b"\x08dnstapir\0" + struct.pack(">HH", 6, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.sendto(notify, ("127.0.0.1", self.rpz_port))
            self.assertEqual(struct.unpack(">HH", client.recv(512)[:4]), (7, 0xa400))
        self.core.send(self.signer.observation(["after.example"]))
        wait_for("the engine works on", lambda: "after.example ." in self.rules())
        self.stop_policy()


class Resolvers(PolicyTest):
    def setUp(self):
        super().setUp()
        self.follow_core()
        self.authority = Authority()
        self.addCleanup(self.authority.stop)
        self.resolver_port = free_port()
        self.settings["rpz.notify"] = [f"127.0.0.1:{self.resolver_port}"]

    def copy(self, program):
        if not pathlib.Path(program).exists():
            self.skipTest(f"no {program}")
        shutil.copy(program, self.folder / pathlib.Path(program).name)
        return self.folder / pathlib.Path(program).name

    def follows(self):
        """From NOTIFY to answers: rules come and go, and other names are let through."""
        port = self.resolver_port
        wait_for("the list's rule", lambda: self.rcode("denied.example", port) == "NXDOMAIN")
        wait_for("the stream", lambda: self.metric("tapir_policy_feed_connected"))
        self.assertEqual(self.rcode("fresh.example", port), "NOERROR")
        self.core.send(self.signer.observation(["fresh.example"]))
        began = time.monotonic()
        wait_for("the observed rule", lambda: self.rcode("fresh.example", port) == "NXDOMAIN")
        print(f"observation to NXDOMAIN: {1000 * (time.monotonic() - began):.0f} ms", flush=True)
        self.assertEqual(self.rcode("www.tree.example", port), "NXDOMAIN")
        self.assertEqual(self.rcode("other.example", port), "NOERROR")
        self.core.send(self.signer.observation(removed=["fresh.example"]))
        wait_for("the rule's end", lambda: self.rcode("fresh.example", port) == "NOERROR")
        page = self.page("/metrics")
        self.assertRegex(page, r'tapir_policy_transfers_total\{kind="ixfr"\} [2-9]')
        self.assertRegex(page, r'tapir_policy_notifies_total\{target="127.0.0.1:%d",result="acknowledged"\} [2-9]' % port)
        # A restart by kill -9: the resolver goes on from its serial.
        self.policy.kill()
        self.policy.wait()
        for stream in self.core.streams:
            stream.put(None)
        self.core.streams.clear()
        self.start()
        wait_for("the stream", lambda: self.metric("tapir_policy_feed_connected"))
        self.core.send(self.signer.observation(["again.example"]))
        wait_for("the rule after the restart", lambda: self.rcode("again.example", port) == "NXDOMAIN")
        self.assertRegex(self.page("/metrics"), r'tapir_policy_transfers_total\{kind="ixfr"\} [1-9]')
        self.stop_policy()

    def test_unbound_follows(self):
        program = self.copy("/usr/sbin/unbound")
        self.start()
        (self.folder / "unbound.conf").write_text(f"""
server:
  directory: "{self.folder}"
  chroot: ""
  username: ""
  pidfile: "{self.folder}/unbound.pid"
  interface: 127.0.0.1@{self.resolver_port}
  do-not-query-localhost: no
  use-syslog: no
  module-config: "respip iterator"
  cache-max-ttl: 0
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{self.authority.port}
rpz:
  name: "dnstapir."
  primary: 127.0.0.1@{self.rpz_port}
  allow-notify: 127.0.0.1
""")
        self.start_child([program, "-d", "-c", self.folder / "unbound.conf"], "unbound.log")
        self.follows()

    def test_bind_follows_with_tsig(self):
        program = self.copy("/usr/sbin/named")
        self.settings["rpz.allow_plain"] = ["::1"]  # the test itself asks from 127.0.0.1, with the key
        self.start()
        (self.folder / "named.conf").write_text(f"""
key "rpz-key" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
controls {{ }};
options {{
  directory "{self.folder}"; pid-file none; session-keyfile none; listen-on port {self.resolver_port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion yes; dnssec-validation no; forwarders {{ 127.0.0.1 port {self.authority.port}; }}; forward only; max-cache-ttl 0; max-ncache-ttl 0;
  response-policy {{ zone "dnstapir" min-update-interval 0; }} qname-wait-recurse no break-dnssec yes;
}};
zone "dnstapir" {{ type secondary; primaries {{ 127.0.0.1 port {self.rpz_port} key rpz-key; }}; file "dnstapir.db"; masterfile-format text;
  request-ixfr yes; allow-notify {{ 127.0.0.1; }}; allow-query {{ none; }}; }};
""")
        self.start_child([program, "-g", "-c", self.folder / "named.conf"], "named.log")
        self.follows()
        self.assertNotIn("failed", "".join(line for line in (self.folder / "named.log").read_text().splitlines(True) if "dnstapir" in line and "Transfer" in line and "refused" not in line))


if __name__ == "__main__":
    unittest.main(verbosity=2)
