"""Runs bench_policy and bench_core and shows what they say."""

import json
import subprocess
import tempfile

import tools
from tools import BIN, CORE, fail, pinned


def run(program, *arguments):
    """The JSON that one of the programs prints. It checks its own results before it tells a time."""
    out = subprocess.run(pinned(CORE, [BIN / program, *arguments]), capture_output=True, text=True, check=False)
    if out.returncode != 0:
        fail(f"{program}: {out.stderr.strip()}")
    return json.loads(out.stdout)


def policy(sizes):
    results = []
    for size in sizes:
        # Exact names only, as lists of threats have them.
        names = tools.make_input(f"names-{size}-1.txt", "names", size, 1)
        deny = tools.WORK / f"deny-{size}.txt"
        deny.write_text(names.read_text().replace("\n.", "\n").removeprefix("."))
        results.append(run("bench_policy", deny))
    return results


def core():
    with tempfile.TemporaryDirectory(dir=tools.WORK, prefix="core-") as folder:
        return run("bench_core", f"{folder}/state", BIN / "tapir-core")


def show(name, results, units):
    machine = tools.machine()
    tools.say(f"\n   {machine['date']}, {machine['commit']}, {machine['cpu']}, load {machine['load']}, {machine['compiler']}")
    tools.table([name, *(str(r.get("entries", "")) for r in results)],
                [[what, *(f"{r[key]:,.{digits}f}".replace(",", " ") for r in results)] for key, what, digits in units])
    tools.write_json(f"{name}.json", {"machine": machine, "runs": results})
