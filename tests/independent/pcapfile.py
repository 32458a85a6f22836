# SPDX-License-Identifier: BSD-3-Clause
"""Reads and writes captures with nothing but the standard library.

The checkers must not share a reader with what they check: an error in libpcap's use, or in the
program's own writer, would otherwise cancel out.
"""

import struct
from typing import NamedTuple

ETHERNET = 1
RAW_IP = 101

_SECTION = 0x0A0D0D0A
_INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED = 1, 2, 3, 6
_PCAP_MAGIC = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
_BYTE_ORDER = 0x1A2B3C4D


class CaptureError(Exception):
    """A file that is not a whole capture; the text says where it breaks."""


class Packet(NamedTuple):
    """One captured frame; `index` counts from one, `time` is nanoseconds since the epoch."""

    index: int
    interface: str | None
    time: int
    data: bytes
    original: int
    comment: str | None
    linktype: int


class Interface(NamedTuple):
    """What an interface description block says that the packets after it need."""

    name: str | None
    linktype: int
    snaplen: int
    ticks: int
    offset: int


class Capture:
    """A capture in memory; `interfaces` is complete once the packets have been read."""

    def __init__(self, path):
        self.path = str(path)
        self.interfaces = []
        with open(path, "rb") as file:
            self._bytes = file.read()

    def __iter__(self):
        if len(self._bytes) < 4:
            raise CaptureError(f"{self.path}: {len(self._bytes)} bytes are no capture")
        if struct.unpack_from("<I", self._bytes)[0] == _SECTION:
            return self._pcapng()
        return self._pcap()

    def _pcap(self):
        """Classic pcap: the magic tells byte order and the unit of time."""
        data = self._bytes
        for order in "<>":
            unit = _PCAP_MAGIC.get(struct.unpack_from(order + "I", data)[0])
            if unit:
                break
        else:
            raise CaptureError(f"{self.path}: unknown magic {data[:4].hex()}")
        if len(data) < 24:
            raise CaptureError(f"{self.path}: file header cut short")
        linktype = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
        self.interfaces = [Interface(None, linktype, 0, 0, 0)]
        record, at, index = struct.Struct(order + "IIII"), 24, 0
        while at < len(data):
            index += 1
            if at + 16 > len(data):
                raise CaptureError(f"{self.path}: packet {index}: record header cut short")
            seconds, fraction, kept, original = record.unpack_from(data, at)
            at += 16
            if at + kept > len(data):
                raise CaptureError(f"{self.path}: packet {index}: {kept} bytes promised, "
                                   f"{len(data) - at} there")
            time = seconds * 1_000_000_000 + fraction * unit
            yield Packet(index, None, time, data[at:at + kept], original, None, linktype)
            at += kept

    def _pcapng(self):
        """Blocks of sections; every section may have its own byte order and interfaces."""
        data, at, index, order, section = self._bytes, 0, 0, "<", []
        while at < len(data):
            if at + 12 > len(data):
                raise CaptureError(f"{self.path}: block at byte {at} cut short")
            if data[at:at + 4] == b"\x0a\x0d\x0d\x0a":
                order, section = self._byte_order(at), []
            kind, length = struct.unpack_from(order + "II", data, at)
            if length < 12 or length % 4 or at + length > len(data):
                raise CaptureError(f"{self.path}: block at byte {at} has length {length}")
            if data[at + 4:at + 8] != data[at + length - 4:at + length]:
                raise CaptureError(f"{self.path}: block at byte {at}: its two lengths differ")
            body, end = at + 8, at + length - 4
            if kind == _INTERFACE:
                section.append(_interface(data, body, end, order))
                self.interfaces.append(section[-1])
            elif kind in (_ENHANCED, _SIMPLE, _OLD_PACKET):
                index += 1
                try:
                    yield _packet(kind, data, body, end, order, section, index)
                except (IndexError, ValueError, struct.error) as error:
                    raise CaptureError(f"{self.path}: packet {index} at byte {at}: "
                                       f"{error}") from error
            at += length

    def _byte_order(self, at):
        """The section header's own mark of its byte order."""
        for order in "<>":
            if struct.unpack_from(order + "I", self._bytes, at + 8)[0] == _BYTE_ORDER:
                return order
        raise CaptureError(f"{self.path}: section at byte {at} has no byte order mark")


def read(path):
    """All packets of a capture, in file order."""
    return list(Capture(path))


def _options(data, at, end, order):
    """The (code, value) pairs of a block's option list."""
    while at + 4 <= end:
        code, length = struct.unpack_from(order + "HH", data, at)
        if code == 0 or at + 4 + length > end:
            return
        yield code, data[at + 4:at + 4 + length]
        at += 4 + (length + 3 & ~3)


def _interface(data, at, end, order):
    linktype, _, snaplen = struct.unpack_from(order + "HHI", data, at)
    name, ticks, offset = None, 1_000_000, 0
    for code, value in _options(data, at + 8, end, order):
        if code == 2:
            name = value.decode("utf-8", "replace").rstrip("\0")
        elif code == 9 and value:
            ticks = 1 << (value[0] & 127) if value[0] & 128 else 10 ** value[0]
        elif code == 14 and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0]
    return Interface(name, linktype, snaplen, ticks, offset)


def _packet(kind, data, at, end, order, section, index):
    if kind == _SIMPLE:
        interface = section[0]
        original = struct.unpack_from(order + "I", data, at)[0]
        kept = min(original, interface.snaplen or original, end - at - 4)
        return Packet(index, interface.name, 0, data[at + 4:at + 4 + kept], original, None,
                      interface.linktype)
    if kind == _ENHANCED:
        number, high, low, kept, original = struct.unpack_from(order + "IIIII", data, at)
    else:
        number, _, high, low, kept, original = struct.unpack_from(order + "HHIIII", data, at)
    if at + 20 + kept > end:
        raise ValueError(f"{kept} bytes promised, {end - at - 20} there")
    interface = section[number]
    ticks = high << 32 | low
    time = ticks * 1_000_000_000 // interface.ticks + interface.offset * 1_000_000_000
    comment, options = None, at + 20 + (kept + 3 & ~3)
    if options < end:
        texts = [v.decode("utf-8", "replace") for c, v in _options(data, options, end, order)
                 if c == 1]
        comment = "\n".join(texts) if texts else None
    return Packet(index, interface.name, time, data[at + 20:at + 20 + kept], original, comment,
                  interface.linktype)


def _block(kind, body):
    body += b"\0" * (-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _option(code, value):
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def write_pcapng(path, packets, linktype=ETHERNET, names=("inside", "outside")):
    """Writes `packets` with nanosecond stamps, for tests and for views that tshark reads."""
    with open(path, "wb") as file:
        file.write(_block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1)))
        for name in names:
            options = _option(2, name.encode()) + _option(9, b"\x09") + _option(0, b"")
            file.write(_block(_INTERFACE, struct.pack("<HHI", linktype, 0, 0) + options))
        for packet in packets:
            head = struct.pack("<IIIII", names.index(packet.interface), packet.time >> 32,
                               packet.time & 0xFFFFFFFF, len(packet.data), packet.original)
            body = head + packet.data + b"\0" * (-len(packet.data) % 4)
            if packet.comment:
                body += _option(1, packet.comment.encode()) + _option(0, b"")
            file.write(_block(_ENHANCED, body))


def write_pcap(path, packets, linktype=ETHERNET, order="<", nanoseconds=False):
    """Writes a classic pcap in the byte order and unit asked for."""
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    with open(path, "wb") as file:
        file.write(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, linktype))
        for packet in packets:
            seconds, rest = divmod(packet.time, 1_000_000_000)
            file.write(struct.pack(order + "IIII", seconds, rest // unit, len(packet.data),
                                   packet.original) + packet.data)
