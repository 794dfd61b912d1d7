"""What is installed beside the program: manual pages, alert rules, the unit, the settings that it begins with."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
SOURCE = pathlib.Path(os.environ["TAPIR_SOURCE"])
PACKAGING = SOURCE / "packaging"


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=120, **more)


class Packaging(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tapir-packaging-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def pages(self):
        made = self.folder / "tapir-edge.toml.5"
        made.write_text(run(BIN / "tapir-edge", "man-settings", check=True).stdout)
        return [made, *sorted((PACKAGING / "man").iterdir())]

    def test_manual_pages_have_no_fault(self):
        for page in self.pages():
            # Of the settings' page the lines are as long as their sentences.
            linted = run("mandoc", "-T", "lint", "-W", "style", page).stdout.splitlines()
            self.assertEqual([line for line in linted if "longer than 80 bytes" not in line], [], page)
            shown = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page)
            self.assertEqual(shown.stderr, "", page)

    def test_the_settings_page_has_every_setting(self):
        page = self.pages()[0].read_text().replace("\\-", "-")
        keys = re.findall(r"^  ([a-z][a-z0-9_.]*)$", run(BIN / "tapir-edge", "help-settings", check=True).stdout, re.M)
        self.assertGreater(len(keys), 20)
        for key in keys:
            self.assertIn(f"\n.B {key}\n", page)

    def test_the_commands_page_has_every_command(self):
        page = (PACKAGING / "man/tapir-edge.8").read_text().replace("\\-", "-")
        commands = run(BIN / "tapir-edge", "--help", check=True).stdout.split("Subcommands:")[1]
        for command in re.findall(r"^  ([a-z-]+)", commands, re.M):
            if command != "man-settings":  # for the package, not for people
                self.assertIn(command, page)

    def test_alert_rules_are_rules(self):
        done = run("promtool", "check", "rules", PACKAGING / "prometheus/tapir-edge.rules.yml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        broken = self.folder / "broken.yml"
        broken.write_text((PACKAGING / "prometheus/tapir-edge.rules.yml").read_text().replace("== 0", "== ("))
        self.assertNotEqual(run("promtool", "check", "rules", broken).returncode, 0)

    def test_alerts_fire_when_they_must_and_not_before(self):
        (self.folder / "t.yml").write_text(f"""
rule_files: [{PACKAGING}/prometheus/tapir-edge.rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'tapir_edge_frames_total{{fate="counted",reason="well_known",instance="e"}}'
        values: '0+1000x60'
      - series: 'tapir_edge_frames_total{{fate="dropped",reason="overload",instance="e"}}'
        values: '0x20 0+5x40'
      - series: 'tapir_edge_frames_total{{fate="dropped",reason="row",instance="e"}}'
        values: '0x20 0+5x40'
      - series: 'tapir_edge_group_posts_total{{outcome="accepted",instance="e"}}'
        values: '0+1x10 10x50'
      - series: 'tapir_edge_group_posts_total{{outcome="accepted",instance="other"}}'
        values: '0+1x60'
      - series: 'tapir_edge_certificate_end_timestamp_seconds{{setting="core.cert",instance="e"}}'
        values: '9000000x60'
    alert_rule_test:
      - {{eval_time: 20m, alertname: TapirEdgeDropsFrames, exp_alerts: []}}
      - {{eval_time: 20m, alertname: TapirEdgeNoRoom, exp_alerts: []}}
      - {{eval_time: 50m, alertname: TapirEdgeCertificateEnds, exp_alerts: []}}
      - {{eval_time: 50m, alertname: TapirEdgeNoFrames, exp_alerts: []}}
      - {{eval_time: 15m, alertname: TapirEdgeGroupAway, exp_alerts: []}}
      - eval_time: 50m
        alertname: TapirEdgeGroupAway
        exp_alerts:
          - exp_labels: {{severity: warn, outcome: accepted, instance: e}}
            exp_annotations:
              summary: e has not spoken with its aggregator for half an hour and counts alone.
              remedy: outcomes in tapir_edge_group_posts_total; tapir-edge check --online
      - eval_time: 50m
        alertname: TapirEdgeDropsFrames
        exp_alerts:
          - exp_labels: {{severity: warn, fate: dropped, reason: overload, instance: e}}
            exp_annotations:
              summary: the workers of e are behind and frames are dropped unread.
              remedy: raise workers, or give it more CPU; the resolver is not slowed.
      - eval_time: 50m
        alertname: TapirEdgeNoRoom
        exp_alerts:
          - exp_labels: {{severity: warn, fate: dropped, reason: row, instance: e}}
            exp_annotations:
              summary: what e counts needs more memory than it may take; each row beyond that is left out.
              remedy: raise memory.size_max, or compile a shorter list.
""")
        done = run("promtool", "test", "rules", self.folder / "t.yml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_dashboard_is_one(self):
        board = json.loads((PACKAGING / "grafana/tapir-edge.json").read_text())
        self.assertGreater(len(board["panels"]), 15)
        self.assertEqual(len({panel["id"] for panel in board["panels"]}), len(board["panels"]))

    def test_the_unit_is_a_sandbox(self):
        for name in ("tapir-edge", "tapir-edge-aggregator"):
            unit = PACKAGING / f"systemd/{name}.service"
            judged = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit)
            self.assertEqual(judged.returncode, 0, judged.stdout + judged.stderr)

    def test_the_first_settings_are_settings(self):
        checked = run(BIN / "tapir-edge", "check", "--config", PACKAGING / "debian/edge.toml")
        self.assertNotIn("FAIL  settings", checked.stdout)
        self.assertIn("keys.signing", checked.stdout)


if __name__ == "__main__":
    unittest.main()
