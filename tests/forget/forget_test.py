#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`replay --forget` and `glassbox forget` on the demo's capture: forget_test.py GLASSBOX

What a wipe took stands in the report, whose identities (entries, packets) hold through it; and a
wipe that cannot be carried out is told.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import jsonschema

PROGRAM = ""
CONFIGS = pathlib.Path(os.environ.get("GLASSBOX_SOURCE_ROOT", ".")) / "configs"
NAMES = ("box", "nat44", "firewall", "inspect", "dataplane.session", "dataplane.fragments",
         "firewall.connection", "firewall.rules", "firewall.window", "nat44.session",
         "nat44.mapping", "nat44.holddown", "inspect.flow", "inspect.stream", "inspect.segments")


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120,
                          check=False)


def replay(*arguments):
    done = run("replay", str(CONFIGS / "demo.yaml"), str(CONFIGS / "demo.pcap"), "--json",
               *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def forgotten(report):
    return {f"{row['function']}.{row['kind']}": row["forgotten"] for row in report["state"]}


class ReplayForgets(unittest.TestCase):
    def check_books(self, report):
        count = report["conservation"]
        self.assertTrue(count["balanced"])
        self.assertEqual(count["received"], sum(
            count[way] for way in ("forwarded", "dropped", "held", "merged")))
        for row in report["state"]:
            ended = sum(row[way] for way in ("closed", "expired", "evicted", "forgotten"))
            self.assertEqual(row["entries"], row["created"] - ended, row)

    def test_every_name_can_be_forgotten(self):
        chain = replay()["chain"]
        for name in NAMES:
            if name.split(".")[0] not in (*chain, "box", "dataplane"):
                continue
            with self.subTest(name):
                self.check_books(replay("--forget", f"{name}@5"))

    def test_what_was_forgotten_is_counted_and_nothing_else(self):
        before = forgotten(replay())
        self.assertEqual(set(before.values()), {0})
        after = forgotten(replay("--forget", "nat44.mapping@5"))
        self.assertGreater(after["nat44.mapping"], 0)
        self.assertGreater(after["nat44.session"], 0)
        self.assertEqual({kind for kind, count in after.items() if count},
                         {"nat44.mapping", "nat44.session"})

    def test_wipes_add_up_in_any_order(self):
        once = forgotten(replay("--forget", "dataplane.session@5"))
        twice = forgotten(replay("--forget", "dataplane.session@8", "--forget",
                                 "dataplane.session@5"))
        self.assertGreater(twice["dataplane.session"], once["dataplane.session"])

    def test_summary_shows_what_went(self):
        said = run("replay", str(CONFIGS / "demo.yaml"), str(CONFIGS / "demo.pcap"), "--forget",
                   "box@5")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("forgotten", said.stdout)

    def test_wrong_wipes_are_explained(self):
        arguments = ["replay", str(CONFIGS / "demo.yaml"), str(CONFIGS / "demo.pcap"), "--forget"]
        done = run(*arguments, "nat44.mappings@5")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'nat44.mapping'?", done.stderr)
        done = run(*arguments, "box@1000000")
        self.assertEqual(done.returncode, 1)
        self.assertIn("behind its first packet", done.stderr)


class Experiment(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="glassbox-forget-")
        cls.done = run("forget", str(CONFIGS / "demo.yaml"), str(CONFIGS / "demo.pcap"), "--json",
                       "--report", cls.directory.name)
        assert cls.done.returncode == 0, cls.done.stderr
        cls.report = json.loads(cls.done.stdout)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def test_every_kind_function_and_the_box_has_a_row_at_every_time(self):
        rows = self.report["forgetting"]
        times = {row["at"] for row in rows}
        self.assertEqual(len(times), 3)
        kinds = {(row["function"], row["kind"]) for row in self.report["state"]}
        wholes = {(name, "all") for name in (*self.report["chain"], "box")}
        for time in times:
            self.assertEqual({(row["function"], row["kind"]) for row in rows if row["at"] == time},
                             kinds | wholes)

    def test_outcomes_add_up_and_cells_with_them(self):
        for row in self.report["forgetting"]:
            ways = ("unaffected", "recovered", "broken")
            self.assertEqual(row["compared"], sum(row[way] for way in ways), row)
            for way in (*ways, "compared"):
                self.assertEqual(row[way], sum(cell[way] for cell in row["cells"]), row)
        self.assertGreater(max(row["compared"] for row in self.report["forgetting"]), 0)

    def test_nobody_hides_state(self):
        for row in self.report["forgetting"]:
            if row["kind"] == "all" and row["function"] != "box":
                self.assertIs(row["undeclared_state"], False, row)
            else:
                self.assertIsNone(row["undeclared_state"])

    def test_exposure_is_the_boxs_worst_time(self):
        exposure = self.report["transparency"]["fate_sharing_exposure"]
        boxes = [row for row in self.report["forgetting"] if row["function"] == "box"]
        worst = max(row["broken"] / row["compared"] for row in boxes if row["compared"])
        self.assertAlmostEqual(exposure["share"], worst, places=5)
        self.assertLessEqual(exposure["share_low"], exposure["share"])
        self.assertGreaterEqual(exposure["share_high"], exposure["share"])
        self.assertEqual(len(exposure["by_time"]), 3)

    def test_report_is_what_its_schema_says(self):
        schema = json.loads((CONFIGS.parent / "control/report/report.schema.json").read_text())
        written = json.loads(pathlib.Path(self.directory.name, "report.json").read_text())
        jsonschema.validate(written, schema)
        self.assertEqual(written["forgetting"], self.report["forgetting"])
        self.assertEqual(written["command"], "forget")

    def test_the_same_again_and_one_run_at_a_time(self):
        again = run("forget", str(CONFIGS / "demo.yaml"), str(CONFIGS / "demo.pcap"), "--json",
                    "--jobs", "1")
        self.assertEqual(json.loads(again.stdout)["forgetting"], self.report["forgetting"])

    def test_terminal_has_a_sentence_and_a_line_for_everything(self):
        said = run("forget", str(CONFIGS / "demo.yaml"), str(CONFIGS / "demo.pcap"), "--at", "10")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual(said.stderr, "")
        self.assertIn("If this box lost its state", said.stdout)
        for row in self.report["state"]:
            self.assertIn(f"{row['function']}.{row['kind']} ", said.stdout)

    def test_one_report_can_have_everything(self):
        with tempfile.TemporaryDirectory(prefix="glassbox-forget-") as directory:
            done = run("forget", str(CONFIGS / "demo.yaml"), str(CONFIGS / "demo.pcap"), "--quiet",
                       "--attribute", "--probes", "--report", directory)
            self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
            report = json.loads(pathlib.Path(directory, "report.json").read_text())
        schema = json.loads((CONFIGS.parent / "control/report/report.schema.json").read_text())
        jsonschema.validate(report, schema)
        self.assertGreater(len(report["openness"]), 100)
        self.assertEqual([row["function"] for row in report["transparency"]["attribution"]],
                         report["chain"])
        self.assertEqual(report["forgetting"], self.report["forgetting"])

    def test_exposure_over_many_times_has_its_interval(self):
        pooled = self.report["transparency"]["fate_sharing_exposure"]["over_times"]
        self.assertGreaterEqual(pooled["times"], 20)
        self.assertLessEqual(pooled["share_low"], pooled["share"])
        self.assertGreaterEqual(pooled["share_high"], pooled["share"])
        done = run("forget", str(CONFIGS / "demo.yaml"), str(CONFIGS / "demo.pcap"), "--json",
                   "--exposure-times", "0", "--at", "10")
        alone = json.loads(done.stdout)["transparency"]["fate_sharing_exposure"]
        self.assertIsNone(alone["over_times"])

    def test_a_time_behind_the_end_is_explained(self):
        done = run("forget", str(CONFIGS / "demo.yaml"), str(CONFIGS / "demo.pcap"), "--at", "1e6")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the capture ends", done.stderr)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
