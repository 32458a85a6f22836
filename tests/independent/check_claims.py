#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds the ledger to the packets: what differs is claimed, what is claimed differs.

Compares the presented capture with the egress capture byte by byte, along the lines of
`--packets`, and takes nothing from the program on trust.
"""

import argparse
import collections
import json
import sys

import fields
import ledger
import pcapfile

# The endpoint model re-addresses what it presents and moves it in sequence space; no more.
_MODEL = {"eth.src", "eth.dst", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport",
          "tcp.dstport", "udp.srcport", "udp.dstport", "icmp.ident", "icmpv6.echo.identifier",
          "tcp.seq", "tcp.ack", "tcp.options.sack"}
_GROUPS = {"ip.flags": ("ip.flags.rb", "ip.flags.df", "ip.flags.mf")}


class Comparison:
    """What differs between two frames, and which of it follows from the rest."""

    def __init__(self, before, after, fixed):
        self.before, self.after, self.fixed = before, after, fixed
        a, b = before.fields, after.fields
        self.differing = {name for name in a.keys() | b.keys() if a.get(name) != b.get(name)}
        self.follows = {name for name in self.differing if self._follows(name)}
        self.edited = self.differing - self.follows

    def _follows(self, name):
        """Whether the new value is what the other edits make of the old one."""
        plain = fields.base(name)
        if plain in fields.CHECKSUMS:
            return not self.spoiled(name)
        if plain in fields.LENGTHS:
            return self._length_follows(name)
        if plain == fields.LAYOUT:
            return any(other.startswith("tcp.options.") and
                       fields.is_quoted(other) == fields.is_quoted(name)
                       for other in self.differing)
        if name == "eth.trailer":
            return self._padding_follows()
        return False

    def _length_follows(self, name):
        """A length changes by as much as what it counts, so a wrong one stays as wrong."""
        old, new = self.before.sizes.get(name), self.after.sizes.get(name)
        if old is None or new is None or old == new:
            return False
        return self.after.fields[name] - self.before.fields[name] == new - old

    def _padding_follows(self):
        """Zero padding of a short frame gives way when the datagram in it changes its length."""
        resized = any(self.before.sizes.get(n) != self.after.sizes.get(n)
                      for n in ("ip.len", "ipv6.plen"))
        trailers = [d.fields.get("eth.trailer", b"") for d in (self.before, self.after)]
        return resized and not any(t.strip(b"\0") for t in trailers)

    def spoiled(self, name):
        """Whether a checksum is less right than it was; nothing if that cannot be judged."""
        before, after = self.before, self.after
        if name not in before.covers or name not in after.covers:
            return None
        if fields.base(name) == "udp.checksum":
            old, new = before.fields[name], after.fields[name]
            if old == 0 and new == 0:
                return False
            if new == 0 or old == 0 and not self.fixed:
                return True
            if old == 0:
                return after.residue(name) != 0
        residue = after.residue(name)
        if self.fixed and residue == 0 and name not in after.partial:
            return False
        if name in before.partial and self._resized(name):
            return None
        return residue != before.residue(name)

    def _resized(self, name):
        a, b = self.before.covers[name], self.after.covers[name]
        return a[1] - a[0] != b[1] - b[0]


class Checker:
    """All checks of one run; one method for each rule of the contract."""

    def __init__(self, presented, egress, lines, failures, fixed=False, comments=False,
                 closed=False):
        self.presented, self.egress, self.lines = presented, egress, lines
        self.failures, self.fixed, self.comments = failures, fixed, comments
        self.closed = closed
        self.compared = self.identical = 0

    def run(self):
        """Every check that needs only the two captures and the lines."""
        self._cover_presented()
        self._cover_egress()
        self._check_sides_and_times()
        self._check_egress_order()
        for line in self.lines:
            if line["verdict"] == "inject":
                self._check_injected(line)
            elif len(line["out"]) == 1:
                self._check_single(line)
            elif line["out"]:
                self._check_split(line)

    def _presented(self, line):
        number = line["in"]
        return self.presented[number - 1] if number and number <= len(self.presented) else None

    def _outs(self, line):
        return [self.egress[out["n"] - 1] for out in line["out"] if out["n"] <= len(self.egress)]

    def _cover_presented(self):
        """The presented packets, each once and in order."""
        expected = 0
        for line in self.lines:
            if line["in"] is None:
                continue
            expected += 1
            if line["in"] != expected:
                self.failures.add(ledger.where(line), f"in should be {expected}")
                expected = line["in"]
        if expected != len(self.presented):
            self.failures.add("presented", f"{len(self.presented)} packets in the capture, "
                                           f"the lines end at {expected}")

    def _cover_egress(self):
        """Every egress packet has one cause, and leaves where its line says."""
        owners = {}
        for line in self.lines:
            for out in line["out"]:
                number = out["n"]
                if number in owners:
                    self.failures.add(ledger.where(line), f"egress packet {number} is also of "
                                                          f"{ledger.where(owners[number])}")
                    continue
                owners[number] = line
                if number > len(self.egress):
                    self.failures.add(ledger.where(line), f"there is no egress packet {number}")
                elif self.egress[number - 1].interface != out["side"]:
                    self.failures.add(ledger.where(line), f"egress packet {number} left on "
                                      f"{self.egress[number - 1].interface}, not {out['side']}")
        for packet in self.egress:
            if packet.index not in owners:
                self.failures.add(f"egress {packet.index}", "no line accounts for it")

    def _check_sides_and_times(self):
        """Presented by the port and at the time the line says; nothing leaves before it came."""
        latest = 0
        for line in self.lines:
            stamp = ledger.nanoseconds(line["t"])
            packet = self._presented(line)
            if packet:
                latest = max(latest, stamp)
                if packet.interface != line["side"]:
                    self.failures.add(ledger.where(line), f"was presented on {packet.interface}, "
                                                          f"not {line['side']}")
                late = self.closed and packet.time > stamp
                if packet.time not in (stamp, latest) and not late:
                    self.failures.add(ledger.where(line), f"was presented at {packet.time} ns, "
                                                          f"not {line['t']}")
            for out in self._outs(line):
                if packet and out.time < packet.time:
                    self.failures.add(ledger.where(line), f"egress packet {out.index} left "
                                                          "before it came")

    def _check_egress_order(self):
        latest = 0
        for packet in self.egress:
            if packet.time < latest:
                self.failures.add(f"egress {packet.index}", "its time runs backwards")
            latest = packet.time

    def _check_single(self, line):
        """One in, one out: the differing fields are the claimed fields."""
        before, outs = self._presented(line), self._outs(line)
        if not before or not outs:
            return
        after, claims = outs[0], ledger.claimed(line)
        self._check_comment(line, after)
        if before.linktype != after.linktype:
            self.failures.add(ledger.where(line), f"link type {before.linktype} became "
                                                  f"{after.linktype}")
        if before.data == after.data:
            self.identical += 1
            for name in sorted(claims):
                self.failures.add(ledger.where(line), f"{name} is claimed, nothing differs")
            if before.original != after.original:
                self.failures.add(ledger.where(line), "original length differs")
            return
        self.compared += 1
        comparison = self._compare(before, after)
        self._check_claims(line, comparison, claims)
        self._check_checksums(line, comparison)

    def _compare(self, before, after):
        return Comparison(fields.dissect(before.data, before.linktype),
                          fields.dissect(after.data, after.linktype), self.fixed)

    def _check_claims(self, line, comparison, claims):
        edited, differing = comparison.edited, comparison.differing
        a, b = comparison.before.fields, comparison.after.fields
        claims = set(claims)
        for group, members in _GROUPS.items():
            if group in claims and any(member in edited for member in members):
                claims = claims - {group} | {m for m in members if m in edited}
        for name in sorted(edited - claims):
            if fields.base(name) in fields.CHECKSUMS and comparison.spoiled(name):
                continue  # said once, as a checksum
            self.failures.add(ledger.where(line), f"{name} differs and is not claimed: "
                              f"{fields.show(a.get(name))} -> {fields.show(b.get(name))}")
        for name in sorted(claims - edited):
            why = "only follows from other edits" if name in differing else "does not differ"
            self.failures.add(ledger.where(line), f"{name} is claimed and {why}")
        if not differing:
            self.failures.add(ledger.where(line), "bytes differ in no field (checker's error)")

    def _check_checksums(self, line, comparison):
        """Right stays right, wrong stays exactly as wrong."""
        before, after = comparison.before, comparison.after
        for name in before.covers.keys() | after.covers.keys():
            spoiled = comparison.spoiled(name)
            if spoiled is None:
                self.failures.note(f"{name} could not be judged")
            elif spoiled and name != "ip.checksum#2" and fields.is_quoted(name) and \
                    before.fields[name] == after.fields[name]:
                self.failures.note(f"{name} left as the quoted packet had it")
            elif spoiled:
                self.failures.add(ledger.where(line), _checksum_text(name, before, after))

    def _check_split(self, line):
        """Several out: no claim without a difference, no payload lost, checksums right."""
        before, outs = self._presented(line), self._outs(line)
        if not before or len(outs) != len(line["out"]):
            return
        self.failures.note("split packets whose unclaimed differences were not checked")
        comparisons = [self._compare(before, after) for after in outs]
        differing = set().union(*(c.differing for c in comparisons))
        claims = ledger.claimed(line)
        for name in sorted(claims - differing):
            self.failures.add(ledger.where(line), f"{name} is claimed and differs in no part")
        first = comparisons[0].before
        parts = b"".join(fields.payload(c.after) for c in comparisons)
        if fields.payload(first) not in parts and not any("payload" in n for n in claims):
            self.failures.add(ledger.where(line), "payload is not in what left")
        for comparison in comparisons:
            self._check_part_checksums(line, comparison)

    def _check_part_checksums(self, line, comparison):
        before, after = comparison.before, comparison.after
        for name in before.covers.keys() & after.covers.keys() - after.partial - before.partial:
            if before.residue(name) == 0 and after.residue(name) != 0:
                self.failures.add(ledger.where(line), _checksum_text(name, before, after))

    def _check_injected(self, line):
        """What the box made itself has right checksums; there is nothing to compare it with."""
        self.failures.note("injected packets whose content was not checked")
        for packet in self._outs(line):
            self._check_comment(line, packet)
            d = fields.dissect(packet.data, packet.linktype)
            for name in d.covers.keys() - d.partial:
                unused = name == "udp.checksum" and d.fields[name] == 0
                if not fields.is_quoted(name) and not unused and d.residue(name) != 0:
                    self.failures.add(ledger.where(line), f"egress packet {packet.index} was "
                                                          f"made with a wrong {name}")

    def _check_comment(self, line, packet):
        """On request: the egress comment names what the line names."""
        if not self.comments:
            return
        words = [line["verdict"]] + [e["f"] for e in line["effects"] if e["fields"]]
        for word in words + sorted(ledger.claimed(line)):
            if word not in (packet.comment or ""):
                self.failures.add(ledger.where(line), f"comment of egress packet {packet.index} "
                                                      f"does not name {word}")

    def check_capture(self, capture):
        """Every captured packet is accounted for, and presented as the model may present it."""
        seen, latest, clamped = set(), 0, []
        for packet in capture:
            latest = max(latest, packet.time)
            clamped.append(latest)
        for line in self.lines:
            number = line["n"]
            if number is None:
                continue
            if number > len(capture):
                self.failures.add(ledger.where(line), f"the capture has {len(capture)} packets")
                continue
            if number in seen and not line.get("again"):
                self.failures.add(ledger.where(line), "this packet already has a line")
            seen.add(number)
            packet, stamp = capture[number - 1], ledger.nanoseconds(line["t"])
            if stamp not in (packet.time, clamped[number - 1]) and not line.get("again"):
                self.failures.add(ledger.where(line), f"was captured at {packet.time} ns, "
                                                      f"not {line['t']}")
            self._check_model(line, packet)
        for packet in capture:
            if packet.index in seen:
                continue
            if len(packet.data) < packet.original:
                self.failures.note("captured packets cut by the snap length without a line")
            else:
                self.failures.add(f"n {packet.index}", "no line accounts for it")

    def _check_model(self, line, packet):
        presented = self._presented(line)
        if not presented or presented.data == packet.data:
            return
        comparison = self._compare(packet, presented)
        for name in sorted(comparison.differing):
            plain = fields.base(name)
            if plain in fields.CHECKSUMS:
                if comparison.spoiled(name) and not fields.is_quoted(name):
                    self.failures.add(ledger.where(line), "presented: " + _checksum_text(
                        name, comparison.before, comparison.after))
            elif plain not in _MODEL and name not in comparison.follows:
                self.failures.add(ledger.where(line), f"presented with another {name}: no "
                                                      "endpoint model does that")

    def check_report(self, report):
        """The books balance, and say what the lines say."""
        counts = collections.Counter(line["verdict"] for line in self.lines)
        split = sum(len(line["out"]) - 1 for line in self.lines if len(line["out"]) > 1)
        unsent = sum(line["verdict"] == "forward" and not line["out"] for line in self.lines)
        said = report.get("conservation") or {}
        found = {"received": sum(line["in"] is not None for line in self.lines),
                 "forwarded": counts["forward"], "dropped": counts["drop"],
                 "held": counts["hold"], "merged": counts["merge"],
                 "prevented": counts["prevented"], "injected": counts["inject"], "split": split,
                 "transmitted": len(self.egress), "unsent": unsent, "balanced": True}
        for key, value in found.items():
            if said.get(key) != value or type(said.get(key)) is not type(value):
                self.failures.add("report", f"conservation.{key} is {said.get(key)!r}, "
                                            f"the lines give {value!r}")
        self._check_identity(said, "received", ("received",),
                             ("forwarded", "dropped", "held", "merged"))
        self._check_identity(said, "transmitted", ("transmitted", "unsent"),
                             ("forwarded", "injected", "split"))
        self._check_drops(report)
        self._note_effects(report)

    def _check_identity(self, said, name, left, right):
        left, right = (sum(said.get(key) or 0 for key in keys) for keys in (left, right))
        if left != right:
            self.failures.add("report", f"{name} packets do not balance: {left} != {right}")

    def _check_drops(self, report):
        found = collections.Counter((line["by"], line["reason"]) for line in self.lines
                                    if line["verdict"] == "drop")
        said = collections.Counter()
        for row in report.get("drops") or []:
            said[row.get("function"), row.get("reason")] += row.get("packets") or 0
        for key in sorted(found.keys() | said.keys(), key=str):
            if found[key] != said[key]:
                self.failures.add("report", f"drops by {key[0]} for {key[1]}: {said[key]}, "
                                            f"the lines give {found[key]}")

    def _note_effects(self, report):
        """The table of effects counts in ways of its own; a difference is told, not failed."""
        rows = (report.get("transparency") or {}).get("effects")
        if not isinstance(rows, list):
            return
        said = collections.Counter()
        for row in rows:
            if "." in str(row.get("field")):
                said[row.get("function"), row["field"]] += row.get("packets") or 0
        found = collections.Counter((effect["f"], field) for line in self.lines
                                    for effect in line["effects"] for field in effect["fields"])
        for key in said.keys() | found.keys():
            if said[key] != found[key]:
                self.failures.note(f"report counts {said[key]} effects of {key[0]} on {key[1]}, "
                                   "the lines another number", found[key])

    def check_unsent(self):
        """Without a report no transmit queue was full: what is forwarded leaves."""
        for line in self.lines:
            if line["verdict"] == "forward" and not line["out"]:
                self.failures.add(ledger.where(line), "has no egress packet")


def _checksum_text(name, before, after):
    was = "right" if before.residue(name) == 0 else f"wrong by {before.residue(name):#06x}"
    now = "right" if after.residue(name) == 0 else f"wrong by {after.residue(name):#06x}"
    stored = [f"{d.fields[name]:#06x}" for d in (before, after)]
    return f"{name} was {was} and is {now} ({stored[0]} -> {stored[1]})"


def load_pcapng(path, failures):
    """The packets of a capture the program wrote, which must have both sides as interfaces."""
    capture = pcapfile.Capture(path)
    packets = list(capture)
    names = [interface.name for interface in capture.interfaces]
    for side in ledger.SIDES:
        if names.count(side) != 1:
            failures.add(str(path), f"has {names.count(side)} interfaces named {side}")
    return packets


def load_captures(paths):
    """One or several captures as the replay merges them: by time, ties in the order given."""
    if len(paths) == 1:
        return pcapfile.read(paths[0])
    merged = sorted((packet for path in paths for packet in pcapfile.read(path)),
                    key=lambda packet: packet.time)
    return [packet._replace(index=index) for index, packet in enumerate(merged, 1)]


def check(args):
    """The whole check; gives the exit status."""
    failures = ledger.Failures()
    presented = load_pcapng(args.presented, failures)
    egress = load_pcapng(args.egress, failures)
    lines = ledger.load(args.packets, failures)
    checker = Checker(presented, egress, lines, failures, args.fixed_checksums, args.comments,
                      args.closed)
    checker.run()
    if args.capture:
        checker.check_capture(load_captures(args.capture))
    if args.report:
        with open(args.report, encoding="utf-8") as file:
            checker.check_report(json.load(file))
    else:
        checker.check_unsent()
    return failures.report(f"{len(lines)} lines, {len(presented)} presented, {len(egress)} "
                           f"egress: {checker.identical} identical, {checker.compared} edited")


def main(argv=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presented", help="what entered the box (--presented)")
    parser.add_argument("egress", help="what left the box (--out)")
    parser.add_argument("packets", help="JSON lines (--packets)")
    parser.add_argument("--capture", action="append", help="the capture replayed; repeatable")
    parser.add_argument("--report", help="report.json of the run")
    parser.add_argument("--fixed-checksums", action="store_true",
                        help="the run had --fix-checksums: wrong ones may have become right")
    parser.add_argument("--comments", action="store_true",
                        help="egress comments must name verdict, functions and fields")
    parser.add_argument("--closed", action="store_true",
                        help="closed loop: packets may enter late, and be offered again")
    try:
        return check(parser.parse_args(argv))
    except (OSError, ValueError, pcapfile.CaptureError) as error:
        print(f"FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
