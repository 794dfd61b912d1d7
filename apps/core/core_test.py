"""tapir-core as its users meet it: TLS, signatures, what survives kill -9. Standard library and openssl(1) only."""
import base64
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
SOURCE = pathlib.Path(os.environ["TAPIR_SOURCE"])
sys.path[:0] = [str(SOURCE / "apps"), str(SOURCE / "lab/real")]
from mosquitto import Mosquitto  # noqa: E402
from processes import free_port  # noqa: E402
HISTOGRAM = SOURCE / "libs/lake/golden/edm-histogram.parquet"
PATIENCE_S = 60
EDGE, OTHER, CORE, PARTNER = "edge-1.test.example", "edge-2.test.example", "core.test.example", "partner.test.example"


def openssl(*words, data=None):
    return subprocess.run(["openssl", *map(str, words)], input=data, check=True, capture_output=True).stdout


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE_S} s for: {what}")
        threading.Event().wait(0.05)
    return result


class Key:
    """An Ed25519 key in a folder: KID.pem and its two JWK forms."""

    def __init__(self, folder, kid):
        self.kid, self.pem = kid, folder / f"{kid}.key.pem"
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.pem)
        seed = openssl("pkey", "-in", self.pem, "-outform", "DER")[-32:]
        self.x = openssl("pkey", "-in", self.pem, "-pubout", "-outform", "DER")[-32:]
        self.public = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": b64(self.x)}
        self.private = {**self.public, "d": b64(seed)}

    def sign(self, message):
        with tempfile.NamedTemporaryFile() as file:
            file.write(message)
            file.flush()
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.pem, "-in", file.name)

    def jws(self, payload):
        protected = b64(json.dumps({"alg": "EdDSA", "kid": self.kid}, separators=(",", ":")).encode())
        body = b64(json.dumps(payload, separators=(",", ":")).encode())
        return {"payload": body, "protected": protected, "signature": b64(self.sign(f"{protected}.{body}".encode()))}

    def verifies(self, jws):
        with tempfile.TemporaryDirectory() as folder:
            message, signature = pathlib.Path(folder, "m"), pathlib.Path(folder, "s")
            message.write_text(f"{jws['protected']}.{jws['payload']}")
            signature.write_bytes(unb64(jws["signature"]))
            return subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", "-inkey", self.pem, "-in", message,
                                   "-sigfile", signature], capture_output=True, check=False).returncode == 0


class Authority:
    def __init__(self, folder):
        self.folder, self.certificate, self._key = folder, folder / "ca.pem", folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=test ca", "-keyout", self._key, "-out", self.certificate)

    def issue(self, name):
        cert, key, extensions = (self.folder / f"{name}.{end}" for end in ("crt", "tls.key", "ext"))
        extensions.write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        request = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                          "-subj", f"/CN={name}", "-keyout", key)
        openssl("x509", "-req", "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", "2",
                "-extfile", extensions, "-out", cert, data=request)
        key.chmod(0o600)
        return cert, key


class Core:
    """A folder with everything that a core needs, and the daemon in it."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self._folder.name)
        self.port, self.metrics_port, self.process = free_port(), free_port(), None
        self.authority = Authority(self.folder)
        self.edge, self.other, self.key = (Key(self.folder, kid) for kid in (EDGE, OTHER, CORE))
        (self.folder / "edges").mkdir()
        for key in (self.edge, self.other):
            (self.folder / "edges" / f"{key.kid}.jwk").write_text(json.dumps(key.public))
        signing = self.folder / "signing.jwk"
        signing.write_text(json.dumps(self.key.private))
        signing.chmod(0o600)
        cert, key = self.authority.issue(CORE)
        self.certificates = {name: self.authority.issue(name) for name in (EDGE, OTHER, PARTNER)}
        self.config = self.folder / "core.toml"
        self.config.write_text(f"""listen = "127.0.0.1:{self.port}"
tls = {{ cert = "{cert}", key = "{key}", client_ca = "{self.authority.certificate}" }}
keys = {{ edges = "{self.folder}/edges", signing = "{signing}", refresh = "1s" }}
state.dir = "{self.folder}/state"
lake.dir = "{self.folder}/lake"
metrics.listen = "127.0.0.1:{self.metrics_port}"
""")

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([BIN / "tapir-core", "run", "--config", self.config], stderr=log)
        wait_for("the core answers", lambda: self.process.poll() is not None or (self.metrics() and self.listens()))
        assert self.process.poll() is None, self.log()

    def log(self):
        return (self.folder / "log").read_text()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self._folder.cleanup()

    def metrics(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as page:
                return page.read().decode()
        except OSError:
            return ""

    def counted(self, start):
        return sum(int(line.rsplit(" ", 1)[1]) for line in self.metrics().splitlines() if line.startswith(start))

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def connection(self, name):
        tls = ssl.create_default_context(cafile=str(self.authority.certificate))
        if name:
            tls.load_cert_chain(*self.certificates[name])
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=tls, timeout=PATIENCE_S)

    def request(self, name, method, path, body=None, headers=None):
        connection = self.connection(name)
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        answer = response.status, response.getheader("Location"), response.read().decode()
        connection.close()
        return answer

    def send_events(self, *messages, name=EDGE, content_type="application/jose+json"):
        body = json.dumps(messages)
        return self.request(name, "POST", "/api/v1/event/new_qname", body.ljust(4096), {"Content-Type": content_type})

    def upload(self, body, key=None, name=EDGE, spoil=b"", content_type="application/vnd.apache.parquet"):
        key = key or self.edge
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        parameters = ('("content-type" "content-length" "content-digest")'
                      f';created={int(time.time())};alg="ed25519";keyid="{key.kid}"')
        base = (f'"content-type": {content_type}\n"content-length": {len(body)}\n"content-digest": {digest}\n'
                f'"@signature-params": {parameters}')
        signature = base64.b64encode(key.sign(base.encode() + spoil)).decode()
        return self.request(name, "POST", "/api/v1/aggregate/histogram", body, {
            "Content-Type": content_type, "Content-Digest": digest, "Aggregate-Interval": "2026-11-23T15:00:00Z/PT1M",
            "Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{signature}:"})

    def snapshot(self):
        status, _, body = self.request(PARTNER, "GET", "/api/v1/observations")
        assert status == 200, body
        return json.loads(body)

    def observed(self):
        return {item["name"]: item for jws in self.snapshot()["observations"]
                for item in json.loads(unb64(jws["payload"]))["added"]}


class Stream(threading.Thread):
    """Server-sent events as (id, event, data), as they come."""

    def __init__(self, core, last_id=None):
        super().__init__(daemon=True)
        self.events = []
        headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
        connection = core.connection(PARTNER)
        connection.request("GET", "/api/v1/observations/stream", headers=headers)
        self._response = connection.getresponse()
        assert self._response.status == 200, self._response.status
        self.start()

    def run(self):
        fields = {}
        try:
            for line in self._response:
                text = line.decode().rstrip("\r\n")
                if text:
                    name, _, value = text.partition(":")
                    fields[name] = value.lstrip(" ")
                elif "data" in fields:
                    self.events.append((fields.get("id"), fields.get("event", "message"), fields["data"]))
                    fields = {}
        except (OSError, http.client.HTTPException):
            pass  # the core was killed: that is what the test is about

    def item(self, name):
        for _, event, data in list(self.events):
            if event == "message":
                for item in json.loads(unb64(json.loads(data)["payload"]))["added"]:
                    if item["name"] == name:
                        return item, json.loads(data)
        return None


def event(qname, **more):
    now = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime())
    return {"flags": 33155, "qclass": 1, "qname": qname, "qtype": 1, "timestamp": now, "type": "new_qname",
            "version": 0, **more}


class CoreTest(unittest.TestCase):
    def setUp(self):
        self.core = Core()
        self.addCleanup(self.core.close)
        self.core.start()

    def test_an_event_becomes_a_signed_observation_on_the_live_feed(self):
        stream = Stream(self.core)
        jws = self.core.edge.jws(event("New.Example.se."))
        loop = self.core.edge.jws(event("x.from-edge.looptest.dnstapir.se."))
        status, _, body = self.core.send_events(jws, loop)
        self.assertEqual((status, json.loads(body)), (202, {"accepted": 2, "duplicate": 0, "rejected": []}))
        item, message = wait_for("the observation", lambda: stream.item("new.example.se"))
        self.assertEqual((item["tag_mask"], item["ttl"]), (1, 3600))
        self.assertTrue(self.core.key.verifies(message))
        payload = json.loads(unb64(message["payload"]))
        self.assertEqual((payload["src_name"], payload["msg_type"], payload["list_type"]),
                         ("dns-tapir", "observation", "doubtlist"))
        item, _ = wait_for("the loop test", lambda: stream.item("x.from-edge.looptest.dnstapir.se"))
        self.assertEqual(item["tag_mask"], 1025)
        # Told twice, or by another edge without the final dot and in capitals: neither is new.
        self.assertEqual(json.loads(self.core.send_events(jws)[2])["duplicate"], 1)
        other = self.core.other.jws(event("NEW.EXAMPLE.SE"))
        self.assertEqual(json.loads(self.core.send_events(other, name=OTHER)[2])["accepted"], 1)
        wait_for("the analysis", lambda: self.core.counted("tapir_core_analysed_total") == 3)
        self.assertEqual(self.core.snapshot()["last_id"], "2")
        self.assertEqual(set(self.core.observed()), {"new.example.se", "x.from-edge.looptest.dnstapir.se"})

    def test_a_histogram_gets_into_the_lake_and_text_into_quarantine(self):
        histogram = HISTOGRAM.read_bytes()
        status, location, body = self.core.upload(histogram)
        self.assertEqual(status, 201, body)
        self.assertRegex(location, "^/api/v1/aggregates/[0-9a-f]{24}$")
        self.assertEqual(self.core.upload(histogram)[:2], (201, location))
        sealed = 'tapir_core_lake_uploads_total{outcome="sealed"}'
        wait_for("the lake", lambda: self.core.counted(sealed) == 1)
        files = list((self.core.folder / "lake").rglob("*.parquet"))
        self.assertEqual([file.parent.name for file in files], ["hour=15"])
        self.assertEqual(json.loads(self.core.request(EDGE, "GET", location)[2])["state"], "sealed")
        self.assertEqual(self.core.request(OTHER, "GET", location)[0], 404)
        self.assertEqual(self.core.upload(b"this is no parquet")[0], 201)
        wait_for("the quarantine", lambda: self.core.counted(
            'tapir_core_lake_uploads_total{outcome="quarantined",reason="not_parquet"}') == 1)

    def test_what_is_wrong_is_refused_counted_and_logged_and_the_work_goes_on(self):
        stranger = Key(self.core.folder, "stranger.test.example")
        self.assertEqual(self.core.upload(b"x", spoil=b" ")[0], 401)
        self.assertEqual(self.core.upload(b"x", key=stranger)[0], 401)
        self.assertEqual(self.core.upload(b"x", name=OTHER)[0], 403)
        self.assertEqual(self.core.upload(b"x", content_type="application/json")[0], 422)
        self.assertEqual(self.core.send_events(content_type="text/plain")[0], 415)
        self.assertEqual(self.core.send_events(name=PARTNER)[0], 403)
        good, bad = (self.core.edge.jws(event(f"{name}.example.se.")) for name in ("good", "bad"))
        bad["payload"] = b64(json.dumps(event("forged.example.se.")).encode())
        status, _, body = self.core.send_events(bad, good)
        self.assertEqual(status, 202)
        self.assertEqual(json.loads(body)["rejected"], [{"index": 0, "reason": "bad_signature"}])
        self.assertEqual(self.core.send_events(bad)[0], 400)
        for what, reasons in (("aggregates", ("bad_signature", "unknown_key", "certificate_name", "content_type")),
                              ("events", ("bad_signature", "content_type", "unknown_key"))):
            for reason in reasons:
                count = self.core.counted(f'tapir_core_{what}_total{{outcome="rejected",reason="{reason}"}}')
                self.assertGreater(count, 0, f"{what} {reason}")
                self.assertIn(f'"reason":"{reason}"', self.core.log().replace('": "', '":"'))
        with self.assertRaises((ssl.SSLError, OSError)):
            self.core.request(None, "GET", "/api/v1/observations")
        wait_for("the good one", lambda: set(self.core.observed()) == {"good.example.se"})

    def test_what_was_accepted_survives_kill_9_and_counts_once(self):
        sent = []
        last_id = 0
        for turn in range(4):
            jws = self.core.edge.jws(event(f"turn-{turn}.example.se."))
            status, location, _ = self.core.upload(HISTOGRAM.read_bytes() + bytes(turn))
            self.assertEqual(status, 201)
            self.assertEqual(self.core.send_events(jws)[0], 202)
            self.core.kill()
            sent.append((jws, turn, location))
            self.core.start()
            stream = Stream(self.core, last_id)
            wait_for("the observation", lambda: stream.item(f"turn-{turn}.example.se"))
            ids = [int(id) for id, _, _ in stream.events]
            self.assertEqual(ids, list(range(last_id + 1, last_id + 1 + len(ids))))
            last_id = ids[-1]
        for jws, turn, location in sent:
            self.assertEqual(json.loads(self.core.send_events(jws)[2])["duplicate"], 1)
            self.assertEqual(self.core.upload(HISTOGRAM.read_bytes() + bytes(turn))[1], location)
        self.assertEqual(last_id, 4)
        everything = Stream(self.core, 0)
        wait_for("all observations again", lambda: len(everything.events) == 4)
        self.assertEqual(len(self.core.observed()), 4)
        state = self.core.folder / "state/aggregates"
        wait_for("nothing waits for the lake", lambda: not list(state.iterdir()))

    def test_what_was_accepted_is_analysed_after_an_orderly_stop_too(self):
        messages = [self.core.edge.jws(event(f"n{n}.example.se.")) for n in range(20)]
        self.assertEqual(json.loads(self.core.send_events(*messages)[2])["accepted"], 20)
        self.core.process.terminate()
        self.assertEqual(self.core.process.wait(PATIENCE_S), 0, self.core.log())
        self.core.start()
        wait_for("the observations", lambda: len(self.core.observed()) == 20)
        self.assertEqual(self.core.snapshot()["last_id"], "20")

    def test_who_cannot_go_on_is_told_to_take_a_snapshot(self):
        self.core.send_events(self.core.edge.jws(event("a.example.se.")))
        wait_for("the observation", lambda: self.core.snapshot()["last_id"] == "1")
        for had in ("17", "nonsense"):
            stream = Stream(self.core, had)
            wait_for("an event", lambda: stream.events)
            self.assertEqual(stream.events[0], ("1", "reset", "1"))

    def test_a_key_that_is_added_or_removed_counts_without_a_restart(self):
        jws = self.core.edge.jws(event("a.example.se."))
        file = self.core.folder / "edges" / f"{EDGE}.jwk"
        text = file.read_text()
        file.unlink()
        wait_for("the key is gone", lambda: self.core.send_events()[0] == 403)
        file.write_text(text)
        wait_for("the key is back", lambda: self.core.send_events(jws)[0] == 202)

    def test_it_ends_cleanly_on_sigterm_while_a_stream_is_open(self):
        stream = Stream(self.core)
        self.core.process.terminate()
        self.assertEqual(self.core.process.wait(PATIENCE_S), 0, self.core.log())
        stream.join(PATIENCE_S)
        self.assertFalse(stream.is_alive())


DOWN = "observations/down/tapir-pop"


class BrokerTest(unittest.TestCase):
    """The core at a mosquitto that wants certificates."""

    def setUp(self):
        self.core = Core()
        self.addCleanup(self.core.close)
        authority = self.core.authority
        own, clients = authority.issue("broker.test.example"), authority.issue("tool.test.example")
        self.broker = Mosquitto(self.core.folder / "mosquitto", (authority.certificate, *own), (authority.certificate, *clients))
        self.addCleanup(self.broker.stop)
        cert, key = authority.issue("core-mqtt.test.example")
        with open(self.core.config, "a") as config:
            config.write(f'mqtt = {{ url = "{self.broker.url}", ca = "{authority.certificate}", cert = "{cert}", key = "{key}" }}\n')

    def accepted(self):
        return self.core.counted('tapir_core_events_total{outcome="accepted"}')

    def send(self, jws, kid=EDGE):
        self.broker.publish(f"events/up/{kid}/new_qname", json.dumps(jws))

    def subscribe(self):
        subscriber = self.broker.subscribe(DOWN)
        self.addCleanup(subscriber.stop)
        return subscriber

    def arrives(self, jws):
        """Sends it until it is there: who publishes before the core has subscribed is heard by nobody."""
        before = self.accepted()
        wait_for("the event", lambda: self.send(jws) or self.accepted() > before)

    def stops(self):
        self.core.process.terminate()
        self.assertEqual(self.core.process.wait(PATIENCE_S), 0, self.core.log())

    def test_an_event_by_mqtt_becomes_an_observation_by_mqtt_with_the_octets_of_the_stream(self):
        self.broker.start()
        self.core.start()
        heard, stream = self.subscribe().heard, Stream(self.core)
        self.arrives(self.core.edge.jws(event("a.example.se.")))
        wait_for("the observation on the broker", lambda: heard)
        self.assertTrue(self.core.key.verifies(json.loads(heard[0])))
        wait_for("the observation on the stream", lambda: stream.events)
        self.assertEqual(heard, [stream.events[0][2]])
        kept = self.core.folder / "state/mqtt-client-id"
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(kept.read_text().strip(), self.core.metrics() + self.core.log())
        self.assertEqual(self.core.counted('tapir_mqtt_connected{client="tapir-core"}'), 1)
        # Whoever the broker lets publish: an edge speaks for itself only.
        self.send(self.core.edge.jws(event("b.example.se.")), kid=OTHER)
        self.broker.publish("events/up/x/new_qname", "rubbish")
        mismatch = 'tapir_core_events_total{outcome="rejected",reason="sender_mismatch"}'
        wait_for("the refusals", lambda: self.core.counted(mismatch) == 1 and self.core.counted(
            'tapir_core_events_total{outcome="rejected",reason="malformed"}') == 1)
        self.stops()

    def test_a_broker_that_is_away_holds_nothing_up(self):
        self.core.start()
        self.assertEqual(self.core.send_events(self.core.edge.jws(event("a.example.se.")))[0], 202)
        wait_for("the observation", lambda: set(self.core.observed()) == {"a.example.se"})
        self.broker.start()
        heard = self.subscribe().heard
        self.arrives(self.core.edge.jws(event("b.example.se.")))
        wait_for("the observation on the broker", lambda: any("b.example.se" in str(unb64(json.loads(m)["payload"])) for m in heard))
        waiting = "tapir_core_mqtt_observations_waiting"
        wait_for("everything is out", lambda: self.core.counted(waiting) == 0)
        self.broker.stop()
        self.assertEqual(self.core.send_events(self.core.edge.jws(event("c.example.se.")))[0], 202)
        wait_for("one waits", lambda: self.core.counted(waiting) == 1)
        self.stops()  # and does not hang
        self.broker.start()
        heard = self.subscribe().heard
        self.core.start()
        wait_for("what waited goes out", lambda: len(heard) == 1)
        self.assertIn("c.example.se", unb64(json.loads(heard[0])["payload"]).decode())
        self.stops()

    def test_what_the_broker_holds_for_a_core_that_was_killed_comes_and_counts_once(self):
        self.broker.start()
        self.core.start()
        first = self.core.edge.jws(event("a.example.se."))
        self.arrives(first)
        self.core.kill()
        self.send(first)
        self.send(self.core.edge.jws(event("b.example.se.")))
        # A broker erases what waits for an id when somebody comes under it with a clean start.
        self.broker.publish("events/up/x/new_qname", "rubbish", client_id="tapir-core")
        self.core.start()
        wait_for("the second", lambda: self.accepted() == 1)
        wait_for("both are observed", lambda: set(self.core.observed()) == {"a.example.se", "b.example.se"})
        self.assertEqual(self.core.snapshot()["last_id"], "2")
        self.stops()


class BadStartTest(unittest.TestCase):
    def setUp(self):
        self.core = Core()
        self.addCleanup(self.core.close)

    def start_says(self, *words):
        ended = subprocess.run([BIN / "tapir-core", "run", "--config", self.core.config, *words],
                               capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(ended.returncode, 1, ended.stderr)
        return ended.stderr

    def test_an_unknown_setting_is_an_error_with_its_place(self):
        self.core.config.write_text(self.core.config.read_text() + "nonsense = 1\n")
        self.assertRegex(self.start_says(), r"core\.toml:7: nonsense: expected ")

    def test_what_cannot_work_is_an_error_that_names_the_setting(self):
        for words, expected in (
                (("--set", "observation.ttl_s=0"), "--set: observation.ttl_s: expected 1 to 604800"),
                (("--set", "keys.edges=/nowhere"), "--set: keys.edges: expected a readable folder"),
                (("--set", "keys.signing=/nowhere"), "--set: keys.signing: expected a JWK file"),
                (("--set", "tls.cert=", "--set", "listen=0.0.0.0:0"), "--set: listen: expected a loopback address"),
                (("--set", "mqtt.url=ftp://127.0.0.1"), "--set: mqtt.url: expected a broker"),
                (("--set", "mqtt.url=mqtt://192.0.2.1:1883"), "--set: mqtt.url: expected a broker"),
                (("--set", "mqtt.url=mqtts://127.0.0.1", "--set", "mqtt.ca=/nowhere"), "--set: mqtt.ca: expected a readable file"),
                (("--set", "analysis.looptest_suffix=."), "--set: analysis.looptest_suffix: expected a domain name")):
            self.assertIn(expected, self.start_says(*words))

    def test_a_signing_key_that_others_may_read_is_refused(self):
        (self.core.folder / "signing.jwk").chmod(0o644)
        self.assertRegex(self.start_says(), r"core\.toml:3: keys\.signing: expected a JWK file")

    def test_a_key_or_a_client_id_for_the_broker_that_others_may_read_is_refused(self):
        cert, key = self.core.authority.issue("core-mqtt.test.example")
        words = [word for name, value in (("url", "mqtts://127.0.0.1:1"), ("ca", self.core.authority.certificate), ("cert", cert),
                                          ("key", key)) for word in ("--set", f"mqtt.{name}={value}")]
        key.chmod(0o644)
        self.assertRegex(self.start_says(*words), r"--set: mqtt\.key: expected .*mode 0644")
        key.chmod(0o600)
        kept = self.core.folder / "state/mqtt-client-id"
        kept.write_text("core\n")
        kept.chmod(0o644)
        self.assertRegex(self.start_says(*words), r"core\.toml: mqtt\.client_id: expected .*mode 0644")


if __name__ == "__main__":
    unittest.main()
