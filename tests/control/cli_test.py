#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Exit statuses and messages of the built program: cli_test.py GLASSBOX

0 done, 1 the run failed, 2 usage or configuration error; a failure says why on standard error and
nothing on standard output.
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""


def run(*arguments, **options):
    return subprocess.run(
        [PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False, **options
    )


class ExitStatus(unittest.TestCase):
    def check(self, status, arguments, said):
        done = run(*arguments)
        self.assertEqual(done.returncode, status, (arguments, done.stderr))
        self.assertIn(said, done.stdout if status == 0 else done.stderr)
        self.assertEqual(done.stderr if status == 0 else done.stdout, "", arguments)

    def test_help_and_version_are_done(self):
        for arguments in (["--help"], ["replay", "--help"], ["run", "--help"], ["check", "-h"]):
            self.check(0, arguments, "Usage:")
        self.check(0, ["--version"], "glassbox ")

    def test_wrong_usage_is_two(self):
        self.check(2, [], "Usage:")
        self.check(2, ["rply"], "did you mean 'replay'?")
        self.check(2, ["replay"], "CONFIG is required")
        self.check(2, ["replay", "c", "p", "--endpoints", "ajar"], "unknown model 'ajar'")
        self.check(2, ["check", "a", "b"], "not expected")
        self.check(2, ["replay", "c", "p", "--forget", "box"], "is not KIND@SECONDS")
        self.check(2, ["ctl"], "subcommand is required")
        self.check(2, ["ctl", "forget"], "KIND is required")
        self.check(1, ["ctl", "--file-prefix", "none-such", "state"], "'glassbox run CONFIG'")

    def test_wrong_configuration_is_two(self):
        self.check(2, ["check", "/nonexistent.yaml"], "No such file or directory")
        self.check(2, ["check", "/"], "is a directory")
        with tempfile.TemporaryDirectory() as directory:
            config = pathlib.Path(directory, "c.yaml")
            config.write_text("mode: wire\nchain: [nosuch]\n", encoding="utf-8")
            for command in (["check"], ["replay"], ["run"]):
                captures = ["p.pcap"] if command == ["replay"] else []
                self.check(2, [*command, str(config), *captures], f"{config}:2: chain: unknown")
            config.write_text("mode: routed\nchain: []\n", encoding="utf-8")
            self.check(2, ["check", str(config)], "routed is not available yet (known: wire)")

    def test_an_audit_needs_two_captures(self):
        self.check(0, ["audit", "--help"], "Examples:")
        self.check(2, ["audit"], "needs two captures")
        self.check(2, ["audit", "a"], "needs two captures")
        self.check(2, ["audit", "a", "b", "--inside", "c"], "not both")
        self.check(2, ["audit", "--inside", "a"], "--outside is missing")
        self.check(2, ["audit", "a", "b", "--window", "0"], "--window")
        self.check(1, ["audit", "/nonexistent.pcap", "b"], "/nonexistent.pcap: No such file")
        with tempfile.TemporaryDirectory() as directory:
            capture = pathlib.Path(directory, "c.pcap")
            capture.write_bytes(b"no capture at all, but long enough for a header")
            self.check(1, ["audit", str(capture), str(capture)], "unknown file format")

    def test_a_good_configuration_is_done(self):
        with tempfile.TemporaryDirectory() as directory:
            config = pathlib.Path(directory, "c.yaml")
            config.write_text("chain: []\n", encoding="utf-8")
            self.check(0, ["check", str(config)], "inside -> outside\n")

    def test_a_configuration_with_rules_to_compile_is_done(self):
        root = pathlib.Path(__file__).resolve().parents[2]
        self.check(0, ["check", str(root / "configs/demo.yaml")], "inside -> inspect -> nat44 -> firewall")

    def test_bench(self):
        with tempfile.TemporaryDirectory() as directory:
            config = pathlib.Path(directory, "c.yaml")
            config.write_text("chain: [count]\n", encoding="utf-8")
            self.check(0, ["bench", "--help"], "Examples:")
            for wrong, said in (
                (["--size", "63"], "neither 'imix' nor sizes"),
                (["--flows", "0"], "no number from 1"),
                (["--flows", "many"], "'many' is no number"),
                (["--protocol", "sctp"], "(known: udp, tcp)"),
                (["--inside-network", "fd00::/8"], "no IPv4 network"),
                (["--ring", "1000"], "not a power of two"),
                (["--loss", "2"], "2"),
                (["--hosts", "3"], "hosts: not a power of two"),
                (["--hosts", "1", "--flows", "1M"], "need more inside hosts"),
                (["--trials", "0"], "no number from 1"),
            ):
                self.check(2, ["bench", str(config), *wrong], said)
            self.check(2, ["bench", "/nonexistent.yaml"], "No such file")
            self.check(1, ["bench", str(config), "--core", "1023"], "cannot run on core 1023")

    def test_describe(self):
        self.check(0, ["describe"], "dataplane")
        self.check(0, ["describe", "dataplane"], "State dataplane.session")
        self.check(0, ["describe", "--json"], '"glassbox.describe/1"')
        self.check(2, ["describe", "nosuch"], "unknown function 'nosuch' (known: ")

    def test_two_reports_are_compared(self):
        root = pathlib.Path(__file__).resolve().parents[2]
        with tempfile.TemporaryDirectory() as directory:
            for chain in ("demo", "wire"):
                made = run("replay", str(root / f"configs/{chain}.yaml"), str(root / "configs/demo.pcap"),
                           "--sides", "initiator", "--quiet", "--report", f"{directory}/{chain}")
                self.assertEqual(made.returncode, 0, made.stderr)
            both = [f"{directory}/wire", f"{directory}/demo/report.json"]
            self.check(0, ["compare", *both, "--report", f"{directory}/out"], "nat44 ip.src (F)")
            self.check(0, ["--compare", *both], "points\n")
            self.check(0, ["compare", *both, "--json"], '"glassbox.compare/1"')
            for name in ("compare.html", "compare.json"):
                self.assertTrue(pathlib.Path(directory, "out", name).stat().st_size > 1000, name)
            self.check(2, ["compare", directory, both[1]], "report.json: cannot be read")
            self.check(2, ["compare", str(root / "configs/demo.pcap"), both[1]], "is no report")
            self.check(2, ["compare", both[0]], "B is required")

    def test_output_that_cannot_be_written_is_one(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run(
                [PROGRAM, "describe"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left on device", done.stderr)


if __name__ == "__main__":
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
