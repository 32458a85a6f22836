#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Real programs through `glassbox run`: live_test.py GLASSBOX

ping, curl against nginx, dig against dnsmasq and iperf3 between two network namespaces, with the
box in a third, as a wire, as a filter and as a NAT. Each run ends by SIGTERM and must leave a report
that balances and says what was done. Exit status 77, aloud, where namespaces cannot be made.
"""

import pathlib
import re
import signal
import sys
import time

from box import Box, NoSuchPort
from ctl import instance_is_asked_and_told, instances_are_told_apart
from experiment import the_model_foretells_what_breaks
from network import (
    CLIENT, CLIENT6, POOL, SERVER, SERVER6, TAP_CLIENT, TAP_SERVER, in_network, wait_until,
)
from programs import all_programs, curl, fetch, ping, send

XDP_PORTS = ("net_af_xdp0,iface=in", "net_af_xdp1,iface=out")
TAPS = ("net_tap0,iface=gbtap0", "net_tap1,iface=gbtap1")

FILTER = """
  - firewall:
      rules:
        - { from: inside, protocol: tcp, port: 8081, action: reject }
        - { from: inside, action: accept }
  - inspect:
      rules:
        - { id: 1, pattern: "GET /random", action: log }
        - { id: 2, pattern: "not-this-one", action: reset, protocol: tcp }
"""
NAT = f"""
  - nat44: {{ pool: {POOL}/32 }}
"""


def state(report, function, kind):
    rows = [row for row in report["state"] if (row["function"], row["kind"]) == (function, kind)]
    assert len(rows) == 1, (function, kind, report["state"])
    return rows[0]


def drops(report, function):
    return {row["reason"]: row["packets"] for row in report["drops"] if row["function"] == function}


# --- the runs ------------------------------------------------------------------------------------


def wire_changes_nothing(network, program):
    with Box(network, program, "wire") as box:
        all_programs(network, SERVER)
        ping(network, SERVER6)
        fetch(network, SERVER6)
        assert network.requesters() == {CLIENT, CLIENT6}
        assert "ethtool" not in box.said(), "a complaint though no offload merges frames"
    report = box.books()
    assert report["drops"] == [] and report["transparency"]["effects"] == [], report
    # Both kernels leave TCP and UDP checksums to a NIC that is not there.
    assert report["workload"]["checksums_fixed"] > 1000, report["workload"]


def merged_frames_are_named(network, program):
    with Box(network, program, "merged") as box:
        network.merge_frames("server", True)
        curl(network, SERVER, "random.bin", "--output", "/dev/null", "--max-time", "2", check=False)
        network.merge_frames("server", False)
        wait_until("the command is named", lambda: "ethtool -K out gro off" in box.said())
        time.sleep(0.3)
        assert box.said().count("ethtool -K") == 1, "said more than once"
    report = box.books()
    assert any("longer than the MTU" in row["what"] for row in report["findings"]), report


def frames_lost_by_the_ring_are_counted(network, program):
    with Box(network, program, "lost") as box:
        box.process.send_signal(signal.SIGSTOP)
        send(network, "client", SERVER, 4000)
        box.process.send_signal(signal.SIGCONT)
        ping(network, SERVER)
    report = box.books()
    received = report["conservation"]["by_side"]["inside"]["received"]
    missed = sum(row["count"] for row in report["findings"]
                 if row["function"] == "port inside" and "missed" in row["what"])
    assert missed > 1000 and received + missed >= 4000, (missed, received)


def frames_of_the_boxs_own_host_stay_out(network, program):
    network.on("box", "ip", "addr", "add", "172.31.0.1/24", "dev", "in")
    with Box(network, program, "own") as box:
        # Not before: the driver sets the MAC address anew, which makes the kernel forget neighbours.
        network.neighbour("box", "172.31.0.2", "02:00:00:00:00:01", "in")
        send(network, "box", "172.31.0.2", 500)
        ping(network, SERVER)
    network.on("box", "ip", "addr", "del", "172.31.0.1/24", "dev", "in")
    assert box.books()["conservation"]["received"] < 100, "the box takes its host's frames in"


def long_frames_pass_where_both_ports_take_them(network, program):
    ends = (("client", "eth0"), ("server", "eth0"), ("box", "in"), ("box", "out"))
    try:
        for role, interface in ends:
            network.on(role, "ip", "link", "set", interface, "mtu", "9000")
        with Box(network, program, "jumbo") as box:
            ping(network, SERVER, "-s", "8972", "-M", "do")
    finally:
        for role, interface in ends:
            network.on(role, "ip", "link", "set", interface, "mtu", "1500")
    assert box.books()["findings"] == []


def fragments_pass_as_they_are(network, program):
    with Box(network, program, "xdp", ports=XDP_PORTS) as box:
        ping(network, SERVER, "-s", "3000")
        fetch(network, SERVER)
    report = box.books()
    assert report["drops"] == [], report["drops"]
    # 4 requests and 4 answers in 3 fragments each, and the file.
    assert report["conservation"]["received"] > 24, report["conservation"]


def filter_stops_what_it_should(network, program):
    with Box(network, program, "filter", FILTER) as box:
        all_programs(network, SERVER)
        ping(network, SERVER6)
        fetch(network, SERVER6)
        # nginx listens there, so it is the box that refuses (7), and at once.
        assert curl(network, SERVER + ":8081", "", check=False).returncode == 7
        # Nobody listens there, so that without the box the client would refuse (7); 28: silence.
        knock = network.on("server", "curl", "--silent", "--max-time", "1", f"http://{CLIENT}:99/",
                           check=False)
        assert knock.returncode == 28, knock
        # 52: empty reply, 56: reset.
        assert curl(network, SERVER, "?not-this-one", check=False).returncode in (52, 56)
    report = box.books()
    assert sum(drops(report, "firewall").values()) >= 2, report["drops"]
    assert sum(drops(report, "inspect").values()) >= 1, report["drops"]
    assert report["conservation"]["injected"] >= 2, report["conservation"]
    assert state(report, "firewall", "connection")["created"] > 5
    assert report["transparency"]["effects"] == [], report["transparency"]["effects"]
    matches = [row for row in report["findings"] if row["function"] == "inspect"]
    assert any(row["count"] > 0 for row in matches), report["findings"]


def nat_hides_the_client(network, program):
    with Box(network, program, "nat", NAT) as box:
        network.requesters()
        all_programs(network, SERVER)
        assert network.requesters() == {POOL}
    report = box.books()
    assert state(report, "nat44", "mapping")["created"] > 5
    edited = {(row["function"], row["direction"], row["field"])
              for row in report["transparency"]["effects"]}
    assert {("nat44", "inside", "ip.src"), ("nat44", "outside", "ip.dst")} <= edited, edited
    assert {function for function, _, _ in edited} == {"nat44"}, edited
    assert drops(report, "nat44") == {}, report["drops"]


def wire_between_taps(network, program):
    with Box(network, program, "tap", ports=TAPS) as box:
        ends = (("client", "gbtap0", TAP_CLIENT), ("server", "gbtap1", TAP_SERVER))
        for role, tap, address in ends:
            network.on("box", "ip", "link", "set", tap, "netns", network.spaces[role])
            network.on(role, "ip", "addr", "add", f"{address}/24", "dev", tap)
            network.on(role, "ip", "link", "set", tap, "up")
        ping(network, TAP_SERVER)
        fetch(network, TAP_SERVER)
    assert box.books()["drops"] == []


def missing_ports_are_explained(network, program):
    config = network.directory / "missing.yaml"
    config.write_text('inside: { port: "net_af_packet0,iface=none" }\n'
                      'outside: { port: "net_null0" }\nchain: []\n')
    done = network.on("box", program, "run", str(config), check=False)
    assert done.returncode == 1, done
    assert re.search(r"net_af_packet0.*no interface 'none'.*ip link add", done.stderr), done.stderr


RUNS = (
    missing_ports_are_explained,
    wire_changes_nothing,
    merged_frames_are_named,
    frames_lost_by_the_ring_are_counted,
    frames_of_the_boxs_own_host_stay_out,
    long_frames_pass_where_both_ports_take_them,
    fragments_pass_as_they_are,
    filter_stops_what_it_should,
    nat_hides_the_client,
    instance_is_asked_and_told,
    instances_are_told_apart,
    the_model_foretells_what_breaks,
    wire_between_taps,
)


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    wanted = sys.argv[2:]

    def use(network):
        for run in RUNS:
            if wanted and run.__name__ not in wanted:
                continue
            begin = time.monotonic()
            try:
                run(network, program)
            except NoSuchPort as reason:
                print(f"SKIP {run.__name__}: {reason}", flush=True)
                continue
            print(f"ok {run.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)

    return in_network("live", use)


if __name__ == "__main__":
    sys.exit(main())
