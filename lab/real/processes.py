"""Daemons of the lab: started with their log in a file, waited for on a condition, always stopped."""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time


_given = set()  # ports


class LabError(Exception):
    """The lab cannot go on; the message says why."""


def wait_for(what, condition, timeout_s, step_s=0.01, still_runs=None):
    """Returns the first true value of `condition()`; LabError when the time is up or a process has died."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if still_runs is not None:
            still_runs()
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout_s:g} s")
        # Not a delay in the program but the step of a poll that has a deadline.
        time.sleep(step_s)


def _has(kind, port):
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(count):
    """Ports of the loopback address that are free for UDP and TCP now, each given once. By chance from below those that
    the kernel gives to whoever connects: one of these could be taken before its server is there."""
    first_of_kernel = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = []
    while len(found) < count:
        port = random.randrange(10_000, max(first_of_kernel, 20_000))
        if port not in _given and _has(socket.SOCK_STREAM, port) and _has(socket.SOCK_DGRAM, port):
            _given.add(port)
            found.append(port)
    return found


def free_port():
    (port,) = free_ports(1)
    return port


def distribution_binary(name, folder):
    """A copy of an installed daemon in `folder`: profiles that confine it go by its path."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin")
    if not found:
        raise LabError(f"{name} is not installed: run scripts/setup")
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / name
    shutil.copy2(found, copy)
    return copy


class Processes:
    """All daemons of one lab. Leaving the `with` block stops them, the last started first."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for name, process, _ in reversed(self.running):
            self._stop(name, process)
        self.running = []

    def start(self, name, argv, env=None):
        log_path = self.folder / "log" / f"{name}.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with open(log_path, "ab") as log:
            # Should the lab itself be killed, its daemons go with it.
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *[str(word) for word in argv]], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env={**os.environ, **(env or {})}, start_new_session=True)
        self.running.append((name, process, log_path))
        return process

    def stop(self, name, sig=signal.SIGTERM):
        for entry in list(self.running):
            if entry[0] == name:
                self._stop(name, entry[1], sig)
                self.running.remove(entry)

    def kill(self, name):
        """kill -9: the process alone, and at once."""
        for entry in list(self.running):
            if entry[0] == name:
                self.running.remove(entry)
                entry[1].kill()
                entry[1].wait(timeout=10)

    def check(self):
        """LabError if one of them has ended."""
        for name, process, _ in self.running:
            if process.poll() is not None:
                raise LabError(f"{name} ended with status {process.returncode}")

    def show_logs(self, lines=15):
        for name, _, path in self.running:
            text = path.read_text(errors="replace").splitlines()[-lines:]
            print(f"--- last lines of {name} ({path})", *text, sep="\n", file=sys.stderr)

    @staticmethod
    def _stop(name, process, sig=signal.SIGTERM):
        if process.poll() is None:
            try:
                os.killpg(process.pid, sig)
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                print(f"lab: {name} did not stop in 10 s: killed", file=sys.stderr)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=10)
            except ProcessLookupError:
                pass
