"""What it costs a resolver that we take its frames: CPU a query and latency, beside us and beside fstrm_capture, in turns.

    scripts/bench resolvers [--turns N] [--seconds N] [--rate N] [NAME...]

Five resolvers of Debian on loopback, each one process for all turns, answering from its cache, with dnsperf at a fixed rate. In
each turn its frames are taken by Debian's fstrm_capture (of the protobuf of PowerDNS: by a program that reads and throws away),
then by the edge, then by the first once more; in each third also by an edge that is stopped (SIGSTOP), slow (runs for a twentieth
of the time; and the other as slow), killed (-9, half way), or by nobody; each second turn backwards. The resolver has a core of
its own; on the other, dnsperf comes first (it measures the latency, and would else wait for the CPU itself). What is shown are
medians of the turns, and of the ratio to the mean of the two beside the other of the same turn its median, least and most (of the
slow edge: to the other as slow): what "other" and "again" differ from 1 is how much two alike do. At a fixed rate a resolver that
has to wait for the CPU takes more queries at once, and each costs less: the two figures belong together. In each third turn,
beside the other, the edge and the other again, dnsperf asks as fast as it is answered, all on all cores: the frames that the edge
counts, or counts as dropped at its entrance, and those that the resolver says that it dropped must be those that it had to send
(two of them count no drops).
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
from processes import LabError  # noqa: E402

COMPARED = ["other", "edge", "again"]  # in each turn
STATES = [*COMPARED, "stopped", "slow other", "slow", "killed", "absent"]
OTHER = {"other", "again", "slow other"}  # taken by the other
WHOLE_EACH = 3  # one in so many turns has all states, and asks as fast as it is answered


def one_state(rig, state, words):
    """One measurement, as a dictionary."""
    rig.take("absent" if state == "absent" else "other" if state in OTHER else "edge")
    rig.measure(0.5, words.rate)
    if state == "stopped":
        rig.stop_sink()
    elif state in ("slow", "slow other"):
        rig.slow_down()
    killer = threading.Timer(words.seconds / 2, rig.kill_sink) if state == "killed" else contextlib.nullcontext()
    if state == "killed":
        killer.start()
    what = rig.measure(words.seconds, words.rate)
    if state == "killed":
        killer.join()
    return {"cpu_us": what.cpu_us, "p50_us": what.p50_us, "p99_us": what.p99_us, "lost": what.lost, "answered": what.answered}


def flat_out_beside_other(rig, words):
    """The same beside the other: what a resolver loses on its own side it loses there too."""
    can_count = not rig.which.is_protobuf and rig.which.labels
    capture = rig.folder / "capture.fstrm" if can_count else "/dev/null"
    rig.take("other", capture)
    sent, dropped = rig.which.answered(rig.at), rig.which.dropped(rig.at) or 0
    what = rig.measure(words.seconds)
    threading.Event().wait(2)  # resolvers hold frames back for up to a second, and nobody can be asked
    out = {"cpu_us": what.cpu_us, "qps": what.qps, "sent": rig.which.answered(rig.at) - sent,
           "dropped": (rig.which.dropped(rig.at) or 0) - dropped}
    rig.leave()
    return out | ({"counted": rig.captured(capture)} if can_count else {})


def flat_out(rig, words):
    """As fast as it is answered: beside the other, beside the edge, beside the other again."""
    other = flat_out_beside_other(rig, words)
    rig.take("edge")
    return {"other": other, "edge": rig.account(words.seconds), "again": flat_out_beside_other(rig, words)}


def run(which, words):
    with tempfile.TemporaryDirectory(prefix="tapir-resolvers-") as folder, Rig(tools.BIN, pathlib.Path(folder), which) as rig:
        rig.take("edge")
        rig.start()
        rig.wait_until_connected()
        rig.measure(2)
        turns, loads = [], []
        for number in range(words.turns):
            is_whole = number % WHOLE_EACH == 0
            states = [] if words.flat_out else STATES if is_whole and not words.compared else COMPARED
            try:
                with rig.apart():
                    turn = {state: one_state(rig, state, words) for state in (states[::-1] if number % 2 else states)}
                load = flat_out(rig, words) if words.flat_out or (is_whole and not words.compared) else None
            except LabError as error:
                tools.say(f"   turn {number + 1} of {words.turns} and what comes after is left out: {error}")
                break
            turns.append(turn)
            loads += [load] if load else []
        if not turns:
            tools.fail(f"{which.name}: not one turn")
        return {"name": which.name, "drops": which.drops, "states": [] if words.flat_out else STATES, "turns": turns, "flat_out": loads}


def ratio_of(pairs):
    ratios = [a / b for a, b in pairs]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def beside_other(turn, figure, state):
    """What the state is compared with: a slow edge with the other as slow, all else with the mean of the two beside the other."""
    return turn["slow other"][figure] if state == "slow" else (turn["other"][figure] + turn["again"][figure]) / 2


def show(result):
    loads = result["flat_out"]
    for state in result["states"]:
        turns = [turn for turn in result["turns"] if state in turn]
        if not turns:
            continue
        line = f"| {result['name']} | {state} |"
        for figure in ("cpu_us", "p99_us"):
            line += (f" {statistics.median(turn[state][figure] for turn in turns):.1f} |"
                     f" {ratio_of((turn[state][figure], beside_other(turn, figure, state)) for turn in turns)} |")
        tools.say(line + f" {sum(turn[state]['lost'] for turn in turns)} of {sum(turn[state]['answered'] for turn in turns)} |")
    for name in COMPARED if loads else []:
        total = {key: sum(load[name].get(key, 0) for load in loads) for key in ("sent", "counted", "dropped", "edge_dropped", "missing")}
        tools.say(f"| {result['name']} | {name}, flat out | {statistics.median(load[name]['cpu_us'] for load in loads):.1f} |"
                  f" {ratio_of((load[name]['cpu_us'], load['other']['cpu_us']) for load in loads)} |"
                  f" {statistics.median(load[name]['qps'] for load in loads):.0f} q/s |"
                  f" {ratio_of((load[name]['qps'], load['other']['qps']) for load in loads)} | had to send {total['sent']}, taken"
                  f" {total['counted'] or 'not counted'}, it dropped {total['dropped']} ({result['drops'] or 'it counts none'})"
                  + (f", we dropped {total['edge_dropped']}, counted by nobody {total['missing']} |" if name == "edge" else " |"))


def main():
    parser = argparse.ArgumentParser(description="A resolver beside us and beside fstrm_capture.")
    parser.add_argument("names", nargs="*", choices=[[], *RESOLVERS], metavar="NAME", help=f"of: {', '.join(RESOLVERS)}")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--flat-out", action="store_true", help="only as fast as it is answered")
    parser.add_argument("--compared", action="store_true", help="only the three that each turn has")
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
        for load in (turn["edge"] for turn in one["flat_out"]):
            # (What we drop at the entrance may be queries without a message, which do not count: Knot Resolver's.)
            if (load["missing"] < 0 and not load["edge_dropped"]) or (load["missing"] > 0 and one["drops"]):
                tools.fail(f"{one['name']}: {load['missing']} frames are missing that nobody counted as dropped")


if __name__ == "__main__":
    main()
