#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The built program's `probe`, from outside: probe_command_test.py GLASSBOX

Its outputs hold to their schemas; the same run gives the same bytes; what is wrong is told with its
place and status 2.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import jsonschema
except ImportError:
    jsonschema = None

PROGRAM = ""
ROOT = pathlib.Path(__file__).resolve().parents[3]
NAT = "inside_networks: [192.168.0.0/16]\nchain: [nat44: { pool: [203.0.113.1/32] }]\n"


def run(*arguments):
    return subprocess.run(
        [PROGRAM, "probe", *arguments], capture_output=True, text=True, timeout=120, check=False
    )


class Probe(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = pathlib.Path(place.name)
        self.config = str(self.write("nat.yaml", NAT))

    def write(self, name, text):
        (self.place / name).write_text(text, encoding="utf-8")
        return self.place / name

    def done(self, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        return result.stdout

    def refused(self, said, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(said, result.stderr)
        self.assertEqual(result.stdout, "")

    def test_help_has_examples(self):
        self.assertIn("glassbox probe configs/demo.yaml", self.done("--help"))

    def test_json_holds_to_its_schema_and_is_the_same_twice(self):
        first = self.done(self.config, "--json")
        some = ("--json", "--only", "UDP", "--only", "ICMP")
        self.assertEqual(self.done(self.config, *some), self.done(self.config, *some))
        answer = json.loads(first)
        self.assertEqual(answer["chain"], ["nat44"])
        self.assertGreaterEqual(len({row["probe"] for row in answer["openness"]}), 50)
        if jsonschema is None:
            self.skipTest("python3-jsonschema is not installed")
        schema = json.loads((ROOT / "control/probe/openness.schema.json").read_text())
        report = json.loads((ROOT / "control/report/report.schema.json").read_text())
        # One row, one definition: the report's.
        self.assertEqual(schema["$defs"]["openness"], report["$defs"]["openness"])
        jsonschema.validate(answer, schema)
        answer["openness"][0]["outcome"] = "fine"
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate(answer, schema)

    def test_a_report_holds_to_its_schema_and_has_the_same_rows(self):
        out = self.place / "out"
        some = ("--only", "Other transports", "--only", "Marks", "--only", "IPv6")
        self.done(self.config, "--report", str(out), *some)
        report = json.loads((out / "report.json").read_text())
        rows = json.loads(self.done(self.config, "--json", *some))["openness"]
        self.assertEqual(report["openness"], rows)
        self.assertIsNone(report["state"])
        self.assertTrue(report["conservation"]["balanced"])
        self.assertTrue((out / "report.html").exists())
        checked = subprocess.run(
            [sys.executable, ROOT / "tests/control/report_schema.py",
             ROOT / "control/report/report.schema.json", out / "report.json"],
            capture_output=True, text=True, check=False)
        if checked.returncode == 77:
            self.skipTest(checked.stdout)
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_the_text_reads_without_colour(self):
        text = self.done(self.config, "--only", "Other transports")
        self.assertNotIn("\x1b", text)
        row = next(line for line in text.splitlines() if line.startswith("  sctp "))
        self.assertEqual(row.split(), "sctp RFC 9260 5.1 BROKEN by nat44 BROKEN by nat44".split())
        self.assertIn("dropped by nat44: protocol", text)

    def test_one_probe_and_why(self):
        text = self.done(self.config, "--only", "tcp-md5", "--why")
        self.assertIn("outbound: step 1 (client > server: tcp S md5): the MD5 signature", text)
        self.assertNotIn("tcp-sack", text)
        self.refused("did you mean 'tcp-md5'?", self.config, "--only", "tcp-md4")

    def test_the_printed_table_can_be_used(self):
        table = self.write("mine.yaml", self.done("--list"))
        self.assertEqual(
            self.done(self.config, "--json", "--only", "QUIC"),
            self.done(self.config, "--json", "--only", "QUIC", "--probes", str(table)),
        )

    def test_what_is_wrong_is_told_with_its_place(self):
        self.refused("CONFIG is required")
        self.refused("No such file", self.config, "--probes", str(self.place / "none.yaml"))
        head = "probes:\n  - name: a\n    group: G\n    rfc: RFC 768 Fields\n    asks: It.\n"
        bad = self.write("bad.yaml", head + "    script:\n      - client > server: udq\n")
        self.refused(f"{bad}:7: probe 'a': script: unknown packet 'udq'", self.config,
                     "--probes", str(bad))
        lost = self.write("lost.yaml", head + "    script:\n      - router > client: error 3 1\n")
        self.refused(f"{lost}:2: probe 'a': does not work over a wire", self.config,
                     "--probes", str(lost))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
