"""Runs bench_policy and bench_core and shows what they say."""

import json
import pathlib
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


def medians(runs):
    """Of runs that all tell the same numbers."""
    return {key: tools.median([run[key] for run in runs]) for key in runs[0]}


def policy_alone(deny):
    return run("bench_policy", deny)


def policy_stored(deny):
    """With RocksDB on the disk, as the daemon has it; and how large that has become."""
    with tempfile.TemporaryDirectory(dir=tools.WORK, prefix="policy-") as folder:
        store = pathlib.Path(folder) / "store"
        return run("bench_policy", deny, store) | {"disk_octets": sum(file.stat().st_size for file in store.iterdir())}


def policy(sizes, runs):
    """The engine alone, and the same with its store, in turns: what the store adds is told apart."""
    results = []
    for size in sizes:
        # Exact names only, as lists of threats have them.
        names = tools.make_input(f"names-{size}-1.txt", "names", size, 1)
        deny = tools.WORK / f"deny-{size}.txt"
        deny.write_text(names.read_text().replace("\n.", "\n").removeprefix("."))
        turns = [(policy_alone(deny), policy_stored(deny)) for _ in range(runs)]
        alone, stored = (medians(each) for each in zip(*turns))
        mib = 1 << 20
        results.append(alone | {f"stored_{key}": value for key, value in stored.items()} | {
            "octets_per_name": alone["anonymous_octets"] / alone["entries"],
            "octets_per_name_in_use": alone["anonymous_octets_in_use"] / alone["entries"],
            "store_mib": (stored["anonymous_octets_in_use"] - alone["anonymous_octets_in_use"]) / mib,
            "store_disk_mib": stored["disk_octets"] / mib,
            "stored_peak_mib": stored["peak_octets"] / mib,
        })
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
