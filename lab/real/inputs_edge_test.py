"""What real resolvers deliver to a running edge, by each way in. TAPIR_BIN: folder with the programs.

dnsdist and PowerDNS Recursor send their protobuf, unbound dnstap over TLS with a certificate of its own, Knot Resolver over a
socket that was there before the edge. Each answers queries from 60 client addresses; the edge must count as many responses.
"""

import os
import pathlib
import select
import socket
import subprocess
import tempfile
import unittest
import urllib.request

import resolver
from dns import NOERROR, ask
from processes import Processes, distribution_binary, free_ports, wait_for

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
CLIENTS = 60

EDGE_TOML = """client_networks = ["127.0.0.0/8"]
state.dir = "{folder}/state"
keys.signing = "{folder}/edge-1.example.jwk"
metrics.listen = "127.0.0.1:{metrics}"
[input]
unix = "{folder}/dnstap.sock"
powerdns = "127.0.0.1:{powerdns}"
tls = "127.0.0.1:{tls}"
tls_cert = "{folder}/server.pem"
tls_key = "{folder}/server.key"
tls_client_ca = "{folder}/ca.pem"
[[listener]]
port = {dot}
transport = "dot"
"""

DNSDIST_LUA = """setSecurityPollSuffix("")
setLocal("127.0.0.1:{port}")
newServer({{address="127.0.0.1:{upstream}", healthCheckMode="up"}})
edge = newRemoteLogger("127.0.0.1:{powerdns}")
addAction(AllRule(), RemoteLogAction(edge, nil, {{serverID="lab-dnsdist"}}))
addResponseAction(AllRule(), RemoteLogResponseAction(edge, nil, false, {{serverID="lab-dnsdist"}}))
"""

RECURSOR_CONF = """daemon=no
local-address=127.0.0.1
local-port={port}
threads=1
socket-dir={folder}
dont-query=
forward-zones-recurse=.=127.0.0.1:{upstream}
dnssec=off
security-poll-suffix=
lua-config-file={folder}/protobuf.lua
"""

UNBOUND_CONF = """server:
  chroot: ""
  username: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  num-threads: 1
  interface: 127.0.0.1@{port}
  interface: 127.0.0.1@{dot}
  tls-port: {dot}
  tls-service-pem: "{keys}/server.pem"
  tls-service-key: "{keys}/server.key"
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "iterator"
  qname-minimisation: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{upstream}
remote-control:
  control-enable: no
dnstap:
  dnstap-enable: yes
  dnstap-bidirectional: yes
  dnstap-socket-path: ""
  dnstap-ip: "127.0.0.1@{tls}"
  dnstap-tls: yes
  dnstap-tls-server-name: "127.0.0.1"
  dnstap-tls-cert-bundle: "{keys}/ca.pem"
  dnstap-tls-client-key-file: "{keys}/client.key"
  dnstap-tls-client-cert-file: "{keys}/client.pem"
  dnstap-log-client-query-messages: yes
  dnstap-log-client-response-messages: yes
"""

KRESD_CONF = """net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})
modules = {{ 'policy' }}
trust_anchors.remove('.')
policy.add(policy.all(policy.STUB('127.0.0.1@{upstream}')))
modules.load('dnstap')
dnstap.config({{ socket_path = '{socket}', identity = 'lab-kresd', client = {{ log_queries = false, log_responses = true }} }})
"""


def make_certificates(folder):
    """A CA, and by it a server's certificate for 127.0.0.1 and a client's."""
    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "ca.key",
            "-out", folder / "ca.pem", "-days", "2", "-subj", "/CN=lab CA")
    (folder / "san").write_text("subjectAltName=DNS:127.0.0.1,IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / f"{name}.key",
                "-out", folder / f"{name}.csr", "-subj", "/CN=127.0.0.1")
        openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
                "-CAcreateserial", "-days", "2", "-out", folder / f"{name}.pem", "-extfile", folder / "san")
        (folder / f"{name}.key").chmod(0o640)


class Inputs(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="tapir-inputs-")
        self.addCleanup(self._folder.cleanup)
        self.folder = pathlib.Path(self._folder.name)
        names = ("upstream", "port", "dot", "metrics", "powerdns", "tls")
        self.at = dict(zip(names, free_ports(len(names))))
        self.processes = Processes(self.folder)
        self.processes.__enter__()
        self.addCleanup(self.processes.__exit__)
        make_certificates(self.folder)
        subprocess.run([BIN / "tapir", "keys", "new", "--kid", "edge-1.example", "--out", self.folder], check=True,
                       capture_output=True)
        (self.folder / "edge.toml").write_text(EDGE_TOML.format(folder=self.folder, **self.at))
        resolver.start_authority(self.processes, self.folder, self.at["upstream"])

    def start_edge(self):
        self.processes.start("edge", [BIN / "tapir-edge", "run", "--config", self.folder / "edge.toml"])
        log = self.folder / "log" / "edge.log"
        wait_for("the edge", lambda: '"ready"' in log.read_text(), 60, still_runs=self.processes.check)

    def metric(self, name):
        """The sum of a counter over all labels that begin with `name`; None if the page is not there yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.at['metrics']}/metrics", timeout=5) as page:
                lines = page.read().decode().splitlines()
        except OSError:
            return None
        return sum(int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def drive(self, name, port=None):
        port = port or self.at["port"]
        wait_for("the resolver", lambda: ask(("127.0.0.1", port), "ready.se", timeout_s=0.4, attempt_s=0.2), 30,
                 still_runs=self.processes.check)
        for index in range(CLIENTS):
            answer = ask(("127.0.0.1", port), f"www{index}.{name}.se", source=f"127.1.{1 + index % 3}.{1 + index // 3}")
            self.assertIsNotNone(answer)
            self.assertEqual(answer.rcode, NOERROR)

    def expect(self, by, extra=0):
        """All responses came by this input, and none was at fault."""
        counted = 'tapir_edge_messages_total{type="client_response"}'
        wait_for("the responses", lambda: self.metric(counted) >= CLIENTS + extra, 30, 0.1, self.processes.check)
        self.assertGreaterEqual(self.metric(f'tapir_edge_input_frames_total{{input="{by}"}}'), CLIENTS + extra)
        for fault in ('tapir_edge_frames_total{fate="frame"', 'tapir_edge_frames_total{fate="dns"',
                      "tapir_edge_powerdns_errors_total", "tapir_edge_stream_errors_total", "tapir_stream_refused_total"):
            self.assertEqual(self.metric(fault), 0, fault)

    def test_dnsdist_protobuf(self):
        self.start_edge()
        (self.folder / "dnsdist.lua").write_text(DNSDIST_LUA.format(**self.at))
        self.processes.start("dnsdist", [distribution_binary("dnsdist", self.folder / "bin"), "--supervised",
                                         "--disable-syslog", "-C", self.folder / "dnsdist.lua"])
        self.drive("dnsdist")
        self.expect("powerdns")
        self.assertGreaterEqual(self.metric('tapir_edge_responses_total{transport="udp"}'), CLIENTS)

    def test_pdns_recursor_protobuf(self):
        self.start_edge()
        home = self.folder / "recursor"
        home.mkdir()
        (home / "recursor.conf").write_text(RECURSOR_CONF.format(folder=home, **self.at))
        (home / "protobuf.lua").write_text(
            f'protobufServer("127.0.0.1:{self.at["powerdns"]}", {{logQueries=true, logResponses=true}})\n'
            f'outgoingProtobufServer("127.0.0.1:{self.at["powerdns"]}")\n')
        self.processes.start("recursor", [distribution_binary("pdns_recursor", self.folder / "bin"), f"--config-dir={home}"])
        self.drive("recursor")
        self.expect("powerdns")
        # What it asked upstream is told apart, and does not count.
        self.assertGreaterEqual(self.metric('tapir_edge_frames_total{fate="skipped",reason="other_response"}'), CLIENTS)

    def test_unbound_over_tls_with_a_certificate_of_its_own(self):
        self.start_edge()
        home = self.folder / "unbound"
        home.mkdir()
        (home / "unbound.conf").write_text(UNBOUND_CONF.format(folder=home, keys=self.folder, **self.at))
        self.processes.start("unbound", [distribution_binary("unbound", self.folder / "bin"), "-d", "-c",
                                         home / "unbound.conf"])
        self.drive("unbound")
        dot = subprocess.run(["kdig", "@127.0.0.1", "-p", str(self.at["dot"]), "+tls", "www.dot.se"], capture_output=True,
                             text=True, check=True)
        self.assertIn("NOERROR", dot.stdout)
        self.expect("dnstap-tls", 1)
        # unbound says TCP of it; the operator's [[listener]] knows better.
        wait_for("the answer over TLS", lambda: self.metric('tapir_edge_responses_total{transport="dot"}') == 1, 10,
                 still_runs=self.processes.check)

    def test_knot_resolver_connects_before_the_edge_is_there(self):
        path = self.folder / "dnstap.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(16)
            home = self.folder / "kresd"
            home.mkdir()
            (self.folder / "kresd.conf").write_text(KRESD_CONF.format(socket=path, **self.at))
            self.processes.start("kresd", [distribution_binary("kresd", self.folder / "bin"), "-n", "-c",
                                           self.folder / "kresd.conf", home])
            # It has connected, and waits for our part of the handshake: systemd would have started us by now.
            wait_for("its connection", lambda: select.select([listener], [], [], 0.1)[0], 30,
                     still_runs=self.processes.check)
            # What systemd does: the socket as descriptor 3, and the environment that says so.
            launcher = ("import os, sys; os.dup2(int(sys.argv[1]), 3, inheritable=True); "
                        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='dnstap'); "
                        "os.execv(sys.argv[2], sys.argv[2:])")
            with open(self.folder / "edge.log", "wb") as log:
                edge = subprocess.Popen(["python3", "-c", launcher, str(listener.fileno()), BIN / "tapir-edge", "run",
                                         "--config", self.folder / "edge.toml"], pass_fds=[listener.fileno()], stderr=log)
        self.addCleanup(edge.wait)
        self.addCleanup(edge.terminate)
        wait_for("the edge", lambda: self.metric("tapir_edge_frames_total") is not None, 60)
        self.drive("kresd")
        self.expect("dnstap-unix")
        # It sends queries all the same, without their message: no fault.
        self.assertGreaterEqual(self.metric('tapir_edge_frames_total{fate="skipped",reason="query"}'), CLIENTS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
