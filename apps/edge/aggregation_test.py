"""Three sites and their aggregator, each a process of its own, with mutual TLS between them.

Everything that the sites send passes a listener in between, which has a certificate of the operator's CA, and is decoded.
"""
import base64
import collections
import functools
import http.client
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
SOURCE = pathlib.Path(os.environ["TAPIR_SOURCE"])
PATIENCE_S = 120
sys.path.insert(0, str(SOURCE / "lab/real"))
from frames import capture, dns_answer, dnstap_response  # noqa: E402
from keys import Authority  # noqa: E402
import processes  # noqa: E402

wait_for = functools.partial(processes.wait_for, timeout_s=PATIENCE_S)

SITES = ("site-1", "site-2", "site-3")
CLIENTS = 9  # of a name at one site: fewer than any threshold, which is 10 at the least
TOGETHER = [f"together-{n}.se" for n in range(8)]
TOO_FEW = "too-few.se"
WHO_ASKED = 8  # a client who has asked for all of these, at another site than the second
HEADER = struct.Struct("!4sBBHIIQII")
RECORD = struct.Struct("!QBBHI")


def address(number):
    """Client `number`, in one of five networks."""
    return bytes([10, 77, number % 5, 10 + number // 5])


class Tap(threading.Thread):
    """Between sites and aggregator: keeps what passes, per site."""

    def __init__(self, folder, to_port):
        super().__init__(daemon=True)
        self.posts = collections.defaultdict(list)
        self.answers = []
        tap = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                subject = dict(pair[0] for pair in self.connection.getpeercert()["subject"])
                site = subject["commonName"]
                tap.posts[site].append((dict(self.headers), body))
                context = ssl.create_default_context(cafile=folder / "ca.pem")
                context.load_cert_chain(folder / f"{site}.pem", folder / f"{site}.key")
                onward = http.client.HTTPSConnection("127.0.0.1", to_port, context=context, timeout=20)
                try:
                    onward.request("POST", self.path, body, {"Content-Type": self.headers["Content-Type"]})
                    answer = onward.getresponse()
                    status, octets = answer.status, answer.read()
                except OSError:
                    status, octets = 502, b""
                finally:
                    onward.close()
                tap.answers.append((status, octets))
                self.send_response(status)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a site that stops hangs up

        self.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(folder / "aggregator.pem", folder / "aggregator.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port

    def run(self):
        self.server.serve_forever()


class Aggregation(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tapir-aggregation-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        operator = Authority(self.folder)
        for name in ("aggregator", *SITES):
            operator.issue(name)
        Authority(self.folder / "somebody").issue("stranger")
        self.processes = {}
        servers = ("aggregator", "aggregator-metrics", *SITES)
        self.ports = dict(zip(servers, processes.free_ports(len(servers))))
        self.start_aggregator()
        self.tap = Tap(self.folder, self.ports["aggregator"])
        self.tap.start()
        self.addCleanup(self.tap.server.shutdown)
        subprocess.run([BIN / "tapir-edge", "new-group-key", self.folder / "group.key"], check=True)
        for name in SITES:
            self.start_site(name)

    def start(self, name, *words):
        log = self.folder / f"{name}.log"
        with open(log, "ab") as sink:
            self.processes[name] = subprocess.Popen([BIN / "tapir-edge", *words], stderr=sink)
        self.addCleanup(self.processes[name].kill)
        ready = re.compile(r'"ready')
        wait_for(name, lambda: self.processes[name].poll() is not None or ready.search(log.read_text()))
        self.assertIsNone(self.processes[name].poll(), log.read_text())

    def start_aggregator(self):
        config = self.folder / "aggregator.toml"
        config.write_text(f"""
            listen = "127.0.0.1:{self.ports['aggregator']}"
            tls.cert = "{self.folder}/aggregator.pem"
            tls.key = "{self.folder}/aggregator.key"
            tls.client_ca = "{self.folder}/ca.pem"
            metrics.listen = "127.0.0.1:{self.ports['aggregator-metrics']}"
            """)
        self.start("aggregator", "aggregate", "--config", config)

    def start_site(self, name):
        home = self.folder / name
        home.mkdir()
        subprocess.run([BIN / "tapir", "keys", "new", "--kid", f"{name}.example", "--out", home], check=True,
                       capture_output=True)
        (home / "group.key").write_bytes((self.folder / "group.key").read_bytes())
        (home / "group.key").chmod(0o600)
        config = home / "edge.toml"
        config.write_text(f"""
            input.unix = "{home}/dnstap.sock"
            state.dir = "{home}/state"
            keys.signing = "{home}/{name}.example.jwk"
            metrics.listen = "127.0.0.1:{self.ports[name]}"
            client_networks = ["10.0.0.0/8"]
            release.batch_s = 1
            aggregation.url = "https://127.0.0.1:{self.tap.port}"
            aggregation.ca = "{self.folder}/ca.pem"
            aggregation.cert = "{self.folder}/{name}.pem"
            aggregation.key = "{self.folder}/{name}.key"
            aggregation.group_key = "{home}/group.key"
            """)
        self.start(name, "run", "--config", config)

    def stop(self, name):
        self.processes[name].send_signal(signal.SIGTERM)
        self.assertEqual(self.processes[name].wait(PATIENCE_S), 0, (self.folder / f"{name}.log").read_text())

    def ask(self, site, name, clients):
        now = int(time.time())
        octets = capture([dnstap_response(dns_answer(name), address(n), now) for n in clients])
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.folder / site / "dnstap.sock"))
            peer.sendall(octets)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096):
                pass

    def metrics(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=10) as page:
            return page.read().decode()

    def metric(self, process, name):
        found = re.search(rf"^{re.escape(name)} (\d+)$", self.metrics(process), re.M)
        return int(found.group(1)) if found else 0

    def told(self, site):
        return self.metric(site, 'tapir_edge_group_sightings_total{outcome="told"}')

    def heard(self, site):
        return self.metric(site, "tapir_edge_group_known")

    def events(self, site):
        """The names that have left this site, decoded."""
        def read():
            try:
                return [path.read_text() for path in (self.folder / site / "state/batches").rglob("new_qname*.json")],
            except FileNotFoundError:  # a folder got its final name while we looked
                return None

        texts, = wait_for("a moment in which no batch is written", read)
        names = []
        for message in (message for text in texts for message in json.loads(text)):
            payload = message["payload"]
            names.append(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["qname"])
        return names

    def wait_for_rounds(self):
        """Until each site has spoken with the aggregator twice, and what it heard counts."""
        before = {site: len(self.tap.posts[site]) for site in SITES}
        for site in SITES:
            wait_for("more rounds", lambda site=site: len(self.tap.posts[site]) > before[site] + 2)

    def wait_until_told(self, sites, records):
        for site in sites:
            wait_for(f"{site} to tell", lambda site=site: self.told(site) >= records)

    def test_together_they_reach_what_none_reaches_alone(self):
        for s, site in enumerate(SITES):
            for name in TOGETHER:
                self.ask(site, name, range(s * CLIENTS, (s + 1) * CLIENTS))
            self.ask(site, TOO_FEW, range(s * 3, s * 3 + 3))
        self.wait_until_told(SITES, len(TOGETHER) * (CLIENTS - 1))
        # 27 clients are enough for nearly every threshold of 10 to 40 around 20.
        released = wait_for("the aggregator", lambda: self.metric("aggregator-metrics", "tapir_aggregator_released_names"))
        wait_for("site-2 to hear", lambda: self.heard("site-2") >= released)
        for site in SITES:
            self.assertEqual(self.events(site), [], "nobody has asked since")

        def asked_again():
            """Whether site-2 has released what the aggregator has: its last sightings may just have come."""
            for name in (*TOGETHER, TOO_FEW):
                self.ask("site-2", name, [WHO_ASKED])
            return len(self.events("site-2")) == self.metric("aggregator-metrics", "tapir_aggregator_released_names")

        wait_for("site-2 to release", asked_again)
        left = self.events("site-2")
        self.assertTrue(set(left) <= {name + "." for name in TOGETHER}, left)
        self.assertEqual(len(left), len(set(left)))
        self.assertEqual(self.metric("site-2", "tapir_edge_group_released_total"), len(left))
        of_group = r"tapir_(?:edge_group|aggregator)_[a-z_]+"
        live = set(re.findall(rf"^# TYPE ({of_group}) ", self.metrics("site-2") + self.metrics("aggregator-metrics"), re.M))
        documented = set(re.findall(rf"`({of_group})`", (SOURCE / "docs/operating/aggregation.md").read_text()))
        self.assertEqual(live, documented)
        wait_for("all to be told that they are taken", lambda: self.taken() == len(left))
        self.wait_for_rounds()
        for site in ("site-1", "site-3"):
            self.ask(site, left[0].rstrip("."), range(3))
        self.wait_for_rounds()
        self.assertEqual(self.events("site-1"), [])
        self.assertEqual(self.events("site-3"), [])
        for name in SITES:
            self.stop(name)
            shown = subprocess.run([BIN / "tapir", "ledger", "verify", self.folder / name / "state/ledger"], check=True,
                                   capture_output=True, text=True).stdout
            self.assertIn("all agree with the checkpoint", shown)
            self.assertNotIn(TOO_FEW + ".", self.events(name))
        self.stop("aggregator")
        self.look_into_what_was_told()

    def taken(self):
        """How many names are taken, as the answers say."""
        names = set()
        for status, octets in self.tap.answers:
            if status == 200:
                count = HEADER.unpack_from(octets)[7]
                for n in range(count):
                    name, state = struct.unpack_from("!QB", octets, HEADER.size + 9 * n)
                    names |= {name} if state == 2 else set()
        return len(names)

    def look_into_what_was_told(self):
        """Every octet that a site sent is accounted for, and what it says is neither name nor address."""
        asked = {name.encode() for name in (*TOGETHER, TOO_FEW)}
        addresses = {struct.unpack("!I", address(n))[0] for n in range(3 * CLIENTS)}
        networks = {number >> 8 for number in addresses}
        fingerprints = collections.defaultdict(set)
        for site, posts in self.tap.posts.items():
            self.assertIn(site, SITES)
            for fields, body in posts:
                self.assertEqual(set(map(str.lower, fields)) - {"accept", "host", "content-type", "content-length"}, set())
                self.assertEqual(len(body) % 4096, 0)
                magic, version, profile, zero, day, _, _, count, zero_too = HEADER.unpack_from(body)
                self.assertEqual((magic, version, profile, zero, zero_too), (b"TAPS", 1, 0, 0, 0))
                self.assertIn(int(time.time()) // 86400 - day, (0, 1))
                records = [RECORD.unpack_from(body, HEADER.size + RECORD.size * n) for n in range(count)]
                self.assertEqual(records, sorted(set(records)))
                self.assertEqual(body[HEADER.size + RECORD.size * count:].strip(b"\0"), b"")
                for name, kind, threshold, client, network in records:
                    self.assertIn(kind, (1, 4))
                    self.assertTrue(threshold == client == network == 0 if kind == 1 else 10 <= threshold <= 40)
                    self.assertNotIn(struct.pack("!Q", name)[:6], {part[:6] for part in asked})
                    self.assertFalse({network, name >> 32, name & 0xFFFFFFFF} & addresses)
                    self.assertFalse({network >> 8, network & 0xFFFFFF} & networks)
                    if kind == 4:
                        fingerprints[name].add(threshold)
        self.assertEqual(len(fingerprints), len(asked), "one fingerprint a name, the same at all sites")
        self.assertTrue(all(len(thresholds) == 1 for thresholds in fingerprints.values()))

    def test_who_is_not_of_the_operator_is_refused(self):
        def post(certificate, body=bytes(4096)):
            context = ssl.create_default_context(cafile=self.folder / "ca.pem")
            if certificate:
                context.load_cert_chain(self.folder / f"{certificate}.pem", self.folder / f"{certificate}.key")
            to = http.client.HTTPSConnection("127.0.0.1", self.ports["aggregator"], context=context, timeout=20)
            try:
                to.request("POST", "/api/v1/sightings", body, {"Content-Type": "application/vnd.tapir.sightings"})
                return to.getresponse().status
            except OSError:
                return None
            finally:
                to.close()

        before = self.metric("aggregator-metrics", 'tapir_http_refused_total{server="aggregator",reason="tls"}')
        self.assertIsNone(post(None))
        self.assertIsNone(post("somebody/stranger"))
        wait_for("the refusals", lambda: self.metric(
            "aggregator-metrics", 'tapir_http_refused_total{server="aggregator",reason="tls"}') >= before + 2)
        # Who is, and sends what is none of ours, is told so, and it is counted.
        hostile = (b"", b"GET / HTTP/1.1", bytes(4096), b"TAPS" + b"\xff" * 4092, b"TAPS\x01" + bytes(4091) + b"x")
        for body in hostile:
            self.assertEqual(post("site-1", body), 400, body[:16])
        self.assertEqual(post("site-1", bytes(300_000)), 413)
        self.assertEqual(self.metric("aggregator-metrics", 'tapir_aggregator_posts_total{outcome="malformed"}'), len(hostile))
        yesterday = HEADER.pack(b"TAPS", 1, 0, 0, int(time.time()) // 86400 - 1, 0, 0, 0, 0)
        self.assertEqual(post("site-1", yesterday + bytes(4096 - len(yesterday))), 409)

    def test_an_aggregator_that_is_killed_is_taken_up_again(self):
        self.ask("site-1", "before.se", range(5))
        self.wait_until_told(["site-1"], 4)
        self.processes["aggregator"].kill()
        self.processes["aggregator"].wait()
        # The site goes on, and counts alone.
        self.ask("site-1", "alone.se", range(100))
        wait_for("site-1 alone", lambda: "alone.se." in self.events("site-1"))
        wait_for("a failure", lambda: self.metric("site-1", 'tapir_edge_group_posts_total{outcome="busy"}'))
        self.ask("site-1", "meanwhile.se", range(5))
        (self.folder / "aggregator.log").unlink()
        self.start_aggregator()
        # 5 + 5 sightings (two may share a bit), of alone.se those before its threshold, and that it is taken.
        self.wait_until_told(["site-1"], 4 + 4 + 1)
        wait_for("the rest", lambda: self.metric("site-1", "tapir_edge_group_waiting") == 0)
        wait_for("site-3 to hear of it", lambda: self.heard("site-3") == 1)
        self.ask("site-3", "alone.se", range(20, 25))
        self.wait_for_rounds()
        self.assertEqual(self.events("site-3"), [], "site-1 has released it")
        self.assertIn("the aggregator answers again", (self.folder / "site-1.log").read_text())

    def test_a_bad_start_names_file_line_and_key(self):
        config = self.folder / "bad.toml"

        def refused(command, text):
            config.write_text(text)
            done = subprocess.run([BIN / "tapir-edge", command, "--config", config], capture_output=True, text=True,
                                  timeout=PATIENCE_S)
            self.assertEqual(done.returncode, 1, done.stderr)
            return done.stderr

        tls = "".join(f'tls.{key} = "{self.folder}/{file}"\n' for key, file in
                      (("cert", "aggregator.pem"), ("key", "aggregator.key"), ("client_ca", "ca.pem")))
        self.assertIn("tls.cert: expected", refused("aggregate", 'listen = "127.0.0.1:1"\n'))
        self.assertIn(f"{config}:1: release.profile: expected", refused("aggregate", 'release.profile = "compatible"\n' + tls))
        (self.folder / "aggregator.key").chmod(0o644)
        self.assertIn(f"{config}:2: tls.key: expected a key file that others cannot read", refused("aggregate", tls))
        site = (self.folder / "site-1/edge.toml").read_text()
        self.stop("site-1")
        self.assertIn("aggregation.group_key: expected the key file that the other sites have",
                      refused("run", site.replace("group.key", "nowhere.key")))
        self.assertIn("aggregation.key: expected", refused("run", re.sub("aggregation.key = .*", "", site)))
        for word in ("help-settings", "example-settings"):
            shown = subprocess.run([BIN / "tapir-edge", word, "--aggregator"], check=True, capture_output=True, text=True)
            self.assertIn("limits.sightings_a_minute" if word == "help-settings" else "sightings_a_minute", shown.stdout)


if __name__ == "__main__":
    unittest.main()
