"""Our daemons killed with -9 at random instants of a live run: what was accepted is at the core, each once.

    TAPIR_BIN=build/release/bin python3 kill_test.py [--transport https|mqtt] [--kills 21] [--seed N] [--state FOLDER]

New names are asked for all the time, so that at every instant some are counted, some wait, some are on their way. After
each kill the daemon is started again, and the loop must close for a fresh name. In between the core is stopped for a
while, and the edge is stopped and killed while it is; over MQTT the broker is stopped for a while too. At the end the
disk of the edge is held against that of the core.
"""

import argparse
import collections
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import daemons
import records
from dns import NOERROR, NXDOMAIN, ask
from processes import LabError, Processes, wait_for

CLIENTS = 60
BATCH_S = 2
WELL_KNOWN = "known.org"
PAUSE_S_MAX = 2.0  # before a kill, and half of it before the daemon is back
LOOP_S_MAX = 60
ASK_AGAIN_S = 2.0
PORTS = {"edge": "edge_metrics_port", "core": "core_metrics_port", "policy": "policy_metrics_port"}


def client(index):
    return f"127.1.{1 + index % 3}.{1 + index // 3}"


class Names:
    """New names without end, the same for the same seed."""

    def __init__(self, seed):
        self._chance = random.Random(seed)
        self._count = 0
        self._lock = threading.Lock()

    def next(self, suffix):
        with self._lock:
            self._count += 1
            letters = "".join(self._chance.choices("bcdfgklmnprstv", k=3))
            return f"kill-{letters[0]}a{letters[1]}e{letters[2]}o-{self._count}.{suffix}"


class Load(threading.Thread):
    """Asks for new names, each by all clients in an order of its own, and for one that is well known."""

    def __init__(self, resolver, names, seed):
        super().__init__(daemon=True)
        self._resolver, self._names, self._chance = resolver, names, random.Random(seed)
        self._stop_asked = threading.Event()
        self.asked = 0

    def stop(self):
        self._stop_asked.set()
        self.join(timeout=30)

    def run(self):
        order = list(range(CLIENTS))
        while not self._stop_asked.wait(0.2):
            self._chance.shuffle(order)
            name = WELL_KNOWN if self.asked % 5 == 0 else "www." + self._names.next("com")
            for index in order:
                ask(self._resolver, name, source=client(index), timeout_s=1, attempt_s=0.5)
            self.asked += 1


class SerialWatch(threading.Thread):
    """Reads the zone's serial all the time, from whichever policy runs."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self._lab, self._stop_asked = lab, threading.Event()
        self.seen = []

    def stop(self):
        self._stop_asked.set()
        self.join(timeout=30)

    def run(self):
        while not self._stop_asked.wait(0.05):
            serial = self._lab.serial()
            if serial is not None:
                self.seen.append(serial)

    def went_back(self):
        """The places where a serial is older than the one before it (RFC 1982)."""
        return [(a, b) for a, b in zip(self.seen, self.seen[1:]) if a != b and (b - a) % 2**32 >= 2**31]


class Run:
    """One run over one transport."""

    def __init__(self, lab, seed, kills):
        self.lab, self.chance = lab, random.Random(seed)
        self.names = Names(seed)
        parts = list(PORTS)
        self.victims = [parts[i % len(parts)] for i in range(kills)]
        self.chance.shuffle(self.victims)
        self.killed = collections.Counter()
        self.loops = []

    def instant(self, longest_s):
        """Lets a random time pass: nothing is waited for, the instant is what is tried."""
        threading.Event().wait(self.chance.uniform(0, longest_s))

    def start(self, part):
        self.lab.run(part, getattr(self.lab, PORTS[part]))

    def stop(self, part):
        self.lab.processes.stop(f"tapir-{part}")

    def kill(self, part):
        self.lab.processes.kill(f"tapir-{part}")
        self.killed[part] += 1

    def wait_for_waiting(self, count):
        wait_for(f"{count} batches wait", lambda: (self.lab.edge_waiting() or 0) >= count, 30, 0.05, self.lab.processes.check)

    def close_loop(self):
        """A fresh name, first answered, is refused in the end."""
        began = time.monotonic()
        name = "www." + self.names.next("se")
        first = ask(self.lab.resolver, name, source=client(0))
        if first is None or first.rcode != NOERROR:
            raise LabError(f"{name} was never asked for and is not answered")
        asked_at = 0.0

        def is_refused():
            nonlocal asked_at
            # What was asked before the edge listened again was not counted: that is allowed.
            if time.monotonic() - asked_at > ASK_AGAIN_S:
                for index in range(CLIENTS):
                    ask(self.lab.resolver, name, source=client(index), timeout_s=1, attempt_s=0.5)
                asked_at = time.monotonic()
            answer = ask(self.lab.resolver, name, source=client(1), timeout_s=1, attempt_s=0.5)
            return answer is not None and answer.rcode == NXDOMAIN

        wait_for(f"the loop closes for {name}", is_refused, LOOP_S_MAX, 0.05, self.lab.processes.check)
        self.loops.append(time.monotonic() - began)

    def kill_and_return(self, number, part):
        self.instant(PAUSE_S_MAX)
        self.kill(part)
        self.instant(PAUSE_S_MAX / 2)
        self.start(part)
        self.close_loop()
        print(f"  kill {number:2d}: {part:6s}  the loop closed in {self.loops[-1]:4.1f} s", flush=True)

    def core_away(self):
        """Without a core the edge goes on, and neither a stop nor a kill of it loses what waits."""
        self.stop("core")
        if self.lab.broker:  # events go there, and wait there; histograms wait for the core
            self.lab.wait_for_batches(2)
        else:
            self.wait_for_waiting(2)
        self.stop("edge")
        self.start("edge")
        self.wait_for_waiting(1 if self.lab.broker else 3)
        # Before it counts it has nothing to lose, and its next start has nothing to say.
        wait_for("the edge counts", (self.lab.folder / "edge/state/running").exists, 20, 0.05, self.lab.processes.check)
        self.kill("edge")
        self.start("edge")
        waiting = wait_for("the outbox is back", self.lab.edge_waiting, 20, 0.05, self.lab.processes.check)
        self.start("core")
        self.close_loop()
        print(f"  core away: {waiting} batches waited, over a stop and a kill of the edge;"
              f" the loop closed in {self.loops[-1]:4.1f} s", flush=True)

    def broker_away(self):
        """What the broker is not there for waits in the outbox; what it had acknowledged it has kept."""
        self.lab.processes.stop("mosquitto")
        self.wait_for_waiting(2)
        self.kill("edge")
        self.start("edge")
        self.lab.broker.start_broker()
        self.close_loop()
        print(f"  broker away, and a kill of the edge; the loop closed in {self.loops[-1]:4.1f} s", flush=True)

    def run(self):
        for number, part in enumerate(self.victims, 1):
            if number == len(self.victims) // 3 and self.lab.broker:
                self.broker_away()
            if number == len(self.victims) // 2:
                self.core_away()
            self.kill_and_return(number, part)

    def settle(self):
        """Until everything is where it belongs; then all of ours are stopped."""
        self.lab.processes.stop("unbound")  # or what it holds back would make one batch more
        self.stop("edge")  # what it counts and may say goes into the outbox
        self.start("edge")
        wait_for("the outbox is empty", lambda: self.lab.edge_waiting() == 0, 60, 0.05, self.lab.processes.check)
        payloads = self.lab.folder / "core/state/aggregates"
        wait_for("the core has sealed everything", lambda: not any(payloads.iterdir()), 60, 0.05, self.lab.processes.check)
        journal = records.Journal(self.lab.folder / "core/state/store")
        wait_for("every event is analysed", journal.is_analysed, 60, 0.2, self.lab.processes.check)
        for part in ("edge", "core", "policy"):
            self.stop(part)


class Failures(list):
    def expect(self, is_right, what):
        if not is_right:
            self.append(what)


def more_than_once(items):
    return sorted(item for item, count in collections.Counter(items).items() if count > 1)


def compare(lab, run, watch):
    """Everything that is not as it must be, in sentences; and a line of figures."""
    bad = Failures()
    outbox = records.Outbox(lab.folder / "edge/state")
    journal = records.Journal(lab.folder / "core/state/store")
    ids, at_core = outbox.ids(), journal.event_ids(daemons.EDGE)
    bad.expect(set(outbox.ends) <= {"sent", "waiting, empty"}, f"batches in the outbox: expected all sent, got {dict(outbox.ends)}")
    bad.expect(not more_than_once(ids), f"ids twice in the outbox: {more_than_once(ids)}")
    bad.expect(set(ids) == set(at_core), f"ids at the edge alone: {sorted(set(ids) - set(at_core))};"
                                         f" at the core alone: {sorted(set(at_core) - set(ids))}")
    bad.expect(journal.event_count() == len(ids), f"the core accepted {journal.event_count()} events, the outbox has {len(ids)}")
    bad.expect(len(ids) > len(run.loops), f"{len(ids)} events: the run shows nothing")
    bad.expect(not journal.family("intake_outbox"), "events that the core accepted were not analysed")

    names = [event["qname"].rstrip(".") for event in outbox.events]
    bad.expect(not more_than_once(names), f"names twice in the outbox: {more_than_once(names)}")
    observed = journal.observed()
    bad.expect(sorted(observed) == sorted(names), f"observed twice: {more_than_once(observed)};"
                                                  f" not observed: {sorted(set(names) - set(observed))}")

    # Two histograms of one minute, before and after a restart, may be the same octets: then they are one at the core.
    sealed = journal.aggregates()
    digests = [f"{one['aggregate_interval_start']}/{one['aggregate_interval_duration']} {one['content_sha256']}" for one in sealed]
    bad.expect(set(outbox.histograms) <= set(digests) <= set(outbox.histograms + outbox.last) and not more_than_once(digests),
               f"histograms: in the outbox {sorted(outbox.histograms)}, at the core {sorted(digests)}")
    bad.expect(len(digests) > 0, "no histogram left the edge: the run shows nothing")
    bad.expect(all(one["state"] == "sealed" for one in sealed), f"not sealed: {[one for one in sealed if one['state'] != 'sealed']}")
    in_lake = sorted(str(path.relative_to(lab.folder / "core/lake")) for path in (lab.folder / "core/lake").rglob("*.parquet"))
    sealed_as = sorted(one["lake_path"] for one in sealed if one["lake_path"])  # none if no row was left
    bad.expect(in_lake == sealed_as, f"the lake holds {in_lake}, the journal says {sealed_as}")
    bad.expect(len(in_lake) > 0, "nothing is in the lake: the run shows nothing")

    said = (lab.folder / "log/tapir-edge.log").read_text(errors="replace").count("the last run did not end in order")
    bad.expect(said == run.killed["edge"], f"{run.killed['edge']} kills of the edge, {said} starts that say that counts are lost")
    bad.expect(not watch.went_back(), f"the serial went back: {watch.went_back()}")
    verified = subprocess.run([lab.bin / "tapir", "ledger", "verify", lab.folder / "edge/state/ledger", "--sent",
                               lab.folder / "edge/state"], capture_output=True, text=True, check=False)
    bad.expect(verified.returncode == 0, f"tapir ledger verify: {verified.stdout}{verified.stderr}")
    figures = (f"{sum(run.killed.values())} kills ({', '.join(f'{part} {n}' for part, n in sorted(run.killed.items()))}),"
               f" {len(run.loops)} loops closed (slowest {max(run.loops):.1f} s), {len(ids)} events and {len(digests)} histograms"
               f" in {sum(outbox.ends.values())} batches: at the core each once; {len(watch.seen)} serials seen, none went back;"
               f" {verified.stdout.strip()}")
    return bad, figures


def run_once(words, transport, folder, processes):
    seed = words.seed if words.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"Daemons killed at random instants, over {transport}; seed {seed}; state and logs: {folder}", flush=True)
    lab = daemons.Lab(pathlib.Path(words.bin).resolve(), folder, processes, BATCH_S, over_mqtt=transport == "mqtt")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "well-known.txt").write_text(f"{WELL_KNOWN}\n")
    lab.more_words["edge"] = ["--set", f"lists.well_known={folder}/well-known.txt"]
    lab.start()
    run = Run(lab, seed, words.kills)
    load, watch = Load(lab.resolver, run.names, seed + 1), SerialWatch(lab)
    load.start()
    watch.start()
    run.close_loop()
    run.run()
    load.stop()
    run.close_loop()
    run.settle()
    watch.stop()
    bad, figures = compare(lab, run, watch)
    for sentence in bad:
        print(f"FAILED (seed {seed}): {sentence}", file=sys.stderr)
    print(f"  {figures}", flush=True)
    return not bad


def main():
    parser = argparse.ArgumentParser(description="Daemons killed at random instants of a live run.")
    parser.add_argument("--bin", default=os.environ.get("TAPIR_BIN"), help="folder with the programs (default: TAPIR_BIN)")
    parser.add_argument("--transport", choices=["https", "mqtt"], action="append", help="default: all")
    parser.add_argument("--kills", type=int, default=21)
    parser.add_argument("--seed", type=int, help="of an earlier run; default: by chance, printed")
    parser.add_argument("--state", help="folder for all state and logs, kept (default: a new one, removed after success)")
    words = parser.parse_args()
    if not words.bin:
        parser.error("--bin, or TAPIR_BIN in the environment")
    is_good = True
    for transport in words.transport or ["https", "mqtt"]:
        folder = pathlib.Path(words.state or tempfile.mkdtemp(prefix="tapir-kill-")).resolve() / transport
        with Processes(folder) as processes:
            try:
                is_good = run_once(words, transport, folder, processes) and is_good
            except LabError as error:
                print(f"FAILED: {error}", file=sys.stderr)
                processes.show_logs()
                is_good = False
        if words.state is None and is_good:
            shutil.rmtree(folder.parent, ignore_errors=True)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
