# SPDX-License-Identifier: BSD-3-Clause
"""Linux: nftables with connection tracking and masquerading, in a network namespace of our own.

    veth_sender - veth - [ namespace: forward, conntrack, masquerade ] - veth - sink

A packet sent into a veth past the queueing disciplines is received, forwarded and handed to the far
veth within the send: the softirq of its reception runs in the sender's thread. The thread's CPU time
is therefore the price of sending plus that of forwarding. The price of sending, the veth and its
reception is measured by the same thread right before, with a rule that drops at the namespace's
ingress, and taken off: what is left is forwarding alone. Both are counted per packet that left by
the namespace's far side, or was dropped there. The sink drops at ingress, before any protocol.
"""

import os
import pathlib
import shutil
import subprocess
import time

import common

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

DROP = """
table netdev gb{name} {{
  chain everything {{
    type filter hook ingress device "{name}" priority 0
    drop
  }}
}}
"""


class Sender:
    def __init__(self, program, interface, load, core):
        if not pathlib.Path(program).exists():
            raise common.Unavailable(f"no {program}: scripts/build release")
        self.process = subprocess.Popen(
            [str(program), interface, str(load), str(core)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise common.Unavailable(self.process.stderr.read().strip() or "veth_sender ended")

    def send(self, seconds):
        """(packets, CPU seconds of the thread)"""
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 3:
            raise common.Unavailable(self.process.stderr.read().strip() or "veth_sender ended")
        return int(answer[0]), int(answer[1]) / 1e9

    def close(self):
        common.end(self.process)


class Kernel:
    """measure() gives forwarding alone; `raw` and `sending` keep each turn's parts."""

    def __init__(self, directory, load, flows, core, program):
        for needed in ("nft", "ip"):
            if not shutil.which(needed):
                raise common.Unavailable(f"no {needed} (scripts/install compare)")
        self.directory = pathlib.Path(directory)
        self.flows = flows
        self.space = f"gbcmp{os.getpid()}"
        self.outer = f"gbc{os.getpid() % 10000000}"
        self.sender = None
        self.raw, self.sending = [], []
        common.run("ip", "netns", "add", self.space)
        try:
            self._network()
            self.sender = Sender(program, self.outer, load, core)
            self._settle()
        except BaseException:
            self.close()
            raise

    def inside(self, *command, check=True):
        return common.run("ip", "netns", "exec", self.space, *command, check=check)

    def _network(self):
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
        self._rules("rules", RULES)
        self._rules("sink", DROP.format(name="sink"))

    def _rules(self, name, text):
        path = self.directory / f"{name}.nft"
        path.write_text(text, encoding="utf-8")
        self.inside("nft", "-f", path)

    def _settle(self):
        deadline = time.monotonic() + 60
        while self.connections() < self.flows * 0.99:
            if time.monotonic() > deadline:
                raise common.Unavailable(
                    f"nftables tracks {self.connections()} of {self.flows} flows; see "
                    "net.netfilter.nf_conntrack_max")
            self.sender.send(0.2)

    def connections(self):
        return int(self.inside("cat", "/proc/sys/net/netfilter/nf_conntrack_count"))

    def _count(self, what):
        return int(self.inside("cat", f"/sys/class/net/{what}"))

    def _turn(self, seconds, counter):
        """Nanoseconds a packet, of what `counter` counted; it has to be what was sent."""
        before = self._count(counter)
        sent, cpu = self.sender.send(seconds)
        counted = self._count(counter) - before
        if counted < 0.98 * sent:
            raise common.Unavailable(f"{counter}: {counted} of {sent} packets sent")
        return cpu / counted * 1e9

    def measure(self, seconds):
        self._rules("drop", DROP.format(name="in"))
        sending = self._turn(seconds, "in/statistics/rx_packets")
        self.inside("nft", "delete", "table", "netdev", "gbin")
        raw = self._turn(seconds, "out/statistics/tx_packets")
        self.sending.append(sending * common.tsc_hertz() / 1e9)
        self.raw.append(raw * common.tsc_hertz() / 1e9)
        return (raw - sending) * common.tsc_hertz() / 1e9, 1e9 / (raw - sending)

    def parts(self):
        """The TSC cycles a packet that measure() has taken apart, by name."""
        return {"nftables with sending and veth": self.raw, "sending and veth alone": self.sending}

    def close(self):
        if self.sender is not None:
            self.sender.close()
        common.run("ip", "netns", "del", self.space, check=False)
        common.run("ip", "link", "del", self.outer, check=False)
