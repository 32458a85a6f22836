# SPDX-License-Identifier: BSD-3-Clause
"""glassbox over the same devices as the others, and its content function against Hyperscan alone."""

import json
import subprocess

import common

CHAIN = """
chain:
  - firewall: { default_inside: accept, default_outside: drop }
  - nat44: { pool: 203.0.113.0/27, ports: 1024-65535 }
dataplane: { sessions: %d }
"""


class Glassbox:
    def __init__(self, program, directory, name, chain, devices, core, mbufs=16383):
        self.config = directory / f"{name}.yaml"
        self.config.write_text(chain, encoding="utf-8")
        self.command = [str(program), "bench", str(self.config), "--ports", *devices, "--core",
                        str(core), "--mbufs", str(mbufs), "--trials", "1", "--json"]

    def measure(self, seconds):
        done = subprocess.run([*self.command, "--duration", str(seconds), "--warm-up", "0.5"],
                              capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise common.Unavailable(f"glassbox: {done.stderr.strip()[-300:]}")
        overload = json.loads(done.stdout)["overload"]
        return (overload["cycles_per_packet"]["median"], overload["packets_per_second"]["median"])

    def close(self):
        pass


class GlassboxFromMemory(Glassbox):
    """Both directions of flows drawn at random; packets are written by the core that is measured."""

    def __init__(self, program, directory, chain, flows, core):
        super().__init__(program, directory, "memory", chain, [], core)
        self.command = [str(program), "bench", str(self.config), "--core", str(core), "--flows",
                        str(flows), "--trials", "1", "--json", "--no-search", "--no-latency",
                        "--no-stages"]


def content_share(benchmarks, core, seconds):
    """Gbit/s on the same bytes, in turns: a whole turn of the worker, inspect in it, and
    hs_scan_stream alone."""
    done = subprocess.run(
        ["taskset", "-c", str(core), str(benchmarks),
         "--benchmark_filter=InspectAgainstHyperscan/patterns:200/drop:0",
         f"--benchmark_min_time={seconds}", "--benchmark_format=json"],
        capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0 or not done.stdout:
        raise common.Unavailable(f"glassbox_bench: {done.stderr.strip()[-300:]}")
    row = json.loads(done.stdout)["benchmarks"][0]
    if row.get("error_occurred"):
        raise common.Unavailable(row["error_message"])
    return row["worker_gbit_s"], row["inspect_gbit_s"], row["scan_gbit_s"]
