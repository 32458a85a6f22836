#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/bench-report on what the benchmarks write: bench_report_test.py BUILD_ROOT SOURCE_ROOT

That figures come out under their names; how large they are is for docs/performance.md.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

BUILD = ROOT = pathlib.Path()
TURNS = {"median_ns": 17000.0, "p999_ns": 40800.0, "uninterrupted_median_ns": 16000.0,
         "uninterrupted_p999_ns": 24000.0, "interrupted": 0.004}


class BenchReport(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.directory.name)
        raw = cls.folder / "raw.json"
        subprocess.run([str(BUILD / "perf/glassbox_bench"), "--benchmark_min_time=0.001",
                        "--benchmark_filter=^(FirewallNat44/1024|FirewallMemory)",
                        "--benchmark_out_format=json", f"--benchmark_out={raw}"],
                       check=True, capture_output=True, timeout=120)
        cls.raw = json.loads(raw.read_text())

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def report(self, *further):
        """Exit status, table and figures of what was measured and `further` entries."""
        raw, out = self.folder / "in.json", self.folder / "out.json"
        raw.write_text(json.dumps({**self.raw, "benchmarks": self.raw["benchmarks"] + list(further)}))
        done = subprocess.run([sys.executable, str(ROOT / "scripts/bench-report"), str(raw), str(out)],
                              capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, json.loads(out.read_text())

    def aggregates(self, **counters):
        return [{"run_name": "Made/1048576/iterations:1/repeats:10", "run_type": "aggregate",
                 "repetitions": 10, "aggregate_name": name, **counters}
                for name in ("median", "min", "max", "stddev")]

    def test_cycles_and_memory_come_out(self):
        status, table, report = self.report()
        self.assertEqual(status, 0)
        rows = {row["name"]: row for row in report["figures"]}
        self.assertEqual(set(rows), {"FirewallNat44", "FirewallMemory"})
        cycles = rows["FirewallNat44"]
        self.assertEqual((cycles["arguments"], cycles["repetitions"]), ([1024], 10))
        self.assertLessEqual(cycles["min"]["cycles"], cycles["median"]["cycles"])
        self.assertLessEqual(cycles["median"]["cycles"], cycles["max"]["cycles"])
        self.assertRegex(table, rf"FirewallNat44 1k +{cycles['median']['cycles']:.1f}")
        self.assertRegex(table, r"FirewallMemory 1M +[0-9.]+ bytes of memory a flow; by the census 154\.0")
        self.assertIn("tsc_hz", report["environment"])

    def test_turns_say_what_interrupts_make(self):
        quiet = {f"quiet_{name}": value / 2 for name, value in TURNS.items()}
        status, table, report = self.report(*self.aggregates(**TURNS, **quiet))
        self.assertEqual(status, 0)
        self.assertIn("a turn: median 17.0 us, 99.9th percentile 40.8 us (2.4 times)", table)
        self.assertIn("(99.60 %): median 16.0 us, 99.9th percentile 24.0 us (1.5 times)", table)
        self.assertEqual(report["figures"][-1]["median"]["quiet_p999_ns"], 20400.0)

    def test_a_benchmark_that_failed_is_told(self):
        status, table, report = self.report({"run_name": "Broken/1024", "error_occurred": True,
                                             "error_message": "mbufs have leaked"})
        self.assertEqual(status, 1)
        self.assertIn("FAILED: mbufs have leaked", table)
        self.assertEqual(report["figures"][-1]["error"], "mbufs have leaked")


if __name__ == "__main__":
    BUILD, ROOT = (pathlib.Path(argument) for argument in sys.argv[1:3])
    unittest.main(argv=[sys.argv[0], "-v"])
