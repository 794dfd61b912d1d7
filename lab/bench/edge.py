"""The edge against the yardstick: frames per second and core, cost in yardsticks, memory, stages.

    scripts/bench edge [--frames N] [--runs N] [--ten-million] [--quick]
    scripts/bench edge --instructions [--record]

CPU time is that of all threads of the edge, pinned to one core; the sender has the other. Runs of the edge
and of the yardstick take turns on the same file, medians are shown. Before a time is reported: both have
read as many frames, every frame has one fate, the frames are counted and rows have come out of the gate.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import instructions
import tools
from tools import BIN, CORE, OTHER_CORE, fail, pinned, say


def run_edge(names, frames, profile, source, workers=1, stages=False, cores=CORE):
    """One run of bench_edge: its JSON. `cores` as taskset has them."""
    tools.touch_memory()
    with tempfile.TemporaryDirectory(dir=tools.WORK, prefix="edge-") as folder:
        socket = f"{folder}/dnstap.sock"
        command = [BIN / "bench_edge", "--names", names, "--frames", frames, "--state", f"{folder}/state", "--profile", profile,
                   "--from", source, "--socket", socket, "--workers", workers, *(["--stages", "yes"] if stages else [])]
        # As packaging/systemd/tapir-edge.service has it: large pages behind the list and the tables.
        environment = os.environ | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
        edge = subprocess.Popen(pinned(cores, command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        if source == "socket":
            if "listening" not in edge.stderr.readline():
                fail("bench_edge does not listen")
            subprocess.run(pinned(OTHER_CORE, [BIN / "bench_send", frames, socket]), check=True)
        out, errors = edge.communicate()
        if edge.returncode != 0:
            fail(f"bench_edge: {errors}")
    return json.loads(out)


def check(result, count):
    """That the work was done, before anybody says how long it took."""
    fates = result["fates"]
    if result["frames"] != count or result["fates_sum"] != count:
        fail(f"{count} frames for the yardstick, {result['frames']} read by the edge, {result['fates_sum']} with a fate")
    if any(fate.split("/")[0] in ("dropped", "frame", "dns") for fate in fates):
        fail(f"frames were dropped or unreadable: {fates}")
    if fates.get("counted/well_known", 0) > 0 and result["rows_released"] == 0:
        fail("no row has come out of the gate")


def measure(what, names, frames, profile, source, runs):
    """Edge and yardstick in turns; the run of the median."""
    count = tools.yardstick_count(frames)
    results, yards = [], []
    for _ in range(runs):
        yards.append(tools.yardstick(frames))
        results.append(run_edge(names, frames, profile, source))
        check(results[-1], count)
    result = sorted(results, key=lambda r: r["cpu_s"])[runs // 2]
    result.update(what=what, yardstick_ns=tools.median(yards) / count * 1e9, ns=result["cpu_s"] / count * 1e9,
                  cold_ns=result["cold_cpu_s"] / result["first_minute"] * 1e9,
                  runs=[r["cpu_s"] for r in results], yardstick_runs=yards)
    result["yardsticks"] = result["ns"] / result["yardstick_ns"]
    # From socket to table: without what is done once a minute, whatever the number of frames in it.
    result["table_ns"] = (result["cpu_s"] - result["minutes_cpu_s"]) / count * 1e9
    result["table_yardsticks"] = result["table_ns"] / result["yardstick_ns"]
    return result


def scaling(names, frames, profile, runs):
    """Frames a second by the clock on the wall, from one source, from the fourth minute on, until all are counted and what has
    left the gate by then is signed and on the disk: one worker with everything on one core, two workers on two."""
    walls = {1: [], 2: []}
    for _ in range(runs):
        for workers, cores in ((1, CORE), (2, f"{CORE},{OTHER_CORE}")):
            result = run_edge(names, frames, profile, "memory", workers, cores=cores)
            check(result, result["frames"])
            walls[workers].append((result["written_wall_s"] - result["warm_wall_s"]) / (result["frames"] - result["warm_up"]))
    one, two = tools.median(walls[1]), tools.median(walls[2])
    return {"one_core_frames_s": 1 / one, "two_cores_frames_s": 1 / two, "times": one / two}


def row(result):
    warm = (result["cpu_s"] - result["cold_cpu_s"]) / (result["frames"] - result["first_minute"]) * 1e9
    return [result["what"], f"{1e3 / result['table_ns']:.2f} M", f"{result['table_ns']:.0f}", f"{result['table_yardsticks']:.3f}",
            f"{result['ns']:.0f}", f"{result['cold_ns']:.0f}", f"{warm:.0f}",
            f"{result['frames'] / result['wall_s'] / 1e6:.2f} M", f"{result['yardstick_ns']:.0f}", f"{result['yardsticks']:.3f}",
            f"{result['anonymous_kib'] / 1024:.0f}", f"{result['peak_kib'] / 1024:.0f}" if result["from"] == "socket" else "-"]


# What the parts of a run are called, in the order in which a frame meets them.
STAGES = [("split", "frames split"), ("dnstap", "dnstap fields"), ("rest", "copy, minute, queue"), ("decode", "DNS message, name folded and hashed"),
          ("look_up", "well-known list"), ("tag", "clients tagged; registered domains"), ("count", "rows counted"), ("names", "gate of names"),
          ("rows", "gate of rows, Parquet"), ("events", "events signed"), ("outbox", "ledger, disk, names remembered")]


def stage_rows(result):
    """ns a frame of each stage, from a run in one thread with a look at the clock between stages."""
    stages = dict(result["stages"])
    stages["rest"] = max(0.0, stages["dispatch"] - stages["split"] - stages["dnstap"])
    del stages["dispatch"]
    whole = sum(stages.values())
    return {key: (stages[key] / result["frames"] * 1e9, stages[key] / whole * 100) for key, _ in STAGES}


def show_stages(results):
    shown = {what: stage_rows(result) for what, result in results.items()}
    tools.table(["stage: ns a frame (share)", *shown],
                [[name, *(f"{rows[key][0]:.0f} ({rows[key][1]:.0f} %)" for rows in shown.values())] for key, name in STAGES])


HEAD = ["run", "frames/s/core", "to table", "yardsticks", "all ns", "cold", "warm", "wall frames/s", "yardstick ns", "all yardsticks", "MiB", "peak MiB"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=3, help="of each, in turns with the yardstick")
    parser.add_argument("--ten-million", action="store_true", help="also with 10 M well-known names")
    parser.add_argument("--quick", action="store_true", help="100 000 names and frames, one run: to see that it works")
    parser.add_argument("--instructions", action="store_true", help="callgrind instead of clocks; fails if they have become more")
    parser.add_argument("--record", action="store_true", help="with --instructions: write them down; nothing may be uncommitted")
    options = parser.parse_args()
    tools.WORK.mkdir(parents=True, exist_ok=True)
    if options.record and not options.instructions:
        parser.error("--record goes with --instructions")
    if options.instructions:
        sys.exit(0 if instructions.run(options.record) else 1)
    entries = 100_000 if options.quick else 1_000_000
    frames = 100_000 if options.quick else options.frames
    runs = 1 if options.quick else options.runs

    names = tools.make_input(f"names-{entries}-1.txt", "names", entries, 1)
    usual = tools.make_input(f"frames-{entries}-{frames}-7.fstrm", "frames", names, frames, 7, 50, 3)
    flood = tools.make_input(f"flood-{entries}-{frames // 2}-9.fstrm", "frames", names, frames // 2, 9, 1000, 3)
    label = f"{entries // 1_000_000} M" if entries >= 1_000_000 else f"{entries // 1000} k"
    plan = [(f"{label}, {profile}, {source}", names, usual, profile, source)
            for profile in ("standard", "compatible") for source in ("memory", "socket")]
    plan += [("flood, standard, memory", names, flood, "standard", "memory"), ("flood, standard, socket", names, flood, "standard", "socket")]
    if options.ten_million:
        many = tools.make_input("names-10000000-2.txt", "names", 10_000_000, 2)
        of_many = tools.make_input(f"frames-10000000-{frames}-8.fstrm", "frames", many, frames, 8, 50, 3)
        plan += [(f"10 M, {profile}, {source}", many, of_many, profile, source)
                 for profile in ("standard", "compatible") for source in ("memory", "socket")]

    results = []
    for what, *arguments in plan:
        say(f"   {what}")
        results.append(measure(what, *arguments, runs))
    staged = {}
    for what, file, profile in (("standard", usual, "standard"), ("compatible", usual, "compatible"), ("flood", flood, "standard")):
        say(f"   stages of {what}")
        staged[what] = run_edge(names, file, profile, "memory", 0, True)
        check(staged[what], staged[what]["frames"])
    # Many frames in a minute, as where two cores are needed: what is done once a minute is done for each row.
    much = tools.make_input(f"frames-{entries}-{24 * frames}-7.fstrm", "frames", names, 24 * frames, 7, 50, 6)
    scaled = {}
    for profile in ("standard", "compatible"):
        say(f"   two cores, {profile}")
        scaled[profile] = scaling(names, much, profile, runs)
    machine_times = tools.yardstick_times(usual)
    machine = tools.machine()
    say(f"\n   {machine['date']}, {machine['commit']}, {machine['cpu']}, {machine['cores']} cores, load {machine['load']}, {machine['compiler']}")
    tools.table(HEAD, [row(r) for r in results])
    say("   to table: ns of CPU time a frame, all threads, without what is done once a minute; all: with it, to the disk; cold: counting\n"
        "   the first minute; warm: the rest of all; frames/s/core and yardsticks: to the table.\n"
        "   MiB: anonymous memory at the end; peak MiB: all memory, the mapped list included, without the load of the list.")
    say("")
    show_stages(staged)
    say("")
    tools.table(["one source", "one worker, one core", "two workers, two cores", "times"],
                [[profile, f"{r['one_core_frames_s'] / 1e6:.2f} M/s", f"{r['two_cores_frames_s'] / 1e6:.2f} M/s", f"{r['times']:.2f}"]
                 for profile, r in scaled.items()])
    say(f"   (two yardsticks at once, which share nothing: {machine_times:.2f} times one)")
    tools.write_json("edge.json", {"machine": machine, "runs": results, "stages": {what: stage_rows(r) for what, r in staged.items()},
                                 "scaling": scaled, "yardstick_scaling": machine_times})


if __name__ == "__main__":
    main()
