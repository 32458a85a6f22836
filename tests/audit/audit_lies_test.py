#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A box that edits streams and lies about it: the audit must not agree with its ledger.

    audit_lies_test.py GLASSBOX

configs/demo.pcap goes through a chain that edits HTTP. Then, one at a time and at many places, what
left is altered, and the ledger is made to tell as good a story about it as it can: a segment that is
taken out is claimed to be merged or never to have been split off, one that is put in to be a further
part of the packet ahead of it, bytes that are altered not at all. Each of these has to be found, by
the comparison that audit_corpus_test.py makes; what was not altered has to agree.
"""
import argparse
import collections
import concurrent.futures
import copy
import json
import os
import pathlib
import random
import struct
import sys
import tempfile

import audit_corpus_test as corpus

sys.path.insert(0, str(corpus.ROOT / "tests" / "independent"))
import pcapfile  # noqa: E402

EACH = 12  # places for each kind of lie


class Tcp:
    """Where the parts of an untagged Ethernet frame with IPv4 and TCP are; None for others."""

    def __init__(self, data):
        self.ip = 14
        self.tcp = 14 + (data[14] & 15) * 4
        self.payload = self.tcp + (data[self.tcp + 12] >> 4) * 4
        self.end = 14 + struct.unpack_from(">H", data, 16)[0]
        self.flow = data[26:34] + data[self.tcp:self.tcp + 4]
        self.seq = struct.unpack_from(">I", data, self.tcp + 4)[0]

    @staticmethod
    def of(data):
        return Tcp(data) if data[12:14] == b"\x08\x00" and data[23] == 6 else None


def finished(data, tcp, payload, seq, flags=None, ident=None):
    """A segment like the given one, with right lengths and checksums."""
    frame = bytearray(data[:tcp.payload]) + payload
    struct.pack_into(">H", frame, 16, len(frame) - 14)
    struct.pack_into(">I", frame, tcp.tcp + 4, seq & 0xffffffff)
    if flags is not None:
        frame[tcp.tcp + 13] = flags
    if ident is not None:
        struct.pack_into(">H", frame, 18, ident & 0xffff)
    struct.pack_into(">H", frame, 24, 0)
    struct.pack_into(">H", frame, tcp.tcp + 16, 0)
    struct.pack_into(">H", frame, 24, inverse_sum(frame[14:tcp.tcp]))
    pseudo = bytes(frame[26:34]) + b"\0\x06" + struct.pack(">H", len(frame) - tcp.tcp)
    struct.pack_into(">H", frame, tcp.tcp + 16, inverse_sum(pseudo + bytes(frame[tcp.tcp:])))
    return bytes(frame)


def inverse_sum(data):
    data = bytes(data) + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Run:
    """What a truthful box made of the capture."""

    def __init__(self, glassbox, chain, folder):
        self.glassbox, self.chain, self.folder = glassbox, chain, folder
        self.presented, egress, lines = (folder / name for name in ("i.pcapng", "o.pcapng", "p.jsonl"))
        corpus.run(glassbox, "replay", corpus.CHAINS[chain], corpus.ROOT / "configs" / "demo.pcap",
                   "--presented", self.presented, "--out", egress, "--packets", lines, "--quiet")
        self.egress = pcapfile.read(egress)
        self.lines = corpus.lines_of(lines)
        self.line_of = {out["n"]: line for line in self.lines for out in line["out"]}
        # The directions that are edited: there a packet was split or merged, or its payload changed.
        self.edited = {(line["flow"], line["side"]) for line in self.lines
                       if len(line["out"]) > 1 or line["verdict"] == "merge" or
                       "tcp.payload" in fields_of(line)}

    def segments(self):
        """(number, packet, parts) of each segment with payload in an edited direction."""
        for number, packet in enumerate(self.egress, 1):
            tcp, line = Tcp.of(packet.data), self.line_of.get(number)
            if tcp and line and tcp.end > tcp.payload and (line["flow"], line["side"]) in self.edited:
                yield number, packet, tcp

    def disagreements(self, egress, lines):
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            folder = pathlib.Path(folder)
            left, matches = folder / "o.pcapng", folder / "m.jsonl"
            pcapfile.write_pcapng(left, egress)
            audit = json.loads(corpus.run(self.glassbox, "audit", self.presented, left, "--matches",
                                          matches, "--json"))
            return corpus.Comparison(lines, corpus.lines_of(matches), audit).run(0)[0]


def fields_of(line):
    return {field for effect in line["effects"] for field in effect["fields"]}


def renumbered(lines, at, by):
    """The ledger's lines when egress packet `at` is gone (by -1) or put in (1)."""
    lines = copy.deepcopy(lines)
    for line in lines:
        if by < 0:
            line["out"] = [out for out in line["out"] if out["n"] != at]
        for out in line["out"]:
            out["n"] += by if out["n"] >= at else 0
    return lines


def without(run, number):
    """Drops a segment: it was merged, or its packet was never split."""
    lines = renumbered(run.lines, number, -1)
    line = lines[run.lines.index(run.line_of[number])]
    if not line["out"]:
        line.update(verdict="merge", effects=[])
    return run.egress[:number - 1] + run.egress[number:], lines


def with_part(run, number, data):
    """Puts a segment in behind another: it is a further part of the same packet."""
    lines = renumbered(run.lines, number + 1, 1)
    line = lines[run.lines.index(run.line_of[number])]
    before = run.egress[number - 1]
    line["out"].append({"n": number + 1, "side": before.interface})
    line["out"].sort(key=lambda out: out["n"])
    return run.egress[:number] + [before._replace(data=data, original=len(data))] + \
        run.egress[number:], lines


def copied(run, number, packet, tcp):
    ident = struct.unpack_from(">H", packet.data, 18)[0] + 1
    data = finished(packet.data, tcp, packet.data[tcp.payload:tcp.end], tcp.seq, ident=ident)
    return with_part(run, number, data)


def reset(run, number, packet, tcp):
    length = tcp.end - tcp.payload
    return with_part(run, number, finished(packet.data, tcp, b"", tcp.seq + length, 0x04, 0))


def acknowledged(run, number, packet, tcp):
    length = tcp.end - tcp.payload
    return with_part(run, number, finished(packet.data, tcp, b"", tcp.seq + length, 0x10, 0))


def altered(run, number, packet, tcp):
    """Other bytes in a segment whose payload nobody claims to have changed."""
    at = (tcp.payload + tcp.end) // 2
    payload = bytearray(packet.data[tcp.payload:tcp.end])
    payload[at - tcp.payload] ^= 0x15
    data = finished(packet.data, tcp, bytes(payload), tcp.seq)
    egress = list(run.egress)
    egress[number - 1] = packet._replace(data=data)
    return egress, run.lines


def unclaimed(run, number):
    """Everything as it was, but the ledger does not say that the payload changed."""
    lines = copy.deepcopy(run.lines)
    for effect in lines[run.lines.index(run.line_of[number])]["effects"]:
        effect["fields"] = [name for name in effect["fields"] if name != "tcp.payload"]
    return run.egress, lines


def lies(run, dice):
    """(kind, egress, lines) of many lies."""
    segments = list(run.segments())
    last = {}
    for number, _, tcp in segments:
        last[tcp.flow] = number
    untouched = [each for each in segments if "tcp.payload" not in fields_of(run.line_of[each[0]])]
    touched = [each for each in segments if "tcp.payload" in fields_of(run.line_of[each[0]])]

    def some(places):
        return dice.sample(places, min(EACH, len(places)))

    for each in some([each for each in segments if last[each[2].flow] != each[0]]):
        yield "a segment taken out", *without(run, each[0])
    for each in some([each for each in segments if last[each[2].flow] == each[0]]):
        yield "the last segment taken out", *without(run, each[0])
    for kind, make in (("a copy put in", copied), ("a reset put in", reset),
                       ("an acknowledgement put in", acknowledged)):
        for each in some(segments):
            yield kind, *make(run, *each)
    for each in some(untouched):
        yield "bytes altered and not claimed", *altered(run, *each)
    for each in some(touched):
        yield "an edit not claimed", *unclaimed(run, each[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("glassbox", type=pathlib.Path)
    options = parser.parse_args()
    failed, told = 0, collections.Counter()
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        run = Run(options.glassbox.resolve(), "http", pathlib.Path(folder))
        truth = run.disagreements(run.egress, run.lines)
        if truth:
            failed += 1
            print("FAILED the truth:", *truth[:6], sep="\n    ")
        all_lies = list(lies(run, random.Random(20)))
        found = pool.map(lambda lie: run.disagreements(*lie[1:]), all_lies)
        for (kind, *_), wrong in zip(all_lies, found):
            told[kind] += 1
            if not wrong:
                failed += 1
                print(f"FAILED {kind}: the audit agrees")
    for kind, count in told.items():
        print(f"{count:4} times {kind}")
    if len(told) != 7:
        failed += 1
        print(f"FAILED: {len(told)} kinds of lies found a place, not 7")
    print(f"{1 + sum(told.values()) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
