# SPDX-License-Identifier: BSD-3-Clause
"""The programs that talk through the box, and what each must see."""

import json
import sys

from network import ANSWER, NAME

SEND = """
import socket
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range({count}):
    out.sendto(b"x", ("{address}", 9))
"""


def ping(network, address, *options):
    said = network.on("client", "ping", "-n", "-c", "4", "-i", "0.05", "-w", "5", *options,
                      address).stdout
    assert " 0% packet loss" in said, said


def curl(network, address, path, *options, check=True):
    host = f"[{address}]" if ":" in address and "." not in address else address
    return network.on("client", "curl", "--silent", "--show-error", "--max-time", "20", *options,
                      f"http://{host}/{path}", timeout=30, check=check)


def fetch(network, address):
    copy = network.directory / "copy.bin"
    curl(network, address, "random.bin", "--output", str(copy))
    digest = network.on("client", "sha256sum", str(copy)).stdout.split()[0]
    assert digest == network.digest, "the file differs"


def dig(network, address):
    for way in ("+notcp", "+tcp"):
        said = network.on("client", "dig", "+short", "+time=2", "+tries=3", way, f"@{address}",
                          NAME, "A").stdout.strip()
        assert said == ANSWER, said


def iperf(network, address, *options):
    for last in (False, True):
        said = json.loads(network.on("client", "iperf3", "--json", "--client", address, "--time", "2",
                                     *options, timeout=30, check=last).stdout)
        if "error" not in said:
            break
        # Its control connection has a clock of its own, which a busy machine can miss once.
        print(f"iperf3: {said['error']}")
    return said["end"]


def all_programs(network, address):
    ping(network, address)
    fetch(network, address)
    dig(network, address)
    tcp = iperf(network, address)["sum_received"]
    assert tcp["bytes"] > 1_000_000, tcp
    udp = iperf(network, address, "--udp", "--bitrate", "20M")["sum"]
    # Other processes may have the cores for a while; most must pass all the same.
    assert udp["packets"] > 1000 and udp["lost_percent"] < 20, udp
    print(f"iperf3: TCP {tcp['bits_per_second'] / 1e6:.0f} Mbit/s, "
          f"UDP {udp['lost_packets']} of {udp['packets']} lost")


def send(network, role, address, count):
    network.on(role, sys.executable, "-c", SEND.format(address=address, count=count))
