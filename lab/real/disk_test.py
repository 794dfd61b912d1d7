"""A running edge whose disk is full, or read-only for a while, or read-only for good: what is lost is what it says, and counted.
TAPIR_BIN: folder with the programs.

The disk is a file system of its own in a mount namespace of its own, so nothing of it is seen outside and nothing stays. That takes
root. Without it the test fails and says so; TAPIR_WITHOUT_ROOT=1 in the environment leaves it out.
"""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from live_edge import BATCH_S, LiveEdge
from processes import Processes, wait_for

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
NAMES = 4
UNWRITTEN_MAX = 60  # batches in memory that the disk did not take (libs/edge/src/batch_writer.hpp)
LOST = "a batch that could not be written is lost"


class Disk(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            if os.environ.get("TAPIR_WITHOUT_ROOT"):
                self.skipTest("NOT RUN: needs root for a file system of its own")
            self.fail("needs root for a file system of its own; TAPIR_WITHOUT_ROOT=1 leaves it out")
        folder = tempfile.TemporaryDirectory(prefix="tapir-disk-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self.processes = Processes(self.folder)
        self.processes.__enter__()
        self.addCleanup(self.processes.__exit__)
        # It holds the namespace; what it mounts is gone with it.
        self.holder = self.processes.start("holder", ["unshare", "-m", "--propagation", "private", "sleep", "infinity"])
        wait_for("the namespace", lambda: os.readlink(f"/proc/{self.holder.pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt"), 10)
        self.inside = ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--"]
        self.asked = []

    def run_inside(self, *words, check=True):
        return subprocess.run([*self.inside, *map(str, words)], check=check, capture_output=True, text=True, timeout=60)

    def begin(self, *mount):
        """The disk is there, and an edge has its state on it."""
        self.run_inside("mount", *mount, self.disk)
        # As we see it from outside.
        self.state = pathlib.Path(f"/proc/{self.holder.pid}/root{self.disk}/state")
        self.state.mkdir()
        self.edge = LiveEdge(BIN, self.folder, self.disk / "state", self.processes, around=self.inside)
        self.edge.start()
        self.ask()
        self.wait_for_names()

    def ask(self):
        self.asked += self.edge.release_names(NAMES)

    def wait_for_names(self):
        wait_for("the names", lambda: set(self.edge.on_disk(self.state)) == set(self.asked), 60, 0.1, self.processes.check)

    def expect_nothing_lost(self):
        self.assertEqual(self.edge.metric("tapir_edge_batches_lost_total"), 0)
        self.assertEqual(self.edge.metric("tapir_edge_lost_total"), 0)
        self.assertEqual(self.edge.metric("tapir_edge_frames_total", fate="dropped"), 0)
        self.edge.stop()
        self.assertEqual(dict(self.edge.on_disk(self.state)), {name: 1 for name in self.asked})
        self.assertEqual(self.edge.verify_ledger(self.state), "")
        self.assertEqual(self.edge.said(LOST), 0)

    def wait_for_refusals(self, count):
        """Until the disk has refused batches so often."""
        wait_for("refusals", lambda: self.edge.said("a batch cannot be written") >= count, 60, 0.1, self.processes.check)

    def test_full_for_a_while(self):
        self.begin("-t", "tmpfs", "-o", "size=48m", "tmpfs")
        full = self.run_inside("dd", "if=/dev/zero", f"of={self.disk}/ballast", "bs=4k", check=False)
        self.assertIn("No space left", full.stderr)
        before = len(self.edge.batches(self.state))
        for _ in range(3):
            self.ask()
            self.wait_for_refusals(self.edge.said("a batch cannot be written") + 2)
        self.assertEqual(len(self.edge.batches(self.state)), before, "a full disk took something")
        self.run_inside("rm", self.disk / "ballast")
        self.wait_for_names()
        self.ask()
        self.wait_for_names()
        print(f"  full for {self.edge.said('a batch cannot be written')} refusals: {len(self.asked)} names, none lost", flush=True)
        self.expect_nothing_lost()

    def test_read_only_for_a_while(self):
        self.begin("-t", "tmpfs", "-o", "size=48m", "tmpfs")
        # Another mount over it: of what is opened from now on nothing can be written. (Of the mount itself the kernel would
        # refuse that while the store has a file open.)
        self.run_inside("mount", "--bind", self.disk, self.disk)
        self.run_inside("mount", "-o", "remount,bind,ro", self.disk)
        before = len(self.edge.batches(self.state))
        for _ in range(3):
            self.ask()
            self.wait_for_refusals(self.edge.said("a batch cannot be written") + 2)
        self.assertEqual(len(self.edge.batches(self.state)), before, "a read-only disk took something")
        self.assertIn("Read-only file system", self.edge.log.read_text())
        self.run_inside("umount", "--lazy", self.disk)
        self.wait_for_names()
        print(f"  read-only for {self.edge.said('a batch cannot be written')} refusals: {len(self.asked)} names, none lost", flush=True)
        self.expect_nothing_lost()

    def test_read_only_for_good(self):
        """As after an error of the device: every write fails, open files included, and it is never writable again."""
        image = self.folder / "image"
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        self.begin("-o", "loop,errors=remount-ro", image)
        accepted = list(self.asked)
        device = pathlib.Path(self.run_inside("findmnt", "-no", "SOURCE", self.disk).stdout.strip()).name
        self.run_inside("sh", "-c", f"echo 1 > /sys/fs/ext4/{device}/trigger_fs_error")
        wait_for("a read-only disk",
                 lambda: "Read-only" in self.run_inside("touch", self.disk / "probe", check=False).stderr, 10, 0.1)
        before = [path.name for path in self.edge.batches(self.state)]
        self.ask()
        # Longer than what is kept in memory.
        wait_for("losses", lambda: self.edge.metric("tapir_edge_batches_lost_total", reason="not_written") >= 5,
                 (UNWRITTEN_MAX + 30) * BATCH_S, 0.2, self.processes.check)
        self.ask()
        counted = self.edge.metric("tapir_edge_batches_lost_total", reason="not_written")
        self.edge.stop()
        # What was accepted is there to the last, and nothing else; all else is in the sum that it says at its end.
        self.assertEqual([path.name for path in self.edge.batches(self.state)], before)
        self.assertEqual(dict(self.edge.on_disk(self.state)), {name: 1 for name in accepted})
        lost = self.lost_in_all()
        self.assertGreaterEqual(lost, counted + UNWRITTEN_MAX, "what it had in memory at its end is lost too")
        print(f"  read-only for good: {len(before)} batches accepted and there, {counted} counted as lost while it ran, {lost} in all",
              flush=True)
        self.begin_again(image, accepted)

    def lost_in_all(self):
        """The sum that the edge says at its end."""
        return int(re.findall(r'"everything that was accepted is in the outbox".*"not_written":(\d+)', self.edge.log.read_text())[-1])

    def begin_again(self, image, accepted):
        """The operator has the disk repaired: what was accepted is there, and new names are accepted again."""
        self.run_inside("umount", self.disk)
        subprocess.run(["e2fsck", "-fy", image], check=False, capture_output=True, timeout=60)
        self.run_inside("mount", "-o", "loop", image, self.disk)
        self.edge.start()
        self.assertEqual(self.edge.said("the last run did not end in order"), 1)
        # Also those that were lost: they had not left, so they are new.
        again = [name for name in self.asked if name not in accepted]
        for name in again:
            self.edge.send(name, range(60))
        self.wait_for_names()
        print(f"  after its repair: the {len(again)} names of lost batches were accepted when they were asked for again", flush=True)
        self.edge.stop()
        self.assertEqual(dict(self.edge.on_disk(self.state)), {name: 1 for name in self.asked})
        self.assertEqual(self.edge.verify_ledger(self.state), "")
        self.assertEqual(self.lost_in_all(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
