"""The running edge under full load for as long as one likes: does its memory keep to its plan, is every frame accounted for?

    scripts/bench endurance [--minutes 60] [--flood-minutes 10] [--names 10000000] [--memory 512]

First a sender gives it a mix of well-known and other names as fast as it takes them, then a second connection floods it with
names of which each is new, while the first goes on at a rate. The daemon is the real one, with a compiled list, its outbox
on the disk and no core. Exit status 1 if it ever took more memory than it may, if a frame is unaccounted for, if memory grew
under the flood, if it forgot nothing there, or if it then counted another number of well-known names than were sent.
"""

import argparse
import contextlib
import pathlib
import subprocess
import sys
import tempfile
import time

import tools
from tools import BIN, fail, say

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "real"))
import daemons  # noqa: E402
from processes import LabError, Processes, free_port, wait_for  # noqa: E402

SAMPLE_S = 5
FLOOD_GROWTH_MAX_MIB = 16  # from the end of its first minute on
KNOWN_RATE = 50_000  # frames a second while the flood goes on, so that none is dropped at the entrance
FLOOD_RATE = 300_000
CONFIG = """input.unix = "{folder}/dnstap.sock"
state.dir = "{folder}/state"
keys.signing = "{folder}/edge-1.example.jwk"
lists.well_known = "{names}"
metrics.listen = "127.0.0.1:{port}"
memory.size_max = "{memory}MiB"
"""


class Edge:
    """The daemon, and what it says of itself."""

    def __init__(self, folder, names, memory_mib, processes):
        self.folder, self.port, self.processes = folder, free_port(), processes
        subprocess.run([BIN / "tapir", "keys", "new", "--kid", "edge-1.example", "--out", folder], check=True, capture_output=True)
        (folder / "edge.toml").write_text(CONFIG.format(folder=folder, names=names, port=self.port, memory=memory_mib))
        # As its unit has it: large pages behind the list and the tables.
        self.process = processes.start("edge", [BIN / "tapir-edge", "run", "--config", folder / "edge.toml"],
                                       env={"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"})
        wait_for("the edge", lambda: self.socket.exists() and daemons.scrape(self.port), 60, 0.05, processes.check)

    @property
    def socket(self):
        return self.folder / "dnstap.sock"

    def memory_mib(self):
        """Resident memory in all, and of it what is not a file's."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "RssAnon"))}
        return kib["VmRSS"] / 1024, kib["RssAnon"] / 1024

    def figures(self):
        page = daemons.scrape(self.port)

        def total(name, **labels):
            return daemons.total(page, f"tapir_edge_{name}", **labels)

        return {"frames": total("frames_total"), "dropped": total("frames_total", fate="dropped", reason="overload"),
                "no_row": total("frames_total", fate="dropped", reason="row"),
                "no_name": total("frames_total", fate="dropped", reason="name"),
                "known": total("frames_total", fate="counted", reason="well_known"), "evicted": total("pending_evicted_total"),
                "rows": total("rows_open"), "batches": total("outbox_batches")}


def send(frames, socket, seconds, rate=0):
    return subprocess.Popen([str(word) for word in (BIN / "bench_send", frames, socket, 131072 if not rate else 16384, seconds, rate)],
                            stdout=subprocess.PIPE, text=True)


def watch(edge, senders, what, minutes):
    """Samples until the senders are done: the peak, anonymous memory at the end of each minute, how many frames each sent."""
    rows, peak, began, minute_anon = [], 0.0, time.monotonic(), []
    before = edge.figures()
    while any(sender.poll() is None for sender in senders):
        time.sleep(SAMPLE_S)  # the step of the samples
        edge.processes.check()
        rss, anon = edge.memory_mib()
        peak = max(peak, rss)
        minute = int((time.monotonic() - began) / 60)
        while len(minute_anon) <= minute:
            minute_anon.append(0.0)
        minute_anon[minute] = max(minute_anon[minute], anon)
        rows.append((time.monotonic() - began, rss, anon, edge.figures()))
    sent = [int(sender.stdout.read()) for sender in senders]
    if any(sender.wait() != 0 for sender in senders):
        fail(f"{what}: a sender failed")
    # Frames that are not there by then are told as not accounted for, with all else that was seen.
    with contextlib.suppress(LabError):
        wait_for("the last frames", lambda: edge.figures()["frames"] - before["frames"] >= sum(sent), 20, 0.2)
    after = edge.figures()
    change = {key: after[key] - before[key] for key in ("frames", "dropped", "no_row", "no_name", "known", "evicted")}
    seconds = time.monotonic() - began
    say(f"{what}: {minutes} min, {sum(sent)} frames sent ({sum(sent) / seconds / 1e6:.2f} M/s), {change['frames']} accounted for, "
        f"{change['dropped']} of them dropped at the entrance; well known and counted {change['known']}, without a row {change['no_row']}; "
        f"{change['evicted']} pending names forgotten, {change['no_name']} without room to leave; memory at most {peak:.0f} MiB; {after['batches']} batches in the outbox")
    step = max(1, len(rows) // 12)
    tools.table(["min", "resident MiB", "anonymous MiB", "frames", "dropped", "without a row", "rows open"],
                [[f"{at / 60:.1f}", f"{rss:.0f}", f"{anon:.0f}", f"{f['frames']}", f"{f['dropped']}", f"{f['no_row']}", f"{f['rows']}"]
                 for at, rss, anon, f in rows[step - 1::step]])
    return {"sent": sent, "peak": peak, "minutes": minute_anon, **change}


def known_in(edge, frames):
    """How many frames of one pass ask for a well-known name: the edge counts them, or says that there was no row for them."""
    change = watch(edge, [send(frames, edge.socket, 1, KNOWN_RATE)], "one pass alone", 0)
    if change["dropped"] or change["frames"] != sum(change["sent"]):
        fail("frames were dropped though they came slowly: the machine is too busy to tell anything")
    return change["known"] + change["no_row"], sum(change["sent"])


def faults_of(load, flood, known_of_pass, frames_of_pass, memory_mib):
    """What the edge did not keep to."""
    for what, phase in (("full rate", load), ("flood", flood)):
        if phase["peak"] > memory_mib:
            yield f"{what}: {phase['peak']:.0f} MiB of memory, at most {memory_mib}"
        if phase["frames"] != sum(phase["sent"]):
            yield f"{what}: {sum(phase['sent'])} frames sent, {phase['frames']} accounted for"
    growth = max(flood["minutes"][1:], default=0.0) - flood["minutes"][0]
    if growth > FLOOD_GROWTH_MAX_MIB:
        yield f"flood: memory grew by {growth:.0f} MiB"
    if flood["evicted"] == 0:
        yield "flood: no pending name was forgotten, so it was no flood"
    passes = flood["sent"][0] // frames_of_pass
    if flood["dropped"] == 0 and flood["known"] + flood["no_row"] != passes * known_of_pass:
        yield f"flood: {flood['known']} + {flood['no_row']} well-known names counted or without a row, {passes * known_of_pass} sent"
    if flood["dropped"] != 0:
        yield f"flood: {flood['dropped']} frames were dropped at the entrance, so nothing can be said of the well-known names"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--flood-minutes", type=float, default=10)
    parser.add_argument("--names", type=int, default=10_000_000)
    parser.add_argument("--memory", type=int, default=512, metavar="MIB")
    words = parser.parse_args()
    tools.WORK.mkdir(parents=True, exist_ok=True)
    names = tools.make_input(f"names-{words.names}-2.txt", "names", words.names, 2)
    usual = tools.make_input(f"frames-{words.names}-2000000-8.fstrm", "frames", names, 2_000_000, 8, 50, 3)
    listed = tools.make_input(f"slow-{words.names}-200000-8.fstrm", "frames", names, 200_000, 8, 50, 3)
    flooding = tools.make_input(f"flood-{words.names}-4000000-9.fstrm", "frames", names, 4_000_000, 9, 1000, 3)
    with tempfile.TemporaryDirectory(dir=tools.WORK, prefix="endurance-") as folder, Processes(pathlib.Path(folder)) as processes:
        compiled = pathlib.Path(folder) / "names.tapirlist"
        subprocess.run([BIN / "tapir", "list", "compile", names, "--out", compiled], check=True, stdout=subprocess.DEVNULL)
        edge = Edge(pathlib.Path(folder), compiled, words.memory, processes)
        known_of_pass, frames_of_pass = known_in(edge, listed)
        load = watch(edge, [send(usual, edge.socket, round(words.minutes * 60))], "full rate", words.minutes)
        seconds = round(words.flood_minutes * 60)
        flood = watch(edge, [send(listed, edge.socket, seconds, KNOWN_RATE), send(flooding, edge.socket, seconds, FLOOD_RATE)],
                      "flood beside well-known names", words.flood_minutes)
        processes.stop("edge")
    faults = list(faults_of(load, flood, known_of_pass, frames_of_pass, words.memory))
    machine = tools.machine()
    say(f"   {machine['date']}, {machine['commit']}, {machine['cpu']}, {machine['cores']} cores, load {machine['load']}, {machine['compiler']}")
    tools.write_json("endurance.json", {"machine": machine, "full_rate": load, "flood": flood, "faults": faults})
    if faults:
        fail("\n".join(faults))


if __name__ == "__main__":
    main()
