#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A third opinion, which shares no code with glassbox: matches, effects and drops out of tshark.

    audit_tshark_test.py GLASSBOX [--only NAME]

tshark prints the fields of what was presented and of what left; this script pairs the packets by
what a translator leaves alone, and counts what is missing, what was added and which addresses and
ports changed. The ledger must say the same, pair by pair and field by field, and the audit's
intervals must hold it. Where a chain edits streams it goes by time, as a replay's one clock allows: which
packet left as which several, and what of TCP changed. Exit status 77, aloud, without tshark.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from commands import CommandFailed, run, tshark  # noqa: E402

WORKLOADS = pathlib.Path(os.environ.get("GLASSBOX_WORKLOADS", ROOT.parent / "shared" / "workloads"))
CHAINS = {
    "nat44": ROOT / "tests" / "replay" / "chains" / "nat44.yaml",
    "random": ROOT / "tests" / "replay" / "chains" / "random.yaml",
    "firewall": ROOT / "tests" / "replay" / "chains" / "firewall.yaml",
    "demo": ROOT / "configs" / "demo.yaml",
    "http": ROOT / "tests" / "replay" / "chains" / "http.yaml",
}
EDITING = ("http",)
CAPTURES = ["dns-udp-428-messages.pcap", "http-multi-connection-browse-keepalive.pcap",
            "icmp-types-and-errors.pcapng", "quic-v1-firefox-http3.pcap", "sip-udp-register-invite.pcap",
            "smtp-attachment-icmp-frag-needed.pcap", "tcp-port-reuse.pcap",
            "tls12-73-cipher-suites-rst-close.pcap"]
FULL = ["mix-web-browsing-337-http-requests.pcap", "mix-p2p-gnutella-750-flows.pcap",
        "mix-lan-http-dns-tls-many-protocols.pcap", "tcp-syn-scan-1994-ports.pcap",
        "ftp-passive-downloads.pcap", "stun-ice-icmp-port-unreachable.pcapng"]
OPTIONS = ("ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE",
           "tcp.relative_sequence_numbers:FALSE", "tcp.analyze_sequence_numbers:FALSE")
# By tshark's names; of several occurrences, the second is that of a packet quoted in an error.
EDITABLE = ("ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
            "icmp.ident", "ip.ttl", "ip.dsfield")
FIXED = ("ip.id", "ip.proto", "ip.flags", "ip.frag_offset", "ipv6.src", "ipv6.dst", "ipv6.nxt",
         "ipv6.flow", "tcp.seq", "tcp.ack", "tcp.flags", "tcp.window_size_value", "tcp.options",
         "tcp.payload", "udp.length", "udp.payload", "icmp.type", "icmp.code", "icmp.seq",
         "icmpv6.type", "frame.len", "arp.opcode", "arp.src.proto_ipv4", "arp.dst.proto_ipv4",
         "eth.type", "frame.cap_len", "data.data")
OF_TRANSPORT = ("tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "icmp.ident")
# What an editor of streams changes.
STREAM = ("tcp.seq", "tcp.ack", "tcp.flags", "tcp.window_size_value", "tcp.payload")
PORTS = {"src": ("ip.src", "tcp.srcport", "udp.srcport"), "dst": ("ip.dst", "tcp.dstport",
                                                                  "udp.dstport")}


def packets_of(path):
    """Each packet's side and fields, all occurrences of each."""
    names = ("frame.interface_name", "frame.time_epoch", *EDITABLE, *FIXED)
    columns = [part for name in names for part in ("-e", name)]
    text = tshark(path, OPTIONS, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E",
                  "aggregator=|", *columns)
    packets = []
    for line in text.splitlines():
        values = (line.split("\t") + [""] * len(names))[:len(names)]
        packets.append({name: value.split("|") if value else [] for name, value in
                        zip(names, values)})
    return packets


def is_error(packet):
    return bool(packet["icmp.type"]) and packet["icmp.type"][0] in ("3", "4", "5", "11", "12")


def first(packet, name):
    """The packet's own value; of an ICMP error, ports and ident are those of what it quotes."""
    if name in OF_TRANSPORT and is_error(packet):
        return None
    return packet[name][0] if packet[name] else None


def quoted(packet, name):
    at = 1 if name.startswith("ip.") else 0
    return packet[name][at] if len(packet[name]) > at else None


def key_of(packet, side):
    """What a translator at the edge leaves alone: all but the inside end's address and port."""
    far = PORTS["dst" if side == "inside" else "src"]
    fixed = tuple(first(packet, name) for name in FIXED)
    inner = quoted(packet, "ip.id") if is_error(packet) else None
    return side, fixed, inner, tuple(first(packet, name) for name in far)


def changes(before, after):
    found = {name for name in EDITABLE if first(before, name) != first(after, name)}
    if is_error(before):
        for name in EDITABLE:
            if quoted(before, name) != quoted(after, name):
                found.add(name + "#2")
    return found


class Opinion:
    """What tshark's fields say about one run."""

    def __init__(self, presented, egress):
        ins, outs = collections.defaultdict(list), collections.defaultdict(list)
        self.sides = {}
        for number, packet in enumerate(presented, 1):
            side = first(packet, "frame.interface_name")
            self.sides[number] = side
            ins[key_of(packet, side)].append(number)
        for number, packet in enumerate(egress, 1):
            left = first(packet, "frame.interface_name")
            outs[key_of(packet, "outside" if left == "inside" else "inside")].append(number)
        self.pairs, self.effects = {}, collections.Counter()
        self.missing = self.injected = 0
        for key in ins.keys() | outs.keys():
            a, b = ins.get(key, []), outs.get(key, [])
            self.missing += max(0, len(a) - len(b))
            self.injected += max(0, len(b) - len(a))
            if len(a) == len(b) == 1:
                self.pairs[a[0]] = b[0]
            for i, o in zip(a, b):
                for field in changes(presented[i - 1], egress[o - 1]):
                    self.effects[self.sides[i], field] += 1

    def count(self):
        return len(self.pairs)

    def effect_count(self):
        return sum(self.effects.values())


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def compare(opinion, ledger, matches, audit):
    """Everything that the three do not agree on."""
    wrong = []
    line_of = {line["in"]: line for line in ledger if line["in"] is not None}
    match_of = {match["in"]: match for match in matches if match.get("in") is not None}
    for i, o in opinion.pairs.items():
        if [out["n"] for out in line_of[i]["out"]] != [o]:
            wrong.append(f"in {i} is egress {o} for tshark, {line_of[i]['out']} for the ledger")
        if match_of[i]["match"] in ("exact", "inferred") and match_of[i]["out"] != [o]:
            wrong.append(f"in {i} is egress {o} for tshark, {match_of[i]['out']} for the audit")
        if match_of[i]["match"] == "unmatched":
            wrong.append(f"in {i} is egress {o} for tshark, unmatched for the audit")
    lost = sum(line["verdict"] in ("drop", "hold") for line in line_of.values())
    added = sum(line["verdict"] == "inject" for line in ledger)
    total = audit["packets"]["total"]
    for name, said, by_ledger in (("missing", opinion.missing, lost),
                                  ("injected", opinion.injected, added)):
        if said != by_ledger:
            wrong.append(f"{said} {name} for tshark, {by_ledger} for the ledger")
        if not total[name]["least"] <= said <= total[name]["most"]:
            wrong.append(f"{said} {name} for tshark, {total[name]} for the audit")
    by_ledger = collections.Counter()
    for line in line_of.values():
        for field in {field for effect in line["effects"] for field in effect["fields"]}:
            by_ledger[line["side"], field] += 1
    by_audit = {(row["direction"], row["field"]): row["packets"] for row in audit["effects"]}
    for key in opinion.effects.keys() | by_ledger.keys() | by_audit.keys():
        said = opinion.effects[key]
        if said != by_ledger[key]:
            wrong.append(f"{key}: {said} packets for tshark, {by_ledger[key]} for the ledger")
        interval = by_audit.get(key, {"least": 0, "most": 0})
        if not interval["least"] <= said <= interval["most"]:
            wrong.append(f"{key}: {said} packets for tshark, {interval} for the audit")
    return wrong


class EditedOpinion:
    """What tshark's fields say about a chain that edits streams.

    A replay has one clock, and a packet leaves when one comes: of each TCP flow and direction, what
    leaves at a time at which one packet came is that packet, in as many parts. Times at which several came
    are left out, and so are fragments and packets in tunnels.
    """

    def __init__(self, presented, egress):
        ins, outs = collections.defaultdict(list), collections.defaultdict(list)
        for packets, places, mirrored in ((presented, ins, False), (egress, outs, True)):
            for number, packet in enumerate(packets, 1):
                key = moment_of(packet, mirrored)
                if key:
                    places[key].append(number)
        self.left = {numbers[0]: outs.get(key, []) for key, numbers in ins.items()
                     if len(numbers) == 1}
        # With nobody to have come from.
        self.strangers = [number for key, numbers in outs.items() if key not in ins
                          for number in numbers]
        self.changed = {}
        for i, left in self.left.items():
            if left:
                before, after = presented[i - 1], egress[left[0] - 1]
                self.changed[i] = {name for name in STREAM if first(before, name) != first(after, name)}

    def count(self):
        return len(self.left)

    def effect_count(self):
        return sum(map(len, self.changed.values()))


def moment_of(packet, mirrored):
    """Time, side and ends of a TCP segment; None for others."""
    if not packet["tcp.seq"] or len(packet["ip.src"]) != 1 or packet["ip.proto"] != ["6"]:
        return None
    if packet["ip.flags"] and int(packet["ip.flags"][0], 16) & 1 or packet["ip.frag_offset"] != ["0"]:
        return None
    side = first(packet, "frame.interface_name")
    if mirrored:
        side = "outside" if side == "inside" else "inside"
    ends = tuple(first(packet, name) for name in ("ip.src", "ip.dst", "tcp.srcport", "tcp.dstport"))
    return first(packet, "frame.time_epoch"), side, ends


def compare_edited(opinion, ledger, matches):
    """Everything that the three do not agree on."""
    wrong = []
    line_of = {line["in"]: line for line in ledger if line["in"] is not None}
    match_of = {match["in"]: match for match in matches if match.get("in") is not None}
    injected = {out["n"] for line in ledger if line["verdict"] == "inject" for out in line["out"]}
    nobodys = {out for match in matches if match.get("in", 0) is None for out in match["out"]}
    for i, left in opinion.left.items():
        line, match = line_of[i], match_of[i]
        by_ledger = [out["n"] for out in line["out"]]
        if [out for out in left if out not in injected] != by_ledger:
            wrong.append(f"in {i} left as {left} for tshark, {by_ledger} for the ledger")
        perhaps = set(match["out"]) | set(match.get("perhaps", []))
        sure = match["match"] in ("exact", "inferred") and not match.get("merged")
        if sure and not set(match["out"]) <= set(left) - nobodys <= perhaps:
            wrong.append(f"in {i} left as {left} for tshark, {match['out']} for the audit")
        if match["match"] == "unmatched" and set(left) - nobodys:
            wrong.append(f"in {i} left as {left} for tshark, unmatched for the audit")
        claimed = {field for effect in line["effects"] for field in effect["fields"]} & set(STREAM)
        if i in opinion.changed and by_ledger and opinion.changed[i] != claimed:
            wrong.append(f"in {i} changed {opinion.changed[i]} for tshark, the ledger claims {claimed}")
    for number in opinion.strangers:
        if number not in injected:
            wrong.append(f"egress {number} is nobody's for tshark, not injected for the ledger")
        if number not in nobodys:
            wrong.append(f"egress {number} is nobody's for tshark, somebody's for the audit")
    return wrong


def check(glassbox, capture, chain):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        i, o, p, m = (folder / name for name in ("i.pcapng", "o.pcapng", "p.jsonl", "m.jsonl"))
        run(glassbox, "replay", CHAINS[chain], capture, "--presented", i, "--out", o,
            "--packets", p, "--quiet")
        audit = json.loads(run(glassbox, "audit", i, o, "--matches", m, "--json"))
        if chain in EDITING:
            opinion = EditedOpinion(packets_of(i), packets_of(o))
            return compare_edited(opinion, lines_of(p), lines_of(m)), opinion
        opinion = Opinion(packets_of(i), packets_of(o))
        return compare(opinion, lines_of(p), lines_of(m), audit), opinion


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("glassbox", type=pathlib.Path)
    parser.add_argument("--only", help="captures whose name holds this")
    options = parser.parse_args()
    if shutil.which("tshark") is None:
        print("SKIP: tshark is not installed")
        return 77
    names = CAPTURES + (FULL if os.environ.get("GLASSBOX_TEST_FULL") else [])
    captures = [ROOT / "configs" / "demo.pcap"]
    if WORKLOADS.is_dir():
        captures += [WORKLOADS / name for name in names]
    else:
        print(f"SKIP: no captures in {WORKLOADS}: only the project's own is judged")
    work = [(capture, chain) for capture in captures for chain in CHAINS
            if not options.only or options.only in capture.name]
    failed = pairs = effects = 0

    def one(pair):
        try:
            return pair, *check(options.glassbox.resolve(), *pair)
        except (CommandFailed, subprocess.TimeoutExpired) as error:
            return pair, [str(error)], None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (capture, chain), wrong, opinion in pool.map(one, work):
            if opinion:
                pairs += opinion.count()
                effects += opinion.effect_count()
            if wrong:
                failed += 1
                print(f"FAILED {capture.name}: {chain}: {len(wrong)} disagreements")
                print("".join(f"    {line}\n" for line in wrong[:6]), flush=True)
    print(f"{pairs} pairs and {effects} effects by tshark alone")
    print(f"{len(work) - failed} passed, {failed} failed")
    return 1 if failed or not pairs else 0


if __name__ == "__main__":
    sys.exit(main())
