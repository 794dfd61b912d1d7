"""One turn of the loop on one machine: a new name goes in at the resolver and comes back as NXDOMAIN.

    python3 loop.py --bin build/release/bin [--once] [--mqtt] [--state FOLDER]

Everything is real and on the loopback address: knotd, unbound, tapir-edge, tapir-core, tapir-policy. With --mqtt
events go up and observations come down through mosquitto, and an event of the existing edge is published too.
Without --once it stays up with a short live status until interrupted.
"""

import argparse
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

import broker
import daemons
import evidence
import golden
from dns import NOERROR, NXDOMAIN, ask
from processes import LabError, Processes, wait_for

CLIENTS = 60  # in three networks: 127.1.1.0/24, 127.1.2.0/24, 127.1.3.0/24
QUIET_CLIENTS = 9  # below every threshold of `standard` (10 to 40)
BATCH_S = 2
LOOP_S_MAX = 90


def client(index):
    return f"127.1.{1 + index % 3}.{1 + index // 3}"


def new_domain(suffix):
    word = "".join(random.SystemRandom().choices("bcdfghjklmnprstvz", k=3))
    vowels = "".join(random.SystemRandom().choices("aeiou", k=3))
    return "tapir-" + "".join(a + b for a, b in zip(word, vowels)) + f"{random.SystemRandom().randrange(1000):03d}.{suffix}"


class Timeline:
    """What happened when, in milliseconds since the first query."""

    def __init__(self):
        self.start = None
        self.rows = []

    def mark(self, what):
        now = time.monotonic()
        if self.start is None:
            self.start = now
        self.rows.append((now - self.start, what))
        print(f"  {1000 * (now - self.start):10.1f} ms  {what}", flush=True)


class Turn:
    """One name around the loop."""

    def __init__(self, lab):
        self.lab = lab
        self.timeline = Timeline()
        self.loud = new_domain("se")
        self.quiet = new_domain("com")
        self.calm = new_domain("org")

    def run(self):
        lab = self.lab
        witness = lab.witness(self.loud)
        witness.start()
        print(f"\nA new name, {self.loud}, asked by {CLIENTS} clients in 3 networks;"
              f" another, {self.quiet}, by {QUIET_CLIENTS}.\n(unbound hands dnstap frames over by {daemons.UNBOUND_BATCH}, or"
              " after a second: so that each client can be told apart, fillers by one more client follow each query.)")
        self.frames = lab.edge_frames()
        for index in range(QUIET_CLIENTS):
            self.frames += 1
            self.expect(f"www.{self.quiet}", client(index), NOERROR)
        released_at = self.ask_by_all()
        self.timeline.mark(f"client {released_at} of {CLIENTS} reached the threshold T of this name and day")
        wait_for("the core has the event", lambda: lab.core_events() > self.events_before, LOOP_S_MAX,
                 0.002, lab.processes.check)
        self.timeline.mark(f"event: the core has accepted {self.loud}, " +
                           ("by MQTT, and kept it" if lab.over_mqtt else "in a batch, and answered 202"))
        wait_for("the observation", witness.seen, LOOP_S_MAX, 0.002, lab.processes.check)
        self.timeline.mark("observation: signed by the core, " +
                           ("on the broker" if lab.over_mqtt else "on the live feed"))
        wait_for("the policy's new serial", lambda: lab.serial() > self.serial_before, LOOP_S_MAX, 0.002,
                 lab.processes.check)
        self.timeline.mark(f"policy: zone {daemons.ZONE} has serial {lab.serial()}; NOTIFY, IXFR")
        wait_for("NXDOMAIN", lambda: self.rcode(f"www.{self.loud}", client(0)) == NXDOMAIN, LOOP_S_MAX, 0.002,
                 lab.processes.check)
        self.timeline.mark(f"NXDOMAIN: unbound refuses www.{self.loud}")
        self.check_transfer()
        if lab.over_mqtt:
            self.check_broker()
        self.check_others()

    def check_broker(self):
        lab = self.lab
        if not lab.broker.messages(f"{broker.UP}/{daemons.EDGE}/new_qname"):
            raise LabError("nothing of the edge crossed the broker")
        wait_for("all of the core's events came over MQTT", lab.core_events_are_all_from_broker, 5, 0.1, lab.processes.check)
        golden.check_observation_has_their_form(lab.broker.observation_of(self.loud))
        self.timeline.mark("the observation on the broker has the existing core's form, member by member")
        golden.check_event_is_taken(lab)
        self.timeline.mark(f"the existing edge's recorded event for {golden.EVENT_NAME} was published and taken")

    def ask_by_all(self):
        """The number of the client after whose query the edge counted a released name."""
        lab = self.lab
        self.events_before = lab.core_events()
        self.serial_before = lab.serial()
        released_before = lab.edge_released()
        released_at = None
        for index in range(CLIENTS):
            if index == 0:
                self.timeline.mark(f"first query for www.{self.loud}")
            self.expect(f"www.{self.loud}", client(index), NOERROR)
            self.frames += 1
            if released_at is None:
                want = self.frames
                self.frames += lab.fill_up()
                wait_for("the edge counts the frame", lambda want=want: lab.edge_frames() >= want, 20, 0.002,
                         lab.processes.check)
                if lab.edge_released() > released_before:
                    released_at = index + 1
        if released_at is None:
            raise LabError(f"{CLIENTS} clients asked for {self.loud} and the edge released nothing")
        return released_at

    def rcode(self, name, source):
        answer = ask(self.lab.resolver, name, source=source, timeout_s=2.0)
        return None if answer is None else answer.rcode

    def expect(self, name, source, rcode):
        got = self.rcode(name, source)
        if got != rcode:
            raise LabError(f"{name} asked from {source}: expected rcode {rcode}, got {got}")

    def check_transfer(self):
        text = self.lab.policy_metrics()
        if not re.search(r'^tapir_policy_transfers_total\{kind="ixfr"\} [1-9]', text, re.M):
            raise LabError("unbound follows, but the policy counted no IXFR")

    def check_others(self):
        self.expect(f"www.{self.calm}", client(1), NOERROR)
        self.timeline.mark(f"an unrelated name, www.{self.calm}, still resolves")
        self.expect(f"www.{self.quiet}", client(2), NOERROR)
        self.lab.wait_for_batches(2)
        searched, found = evidence.search(self.lab.places_of_what_was_sent(), self.quiet)
        if found:
            raise LabError(f"{self.quiet}, asked by {QUIET_CLIENTS} clients, was found in {found}")
        canary_files, canary = evidence.search(self.lab.places_of_what_was_sent(), self.loud)
        if not canary or not canary_files:
            raise LabError("the search for what left does not find the name that did leave: the check is blind")
        self.timeline.mark(f"{self.quiet} never left: looked for in {searched} files sent, received or derived"
                           f" ({self.loud} is in {len(canary)} of them)")


def live_status(lab):
    """A line every second until interrupted."""
    print("\nThe loop is up. Interrupt (Ctrl-C) to stop everything.")
    print(f"  ask it:       dig @{lab.resolver[0]} -p {lab.resolver[1]} www.example-of-yours.se")
    print(f"  the zone:     dig @127.0.0.1 -p {lab.rpz_port} {daemons.ZONE} AXFR")
    print(f"  why a name:   {lab.bin}/tapir explain --url http://127.0.0.1:{lab.policy_metrics_port} NAME")
    print(f"  state, logs:  {lab.folder}")
    stop = threading.Event()
    while not stop.wait(1.0):
        lab.processes.check()
        print(f"\r  frames {lab.edge_frames():7d}   released {lab.edge_released():5d}   events at the core"
              f" {lab.core_events():5d}   serial {lab.serial()}   ", end="", flush=True)


def run(arguments):
    folder = pathlib.Path(arguments.state or tempfile.mkdtemp(prefix="tapir-lab-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    closed = False
    with Processes(folder) as processes:
        try:
            lab = daemons.Lab(pathlib.Path(arguments.bin).resolve(), folder, processes, BATCH_S, arguments.mqtt)
            print(f"Tapir's loop on one machine. State and logs: {folder}")
            print(f"Everything is as installed but one setting: a batch leaves every {BATCH_S} s, not every minute (R6).")
            if arguments.mqtt:
                print("Events go up and observations come down through mosquitto; histograms go up over HTTPS.")
            print("The lab's policy blocks what is merely new: for this demonstration only.")
            lab.start()
            turn = Turn(lab)
            turn.run()
            closed = True
            print(f"\nThe loop closed. ({time.monotonic() - started:.1f} s with starting everything)")
            if not arguments.once:
                live_status(lab)
        except KeyboardInterrupt:
            print("\nStopping.")
        except (LabError, OSError) as error:
            print(f"\nThe loop did not close: {error}", file=sys.stderr)
            processes.show_logs()
            return 1
    if arguments.state is None and not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if closed else 1


def main():
    parser = argparse.ArgumentParser(description="Tapir's loop on one machine, with real daemons.")
    parser.add_argument("--bin", required=True, help="folder with tapir-edge, tapir-core, tapir-policy")
    parser.add_argument("--once", action="store_true", help="one turn, then stop; exit 1 if it did not close")
    parser.add_argument("--mqtt", action="store_true", help="events and observations through an MQTT broker")
    parser.add_argument("--state", help="folder for all state and logs (default: a new one, removed afterwards)")
    parser.add_argument("--keep", action="store_true", help="keep the folder")

    def interrupted(*_):
        raise KeyboardInterrupt

    # Also where whoever started us has SIGINT ignored, as a shell does for what it runs behind.
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
