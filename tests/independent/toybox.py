# SPDX-License-Identifier: BSD-3-Clause
"""A toy middlebox whose ledger is known to be true, to try the checkers on.

It translates TCP, UDP and echo queries over IPv4 with one address and leaves the rest alone.
Tests then make its outputs lie, one lie at a time.
"""

import json
import struct

import fields
import pcapfile

EXTERNAL = bytes((203, 0, 113, 1))


def swap(frame, checksum_at, at, new):
    """Writes `new` at an even place and updates a checksum as RFC 1624 says (equation 3)."""
    old = frame[at:at + len(new)]
    frame[at:at + len(new)] = new
    if checksum_at is None:
        return
    total = ~int.from_bytes(frame[checksum_at:checksum_at + 2], "big") & 0xFFFF
    for was, now in zip(struct.unpack(f"!{len(old) // 2}H", old),
                        struct.unpack(f"!{len(new) // 2}H", new)):
        total += (~was & 0xFFFF) + now
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    frame[checksum_at:checksum_at + 2] = (~total & 0xFFFF).to_bytes(2, "big")


class ToyBox:
    """Replays a capture: `presented`, `egress` and `lines` are what the program would write."""

    def __init__(self, capture, translate=True):
        self.capture = list(capture)
        self.translate = translate
        self.presented, self.egress, self.lines = [], [], []
        self.mapping, self.flows, self.latest = {}, {}, 0
        for packet in self.capture:
            self._packet(packet)

    def _packet(self, packet):
        d = fields.dissect(packet.data, packet.linktype)
        side, flow = self._side(d)
        plan = self._plan(d, side) if self.translate else None
        entering = leaving = packet.data
        names = []
        if plan:
            external, own, peer = plan
            if side == "inside":
                leaving, names = self._rewrite(d, "src", external), own
            else:
                entering, names = self._rewrite(d, "dst", external), peer
            a, b = fields.dissect(entering, packet.linktype), fields.dissect(leaving,
                                                                            packet.linktype)
            names = [n for n in names if a.fields.get(n) != b.fields.get(n)]
        self.latest = max(self.latest, packet.time)
        self._emit(packet, side, flow, entering, leaving, names)

    def _emit(self, packet, side, flow, entering, leaving, names):
        other = "outside" if side == "inside" else "inside"
        number = len(self.presented) + 1
        stamped = packet._replace(time=self.latest)
        self.presented.append(stamped._replace(index=number, interface=side, data=entering))
        self.egress.append(stamped._replace(index=number, interface=other, data=leaving,
                                            comment="forward nat44 " + " ".join(names)))
        effects = [{"f": "nat44", "fields": names}] if names else []
        self.lines.append({"n": packet.index, "in": number, "t": decimals(packet.time),
                           "side": side, "flow": flow, "verdict": "forward", "effects": effects,
                           "out": [{"n": number, "side": other}]})

    def _side(self, d):
        """The side of a packet by the first sender of its pair of endpoints."""
        f = d.fields
        src = f.get("ip.src", f.get("ipv6.src", f.get("eth.src", b"")))
        dst = f.get("ip.dst", f.get("ipv6.dst", f.get("eth.dst", b"")))
        src += bytes(str(f.get("tcp.srcport", f.get("udp.srcport"))), "ascii")
        dst += bytes(str(f.get("tcp.dstport", f.get("udp.dstport"))), "ascii")
        initiator, number = self.flows.setdefault(frozenset((src, dst)),
                                                  (src, len(self.flows) + 1))
        return ("inside" if src == initiator else "outside"), number

    def _plan(self, d, side):
        """What to translate: mapping and field names, or nothing."""
        f = d.fields
        if "ip.src" not in f:
            return None
        if "tcp.srcport" in f and "tcp.checksum" in d.covers:
            own, peer = ("ip.src", "tcp.srcport"), ("ip.dst", "tcp.dstport")
        elif "udp.srcport" in f and "udp.checksum" in d.covers:
            own, peer = ("ip.src", "udp.srcport"), ("ip.dst", "udp.dstport")
        elif f.get("icmp.type") == (8 if side == "inside" else 0):
            own, peer = ("ip.src", "icmp.ident"), ("ip.dst", "icmp.ident")
        else:
            return None
        inside = tuple(f[name] for name in (own if side == "inside" else peer))
        key = (own[1], inside)
        if side == "inside":
            self.mapping.setdefault(key, 1024 + len(self.mapping))
        elif key not in self.mapping:
            return None
        return self.mapping[key], own, peer

    def _rewrite(self, d, which, port):
        """The frame with its source or destination replaced, checksums updated."""
        frame, f = bytearray(d.frame), d.fields
        at = d.covers["ip.checksum"][0]
        body = at + f["ip.hdr_len"]
        offset, pseudo = {6: (16, True), 17: (6, True), 1: (2, False)}[f["ip.proto"]]
        checksum = body + offset
        if f.get("udp.checksum") == 0:
            checksum = None
        address = at + (12 if which == "src" else 16)
        if pseudo and checksum is not None:
            probe = bytearray(frame)
            swap(probe, checksum, address, EXTERNAL)
            frame[checksum:checksum + 2] = probe[checksum:checksum + 2]
        swap(frame, at + 10, address, EXTERNAL)
        place = body + 4 if not pseudo else body + (0 if which == "src" else 2)
        swap(frame, checksum, place, port.to_bytes(2, "big"))
        if "udp.checksum" in f and checksum is not None and not any(frame[checksum:checksum + 2]):
            frame[checksum:checksum + 2] = b"\xff\xff"
        return bytes(frame)

    def conservation(self):
        """The books of a run in which everything was forwarded, or says what became of it."""
        verdicts = [line["verdict"] for line in self.lines]
        split = sum(max(0, len(line["out"]) - 1) for line in self.lines)
        return {"received": sum(line["in"] is not None for line in self.lines),
                "forwarded": verdicts.count("forward"), "dropped": verdicts.count("drop"),
                "held": verdicts.count("hold"), "merged": verdicts.count("merge"),
                "prevented": verdicts.count("prevented"), "injected": verdicts.count("inject"),
                "split": split, "transmitted": len(self.egress), "unsent": 0, "balanced": True}

    def write(self, folder):
        """Writes capture, presented, egress and lines; gives their paths."""
        paths = [str(folder / name) for name in ("c.pcapng", "i.pcapng", "o.pcapng", "p.jsonl")]
        linktype = self.capture[0].linktype if self.capture else pcapfile.ETHERNET
        original = [p._replace(interface="inside", comment=None) for p in self.capture]
        pcapfile.write_pcapng(paths[0], original, linktype)
        pcapfile.write_pcapng(paths[1], self.presented, linktype)
        pcapfile.write_pcapng(paths[2], self.egress, linktype)
        with open(paths[3], "w", encoding="utf-8") as file:
            for line in self.lines:
                file.write(json.dumps(line) + "\n")
        return paths


def decimals(time):
    """Nanoseconds as seconds with nine decimals."""
    return f"{time // 1_000_000_000}.{time % 1_000_000_000:09d}"
