"""Tapir's own daemons in the lab: their settings, what the lab reads of them, and a witness on the live feed."""

import base64
import http.client
import json
import re
import ssl
import threading
import urllib.error
import urllib.request

import golden
import keys
import resolver
from broker import Broker, BrokerWitness
from dns import SOA, ask
from processes import LabError, free_ports, wait_for

ZONE = "dnstapir."
FILLER, FILLER_CLIENT = "ready.se", "127.9.9.9"
UNBOUND_BATCH = 32
EDGE, CORE, POLICY, WITNESS = "edge-1.lab.example", "core.lab.example", "policy-1.lab.example", "witness.lab.example"

EDGE_TOML = """client_networks = ["127.0.0.0/8"]

[input]
unix = "{folder}/edge/dnstap.sock"

[release]
profile = "standard"
batch_s = {batch_s}  # of the lab only: installed it is 60

[keys]
signing = "{folder}/keys/{edge}.jwk"

[core]
url = "https://127.0.0.1:{core_port}"
ca = "{ca}"
cert = "{cert}"
key = "{key}"

[state]
dir = "{folder}/edge/state"

[metrics]
listen = "127.0.0.1:{metrics_port}"
{mqtt}"""

CORE_TOML = """listen = "127.0.0.1:{core_port}"

[tls]
cert = "{cert}"
key = "{key}"
client_ca = "{ca}"

[keys]
edges = "{folder}/keys/edges"
signing = "{folder}/keys/{core}.jwk"

[state]
dir = "{folder}/core/state"

[lake]
dir = "{folder}/core/lake"

[metrics]
listen = "127.0.0.1:{metrics_port}"
{mqtt}"""

POLICY_TOML = """{feed}
[rpz]
zone = "{zone}"
listen = "127.0.0.1:{rpz_port}"
notify = ["127.0.0.1:{resolver_port}"]

[policy]
mode = "enforce"  # of the lab only: installed it is shadow
rules = {{ globally_new = "nxdomain" }}
subdomains = true

[state]
dir = "{folder}/policy/state"

[metrics]
listen = "127.0.0.1:{metrics_port}"
{mqtt}"""

POLICY_OVER_HTTPS = """[core]
url = "https://127.0.0.1:{core_port}"
ca = "{ca}"
cert = "{cert}"
key = "{key}"
trusted_keys = "{folder}/keys/{core}.public.jwk"
"""

# No core.url: nothing can come but from the broker.
POLICY_OVER_MQTT = """[core]
trusted_keys = "{folder}/keys/{core}.public.jwk"

[feed]
transport = "mqtt"
"""

MQTT = """
[mqtt]
url = "{broker_url}"
ca = "{ca}"
cert = "{cert}"
key = "{key}"
client_id = "{name}"
"""


def scrape(port):
    """The text of a metrics page; empty while the daemon does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as page:
            return page.read().decode()
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return ""


def total(text, name, **labels):
    """The sum of all samples of a metric that carry these labels."""
    result = 0
    for line in text.splitlines():
        match = re.fullmatch(r"([a-zA-Z_:]+)(\{.*\})? ([0-9.e+-]+)", line)
        if match and match.group(1) == name and all(f'{k}="{v}"' in (match.group(2) or "") for k, v in labels.items()):
            result += int(float(match.group(3)))
    return result


class Lab:
    """All parts, started in the order in which each finds what it needs."""

    def __init__(self, binaries, folder, processes, batch_s, over_mqtt=False):
        self.bin, self.folder, self.processes, self.batch_s, self.over_mqtt = binaries, folder, processes, batch_s, over_mqtt
        (self.authority_port, self.resolver_port, self.core_port, self.rpz_port, self.edge_metrics_port,
         self.core_metrics_port, self.policy_metrics_port) = free_ports(7)
        self.resolver = ("127.0.0.1", self.resolver_port)
        self.authority = None
        self.more_words = {"edge": [], "core": [], "policy": []}  # on their command lines
        self.broker = None

    def start(self):
        folder = self.folder
        for part in ("edge", "core", "policy", "keys/edges"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self.authority = keys.Authority(folder / "ca")
        for kid in (EDGE, CORE):
            keys.signing_key(folder / "keys", kid)
        (folder / "keys/edges" / f"{EDGE}.jwk").write_bytes((folder / "keys" / f"{EDGE}.public.jwk").read_bytes())
        if self.over_mqtt:
            golden.enrol(folder / "keys/edges")
            (folder / "broker").mkdir(exist_ok=True)
            self.broker = Broker(folder / "broker", self.processes, self.authority, CORE, POLICY)
            self.broker.start()
        resolver.start_authority(self.processes, folder, self.authority_port)
        self._start_ours("core", CORE, CORE_TOML, self.core_metrics_port)
        self._start_ours("policy", POLICY, POLICY_TOML, self.policy_metrics_port)
        wait_for("tapir-policy serves its zone", lambda: self.serial() is not None, 20, still_runs=self.processes.check)
        self._start_ours("edge", EDGE, EDGE_TOML, self.edge_metrics_port)
        wait_for("tapir-edge listens", (folder / "edge/dnstap.sock").exists, 20, still_runs=self.processes.check)
        resolver.start_unbound(self.processes, folder, self.resolver_port, self.authority_port,
                               folder / "edge/dnstap.sock", self.rpz_port)
        # unbound connects to the edge on its own time; what it drops before is not ours to count.
        wait_for("unbound's dnstap reaches the edge", self._connected, 20, 0.05, self.processes.check)

    def _connected(self):
        """Whether each answer now becomes one frame at the edge: none is held back from before, none is lost."""
        before = self.edge_frames()
        ask(self.resolver, FILLER, source=FILLER_CLIENT, timeout_s=0.4, attempt_s=0.4)
        try:
            wait_for("a frame", lambda: self.edge_frames() > before, 3, 0.01, self.processes.check)
        except LabError:
            return False
        return self.edge_frames() == before + 1

    def fill_up(self):
        """Makes unbound hand over what it holds: it does so by 32 frames or after a second. Returns how many were asked."""
        for _ in range(UNBOUND_BATCH):
            ask(self.resolver, FILLER, source=FILLER_CLIENT)
        return UNBOUND_BATCH

    def _start_ours(self, part, name, template, metrics_port):
        cert, key = self.authority.issue(name)
        places = {"folder": self.folder, "edge": EDGE, "core": CORE, "zone": ZONE, "cert": cert, "key": key, "name": name,
                  "ca": self.authority.certificate, "core_port": self.core_port, "rpz_port": self.rpz_port,
                  "resolver_port": self.resolver_port, "metrics_port": metrics_port, "batch_s": self.batch_s}
        if self.broker:
            places["broker_url"] = self.broker.url
        text = template.format(mqtt=MQTT.format(**places) if self.over_mqtt else "",
                               feed=(POLICY_OVER_MQTT if self.over_mqtt else POLICY_OVER_HTTPS).format(**places), **places)
        config = self.folder / part / f"{part}.toml"
        config.write_text(text)
        self.run(part, metrics_port)

    def run(self, part, metrics_port):
        """Starts a daemon whose settings are there, for the first time or again."""
        config = self.folder / part / f"{part}.toml"
        self.processes.start(f"tapir-{part}", [self.bin / f"tapir-{part}", "run", "--config", config, *self.more_words[part]])
        wait_for(f"tapir-{part} answers", lambda: scrape(metrics_port), 20, still_runs=self.processes.check)

    def edge_frames(self):
        return total(scrape(self.edge_metrics_port), "tapir_edge_frames_total")

    def edge_released(self):
        return total(scrape(self.edge_metrics_port), "tapir_edge_released_total", product="new_qname")

    def edge_batches(self):
        return total(scrape(self.edge_metrics_port), "tapir_edge_batches_total")

    def edge_waiting(self):
        """Batches in the edge's outbox that the core has not taken; nothing while the edge does not answer."""
        text = scrape(self.edge_metrics_port)
        return total(text, "tapir_edge_outbox_batches") if text else None

    def core_events(self):
        return total(scrape(self.core_metrics_port), "tapir_core_events_total", outcome="accepted")

    def core_events_are_all_from_broker(self):
        text = scrape(self.core_metrics_port)
        return 0 < total(text, "tapir_core_events_total") == total(text, "tapir_core_mqtt_events_total")

    def policy_metrics(self):
        return scrape(self.policy_metrics_port)

    def serial(self):
        answer = ask(("127.0.0.1", self.rpz_port), ZONE, SOA, timeout_s=0.5, attempt_s=0.25)
        return None if answer is None else answer.serial

    def wait_for_batches(self, count):
        """Until `count` more batches have left: what was going to leave has left by then."""
        target = self.edge_batches() + count
        wait_for("the next batches", lambda: self.edge_batches() >= target, 20 + count * self.batch_s, 0.05,
                 self.processes.check)

    def places_of_what_was_sent(self):
        """Folders with what left the edge, as kept by it, and with what the core and the policy made of it; and what
        crossed the broker, and what it has on its disk."""
        places = [self.folder / "edge/state", self.folder / "core", self.folder / "policy"]
        return places + [self.folder / "broker"] if self.over_mqtt else places

    def witness(self, name):
        """Who sees when a name is on its way down."""
        return BrokerWitness(self.broker, name) if self.over_mqtt else Witness(self, name)


class Witness(threading.Thread):
    """Follows the core's live feed as any partner could, and notes when a name is on it."""

    def __init__(self, lab, name):
        super().__init__(daemon=True)
        self._lab, self._name = lab, name
        self._seen = threading.Event()
        cert, key = lab.authority.issue(WITNESS)
        self._tls = ssl.create_default_context(cafile=str(lab.authority.certificate))
        self._tls.load_cert_chain(cert, key)

    def seen(self):
        return self._seen.is_set()

    def run(self):
        connection = http.client.HTTPSConnection("127.0.0.1", self._lab.core_port, context=self._tls, timeout=120)
        connection.request("GET", "/api/v1/observations/stream", headers={"Accept": "text/event-stream"})
        response = connection.getresponse()
        for line in response:
            if line.startswith(b"data:"):
                payload = json.loads(line[5:])["payload"]
                message = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
                if any(item["name"].rstrip(".") == self._name for item in message["added"]):
                    self._seen.set()
                    return
