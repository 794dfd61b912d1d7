"""The ways in as an operator sets them up: sockets that systemd made, several at once. TAPIR_BIN: folder with the programs."""

import os
import pathlib
import socket
import subprocess
import sys
import time
import unittest

import edge_test
from edge_test import BIN, PATIENCE_S, capture, dns_answer, dnstap_response, free_port, wait_for

# Makes listening sockets and becomes the program, as systemd does it: descriptors from 3 on, their names and our own
# process in the environment.
LAUNCHER = """
import os, socket, sys
names, places, program = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
sockets = []
for place in places:
    at = place.rsplit(":", 1)
    if len(at) == 2:
        listener = socket.socket(socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((at[0], int(at[1])))
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(place)
    listener.listen(16)
    sockets.append(listener)
high = [os.dup2(listener.fileno(), 50 + i) for i, listener in enumerate(sockets)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=names)
os.execv(program[0], program)
"""


class Inputs(edge_test.Edge):
    def launch(self, names, places):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCHER, names, ",".join(str(place) for place in places), BIN / "tapir-edge", "run",
                 "--config", self.config], stderr=log, close_fds=True)
        self.addCleanup(self.process.kill)

    def one(self, client=1):
        return capture([dnstap_response(dns_answer("www.fresh-name.se"), bytes([10, 0, 0, client]), int(time.time()))])

    def came_by(self, name):
        return self.metric(f'tapir_edge_input_frames_total{{input="{name}"}}')

    def test_sockets_made_by_systemd_are_taken_over(self):
        path = self.folder / "dnstap.sock"
        tcp = free_port()
        self.settings["input.powerdns"] = f'"127.0.0.1:{free_port()}"'
        self.write()
        self.launch("dnstap:dnstap", [path, f"127.0.0.1:{tcp}"])
        wait_for("the socket", path.exists)
        # As Knot Resolver does it: once, at its start, whether we are there or not.
        with socket.socket(socket.AF_UNIX) as early:
            wait_for("the listener", lambda: early.connect_ex(str(path)) == 0)
            early.sendall(self.one())
            early.shutdown(socket.SHUT_WR)
            wait_for("the edge", lambda: self.process.poll() is not None or '"ready"' in self.log())
            self.assertIsNone(self.process.poll(), self.log())
            wait_for("its frame", lambda: self.came_by("dnstap-unix") == 1)
        with socket.create_connection(("127.0.0.1", tcp)) as peer:
            peer.sendall(self.one(2))
            wait_for("a frame over TCP", lambda: self.came_by("dnstap-tcp") == 1)
        self.stop()
        self.assertTrue(path.exists(), "the socket belongs to systemd")

    def test_an_inherited_socket_of_another_kind_stops_the_start(self):
        self.write()
        self.launch("web", [self.folder / "web.sock"])
        self.assertEqual(self.process.wait(PATIENCE_S), 1)
        self.assertIn("expected FileDescriptorName=dnstap, dnstap-tls or powerdns, got 'web'", self.log())

    def test_the_twin_says_how_clients_asked(self):
        (self.folder / "in.fstrm").write_bytes(self.one())
        self.write()
        with open(self.config, "a") as config:
            config.write('[[listener]]\nport = 853\ntransport = "dot"\n')
        out = self.folder / "out"
        subprocess.run([BIN / "tapir-edge", "process", self.folder / "in.fstrm", "--config", self.config, "--out", out],
                       capture_output=True, check=True)
        self.assertIn('"unknown": 1', (out / "report.json").read_text())


def load_tests(_loader, _tests, _pattern):
    """Only ours: those of the class above run in a file of their own."""
    return unittest.TestSuite(Inputs(name) for name in vars(Inputs) if name.startswith("test_"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
