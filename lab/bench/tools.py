"""What the benchmarks share: inputs made once, programs timed by their CPU, the yardstick, tables."""

import hashlib
import json
import mmap
import os
import pathlib
import resource
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/release/bin"
WORK = ROOT / "build/bench"
CORE = max(os.sched_getaffinity(0))        # what is measured runs here
OTHER_CORE = min(os.sched_getaffinity(0))  # what feeds it runs here
LARGE_PAGE = 2 << 20


def say(text):
    print(text, flush=True)


def fail(text):
    sys.exit(f"bench: {text}")


def make_input(name, *words):
    """A file of bench_inputs, made if it is not there. A digest of all that it depends on is put into its name: of the generator,
    with all that is linked into it, and of its arguments (a file among them is itself of such a name). Older ones go."""
    generator = BIN / "bench_inputs"
    digest = hashlib.sha256(generator.read_bytes() + repr(list(map(str, words))).encode()).hexdigest()[:12]
    stem, ending = pathlib.Path(name).stem, pathlib.Path(name).suffix
    path = WORK / f"{stem}-{digest}{ending}"
    if not path.exists():
        for old in WORK.glob(f"{stem}-{'?' * len(digest)}{ending}"):
            old.unlink()
        say(f"   making {path.name}")
        new = path.with_suffix(".new")
        with open(new, "wb") as out:
            subprocess.run([generator, *map(str, words)], stdout=out, check=True)
        new.rename(path)
    return path


def pinned(core, command):
    return ["taskset", "-c", str(core), *map(str, command)]


def touch_memory():
    """Takes as much memory as a measured program may need, and gives it back. A virtual machine gets memory from its host when it
    is touched for the first time since it started, or since its host took it back, which costs it many times what it costs
    afterwards (two seconds of CPU a GiB, against a tenth); who comes first must not pay that for all."""
    free_kib = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemAvailable:"))
    size = min(4 << 30, free_kib * 1024 // 2) // LARGE_PAGE * LARGE_PAGE
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1


def cpu_of(command, **options):
    """CPU seconds, user and system, of a command that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def yardstick(frames_file):
    """CPU seconds of Debian's dnstap, decoding and printing every frame of the file."""
    touch_memory()
    return cpu_of(pinned(CORE, ["dnstap", "-r", frames_file, "-q"]),
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def yardstick_times(frames_file):
    """How many times as much two cores do as one, by the clock on the wall: two yardsticks at once, against one alone. What the
    machine gives for two processes that share nothing."""
    def wall(cores):
        began = time.monotonic()
        running = [subprocess.Popen(pinned(core, ["dnstap", "-r", frames_file, "-q"]), stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL) for core in cores]
        if any(process.wait() != 0 for process in running):
            fail("dnstap cannot read the frames")
        return time.monotonic() - began
    return 2 * wall([CORE]) / wall([CORE, OTHER_CORE])


def yardstick_count(frames_file):
    """How many frames the yardstick reads: it prints a line for each."""
    shown = subprocess.Popen(["dnstap", "-r", str(frames_file), "-q"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = 0
    while piece := shown.stdout.read(1 << 20):
        lines += piece.count(b"\n")
    if shown.wait() != 0:
        fail("dnstap cannot read the frames")
    return lines


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def machine():
    """What the figures hold for."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    compiler = subprocess.run(["g++-12", "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    date = subprocess.run(["date", "-u", "+%Y-%m-%d"], capture_output=True, text=True, check=True).stdout.strip()
    return {"date": date, "commit": commit, "cpu": model, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2), "compiler": compiler}


def recordable_commit(record):
    """The commit that a record may name: what is built is that commit and nothing else. The record itself may have changed."""
    def git(*words):
        return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=False)
    changed = git("status", "--porcelain", "--untracked-files=all", "--", ".", f":(exclude){record.relative_to(ROOT)}")
    head = git("rev-parse", "--short=12", "HEAD")
    if changed.returncode != 0 or head.returncode != 0:
        fail(f"no record without a commit to name: {(changed.stderr or head.stderr).strip()}")
    if changed.stdout:
        fail("no record of a tree with changes that are in no commit:\n" + changed.stdout.rstrip())
    return head.stdout.strip()


def write_json(name, value):
    (WORK / name).write_text(json.dumps(value, indent=1) + "\n")
    say(f"   written: build/bench/{name}")


def table(head, rows):
    """Text columns, the first to the left, the others to the right."""
    cells = [head, *rows]
    widths = [max(len(str(row[i])) for row in cells) for i in range(len(head))]
    for row in cells:
        say("   " + "  ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(row, widths))))
