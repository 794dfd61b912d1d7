"""Instructions of the edge per frame, by callgrind: the same on a busy machine as on a quiet one.

What is recorded is docs/benchmarks/instructions.json; a run tells the difference and fails above the tolerance.
"""

import json
import re
import subprocess
import tempfile

import tools
from tools import BIN, fail, say

RECORD = tools.ROOT / "docs/benchmarks/instructions.json"
TOLERANCE_PERCENT = 3.0
NAMES, FRAMES = 20_000, 20_000
MEASURED = ("tapir_bench_measured", "tapir_bench_finished")

# Each stage: what is in these functions, less what is in those. All of them are called, not inlined.
STAGES = [
    ("split", ["dnstap::FstrmReader::next"], []),
    ("dnstap", ["parse_frame<tapir::dnstap::ResponseFields>"], []),
    ("dns", ["dns::Message::assign"], []),
    ("fold and hash", ["dns::FoldedName::assign"], []),
    ("look up", [f"names::NameIndex::{step}" for step in ("prefetch", "start", "go_on", "finish")], []),
    ("tag clients", ["client::Tagger::tag("], []),
    ("gate of names", ["CountingConsumer::on_batch"], []),
    ("gate of rows", ["CountingConsumer::on_minute_end"], []),
    ("events", ["CountingConsumer::on_minute_begin", "CountingConsumer::on_cut", "edge::Collector::finish"], ["OutboxSink::take"]),
    ("outbox", ["OutboxSink::take"], []),
]


def inclusive_costs(out_file):
    """Instructions by function, callees included."""
    shown = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", "--show-percs=no", "--auto=no", out_file],
                           capture_output=True, text=True, check=True).stdout
    costs = {}
    for line in shown.splitlines():
        if match := re.match(r"\s*([\d,]+)\s+\S*?:(.+?)(?: \[.*\])?$", line):
            # A recursive function stands there once for each depth of a cycle; the first line is the whole.
            costs.setdefault(match.group(2), int(match.group(1).replace(",", "")))
    return costs


def cost_of(costs, part):
    return sum(cost for function, cost in costs.items() if part in function)


def measure(profile):
    names = tools.make_input(f"names-{NAMES}-1.txt", "names", NAMES, 1)
    frames = tools.make_input(f"frames-{NAMES}-{FRAMES}-7.fstrm", "frames", names, FRAMES, 7, 50, 3)
    with tempfile.TemporaryDirectory(dir=tools.WORK, prefix="callgrind-") as folder:
        out = f"{folder}/out"
        command = ["valgrind", "--tool=callgrind", *(f"--toggle-collect={name}" for name in MEASURED), f"--callgrind-out-file={out}",
                   BIN / "bench_edge", "--names", names, "--frames", frames, "--state", f"{folder}/state", "--profile", profile, "--workers", "0"]
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        if run.returncode != 0:
            fail(f"callgrind: {run.stderr[-2000:]}")
        result = json.loads(run.stdout)
        if result["frames"] != FRAMES or result["fates_sum"] != FRAMES or result["rows_released"] == 0:
            fail(f"the frames were not counted: {result}")
        costs = inclusive_costs(out)
    total = sum(cost_of(costs, name) for name in MEASURED)
    stages = {}
    for name, parts, less in STAGES:
        stages[name] = sum(cost_of(costs, part) for part in parts) - sum(cost_of(costs, part) for part in less)
        is_absent = profile == "compatible" and name == "tag clients"
        if stages[name] <= 0 and not is_absent:
            fail(f"callgrind shows nothing of the stage '{name}': was a function renamed or inlined?")
    worker = cost_of(costs, "edge::Worker::count(")
    inside = sum(stages[name] for name in ("dns", "fold and hash", "look up", "tag clients"))
    stages["rows and the rest of the worker"] = worker - inside
    stages["rest: copy, minute, queue"] = total - sum(stages.values())
    return {"total": round(total / FRAMES, 1), "stages": {name: round(cost / FRAMES, 1) for name, cost in stages.items()}}


def difference(new, old):
    return (new - old) / old * 100


def run(record):
    """Measures both profiles. Records them, or compares with what is recorded; whether it is within the tolerance."""
    commit = tools.recordable_commit(RECORD) if record else None
    found = {profile: measure(profile) for profile in ("standard", "compatible")}
    machine = tools.machine()
    before = json.loads(RECORD.read_text()) if RECORD.exists() else None
    rows, is_within = [], True
    for profile, result in found.items():
        old = before["instructions_per_frame"].get(profile) if before else None
        for name, value in [("total", result["total"]), *result["stages"].items()]:
            was = (old["total"] if name == "total" else old["stages"].get(name)) if old else None
            rows.append([f"{profile}: {name}", f"{value:.1f}", f"{was:.1f}" if was else "-", f"{difference(value, was):+.1f} %" if was else "-"])
            if name == "total" and was and difference(value, was) > TOLERANCE_PERCENT:
                is_within = False
    tools.table(["instructions per frame", "now", "recorded", "difference"], rows)
    if record:
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.write_text(json.dumps({"command": "scripts/bench edge --instructions --record", "compiler": machine["compiler"],
                                      "commit": commit, "date": machine["date"], "frames": FRAMES, "names": NAMES,
                                      "tolerance_percent": TOLERANCE_PERCENT, "instructions_per_frame": found}, indent=1) + "\n")
        say(f"   recorded: {RECORD.relative_to(tools.ROOT)}")
        return True
    if before is None:
        fail("nothing is recorded yet: --record")
    if before["compiler"] != machine["compiler"]:
        say(f"   recorded with another compiler: {before['compiler']}")
    say("   within the tolerance" if is_within else f"   MORE than {TOLERANCE_PERCENT} % above what is recorded: find out why, or --record")
    return is_within
