"""Core and broker away in turn, with real daemons: what an edge was told is accepted arrives, each event once.

TAPIR_BIN: folder with the programs.
"""

import os
import pathlib
import tempfile
import unittest

import daemons
import records
from dns import ask
from processes import Processes, wait_for

BIN = pathlib.Path(os.environ["TAPIR_BIN"]).resolve()
CLIENTS = 60
BATCH_S = 1
PATIENCE_S = 120


class Outages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tapir-lab-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.processes = Processes(self.folder)
        self.processes.__enter__()
        self.addCleanup(self.processes.__exit__)
        self.lab = daemons.Lab(BIN, self.folder, self.processes, BATCH_S, over_mqtt=True)
        self.lab.start()

    def ask(self, name):
        """By enough clients, in three networks, for the name to leave."""
        released = self.lab.edge_released()
        for index in range(CLIENTS):
            ask(self.lab.resolver, name, source=f"127.1.{1 + index % 3}.{1 + index // 3}")
        self.lab.fill_up()
        self.until(f"the edge releases {name}", lambda: self.lab.edge_released() > released)

    def until(self, what, condition):
        wait_for(what, condition, PATIENCE_S, 0.05, self.processes.check)

    def outbox(self):
        return records.Outbox(self.folder / "edge/state")

    def settled(self, name):
        """Whether the outbox knows an event of this name, and nothing in it waits."""
        return any(event["qname"].rstrip(".") == name for event in self.outbox().events) and \
            self.outbox().ends["waiting"] == 0

    def test_core_and_broker_away_in_turn(self):
        self.ask("first.se")
        self.until("the core has the first event", lambda: self.lab.core_events() == 1)

        # The core is away: the broker keeps its mail, also over a restart of its own.
        self.processes.stop("tapir-core")
        self.ask("core-away.se")
        self.until("the broker has the second event", lambda: self.mail("core-away.se"))
        self.processes.stop("mosquitto")
        self.lab.broker.start_broker()
        self.lab.run("core", self.lab.core_metrics_port)
        self.until("the core has the second event", lambda: self.lab.core_events() == 1)

        # The broker is away: the outbox keeps it.
        self.processes.stop("mosquitto")
        self.ask("broker-away.se")
        self.until("the edge keeps the third event", lambda: self.lab.edge_waiting())
        self.lab.broker.start_broker()
        self.until("the core has the third event", lambda: self.lab.core_events() == 2)
        self.until("everything is settled", lambda: self.settled("broker-away.se"))

        self.processes.stop("tapir-edge")
        self.processes.stop("tapir-core")
        journal = records.Journal(self.folder / "core/state/store")
        sent = self.outbox()
        self.assertEqual([event["qname"] for event in sent.events], ["first.se.", "core-away.se.", "broker-away.se."])
        self.assertEqual(sorted(journal.event_ids(daemons.EDGE)), sorted(sent.ids()))
        self.assertEqual(journal.event_count(), 3, "an event was accepted twice")
        self.assertEqual(sorted(journal.observed()), ["broker-away.se", "core-away.se", "first.se"])

    def mail(self, name):
        """Whether an event of this name has crossed the broker, as the recorder saw it."""
        return any(event["qname"].rstrip(".") == name for event in self.lab.broker.events(daemons.EDGE))


if __name__ == "__main__":
    unittest.main(verbosity=2)
