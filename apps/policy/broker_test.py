"""tapir-policy that follows a broker: a real mosquitto, with and without a core to ask for snapshots."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(os.environ.get("TAPIR_SOURCE", ".")).resolve() / "apps"))
from mosquitto import Mosquitto  # noqa: E402
from policy_test import Core, PolicyTest, wait_for  # noqa: E402

TOPIC = "observations/down/tapir-pop"


class Broker(PolicyTest):
    def setUp(self):
        super().setUp()
        self.broker = Mosquitto(self.folder / "mosquitto")
        self.addCleanup(self.broker.stop)
        self.settings |= {"feed.transport": "mqtt", "core.trusted_keys": str(self.folder / "keys.jwks"),
                          "mqtt.url": self.broker.url}

    def sessions_lost(self):
        return self.metric('tapir_mqtt_sessions_lost_total{client="tapir-policy"}')

    def accepted(self):
        return self.metric('tapir_policy_messages_total{result="accepted"}')

    def observe(self, *names):
        self.broker.publish(TOPIC, self.signer.observation(names))

    def kill_policy(self):
        self.policy.kill()
        self.policy.wait()

    def begin(self):
        """Broker and policy, the one known to the other."""
        self.broker.start()
        self.start()
        wait_for("a session", self.sessions_lost)
        wait_for("the subscription", lambda: self.observe("first.example") or self.accepted())

    def test_observations_are_enforced_and_what_comes_while_it_is_away_waits(self):
        self.begin()
        self.assertIn("first.example .", self.rules())
        self.broker.publish(TOPIC, "rubbish")
        self.observe("second.example", "good.example")
        wait_for("the second", lambda: "second.example ." in self.rules())
        self.assertNotIn("good.example .", self.rules())
        self.assertEqual(self.metric('tapir_policy_messages_total{result="malformed"}'), 1)
        kept = self.folder / "state/mqtt-client-id"
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(kept.read_text().strip(), self.log() + self.page("/metrics"))
        for name, stop in (("stopped.example", self.stop_policy), ("killed.example", self.kill_policy)):
            stop()
            self.observe(name)
            self.start()
            wait_for("what waited", lambda: f"{name} ." in self.rules())
            self.assertEqual(self.sessions_lost(), 0)
        self.stop_policy()

    def test_a_broker_that_is_away_at_the_start_is_found_later(self):
        self.start()
        self.assertEqual(self.rules(), ["*.tree.example .", "denied.example ."])
        self.broker.start()
        wait_for("a session", self.sessions_lost)
        wait_for("an observation", lambda: self.observe("late.example") or "late.example ." in self.rules())
        self.assertIn("core.url is not set", self.log())
        self.broker.stop()
        self.stop_policy()  # and does not hang

    def test_a_snapshot_closes_the_gap_of_a_lost_session(self):
        self.core = Core()
        self.settings |= {"core.url": self.core.url}
        self.core.messages.append(self.signer.observation(["snap.example"]))
        self.begin()
        wait_for("the snapshot", lambda: "snap.example ." in self.rules())
        self.broker.stop()
        for file in (self.folder / "mosquitto").glob("*.db*"):
            file.unlink()  # the broker loses its disk
        self.core.messages.append(self.signer.observation(["missed.example"]))
        before = self.sessions_lost()
        self.broker.start()
        wait_for("another session", lambda: self.sessions_lost() > before)
        wait_for("what was missed", lambda: {"snap.example .", "missed.example ."} <= set(self.rules()))
        wait_for("the gap is closed", lambda: self.metric("tapir_policy_feed_gap") == 0)
        self.stop_policy()


if __name__ == "__main__":
    unittest.main()
