// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "control/probe/words.h"
#include "control/suggest.h"
#include "control/value_text.h"

namespace glassbox {
namespace {

[[noreturn]] void fail(const std::string& text) { throw std::invalid_argument(text); }

constexpr std::size_t kMostPayload = 9000;

enum class Carrier : std::uint16_t {
  kAny = 0xffff,
  kTcpOnly = 1 << static_cast<int>(PacketKind::kTcp),
  kUdpOnly = 1 << static_cast<int>(PacketKind::kUdp),
  kUdpLiteOnly = 1 << static_cast<int>(PacketKind::kUdpLite),
  kErrorOnly = 1 << static_cast<int>(PacketKind::kError),
  kGreOnly = 1 << static_cast<int>(PacketKind::kGre),
  kSpi = 1 << static_cast<int>(PacketKind::kEsp) | 1 << static_cast<int>(PacketKind::kAh),
  kNumbered = kTcpOnly | kSpi | 1 << static_cast<int>(PacketKind::kEcho) |
              1 << static_cast<int>(PacketKind::kReply) |
              1 << static_cast<int>(PacketKind::kTimestamp) |
              1 << static_cast<int>(PacketKind::kTimestampReply),
};

struct Attribute {
  std::string_view name;
  Carrier carrier;
  void (*apply)(PacketSpec&, Words&);
};

void add_option(PacketSpec& packet, std::uint8_t kind, ByteString body) {
  packet.options.push_back({.kind = kind, .body = std::move(body)});
}

ByteString big_endian(std::uint64_t value, std::size_t size) {
  ByteString bytes(size);
  for (std::size_t i = size; i-- > 0; value >>= 8) bytes[i] = static_cast<std::uint8_t>(value);
  return bytes;
}

void add_timestamps(PacketSpec& packet, Words& words) {
  ByteString body = big_endian(words.number("a timestamp", UINT32_MAX), 4);
  const ByteString echo = big_endian(words.number("a timestamp echoed", UINT32_MAX), 4);
  body.insert(body.end(), echo.begin(), echo.end());
  add_option(packet, 8, std::move(body));
}

void add_sack(PacketSpec& packet, Words& words) {
  OptionSpec option{.kind = 5, .form = OptionSpec::Form::kSack};
  option.left = static_cast<std::uint32_t>(words.number("the left edge", UINT32_MAX));
  option.right = static_cast<std::uint32_t>(words.number("the right edge", UINT32_MAX));
  packet.options.push_back(option);
}

void add_filler(PacketSpec& packet, Words& words) {
  ByteString bytes(words.number("a number of bytes", kMostPayload));
  // Each place can be told from its neighbours.
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>('a' + (i + i / 26) % 26);
  }
  packet.payload.push_back({std::move(bytes), {}, false});
}

std::uint8_t ecn_bits(Words& words) {
  static constexpr std::array<std::string_view, 4> kNames = {"none", "ect1", "ect0", "ce"};
  const std::string name = words.next("one of none, ect0, ect1, ce");
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) {
    fail(fmt::format("unknown ECN codepoint '{}' {}", name, alternatives(name, kNames)));
  }
  return static_cast<std::uint8_t>(found - kNames.begin());
}

template <typename T>
T number(Words& words, const char* what, std::uint64_t most) {
  return static_cast<T>(words.number(what, most));
}

using P = PacketSpec&;
using W = Words&;
constexpr auto kAttributes = std::to_array<Attribute>({
    // IP
    {"dscp", Carrier::kAny, [](P p, W w) { p.dscp = number<std::uint8_t>(w, "a DSCP", 63); }},
    {"ecn", Carrier::kAny, [](P p, W w) { p.ecn = ecn_bits(w); }},
    {"ttl", Carrier::kAny, [](P p, W w) { p.ttl = number<std::uint8_t>(w, "a hop limit", 255); }},
    {"id", Carrier::kAny,
     [](P p, W w) { p.id = number<std::uint16_t>(w, "an identification", 65535); }},
    {"df", Carrier::kAny, [](P p, W) { p.dont_fragment = true; }},
    {"options", Carrier::kAny, [](P p, W w) { p.ip_options = w.hex("IPv4 options"); }},
    {"hop-by-hop", Carrier::kAny, [](P p, W w) { p.hop_by_hop = w.hex("options"); }},
    {"destination-options", Carrier::kAny,
     [](P p, W w) { p.destination_options = w.hex("options"); }},
    {"routing", Carrier::kAny, [](P p, W w) { p.routing = w.hex("a routing header's body"); }},
    {"flow-label", Carrier::kAny,
     [](P p, W w) { p.flow_label = number<std::uint32_t>(w, "a flow label", 0xfffff); }},
    {"atomic", Carrier::kAny, [](P p, W) { p.atomic = true; }},
    {"fragments", Carrier::kAny,
     [](P p, W w) { p.fragment_size = number<std::uint16_t>(w, "bytes a fragment", 1480); }},
    {"reversed", Carrier::kAny, [](P p, W) { p.reversed = true; }},
    // transports
    {"seq", Carrier::kNumbered,
     [](P p, W w) { p.seq = number<std::uint32_t>(w, "a sequence number", UINT32_MAX); }},
    {"ack", Carrier::kTcpOnly,
     [](P p, W w) { p.ack = number<std::uint32_t>(w, "a sequence number", UINT32_MAX); }},
    {"window", Carrier::kTcpOnly,
     [](P p, W w) { p.window = number<std::uint16_t>(w, "a window", 65535); }},
    {"urgent", Carrier::kTcpOnly,
     [](P p, W w) { p.urgent = number<std::uint16_t>(w, "an urgent pointer", 65535); }},
    {"keep-alive", Carrier::kTcpOnly, [](P p, W) { p.keep_alive = true; }},
    {"mss", Carrier::kTcpOnly,
     [](P p, W w) { add_option(p, 2, big_endian(w.number("a segment size", 65535), 2)); }},
    {"wscale", Carrier::kTcpOnly,
     [](P p, W w) { add_option(p, 3, big_endian(w.number("a shift", 14), 1)); }},
    {"sackok", Carrier::kTcpOnly, [](P p, W) { add_option(p, 4, {}); }},
    {"sack", Carrier::kTcpOnly, add_sack},
    {"ts", Carrier::kTcpOnly, add_timestamps},
    {"option", Carrier::kTcpOnly,
     [](P p, W w) {
       const auto kind = number<std::uint8_t>(w, "an option's kind", 255);
       add_option(p, kind, w.hex("the option's data"));
     }},
    {"md5", Carrier::kTcpOnly,
     [](P p, W) { p.options.push_back({.kind = 19, .form = OptionSpec::Form::kMd5}); }},
    {"ao", Carrier::kTcpOnly,
     [](P p, W) { p.options.push_back({.kind = 29, .form = OptionSpec::Form::kAo}); }},
    {"no-checksum", Carrier::kUdpOnly, [](P p, W) { p.no_checksum = true; }},
    {"coverage", Carrier::kUdpLiteOnly,
     [](P p, W w) { p.coverage = number<std::uint16_t>(w, "bytes covered", 65535); }},
    {"key", Carrier::kGreOnly,
     [](P p, W w) { p.key = number<std::uint32_t>(w, "a key", UINT32_MAX); }},
    {"spi", Carrier::kSpi,
     [](P p, W w) { p.spi = number<std::uint32_t>(w, "an SPI", UINT32_MAX); }},
    {"mtu", Carrier::kErrorOnly,
     [](P p, W w) { p.mtu = number<std::uint32_t>(w, "an MTU", UINT32_MAX); }},
    {"quote", Carrier::kErrorOnly,
     [](P p, W w) { p.quote = number<std::uint16_t>(w, "bytes quoted", 1232); }},
    {"agile", Carrier::kAny, [](P p, W) { p.agile = true; }},
    // payload
    {"hex", Carrier::kAny, [](P p, W w) { p.payload.push_back({w.hex("a payload"), {}, false}); }},
    {"filler", Carrier::kAny, add_filler},
});

struct Kind {
  std::string_view name;
  void (*head)(PacketSpec&, Words&);  // what follows the name at once
};

std::string one_of(Words& words, const char* what, std::span<const std::string_view> known) {
  const std::string word = words.next(what);
  if (std::find(known.begin(), known.end(), word) == known.end()) {
    fail(fmt::format("unknown {} '{}' {}", what, word, alternatives(word, known)));
  }
  return word;
}

void read_flags(PacketSpec& packet, Words& words) {
  packet.flags = words.next("TCP flags, letters of FSRPAUECN");
  if (packet.flags.find_first_not_of("FSRPAUECN") != std::string::npos) {
    fail(fmt::format("'{}' are no TCP flags: letters of FSRPAUECN (N: the AE bit of RFC 9768)",
                     packet.flags));
  }
}

constexpr std::array<std::string_view, 7> kSctpChunks = {
    "init", "init-ack", "cookie-echo", "cookie-ack", "data", "sack", "abort"};
constexpr std::array<std::string_view, 5> kDccpTypes = {"request", "response", "data", "ack",
                                                        "dataack"};

constexpr std::array<Kind, static_cast<std::size_t>(PacketKind::kCount)> kKinds = {{
    {"tcp", read_flags},
    {"udp", [](P, W) {}},
    {"udplite", [](P, W) {}},
    {"sctp", [](P p, W w) { p.chunk = one_of(w, "SCTP chunk", kSctpChunks); }},
    {"dccp", [](P p, W w) { p.chunk = one_of(w, "DCCP packet type", kDccpTypes); }},
    {"echo", [](P, W) {}},
    {"reply", [](P, W) {}},
    {"timestamp", [](P, W) {}},
    {"timestamp-reply", [](P, W) {}},
    {"error",
     [](P p, W w) {
       p.type = number<std::uint8_t>(w, "an ICMP type", 255);
       p.code = number<std::uint8_t>(w, "an ICMP code", 255);
     }},
    {"gre", [](P, W) {}},
    {"esp", [](P, W) {}},
    {"ah", [](P, W) {}},
    {"ip", [](P p, W w) { p.protocol = number<std::uint8_t>(w, "a protocol number", 255); }},
}};

template <typename Table>
std::vector<std::string_view> names_in(const Table& table) {
  std::vector<std::string_view> names;
  for (const auto& entry : table) names.push_back(entry.name);
  return names;
}

HostName parse_host(std::string_view name) {
  const auto found = std::find(kHostNames.begin(), kHostNames.end(), name);
  if (found == kHostNames.end()) {
    fail(fmt::format("unknown host '{}' {}", name, alternatives(name, kHostNames)));
  }
  return static_cast<HostName>(found - kHostNames.begin());
}

SocketName parse_socket(std::string_view text, std::uint16_t server_port) {
  const std::size_t colon = text.find(':');
  SocketName socket;
  socket.host = parse_host(text.substr(0, colon));
  socket.port = default_port(socket.host, server_port);
  if (colon == std::string_view::npos) return socket;
  const auto port = parse_integer(text.substr(colon + 1));
  if (!port || *port < 0 || *port > 65535) {
    fail(fmt::format("'{}' is no port of a {}", text.substr(colon + 1), name_of(socket.host)));
  }
  socket.port = static_cast<std::uint16_t>(*port);
  return socket;
}

// "PORT {client:2000,}" in parts.
void add_text(PacketSpec& packet, const std::string& text, std::uint16_t server_port) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t brace = text.find('{', at);
    const std::string literal = text.substr(at, brace - at);
    if (!literal.empty()) {
      packet.payload.push_back({ByteString(literal.begin(), literal.end()), {}, false});
    }
    if (brace == std::string::npos) return;
    const std::size_t end = text.find('}', brace);
    if (end == std::string::npos) fail("'{' without '}': a socket such as {client:2000}");
    std::string inside = text.substr(brace + 1, end - brace - 1);
    PayloadPart part;
    part.with_commas = inside.ends_with(',');
    if (part.with_commas) inside.pop_back();
    part.socket = parse_socket(inside, server_port);
    packet.payload.push_back(part);
    at = end + 1;
  }
}

PacketSpec parse_packet(const std::string& text, std::uint16_t server_port) {
  Words words(text);
  const std::string name = words.next("a packet, such as 'tcp S'");
  const auto kind = std::find_if(kKinds.begin(), kKinds.end(),
                                 [&](const Kind& each) { return each.name == name; });
  if (kind == kKinds.end()) {
    fail(fmt::format("unknown packet '{}' {}", name, alternatives(name, names_in(kKinds))));
  }
  PacketSpec packet;
  packet.kind = static_cast<PacketKind>(kind - kKinds.begin());
  kind->head(packet, words);
  while (!words.empty()) {
    if (words.at_text()) {
      add_text(packet, words.text(), server_port);
      continue;
    }
    const std::string word = words.next("an attribute");
    const auto found = std::find_if(kAttributes.begin(), kAttributes.end(),
                                    [&](const Attribute& each) { return each.name == word; });
    if (found == kAttributes.end()) {
      fail(fmt::format("unknown attribute '{}' {}", word,
                       alternatives(word, names_in(kAttributes))));
    }
    const auto bit = 1u << static_cast<unsigned>(packet.kind);
    if ((static_cast<unsigned>(found->carrier) & bit) == 0) {
      fail(fmt::format("a {} packet has no '{}'", name, word));
    }
    found->apply(packet, words);
  }
  return packet;
}

void check_packet(const PacketSpec& packet) {
  if (packet.reversed && packet.fragment_size == 0) fail("'reversed' needs 'fragments'");
  if (packet.fragment_size % 8 != 0) fail("fragments are cut at multiples of 8 bytes");
  if (packet.atomic && packet.fragment_size != 0) fail("an atomic fragment is no fragment");
  if (packet.ip_options.size() > 40) fail("IPv4 has room for 40 bytes of options");
}

}  // namespace

std::uint16_t default_port(HostName host, std::uint16_t server_port) {
  switch (host) {
    case HostName::kClient:
      return 40000;
    case HostName::kMate:
      return 41000;
    case HostName::kServer:
      return server_port;
    case HostName::kPeer:
      return 3478;
    case HostName::kRouter:
      return 0;
  }
  return 0;
}

ScriptStep parse_step(std::string_view key, const std::string& value, std::uint16_t port) {
  Words words{std::string(key)};
  ScriptStep step;
  step.text = fmt::format("{}: {}", key, value);
  const std::string first = words.next("a step");
  if (first == "wait") {
    const auto duration = parse_duration(value);
    if (!duration || *duration <= Nanos(0)) {
      fail(fmt::format("'{}' is no duration, such as 300s or 2h", value));
    }
    step.verb = ScriptStep::Verb::kWait;
    step.duration = *duration;
    return step;
  }
  const std::string verb = words.next("'>' or 'tells'");
  if (verb != ">" && verb != "tells") {
    fail(fmt::format("unknown step '{}' (known: HOST > HOST, HOST tells HOST, wait)", key));
  }
  step.verb = verb == ">" ? ScriptStep::Verb::kSend : ScriptStep::Verb::kTell;
  step.from = parse_socket(first, port);
  step.to = parse_socket(words.next("a host"), port);
  if (!words.empty()) fail(fmt::format("nothing follows the second host of '{}'", key));
  if (step.from.host == step.to.host) fail("a host speaks to another");
  if (step.verb == ScriptStep::Verb::kTell) {
    step.told = parse_socket(value, port);
    return step;
  }
  step.packet = parse_packet(value, port);
  check_packet(step.packet);
  return step;
}

}  // namespace glassbox
