"""The resolver of the lab and what it asks: knotd as the whole name space, unbound in front of it."""

from dns import NOERROR, ask
from processes import distribution_binary, wait_for

# A synthetic root that answers every name under real public suffixes: the release gate would never
# release a name of a special-use suffix, so the lab cannot use one. Nothing leaves the loopback.
ROOT_ZONE = """$ORIGIN .
$TTL 300
@ 3600 IN SOA ns.root-sim. hostmaster.root-sim. 1 3600 600 86400 60
@ 3600 IN NS ns.root-sim.
ns.root-sim. 3600 IN A 127.0.0.1
se. IN TXT "synthetic"
*.se. IN A 192.0.2.10
com. IN TXT "synthetic"
*.com. IN A 192.0.2.11
org. IN TXT "synthetic"
*.org. IN A 192.0.2.12
"""

KNOT_CONF = """server:
  rundir: "{folder}"
  listen: [127.0.0.1@{port}]
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: "{folder}/db"
log:
  - target: stderr
    any: info
template:
  - id: default
    storage: "{folder}"
    semantic-checks: off
    journal-content: none
zone:
  - domain: .
    file: root.zone
"""

UNBOUND_CONF = """server:
  chroot: ""
  username: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  verbosity: 1
  num-threads: 1
  interface: 127.0.0.1@{port}
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "respip iterator"
  qname-minimisation: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{upstream}
remote-control:
  control-enable: no
dnstap:
  dnstap-enable: yes
  dnstap-bidirectional: yes
  dnstap-socket-path: "{dnstap}"
  dnstap-send-identity: yes
  dnstap-send-version: yes
  dnstap-log-client-response-messages: yes
{rpz}"""

UNBOUND_RPZ = """rpz:
  name: "dnstapir."
  primary: 127.0.0.1@{port}
  allow-notify: 127.0.0.1
  rpz-log: yes
  rpz-log-name: "tapir"
"""


def start_authority(processes, folder, port):
    home = folder / "knot"
    home.mkdir(parents=True, exist_ok=True)
    (home / "root.zone").write_text(ROOT_ZONE)
    (home / "knot.conf").write_text(KNOT_CONF.format(folder=home, port=port))
    processes.start("knotd", [distribution_binary("knotd", folder / "bin"), "-c", home / "knot.conf"])
    wait_for("knotd answers", lambda: ask(("127.0.0.1", port), "ready.se", timeout_s=0.2, attempt_s=0.1),
             20, still_runs=processes.check)


def start_unbound(processes, folder, port, upstream, dnstap_socket, rpz_port=None):
    home = folder / "unbound"
    home.mkdir(parents=True, exist_ok=True)
    rpz = UNBOUND_RPZ.format(port=rpz_port) if rpz_port else ""
    conf = UNBOUND_CONF.format(folder=home, port=port, upstream=upstream, dnstap=dnstap_socket, rpz=rpz)
    (home / "unbound.conf").write_text(conf)
    processes.start("unbound", [distribution_binary("unbound", folder / "bin"), "-d", "-c", home / "unbound.conf"])

    def resolves():
        answer = ask(("127.0.0.1", port), "ready.se", timeout_s=0.4, attempt_s=0.2)
        return answer and answer.rcode == NOERROR

    wait_for("unbound resolves", resolves, 20, still_runs=processes.check)
