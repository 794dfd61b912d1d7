"""Runs the tests that docs/existing-minimiser.md names, and says of each of its rows what came of it.

    lab/checklist.py [--build build/dev] [--real] [ROW...]   runs them; exit status 1 if a row fails
    lab/checklist.py --names [--build build/dev]             only looks whether each name is that of a test

With --real also those of lab/real, against the programs in build/release/bin (or TAPIR_BIN).
"""

import argparse
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs/existing-minimiser.md"
REAL = ROOT / "lab/real"


class Row:
    """One row: its number, what is there, and the names of its tests."""

    def __init__(self, line):
        self.number, self.feature, self.here, shown = (cell.strip() for cell in line.strip().strip("|").split(" | "))
        names = re.findall(r"`([^`]+)`", shown)
        self.real = [name for name in names if name.endswith(".py")]
        self.patterns = [name if "/" in name else f"edge/{name}" for name in names if not name.endswith(".py")]

    def tests(self, all_tests):
        """The numbers of its tests."""
        return {number for number, name in all_tests.items() if any(matches(name, pattern) for pattern in self.patterns)}

    def faults(self, all_tests):
        """What is wrong with its names."""
        unknown = [pattern for pattern in self.patterns if not any(matches(name, pattern) for name in all_tests.values())]
        unknown += [name for name in self.real if not (REAL / name).exists()]
        faults = [f"row {self.number}: no test is called {name}" for name in unknown]
        if not self.patterns and not self.real and not self.here.startswith("superseded"):
            faults.append(f"row {self.number}: is not superseded, and names no test")
        return faults


def matches(name, pattern):
    """Parameters of a test are not part of the name that is written."""
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"{pattern}/*")


def rows():
    found = [Row(line) for line in TABLE.read_text().splitlines() if re.match(r"\| [0-9]", line)]
    numbers = [int(number) for row in found for number in spread(row.number)]
    if numbers != list(range(1, len(numbers) + 1)):
        sys.exit(f"{TABLE.name}: the rows are not numbered from 1 on without a gap")
    return found


def spread(number):
    """'33–36' and '41, 42' are several."""
    first, dash, last = number.partition("–")
    return range(int(first), int(last) + 1) if dash else number.split(", ")


def tests_of(build):
    """Number and name of every test of a build."""
    shown = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1"], capture_output=True, text=True, check=True)
    return {number: re.sub(r"\s+# GetParam.*", "", test["name"], flags=re.S)
            for number, test in enumerate(json.loads(shown.stdout)["tests"], 1)}


def run(build, numbers, jobs):
    """Which of the tests with these numbers passed."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.xml"
        chosen = ",".join(["0", "0", "0", *(str(number) for number in sorted(numbers))])
        subprocess.run(["ctest", "--test-dir", str(build), "-I", chosen, "-j", str(jobs), "--output-junit", str(report), "-Q"], check=False)
        cases = ET.parse(report).getroot().iter("testcase")
        return {re.sub(r"\s+# GetParam.*", "", case.get("name"), flags=re.S) for case in cases if case.get("status") == "run"}


def run_real(name):
    environment = {"TAPIR_BIN": str(ROOT / "build/release/bin"), **os.environ}
    return subprocess.run([sys.executable, "-B", str(REAL / name)], env=environment, capture_output=True, check=False).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/dev")
    parser.add_argument("--names", action="store_true")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("rows", nargs="*")
    words = parser.parse_args()
    all_tests = tests_of(words.build)
    chosen = [row for row in rows() if not words.rows or row.number in words.rows]
    faults = [fault for row in chosen for fault in row.faults(all_tests)]
    if faults or not chosen or not all_tests:
        sys.exit("\n".join(faults) or "no such row, or no test")
    if words.names:
        print(f"{len(chosen)} rows name {len({number for row in chosen for number in row.tests(all_tests)})} tests")
        return 0
    passed = run(words.build, {number for row in chosen for number in row.tests(all_tests)}, words.jobs)
    real = {name: run_real(name) for name in sorted({name for row in chosen for name in row.real})} if words.real else {}
    bad = 0
    for row in chosen:
        wanted = [all_tests[number] for number in row.tests(all_tests)]
        failed = [name for name in wanted if name not in passed] + [name for name in row.real if real.get(name) is False]
        ran = len(wanted) + len([name for name in row.real if name in real])
        what = "superseded, why: " + row.here.removeprefix("superseded") if not row.patterns and not row.real else \
            f"{ran - len(failed)} of {ran} pass"
        print(f"{row.number:>6}  {row.feature:<34} {what}{': FAILED ' + ', '.join(failed) if failed else ''}")
        bad += bool(failed)
    print(f"{len(chosen) - bad} rows passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
