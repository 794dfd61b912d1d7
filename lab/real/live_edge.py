"""One running edge without resolver and core, fed by hand: names that get to their threshold, and what of them is on its disk."""

import base64
import collections
import contextlib
import json
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import time

import daemons
from frames import CONTENT, START, control, dns_answer, dnstap_response
from processes import free_ports, wait_for

CLIENTS = 60
NETWORKS = 6
BATCH_S = 1
WELL_KNOWN = "known.org"

EDGE_TOML = """client_networks = ["127.0.0.0/8"]
input.unix = "{folder}/dnstap.sock"
release.batch_s = {batch_s}  # of the lab only: installed it is 60
keys.signing = "{folder}/edge-1.example.jwk"
lists.well_known = "{folder}/well-known.txt"
state.dir = "{state}"
metrics.listen = "127.0.0.1:{metrics}"
"""


def payload_of(message):
    return json.loads(base64.urlsafe_b64decode(message["payload"] + "=="))


class LiveEdge:
    """Settings in `folder`, state in `state` (as the edge sees it), both there. `around`: what stands before its command line."""

    def __init__(self, binaries, folder, state, processes, around=(), env=None):
        self.bin, self.folder, self.state, self.processes = pathlib.Path(binaries), folder, state, processes
        self.around, self.env = list(around), env
        self.metrics = free_ports(1)[0]
        self.log = folder / "log/edge.log"
        self.now_s = lambda: int(time.time())
        self._socket = None
        self._chance = random.Random(1)
        self._count = 0
        subprocess.run([self.bin / "tapir", "keys", "new", "--kid", "edge-1.example", "--out", folder], check=True, capture_output=True)
        (folder / "well-known.txt").write_text(f"{WELL_KNOWN}\n")
        (folder / "edge.toml").write_text(EDGE_TOML.format(folder=folder, state=state, metrics=self.metrics, batch_s=BATCH_S))

    def start(self):
        (self.folder / "dnstap.sock").unlink(missing_ok=True)
        self.process = self.processes.start("edge", [*self.around, self.bin / "tapir-edge", "run", "--config", self.folder / "edge.toml"],
                                            env=self.env)
        wait_for("the edge", lambda: (self.folder / "dnstap.sock").exists() and daemons.scrape(self.metrics), 30, 0.05,
                 self.processes.check)
        self.connect()

    def connect(self):
        """As a resolver does when its connection has ended."""
        if self._socket:
            self._socket.close()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

        def is_there():
            with contextlib.suppress(OSError):
                self._socket.connect(str(self.folder / "dnstap.sock"))
                return True
            return False

        wait_for("the edge's socket", is_there, 20, 0.05, self.processes.check)
        self._socket.sendall(control(START, CONTENT))

    def stop(self):
        """The end that an operator asks for."""
        self._socket.close()
        self._socket = None
        self.processes.stop("edge", signal.SIGTERM)

    def metric(self, name, **labels):
        return daemons.total(daemons.scrape(self.metrics), name, **labels)

    def send(self, name, clients):
        """A response to each of so many clients, with the time of now."""
        for index in clients:
            client = bytes([127, 1, 1 + index % NETWORKS, 1 + index // NETWORKS])
            frame = dnstap_response(dns_answer(name), client, self.now_s())
            self._socket.sendall(struct.pack("!I", len(frame)) + frame)

    def release_names(self, count):
        """As many new names, asked for by more than any threshold; which."""
        names = []
        for _ in range(count):
            self._count += 1
            names.append(f"loss-{''.join(self._chance.choices('bdgklmnprstv', k=5))}-{self._count}.com")
            self.send(names[-1], range(CLIENTS))
        return names

    def well_known(self):
        self.send(WELL_KNOWN, range(CLIENTS))
        return CLIENTS

    def frames(self):
        return self.metric("tapir_edge_frames_total")

    def wait_for_batches(self, state, count):
        """Until so many more batches are on the disk."""
        target = len(self.batches(state)) + count
        wait_for("batches", lambda: len(self.batches(state)) >= target, 30, 0.1, self.processes.check)

    @staticmethod
    def batches(state):
        """Folders of whole batches."""
        folder = state / "batches"
        return sorted(path for path in folder.iterdir() if path.name.isdigit()) if folder.exists() else []

    def on_disk(self, state):
        """Names of the events in the outbox, with how often."""
        names = collections.Counter()
        for folder in self.batches(state):
            for message in json.loads((folder / "new_qname.json").read_text()) if (folder / "new_qname.json").exists() else []:
                names[payload_of(message)["qname"].rstrip(".")] += 1
        return names

    def histograms(self, state):
        """Responses of well-known names in all histograms, by our own `tapir show`."""
        total = 0
        for folder in self.batches(state):
            for path in folder.glob("*.parquet"):
                shown = subprocess.run([self.bin / "tapir", "show", path], capture_output=True, text=True, timeout=60, check=True)
                header, *lines = shown.stdout.splitlines()
                if "a_count" in header.split():
                    # The time is two words.
                    at = header.index("a_count")
                    total += sum(int(line[at:].split()[0]) for line in lines if " known " in line)
        return total

    def said(self, pattern):
        """How often the log says so."""
        return len(re.findall(pattern, self.log.read_text(errors="replace")))

    def verify_ledger(self, state):
        """Nothing, or what `tapir ledger verify` has against it."""
        done = subprocess.run([self.bin / "tapir", "ledger", "verify", state / "ledger", "--sent", state], capture_output=True,
                              text=True, timeout=60, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr
