"""Five real resolvers driven by dnsperf beside the edge: every frame that they sent is counted, and an edge that is stopped, dead
or away is nothing to them. TAPIR_BIN: folder with the programs.

The long form, with ratios over several turns, is `scripts/bench resolvers`. Here CPU and latency are shown and not asserted:
they say nothing on a machine that does other things too.
"""

import os
import pathlib
import tempfile
import unittest

from load import RESOLVERS, Rig

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
SECONDS = 3
RATE = 5000
QUIET_RATE = 100  # the queue of Knot Resolver takes 512 frames, two an answer, and is emptied once a second


class Load(unittest.TestCase):
    def drive(self, key):
        folder = tempfile.TemporaryDirectory(prefix="tapir-load-")
        self.addCleanup(folder.cleanup)
        with Rig(BIN, pathlib.Path(folder.name), RESOLVERS[key]) as rig:
            rig.take("edge")
            rig.start()
            rig.wait_until_connected()
            rig.measure(1)  # fills the cache
            self.equal(rig)
            beside = rig.measure(SECONDS, RATE)
            rig.stop_sink()
            stopped = rig.measure(SECONDS, RATE)
            self.assertEqual(stopped.lost, 0, "queries not answered while the edge is stopped")
            rig.continue_sink()
            rig.kill_sink()
            dead = rig.measure(SECONDS, RATE)
            self.assertEqual(dead.lost, 0, "queries not answered while the edge is dead")
            print(f"  {rig.which.name}: CPU µs a query and p99 ms: beside us {beside.cpu_us:.1f} {beside.p99_us / 1000:.2f},"
                  f" stopped {stopped.cpu_us:.1f} {stopped.p99_us / 1000:.2f}, dead {dead.cpu_us:.1f} {dead.p99_us / 1000:.2f}",
                  flush=True)

    def equal(self, rig):
        """What it sent is what we counted: flat out, what it had to send, less what it says that it dropped. Two count no drops:
        of those all must be there at a rate at which none of their queues can fill, and flat out none that they did not have."""
        for rate in (QUIET_RATE, None):
            load = rig.account(SECONDS, rate)
            print(f"  {rig.which.name}: {load['qps']:.0f} q/s; had to send {load['sent']}, we counted {load['counted']} and dropped"
                  f" {load['edge_dropped']} at the entrance, it dropped {load['dropped']} ({rig.which.drops or 'it counts none'}),"
                  f" counted by nobody {load['missing']}", flush=True)
            self.assertGreater(load["counted"], SECONDS * (rate or 1000) * 0.9)
            if rate or rig.which.drops:
                self.assertEqual(load["missing"], 0)
            elif load["edge_dropped"] == 0:  # else queries that Knot Resolver sends may be among these
                self.assertGreaterEqual(load["missing"], 0)

    def test_unbound(self):
        self.drive("unbound")

    def test_bind(self):
        self.drive("bind")

    def test_knot_resolver(self):
        self.drive("kresd")

    def test_pdns_recursor(self):
        self.drive("recursor")

    def test_dnsdist(self):
        self.drive("dnsdist")

    def test_dnsdist_protobuf(self):
        self.drive("dnsdist-protobuf")


if __name__ == "__main__":
    unittest.main(verbosity=2)
