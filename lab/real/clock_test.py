"""Somebody sets the clock under a running edge, forward and back: nothing that was counted is lost, nothing is there twice.
TAPIR_BIN: folder with the programs.

The clock is that of the edge's process alone (clock_shim.c, built by the test). It begins at noon, so that no day turns unasked.
"""

import os
import pathlib
import struct
import subprocess
import tempfile
import time
import unittest

from live_edge import CLIENTS, LiveEdge
from processes import Processes, wait_for

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
SHIM = pathlib.Path(__file__).resolve().parent / "clock_shim.c"
HOUR_S, DAY_S = 3600, 86_400
NAMES = 5  # between two steps of the clock


class Clock(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tapir-clock-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.state = self.folder / "state"
        self.state.mkdir()
        subprocess.run(["gcc", "-O1", "-Wall", "-shared", "-fPIC", SHIM, "-o", self.folder / "shim.so"], check=True)
        self.offset = self.folder / "offset"
        processes = Processes(self.folder)
        processes.__enter__()
        self.addCleanup(processes.__exit__)
        self.edge = LiveEdge(BIN, self.folder, self.state, processes,
                             env={"LD_PRELOAD": str(self.folder / "shim.so"), "CLOCK_OFFSET_FILE": str(self.offset)})
        self.edge.now_s = lambda: int(time.time()) + self.seconds
        self.set_clock(DAY_S // 2 - int(time.time()) % DAY_S)
        self.asked, self.responses = [], 0

    def set_clock(self, seconds):
        """So many seconds beside the machine's, from now on, for the edge and for the resolver that it hears."""
        self.seconds = seconds
        # One store, as the kernel sets a clock: the file is not made anew, for it is mapped.
        with open(self.offset, "r+b" if self.offset.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def step(self, seconds):
        """Sets the clock. Back by more than frames may be late, the edge lets its minutes end and begins anew."""
        begun = self.edge.said('"ready"')
        self.set_clock(self.seconds + seconds)
        if seconds < -60:
            wait_for("a new beginning", lambda: self.edge.said('"ready"') > begun, 30, 0.05, self.edge.processes.check)
            self.edge.connect()

    def ask(self):
        self.asked += self.edge.release_names(NAMES)
        self.responses += self.edge.well_known()

    def expect_all(self):
        """After an orderly end: each name once, no response missing, the ledger in order, and nothing counted as lost."""
        frames = len(self.asked) * CLIENTS + self.responses
        for counter in ("tapir_edge_batches_lost_total", "tapir_edge_lost_total", "tapir_edge_outbox_errors_total"):
            self.assertEqual(self.edge.metric(counter), 0, counter)
        self.assertEqual(self.edge.frames(), frames)
        self.edge.stop()
        self.assertEqual(dict(self.edge.on_disk(self.state)), {name: 1 for name in self.asked})
        self.assertEqual(self.edge.histograms(self.state), self.responses)
        self.assertEqual(self.edge.verify_ledger(self.state), "")

    def test_within_a_day(self):
        self.edge.start()
        for seconds in (0, 3 * HOUR_S, -3 * HOUR_S, -2 * HOUR_S, 90, -30, -90):
            self.step(seconds)
            self.ask()
            # Also after a step back: what is counted is not kept until the clock is where it was.
            wait_for("the names", lambda: len(self.edge.on_disk(self.state)) == len(self.asked) or seconds == -30, 30, 0.1)
            print(f"  {seconds:+} s: {len(self.edge.on_disk(self.state))} of {len(self.asked)} names on the disk", flush=True)
        self.expect_all()

    def test_over_midnight_and_back(self):
        """Back over midnight the key of the day is gone: all is counted, and leaves at an orderly end or when the day is there."""
        self.edge.start()
        self.ask()
        self.edge.wait_for_batches(self.state, 2)
        self.set_clock(self.seconds + DAY_S)
        self.ask()
        self.edge.wait_for_batches(self.state, 2)
        self.set_clock(self.seconds - DAY_S)
        wait_for("it says so", lambda: self.edge.said("set back over midnight"), 10, 0.05)
        self.ask()
        self.set_clock(self.seconds + DAY_S)
        self.edge.wait_for_batches(self.state, 2)
        self.ask()
        self.expect_all()


if __name__ == "__main__":
    unittest.main(verbosity=2)
