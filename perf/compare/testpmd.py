# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd: the floor for a wire, and the generator for the kernel."""

import os
import re
import shutil
import subprocess
import time

import common


class Testpmd:
    """Two devices, one forwarding core, driven by its own command line."""

    def __init__(self, devices, mode, core, main_core, burst=64, mbufs=16383):
        if not shutil.which("dpdk-testpmd"):
            raise common.Unavailable("no dpdk-testpmd (Debian's dpdk-dev; scripts/install compare)")
        # Its figures are printed through stdio, which holds them back in a pipe.
        arguments = ["stdbuf", "-oL", "dpdk-testpmd", "--no-huge", "-m", "512", "--no-pci", "--no-shconf",
                     "--no-telemetry", f"--lcores=0@{main_core},1@{core}",
                     f"--file-prefix=gbcmp{os.getpid()}-{mode}"]
        for device in devices:
            arguments += ["--vdev", device]
        arguments += ["--", "-i", f"--forward-mode={mode}", f"--burst={burst}",
                      f"--total-num-mbufs={mbufs}", "--no-lsc-interrupt",
                      "--txd=1024", "--rxd=1024"]
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, bufsize=1)
        self._read_until("testpmd> ")
        self._say("start")

    def _read_until(self, end, times=1, seconds=60):
        text = ""
        deadline = time.monotonic() + seconds
        while text.count(end) < times:
            piece = self.process.stdout.read(1)
            if not piece or time.monotonic() > deadline:
                raise common.Unavailable(f"dpdk-testpmd: {text.strip()[-300:]}")
            text += piece
        return text

    def _say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def packets(self):
        """Received, both ports."""
        self._say("show port stats all")
        # The prompt comes more than once; the last line of either port's figures does not.
        answer = self._read_until("Tx-bps", times=2)
        return sum(int(number) for number in re.findall(r"RX-packets: (\d+)", answer))

    def measure(self, seconds):
        """Cycles of the forwarding thread's CPU time for each packet."""
        with common.Paused(self.process.pid):
            packets = self.packets()
            cpu = common.cpu_seconds(self.process.pid, "rte-worker")
            time.sleep(seconds)
            cpu = common.cpu_seconds(self.process.pid, "rte-worker") - cpu
            packets = self.packets() - packets
        # The second answer comes a little later than the second look at the clock.
        return cpu * common.tsc_hertz() / packets, packets / cpu

    def close(self):
        common.end(self.process)
