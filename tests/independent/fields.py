# SPDX-License-Identifier: BSD-3-Clause
"""A dissector of its own: {Wireshark field name: value} for any bytes whatever.

Every bit of a frame lands in exactly one field, so two frames that differ always differ in a
field. What cannot be parsed lands in `data`. Fields of a packet quoted in an ICMP error carry
the suffix `#2`.
"""

import struct

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_TCP = struct.Struct("!HHIIHHHH")
_QUOTE = "#2"

_VLAN_TYPES = (0x8100, 0x88A8, 0x9100)
_RAW_LINKS = (12, 14, 101, 228, 229)
_OPTION_NAMES = {2: "mss", 3: "wscale", 4: "sack_perm", 5: "sack", 8: "timestamp",
                 30: "mptcp", 34: "tfo"}
_SOURCE_ROUTES = (131, 137)
_EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)

CHECKSUMS = frozenset(("ip.checksum", "tcp.checksum", "udp.checksum", "icmp.checksum",
                       "icmpv6.checksum"))
LENGTHS = frozenset(("ip.len", "ip.hdr_len", "ipv6.plen", "udp.length", "tcp.hdr_len",
                     "pppoe.payload_length"))
LAYOUT = "tcp.options"


class Dissection:
    """The fields of one frame, and what its checksums and lengths speak about.

    `covers` maps a checksum to (first byte, end, sum of the pseudo header), `sizes` a length
    field to the bytes it really stands for. `partial` names the checksums whose covered bytes
    are not all in the frame: whether they are right cannot be said, how wrong stays the same.
    """

    __slots__ = ("frame", "fields", "covers", "sizes", "partial")

    def __init__(self, frame):
        self.frame = frame
        self.fields = {}
        self.covers = {}
        self.sizes = {}
        self.partial = set()

    def raw(self, name, lo, hi):
        """Puts bytes under a name; two places with one name are joined."""
        if hi > lo:
            self.fields[name] = self.fields.get(name, b"") + self.frame[lo:hi]

    def residue(self, name):
        """One's complement sum with the checksum in it: 0 is right, else how wrong it is."""
        lo, hi, pseudo = self.covers[name]
        total = int.from_bytes(self.frame[lo:hi], "big")
        if hi - lo & 1:
            total <<= 8
        return (total + pseudo) % 0xFFFF


def base(name):
    """A field's name without the mark of a quoted packet."""
    return name.removesuffix(_QUOTE)


def is_quoted(name):
    """Whether the field is one of a packet quoted in an ICMP error."""
    return name.endswith(_QUOTE)


def dissect(frame, linktype=1):
    """The dissection of a frame of the given link type; never raises on any bytes."""
    d = Dissection(frame)
    if linktype == 1:
        _ethernet(d, len(frame))
    elif linktype in _RAW_LINKS and frame:
        _network(d, {4: 0x0800, 6: 0x86DD}.get(frame[0] >> 4), 0, len(frame))
    else:
        d.raw("data", 0, len(frame))
    return d


def _ethernet(d, end):
    frame, f = d.frame, d.fields
    if end < 14:
        return d.raw("data", 0, end)
    f["eth.dst"], f["eth.src"] = frame[0:6], frame[6:12]
    kind, at = frame[12] << 8 | frame[13], 14
    f["eth.type"] = kind
    if kind in _VLAN_TYPES:
        kind, at = _vlan(d, kind, at, end)
    if kind == 0x8864:
        return _pppoe(d, at, end)
    return _network(d, kind, at, end)


def _vlan(d, kind, at, end):
    """All tags of a frame, outermost first, as lists."""
    tags = []
    while kind in _VLAN_TYPES and at + 4 <= end:
        control, kind = struct.unpack_from("!HH", d.frame, at)
        tags.append((control & 0xFFF, control >> 13, control >> 12 & 1, kind))
        at += 4
    if tags:
        names = ("vlan.id", "vlan.priority", "vlan.dei", "vlan.etype")
        d.fields.update(zip(names, zip(*tags)))
    return kind, at


def _pppoe(d, at, end):
    frame, f = d.frame, d.fields
    if end - at < 7:
        return d.raw("data", at, end)
    f["pppoe.version"], f["pppoe.type"] = frame[at] >> 4, frame[at] & 15
    f["pppoe.code"] = frame[at + 1]
    f["pppoe.session_id"], length = struct.unpack_from("!HH", frame, at + 2)
    f["pppoe.payload_length"] = length
    at += 6
    stop = min(end, at + length)
    d.sizes["pppoe.payload_length"] = stop - at
    start, protocol = at, None
    if stop - at >= 2 and not frame[at] & 1:
        protocol, at = frame[at] << 8 | frame[at + 1], at + 2
    elif stop > at and frame[at] & 1:
        protocol, at = frame[at], at + 1
    if protocol is not None:
        f["ppp.protocol"] = frame[start:at]
    _network(d, {0x21: 0x0800, 0x57: 0x86DD}.get(protocol), at, stop)
    return d.raw("eth.trailer", stop, end)


def _network(d, kind, lo, hi, s=""):
    if kind == 0x0800:
        _ipv4(d, lo, hi, s)
    elif kind == 0x86DD:
        _ipv6(d, lo, hi, s)
    else:
        d.raw("data" + s, lo, hi)


def _ipv4(d, lo, hi, s):
    frame, f = d.frame, d.fields
    if hi - lo < 20:
        return d.raw("data" + s, lo, hi)
    first, tos, length, ident, fragment, ttl, proto, stored, src, dst = _IPV4.unpack_from(frame, lo)
    header = (first & 15) * 4
    if first >> 4 != 4 or header < 20 or header > hi - lo:
        return d.raw("data" + s, lo, hi)
    f["ip.hdr_len" + s] = header
    f["ip.dsfield" + s] = tos
    f["ip.len" + s] = length
    f["ip.id" + s] = ident
    f["ip.flags.rb" + s] = fragment >> 15
    f["ip.flags.df" + s] = fragment >> 14 & 1
    f["ip.flags.mf" + s] = fragment >> 13 & 1
    f["ip.frag_offset" + s] = fragment & 0x1FFF
    f["ip.ttl" + s] = ttl
    f["ip.proto" + s] = proto
    f["ip.checksum" + s] = stored
    f["ip.src" + s] = src
    f["ip.dst" + s] = dst
    body, end = lo + header, _ipv4_end(length, header, lo, hi)
    if header > 20:
        f["ip.options" + s] = frame[lo + 20:body]
    d.covers["ip.checksum" + s] = (lo, body, 0)
    d.sizes["ip.hdr_len" + s] = header
    d.sizes["ip.len" + s] = end - lo
    d.raw("data" + s if s or 0 < length < header else "eth.trailer", end, hi)
    if fragment & 0x1FFF:
        return d.raw("data" + s, body, end)
    pseudo = int.from_bytes(src + dst, "big") + proto
    if header > 20 and _source_routed(frame[lo + 20:body]):
        pseudo = None
    partial = bool(fragment & 0x2000) or length > hi - lo
    return _transport(d, proto, body, end, s, pseudo, partial, 4)


def _ipv4_end(length, header, lo, hi):
    """Where the datagram ends; a total length of zero is what segmentation offload leaves."""
    if length == 0 or length > hi - lo:
        return hi
    return lo + max(length, header)


def _source_routed(options):
    """Whether the destination in the header is not the one the pseudo header has."""
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        if at + 2 >= len(options) or options[at + 1] < 2:
            return False
        if options[at] in _SOURCE_ROUTES and options[at + 2] <= options[at + 1]:
            return True
        at += options[at + 1]
    return False


def _ipv6(d, lo, hi, s):
    frame, f = d.frame, d.fields
    if hi - lo < 40 or frame[lo] >> 4 != 6:
        return d.raw("data" + s, lo, hi)
    first, length, following, hops, src, dst = _IPV6.unpack_from(frame, lo)
    f["ipv6.tclass" + s] = first >> 20 & 0xFF
    f["ipv6.flow" + s] = first & 0xFFFFF
    f["ipv6.plen" + s] = length
    f["ipv6.nxt" + s] = following
    f["ipv6.hlim" + s] = hops
    f["ipv6.src" + s] = src
    f["ipv6.dst" + s] = dst
    at = lo + 40
    end = hi if length == 0 or length > hi - at else at + length
    d.sizes["ipv6.plen" + s] = end - at
    d.raw("data" + s if s else "eth.trailer", end, hi)
    chain, pseudo, partial = [], int.from_bytes(src + dst, "big"), length > hi - at
    while following in _EXTENSIONS:
        size = _extension_size(frame, following, at, end)
        if size is None:
            following = None
            break
        raw = frame[at:at + size]
        chain.append((following, raw))
        if following == 43 and raw[3]:
            pseudo = None
        if following == 44:
            offset = raw[2] << 8 | raw[3]
            partial = partial or bool(offset & 1)
            following = None if offset >> 3 else raw[0]
        else:
            following = raw[0]
        at += size
    if chain:
        f["ipv6.exthdr" + s] = tuple(chain)
    if pseudo is not None and following is not None:
        pseudo += following
    return _transport(d, following, at, end, s, pseudo, partial, 6)


def _extension_size(frame, kind, at, end):
    """The size of an extension header, or nothing when it does not fit."""
    if end - at < 8:
        return None
    size = 8 if kind == 44 else (frame[at + 1] + 2) * 4 if kind == 51 else frame[at + 1] * 8 + 8
    return size if 8 <= size <= end - at else None


def _transport(d, proto, lo, hi, s, pseudo, partial, version):
    if proto == 6:
        _tcp(d, lo, hi, s, pseudo, partial)
    elif proto == 17:
        _udp(d, lo, hi, s, pseudo, partial)
    elif proto == 1 and version == 4:
        _icmp(d, lo, hi, s, partial)
    elif proto == 58 and version == 6:
        _icmpv6(d, lo, hi, s, pseudo, partial)
    else:
        d.raw("data" + s, lo, hi)


def _cover(d, name, lo, hi, pseudo, partial):
    """Notes what a checksum speaks about, unless its pseudo header is not known."""
    if pseudo is not None:
        d.covers[name] = (lo, hi, pseudo)
        if partial or is_quoted(name):
            d.partial.add(name)


def _tcp(d, lo, hi, s, pseudo, partial):
    frame, f = d.frame, d.fields
    if hi - lo < 20:
        return _short_tcp(d, lo, hi, s)
    src, dst, seq, ack, offset, window, stored, urgent = _TCP.unpack_from(frame, lo)
    header = (offset >> 12) * 4
    f["tcp.srcport" + s] = src
    f["tcp.dstport" + s] = dst
    f["tcp.seq" + s] = seq
    f["tcp.ack" + s] = ack
    f["tcp.hdr_len" + s] = header
    f["tcp.flags" + s] = offset & 0xFFF
    f["tcp.window_size_value" + s] = window
    f["tcp.checksum" + s] = stored
    f["tcp.urgent_pointer" + s] = urgent
    _cover(d, "tcp.checksum" + s, lo, hi, pseudo and pseudo + hi - lo, partial)
    body = lo + header
    if header < 20 or body > hi:
        return d.raw("data" + s, lo + 20, hi)
    d.sizes["tcp.hdr_len" + s] = header
    if header > 20:
        _tcp_options(d, lo + 20, body, s)
    f["tcp.payload" + s] = frame[body:hi]
    return None


def _short_tcp(d, lo, hi, s):
    """What a cut header still shows: an ICMP error need only quote eight bytes of it."""
    at = lo
    for name, size in (("tcp.srcport", 2), ("tcp.dstport", 2), ("tcp.seq", 4), ("tcp.ack", 4)):
        if hi - at < size:
            break
        d.fields[name + s] = int.from_bytes(d.frame[at:at + size], "big")
        at += size
    d.raw("data" + s, at, hi)


def _tcp_options(d, lo, hi, s):
    """Options by name; their order, padding and end are the layout."""
    frame, found, layout, at = d.frame, {}, [], lo
    while at < hi:
        kind = frame[at]
        layout.append(kind)
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        size = frame[at + 1] if at + 1 < hi else 0
        if size < 2 or at + size > hi:
            break
        name = _OPTION_NAMES.get(kind)
        if name:
            found.setdefault(name, []).append(frame[at + 2:at + size])
        else:
            found.setdefault("other", []).append(frame[at:at + size])
        at += size
    rest = frame[at:hi]
    if rest.strip(b"\0"):
        found.setdefault("other", []).append(rest)
    layout.append(len(rest))
    d.fields[LAYOUT + s] = tuple(layout)
    for name, values in found.items():
        d.fields[f"tcp.options.{name}{s}"] = tuple(values)


def _udp(d, lo, hi, s, pseudo, partial):
    frame, f = d.frame, d.fields
    if hi - lo < 8:
        return d.raw("data" + s, lo, hi)
    src, dst, length, stored = struct.unpack_from("!HHHH", frame, lo)
    f["udp.srcport" + s] = src
    f["udp.dstport" + s] = dst
    f["udp.length" + s] = length
    f["udp.checksum" + s] = stored
    end = lo + length if 8 <= length <= hi - lo else hi
    d.sizes["udp.length" + s] = end - lo
    _cover(d, "udp.checksum" + s, lo, end, pseudo and pseudo + length,
           partial or length > hi - lo)
    f["udp.payload" + s] = frame[lo + 8:end]
    return d.raw("data" + s, end, hi)


def _icmp(d, lo, hi, s, partial):
    frame, f = d.frame, d.fields
    if hi - lo < 8:
        return d.raw("data" + s, lo, hi)
    kind, code, stored = struct.unpack_from("!BBH", frame, lo)
    f["icmp.type" + s] = kind
    f["icmp.code" + s] = code
    f["icmp.checksum" + s] = stored
    _cover(d, "icmp.checksum" + s, lo, hi, 0, partial)
    if kind in (0, 8, 13, 14, 15, 16, 17, 18):
        f["icmp.ident" + s], f["icmp.seq" + s] = struct.unpack_from("!HH", frame, lo + 4)
        f["icmp.data" + s] = frame[lo + 8:hi]
    elif kind in (3, 4, 5, 11, 12) and not s:
        _icmp_error(d, kind, code, lo, hi)
    else:
        f["icmp.data" + s] = frame[lo + 4:hi]
    return None


def _icmp_error(d, kind, code, lo, hi):
    """The second word by type, then the quoted packet, then extensions (RFC 4884)."""
    frame, f, words = d.frame, d.fields, 0
    if kind == 5:
        f["icmp.redir_gw"] = frame[lo + 4:lo + 8]
    elif kind == 4:
        f["icmp.unused"] = frame[lo + 4:lo + 8]
    else:
        words = f["icmp.length"] = frame[lo + 5]
        f["icmp.pointer" if kind == 12 else "icmp.unused"] = frame[lo + 4:lo + 5]
        mtu = kind == 3 and code == 4
        f["icmp.mtu" if mtu else "icmp.reserved"] = frame[lo + 6] << 8 | frame[lo + 7]
    end = _quote_end(lo + 8, hi, words * 4)
    d.raw("icmp.ext", end, hi)
    _network(d, 0x0800, lo + 8, end, _QUOTE)


def _quote_end(at, hi, size):
    """Where the quoted packet ends if extensions may follow it."""
    return at + size if 0 < size <= hi - at else hi


def _icmpv6(d, lo, hi, s, pseudo, partial):
    frame, f = d.frame, d.fields
    if hi - lo < 8:
        return d.raw("data" + s, lo, hi)
    kind, code, stored = struct.unpack_from("!BBH", frame, lo)
    f["icmpv6.type" + s] = kind
    f["icmpv6.code" + s] = code
    f["icmpv6.checksum" + s] = stored
    _cover(d, "icmpv6.checksum" + s, lo, hi, pseudo and pseudo + hi - lo, partial)
    if kind in (128, 129):
        ident, seq = struct.unpack_from("!HH", frame, lo + 4)
        f["icmpv6.echo.identifier" + s] = ident
        f["icmpv6.echo.sequence_number" + s] = seq
        f["icmpv6.data" + s] = frame[lo + 8:hi]
    elif kind in (1, 2, 3, 4) and not s:
        _icmpv6_error(d, kind, lo, hi)
    else:
        f["icmpv6.data" + s] = frame[lo + 4:hi]
    return None


def _icmpv6_error(d, kind, lo, hi):
    frame, f, words = d.frame, d.fields, 0
    value = int.from_bytes(frame[lo + 4:lo + 8], "big")
    if kind == 2:
        f["icmpv6.mtu"] = value
    elif kind == 4:
        f["icmpv6.pointer"] = value
    else:
        words = f["icmpv6.length"] = value >> 24
        f["icmpv6.unused"] = value & 0xFFFFFF
    end = _quote_end(lo + 8, hi, words * 8)
    d.raw("icmpv6.ext", end, hi)
    _network(d, 0x86DD, lo + 8, end, _QUOTE)


def payload(d):
    """The application's bytes of a frame, wherever the dissection put them."""
    for name in ("tcp.payload", "udp.payload", "icmp.data", "icmpv6.data", "data"):
        if name in d.fields:
            return d.fields[name]
    return b""


def show(value):
    """A field's value as a person reads it."""
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 16 else f"{value[:16].hex()}...({len(value)} bytes)"
    return "absent" if value is None else str(value)
