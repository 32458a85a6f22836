// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe/transport.h"

#include <algorithm>

namespace glassbox {
namespace {

void append(ByteString& to, std::span<const std::uint8_t> more) {
  to.insert(to.end(), more.begin(), more.end());
}
void append16(ByteString& to, std::uint32_t value) {
  to.resize(to.size() + 2);
  put16(to, to.size() - 2, value);
}
void append32(ByteString& to, std::uint32_t value) {
  to.resize(to.size() + 4);
  put32(to, to.size() - 4, value);
}

// Option kinds of which the MAC is filled in by seal_frame().
ByteString option_bytes(const OptionSpec& option, const TcpNumbers& tcp) {
  ByteString body = option.body;
  if (option.form == OptionSpec::Form::kSack) {
    append32(body, tcp.destination_isn + option.left);
    append32(body, tcp.destination_isn + option.right);
  }
  if (option.form == OptionSpec::Form::kMd5) body.resize(16);
  if (option.form == OptionSpec::Form::kAo) {
    body = {1, 1};  // KeyID, RNextKeyID
    body.resize(14);
  }
  if (option.kind <= 1) return {option.kind};
  ByteString bytes = {option.kind, static_cast<std::uint8_t>(body.size() + 2)};
  append(bytes, body);
  return bytes;
}

ByteString tcp(const FrameRequest& request) {
  static constexpr std::string_view kLetters = "FSRPAUECN";
  const PacketSpec& spec = request.spec;
  std::uint32_t flags = 0;
  for (const char letter : spec.flags) flags |= 1u << kLetters.find(letter);
  ByteString out(20);
  put16(out, 0, request.addressing.source_port);
  put16(out, 2, request.addressing.destination_port);
  put32(out, 4, request.tcp.seq);
  put32(out, 8, request.tcp.ack);
  put16(out, 14, spec.window);
  put16(out, 18, spec.urgent.value_or(0));
  for (const OptionSpec& option : spec.options) append(out, option_bytes(option, request.tcp));
  while (out.size() % 4 != 0) out.push_back(1);
  put16(out, 12, static_cast<std::uint32_t>(out.size() / 4) << 12 | flags);
  append(out, request.payload);
  return out;
}

// UDP, and UDP-Lite (RFC 3828 3.1), whose third field is the coverage.
ByteString udp(const FrameRequest& request) {
  ByteString out;
  append16(out, request.addressing.source_port);
  append16(out, request.addressing.destination_port);
  const auto length = static_cast<std::uint32_t>(8 + request.payload.size());
  append16(out,
           request.spec.kind == PacketKind::kUdpLite ? request.spec.coverage.value_or(0) : length);
  append16(out, 0);
  append(out, request.payload);
  return out;
}

// RFC 9260 3.3. The verification tag names the association; here one that both ends know.
ByteString sctp(const FrameRequest& request) {
  static constexpr std::array<std::pair<std::string_view, std::uint8_t>, 7> kTypes = {{
      {"data", 0},
      {"init", 1},
      {"init-ack", 2},
      {"sack", 3},
      {"abort", 6},
      {"cookie-echo", 10},
      {"cookie-ack", 11},
  }};
  const std::string& chunk = request.spec.chunk;
  ByteString body;
  if (chunk.starts_with("init")) {
    for (const std::uint32_t value : {0x1001u, 65535u, 0x00010001u, 1u}) append32(body, value);
    if (chunk == "init-ack") append(body, ByteString{0, 7, 0, 8, 'c', 'o', 'o', 'k'});
  } else if (chunk == "data") {
    for (const std::uint32_t value : {1u, 0u, 0u}) append32(body, value);
  } else if (chunk == "sack") {
    for (const std::uint32_t value : {1u, 65535u, 0u}) append32(body, value);
  } else if (chunk == "cookie-echo") {
    append(body, ByteString{'c', 'o', 'o', 'k'});
  }
  append(body, request.payload);
  ByteString out;
  append16(out, request.addressing.source_port);
  append16(out, request.addressing.destination_port);
  append32(out, chunk == "init" ? 0 : 0x1001);
  append32(out, 0);
  const auto* type = std::find_if(kTypes.begin(), kTypes.end(),
                                  [&](const auto& each) { return each.first == chunk; });
  out.push_back(type->second);
  out.push_back(chunk == "data" ? 3 : 0);  // B and E: the whole message
  append16(out, static_cast<std::uint32_t>(body.size() + 4));
  append(out, body);
  while (out.size() % 4 != 0) out.push_back(0);
  return out;
}

// RFC 4340 5.1, with long sequence numbers.
ByteString dccp(const FrameRequest& request) {
  static constexpr std::array<std::string_view, 5> kTypes = {"request", "response", "data", "ack",
                                                             "dataack"};
  const std::string& name = request.spec.chunk;
  const auto type =
      static_cast<std::uint32_t>(std::find(kTypes.begin(), kTypes.end(), name) - kTypes.begin());
  ByteString out;
  append16(out, request.addressing.source_port);
  append16(out, request.addressing.destination_port);
  append32(out, 0);
  out.push_back(static_cast<std::uint8_t>(type << 1 | 1));
  out.resize(out.size() + 3);
  append32(out, 100);  // sequence number, low
  if (name != "request" && name != "data") {
    append32(out, 0);
    append32(out, 100);  // acknowledgement number, low
  }
  if (name == "request" || name == "response") append32(out, 0x70726f62);  // service code "prob"
  out[4] = static_cast<std::uint8_t>(out.size() / 4);
  append(out, request.payload);
  return out;
}

ByteString icmp(const FrameRequest& request, std::uint8_t type, std::uint8_t code) {
  const PacketSpec& spec = request.spec;
  ByteString out = {type, code, 0, 0};
  if (spec.kind == PacketKind::kError) {
    append32(out, spec.mtu);
    const bool six = request.addressing.source.version == 6;
    const std::size_t most = spec.quote != 0 ? spec.quote : six ? 1232 : 548;
    append(out, request.quoted.first(std::min(most, request.quoted.size())));
    return out;
  }
  const bool asks = spec.kind == PacketKind::kEcho || spec.kind == PacketKind::kTimestamp;
  append16(out, asks ? request.addressing.source_port : request.addressing.destination_port);
  append16(out, spec.seq.value_or(1));
  if (spec.kind == PacketKind::kTimestamp || spec.kind == PacketKind::kTimestampReply) {
    for (const std::uint32_t time : {1000u, 2000u, 2000u}) append32(out, time);
  }
  append(out, request.payload);
  return out;
}

ByteString gre(const FrameRequest& request) {
  ByteString out;
  append16(out, request.spec.key ? 0x2000 : 0);  // RFC 2890 2: the K bit
  append16(out, 0x0800);
  if (request.spec.key) append32(out, *request.spec.key);
  append(out, request.payload);
  return out;
}

ByteString esp(const FrameRequest& request) {
  ByteString out;
  append32(out, request.spec.spi.value_or(0x1001));
  append32(out, request.spec.seq.value_or(1));
  append(out, request.payload);
  return out;
}

// AH in front of a UDP datagram.
ByteString ah(const FrameRequest& request) {
  ByteString out = {kProtocolUdp, kAhLength / 4 - 2, 0, 0};
  append32(out, request.spec.spi.value_or(0x1001));
  append32(out, request.spec.seq.value_or(1));
  out.resize(kAhLength);
  append(out, udp(request));
  return out;
}

}  // namespace

BuiltSegment build_segment(const FrameRequest& request) {
  const bool six = request.addressing.source.version == 6;
  const std::uint8_t icmp_protocol = six ? kProtocolIcmpv6 : kProtocolIcmp;
  switch (request.spec.kind) {
    case PacketKind::kTcp:
      return {kProtocolTcp, tcp(request)};
    case PacketKind::kUdp:
      return {kProtocolUdp, udp(request)};
    case PacketKind::kUdpLite:
      return {kProtocolUdpLite, udp(request)};
    case PacketKind::kSctp:
      return {kProtocolSctp, sctp(request)};
    case PacketKind::kDccp:
      return {kProtocolDccp, dccp(request)};
    case PacketKind::kEcho:
      return {icmp_protocol, icmp(request, six ? 128 : 8, 0)};
    case PacketKind::kReply:
      return {icmp_protocol, icmp(request, six ? 129 : 0, 0)};
    case PacketKind::kTimestamp:
      return {icmp_protocol, icmp(request, 13, 0)};
    case PacketKind::kTimestampReply:
      return {icmp_protocol, icmp(request, 14, 0)};
    case PacketKind::kError:
      return {icmp_protocol, icmp(request, request.spec.type, request.spec.code)};
    case PacketKind::kGre:
      return {kProtocolGre, gre(request)};
    case PacketKind::kEsp:
      return {kProtocolEsp, esp(request)};
    case PacketKind::kAh:
      return {kProtocolAh, ah(request)};
    default:
      return {request.spec.protocol, ByteString(request.payload.begin(), request.payload.end())};
  }
}

}  // namespace glassbox
