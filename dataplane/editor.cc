// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/editor.h"

#include <netinet/in.h>
#include <rte_icmp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <algorithm>
#include <array>

#include "dataplane/mbuf_bytes.h"

namespace glassbox {
namespace {

constexpr std::uint32_t kTcpChecksum = 16;
constexpr std::uint32_t kUdpChecksum = 6;
constexpr std::uint32_t kIcmpChecksum = 2;
constexpr std::uint32_t kIcmpIdent = 4;

Field source_port_field(std::uint8_t protocol) {
  if (protocol == IPPROTO_TCP) return Field::kTcpSrcPort;
  return protocol == IPPROTO_UDP ? Field::kUdpSrcPort : Field::kIcmpIdent;
}

Field destination_port_field(std::uint8_t protocol) {
  if (protocol == IPPROTO_TCP) return Field::kTcpDstPort;
  return protocol == IPPROTO_UDP ? Field::kUdpDstPort : Field::kIcmpIdent;
}

template <typename T>
T load(const std::uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <typename T>
void store(std::uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof(value));
}

void update(std::uint8_t* checksum, ChecksumDelta delta) {
  store(checksum, delta.apply_to(load<std::uint16_t>(checksum)));
}

void update_udp(std::uint8_t* checksum, ChecksumDelta delta) {
  store(checksum, udp_checksum_after(load<std::uint16_t>(checksum), delta));
}

}  // namespace

// --- the fast path -----------------------------------------------------------------------------

EffectId AddressRewrite::Effects::ask(const AddressRewrite& rewrite, std::uint8_t protocol,
                                      Ledger& ledger) {
  const bool source = rewrite.end == End::kSource;
  FieldSet fields;
  if ((rewrite.flags & kChangesAddress) != 0) {
    fields.insert(source ? Field::kIpSrc : Field::kIpDst);
  }
  if ((rewrite.flags & kChangesPort) != 0) {
    fields.insert(source ? source_port_field(protocol) : destination_port_field(protocol));
  }
  return ids_[place_of(rewrite, protocol)] = ledger.intern(function_, fields);
}

AddressRewrite AddressRewrite::between(const Tuple& before, const Tuple& after, End end,
                                       FunctionId function, Ledger& ledger) {
  const auto end_of = [end](const Tuple& tuple) {
    const bool source = end == End::kSource;
    Endpoint endpoint{0, rte_cpu_to_be_16(source ? tuple.source_port : tuple.destination_port)};
    const IpAddress& address = source ? tuple.source : tuple.destination;
    std::memcpy(&endpoint.address, address.bytes.data(), 4);
    return endpoint;
  };
  AddressRewrite made;
  made.set(end_of(before), end_of(after), end, before.protocol);
  made.effect = Effects(function).of(made, before.protocol, ledger);
  return made;
}

EffectId AddressRewrite::apply_to_other(Packet& packet, Ledger& ledger) const {
  if (packet.has(kQuery)) {
    std::uint8_t* icmp = rte_pktmbuf_mtod_offset(packet.mbuf, std::uint8_t*, packet.l4);
    store(icmp + kIcmpIdent, port);
    update(icmp + kIcmpChecksum, ChecksumDelta(transport_delta));
    return effect;
  }
  if ((flags & kChangesAddress) == 0) return kNone;
  // A later fragment: the address alone.
  const FieldSet fields = FieldSet::of(end == End::kSource ? Field::kIpSrc : Field::kIpDst);
  return ledger.intern(ledger.effects()[effect].function, fields);
}

// --- checksums that follow ---------------------------------------------------------------------

void Editor::fix_ip_checksum(std::uint32_t l3, ChecksumDelta delta) { update(at(l3 + 10), delta); }

void Editor::fix_transport_checksum(ChecksumDelta delta, bool pseudo) {
  if (packet_.has(kTcp)) {
    update(at(packet_.l4 + kTcpChecksum), delta);
  } else if (packet_.has(kUdp)) {
    update_udp(at(packet_.l4 + kUdpChecksum), delta);
  } else if (packet_.has(kIcmp) && (!pseudo || packet_.has(kIpv6))) {
    update(at(packet_.l4 + kIcmpChecksum), delta);
  }
}

// The quoted packet's own transport checksum, if the quote holds it. Returns how that write changes
// the bytes that the outer ICMP checksum covers.
ChecksumDelta Editor::fix_quoted_transport_checksum(ChecksumDelta delta, bool pseudo) {
  std::uint32_t offset = packet_.quoted_l4;
  switch (packet_.quoted_protocol) {
    case IPPROTO_TCP:
      offset += kTcpChecksum;
      break;
    case IPPROTO_UDP:
      offset += kUdpChecksum;
      break;
    case IPPROTO_ICMP:
      if (pseudo) return {};
      offset += kIcmpChecksum;
      break;
    case IPPROTO_ICMPV6:
      offset += kIcmpChecksum;
      break;
    default:
      return {};
  }
  if (offset + 2 > std::min<std::uint32_t>(packet_.ip_end, packet_.mbuf->data_len)) return {};
  std::uint8_t* checksum = at(offset);
  const auto before = load<std::uint16_t>(checksum);
  if (packet_.quoted_protocol == IPPROTO_UDP) {
    update_udp(checksum, delta);
  } else {
    update(checksum, delta);
  }
  ChecksumDelta outer;
  outer.replace16(before, load<std::uint16_t>(checksum));
  return outer;
}

// --- header fields -----------------------------------------------------------------------------

void Editor::set_address(std::uint32_t offset, const IpAddress& address, Field four, Field six) {
  const bool v4 = packet_.has(kIpv4);
  const std::size_t size = v4 ? 4 : 16;
  std::uint8_t* field = at(offset);
  if (std::memcmp(field, address.bytes.data(), size) == 0) return;
  ChecksumDelta delta;
  delta.replace(field, address.bytes.data(), size);
  std::memcpy(field, address.bytes.data(), size);
  if (v4) fix_ip_checksum(packet_.l3, delta);
  fix_transport_checksum(delta, true);
  fields_.insert(v4 ? four : six);
}

void Editor::set_source(const IpAddress& address) {
  set_address(packet_.l3 + (packet_.has(kIpv4) ? 12u : 8u), address, Field::kIpSrc,
              Field::kIpv6Src);
}

void Editor::set_destination(const IpAddress& address) {
  set_address(packet_.l3 + (packet_.has(kIpv4) ? 16u : 24u), address, Field::kIpDst,
              Field::kIpv6Dst);
}

void Editor::set_ttl(std::uint8_t ttl) {
  const bool v4 = packet_.has(kIpv4);
  std::uint8_t* field = at(packet_.l3 + (v4 ? 8u : 7u));
  if (*field == ttl) return;
  std::uint8_t* word = at(packet_.l3 + (v4 ? 8u : 6u));
  const auto before = load<std::uint16_t>(word);
  *field = ttl;
  ChecksumDelta delta;
  delta.replace16(before, load<std::uint16_t>(word));
  if (v4) fix_ip_checksum(packet_.l3, delta);
  fields_.insert(v4 ? Field::kIpTtl : Field::kIpv6Hlim);
}

void Editor::set_dsfield(std::uint8_t value) {
  std::uint8_t* word = at(packet_.l3);
  const auto before = load<std::uint16_t>(word);
  if (packet_.has(kIpv4)) {
    word[1] = value;
  } else {
    word[0] = static_cast<std::uint8_t>((word[0] & 0xf0) | (value >> 4));
    word[1] = static_cast<std::uint8_t>((word[1] & 0x0f) | (value << 4));
  }
  const auto after = load<std::uint16_t>(word);
  if (before == after) return;
  ChecksumDelta delta;
  delta.replace16(before, after);
  if (packet_.has(kIpv4)) fix_ip_checksum(packet_.l3, delta);
  fields_.insert(packet_.has(kIpv4) ? Field::kIpDscp : Field::kIpv6Tclass);
}

template <typename T>
void Editor::set_transport(std::uint32_t offset, T value, Field field) {
  std::uint8_t* bytes = at(offset);
  const T before = load<T>(bytes);
  if (before == value) return;
  store(bytes, value);
  ChecksumDelta delta;
  delta.replace(&before, &value, sizeof(T));
  fix_transport_checksum(delta, false);
  fields_.insert(field);
}

void Editor::set_source_port(std::uint16_t port) {
  set_transport(packet_.l4, rte_cpu_to_be_16(port), source_port_field(packet_.protocol));
}

void Editor::set_destination_port(std::uint16_t port) {
  set_transport(packet_.l4 + 2u, rte_cpu_to_be_16(port), destination_port_field(packet_.protocol));
}

void Editor::set_icmp_ident(std::uint16_t ident) {
  set_transport(packet_.l4 + kIcmpIdent, rte_cpu_to_be_16(ident),
                packet_.has(kIpv4) ? Field::kIcmpIdent : Field::kIcmpv6Ident);
}

void Editor::set_tcp_seq(std::uint32_t seq) {
  set_transport(packet_.l4 + 4u, rte_cpu_to_be_32(seq), Field::kTcpSeq);
}

void Editor::set_tcp_ack(std::uint32_t ack) {
  set_transport(packet_.l4 + 8u, rte_cpu_to_be_32(ack), Field::kTcpAck);
}

void Editor::set_tcp_flags(std::uint8_t flags) {
  auto word = load<std::uint16_t>(at(packet_.l4 + 12u));
  word = static_cast<std::uint16_t>((word & RTE_BE16(0xff00)) | rte_cpu_to_be_16(flags));
  set_transport(packet_.l4 + 12u, word, Field::kTcpFlags);
  packet_.tcp_flags = flags;
}

void Editor::set_tcp_window(std::uint16_t window) {
  set_transport(packet_.l4 + 14u, rte_cpu_to_be_16(window), Field::kTcpWindow);
}

void Editor::set_tcp_options(std::uint32_t offset, std::span<const std::uint8_t> bytes,
                             const FieldSet& fields) {
  std::uint8_t* to = at(packet_.l4 + offset);
  if (std::memcmp(to, bytes.data(), bytes.size()) == 0) return;
  // The checksum's words are counted from the header's start, which the options' bytes are not.
  const std::uint32_t first = offset & ~1u;
  const std::uint32_t last = (offset + static_cast<std::uint32_t>(bytes.size()) + 1) & ~1u;
  std::array<std::uint8_t, 40> before;  // RFC 9293 3.1: more options than that there are not
  std::uint8_t* words = at(packet_.l4 + first);
  std::memcpy(before.data(), words, last - first);
  std::memcpy(to, bytes.data(), bytes.size());
  ChecksumDelta delta;
  delta.replace(before.data(), words, last - first);
  fix_transport_checksum(delta, false);
  fields_ = fields_ | fields;
}

// --- quoted packets ----------------------------------------------------------------------------

void Editor::set_quoted_address(std::uint32_t offset, const IpAddress& address, Field four,
                                Field six) {
  const bool v4 = packet_.has(kIpv4);
  const std::size_t size = v4 ? 4 : 16;
  std::uint8_t* field = at(offset);
  if (std::memcmp(field, address.bytes.data(), size) == 0) return;
  ChecksumDelta delta;
  delta.replace(field, address.bytes.data(), size);
  std::memcpy(field, address.bytes.data(), size);
  ChecksumDelta outer = delta;
  if (v4) {
    std::uint8_t* checksum = at(packet_.quoted_l3() + 10u);
    const auto before = load<std::uint16_t>(checksum);
    update(checksum, delta);
    outer.replace16(before, load<std::uint16_t>(checksum));
  }
  outer.add(fix_quoted_transport_checksum(delta, true));
  update(at(packet_.l4 + kIcmpChecksum), outer);
  fields_.insert(v4 ? four : six);
}

void Editor::set_quoted_source(const IpAddress& address) {
  set_quoted_address(packet_.quoted_l3() + (packet_.has(kIpv4) ? 12u : 8u), address,
                     Field::kQuotedIpSrc, Field::kQuotedIpv6Src);
}

void Editor::set_quoted_destination(const IpAddress& address) {
  set_quoted_address(packet_.quoted_l3() + (packet_.has(kIpv4) ? 16u : 24u), address,
                     Field::kQuotedIpDst, Field::kQuotedIpv6Dst);
}

void Editor::set_quoted_port(std::uint32_t offset, std::uint16_t port, Field tcp, Field udp) {
  Field field = packet_.quoted_protocol == IPPROTO_TCP ? tcp : udp;
  if (packet_.quoted_protocol == IPPROTO_ICMP) {
    offset = kIcmpIdent;
    field = Field::kQuotedIcmpIdent;
  } else if (packet_.quoted_protocol != IPPROTO_TCP && packet_.quoted_protocol != IPPROTO_UDP) {
    return;
  }
  std::uint8_t* bytes = at(packet_.quoted_l4 + offset);
  const auto before = load<std::uint16_t>(bytes);
  const std::uint16_t after = rte_cpu_to_be_16(port);
  if (before == after) return;
  store(bytes, after);
  ChecksumDelta delta;
  delta.replace16(before, after);
  ChecksumDelta outer = delta;
  outer.add(fix_quoted_transport_checksum(delta, false));
  update(at(packet_.l4 + kIcmpChecksum), outer);
  fields_.insert(field);
}

void Editor::set_quoted_source_port(std::uint16_t port) {
  set_quoted_port(0, port, Field::kQuotedTcpSrcPort, Field::kQuotedUdpSrcPort);
}

void Editor::set_quoted_destination_port(std::uint16_t port) {
  set_quoted_port(2, port, Field::kQuotedTcpDstPort, Field::kQuotedUdpDstPort);
}

void Editor::set_quoted_tcp_seq(std::uint32_t seq) {
  if (packet_.quoted_protocol != IPPROTO_TCP) return;
  std::uint8_t* bytes = at(packet_.quoted_l4 + 4u);
  const auto before = load<std::uint32_t>(bytes);
  const std::uint32_t after = rte_cpu_to_be_32(seq);
  if (before == after) return;
  store(bytes, after);
  ChecksumDelta delta;
  delta.replace32(before, after);
  ChecksumDelta outer = delta;
  outer.add(fix_quoted_transport_checksum(delta, false));
  update(at(packet_.l4 + kIcmpChecksum), outer);
  fields_.insert(Field::kQuotedTcpSeq);
}

// --- payload -----------------------------------------------------------------------------------

Field Editor::payload_field() const {
  if (packet_.has(kTcp)) return Field::kTcpPayload;
  if (packet_.has(kUdp)) return Field::kUdpPayload;
  return packet_.has(kIpv4) ? Field::kIcmpData : Field::kIcmpv6Data;
}

bool Editor::replace_payload(std::uint32_t offset, std::uint32_t erase,
                             std::span<const std::uint8_t> bytes, rte_mempool* pool) {
  const std::uint32_t old_length = packet_.ip_end - packet_.l4;
  const std::uint32_t new_length = old_length - erase + static_cast<std::uint32_t>(bytes.size());
  const std::uint32_t new_total = packet_.l4 - packet_.l3 + new_length;
  if (offset + erase > payload_length() || new_total > UINT16_MAX ||
      packet_.has(kFragmented | kTruncated)) {
    return false;
  }
  // Only what is replaced has another sum, unless all behind it moves by an odd number of bytes:
  // then each of its bytes counts for the other half of its word (RFC 1071 2 (B)).
  const bool moves = ((bytes.size() ^ erase) & 1) != 0;
  const std::uint32_t first = packet_.payload + offset;
  const bool swapped = ((first - packet_.l4) & 1) != 0;
  const auto sum_behind = [&](std::uint32_t length) {
    const std::uint16_t sum = sum_of(packet_.mbuf, first, moves ? packet_.ip_end - first : length);
    return swapped ? __builtin_bswap16(sum) : sum;
  };
  const std::uint16_t before = sum_behind(erase);
  if (!replace_bytes(packet_.mbuf, packet_.payload + offset, erase, bytes, pool)) return false;
  packet_.ip_end = packet_.l4 + new_length;
  ChecksumDelta delta;
  delta.replace16(before, sum_behind(static_cast<std::uint32_t>(bytes.size())));
  if (packet_.has(kUdp)) {
    const auto old = load<std::uint16_t>(at(packet_.l4 + 4u));
    const std::uint16_t fresh = rte_cpu_to_be_16(static_cast<std::uint16_t>(new_length));
    store(at(packet_.l4 + 4u), fresh);
    delta.replace16(old, fresh);
  }
  if (!packet_.has(kIcmp) || packet_.has(kIpv6)) {  // the pseudo-header's length
    delta.replace16(rte_cpu_to_be_16(static_cast<std::uint16_t>(old_length)),
                    rte_cpu_to_be_16(static_cast<std::uint16_t>(new_length)));
  }
  fix_transport_checksum(delta, false);
  if (packet_.has(kIpv4)) {
    const auto old_total = load<std::uint16_t>(at(packet_.l3 + 2u));
    const std::uint16_t total = rte_cpu_to_be_16(static_cast<std::uint16_t>(new_total));
    store(at(packet_.l3 + 2u), total);
    ChecksumDelta ip_delta;
    ip_delta.replace16(old_total, total);
    fix_ip_checksum(packet_.l3, ip_delta);
  } else {
    store(at(packet_.l3 + 4u),
          rte_cpu_to_be_16(static_cast<std::uint16_t>(new_total - sizeof(rte_ipv6_hdr))));
  }
  fields_.insert(payload_field());
  return true;
}

}  // namespace glassbox
