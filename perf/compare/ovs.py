# SPDX-License-Identifier: BSD-3-Clause
"""OVS-DPDK: conntrack with source NAT in the userspace datapath, one PMD thread, no hugepages."""

import os
import pathlib
import re
import shutil
import subprocess
import time

import common

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
# Stateful: new flows from the inside only, translated; the answers of established ones.
FLOWS = """
table=0,priority=10,in_port=1,ip,ct_state=-trk,actions=ct(table=1,zone=1,nat)
table=0,priority=10,in_port=2,ip,ct_state=-trk,actions=ct(table=1,zone=1,nat)
table=1,priority=10,in_port=1,ip,ct_state=+trk+new,actions=ct(commit,zone=1,nat(src=203.0.113.0-203.0.113.31)),output:2
table=1,priority=10,in_port=1,ip,ct_state=+trk+est,actions=output:2
table=1,priority=10,in_port=2,ip,ct_state=+trk+est,actions=output:1
"""


class Ovs:
    """A database and a switch of our own in a directory; nothing of the system's is touched."""

    def __init__(self, directory, load, flows, core, main_core):
        if not pathlib.Path(VSWITCHD).exists() or not shutil.which("ovsdb-server"):
            raise common.Unavailable(
                "no openvswitch-switch-dpdk (scripts/install compare)")
        self.here = pathlib.Path(directory)
        self.flows = flows
        self.environment = {**os.environ, "OVS_RUNDIR": str(self.here)}
        self.processes = []
        try:
            self._start(core, main_core)
            self._connect(load)
        except BaseException:
            self.close()
            raise

    def _spawn(self, *arguments):
        log = open(self.here / "output.log", "a", encoding="utf-8")
        with log:
            process = subprocess.Popen(arguments, env=self.environment, stdout=log,
                                       stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def _control(self, *arguments, timeout=60):
        done = subprocess.run([str(each) for each in arguments], env=self.environment, text=True,
                              capture_output=True, timeout=timeout, check=False)
        if done.returncode != 0:
            raise common.Unavailable(f"{arguments[0]}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def _vsctl(self, *arguments):
        return self._control("ovs-vsctl", f"--db=unix:{self.here}/db.sock", "--timeout=60", *arguments)

    def appctl(self, *arguments):
        return self._control("ovs-appctl", "--timeout=20", "-t", f"{self.here}/vs.ctl", *arguments)

    def _start(self, core, main_core):
        common.run("ovsdb-tool", "create", self.here / "conf.db", SCHEMA)
        self._spawn("ovsdb-server", str(self.here / "conf.db"), f"--remote=punix:{self.here}/db.sock",
                    f"--unixctl={self.here}/db.ctl")
        deadline = time.monotonic() + 10
        while not (self.here / "db.sock").exists():
            if time.monotonic() > deadline:
                raise common.Unavailable("ovsdb-server does not start")
            time.sleep(0.05)
        # Without --legacy-mem OVS adds --in-memory, which does not go with --no-huge.
        self._vsctl("--no-wait", "--", "init", "--", "set", "Open_vSwitch", ".",
                    "other_config:dpdk-init=true", f"other_config:pmd-cpu-mask={1 << core:#x}",
                    f"other_config:dpdk-lcore-mask={1 << main_core:#x}",
                    "other_config:dpdk-extra=--no-huge --legacy-mem -m 1024 --no-pci "
                    f"--file-prefix=gbcmp{os.getpid()}-ovs")
        self.switch = self._spawn(VSWITCHD, f"unix:{self.here}/db.sock",
                                  f"--unixctl={self.here}/vs.ctl",
                                  f"--log-file={self.here}/vswitchd.log")

    def _connect(self, load):
        bridge = f"gbcmp{os.getpid() % 100000}"
        self._vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
        for name, number, device in (("in0", 1, f"net_pcap0,rx_pcap={load},infinite_rx=1"),
                                     ("out0", 2, "net_null1,no-rx=1")):
            self._vsctl("add-port", bridge, name, "--", "set", "Interface", name, "type=dpdk",
                        f"options:dpdk-devargs={device}", f"ofport_request={number}")
            error = self._vsctl("get", "Interface", name, "error").strip()
            if error not in ("[]", ""):
                raise common.Unavailable(f"OVS: {name}: {error}")
        (self.here / "flows").write_text(FLOWS)
        self._control("ovs-ofctl", "del-flows", bridge)
        self._control("ovs-ofctl", "add-flows", bridge, str(self.here / "flows"))
        deadline = time.monotonic() + 60
        while self.connections() < self.flows:
            if time.monotonic() > deadline:
                raise common.Unavailable(f"OVS tracks {self.connections()} of {self.flows} flows")
            time.sleep(0.2)
        common.Paused(self.switch.pid).__exit__()

    def connections(self):
        return int(self.appctl("dpctl/ct-get-nconns").strip())

    def packets(self):
        return int(re.search(r"packets received: (\d+)", self.appctl("dpif-netdev/pmd-stats-show")).group(1))

    def measure(self, seconds):
        with common.Paused(self.switch.pid):
            self.appctl("dpif-netdev/pmd-stats-clear")
            packets = self.packets()
            cpu = common.cpu_seconds(self.switch.pid, "pmd-")
            time.sleep(seconds)
            cpu = common.cpu_seconds(self.switch.pid, "pmd-") - cpu
            packets = self.packets() - packets
        return cpu * common.tsc_hertz() / packets, packets / cpu

    def close(self):
        for process in reversed(self.processes):
            common.end(process)
