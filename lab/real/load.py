"""Real resolvers driven hard by dnsperf beside the edge, and beside what else takes their frames.

    with Rig(binaries, folder, RESOLVERS["unbound"]) as rig:
        rig.take("edge")                          # who takes the frames from now on
        rig.start()
        rig.take("other")                         # the resolver runs on
        what = rig.measure(seconds=4, rate=10_000)
        what.answered, what.cpu_us, what.p99_us

The resolver is one process for all turns; it answers from its cache. A "sink" is who takes its frames: the edge, or Debian's
fstrm_capture for dnstap, or for the protobuf of PowerDNS, of which there is no such tool, a program that reads and throws away.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import daemons
import resolver
from dns import ask
from processes import LabError, Processes, distribution_binary, free_ports, wait_for

NAMES = 2000      # that are asked for: all in the cache after the first second
CONTENT = "protobuf:dnstap.Dnstap"

EDGE_TOML = """client_networks = ["127.0.0.0/8"]
state.dir = "{folder}/state"
keys.signing = "{folder}/edge-1.example.jwk"
lists.well_known = "{folder}/well-known.txt"
metrics.listen = "127.0.0.1:{metrics}"
[input]
unix = "{folder}/dnstap.sock"
powerdns = "127.0.0.1:{powerdns}"
"""

# Takes what comes on a port and counts octets, for as long as it lives.
PLAIN_SINK = """import socket, sys, threading
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def take(connection):
    buffer = bytearray(262144)
    while connection.recv_into(buffer):
        pass
while True:
    threading.Thread(target=take, args=(listener.accept()[0],), daemon=True).start()
"""

UNBOUND_CONF = """server:
  chroot: ""
  username: ""
  directory: "{home}"
  pidfile: "{home}/unbound.pid"
  use-syslog: no
  num-threads: 1
  interface: 127.0.0.1@{port}
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "iterator"
  qname-minimisation: no
  statistics-cumulative: yes
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{upstream}
remote-control:
  control-enable: yes
  control-interface: "{home}/control.sock"
  control-use-cert: no
dnstap:
  dnstap-enable: yes
  dnstap-bidirectional: yes
  dnstap-socket-path: "{socket}"
  dnstap-log-client-response-messages: yes
"""

NAMED_CONF = """options {{
  directory "{home}"; pid-file none; session-keyfile "{home}/session.key"; managed-keys-directory "{home}";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion yes; allow-recursion {{ 127.0.0.0/8; }};
  forwarders {{ 127.0.0.1 port {upstream}; }}; forward only; dnssec-validation no; empty-zones-enable no;
  minimal-responses yes; recursive-clients 10000;
  dnstap {{ client response; }}; dnstap-output unix "{socket}";
  fstrm-set-input-queue-size 16384; fstrm-set-reopen-interval 1; fstrm-set-flush-timeout 1;
}};
controls {{ }};
statistics-channels {{ inet 127.0.0.1 port {control} allow {{ 127.0.0.1; }}; }};
"""

KRESD_CONF = """net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})
net.listen('{home}/control.sock', nil, {{ kind = 'control' }})
modules = {{ 'policy', 'stats' }}
trust_anchors.remove('.')
policy.add(policy.all(policy.STUB('127.0.0.1@{upstream}')))
modules.load('dnstap')
dnstap.config({{ socket_path = '{socket}', client = {{ log_queries = false, log_responses = true }} }})
"""

RECURSOR_CONF = """daemon=no
local-address=127.0.0.1
local-port={port}
threads=1
socket-dir={home}
dont-query=
forward-zones-recurse=.=127.0.0.1:{upstream}
dnssec=off
security-poll-suffix=
lua-config-file={home}/logging.lua
"""
RECURSOR_PROTOBUF = 'protobufServer("127.0.0.1:{powerdns}", {{logQueries=false, logResponses=true}})\n'
# Of dnstap it has only what it asks others.
RECURSOR_DNSTAP = ('dnstapFrameStreamServer({{"{socket}"}}, {{logQueries=false, logResponses=true, inputQueueSize=16384,'
                   ' reopenInterval=1, flushTimeout=1}})\n')

# It writes down each second what its logger says of itself.
DNSDIST_LUA = """setSecurityPollSuffix("")
setLocal("127.0.0.1:{port}")
newServer({{address="127.0.0.1:{upstream}", healthCheckMode="up"}})
getPool(""):setCache(newPacketCache(500000))
{logger}
addResponseAction(AllRule(), action)
addCacheHitResponseAction(AllRule(), action)
webserver("127.0.0.1:{control}")
setWebserverConfig({{password="lab-password", apiKey="lab-key", statsRequireAuthentication=false}})
function maintenance()
  local out = io.open("{home}/logger.new", "w")
  out:write(logger:toString()); out:close()
  os.rename("{home}/logger.new", "{home}/logger")
end
"""
DNSDIST_PROTOBUF = """logger = newRemoteLogger("127.0.0.1:{powerdns}")
action = RemoteLogResponseAction(logger)"""
DNSDIST_DNSTAP = """logger = newFrameStreamUnixLogger("{socket}", {{flushTimeout=1, inputQueueSize=16384, reopenInterval=1}})
action = DnstapLogResponseAction("lab", logger)"""


def _url(port, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=5) as page:
        return json.load(page)


class Resolver:
    """One of five, set up to log client responses alone. `binary`, `files` and `command` are what it takes to start it."""
    name = binary = ""
    is_protobuf = False
    names = NAMES
    # Where the figure of dropped frames comes from; empty: it counts none.
    drops = ""
    # What of its frames is counted: not all that arrive are of what it had to send.
    metric, labels = "tapir_edge_messages_total", {"type": "client_response"}

    def files(self, at):
        """Name and text of each file in its folder."""
        raise NotImplementedError

    def command(self, home):
        raise NotImplementedError

    def answered(self, at):
        """How many frames it had to send, by its own statistics."""
        raise NotImplementedError

    def dropped(self, at):
        """How many of them it dropped, by its own statistics; None if it does not say."""
        return None


class Unbound(Resolver):
    name, binary = "unbound", "unbound"

    def files(self, at):
        return {"unbound.conf": UNBOUND_CONF.format(**at)}

    def command(self, home):
        return ["-d", "-c", home / "unbound.conf"]

    def answered(self, at):
        done = subprocess.run(["unbound-control", "-c", f"{at['home']}/unbound.conf", "stats_noreset"], capture_output=True,
                              text=True, timeout=10, check=True)
        return int(re.search(r"^total\.num\.queries=(\d+)", done.stdout, re.M).group(1))


class Bind(Resolver):
    name, binary = "BIND", "named"
    drops = "statistics channel, DNSTAPdropped"

    def files(self, at):
        return {"named.conf": NAMED_CONF.format(**at)}

    def command(self, home):
        return ["-g", "-n", "1", "-c", home / "named.conf"]

    def answered(self, at):
        return _url(at["control"], "/json/v1/server")["nsstats"]["Response"]

    def dropped(self, at):
        return _url(at["control"], "/json/v1/server").get("dnstapstats", {}).get("DNSTAPdropped", 0)


class Kresd(Resolver):
    name, binary = "Knot Resolver", "kresd"

    def files(self, at):
        return {"kresd.conf": KRESD_CONF.format(**at)}

    def command(self, home):
        return ["-n", "-c", home / "kresd.conf", home / "run"]

    def answered(self, at):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(5)
            control.connect(f"{at['home']}/control.sock")
            control.sendall(b"stats.get('answer.total')\n")
            said = b""
            while not re.search(rb"\d+\s", said):
                said += control.recv(4096)
        return int(re.search(rb"(\d+)\s", said).group(1))


class Recursor(Resolver):
    name, binary = "PowerDNS Recursor", "pdns_recursor"
    is_protobuf = True
    drops = "rec_control get-remotelogger-stats"
    logging, counter = RECURSOR_PROTOBUF, "questions"

    def files(self, at):
        return {"recursor.conf": RECURSOR_CONF.format(**at), "logging.lua": self.logging.format(**at)}

    def command(self, home):
        return [f"--config-dir={home}"]

    def _control(self, at, *words):
        done = subprocess.run(["rec_control", f"--socket-dir={at['home']}", *words], capture_output=True, text=True, timeout=10,
                              check=True)
        return done.stdout

    def answered(self, at):
        return int(self._control(at, "get", self.counter))

    def dropped(self, at):
        lines = self._control(at, "get-remotelogger-stats").splitlines()
        # Queued, Pipe-Full, Too-Large, Other-error, Address: what came into the pipe, and what did not.
        return sum(sum(map(int, match.groups())) for line in lines
                   if (match := re.match(r"\s*\d+\s+(\d+)\s+(\d+)\s+(\d+)\s", line)))


class RecursorDnstap(Recursor):
    name = "PowerDNS Recursor, dnstap of what it asks"
    is_protobuf = False
    names = 400_000  # so that it has to ask
    metric, labels = "tapir_edge_input_frames_total", {}
    logging, counter = RECURSOR_DNSTAP, "all-outqueries"


class Dnsdist(Resolver):
    name, binary = "dnsdist, dnstap", "dnsdist"
    drops = "what its logger says of itself"
    logger = DNSDIST_DNSTAP

    def files(self, at):
        return {"dnsdist.lua": DNSDIST_LUA.format(logger=self.logger.format(**at), **at)}

    def command(self, home):
        return ["--supervised", "--disable-syslog", "-C", home / "dnsdist.lua"]

    def answered(self, at):
        stats = _url(at["control"], "/jsonstat?command=stats", **{"X-API-Key": "lab-key"})
        return int(stats["responses"]) + int(stats["cache-hits"])

    def dropped(self, at):
        path = pathlib.Path(at["home"]) / "logger"
        return sum(map(int, re.findall(r"(\d+) dropped", path.read_text()))) if path.exists() else None


class DnsdistProtobuf(Dnsdist):
    name = "dnsdist, protobuf"
    is_protobuf = True
    logger = DNSDIST_PROTOBUF


RESOLVERS = {"unbound": Unbound(), "bind": Bind(), "kresd": Kresd(), "recursor": Recursor(), "dnsdist": Dnsdist(),
             "dnsdist-protobuf": DnsdistProtobuf(), "recursor-dnstap": RecursorDnstap()}


def cpu_ns(pid):
    """CPU time of all threads of a process, in nanoseconds: finer than the ticks of /proc/PID/stat."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total


class Measured:
    """One load on the resolver: what it cost it, and what it answered."""

    def __init__(self, rig):
        self._rig = rig
        self.answered = self.lost = 0
        self.cpu_us = self.p50_us = self.p99_us = self.qps = 0.0

    def load(self, seconds, rate=None, outstanding=200):
        """dnsperf for so long; at `rate` queries a second, or as fast as it is answered. Returns itself."""
        rig = self._rig
        out = rig.folder / "dnsperf.out"
        command = [*rig.beside, "dnsperf", "-s", "127.0.0.1", "-p", str(rig.at["port"]), "-d", str(rig.queries), "-l", str(seconds),
                   "-c", "20", "-T", "1", "-q", str(outstanding), "-t", "2", "-O", "suppress=timeout,unexpected"]
        command += ["-v", "-Q", str(rate)] if rate else []
        for attempt in range(3):
            before = cpu_ns(rig.process.pid)
            try:
                with open(out, "wb") as to:
                    subprocess.run(command, stdout=to, stderr=subprocess.DEVNULL, timeout=seconds + 15, check=True)
                break
            except subprocess.TimeoutExpired:
                # dnsperf 2.10 does not always end. Whether it was answered is asked by hand.
                if attempt == 2 or not ask(("127.0.0.1", rig.at["port"]), "ready.se"):
                    raise
        spent = cpu_ns(rig.process.pid) - before
        latencies = []
        with open(out, "rb") as lines:
            for line in lines:
                if line.startswith(b"> "):
                    latencies.append(line.rsplit(b" ", 1)[1])
                elif b"Queries completed:" in line:
                    self.answered = int(line.split()[2])
                elif b"Queries lost:" in line:
                    self.lost = int(line.split()[2])
                elif b"Queries per second:" in line:
                    self.qps = float(line.split()[-1])
        if self.answered == 0:
            raise LabError(f"dnsperf got no answer: {out.read_text()[-500:]}")
        self.cpu_us = spent / 1000 / self.answered
        if latencies:
            sorted_us = sorted(float(text) * 1e6 for text in latencies)
            self.p50_us, self.p99_us = (sorted_us[int(len(sorted_us) * share)] for share in (0.5, 0.99))
        return self


class Rig:
    """knotd, one resolver in front of it, and who takes its frames. Leaving the `with` block stops all.

    While the resolver is `apart()` it has the first core alone, and all else that is started, and we, the others: who shares a core
    with whom is otherwise a matter of chance, and weighs more than what is to be measured."""

    def __init__(self, binaries, folder, which):
        self.bin, self.folder, self.which = pathlib.Path(binaries), folder, which
        self.cores = sorted(os.sched_getaffinity(0))
        self.beside = []       # in front of the commands of all else
        self.home = folder / "resolver"
        names = ("upstream", "port", "metrics", "powerdns", "control")
        self.at = dict(zip(names, free_ports(len(names))), folder=folder, home=self.home, socket=folder / "dnstap.sock")
        self.processes = Processes(folder)
        self.process = None
        self.sink = None       # its process
        self.sink_name = ""
        self.queries = folder / "queries.txt"
        self._slow = None

    def __enter__(self):
        self.processes.__enter__()
        self.home.mkdir()
        (self.home / "run").mkdir()
        subprocess.run([self.bin / "tapir", "keys", "new", "--kid", "edge-1.example", "--out", self.folder], check=True,
                       capture_output=True)
        names = [f"www{index % 9}.site{index // 2}.se" for index in range(self.which.names)]
        (self.folder / "well-known.txt").write_text("".join(f"{name}\n" for name in names[:1000]))
        self.queries.write_text("".join(f"{name} A\n" for name in names))
        (self.folder / "edge.toml").write_text(EDGE_TOML.format(**self.at))
        (self.folder / "sink.py").write_text(PLAIN_SINK)
        resolver.start_authority(self.processes, self.folder, self.at["upstream"])
        return self

    def __exit__(self, *exc):
        self.leave()
        self.processes.__exit__(*exc)

    def start(self):
        """The resolver; who takes its frames should be there already, for one that never looks again."""
        for name, text in self.which.files(self.at).items():
            (self.home / name).write_text(text)
        binary = distribution_binary(self.which.binary, self.folder / "bin")
        self.process = self.processes.start("resolver", [binary, *self.which.command(self.home)])
        wait_for(f"{self.which.name} resolves", lambda: ask(("127.0.0.1", self.at["port"]), "ready.se", timeout_s=0.4, attempt_s=0.2),
                 30, still_runs=self.processes.check)

    @contextlib.contextmanager
    def apart(self):
        """The resolver has a core of its own, and dnsperf comes before all else on the others. Who takes the frames is to be
        started anew, then and after."""
        own, *others = self.cores
        self.beside = ["taskset", "-c", ",".join(map(str, others or [own]))]
        os.sched_setaffinity(0, others or [own])
        self._move_resolver([own])
        try:
            yield
        finally:
            self.beside = []
            os.sched_setaffinity(0, self.cores)
            self._move_resolver(self.cores)

    def _move_resolver(self, cores):
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task.name), cores)

    def take(self, sink, capture="/dev/null"):
        """Who takes the frames from now on: edge, other, absent. Returns when the resolver is connected to it. `capture`: where
        fstrm_capture puts them."""
        self.leave()
        self.at["socket"].unlink(missing_ok=True)
        if sink == "edge":
            self.sink = self._start_sink(self.bin / "tapir-edge", "run", "--config", self.folder / "edge.toml")
            wait_for("the edge", lambda: self.at["socket"].exists() and daemons.scrape(self.at["metrics"]), 60,
                     still_runs=self.processes.check)
        elif sink == "other" and self.which.is_protobuf:
            self.sink = self._start_sink("python3", self.folder / "sink.py", str(self.at["powerdns"]))
        elif sink == "other":
            self.sink = self._start_sink("fstrm_capture", "-t", CONTENT, "-u", self.at["socket"], "-w", capture)
            wait_for("fstrm_capture", self.at["socket"].exists, 20, still_runs=self.processes.check)
        if self.at["socket"].exists():
            self.at["socket"].chmod(0o666)
        self.sink_name = sink
        if self.process and sink != "absent":
            self.wait_until_connected()

    def _start_sink(self, *command):
        # What dnsperf measures it must not be kept from by whom it shares cores with.
        return self.processes.start("sink", [*(["nice", "-n", "10"] if self.beside else []), *self.beside, *command])

    def leave(self):
        """Ends who takes the frames, whatever state it is in."""
        self.stop_slowing()
        if self.sink:
            with contextlib.suppress(ProcessLookupError):
                self.sink.send_signal(signal.SIGCONT)
            self.processes.stop("sink")
        self.sink = None

    def is_connected(self):
        """Whether somebody has connected to where frames are taken, by the kernel's tables."""
        if self.which.is_protobuf:
            local = f"0100007F:{self.at['powerdns']:04X}"
            lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()
            return any(line.split()[1] == local and line.split()[3] == "01" for line in lines)
        lines = pathlib.Path("/proc/net/unix").read_text().splitlines()
        return any(line.endswith(str(self.at["socket"])) and line.split()[5] == "03" for line in lines)

    def wait_until_connected(self):
        count = iter(range(10**6))

        def connected():
            # Some look for a new connection only when they have something to send.
            for _ in range(4):
                ask(("127.0.0.1", self.at["port"]), f"wake{next(count)}.se", timeout_s=0.4, attempt_s=0.2)
            return self.is_connected()

        wait_for(f"{self.which.name} connects", connected, 60, 0.1, self.processes.check)

    def measure(self, seconds, rate=None, outstanding=200):
        return Measured(self).load(seconds, rate, outstanding)

    def edge_frames(self):
        """What came in of what the resolver had to send and was not dropped at the entrance, by the edge's own count."""
        return daemons.total(daemons.scrape(self.at["metrics"]), self.which.metric, **self.which.labels)

    def captured(self, capture):
        """How many client responses fstrm_capture has put into its file, when it has ended."""
        done = subprocess.run(["dnstap", "-r", capture, "-q"], capture_output=True, text=True, timeout=300, check=True)
        return sum(" CR " in line for line in done.stdout.splitlines())

    def edge_dropped(self):
        return daemons.total(daemons.scrape(self.at["metrics"]), "tapir_edge_frames_total", fate="dropped")

    def figures(self):
        """What it had to send, what we counted, what it dropped and what we dropped, so far."""
        counted = self.settled_frames()
        return {"sent": self.which.answered(self.at), "counted": counted, "dropped": self.which.dropped(self.at) or 0,
                "edge_dropped": self.edge_dropped()}

    def account(self, seconds, rate=None):
        """The same of one load, with what nobody counted (`missing`) and the queries a second."""
        before = self.figures()
        what = self.measure(seconds, rate)
        after = self.figures()
        out = {name: after[name] - before[name] for name in before}
        return out | {"missing": out["sent"] - out["counted"] - out["dropped"] - out["edge_dropped"], "qps": what.qps,
                      "cpu_us": what.cpu_us}

    def settled_frames(self):
        """The edge's count when it does not move any more: resolvers hold frames back for up to a second, and more if they are
        short of CPU."""
        last, since = -1, time.monotonic()
        deadline = since + 30
        while time.monotonic() < deadline:
            now = self.edge_frames()
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 2.5:
                return now
            threading.Event().wait(0.1)
        raise LabError("the edge's count does not come to rest")

    def stop_sink(self):
        self.sink.send_signal(signal.SIGSTOP)

    def continue_sink(self):
        self.sink.send_signal(signal.SIGCONT)

    def slow_down(self):
        """Who takes the frames runs for a twentieth of the time."""
        stop = threading.Event()
        process = self.sink

        def work():
            while not stop.is_set():
                process.send_signal(signal.SIGSTOP)
                stop.wait(0.19)
                process.send_signal(signal.SIGCONT)
                stop.wait(0.01)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._slow = (stop, thread)

    def stop_slowing(self):
        if self._slow:
            self._slow[0].set()
            self._slow[1].join()
            self._slow = None

    def kill_sink(self):
        self.processes.kill("sink")
        self.sink = None
