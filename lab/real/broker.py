"""The lab's MQTT broker: mosquitto as an operator would run it, and one who listens to everything that crosses it."""

import base64
import json
import os
import re
import subprocess

from processes import LabError, distribution_binary, free_ports, wait_for

UP, DOWN = "events/up", "observations/down/tapir-pop"
RECORDER = "recorder.lab.example"

# Clients are known by their certificates. What the guarantee needs of it is in docs/operating.
CONF = """per_listener_settings false
listener {port} 127.0.0.1
cafile {ca}
certfile {cert}
keyfile {key}
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {folder}/acl
persistence true
persistence_location {folder}/
autosave_interval 1
max_inflight_messages 1000
max_queued_messages 1000000
log_type all
"""

# Each edge writes below its own name only.
ACCESS = """pattern write {up}/%u/#

user {core}
topic read {up}/#
topic write {down}

user {policy}
topic read {down}

user {recorder}
topic read #
"""


def decoded(part):
    """What stands in one part of a JWS."""
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class Broker:
    def __init__(self, folder, processes, authority, core, policy):
        self.folder, self._processes, self._authority = folder, processes, authority
        (self.port,) = free_ports(1)
        self.url = f"mqtts://127.0.0.1:{self.port}"
        self.log = processes.folder / "log" / "mosquitto.log"
        self.record = folder / "seen" / "messages"
        self.record.parent.mkdir(parents=True, exist_ok=True)
        cert, key = authority.issue("broker.lab.example")
        conf = CONF.format(port=self.port, ca=authority.certificate, cert=cert, key=key, folder=folder)
        if os.geteuid() == 0:
            conf += "user root\n"  # else it becomes a user who may not read the lab's folder
        (folder / "mosquitto.conf").write_text(conf)
        access = folder / "acl"
        access.write_text(ACCESS.format(up=UP, down=DOWN, core=core, policy=policy, recorder=RECORDER))
        access.chmod(0o600)
        self._binary = distribution_binary("mosquitto", folder / "bin")

    def start(self):
        self.start_broker()
        self.start_recorder()

    def start_broker(self):
        before = self._log().count(" running")
        self._processes.start("mosquitto", [self._binary, "-c", self.folder / "mosquitto.conf"])
        wait_for("mosquitto runs", lambda: self._log().count(" running") > before, 20, still_runs=self._processes.check)

    def start_recorder(self):
        """Writes each message as a line: topic, a space, payload."""
        before = self._log().count(f"Sending SUBACK to {RECORDER}")
        words = self._client("mosquitto_sub", RECORDER, RECORDER)
        self._processes.start("recorder", ["sh", "-c", 'exec "$@" >>"$0"', self.record, "stdbuf", "-oL", *words, "-c", "-x",
                                           "3600", "-t", "#", "-F", "%t %p"])
        wait_for("the recorder listens", lambda: self._log().count(f"Sending SUBACK to {RECORDER}") > before, 20,
                 still_runs=self._processes.check)

    def publish(self, kid, topic, payload):
        """As `kid`, at QoS 1. LabError if the broker does not take it."""
        done = subprocess.run([*self._client("mosquitto_pub", kid, f"{kid}-by-hand"), "-t", topic, "-d", "-s"], input=payload,
                              capture_output=True, timeout=60, check=False)
        # It ends with 0 whatever the broker answers.
        if done.returncode != 0 or not re.search(rb"received PUBACK \(Mid: \d+, RC:0\)", done.stdout):
            raise LabError(f"{topic}: the broker did not take it: {done.stdout.decode()} {done.stderr.decode()}")

    def messages(self, topic):
        """Payloads seen on a topic, oldest first."""
        if not self.record.exists():
            return []
        lines = self.record.read_bytes().split(b"\n")
        start = topic.encode() + b" "
        return [line[len(start):] for line in lines[:-1] if line.startswith(start)]

    def observation_of(self, name):
        """The octets of the message that adds `name`; None while there is none."""
        for payload in self.messages(DOWN):
            if any(item["name"].rstrip(".") == name for item in decoded(json.loads(payload)["payload"])["added"]):
                return payload
        return None

    def events(self, edge):
        """The events of an edge that have crossed it."""
        return [decoded(json.loads(payload)["payload"]) for payload in self.messages(f"{UP}/{edge}/new_qname")]

    def _client(self, program, kid, client_id):
        cert, key = self._authority.issue(kid)
        return [program, "-V", "5", "-h", "127.0.0.1", "-p", str(self.port), "--cafile", str(self._authority.certificate),
                "--cert", str(cert), "--key", str(key), "-i", client_id, "-q", "1"]

    def _log(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class BrokerWitness:
    """Notes when a name is in an observation on the broker. Has the form of daemons.Witness."""

    def __init__(self, broker, name):
        self._broker, self._name = broker, name

    def start(self):
        pass

    def seen(self):
        return self._broker.observation_of(self._name) is not None
