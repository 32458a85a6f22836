#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`glassbox bench` from outside: bench_test.py GLASSBOX SOURCE_ROOT

Short runs: whether the figures hang together, not how large they are.
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
ROOT = pathlib.Path()
QUICK = ["--trials", "2", "--duration", "0.05", "--warm-up", "0.01", "--width", "0.2"]
CONFIG = """
chain:
  - firewall: { default_outside: drop }
  - nat44: { pool: 203.0.113.1/32 }
dataplane: { sessions: 8192 }
"""


class Bench(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.here = pathlib.Path(self.directory.name)
        self.addCleanup(self.directory.cleanup)

    def bench(self, *arguments, config=CONFIG, status=0):
        (self.here / "c.yaml").write_text(config, encoding="utf-8")
        done = subprocess.run(
            [PROGRAM, "bench", str(self.here / "c.yaml"), *QUICK, *arguments],
            capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def figures(self, *arguments, **options):
        found = json.loads(self.bench("--json", *arguments, **options).stdout)
        try:
            import jsonschema
        except ImportError:
            print("SKIPPED: no jsonschema, figures are not validated", file=sys.stderr)
        else:
            schema = json.loads((ROOT / "control/bench/bench.schema.json").read_text())
            jsonschema.validate(found, schema)
        self.assertIsNone(found["fault"])
        return found

    def capture(self):
        """Two conversations of UDP, a query and an answer each, and an ARP frame."""
        frames = [bytes(12) + b"\x08\x06" + bytes(46)]
        for port in (5000, 5001):
            inside, outside = bytes([10, 0, 0, 1]), bytes([198, 51, 100, 1])
            for ends, ports in (((inside, outside), (port, 53)), ((outside, inside), (53, port))):
                udp = struct.pack("!HHHH", *ports, 26, 0) + bytes(18)
                ip = struct.pack("!BBHHHBBH", 0x45, 0, 46, 0, 0, 64, 17, 0) + ends[0] + ends[1]
                frames.append(bytes(12) + b"\x08\x00" + ip + udp)
        path = self.here / "load.pcap"
        path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(
            struct.pack("<IIII", 1700000000 + i, 0, len(each), len(each)) + each
            for i, each in enumerate(frames)))
        return str(path)

    def test_everything_is_measured(self):
        found = self.figures("--flows", "2k", "--stateful", "--report", str(self.here / "out"))
        self.assertEqual(found["fill"], {"asked": 2000, "opened": 2000, "sessions": 2000, "refusals": []})
        self.assertEqual(len(found["overload"]["packets_per_second"]["trials"]), 2)
        self.assertGreater(found["overload"]["cycles_per_packet"]["minimum"], 1)
        self.assertEqual([each["goal"]["loss_ratio"] for each in found["searches"]], [0, 0.005])
        self.assertEqual(found["drops"], [])
        names = [row["stage"] for row in found["stages"]["stages"]]
        self.assertEqual(names, ["receive", "parse", "lookup", "firewall", "nat44", "transmit", "rest"])
        self.assertAlmostEqual(sum(row["cycles_per_packet"] for row in found["stages"]["stages"]),
                               found["stages"]["cycles_per_packet"], places=3)
        # 8,192 sessions: the table is what refuses.
        state = found["stateful"]
        self.assertEqual(state["capacity_flows"], 8192)
        self.assertEqual(state["capacity_limit"], "dataplane: session-table-full")
        self.assertGreater(state["establishment_flows_per_second"]["median"], 0)
        self.assertGreater(state["teardown_sessions_per_second"]["median"], 0)
        written = json.loads((self.here / "out/bench.json").read_text())
        self.assertEqual(written["overload"], found["overload"])
        self.assertIn("<html", (self.here / "out/bench.html").read_text())

    def test_what_is_not_measured_is_null(self):
        found = self.figures("--no-search", "--no-latency", "--no-stages", config="chain: []\n")
        for name in ("searches", "latencies", "stages", "stateful", "offered_load"):
            self.assertIsNone(found[name], name)

    def test_an_offered_load_arrives(self):
        found = self.figures("--rate", "20k", "--no-stages", "--flows", "1000")  # all get a session
        self.assertIsNone(found["searches"])
        offered = found["offered_load"]
        self.assertEqual(offered["offered"], 20000)
        # A trial's packets fit into the rings, so that none can be missed on a busy machine either; and
        # its time is that of its turns: what others had is in neither.
        self.assertGreater(offered["packets_per_second"]["minimum"], 19800)
        self.assertLess(offered["packets_per_second"]["maximum"], 20200)
        self.assertEqual(offered["loss_ratio"]["maximum"], 0)

    def test_captures_are_looped(self):
        found = self.figures(self.capture(), "--no-stages", "--rate", "20k", "--copies", "20")
        load = found["workload"]
        self.assertEqual(load["source"], "captures")
        self.assertEqual((load["packets"], load["conversations"], load["left_out"]), ("4", "2", "1"))
        self.assertEqual(found["fill"]["asked"], 40)
        self.assertEqual(found["fill"]["opened"], 40)
        self.assertEqual(found["drops"], [])
        self.assertGreater(found["overload"]["packets_per_second"]["median"], 1000)

    def test_captures_and_a_synthetic_load_exclude_each_other(self):
        done = self.bench(self.capture(), "--flows", "100", status=2)
        self.assertIn("excludes", done.stderr)

    def test_tcp_imix_zipf_and_arrivals(self):
        found = self.figures("--protocol", "tcp", "--size", "imix", "--zipf", "1.1", "--arrival",
                             "10k", "--flows", "500", "--no-search", "--no-stages")
        self.assertEqual(found["fill"]["opened"], 500)
        self.assertEqual(found["drops"], [])

    def test_a_chain_that_lets_nothing_through_is_told(self):
        done = self.bench(config="chain: [ firewall: { default_inside: drop } ]\n", status=1)
        self.assertIn("lets no flow through", done.stderr)
        self.assertIn("firewall", done.stderr)

    def test_text(self):
        text = self.bench("--no-search").stdout
        for words in ("MRR, Mpps", "cycles a packet", "books balance"):
            self.assertIn(words, text)

    def test_over_devices(self):
        found = self.figures("--ports", "net_null0", "net_null1", config="chain: []\n")
        self.assertGreater(found["overload"]["packets_per_second"]["median"], 0)
        self.assertIsNone(found["fill"])


if __name__ == "__main__":
    ROOT = pathlib.Path(sys.argv.pop(2)).resolve()
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
