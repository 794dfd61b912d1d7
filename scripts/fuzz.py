"""Runs fuzzers and says what came of it: scripts/fuzz [--minutes N | --seconds N] [--jobs J] [LIBRARY/SUBJECT...]

Default: one minute, one after the other, all of them. Each starts from its corpus in the tree and what earlier runs
found (build/fuzz/corpus). Logs, findings and the table go to build/fuzz. Exit status 1 if there is a finding.

    --minimise        afterwards brings into the corpus in the tree what covers more than what is there
    --compare         what the mutators that know a format are worth: each fuzzer that has one runs twice side by side,
                      with and without, from the corpus in the tree alone
    --no-build        takes the fuzzers as they are
"""

import argparse
import base64
import concurrent.futures
import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build/fuzz"
RSS_MAX_MIB = 2048
INPUT_TIMEOUT_S = 30  # for the slowest input on a busy machine
CORPUS_SIZE_MAX = 32 << 10  # octets of one corpus in the tree
CORPUS_COUNT_MAX = 80  # inputs of one corpus in the tree
INPUT_SHOWN_MAX = 6 << 10  # octets
LINES_SHOWN_MAX = 60
ALLOCATES_ELSEWHERE = {"lake/gate"}  # DuckDB's stacks say nothing: not remembering them makes it twice as fast
HEAD = ("| fuzzer | date | seconds | executions | exec/s | edges | features | inputs | peak MiB | findings |\n"
        "|---|---|---|---|---|---|---|---|---|---|")


class Fuzzer:
    """One *_fuzz.cpp with its program, its corpora and what it printed."""

    def __init__(self, subject):
        self.subject = subject
        library, _, name = subject.partition("/")
        self.source = ROOT / "libs" / library / "src" / f"{name}_fuzz.cpp"
        self.program = WORK / "bin" / f"{library}_{name}_fuzz"
        self.tree = ROOT / "libs" / library / "corpus" / name
        self.dictionary = self.tree.with_suffix(".dict")
        self.corpus = WORK / "corpus" / subject
        self.log = WORK / "log" / f"{library}-{name}.log"
        self.findings = WORK / "findings" / subject

    def command(self, *words):
        return [str(word) for word in (self.program, f"-timeout={INPUT_TIMEOUT_S}", f"-rss_limit_mb={RSS_MAX_MIB}",
                                       f"-artifact_prefix={self.findings}/", *words)]

    def has_structure(self):
        return "LLVMFuzzerCustomMutator" in self.source.read_text()

    def fuzz(self, seconds, corpus, log_path, environment=None):
        """Fuzzes for so long; libFuzzer's exit status."""
        for folder in (corpus, self.findings, log_path.parent):
            folder.mkdir(parents=True, exist_ok=True)
        # Leaks are looked for at the end of a run, and for each input when the corpus is replayed: after each execution
        # it takes up to four fifths of the time.
        words = [f"-max_total_time={seconds}", "-print_final_stats=1", "-detect_leaks=0"]
        environment = {**os.environ, **(environment or {})}
        if self.subject in ALLOCATES_ELSEWHERE:
            environment.setdefault("ASAN_OPTIONS", "malloc_context_size=1")
        if self.dictionary.exists():
            words.append(f"-dict={self.dictionary}")
        with open(log_path, "wb") as log:
            return subprocess.run(self.command(*words, corpus, self.tree), stdout=log, stderr=log,
                                  env=environment, check=False).returncode

    def run(self, seconds):
        """The row of the table, and whether something was found."""
        began = time.time()
        status = self.fuzz(seconds, self.corpus, self.log)
        return self.row(began, status), status != 0

    def compare(self, seconds):
        """The row of --compare."""
        def one(name, environment):
            corpus, log = WORK / "compare" / name / self.subject, self.log.with_suffix(f".{name}.log")
            shutil.rmtree(corpus, ignore_errors=True)
            self.fuzz(seconds, corpus, log, environment)
            first, last = coverage(log.read_text(errors="replace"))
            executions = re.search(r"number_of_executed_units:\s+(\d+)", log.read_text(errors="replace"))
            return first, last, executions.group(1) if executions else "?"

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            blind = pool.submit(one, "blind", {"TAPIR_FUZZ_BLIND": "1"})
            knowing = pool.submit(one, "knowing", {})
            (start, blind_end, blind_runs), (_, end, runs) = blind.result(), knowing.result()
        return (f"| {self.subject} | {seconds} | {start[0]} | {blind_end[0]} | {end[0]} | {start[1]} | {blind_end[1]} | {end[1]} | "
                f"{blind_runs} | {runs} |")

    def row(self, began, status):
        text = self.log.read_text(errors="replace")
        stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", text))
        first, last = coverage(text)
        edges, features = (f"{first[i]} → {last[i]}" for i in (0, 1))
        inputs = last[2]
        finding = "none"
        if status != 0:
            summary = re.search(r"^SUMMARY: .*|^.*ERROR: .*", text, re.M)
            finding = summary.group().replace("|", " ") if summary else f"exit status {status}"
        date = datetime.datetime.fromtimestamp(began, datetime.timezone.utc).strftime("%Y-%m-%d")
        return (f"| {self.subject} | {date} | {time.time() - began:.0f} | {stats.get('number_of_executed_units', '?')} | "
                f"{stats.get('average_exec_per_sec', '?')} | {edges} | {features} | {inputs} | "
                f"{stats.get('peak_rss_mb', '?')} | {finding} |")

    def last_words(self):
        """What is needed to see a finding again where the folders are gone: what the program said of it, and the
        inputs that are small."""
        lines = self.log.read_text(errors="replace").splitlines()
        said = [i for i, line in enumerate(lines) if "ERROR: " in line or "runtime error: " in line or "assertion" in line.lower()]
        first = said[0] if said else len(lines) - LINES_SHOWN_MAX
        inputs = [f"{path.name}: {base64.b64encode(path.read_bytes()).decode()}"
                  for path in sorted(self.findings.glob("*")) if path.stat().st_size <= INPUT_SHOWN_MAX]
        return "\n".join([*lines[max(first, 0):][:LINES_SHOWN_MAX], *inputs])

    def minimise(self):
        """Adds to the corpus in the tree what covers what it does not, as far as there is room; says how many."""
        merged = WORK / "merged" / self.subject
        shutil.rmtree(merged, ignore_errors=True)
        shutil.copytree(self.tree, merged)
        self.findings.mkdir(parents=True, exist_ok=True)
        status = subprocess.run(self.command("-set_cover_merge=1", merged, self.corpus), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, check=False).returncode
        if status != 0:
            sys.exit(f"fuzz: {self.subject}: the corpora cannot be merged")
        kept = list(self.tree.iterdir())
        size = sum(path.stat().st_size for path in kept)
        added = 0
        for path in sorted(merged.iterdir()):  # by digest: small and large, as chance has it
            is_known = (self.tree / path.name).exists()
            if is_known or size + path.stat().st_size > CORPUS_SIZE_MAX or len(kept) + added == CORPUS_COUNT_MAX:
                continue
            shutil.copy(path, self.tree)
            size += path.stat().st_size
            added += 1
        return added


def coverage(text):
    """Edges and features at the start of a run, and edges, features and inputs at its end."""
    first = re.search(r"INITED cov: (\d+) ft: (\d+)", text)
    last = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", text)
    return (first.groups() if first else ("?", "?")), (last[-1] if last else ("?", "?", "?"))


def all_subjects():
    found = sorted((ROOT / "libs").glob("*/src/*_fuzz.cpp"))
    return [f"{path.parent.parent.name}/{path.stem.removesuffix('_fuzz')}" for path in found]


def build():
    status = subprocess.run(["bash", "-c", "source scripts/common.sh; build_preset fuzz fuzzers"],
                            cwd=ROOT, check=False).returncode
    if status != 0:
        sys.exit("fuzz: the fuzzers do not build")


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--jobs", type=int, default=1, help="fuzzers side by side")
    parser.add_argument("--minimise", action="store_true")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("subjects", nargs="*")
    return parser.parse_args()


def compare(fuzzers, seconds):
    print("| fuzzer | seconds | edges at first | edges, blind | edges | features at first | features, blind | features | "
          "executions, blind | executions |\n|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for fuzzer in fuzzers:
        print(fuzzer.compare(seconds), flush=True)
    return 0


def main():
    words = arguments()
    fuzzers = [Fuzzer(subject) for subject in words.subjects or all_subjects()]
    unknown = [fuzzer.subject for fuzzer in fuzzers if not fuzzer.source.exists()]
    if unknown or not fuzzers:
        sys.exit(f"fuzz: no fuzzer {', '.join(unknown)}: expected LIBRARY/SUBJECT, one of {', '.join(all_subjects())}")
    if not words.no_build:
        build()
    not_built = [fuzzer.subject for fuzzer in fuzzers if not fuzzer.program.exists()]
    if not_built:
        sys.exit(f"fuzz: not built: {', '.join(not_built)}")
    seconds = round(words.seconds if words.seconds is not None else words.minutes * 60)
    if words.compare:
        return compare([fuzzer for fuzzer in fuzzers if fuzzer.has_structure()], seconds)
    print(f"== fuzz: {len(fuzzers)} fuzzers, {seconds} s each, {words.jobs} at a time (logs: build/fuzz/log)\n\n{HEAD}", flush=True)
    rows, bad = [], []

    def one(fuzzer):
        row, is_bad = fuzzer.run(seconds)
        print(row, flush=True)
        rows.append(row)
        if is_bad:
            bad.append(fuzzer)

    with concurrent.futures.ThreadPoolExecutor(words.jobs) as pool:
        list(pool.map(one, fuzzers))
    (WORK / "table.md").write_text("\n".join([HEAD, *sorted(rows)]) + "\n")
    for fuzzer in bad:
        print(f"\nFINDING: {fuzzer.subject}: log {fuzzer.log.relative_to(ROOT)}, input in {fuzzer.findings.relative_to(ROOT)}\n"
              f"{fuzzer.last_words()}", file=sys.stderr)
    if words.minimise:
        for fuzzer in fuzzers:
            print(f"   {fuzzer.subject}: {fuzzer.minimise()} inputs more in the tree", flush=True)
    print(f"\n{len(fuzzers) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
