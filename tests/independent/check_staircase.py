#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Climbs the equivalence staircase again, from the captures alone, and compares.

For every whole TCP and UDP flow: P0 and P1 from the presented and the egress packets, P2 and P3 from
what the egress packets bring to the end hosts and what a wire would have brought, which is the
capture. Then the flows that fell from each step must be those that the report names.

Flows are taken as the lines number them. What is left out is counted: flows with fragments, with
packets that the capture cut, with ICMP errors, and protocols other than TCP and UDP.
"""

import argparse
import collections
import json
import sys

import fields
import ledger
import pcapfile

_FREE = {"ip.id", "ip.dsfield", "ip.ttl", "ipv6.tclass", "ipv6.hlim", "ipv6.flow", "eth.src",
         "eth.dst", "eth.trailer", "vlan.id", "ip.checksum", "tcp.checksum", "udp.checksum",
         "ip.len", "udp.length", "ipv6.plen"}
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_SECOND = 1_000_000_000


class Left(Exception):
    """Why a flow is not judged here."""


def ends(d):
    """(source, destination) of a dissected TCP or UDP packet."""
    f = d.fields
    version = "ip" if "ip.src" in f else "ipv6"
    kind = "tcp" if "tcp.seq" in f else "udp"
    return ((f[version + ".src"], f[kind + ".srcport"]),
            (f[version + ".dst"], f[kind + ".dstport"]))


class Stream:
    """Bytes of one direction by position; what came first at a place stays."""

    def __init__(self):
        self.base = None
        self.bytes, self.there = bytearray(), bytearray()
        self.fins, self.reset = set(), False

    def add(self, base, d):
        f = d.fields
        flags = f["tcp.flags"]
        self.reset = self.reset or bool(flags & _RST)
        at = ((f["tcp.seq"] - base + 0x80000000) & 0xFFFFFFFF) - 0x80000000 + 0x10000
        if at < 0:
            raise Left("sequence numbers far before the first")
        body = f.get("tcp.payload", b"")
        data = (b"S" if flags & _SYN else b"") + body + (b"F" if flags & _FIN else b"")
        if flags & _FIN:
            self.fins.add(at + len(data) - 1)
        end = at + len(data)
        if end > 1 << 24:
            raise Left("sequence numbers far apart")
        if end > len(self.there):
            grow = bytes(end - len(self.there))
            self.bytes += grow
            self.there += grow
        if not any(self.there[at:end]):
            self.bytes[at:end] = data
            self.there[at:end] = b"\1" * len(data)
            return
        for place, byte in enumerate(data, at):
            if not self.there[place]:
                self.there[place], self.bytes[place] = 1, byte

    def same(self, other):
        return (self.bytes.rstrip(b"\0"), self.there.rstrip(b"\0"), self.fins, self.reset) == \
            (other.bytes.rstrip(b"\0"), other.there.rstrip(b"\0"), other.fins, other.reset)

    def holds(self, other):
        mine = self.there.ljust(len(other.there), b"\0")
        return all(a or not b for a, b in zip(mine, other.there))


class Flow:
    """One flow: its lines, its captured packets, and what reached its ends."""

    def __init__(self, number):
        self.number = number
        self.lines = []

    def captured(self, run):
        numbers = sorted({line["n"] for line in self.lines if line["n"] is not None})
        return [(run.capture[n - 1], run.dissect(run.capture[n - 1])) for n in numbers]

    def judge(self, run):
        """Whether P0 to P3 hold; None: the flow is not whole."""
        packets = self.captured(run)
        kinds = {"tcp" if "tcp.seq" in d.fields else "udp" if "udp.srcport" in d.fields else "other"
                 for _, d in packets}
        if len(kinds) != 1 or "other" in kinds:
            raise Left("fragments, ICMP errors or another protocol")
        if any(len(p.data) < p.original for p, _ in packets):
            raise Left("packets that the capture cut")
        if any(d.fields.get("ip.flags.mf") for _, d in packets):
            raise Left("fragments, ICMP errors or another protocol")
        kind = kinds.pop()
        opener = ends(packets[0][1])
        if kind == "tcp" and packets[0][1].fields["tcp.flags"] & (_SYN | _ACK) == _SYN | _ACK:
            opener = opener[::-1]
        if not self._whole(kind, opener, packets):
            return None
        first = self._packets_alike(run)
        if kind == "tcp":
            return first + self._streams(run, opener, packets)
        return first + self._datagrams(run, opener, packets)

    @staticmethod
    def _whole(kind, opener, packets):
        sides = {ends(d) == opener for _, d in packets}
        if kind == "udp":
            return len(sides) == 2
        syn = answered = False
        for _, d in packets:
            flags, forth = d.fields["tcp.flags"], ends(d) == opener
            if flags & _SYN and not flags & _RST:
                syn, answered = syn or forth, answered or not forth
            elif forth and answered and flags & _ACK:
                return syn
        return False

    def _packets_alike(self, run):
        """P0 and P1: what left is what was presented."""
        same = ends_same = True
        latest = collections.Counter()
        for line in self.lines:
            once = line["verdict"] == "forward" and len(line["out"]) == 1
            if not once:
                return (False, False)
            before, after = run.presented[line["in"] - 1], run.egress[line["out"][0]["n"] - 1]
            if after.index < latest[line["side"]]:
                same = False
            latest[line["side"]] = after.index
            if before.data != after.data:
                same = False
                a, b = run.dissect(before).fields, run.dissect(after).fields
                changed = {n for n in a.keys() | b.keys() if a.get(n) != b.get(n)}
                ends_same = ends_same and changed <= _FREE
        return (same, ends_same)

    def _arrivals(self, run, opener, initiator_side):
        """The egress packets in their order: (sender is initiator, known to its receiver, line)."""
        outs = sorted((out["n"], out["side"], line) for line in self.lines for out in line["out"])
        first = None
        for number, side, line in outs:
            d = run.dissect(run.egress[number - 1])
            forth = (side == initiator_side) is False
            expected = opener if forth else opener[::-1]
            if side == "inside":
                known = ends(d) == expected
            else:
                first = first or ends(d)[0]
                known = ends(d)[1] == expected[1] and \
                    ("tcp.seq" not in d.fields or ends(d)[0] == first)
            yield forth, known, line, d

    def _initiator_side(self, run, opener):
        for line in self.lines:
            if line["n"] is not None:
                forth = ends(run.dissect(run.capture[line["n"] - 1])) == opener
                return line["side"] if forth else {"inside": "outside",
                                                   "outside": "inside"}[line["side"]]
        raise Left("no captured packet")

    def _streams(self, run, opener, packets):
        """P2 and P3 of TCP."""
        wire, got, base, new_reset = {}, {}, {}, False
        for way in (True, False):
            wire[way], got[way] = Stream(), Stream()
        for _, d in packets:
            way = ends(d) == opener
            base.setdefault(way, d.fields["tcp.seq"])
            wire[way].add(base[way], d)
        for way, known, line, d in self._arrivals(run, opener, self._initiator_side(run, opener)):
            if line["verdict"] == "inject":
                new_reset = new_reset or bool(d.fields["tcp.flags"] & _RST)
                continue
            if not known:
                new_reset = True
                continue
            got[way].add(base[way], d)
        same = all(got[way].same(wire[way]) for way in wire) and not new_reset
        return same, all(got[way].holds(wire[way]) for way in wire) and not new_reset

    def _datagrams(self, run, opener, packets):
        """P2 and P3 of UDP."""
        wire, got, arrived = collections.Counter(), collections.Counter(), set()
        for packet, d in packets:
            wire[ends(d) == opener, d.fields["udp.payload"]] += 1
        for way, known, line, d in self._arrivals(run, opener, self._initiator_side(run, opener)):
            if not known:
                continue
            got[way, d.fields.get("udp.payload")] += 1
            arrived.add(line["n"])
        run_arrived, first, complete = True, None, True
        for packet, d in packets:
            way = ends(d) == opener
            if first is None or first[0] != way or packet.time - first[1] > _SECOND:
                complete = complete and run_arrived
                first, run_arrived = (way, packet.time), False
            run_arrived = run_arrived or packet.index in arrived
        return wire == got, complete and run_arrived


class Run:
    """The files of one replay."""

    def __init__(self, args):
        self.capture = pcapfile.read(args.capture)
        self.presented = pcapfile.read(args.presented)
        self.egress = pcapfile.read(args.egress)
        self._known = {}

    def dissect(self, packet):
        """Dissections are asked for again and again."""
        if id(packet) not in self._known:
            self._known[id(packet)] = fields.dissect(packet.data, packet.linktype)
        return self._known[id(packet)]


def check(args):
    """The whole check; gives the exit status."""
    failures = ledger.Failures()
    run = Run(args)
    with open(args.report, encoding="utf-8") as file:
        report = json.load(file)
    if report["flows"]["refused"]:
        failures.note("flows refused by policy are told by policy alone: nothing compared")
        return failures.report("no flow compared")
    if report["transparency"]["falls_omitted"]:
        failures.note("the report does not list all falls: nothing compared")
        return failures.report("no flow compared")
    said = {(fall["flow"], fall["step"]) for fall in report["transparency"]["falls"]}
    flows = {}
    for line in ledger.load(args.packets, failures):
        if line["flow"] is not None:
            flows.setdefault(line["flow"], Flow(line["flow"])).lines.append(line)
    judged = collections.Counter()
    for flow in flows.values():
        try:
            steps = flow.judge(run)
        except Left as why:
            failures.note(f"flows left out: {why}")
            continue
        except KeyError as name:
            failures.note(f"flows left out: a packet without {name}")
            continue
        if steps is None:
            for step in "0123":
                if (flow.number, "P" + step) in said:
                    failures.add(f"flow {flow.number}", f"fell from P{step}, and is not whole")
            continue
        judged["flows"] += 1
        for step, holds in enumerate(steps):
            judged[f"P{step}"] += holds
            if holds == ((flow.number, f"P{step}") in said):
                failures.add(f"flow {flow.number}", f"P{step} {'holds' if holds else 'is lost'}, "
                                                    "the report says otherwise")
    return failures.report(", ".join(f"{name} {count}" for name, count in judged.items())
                           or "no flow compared")


def main(argv=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", help="the capture replayed")
    parser.add_argument("presented", help="what entered the box (--presented)")
    parser.add_argument("egress", help="what left the box (--out)")
    parser.add_argument("packets", help="JSON lines (--packets)")
    parser.add_argument("--report", required=True, help="report.json of the run")
    try:
        return check(parser.parse_args(argv))
    except (OSError, ValueError, pcapfile.CaptureError) as error:
        print(f"FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
