# SPDX-License-Identifier: BSD-3-Clause
"""A Linux router with nftables masquerade between two hosts: a box that is not ours.

    client (inside)                  box                      server (outside)
    eth0 192.168.7.2  ===  in 192.168.7.1 | out 203.0.113.1  ===  eth0 203.0.113.2

The server has no route to the client's network: what reaches it was translated.
"""

import re
import time

from network import CLIENT, POOL, SERVER, Network, Skip, sh, wait_until

GATEWAY = "192.168.7.1"
# Ports that no client would choose, so that every one of them is rewritten.
PORTS = range(20000, 30000)
RULES = f"""
table ip nat {{
  chain out {{
    type nat hook postrouting priority srcnat;
    oifname "out" meta l4proto {{ tcp, udp }} masquerade to :{PORTS.start}-{PORTS.stop - 1} random
    oifname "out" masquerade
  }}
}}
"""


class Router(Network):
    """The network, with tcpdump at both of the router's links and conntrack telling its truth."""

    def __enter__(self):
        for program in ("nft", "conntrack", "tcpdump"):
            if sh("which", program, check=False).returncode != 0:
                raise Skip(f"not installed: {program}")
        return super().__enter__()

    def make_links(self):
        for role, port in (("client", "in"), ("server", "out")):
            sh("ip", "link", "add", port, "netns", self.spaces["box"], "type", "veth",
               "peer", "name", "eth0", "netns", self.spaces[role])
            self.on("box", "ip", "link", "set", port, "up")
            self.on(role, "ip", "link", "set", "lo", "up")
            self.on(role, "ip", "link", "set", "eth0", "up")
            self.merge_frames(role, False)
        self.on("client", "ip", "addr", "add", f"{CLIENT}/24", "dev", "eth0")
        self.on("box", "ip", "addr", "add", f"{GATEWAY}/24", "dev", "in")
        self.on("client", "ip", "route", "add", "default", "via", GATEWAY)
        self.on("box", "ip", "addr", "add", f"{POOL}/24", "dev", "out")
        self.on("server", "ip", "addr", "add", f"{SERVER}/24", "dev", "eth0")
        self.on("box", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        # IPv6's own chatter on the links is not what is looked at.
        for role in ("client", "box", "server"):
            self.on(role, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
        rules = self.directory / "rules.nft"
        rules.write_text(RULES)
        done = self.on("box", "nft", "-f", str(rules), check=False)
        if done.returncode != 0:
            raise Skip("this kernel has no nftables NAT: " + done.stderr.strip().splitlines()[0])

    def start_servers(self):
        # conntrack's events are the truth about translations: before the first packet.
        self.start("box", "conntrack.out", "conntrack", "-E", "-e", "NEW", "-o", "id")
        for port in ("in", "out"):
            self.start("box", f"{port}.log", "tcpdump", "-n", "-i", port, "-U", "-B", "16384",
                       "-w", str(self.directory / f"{port}.pcap"))
        wait_until("tcpdump listens", lambda: all(
            "listening on" in (self.directory / f"{port}.log").read_text() for port in ("in", "out")))
        super().start_servers()

    def stop_captures(self):
        """The two files, whole."""
        self.wait_for_captures()
        for process in self.processes:
            if "tcpdump" in process.args or "conntrack" in process.args:
                process.terminate()
        for process in self.processes:
            if "tcpdump" in process.args or "conntrack" in process.args:
                process.wait(10)
        for port in ("in", "out"):
            said = (self.directory / f"{port}.log").read_text()
            lost = re.search(r"(\d+) packets dropped by kernel", said)
            assert lost and lost[1] == "0", said
        return [self.directory / f"{port}.pcap" for port in ("in", "out")]

    def wait_for_captures(self):
        """On a busy machine tcpdump lags behind what it has been given."""
        files = [self.directory / f"{port}.pcap" for port in ("in", "out")]
        sizes, deadline = None, time.monotonic() + 15
        while time.monotonic() < deadline:
            time.sleep(0.6)
            before, sizes = sizes, [file.stat().st_size for file in files]
            if sizes == before:
                return

    def translations(self):
        """(protocol, client's port or ident, server's port) to the port or ident behind the box."""
        found = {}
        for line in (self.directory / "conntrack.out").read_text().splitlines():
            words = line.split()
            if "[NEW]" not in words:
                continue
            protocol = words[words.index("[NEW]") + 1]
            values = {}
            for word in words:
                name, _, value = word.partition("=")
                values.setdefault(name, []).append(value)
            if protocol == "icmp":
                if len(values.get("id", [])) > 1:
                    found["icmp", int(values["id"][0]), 0] = int(values["id"][1])
            elif "sport" in values:
                found[protocol, int(values["sport"][0]),
                      int(values["dport"][0])] = int(values["dport"][1])
        return found
