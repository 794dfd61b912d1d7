"""A mosquitto on the loopback address for end-to-end tests, and its clients; nothing of it outlives the test."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab/real"))
from processes import free_port  # noqa: E402

PATIENCE_S = 60


class Mosquitto:
    """A broker that remembers over a restart. With `tls` (CA, certificate, key) each client must show a certificate."""

    def __init__(self, folder, tls=None, client_tls=None):
        self.folder, self.port, self.process = pathlib.Path(folder), free_port(), None
        self.folder.mkdir()
        self.url = f"{'mqtts' if tls else 'mqtt'}://127.0.0.1:{self.port}"
        self._client = [word for name, path in zip(("--cafile", "--cert", "--key"), client_tls or ()) for word in (name, path)]
        lines = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {self.folder}/",
                 "autosave_on_changes true", "autosave_interval 1", "max_queued_messages 100000", "log_dest stderr"]
        if tls:
            lines += [f"{name} {path}" for name, path in zip(("cafile", "certfile", "keyfile"), tls)]
            lines += ["tls_version tlsv1.3", "require_certificate true", "use_identity_as_username true"]
        else:
            lines += ["allow_anonymous true"]
        if os.getuid() == 0:
            lines += ["user root"]  # else it becomes another user, who may not read the test's folder
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def start(self):
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([program, "-c", self.folder / "mosquitto.conf"], stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while not self._listens():
            assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "log").read_text()
            threading.Event().wait(0.02)

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)

    def _words(self, program, topic):
        return [program, "-V", "mqttv5", "-h", "127.0.0.1", "-p", str(self.port), *self._client, "-q", "1", "-t", topic]

    def publish(self, topic, payload, client_id=None):
        who = ["-i", client_id] if client_id else []
        subprocess.run([*self._words("mosquitto_pub", topic), *who, "-s"], input=payload.encode(), check=True, timeout=PATIENCE_S,
                       capture_output=True)

    def subscribe(self, topic):
        return Subscriber(self._words("mosquitto_sub", topic))


class Subscriber(threading.Thread):
    """What mosquitto_sub hears, a message a line, from when the constructor returns."""

    def __init__(self, words):
        super().__init__(daemon=True)
        self.heard = []
        self._subscribed = threading.Event()
        self._process = subprocess.Popen(["stdbuf", "-oL", *words, "-d"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.start()
        assert self._subscribed.wait(PATIENCE_S), "no SUBACK"

    def run(self):
        for line in self._process.stdout:
            text = line.decode().rstrip("\n")
            if text.startswith("Subscribed"):
                self._subscribed.set()
            elif text.startswith("{"):
                self.heard.append(text)

    def stop(self):
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._process.stdout.close()
