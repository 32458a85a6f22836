# SPDX-License-Identifier: BSD-3-Clause
"""Builds small frames with right checksums for the self-tests."""

import struct

import pcapfile

SECOND = 1_000_000_000
CLIENT, SERVER = bytes((192, 168, 1, 10)), bytes((198, 51, 100, 7))
SYN, SYNACK, ACK, FIN = 0x02, 0x12, 0x10, 0x11


def checksum(data):
    """The Internet checksum, word by word: not the way the dissector does it."""
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(body, kind=0x0800, trailer=b""):
    """An untagged frame."""
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + struct.pack("!H", kind) + body + trailer


def ipv4(src, dst, proto, body, fragment=0x4000, ident=7, options=b""):
    """An IPv4 datagram."""
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(body), ident, fragment,
                       64, proto, 0, src, dst) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def tcp(src, dst, sport, dport, seq, ack, flags, payload=b"", options=b""):
    """An Ethernet frame with a TCP segment."""
    words = 5 + len(options) // 4
    body = struct.pack("!HHIIHHHH", sport, dport, seq, ack, words << 12 | flags, 8192, 0, 0)
    body += options + payload
    total = checksum(src + dst + struct.pack("!HH", 6, len(body)) + body)
    return ethernet(ipv4(src, dst, 6, body[:16] + struct.pack("!H", total) + body[18:]))


def udp(src, dst, sport, dport, payload, check=True):
    """An Ethernet frame with a UDP datagram."""
    body = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    total = checksum(src + dst + struct.pack("!HH", 17, len(body)) + body) or 0xFFFF
    return ethernet(ipv4(src, dst, 17, body[:6] + struct.pack("!H", total if check else 0)
                         + body[8:]))


def icmp(src, dst, kind, code, rest, payload):
    """An Ethernet frame with an ICMP message."""
    body = struct.pack("!BBHI", kind, code, 0, rest) + payload
    return ethernet(ipv4(src, dst, 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:]))


def capture(frames, start=1000 * SECOND, step=1_000_000, linktype=1):
    """Frames as packets of a capture, a millisecond apart."""
    return [pcapfile.Packet(i, None, start + i * step, frame, len(frame), None, linktype)
            for i, frame in enumerate(frames, 1)]


def conversation(sport=40000, payload=b"GET / HTTP/1.0\r\n\r\n"):
    """A whole TCP connection with data both ways, closed."""
    c, s = (CLIENT, SERVER, sport, 80), (SERVER, CLIENT, 80, sport)
    mss = b"\x02\x04\x05\xb4\x01\x01\x04\x02"
    size = len(payload)
    return [tcp(*c, 100, 0, SYN, options=mss), tcp(*s, 900, 101, SYNACK, options=mss),
            tcp(*c, 101, 901, ACK), tcp(*c, 101, 901, 0x18, payload),
            tcp(*s, 901, 101 + size, 0x18, b"answer!"), tcp(*c, 101 + size, 908, FIN),
            tcp(*s, 908, 102 + size, FIN), tcp(*c, 102 + size, 909, ACK)]
