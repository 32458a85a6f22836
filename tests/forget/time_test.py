#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long `glassbox forget` takes: time_test.py GLASSBOX SECONDS

100,000 packets, the demo's chain of three functions, every kind, every function and the box at three
times: within so many seconds. What it must have done in that time is checked as well.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = pathlib.Path(os.environ.get("GLASSBOX_SOURCE_ROOT", HERE.parents[1])) / "configs/demo.yaml"
PACKETS = 100_000


def main():
    program, limit = sys.argv[1], float(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="glassbox-forget-time-") as directory:
        capture = pathlib.Path(directory, "big.pcap")
        subprocess.run([sys.executable, str(HERE / "big_capture.py"), str(capture), str(PACKETS)],
                       check=True, timeout=120)
        begin = time.monotonic()
        done = subprocess.run([program, "forget", str(CONFIG), str(capture), "--json"],
                              capture_output=True, text=True, timeout=600, check=False)
        took = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["workload"]["packets"] == PACKETS, report["workload"]
    assert len(report["chain"]) == 3, report["chain"]
    rows = report["forgetting"]
    targets = {(row["function"], row["kind"]) for row in rows}
    assert {(row["function"], row["kind"]) for row in report["state"]} < targets, targets
    assert len({row["at"] for row in rows}) == 3 and len(rows) == 3 * len(targets), len(rows)
    boxes = [row for row in rows if row["function"] == "box"]
    assert all(row["compared"] > 200 and row["broken"] > 0 for row in boxes), boxes
    print(f"{PACKETS} packets, {len(rows)} wipes: {took:.1f} s (at most {limit:g} s)")
    assert took <= limit, took


if __name__ == "__main__":
    main()
