#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A capture of so many packets: big_capture.py FILE PACKETS

TCP connections of some 100 packets each and DNS queries, spread over a minute, between a hundred
inside hosts and a few servers. Checksums are right.
"""

import random
import struct
import sys


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(source, destination, protocol, segment, sum_at):
    pseudo = source + destination + struct.pack("!BBH", 0, protocol, len(segment))
    total = checksum(pseudo + segment)
    segment = segment[:sum_at] + struct.pack("!H", total) + segment[sum_at + 2:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, protocol, 0,
                         source, destination)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return bytes(12) + b"\x08\x00" + header + segment


def tcp(source, destination, ports, seq, ack, flags, payload=b""):
    segment = struct.pack("!HHIIBBHHH", *ports, seq, ack, 0x50, flags, 0xFFFF, 0, 0) + payload
    return frame(source, destination, 6, segment, 16)


def udp(source, destination, ports, payload):
    segment = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    return frame(source, destination, 17, segment, 6)


def connection(number, begin, span, chance):
    """48 turns of request and answer, some 100 packets."""
    client, server = bytes([192, 168, 1, 1 + number % 100]), bytes([198, 51, 100, 1 + number % 7])
    out, back = (2000 + number % 60000, 80), (80, 2000 + number % 60000)
    up, down = 1000, 5000
    steps = sorted(chance.random() for _ in range(48))
    at = begin
    yield at, tcp(client, server, out, up, 0, 2)
    yield at + 0.001, tcp(server, client, back, down, up + 1, 18)
    up, down = up + 1, down + 1
    yield at + 0.002, tcp(client, server, out, up, down, 16)
    for step in steps:
        at = begin + 0.01 + span * step
        yield at, tcp(client, server, out, up, down, 24, b"q" * 100)
        up += 100
        yield at + 0.0005, tcp(server, client, back, down, up, 24, b"a" * 700)
        down += 700
    at = begin + 0.02 + span
    yield at, tcp(client, server, out, up, down, 17)
    yield at + 0.001, tcp(server, client, back, down, up + 1, 17)
    yield at + 0.002, tcp(client, server, out, up + 1, down + 1, 16)


def queries(number, begin, chance):
    client, server = bytes([192, 168, 2, 1 + number % 100]), bytes([198, 51, 100, 53])
    for turn in range(2):
        ident = struct.pack("!H", chance.randrange(65536))
        at = begin + 10 * turn
        yield at, udp(client, server, (10000 + number, 53), ident + b"\1\0" + bytes(30))
        yield at + 0.01, udp(server, client, (53, 10000 + number), ident + b"\x81\0" + bytes(60))


def main():
    path, wanted = sys.argv[1], int(sys.argv[2])
    chance = random.Random(1)
    packets = []
    number = 0
    while len(packets) < wanted:
        packets += connection(number, 30 * chance.random(), 5 + 25 * chance.random(), chance)
        if number % 4 == 0:
            packets += queries(number, 40 * chance.random(), chance)
        number += 1
    packets.sort(key=lambda packet: packet[0])
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for at, data in packets[:wanted]:
            micros = int((1_700_000_000 + at) * 1e6)
            file.write(struct.pack("<IIII", micros // 1_000_000, micros % 1_000_000, len(data),
                                   len(data)) + data)


if __name__ == "__main__":
    main()
