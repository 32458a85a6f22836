#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Proves the checkers: a true ledger passes, and every single lie is caught."""

import contextlib
import io
import json
import os
import random
import re
import struct
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import check_claims
import check_identical
import check_staircase
import check_whole
import fields
import frames
import pcapfile
import toybox
import tshark
import tshark_checksums

_ROOT = Path(__file__).resolve().parents[2]
_WORKLOADS = Path(os.environ.get("GLASSBOX_WORKLOADS") or _ROOT.parent / "shared" / "workloads")
_SAMPLE = ("mix-lan-http-dns-tls-many-protocols.pcap", "icmp-types-and-errors.pcapng",
           "icmpv6-errors-nd-mld.pcap", "qinq-pppoe-tls-sack.pcap", "http-raw-ip-linktype101.pcap",
           "tcp-mptcp-options.pcap", "ipv6-ext-headers-atomic-fragment-http.pcap",
           "ipv4-fragments-ooo-vlan-tagged.pcap", "ipv6-fragments-with-hop-by-hop.pcap",
           "stun-ice-icmp-port-unreachable.pcapng", "vlan-tls-sack-retransmissions.pcap",
           "smtp-attachment-icmp-frag-needed.pcap")


def run(program, *arguments):
    """Exit status and output of a checker."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        status = program.main([str(argument) for argument in arguments])
    return status, text.getvalue()


def workloads():
    """The captures there are, or a loud skip."""
    found = sorted(path for path in _WORKLOADS.rglob("*.pcap*")) if _WORKLOADS.is_dir() else []
    if not found:
        text = f"no workload captures in {_WORKLOADS}: set GLASSBOX_WORKLOADS"
        print("SKIPPED:", text, file=sys.stderr)
        raise unittest.SkipTest(text)
    return found


class Folder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)


class PcapFile(Folder):
    """The reader reads what is there and refuses what is cut."""

    def test_classic_formats(self):
        packets = frames.capture(frames.conversation())
        for order in "<>":
            for nanoseconds in (False, True):
                path = self.folder / "a.pcap"
                pcapfile.write_pcap(path, packets, order=order, nanoseconds=nanoseconds)
                self.assertEqual(pcapfile.read(path), packets)

    def test_pcapng_round_trip(self):
        packets = [p._replace(interface="outside", comment="été", original=9000)
                   for p in frames.capture(frames.conversation())]
        pcapfile.write_pcapng(self.folder / "a", packets)
        capture = pcapfile.Capture(self.folder / "a")
        self.assertEqual(list(capture), packets)
        self.assertEqual([i.name for i in capture.interfaces], ["inside", "outside"])

    def test_big_endian_section_with_binary_resolution_and_simple_packets(self):
        def block(kind, body):
            body += b"\0" * (-len(body) % 4)
            size = struct.pack(">I", len(body) + 12)
            return struct.pack(">I", kind) + size + body + size
        options = struct.pack(">HHB3xHH", 9, 1, 0x80 | 10, 0, 0)
        data = block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1))
        data += block(1, struct.pack(">HHI", 101, 0, 3) + options)
        data += block(6, struct.pack(">IIIII", 0, 0, 1536, 2, 5) + b"ab")
        data += block(3, struct.pack(">I", 5) + b"xyz") + block(0xBAD, b"????")
        (self.folder / "a").write_bytes(data)
        first, second = pcapfile.read(self.folder / "a")
        self.assertEqual((first.time, first.data, first.original, first.linktype),
                         (1_500_000_000, b"ab", 5, 101))
        self.assertEqual((second.data, second.original), (b"xyz", 5))

    def test_every_truncation_is_told(self):
        packets = frames.capture(frames.conversation()[:1])
        pcapfile.write_pcap(self.folder / "a", packets)
        whole = (self.folder / "a").read_bytes()
        for size in range(len(whole)):
            (self.folder / "a").write_bytes(whole[:size])
            if size != 24:
                with self.assertRaises(pcapfile.CaptureError, msg=size):
                    pcapfile.read(self.folder / "a")


class Fields(unittest.TestCase):
    """The dissector loses no bit and falls over nothing."""

    def samples(self):
        quoted = frames.udp(frames.CLIENT, frames.SERVER, 5000, 53, b"question")[14:]
        tagged = struct.pack("!HHH", 0x6001, 0x8100, 5) + b"\x08\0"
        plain = frames.tcp(frames.CLIENT, frames.SERVER, 1, 2, 3, 4, 0x18, b"data",
                           b"\x08\x0a" + b"\1" * 8 + b"\1\0" + b"\x1e\x03\7\0" + b"\0\0\0\0")
        fragment = struct.pack("!BBHI", 17, 0, 1, 9)
        ipv6 = struct.pack("!IHBB", 0x6AB12345, 20, 44, 64) + bytes(range(32)) + fragment
        error6 = struct.pack("!BBHI", 2, 0, 7, 1280)
        quote6 = struct.pack("!IHBB", 6 << 28, 8, 17, 3) + bytes(range(40))
        return [plain, plain[:12] + b"\x88\xa8" + tagged + plain[14:], plain + b"pad",
                frames.udp(frames.CLIENT, frames.SERVER, 5, 6, b"x" * 9),
                frames.icmp(frames.SERVER, frames.CLIENT, 3, 4, 1400, quoted + b"ext"),
                frames.icmp(frames.SERVER, frames.CLIENT, 8, 0, 0x10002, b"ping"),
                frames.ethernet(ipv6 + bytes(range(12)), 0x86DD),
                frames.ethernet(struct.pack("!IHBB", 6 << 28, 8 + len(quote6), 58, 1)
                                + bytes(32) + error6 + quote6, 0x86DD),
                plain[:12] + b"\x88\x64\x11\0\0\x07" + struct.pack("!H", len(plain) - 12)
                + b"\0\x21" + plain[14:] + b"tail",
                frames.ethernet(frames.ipv4(frames.CLIENT, frames.SERVER, 47, b"gre" * 5)),
                frames.ethernet(frames.ipv4(frames.CLIENT, frames.SERVER, 6, b"later" * 5, 3))]

    def test_no_bit_is_lost(self):
        for number, frame in enumerate(self.samples()):
            known = fields.dissect(frame).fields
            for bit in range(len(frame) * 8):
                other = bytearray(frame)
                other[bit // 8] ^= 1 << bit % 8
                self.assertNotEqual(fields.dissect(bytes(other)).fields, known, (number, bit))

    def test_survives_cuts_and_noise(self):
        chance = random.Random(1)
        for frame in self.samples():
            for size in range(len(frame)):
                for link in (1, 101, 113):
                    fields.dissect(frame[:size], link)
            for _ in range(500):
                noisy = bytearray(frame)
                for _ in range(4):
                    noisy[chance.randrange(12, len(noisy))] = chance.randrange(256)
                d = fields.dissect(bytes(noisy))
                for name in d.covers:
                    d.residue(name)

    def test_values(self):
        f = fields.dissect(self.samples()[1]).fields
        self.assertEqual(f["vlan.id"], (1, 5))
        self.assertEqual(f["tcp.options.timestamp"], (b"\1" * 8,))
        self.assertEqual(f["tcp.payload"], b"data")
        f = fields.dissect(self.samples()[4]).fields
        self.assertEqual((f["icmp.mtu"], f["udp.srcport#2"], f["ip.src#2"], f["data#2"]),
                         (1400, 5000, frames.CLIENT, b"ext"))
        self.assertEqual(fields.dissect(self.samples()[2]).fields["eth.trailer"], b"pad")
        self.assertEqual(fields.dissect(self.samples()[-1]).fields["data"], b"later" * 5)

    def test_checksums_are_right(self):
        for frame in self.samples()[:6]:
            d = fields.dissect(frame)
            self.assertTrue(d.covers)
            self.assertEqual({name: d.residue(name) for name in d.covers},
                             dict.fromkeys(d.covers, 0))


class Claims(Folder):
    """check_claims passes the truth and catches one lie at a time."""

    def setUp(self):
        super().setUp()
        quoted = frames.udp(toybox.EXTERNAL, frames.SERVER, 1025, 53, b"question")[14:]
        wrong = bytearray(frames.tcp(frames.CLIENT, frames.SERVER, 40000, 80, 5, 6, 0x10, b"odd"))
        wrong[50:52] = b"\x12\x34"
        self.box = toybox.ToyBox(frames.capture(frames.conversation() + [
            frames.udp(frames.CLIENT, frames.SERVER, 5000, 53, b"question"),
            frames.udp(frames.SERVER, frames.CLIENT, 53, 5000, b"answer", check=False),
            bytes(wrong), frames.ethernet(b"\0\1\x08\0", 0x0806),
            frames.icmp(frames.SERVER, frames.CLIENT, 3, 3, 0, quoted)]))
        self.report = {"conservation": self.box.conservation(), "drops": []}

    def verdict(self, *extra):
        """Writes everything and checks it."""
        original, *paths = self.box.write(self.folder)
        (self.folder / "report.json").write_text(json.dumps(self.report))
        return run(check_claims, *paths, "--capture", original, *extra)

    def assert_caught(self, text, *extra):
        status, output = self.verdict(*extra)
        self.assertEqual(status, 1, output)
        self.assertRegex(output, text)

    def edit(self, number, at, value, captures=("egress",)):
        """Overwrites bytes of a packet behind the ledger's back."""
        for name in captures:
            packets = getattr(self.box, name)
            data = bytearray(packets[number - 1].data)
            data[at:at + len(value)] = value
            packets[number - 1] = packets[number - 1]._replace(data=bytes(data))

    def claim(self, number, *names):
        self.box.lines[number - 1]["effects"] = [{"f": "x", "fields": list(names)}]

    def test_truth_passes(self):
        status, output = self.verdict("--report", self.folder / "report.json", "--comments")
        self.assertEqual(status, 0, output)

    def test_unclaimed_edit(self):
        self.box.lines[3]["effects"][0]["fields"].remove("tcp.srcport")
        self.assert_caught("n 4 .*tcp.srcport differs and is not claimed")

    def test_unclaimed_edit_of_an_untouched_packet(self):
        self.edit(12, 15, b"\x07")
        self.assert_caught("n 12 .*data differs and is not claimed")

    def test_claim_of_what_does_not_differ(self):
        self.box.lines[3]["effects"][0]["fields"].append("ip.ttl")
        self.assert_caught("ip.ttl is claimed and does not differ")

    def test_claim_on_an_identical_packet(self):
        self.claim(12, "data")
        self.assert_caught("data is claimed, nothing differs")

    def test_claim_of_a_derived_field(self):
        self.box.lines[3]["effects"][0]["fields"].append("tcp.checksum")
        self.assert_caught("tcp.checksum is claimed and only follows")

    def test_spoiled_ip_checksum(self):
        self.edit(4, 24, b"\xab\xcd")
        self.assert_caught("n 4 .*ip.checksum was right and is wrong")

    def test_spoiled_tcp_checksum(self):
        self.edit(4, 50, b"\xab\xcd")
        self.assert_caught("n 4 .*tcp.checksum was right and is wrong")

    def test_wrong_checksum_must_stay_as_wrong(self):
        status, output = self.verdict()
        self.assertEqual(status, 0, output)
        self.edit(11, 50, b"\x12\x34")
        self.assert_caught("n 11 .*tcp.checksum was wrong by")

    def test_silent_repair_is_allowed_only_when_asked_for(self):
        frame = self.box.egress[10].data
        right = bytearray(frame)
        right[50:52] = b"\0\0"
        body = bytes(right[34:])
        total = frames.checksum(frame[26:34] + struct.pack("!HH", 6, len(body)) + body)
        self.edit(11, 50, struct.pack("!H", total))
        self.assert_caught("n 11 .*tcp.checksum was wrong by .* and is right")
        status, output = self.verdict("--fixed-checksums")
        self.assertEqual(status, 0, output)

    def test_udp_checksum_removed_or_made_up(self):
        self.edit(9, 40, b"\0\0")
        self.assert_caught("n 9 .*udp.checksum was right")
        self.setUp()
        self.edit(10, 40, b"\x11\x11")
        self.assert_caught("n 10 .*udp.checksum")

    def test_quoted_packet(self):
        self.edit(13, 54, bytes((10, 0, 0, 1)))
        self.assert_caught(r"n 13 .*ip.src#2 differs and is not claimed")
        self.assert_caught(r"n 13 .*ip.checksum#2 was right")
        self.assert_caught(r"n 13 .*icmp.checksum was right")

    def test_length_that_does_not_follow(self):
        self.edit(11, 38, b"\x60", ("presented", "egress"))
        self.edit(9, 38, b"\0\x09")
        self.assert_caught("n 9 .*udp.payload differs and is not claimed")

    def test_missing_and_surplus_packets(self):
        packet = self.box.egress.pop()
        self.assert_caught("there is no egress packet 13")
        self.box.egress += [packet, packet._replace(index=14)]
        self.assert_caught("egress 14: no line accounts for it")

    def test_missing_line(self):
        del self.box.lines[4]
        self.assert_caught("in should be 5")
        self.assert_caught("n 5: no line accounts for it")

    def test_missing_presented_packet(self):
        self.box.presented.pop()
        self.assert_caught("12 packets in the capture, the lines end at 13")

    def test_wrong_out_number(self):
        self.box.lines[0]["out"][0]["n"] = 2
        self.assert_caught("egress packet 2 is also of")
        self.assert_caught("egress 1: no line")

    def test_wrong_sides(self):
        self.box.lines[0]["out"][0]["side"] = "inside"
        self.assert_caught("egress packet 1 left on outside, not inside")
        self.setUp()
        self.box.lines[0]["side"] = "outside"
        self.assert_caught("was presented on inside, not outside")

    def test_wrong_times(self):
        self.box.lines[5]["t"] = "1.000000000"
        self.assert_caught("was captured at .* not 1.000000000")
        self.box.lines[5]["t"] = "1.0"
        self.assert_caught("not seconds with nine decimals")

    def test_egress_out_of_order(self):
        self.box.egress[3] = self.box.egress[3]._replace(time=1)
        self.assert_caught("its time runs backwards")
        self.assert_caught("left before it came")

    def test_contract(self):
        lies = ({"verdict": "lost"}, {"flow": "one"}, {"n": None}, {"in": None}, {"n": 0},
                {"verdict": "drop"}, {"verdict": "drop", "by": "x", "reason": "y"},
                {"verdict": "drop", "by": "x", "out": [], "effects": []}, {"verdict": "hold"},
                {"verdict": "prevented"}, {"verdict": "inject"}, {"by": "nat44"},
                {"effects": [{"f": "x"}]}, {"effects": [{"f": "x", "fields": ["a", "a"]}]},
                {"out": [{"n": 1}]}, {"out": []}, {"side": "left"}, {"effects": None})
        for lie in lies:
            with self.subTest(lie):
                self.setUp()
                self.box.lines[0].update(lie)
                self.assert_caught("line 1: |n 1 .*has no egress packet")
        self.setUp()
        del self.box.lines[0]["flow"]
        self.assert_caught("no key 'flow'")

    def test_drop_keeps_the_books(self):
        self.box.egress.pop()
        self.box.lines[-1].update(verdict="drop", by="nat44", reason="no-mapping", out=[],
                                  effects=[])
        self.report["conservation"] = self.box.conservation()
        self.report["drops"] = [{"function": "nat44", "reason": "no-mapping", "packets": 1}]
        path = self.folder / "report.json"
        status, output = self.verdict("--report", path)
        self.assertEqual(status, 0, output)
        self.report["drops"][0]["reason"] = "table-full"
        self.assert_caught("drops by nat44 for no-mapping: 0, the lines give 1", "--report", path)

    def test_wrong_conservation(self):
        for key, value in self.report["conservation"].items():
            with self.subTest(key):
                self.setUp()
                self.report["conservation"][key] = False if value is True else value + 1
                self.assert_caught(f"conservation.{key} is", "--report",
                                   self.folder / "report.json")

    def test_presented_is_only_readdressed(self):
        self.edit(9, 22, b"\x01", ("presented", "egress"))
        self.assert_caught("presented with another ip.ttl")

    def test_interfaces_are_named(self):
        original, presented, egress, lines = self.box.write(self.folder)
        packets = [p._replace(interface="a") for p in self.box.egress]
        pcapfile.write_pcapng(egress, packets, names=("a", "b"))
        status, output = run(check_claims, presented, egress, lines, "--capture", original)
        self.assertEqual(status, 1)
        self.assertRegex(output, "0 interfaces named inside")

    def test_comments(self):
        self.box.egress[0] = self.box.egress[0]._replace(comment="forward nat44 ip.src")
        self.assert_caught("does not name tcp.srcport", "--comments")

    def split(self, *parts):
        """Replaces the egress of packet 4 by several packets."""
        old = self.box.egress[3]
        new = [old._replace(data=part, original=len(part)) for part in parts]
        self.box.egress[3:4] = new
        self.box.egress = [p._replace(index=i) for i, p in enumerate(self.box.egress, 1)]
        for line in self.box.lines[4:]:
            line["out"][0]["n"] += len(parts) - 1
        self.box.lines[3]["out"] = [{"n": 4 + i, "side": "outside"} for i in range(len(parts))]
        self.report["conservation"] = self.box.conservation()

    def parts(self, *payloads):
        return [frames.tcp(toybox.EXTERNAL, frames.SERVER, 1024, 80, 101, 901, 0x18, payload)
                for payload in payloads]

    def test_split(self):
        self.split(*self.parts(b"GET / HT", b"TP/1.0\r\n\r\n"))
        status, output = self.verdict("--report", self.folder / "report.json")
        self.assertEqual(status, 0, output)
        self.setUp()
        self.split(*self.parts(b"GET / HT", b"P/1.0\r\n\r\n"))
        self.assert_caught("payload is not in what left")

    def test_injected(self):
        frame = bytearray(self.parts(b"made here")[0])
        self.box.egress.append(self.box.egress[-1]._replace(
            index=14, data=bytes(frame), original=len(frame), interface="outside"))
        self.box.lines.append({"n": None, "in": None, "t": self.box.lines[-1]["t"],
                               "side": "inside", "flow": None, "verdict": "inject",
                               "effects": [], "out": [{"n": 14, "side": "outside"}]})
        status, output = self.verdict()
        self.assertEqual(status, 0, output)
        self.edit(14, 50, b"\1\1")
        self.assert_caught("was made with a wrong tcp.checksum")

    def test_grown_packet(self):
        grown = frames.tcp(toybox.EXTERNAL, frames.SERVER, 1024, 80, 101, 901, 0x18,
                           b"GET /longer HTTP/1.0\r\n\r\n")
        self.box.egress[3] = self.box.egress[3]._replace(data=grown, original=len(grown))
        self.assert_caught("tcp.payload differs and is not claimed")
        self.box.lines[3]["effects"].append({"f": "http", "fields": ["tcp.payload"]})
        status, output = self.verdict()
        self.assertEqual(status, 0, output)

    def test_first_fragment_checksum_is_held_to_its_change(self):
        body = frames.udp(frames.CLIENT, frames.SERVER, 7, 8, b"whole datagram")[34:]
        first = frames.ethernet(frames.ipv4(frames.CLIENT, frames.SERVER, 17, body[:16], 0x2000))
        self.box = toybox.ToyBox(frames.capture([first]))
        status, output = self.verdict()
        self.assertEqual(status, 0, output)
        self.edit(1, 40, b"\xab\xcd")
        self.assert_caught("udp.checksum was wrong by")

    def test_hundred_thousand_packets_in_time(self):
        self.box = toybox.ToyBox(frames.capture(frames.conversation(payload=b"x" * 1400) * 12500))
        paths = self.box.write(self.folder)[1:]
        start = time.monotonic()
        status, output = run(check_claims, *paths)
        self.assertEqual(status, 0, output)
        self.assertLess(time.monotonic() - start, 60)


class Whole(Folder):
    """check_whole passes a true NAT and catches what would break connections."""

    def setUp(self):
        super().setUp()
        self.build(frames.conversation() + frames.conversation(40001))

    def build(self, conversation, **kind):
        self.box = toybox.ToyBox(frames.capture(conversation, **kind))

    def verdict(self, *extra):
        original, presented, egress, lines = self.box.write(self.folder)
        return run(check_whole, original, egress, lines, "--presented", presented, *extra)

    def assert_caught(self, text, *extra):
        status, output = self.verdict(*extra)
        self.assertEqual(status, 1, output)
        self.assertRegex(output, text)

    def replace(self, number, frame):
        self.box.egress[number - 1] = self.box.egress[number - 1]._replace(
            data=frame, original=len(frame))

    def lose(self, number, **outcome):
        """Takes a packet out of the egress."""
        self.box.egress[number - 1:number] = []
        self.box.egress = [p._replace(index=i) for i, p in enumerate(self.box.egress, 1)]
        self.box.lines[number - 1].update({"out": [], "effects": [], **outcome})
        for line in self.box.lines[number:]:
            for out in line["out"]:
                out["n"] -= 1

    def test_truth_passes(self):
        status, output = self.verdict()
        self.assertEqual(status, 0, output)
        self.assertRegex(output, "2 whole in the capture, 2 held to it, 2 of them translated")

    def test_lost_handshake(self):
        self.lose(2, verdict="drop", by="nat44", reason="no-mapping")
        self.assert_caught("packet 2 never left: drop nat44 no-mapping")

    def test_policy_excuses(self):
        self.lose(2, verdict="drop", by="firewall", reason="rule")
        status, output = self.verdict()
        self.assertEqual(status, 0, output)
        self.assertRegex(output, "excused, firewall: rule: 1")
        self.assert_caught("packet 2 never left", "--policy", "inspect")
        report = self.folder / "report.json"
        for intended in (True, False):
            report.write_text(json.dumps({"drops": [{
                "function": "firewall", "reason": "rule", "intended": intended}]}))
            status, output = self.verdict("--report", report)
            self.assertEqual(status, 0 if intended else 1, output)

    def test_two_external_endpoints(self):
        self.replace(3, frames.tcp(toybox.EXTERNAL, frames.SERVER, 1999, 80, 101, 901, 0x10))
        self.assert_caught("packet 3 leaves from 203.0.113.1:1999, others from 203.0.113.1:1024")

    def test_reply_to_the_wrong_host(self):
        self.replace(2, frames.tcp(frames.SERVER, bytes((192, 168, 1, 11)), 80, 40000, 900, 101,
                                   0x12))
        self.assert_caught("packet 2 reaches the inside as .* > 192.168.1.11:40000")

    def test_handshake_numbers(self):
        self.replace(2, frames.tcp(frames.SERVER, frames.CLIENT, 80, 40000, 777, 101, 0x12))
        self.assert_caught("numbers that do not answer each other")

    def test_shared_external_endpoint(self):
        for number in (9, 11, 12, 14, 16):
            packet = fields.dissect(self.box.egress[number - 1].data).fields
            self.replace(number, frames.tcp(toybox.EXTERNAL, frames.SERVER, 1024, 80,
                                            packet["tcp.seq"], packet["tcp.ack"],
                                            packet["tcp.flags"], packet["tcp.payload"]))
        self.assert_caught("stands for 192.168.1.10:40001, .* ago for 192.168.1.10:40000")

    def test_endpoint_dependent_mapping(self):
        other = bytes((198, 51, 100, 8))
        queries = [frames.udp(frames.CLIENT, server, 5000, 53, b"q")
                   for server in (frames.SERVER, other)]
        self.build(queries)
        status, output = self.verdict()
        self.assertEqual(status, 0, output)
        self.replace(2, frames.udp(toybox.EXTERNAL, other, 1999, 53, b"q"))
        self.assert_caught("udp 192.168.1.10:5000 is mapped to 203.0.113.1:1999")
        self.build(queries, step=200 * frames.SECOND)
        self.replace(2, frames.udp(toybox.EXTERNAL, other, 1999, 53, b"q"))
        status, output = self.verdict()
        self.assertEqual(status, 0, output)

    def test_tshark_sees_a_lost_data_segment(self):
        if not tshark.available():
            self.skipTest("no tshark: its second opinion was not tried")
        self.lose(5, verdict="drop", by="nat44", reason="x")
        self.assert_caught("tshark, inside: 2 ACKs of unseen segments, 0 in the capture")


class Staircase(Folder):
    """The second climb finds the steps that a report has wrong."""

    def setUp(self):
        super().setUp()
        udp = [frames.udp(frames.CLIENT, frames.SERVER, 5000, 9, b"ask"),
               frames.udp(frames.SERVER, frames.CLIENT, 9, 5000, b"answer")]
        self.capture = frames.capture(frames.conversation() + udp)

    def judge(self, box, fallen):
        """Of what the box wrote, with a report in which these (flow, step) fell."""
        capture, presented, egress, lines = box.write(self.folder)
        report = {"flows": {"refused": 0}, "transparency": {
            "falls_omitted": 0, "falls": [{"flow": flow, "step": step} for flow, step in fallen]}}
        (self.folder / "r.json").write_text(json.dumps(report))
        return run(check_staircase, capture, presented, egress, lines, "--report",
                   self.folder / "r.json")

    def test_wire_climbs_all(self):
        status, text = self.judge(toybox.ToyBox(self.capture, translate=False), [])
        self.assertEqual(status, 0, text)
        self.assertIn("flows 2, P0 2, P1 2, P2 2, P3 2", text)

    def test_translation_falls_from_the_first_two(self):
        fallen = [(flow, step) for flow in (1, 2) for step in ("P0", "P1")]
        status, text = self.judge(toybox.ToyBox(self.capture), fallen)
        self.assertEqual(status, 0, text)
        for wrong in (fallen[1:], fallen[:2], fallen + [(2, "P2")], fallen + [(1, "P3")]):
            status, text = self.judge(toybox.ToyBox(self.capture), wrong)
            self.assertEqual(status, 1, f"{wrong}: {text}")

    def lost(self, number):
        """A wire that drops one packet."""
        box = toybox.ToyBox(self.capture, translate=False)
        line = box.lines[number - 1]
        line.update(verdict="drop", by="x", reason="y", out=[])
        del box.egress[number - 1]
        for later in box.lines[number:]:
            later["out"][0]["n"] -= 1
        box.egress = [p._replace(index=i) for i, p in enumerate(box.egress, 1)]
        return box

    def test_lost_bytes_fall_from_all(self):
        fallen = [(1, step) for step in ("P0", "P1", "P2", "P3")]
        self.assertEqual(self.judge(self.lost(4), fallen)[0], 0)
        self.assertEqual(self.judge(self.lost(4), fallen[:3])[0], 1)

    def test_lost_acknowledgement_is_no_lost_byte(self):
        fallen = [(1, "P0"), (1, "P1")]
        status, text = self.judge(self.lost(3), fallen)
        self.assertEqual(status, 0, text)

    def test_changed_bytes_complete_and_are_others(self):
        box = toybox.ToyBox(self.capture, translate=False)
        changed = box.egress[9]
        box.egress[9] = changed._replace(data=changed.data[:-1] + b"X")
        fallen = [(2, step) for step in ("P0", "P1", "P2")]
        status, text = self.judge(box, fallen)
        self.assertEqual(status, 0, text)
        self.assertEqual(self.judge(box, fallen[:2])[0], 1)


class Identical(Folder):
    """check_identical sees every difference."""

    def setUp(self):
        super().setUp()
        self.packets = [p._replace(interface="inside")
                        for p in frames.capture(frames.conversation())]
        pcapfile.write_pcap(self.folder / "a", self.packets)

    def verdict(self, packets, linktype=1):
        pcapfile.write_pcapng(self.folder / "b", packets, linktype)
        return run(check_identical, self.folder / "a", self.folder / "b")

    def test_truth_passes(self):
        status, output = self.verdict(self.packets)
        self.assertEqual(status, 0, output)

    def test_lies(self):
        first = self.packets[0]
        for text, lie in (("bytes", first._replace(data=first.data[:-1] + b"!")),
                          ("time", first._replace(time=first.time + 1)),
                          ("original length", first._replace(original=9999))):
            status, output = self.verdict([lie] + self.packets[1:])
            self.assertEqual(status, 1)
            self.assertRegex(output, f"packet 1: {text} differ")
        status, output = self.verdict(self.packets[:-1])
        self.assertRegex(output, "packet 8: is only in .*a")
        status, output = self.verdict(self.packets, 101)
        self.assertRegex(output, "link type differ: 1 -> 101")


@unittest.skipUnless(tshark.available(), "no tshark: checksum verdicts were not tried")
class TsharkChecksums(Folder):
    """tshark_checksums passes the truth and sees good go bad."""

    def test_truth_and_lie(self):
        box = toybox.ToyBox(frames.capture(frames.conversation()))
        paths = box.write(self.folder)[1:]
        status, output = run(tshark_checksums, *paths)
        self.assertEqual(status, 0, output)
        self.assertRegex(output, "16 good checksums before")
        data = bytearray(box.egress[3].data)
        data[50] ^= 1
        box.egress[3] = box.egress[3]._replace(data=bytes(data))
        status, output = run(tshark_checksums, *box.write(self.folder)[1:])
        self.assertEqual(status, 1)
        self.assertRegex(output, "n 4 .*tcp.checksum.status went from good to bad")


class Workloads(Folder):
    """Real captures: nothing raises, and tshark reads the same fields."""

    NAMES = {"ip.src": "address", "ip.dst": "address", "ip.ttl": "number", "ip.id": "number",
             "ip.len": "number", "ip.checksum": "number", "ip.dsfield": "number",
             "ip.frag_offset": "number", "ipv6.hlim": "number", "ipv6.plen": "number",
             "ipv6.tclass": "number", "ipv6.flow": "number", "tcp.srcport": "number",
             "tcp.dstport": "number", "tcp.seq": "seq", "tcp.ack": "seq", "tcp.flags": "number",
             "tcp.hdr_len": "number", "tcp.window_size_value": "number",
             "tcp.checksum": "number", "tcp.urgent_pointer": "number", "tcp.payload": "bytes",
             "udp.srcport": "number", "udp.dstport": "number", "udp.length": "number",
             "udp.checksum": "number", "udp.payload": "bytes", "icmp.type": "number",
             "icmp.code": "number", "icmp.checksum": "number", "icmp.ident": "number",
             "icmp.seq": "number", "icmp.mtu": "number", "icmpv6.type": "number",
             "icmpv6.code": "number", "icmpv6.checksum": "number", "icmpv6.mtu": "number",
             "icmpv6.echo.identifier": "number", "icmpv6.echo.sequence_number": "number"}

    def test_no_packet_raises(self):
        for path in workloads():
            with self.subTest(path.name):
                for packet in pcapfile.Capture(path):
                    d = fields.dissect(packet.data, packet.linktype)
                    for name in d.covers:
                        d.residue(name)

    @unittest.skipUnless(tshark.available(), "no tshark: the dissector was not compared")
    def test_tshark_reads_the_same(self):
        known = {path.name: path for path in workloads()}
        compared = 0
        for name in _SAMPLE:
            with self.subTest(name):
                self.assertIn(name, known)
                compared += self.compare(known[name])
        self.assertGreater(compared, 50_000)

    def compare(self, path):
        """Frame by frame, field by field; the quoted packet is tshark's last value."""
        names = list(self.NAMES)
        rows = tshark.rows(path, ["frame.number", "frame.protocols"] + names)
        packets = pcapfile.read(path)
        self.assertEqual(len(rows), len(packets))
        count = 0
        for row, packet in zip(rows, packets):
            mine = fields.dissect(packet.data, packet.linktype).fields
            plain = re.match(r"(eth:ethertype:|raw:)(vlan:ethertype:)*(pppoes:ppp:)?ipv?6?:"
                             r"(tcp|udp|icmp|icmpv6)\b(?!.*:ipv?6?:)", row[1])
            for name, text in zip(names, row[2:]):
                values = text.split(",") if text else []
                if plain and values and name not in mine:
                    self.fail(f"{path.name} {packet.index}: only tshark has {name}")
                for suffix, at in (("", 0), ("#2", -1)):
                    value = mine.get(name + suffix)
                    if value in (None, b"") or suffix and not values:
                        continue
                    count += 1
                    self.assertTrue(values, f"{path.name} {packet.index}: tshark has no {name}")
                    theirs = self.plain(name, values[at])
                    if name == "udp.payload" and "data" in mine:
                        theirs = theirs[:len(value)]  # tshark's goes on past the UDP length
                    self.assertEqual(theirs, value,
                                     f"{path.name} {packet.index}: {name}{suffix}")
        return count

    def plain(self, name, text):
        """tshark's text as the dissector's value."""
        kind = self.NAMES[name]
        if kind == "address":
            return bytes(map(int, text.split(".")))
        return bytes.fromhex(text) if kind == "bytes" else int(text, 0)

    def test_a_true_ledger_passes_on_real_packets(self):
        known = {path.name: path for path in workloads()}
        for name in _SAMPLE:
            with self.subTest(name):
                self.assertIn(name, known)
                box = toybox.ToyBox(pcapfile.read(known[name]))
                original, *paths = box.write(self.folder)
                status, output = run(check_claims, *paths, "--capture", original)
                self.assertEqual(status, 0, output)
                status, output = run(check_whole, original, paths[1], paths[2],
                                     "--presented", paths[0])
                self.assertEqual(status, 0, output)


if __name__ == "__main__":
    unittest.main()
