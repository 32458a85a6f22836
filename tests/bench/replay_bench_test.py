#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/bench-replay on small captures: replay_bench_test.py PROGRAM SOURCE_ROOT

That its captures are sound conversations, and that figures come out; how large they are is for
docs/performance.md.
"""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ROOT = pathlib.Path()


class ReplayBench(unittest.TestCase):
    def run_script(self, *arguments):
        return subprocess.run([sys.executable, str(ROOT / "scripts/bench-replay"), *arguments],
                              capture_output=True, text=True, timeout=120, check=False)

    def test_figures_come_out(self):
        with tempfile.TemporaryDirectory() as directory:
            out = pathlib.Path(directory, "out.json")
            done = self.run_script("--packets", "3000", "--rounds", "1", "--program", str(PROGRAM),
                                   "--against", str(PROGRAM), "--out", str(out))
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads(out.read_text())["captures"]
        self.assertEqual(set(found), {"tcp", "udp"})
        for rows in found.values():
            self.assertGreater(rows[str(PROGRAM)]["mpps"]["median"], 0)
        self.assertIn("Mpps a core", done.stdout)

    def test_its_conversations_get_through_whole(self):
        loader = importlib.machinery.SourceFileLoader("bench_replay", str(ROOT / "scripts/bench-replay"))
        script = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_replay", loader))
        sys.dont_write_bytecode = True
        loader.exec_module(script)
        for name, writer in script.WRITERS.items():
            with tempfile.TemporaryDirectory() as directory:
                here = pathlib.Path(directory)
                writer(here / "load.pcap", 60000)
                (here / "bench.yaml").write_text(script.CONFIG.replace("loose", "strict"), encoding="utf-8")
                subprocess.run([str(PROGRAM), "replay", str(here / "bench.yaml"), str(here / "load.pcap"),
                                "--report", directory, "--quiet"], check=True, timeout=60)
                found = json.loads((here / "report.json").read_text())
            # Nothing is dropped, nothing waits for what never came.
            self.assertEqual(found["drops"], [], name)
            self.assertEqual(found["conservation"]["received"], 60000, name)
            self.assertEqual(found["conservation"]["prevented"], 0, name)

    def test_wrong_usage(self):
        for wrong in (["nosuch"], ["--packets", "0"], ["--program", "/nonexistent"]):
            self.assertEqual(self.run_script(*wrong).returncode, 2, wrong)


if __name__ == "__main__":
    ROOT = pathlib.Path(sys.argv.pop(2)).resolve()
    PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
