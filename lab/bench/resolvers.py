"""What it costs a resolver that we take its frames: CPU a query and latency, beside us and beside fstrm_capture, in turns.

    scripts/bench resolvers [--turns N] [--seconds N] [--rate N] [NAME...]

Five resolvers of Debian on loopback, each one process for all turns, answering from its cache, with dnsperf at a fixed rate. In each
turn its frames are taken by Debian's fstrm_capture (of the protobuf of PowerDNS: by a program that reads and throws away), then by
the edge, by the first once more ("again": how much two alike differ), then by an edge that is stopped (SIGSTOP), slow (runs for a
twentieth of the time), killed (-9, half way), or by nobody; each second turn backwards.
What is shown are medians of the turns, and of the ratio to the first of the same turn its median, least and most. Once a turn,
beside the edge, dnsperf asks as fast as it is answered: the frames that the edge counts, or counts as dropped at its entrance, and those
that the resolver says that it dropped must be those that it had to send (two of them count no drops).
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import tempfile
import threading

import tools

sys.path.insert(0, str(tools.ROOT / "lab/real"))
from load import RESOLVERS, Rig  # noqa: E402

STATES = ["other", "edge", "again", "stopped", "slow", "killed", "absent"]


def one_state(rig, state, words):
    """One measurement, as a dictionary."""
    rig.take({"other": "other", "again": "other", "absent": "absent"}.get(state, "edge"))
    rig.measure(0.5, words.rate)
    if state == "stopped":
        rig.stop_sink()
    elif state == "slow":
        rig.slow_down()
    killer = threading.Timer(words.seconds / 2, rig.kill_sink) if state == "killed" else contextlib.nullcontext()
    if state == "killed":
        killer.start()
    what = rig.measure(words.seconds, words.rate)
    if state == "killed":
        killer.join()
    return {"cpu_us": what.cpu_us, "p50_us": what.p50_us, "p99_us": what.p99_us, "lost": what.lost, "answered": what.answered}


def flat_out_beside_other(rig, words):
    """The same beside fstrm_capture: what a resolver loses on its own side it loses there too."""
    if rig.which.is_protobuf or not rig.which.labels:
        return {}
    capture = rig.folder / "capture.fstrm"
    rig.take("other", capture)
    sent, dropped = rig.which.answered(rig.at), rig.which.dropped(rig.at) or 0
    what = rig.measure(words.seconds)
    threading.Event().wait(3)  # resolvers hold frames back for up to a second, and nobody can be asked
    sent, dropped = rig.which.answered(rig.at) - sent, (rig.which.dropped(rig.at) or 0) - dropped
    rig.leave()
    return {"other_counted": rig.captured(capture), "other_sent": sent, "other_dropped": dropped, "other_qps": what.qps}


def run(which, words):
    with tempfile.TemporaryDirectory(prefix="tapir-resolvers-") as folder, Rig(tools.BIN, pathlib.Path(folder), which) as rig:
        rig.take("edge")
        rig.start()
        rig.wait_until_connected()
        rig.measure(2)
        turns, loads = [], []
        for number in range(words.turns):
            turns.append({state: one_state(rig, state, words) for state in (STATES[::-1] if number % 2 else STATES)})
            rig.take("edge")
            loads.append(rig.account(words.seconds) | flat_out_beside_other(rig, words))
        return {"name": which.name, "drops": which.drops, "turns": turns, "flat_out": loads}


def show(result):
    turns = result["turns"]
    for state in STATES:
        line = f"| {result['name']} | {state} |"
        for figure in ("cpu_us", "p99_us"):
            values = [turn[state][figure] for turn in turns]
            ratios = [turn[state][figure] / turn["other"][figure] for turn in turns]
            line += f" {statistics.median(values):.1f} | {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |"
        tools.say(line + f" {sum(turn[state]['lost'] for turn in turns)} of {sum(turn[state]['answered'] for turn in turns)} |")
    for load in result["flat_out"]:
        tools.say(f"   flat out: {load['qps']:.0f} q/s, had to send {load['sent']}, we counted {load['counted']}, it dropped"
                  f" {load['dropped']} ({result['drops'] or 'it counts none'}), we dropped {load['edge_dropped']} at the entrance,"
                  f" counted by nobody {load['missing']}")
        if "other_counted" in load:
            # What came between the two settled moments, the few that found the connection included.
            tools.say(f"   – beside fstrm_capture: {load['other_qps']:.0f} q/s, had to send {load['other_sent']}, it has"
                      f" {load['other_counted']}, dropped {load['other_dropped']}")


def main():
    parser = argparse.ArgumentParser(description="A resolver beside us and beside fstrm_capture.")
    parser.add_argument("names", nargs="*", choices=[[], *RESOLVERS], metavar="NAME", help=f"of: {', '.join(RESOLVERS)}")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rate", type=int, default=10_000, help="queries a second")
    words = parser.parse_args()
    tools.WORK.mkdir(parents=True, exist_ok=True)
    results = []
    tools.say("| resolver | frames taken by | CPU µs a query | ratio | p99 µs | ratio | not answered |\n|---|---|---|---|---|---|---|")
    for key in words.names or RESOLVERS:
        results.append(run(RESOLVERS[key], words))
        show(results[-1])
        (tools.WORK / "resolvers.json").write_text(json.dumps(results, indent=1))
    # Of one that counts no drops, what is missing may have been dropped by it; nothing may be there that it did not have.
    for one in results:
        for load in one["flat_out"]:
            # (What we drop at the entrance may be queries without a message, which do not count: Knot Resolver's.)
            if (load["missing"] < 0 and not load["edge_dropped"]) or (load["missing"] > 0 and one["drops"]):
                tools.fail(f"{one['name']}: {load['missing']} frames are missing that nobody counted as dropped")


if __name__ == "__main__":
    main()
