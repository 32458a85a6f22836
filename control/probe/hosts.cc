// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe/hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "control/probe/transport.h"
#include "control/value_text.h"

namespace glassbox {
namespace {

// Knowledge by one protocol says nothing about another: their ports are not the same ports.
std::uint8_t protocol_of(const PacketSpec& packet) {
  static constexpr std::array<std::uint8_t, static_cast<std::size_t>(PacketKind::kCount)> kNumbers =
      {kProtocolTcp,     kProtocolUdp,
       kProtocolUdpLite, kProtocolSctp,
       kProtocolDccp,    kProtocolIcmp,
       kProtocolIcmp,    kProtocolIcmp,
       kProtocolIcmp,    kProtocolIcmp,
       kProtocolGre,     kProtocolEsp,
       kProtocolAh,      0};
  return packet.kind == PacketKind::kIp ? packet.protocol
                                        : kNumbers[static_cast<std::size_t>(packet.kind)];
}

bool asks(PacketKind kind) { return kind == PacketKind::kEcho || kind == PacketKind::kTimestamp; }
bool answers(PacketKind kind) {
  return kind == PacketKind::kReply || kind == PacketKind::kTimestampReply;
}
bool has_ports(PacketKind kind) { return kind <= PacketKind::kDccp || kind == PacketKind::kAh; }

std::string place_text(const IpAddress& address, std::uint16_t port) {
  const std::string text = text_of(address);
  if (port == 0) return text;
  return address.version == 6 ? fmt::format("[{}]:{}", text, port)
                              : fmt::format("{}:{}", text, port);
}

std::size_t payload_at(const ByteString& datagram, const FrameParts& parts) {
  switch (parts.protocol) {
    case kProtocolTcp:
      return parts.l4 + (datagram[parts.l4 + 12] >> 4) * 4u;
    case kProtocolUdp:
    case kProtocolUdpLite:
      return parts.l4 + 8;
    default:
      return parts.end;
  }
}

std::string comma_text(const IpAddress& address, std::uint16_t port) {
  return fmt::format("{},{},{},{},{},{}", address.bytes[0], address.bytes[1], address.bytes[2],
                     address.bytes[3], port >> 8, port & 255);
}

// What one of the two texts above says.
std::optional<std::pair<IpAddress, std::uint16_t>> parse_place(std::string text, bool with_commas) {
  if (with_commas) {
    std::array<unsigned, 6> v{};
    const int got = std::sscanf(text.c_str(), "%3u,%3u,%3u,%3u,%3u,%3u", &v[0], &v[1], &v[2], &v[3],
                                &v[4], &v[5]);
    if (got != 6 || std::ranges::any_of(v, [](unsigned each) { return each > 255; })) {
      return std::nullopt;
    }
    const auto address = IpAddress::v4(v[0] << 24 | v[1] << 16 | v[2] << 8 | v[3]);
    return std::pair(address, static_cast<std::uint16_t>(v[4] << 8 | v[5]));
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto address = parse_prefix(host);
  const auto port = parse_integer(text.substr(colon + 1));
  if (!address || !port || *port < 0 || *port > 65535) return std::nullopt;
  return std::pair(address->address, static_cast<std::uint16_t>(*port));
}

// `after` lies behind `before` in sequence space.
bool is_after(std::uint32_t after, std::uint32_t before) {
  return static_cast<std::int32_t>(after - before) > 0;
}

constexpr std::uint32_t kWindow = 65535;

}  // namespace

std::optional<HostName> Hosts::host_at(const IpAddress& address) const {
  const auto found = std::find(addresses_.begin(), addresses_.end(), address);
  if (found == addresses_.end()) return std::nullopt;
  return static_cast<HostName>(found - addresses_.begin());
}

// --- sending -----------------------------------------------------------------------------------

Hosts::Known Hosts::where(const ScriptStep& step) {
  const auto key = std::make_tuple(step.from.host, step.to, protocol_of(step.packet));
  const auto seen = seen_.find(key);
  if (seen != seen_.end()) return seen->second;
  const auto told = told_.find({step.from.host, step.to});
  const Known known =
      told != told_.end() ? told->second : Known{address(step.to.host), step.to.port};
  seen_[key] = known;
  return known;
}

Hosts::Connection& Hosts::connection(const SocketName& own, const SocketName& peer) {
  Connection& found = connections_[{own, peer}];
  if (!found.began) {
    found.began = true;
    found.isn = 10'000'000u * (static_cast<std::uint32_t>(own.host) + 1) + own.port;
    found.next = found.isn;
  }
  return found;
}

TcpNumbers Hosts::numbers(const ScriptStep& step, std::size_t payload) {
  const PacketSpec& packet = step.packet;
  Connection& own = connection(step.from, step.to);
  const bool syn = packet.flags.find('S') != std::string::npos;
  const bool fin = packet.flags.find('F') != std::string::npos;
  // A SYN after the end of a connection begins another, with numbers further on (RFC 9293 3.4.1).
  if (syn && own.next != own.isn && !packet.seq) {
    const std::uint32_t isn = own.next + 100'000;
    const bool answers = own.heard && packet.flags.find('A') != std::string::npos;
    own.isn = own.next = isn;
    own.heard = answers;
  }
  TcpNumbers numbers;
  numbers.seq = packet.seq ? own.isn + *packet.seq : own.next;
  if (packet.keep_alive) numbers.seq = own.next - 1;
  if (packet.flags.find('A') != std::string::npos) {
    numbers.ack = packet.ack ? own.irs + *packet.ack : own.expected;
  }
  numbers.source_isn = own.isn;
  numbers.destination_isn = own.irs;
  const auto length = static_cast<std::uint32_t>(payload) + (syn ? 1 : 0) + (fin ? 1 : 0);
  if (!packet.keep_alive && is_after(numbers.seq + length, own.next)) {
    own.next = numbers.seq + length;
  }
  return numbers;
}

ByteString Hosts::payload(const ScriptStep& step) const {
  ByteString bytes;
  for (const PayloadPart& part : step.packet.payload) {
    if (!part.socket) {
      bytes.insert(bytes.end(), part.bytes.begin(), part.bytes.end());
      continue;
    }
    const IpAddress& own = address(part.socket->host);
    const std::string text =
        part.with_commas ? comma_text(own, part.socket->port) : place_text(own, part.socket->port);
    bytes.insert(bytes.end(), text.begin(), text.end());
  }
  return bytes;
}

ByteString Hosts::make(const ScriptStep& step) {
  const ByteString data = payload(step);
  FrameRequest request{.spec = step.packet, .addressing = {}, .tcp = {}};
  request.payload = data;
  request.id = step.packet.id.value_or(next_id_++);
  request.addressing.source = address(step.from.host);
  request.addressing.source_port = step.from.port;
  if (step.packet.kind == PacketKind::kError) {
    const ByteString& last = crossed_[static_cast<std::size_t>(step.to.host)];
    if (last.empty()) {
      throw std::invalid_argument(fmt::format(
          "no packet of the {} got across that an error could quote", name_of(step.to.host)));
    }
    const FrameParts parts = read_frame(last);
    request.quoted = std::span(last).subspan(parts.l3, parts.end - parts.l3);
    request.addressing.destination = parts.source;
  } else {
    const Known to = where(step);
    request.addressing.destination = to.address;
    request.addressing.destination_port = to.port;
  }
  if (step.packet.kind == PacketKind::kTcp) request.tcp = numbers(step, data.size());
  ByteString frame = build_frame(request);
  sent_[static_cast<std::size_t>(step.from.host)].push_back(frame);
  return frame;
}

void Hosts::tell(const ScriptStep& step) {
  for (const auto& [key, known] : seen_) {
    if (std::get<0>(key) != step.from.host || std::get<1>(key) != step.told) continue;
    told_[{step.to.host, step.told}] = known;
    return;
  }
  throw std::invalid_argument(
      fmt::format("the {} has not heard from the {} and has nothing to tell",
                  name_of(step.from.host), name_of(step.told.host)));
}

// --- receiving ---------------------------------------------------------------------------------

std::string Hosts::receive(const ScriptStep& step, const ByteString& datagram) {
  const FrameParts parts = read_frame(datagram);
  if (parts.version == 0) return "it is no IP datagram any more";
  std::string fault = check_addresses(step, parts);
  if (!fault.empty()) return fault;
  TcpNumbers isns;
  if (step.packet.kind == PacketKind::kTcp) {
    const Connection& own = connection(step.to, step.from);
    isns = {.source_isn = own.irs, .destination_isn = own.isn};
  }
  fault = fault_of(datagram, step.packet, isns);
  if (!fault.empty()) return fault;
  if (step.packet.kind == PacketKind::kTcp) fault = check_tcp(step, datagram, parts);
  if (step.packet.kind == PacketKind::kError) fault = check_quote(step, datagram, parts);
  if (!fault.empty()) return fault;
  crossed_[static_cast<std::size_t>(step.from.host)] = datagram;
  return read_payload(step, datagram, parts);
}

std::string Hosts::check_addresses(const ScriptStep& step, const FrameParts& parts) {
  if (parts.destination != address(step.to.host)) {
    return fmt::format("it is addressed to {}, not to the {}", text_of(parts.destination),
                       name_of(step.to.host));
  }
  const PacketKind kind = step.packet.kind;
  if ((has_ports(kind) || answers(kind)) && parts.destination_port != step.to.port) {
    return fmt::format("it comes to {} {}, not {}", has_ports(kind) ? "port" : "identifier",
                       parts.destination_port, step.to.port);
  }
  if (kind == PacketKind::kError) return "";
  Known from{parts.source, step.from.port};
  if (has_ports(kind) || asks(kind)) from.port = parts.source_port;
  const auto key = std::make_tuple(step.to.host, step.from, protocol_of(step.packet));
  const auto [known, fresh] = seen_.try_emplace(key, from);
  if (answers(kind)) from.port = known->second.port;
  if (!fresh && known->second != from && !step.packet.agile) {
    return fmt::format("the {} takes it for a stranger's: it comes from {}, not from {}",
                       name_of(step.to.host), place_text(from.address, from.port),
                       place_text(known->second.address, known->second.port));
  }
  known->second = from;
  return "";
}

// A segment within the window, that acknowledges nothing which was never sent (RFC 9293 3.10.7.4).
std::string Hosts::check_tcp(const ScriptStep& step, const ByteString& datagram,
                             const FrameParts& parts) {
  Connection& own = connection(step.to, step.from);
  const std::uint8_t flags = datagram[parts.l4 + 13];
  const bool fin = (flags & 1) != 0, syn = (flags & 2) != 0, rst = (flags & 4) != 0;
  const std::uint32_t seq = get32(datagram, parts.l4 + 4);
  auto length = static_cast<std::uint32_t>(parts.end - payload_at(datagram, parts)) + (fin ? 1 : 0);
  const std::uint32_t ack = get32(datagram, parts.l4 + 8);
  if ((flags & 16) != 0 && !rst && (is_after(ack, own.next) || is_after(own.isn, ack))) {
    return fmt::format("it acknowledges {}, which the {} never sent", ack, name_of(step.to.host));
  }
  if (syn) {
    own.heard = true;
    own.irs = seq;
    own.expected = seq;
    own.early.clear();
    ++length;
  } else if (!own.heard) {
    own.heard = true;
    own.irs = own.expected = seq;
  } else if (is_after(seq, own.expected + kWindow) || is_after(own.expected, seq + kWindow)) {
    return fmt::format("its sequence number {} is far from the {} that is expected", seq,
                       own.expected);
  }
  own.early[seq] = std::max(own.early[seq], length);
  for (auto next = own.early.find(own.expected); next != own.early.end() && next->second != 0;
       next = own.early.find(own.expected)) {
    own.expected += next->second;
  }
  return "";
}

// An error is of use if its quote is of a packet that the host sent: addresses, protocol, ports or
// identifier, and TCP's sequence number (RFC 5927 4.1).
std::string Hosts::check_quote(const ScriptStep& step, const ByteString& datagram,
                               const FrameParts& parts) {
  const auto quoted = std::span(datagram).subspan(parts.l4 + 8, parts.end - parts.l4 - 8);
  const FrameParts about = read_datagram(quoted);
  if (about.version == 0) return "what it quotes cannot be read";
  for (const ByteString& frame : sent_[static_cast<std::size_t>(step.to.host)]) {
    const FrameParts own = read_frame(frame);
    const bool same = own.source == about.source && own.destination == about.destination &&
                      own.protocol == about.protocol && own.source_port == about.source_port &&
                      own.destination_port == about.destination_port;
    if (!same) continue;
    if (own.protocol != kProtocolTcp || get32(frame, own.l4 + 4) == get32(quoted, about.l4 + 4)) {
      return "";
    }
  }
  return fmt::format("the {} has no use for it: it quotes {} > {}, which the {} never sent",
                     name_of(step.to.host), place_text(about.source, about.source_port),
                     place_text(about.destination, about.destination_port), name_of(step.to.host));
}

// Sockets that the payload names: what the reader makes of it is where it will send.
std::string Hosts::read_payload(const ScriptStep& step, const ByteString& datagram,
                                const FrameParts& parts) {
  const auto& written = step.packet.payload;
  const bool names_one = std::any_of(written.begin(), written.end(), [](const PayloadPart& part) {
    return part.socket.has_value();
  });
  if (!names_one) return "";
  const std::size_t begin = payload_at(datagram, parts);
  const std::string text(datagram.begin() + static_cast<std::ptrdiff_t>(begin),
                         datagram.begin() + static_cast<std::ptrdiff_t>(parts.end));
  std::size_t at = 0;
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (!written[i].socket) {
      const std::string literal(written[i].bytes.begin(), written[i].bytes.end());
      if (text.compare(at, literal.size(), literal) != 0) return "what it says cannot be read";
      at += literal.size();
      continue;
    }
    const std::size_t end = text.find_first_not_of("0123456789abcdef.:,[]", at);
    const auto place = parse_place(text.substr(at, end - at), written[i].with_commas);
    if (!place) return "the address in it cannot be read";
    told_[{step.to.host, *written[i].socket}] = {place->first, place->second};
    at = std::min(end, text.size());
  }
  return "";
}

}  // namespace glassbox
