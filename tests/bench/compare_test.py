#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/compare, one short round: compare_test.py BUILD_ROOT SOURCE_ROOT

That the systems run and that figures come out; how large they are is for docs/comparison.md. What a
machine lacks (programs, rights) is skipped, and said aloud.
"""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path()
ROOT = pathlib.Path()


class Compare(unittest.TestCase):
    def compare(self, what, *arguments):
        with tempfile.TemporaryDirectory() as directory:
            out = pathlib.Path(directory, "out.json")
            done = subprocess.run(
                [sys.executable, str(ROOT / "scripts/compare"), what, "--rounds", "1", "--seconds", "0.3",
                 "--flows", "2000", "--build", str(BUILD), "--out", str(out), *arguments],
                capture_output=True, text=True, timeout=150, check=False)
            self.assertIn(done.returncode, (0, 1), done.stderr)
            found = json.loads(out.read_text())["comparisons"][what]
        if "skipped" in found:
            print(f"SKIPPED: {what}: {found['skipped']}", file=sys.stderr)
            self.skipTest(found["skipped"])
        return found

    def check(self, found, *names):
        self.assertEqual(set(found["cycles_per_packet"]), set(names))
        for figures in found["cycles_per_packet"].values():
            self.assertGreater(figures["median"], 1)
        self.assertGreater(found["ratio"]["median"], 0)

    def test_wire_and_testpmd(self):
        self.check(self.compare("wire"), "glassbox wire", "testpmd macswap")

    @unittest.skipUnless(os.geteuid() == 0, "OVS needs root here")
    def test_ovs(self):
        self.check(self.compare("ovs"), "glassbox", "source alone (glassbox wire)", "OVS-DPDK")

    @unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
    def test_nftables(self):
        self.check(self.compare("nftables"), "glassbox", "nftables", "sending and veth alone",
                   "nftables with sending and veth")

    def test_wrong_usage(self):
        for wrong in (["nosuch"], ["--rounds", "0"], ["--flows", "100000"], ["--build", "/nonexistent"]):
            done = subprocess.run([sys.executable, str(ROOT / "scripts/compare"), *wrong],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, wrong)


class Load(unittest.TestCase):
    def test_flows_differ_and_checksums_are_right(self):
        sys.path.insert(0, str(ROOT / "perf/compare"))
        import common
        ends = set()
        for number in range(0, 65536, 7):
            frame = common.udp_frame(number)
            self.assertEqual(len(frame), 60)
            self.assertEqual(common.checksum(frame[14:34]), 0)
            pseudo = frame[26:34] + struct.pack("!HH", 17, len(frame) - 34)
            self.assertEqual(common.checksum(pseudo + frame[34:]), 0)
            ends.add(frame[26:30] + frame[34:36])
        self.assertEqual(len(ends), len(range(0, 65536, 7)))


if __name__ == "__main__":
    ROOT = pathlib.Path(sys.argv.pop(2)).resolve()
    BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
