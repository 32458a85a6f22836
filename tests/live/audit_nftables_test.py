#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The audit of a box that is not ours: audit_nftables_test.py GLASSBOX

Linux with nftables masquerade between two namespaces, tcpdump on both of its links, under curl,
DNS and ping. `glassbox audit --inside --outside` must find the translation of addresses and ports
and what a router does, and nothing else; every exact match is held against conntrack's own account
of the translations and against the packets' bytes, dissected by tests/independent. Exit status 77,
aloud, where namespaces or nftables NAT cannot be had.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "independent"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "audit"))

import audit_schema  # pylint: disable=wrong-import-position
import fields  # pylint: disable=wrong-import-position
import pcapfile  # pylint: disable=wrong-import-position
from network import CLIENT, NAME, POOL, SERVER, Skip  # pylint: disable=wrong-import-position
from programs import curl, send  # pylint: disable=wrong-import-position
from router import PORTS, Router  # pylint: disable=wrong-import-position

ROUTER = {"eth.src", "eth.dst", "ip.ttl"}
# What translation takes, and, for the errors that come back, what of the quoted packet.
EXPECTED = {
    "inside": {"ip.src", "tcp.srcport", "udp.srcport"} | ROUTER,
    "outside": {"ip.dst", "tcp.dstport", "udp.dstport", "ip.src#2", "udp.srcport#2"} | ROUTER,
}
DERIVED = fields.CHECKSUMS | fields.LENGTHS | {fields.LAYOUT}


def traffic(network):
    """Each request carries a nonce of its own."""
    for number in range(12):
        curl(network, SERVER, f"?{os.urandom(8).hex()}", "--output", "/dev/null")
        name = f"{os.urandom(6).hex()}.{NAME}"
        for way in ("+notcp", "+tcp"):
            network.on("client", "dig", "+short", "+time=2", "+tries=2", way, f"@{SERVER}", name,
                       "A")
        network.on("client", "ping", "-n", "-c", "2", "-i", "0.02", "-w", "5", "-s",
                   str(40 + number), "-p", os.urandom(8).hex(), SERVER)
    copy = network.directory / "copy.bin"
    curl(network, SERVER, "random.bin", "--output", str(copy))
    assert network.on("client", "sha256sum", str(copy)).stdout.split()[0] == network.digest
    # Nobody listens there: the server's ICMP error quotes the translated packet.
    send(network, "client", SERVER, 3)


def audit(program, inside, outside, lines):
    done = subprocess.run(
        [program, "audit", "--inside", str(inside), "--outside", str(outside), "--json",
         "--matches", str(lines)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    print(subprocess.run([program, "audit", "--inside", str(inside), "--outside", str(outside)],
                         capture_output=True, text=True, timeout=120, check=True).stdout)
    found = json.loads(done.stdout)
    assert audit_schema.wrong_with(found) == [], audit_schema.wrong_with(found)
    matches = [json.loads(line) for line in lines.read_text().splitlines()]
    return found, [line for line in matches if "match" in line]


class Truth:
    """What conntrack and the bytes say about one match."""

    def __init__(self, inside, outside, translations):
        self.frames = {"inside": inside, "outside": outside}
        self.translations = translations
        self.checked = 0

    def check(self, match):
        tap = match["tap"]
        other = "outside" if tap == "inside" else "inside"
        before = fields.dissect(self.frames[tap][match["in"] - 1].data).fields
        after = fields.dissect(self.frames[other][match["out"][0] - 1].data).fields
        differing = {name for name in before.keys() | after.keys()
                     if before.get(name) != after.get(name)}
        named = {name for name in differing if fields.base(name) not in DERIVED}
        assert named == set(match["changed"]), (match, named)
        payload = {name: before.get(name) for name in
                   ("tcp.payload", "udp.payload", "icmp.data", "icmp.seq", "tcp.seq", "ip.id")}
        assert all(after.get(name) == value for name, value in payload.items()), match
        inner, outer = (before, after) if tap == "inside" else (after, before)
        self.translation(inner, outer, "src" if tap == "inside" else "dst", match)
        self.checked += 1

    def translation(self, inner, outer, end, match):
        """The client's end must be what conntrack made of it."""
        far = "dst" if end == "src" else "src"
        for protocol in ("tcp", "udp"):
            if f"{protocol}.srcport" not in inner:
                continue
            key = (protocol, number(inner[f"{protocol}.{end}port"]),
                   number(inner[f"{protocol}.{far}port"]))
            assert self.translations.get(key) == number(outer[f"{protocol}.{end}port"]), (
                match, key, self.translations.get(key))


def number(value):
    return int.from_bytes(value, "big") if isinstance(value, bytes) else int(value)


def check(found, matches, truth):
    print(f"matches {found['matches']}")
    total = found["packets"]["total"]
    for match in matches:
        if match["match"] == "exact":
            truth.check(match)
    assert truth.checked > 500, truth.checked
    assert found["matches"]["exact"] + found["matches"]["inferred"] > 0.95 * total["entered"], total
    effects = {side: {row["field"] for row in found["effects"] if row["direction"] == side}
               for side in ("inside", "outside", "unknown")}
    assert effects["unknown"] == set(), effects
    for side, expected in EXPECTED.items():
        assert effects[side] == expected, (side, effects[side] ^ expected)
    for row in found["effects"]:
        assert row["router_normal"] == (row["field"] in ROUTER), row
    # ARP is between neighbours; nothing else went missing or came from the box.
    assert total["missing"]["most"] == total["missing_link_local"], total
    assert total["injected"]["most"] == total["injected_link_local"], total
    assert total["split"] == total["merged"] == 0, total
    decoy = found["matches"]["decoy"]
    assert decoy is None or decoy["rate"] <= 0.01, decoy
    flows = found["flows"]
    assert flows["predicates"]["P1"]["flows"]["most"] == 0, flows["predicates"]
    assert flows["predicates"]["P2"]["flows"]["least"] == flows["whole"], flows["predicates"]


def shifted(capture, by):
    """The same capture by a clock that is ahead."""
    moved = capture.with_name("moved.pcap")
    packets = [packet._replace(time=packet.time + by) for packet in pcapfile.read(capture)]
    pcapfile.write_pcap(moved, packets, nanoseconds=True)
    return moved


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory(prefix="glassbox-") as directory:
        os.chmod(directory, 0o755)
        with Router(directory) as network:
            traffic(network)
            inside, outside = network.stop_captures()
            translations = network.translations()
            assert any(port in PORTS for port in translations.values()), translations
            print(f"conntrack tells {len(translations)} translations; {CLIENT} as {POOL}")
            lines = pathlib.Path(directory) / "matches.jsonl"
            found, matches = audit(program, inside, outside, lines)
            truth = Truth(pcapfile.read(inside), pcapfile.read(outside), translations)
            check(found, matches, truth)
            print(f"{truth.checked} exact matches are conntrack's and the bytes'")
            # The taps' clocks need not agree.
            ahead = 3_600_000_000_000
            moved, again = audit(program, inside, shifted(outside, ahead), lines)
            check(moved, again, truth)
            off = abs(moved["clock"]["offset"] - ahead / 1e9)
            assert off <= moved["clock"]["uncertainty"] + 1e-6, moved["clock"]
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Skip as why:
        print(f"SKIP: {why}")
        sys.exit(77)
