#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every TCP connection that is whole in the capture is whole behind the NAT.

Finds connections and mappings in the captures alone, never in the program's sessions, and asks
tshark for a second opinion on what each wire carried.
"""

import argparse
import collections
import json
import sys
import tempfile
from pathlib import Path

import fields
import ledger
import pcapfile
import tshark

_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_SECOND = 1_000_000_000
_POLICY_FUNCTIONS = ("firewall", "inspect")


class Ends:
    """Protocol and both endpoints of a frame, or `proto` None if it has no ports."""

    __slots__ = ("proto", "src", "dst", "tcp")

    def __init__(self, packet):
        f = fields.dissect(packet.data, packet.linktype).fields
        source = f.get("ip.src") or f.get("ipv6.src")
        target = f.get("ip.dst") or f.get("ipv6.dst")
        self.proto, self.tcp, ports = None, None, (0, 0)
        if "tcp.flags" in f:
            self.proto, ports = "tcp", (f["tcp.srcport"], f["tcp.dstport"])
            self.tcp = (f["tcp.flags"], f["tcp.seq"], f["tcp.ack"])
        elif "udp.srcport" in f:
            self.proto, ports = "udp", (f["udp.srcport"], f["udp.dstport"])
        elif f.get("icmp.type") == 8 or f.get("icmpv6.type") == 128:
            ident = f.get("icmp.ident", f.get("icmpv6.echo.identifier"))
            self.proto, ports = "icmp", (ident, 0)
        if "pppoe.session_id" in f:
            self.proto = None  # a tunnel: nothing in it is the box's to translate
        self.src, self.dst = (source, ports[0]), (target, ports[1])


class Connection:
    """One TCP connection of the capture: its handshake and all its packets."""

    def __init__(self, client, server, isn, index):
        self.client, self.server, self.isn = client, server, isn
        self.syn, self.synack, self.ack = index, None, None
        self.reply_isn = None
        self.members = []
        self.closed_after = None
        self.fins = set()

    @property
    def whole(self):
        """Whether SYN, SYN/ACK and ACK were all captured."""
        return self.ack is not None

    def add(self, index, ends):
        """One more packet, in capture order."""
        flags, seq, ack = ends.tcp
        self.members.append(index)
        if ends.src == self.server and flags & (_SYN | _ACK) == _SYN | _ACK:
            if self.synack is None and ack == self.isn + 1 & 0xFFFFFFFF:
                self.synack, self.reply_isn = index, seq
        elif ends.src == self.client and self.synack and not self.ack:
            third = flags & (_SYN | _RST | _ACK) == _ACK
            if third and ack == self.reply_isn + 1 & 0xFFFFFFFF and \
                    seq == self.isn + 1 & 0xFFFFFFFF:
                self.ack = index
        if flags & _FIN:
            self.fins.add(ends.src)
        if self.closed_after is None and (flags & _RST or len(self.fins) == 2):
            self.closed_after = index


def connections(capture, ends):
    """The connections of a capture; a SYN with a new sequence number starts a new one."""
    found, current = [], {}
    for packet in capture:
        e = ends[packet.index - 1]
        if e.proto != "tcp":
            continue
        key = frozenset((e.src, e.dst))
        connection = current.get(key)
        if e.tcp[0] & (_SYN | _ACK) == _SYN:
            if connection is None or (e.src, e.tcp[1]) != (connection.client, connection.isn):
                connection = current[key] = Connection(e.src, e.dst, e.tcp[1], packet.index)
                found.append(connection)
        if connection is not None:
            connection.add(packet.index, e)
    return found


def show(end):
    """An endpoint as a person reads it."""
    address, port = end
    if address is None:
        return "nowhere"
    if len(address) == 4:
        return f"{'.'.join(map(str, address))}:{port}"
    return f"[{address.hex()}]:{port}"


class Whole:
    """All checks of one run."""

    def __init__(self, capture, egress, lines, failures, args):
        self.capture, self.egress, self.failures, self.args = capture, egress, failures, args
        self.ends = [Ends(packet) for packet in capture]
        self.out_ends = [Ends(packet) for packet in egress]
        self.lines = lines
        self.by_n = collections.defaultdict(list)
        for line in lines:
            if line["n"] is not None:
                self.by_n[line["n"]].append(line)
        self.intended = self._intended(args.report)
        self.judged, self.excused = [], collections.Counter()
        self.inbound = collections.Counter()
        self.translated = self.endpoints = 0

    def _intended(self, report):
        """Which drops the policy asked for; nothing if no report says it."""
        if not report:
            return None
        with open(report, encoding="utf-8") as file:
            drops = json.load(file).get("drops") or []
        return {(d.get("function"), d.get("reason")) for d in drops if d.get("intended") is True}

    def _is_policy(self, line):
        if line["verdict"] != "drop":
            return False
        if line["reason"] == "malformed":
            return True  # what cannot be parsed is no part of a connection that a box could know
        if self.intended is not None and (line["by"], line["reason"]) in self.intended:
            return True
        return line["by"] in self.args.policy

    def run(self):
        """Connections first, then the mappings of all protocols."""
        found = connections(self.capture, self.ends)
        whole = [connection for connection in found if connection.whole]
        for connection in whole:
            self._judge(connection)
        self._check_mappings()
        return len(found), len(whole)

    def _outs(self, index):
        """(line, egress packet number) for every time a captured packet left."""
        return [(line, out["n"]) for line in self.by_n[index] for out in line["out"]
                if out["n"] <= len(self.egress)]

    def _judge(self, connection):
        """Excuses what policy refused, and holds the rest to being whole."""
        lines = [line for index in connection.members for line in self.by_n[index]]
        policy = next((line for line in lines if self._is_policy(line)), None)
        if policy:
            self.excused[policy["by"], policy["reason"]] += 1
            return
        if any(len(self.capture[i - 1].data) < self.capture[i - 1].original and
               not self.by_n[i] for i in connection.members):
            self.excused["capture", "cut by the snap length"] += 1
            return
        opener = self.by_n[connection.syn]
        if opener and opener[0]["side"] == "outside":
            through = all(self._outs(i) for i in (connection.syn, connection.synack,
                                                  connection.ack))
            self.inbound["whole" if through else "not let in"] += 1
            if not through:
                return
        self.judged.append(connection)
        self._check_delivery(connection)
        self._check_handshake(connection)
        self._check_addresses(connection)

    def _name(self, connection):
        return f"n {connection.syn} {show(connection.client)} > {show(connection.server)}"

    def _check_delivery(self, connection):
        """No packet of it is lost in the box while it is open and its timer runs."""
        last = self.capture[connection.syn - 1].time
        for index in connection.members:
            now = self.capture[index - 1].time
            idle, last = now - last, now
            if self._outs(index):
                continue
            verdicts = [line["verdict"] for line in self.by_n[index]]
            late = connection.closed_after is not None and index > connection.closed_after
            if late or idle >= self.args.established * _SECOND:
                self.failures.note("packets lost after their connection's state had ended")
            elif verdicts and verdicts[-1] in ("hold", "merge"):
                self.failures.note(f"packets of whole connections with verdict {verdicts[-1]}")
            else:
                self.failures.add(self._name(connection), f"packet {index} never left: "
                                  f"{self._fate(index)}")
                return

    def _fate(self, index):
        """What the lines say became of a captured packet."""
        return "; ".join(f"{line['verdict']} {line.get('by', '')} {line.get('reason', '')}".strip()
                         for line in self.by_n[index]) or "no line for it"

    def _check_handshake(self, connection):
        """SYN, SYN/ACK and ACK leave in this order, and their numbers fit."""
        steps = [self._outs(i) for i in (connection.syn, connection.synack, connection.ack)]
        if not all(steps):
            return  # said by the delivery check
        numbers = [outs[0][1] for outs in steps]
        if numbers != sorted(numbers):
            self.failures.add(self._name(connection), f"handshake leaves out of order: {numbers}")
        tcp = [self.out_ends[number - 1].tcp for number in numbers]
        if None in tcp:
            self.failures.add(self._name(connection), "handshake leaves as something else")
            return
        (f1, s1, _), (f2, s2, a2), (f3, _, a3) = tcp
        flags = [f & (_SYN | _ACK | _RST | _FIN) for f in (f1, f2, f3)]
        if flags[:2] != [_SYN, _SYN | _ACK] or not flags[2] & _ACK:
            self.failures.add(self._name(connection), f"handshake leaves with flags {flags}")
        if a2 != s1 + 1 & 0xFFFFFFFF or a3 != s2 + 1 & 0xFFFFFFFF:
            self.failures.add(self._name(connection), "handshake leaves with numbers that "
                                                      "do not answer each other")

    def _check_addresses(self, connection):
        """One external endpoint outside, the captured endpoints inside."""
        external = last = None
        translated = False
        for index in connection.members:
            now = self.capture[index - 1].time
            idle, last = now - (last or now), now
            for line, number in self._outs(index):
                side = self.egress[number - 1].interface
                if side == line["side"]:
                    self.failures.note("hairpinned packets, addresses not checked")
                    continue
                was, now_is = self.ends[index - 1], self.out_ends[number - 1]
                if side == "inside":
                    self._same(connection, index, was, now_is)
                    continue
                if now_is.proto != "tcp" or now_is.dst != was.dst:
                    self.failures.add(self._name(connection), f"packet {index} leaves for "
                                                              f"{show(now_is.dst)}")
                if external not in (None, now_is.src) and \
                        idle < self.args.established * _SECOND:
                    self.failures.add(self._name(connection), f"packet {index} leaves from "
                                      f"{show(now_is.src)}, others from {show(external)}")
                external = now_is.src
                translated = translated or external != was.src
        self.translated += translated

    def _same(self, connection, index, was, now):
        if (now.proto, now.src, now.dst) != ("tcp", was.src, was.dst):
            self.failures.add(self._name(connection), f"packet {index} reaches the inside as "
                              f"{show(now.src)} > {show(now.dst)}")

    def _lifetime(self, proto):
        return {"tcp": self.args.tcp_lifetime, "udp": self.args.udp_lifetime,
                "icmp": self.args.icmp_lifetime}[proto] * _SECOND

    def _check_mappings(self):
        """An inside endpoint keeps its external one, and shares it with no other that lives."""
        sent = []
        for index, lines in self.by_n.items():
            for line in lines:
                if line["side"] == "inside":
                    sent += [(out["n"], index) for out in line["out"]
                             if out["side"] == "outside" and out["n"] <= len(self.egress)]
        external_of, inside_of = {}, {}
        for number, index in sorted(sent):
            was, now = self.ends[index - 1], self.out_ends[number - 1]
            if was.proto is None or now.proto != was.proto:
                continue
            time, alive = self.egress[number - 1].time, self._lifetime(was.proto)
            inside, external = (was.proto, was.src), (was.proto, now.src)
            old = external_of.get(inside)
            if old and old[0] != external and time - old[1] < alive:
                self.failures.add(f"n {index}", f"{was.proto} {show(was.src)} is mapped to "
                                  f"{show(now.src)}, {(time - old[1]) / _SECOND:.3f} s ago to "
                                  f"{show(old[0][1])}")
            other = inside_of.get(external)
            if other and other[0] != inside and time - other[1] < alive:
                self.failures.add(f"n {index}", f"{was.proto} {show(now.src)} stands for "
                                  f"{show(was.src)}, {(time - other[1]) / _SECOND:.3f} s ago for "
                                  f"{show(other[0][1])}")
            external_of[inside], inside_of[external] = (external, time), (inside, time)
        self.endpoints = len(external_of)


class Views:
    """What a tap on each wire saw of the judged connections, for tshark.

    The egress capture alone shows every direction under other addresses, so tshark would see
    only half connections in it. A wire carries what entered there and what left there.
    """

    def __init__(self, whole, presented, folder):
        self.whole, self.presented, self.folder = whole, presented, Path(folder)
        self.latest = 0
        self.members = {i for connection in whole.judged for i in connection.members}

    def _write(self, name, packets):
        path = self.folder / f"{name}.pcapng"
        linktype = packets[0].linktype if packets else pcapfile.ETHERNET
        packets = [p._replace(interface="inside", comment=None) for p in packets]
        pcapfile.write_pcapng(path, packets, linktype)
        return path

    def baseline(self):
        """The same connections as they were captured."""
        return self._write("capture", [self.whole.capture[i - 1] for i in sorted(self.members)])

    def wire(self, side):
        """Entering and leaving packets of one side, in time order, causes first."""
        packets, self.latest = [], 0
        for line in self.whole.lines:
            if line["n"] not in self.members or line["in"] is None:
                continue
            self.latest = max(self.latest, ledger.nanoseconds(line["t"]))
            if line["side"] == side:
                packets.append(self._entering(line))
            packets += [self.whole.egress[out["n"] - 1] for out in line["out"]
                        if out["side"] == side and out["n"] <= len(self.whole.egress)]
        return self._write(side, sorted(packets, key=lambda packet: packet.time))

    def _entering(self, line):
        """What entered by a line; its time never runs backwards, as what leaves never does."""
        packet = self.whole.capture[line["n"] - 1]
        if self.presented and line["in"] <= len(self.presented):
            packet = self.presented[line["in"] - 1]
        return packet._replace(time=self.latest)


def opinion(path):
    """tshark's count of connections with a whole handshake, and of ACKs of unseen segments."""
    seen, lost, unseen = {}, 0, 0
    names = ("frame.number", "tcp.stream", "tcp.completeness", "tcp.analysis.lost_segment",
             "tcp.analysis.ack_lost_segment")
    for _, stream, complete, lost_segment, ack_lost in tshark.rows(path, names, first=True):
        if stream:
            seen[stream] = seen.get(stream, 0) | int(complete or "0", 0)
        lost += bool(lost_segment)
        unseen += bool(ack_lost)
    return sum(bits & 7 == 7 for bits in seen.values()), unseen, lost


def second_opinion(whole, presented, args, failures):
    """Each wire, as tshark sees it, is as whole as the capture was."""
    with tempfile.TemporaryDirectory() as folder:
        views = Views(whole, presented, folder)
        handshakes, unseen, lost = opinion(views.baseline())
        print(f"  tshark, capture: {handshakes} handshakes, {unseen} ACKs of unseen segments, "
              f"{lost} lost segments")
        for side in ledger.SIDES:
            if side == "outside" and not presented:
                failures.note("outside wire not shown to tshark, --presented was not given", 0)
                continue
            h, u, l = opinion(views.wire(side))
            print(f"  tshark, {side} wire: {h} handshakes, {u} ACKs of unseen segments, "
                  f"{l} lost segments")
            if h != handshakes:
                failures.add(f"tshark, {side}", f"{h} handshakes, {handshakes} in the capture")
            if u > unseen:
                failures.add(f"tshark, {side}", f"{u} ACKs of unseen segments, "
                                                f"{unseen} in the capture")
    before, after = opinion(args.capture)[1], opinion(args.egress)[1]
    print(f"  tshark, ACKs of unseen segments: {before} in the capture, {after} in the egress")
    if after > before:
        failures.add("tshark", f"egress has {after} ACKs of unseen segments, capture {before}")


def check(args):
    """The whole check; gives the exit status."""
    failures = ledger.Failures()
    capture, egress = pcapfile.read(args.capture), pcapfile.read(args.egress)
    presented = pcapfile.read(args.presented) if args.presented else None
    lines = ledger.load(args.packets, failures)
    whole = Whole(capture, egress, lines, failures, args)
    total, complete = whole.run()
    for (function, reason), count in sorted(whole.excused.items()):
        failures.note(f"whole connections excused, {function}: {reason}", count)
    for outcome, count in whole.inbound.items():
        failures.note(f"whole connections opened from outside, {outcome}", count)
    if tshark.available():
        second_opinion(whole, presented, args, failures)
    else:
        print("  SKIPPED: there is no tshark here for a second opinion")
    return failures.report(f"{total} TCP connections, {complete} whole in the capture, "
                           f"{len(whole.judged)} held to it, {whole.translated} of them "
                           f"translated; {whole.endpoints} inside endpoints mapped")


def main(argv=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", help="the capture replayed")
    parser.add_argument("egress", help="what left the box (--out)")
    parser.add_argument("packets", help="JSON lines (--packets)")
    parser.add_argument("--presented", help="what entered the box, for the outside wire")
    parser.add_argument("--report", help="report.json: only drops it calls intended are policy")
    parser.add_argument("--policy", action="append", metavar="FUNCTION",
                        help="drops by these are policy, too (default without a report: "
                             + ", ".join(_POLICY_FUNCTIONS) + ")")
    for name, default, text in (("established", 7440, "an open TCP connection"),
                                ("tcp-lifetime", 240, "any TCP mapping"),
                                ("udp-lifetime", 120, "a UDP mapping"),
                                ("icmp-lifetime", 60, "an ICMP query mapping")):
        parser.add_argument(f"--{name}", type=float, default=default, metavar="SECONDS",
                            help=f"least idle life of {text} (default {default})")
    args = parser.parse_args(argv)
    args.policy = args.policy or (() if args.report else _POLICY_FUNCTIONS)
    try:
        return check(args)
    except (OSError, ValueError, pcapfile.CaptureError, tshark.TsharkError) as error:
        print(f"FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
