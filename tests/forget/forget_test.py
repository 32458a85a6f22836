#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`replay --forget` on the demo's capture: forget_test.py GLASSBOX

What a wipe took stands in the report, whose identities (entries, packets) hold through it; and a
wipe that cannot be carried out is told.
"""

import json
import os
import pathlib
import subprocess
import sys
import unittest

PROGRAM = ""
CONFIGS = pathlib.Path(os.environ.get("GLASSBOX_SOURCE_ROOT", ".")) / "configs"
NAMES = ("box", "nat44", "firewall", "inspect", "dataplane.session", "dataplane.fragments",
         "firewall.connection", "firewall.rules", "nat44.session", "nat44.mapping",
         "nat44.holddown", "inspect.flow", "inspect.stream", "inspect.segments")


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
        self.assertIn("the capture ends", done.stderr)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
