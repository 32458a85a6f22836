# SPDX-License-Identifier: BSD-3-Clause
"""Linux: nftables with connection tracking and masquerading, in a network namespace of our own.

    generator (testpmd, its own core) - veth - [ namespace: forward, conntrack, masquerade ] - sink

RPS sends what arrives to the other core, so that the forwarding has it to itself and the generator
cannot be the bottleneck of what is measured: the CPU time of softirqs on that core, for each packet
that left. The sink is the other end of a veth pair, which drops at ingress, before any protocol.
"""

import os
import pathlib
import shutil
import time

import common
from testpmd import Testpmd

RULES = """
table ip gbcmp {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "in" ct state new accept
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "out" masquerade
  }
}
"""

SINK = """
table netdev gbcmp {
  chain sink { type filter hook ingress device "sink" priority 0; policy drop; }
}
"""


class Kernel:
    def __init__(self, directory, load, flows, core, generator_core):
        for program in ("nft", "ip"):
            if not shutil.which(program):
                raise common.Unavailable(f"no {program} (scripts/install compare)")
        self.flows = flows
        self.core = core
        self.space = f"gbcmp{os.getpid()}"
        self.outer = f"gbc{os.getpid() % 10000000}"
        self.generator = None
        common.run("ip", "netns", "add", self.space)
        try:
            self._network(pathlib.Path(directory))
            self.generator = Testpmd(
                [f"net_pcap0,rx_pcap={load},infinite_rx=1",
                 f"net_af_packet1,iface={self.outer},qdisc_bypass=1,blocksz=65536,framesz=2048,framecnt=1024"],
                "io", generator_core, generator_core, mbufs=flows + 16384)
            self._settle()
        except BaseException:
            self.close()
            raise

    def inside(self, *command):
        return common.run("ip", "netns", "exec", self.space, *command)

    def _network(self, directory):
        common.run("ip", "link", "add", self.outer, "type", "veth", "peer", "name", "in", "address",
                   common.BOX_MAC, "netns", self.space)
        common.run("ip", "link", "set", self.outer, "up")
        for command in ("link set in up", "link add out type veth peer name sink",
                        "link set sink up", "link set out up",
                        "addr add 10.255.255.254/8 dev in", "addr add 203.0.113.1/24 dev out",
                        "route add 198.18.0.0/15 via 203.0.113.2",
                        "neigh add 203.0.113.2 lladdr 02:00:00:00:00:09 dev out nud permanent"):
            self.inside("ip", *command.split())
        for setting in ("net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
                        "net.ipv4.conf.in.rp_filter=0", "net.netfilter.nf_conntrack_udp_timeout=600"):
            self.inside("sysctl", "-q", "-w", setting)
        (directory / "rules.nft").write_text(RULES)
        self.inside("nft", "-f", directory / "rules.nft")
        # Where the kernel lacks the ingress hook the sink drops a little later, as not addressed to it.
        (directory / "sink.nft").write_text(SINK)
        common.run("ip", "netns", "exec", self.space, "nft", "-f", directory / "sink.nft", check=False)
        self.inside("sh", "-c", f"echo {1 << self.core:x} > /sys/class/net/in/queues/rx-0/rps_cpus")

    def _settle(self):
        deadline = time.monotonic() + 30
        while self.connections() < self.flows * 0.99:
            if time.monotonic() > deadline:
                raise common.Unavailable(
                    f"nftables tracks {self.connections()} of {self.flows} flows; see "
                    "net.netfilter.nf_conntrack_max")
            time.sleep(0.2)
        common.Paused(self.generator.process.pid).__exit__()

    def connections(self):
        return int(self.inside("cat", "/proc/sys/net/netfilter/nf_conntrack_count"))

    def packets(self):
        return int(self.inside("cat", "/sys/class/net/out/statistics/tx_packets"))

    def softirq_seconds(self):
        for line in pathlib.Path("/proc/stat").read_text().splitlines():
            fields = line.split()
            if fields[0] == f"cpu{self.core}":
                return int(fields[7]) / os.sysconf("SC_CLK_TCK")
        raise common.Unavailable(f"no core {self.core}")

    def measure(self, seconds):
        # Where others' softirqs come and go, a turn may be worthless: it is taken again.
        for _ in range(5):
            packets, cpu = self._turn(max(seconds, 1))  # the kernel counts in ticks
            if packets != 0 and cpu > 0:
                return cpu * common.tsc_hertz() / packets, packets / cpu
        raise common.Unavailable("no turn in which the kernel's softirqs could be told from others'")

    def _turn(self, seconds):
        others = self.softirq_seconds()
        time.sleep(seconds)
        others = self.softirq_seconds() - others
        with common.Paused(self.generator.process.pid):
            packets = self.packets()
            cpu = self.softirq_seconds()
            time.sleep(seconds)
            # What the rest of the machine had softirqs do there in as much time, just before.
            cpu = self.softirq_seconds() - cpu - others
            return self.packets() - packets, cpu

    def close(self):
        if self.generator is not None:
            self.generator.close()
        common.run("ip", "netns", "del", self.space, check=False)
        common.run("ip", "link", "del", self.outer, check=False)
