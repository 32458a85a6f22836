// SPDX-License-Identifier: BSD-3-Clause
//
// The script of a probe: who sends what to whom, in order (docs/openness.md has the language).
//
//     - client > server: tcp S mss 1460 sackok
//     - wait: 2h
//     - peer tells server: client
//
// A packet is written as a kind and attributes; ports, addresses, sequence numbers and checksums
// follow from the exchange unless they are written down.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/types.h"

namespace glassbox {

using ByteString = std::vector<std::uint8_t>;

// client and mate stand on one side of the box, server, peer and router on the other.
enum class HostName : std::uint8_t { kClient, kMate, kServer, kPeer, kRouter };
inline constexpr std::array<std::string_view, 5> kHostNames = {"client", "mate", "server", "peer",
                                                               "router"};
constexpr std::string_view name_of(HostName host) {
  return kHostNames[static_cast<std::size_t>(host)];
}
constexpr bool is_on_client_side(HostName host) { return host <= HostName::kMate; }

// A socket of a host: its own address and this port (or ICMP identifier), as it knows itself.
struct SocketName {
  HostName host = HostName::kClient;
  std::uint16_t port = 0;
  auto operator<=>(const SocketName&) const = default;
};

enum class PacketKind : std::uint8_t {
  kTcp,
  kUdp,
  kUdpLite,
  kSctp,
  kDccp,
  kEcho,
  kReply,
  kTimestamp,
  kTimestampReply,
  kError,
  kGre,
  kEsp,
  kAh,
  kIp,
  kCount
};

struct OptionSpec {
  enum class Form : std::uint8_t { kPlain, kSack, kMd5, kAo };
  std::uint8_t kind = 0;
  Form form = Form::kPlain;
  ByteString body;         // kPlain: what follows kind and length
  std::uint32_t left = 0;  // kSack: edges, counted from the peer's first sequence number
  std::uint32_t right = 0;
};

// A payload is its parts in order; a part with a socket is that socket's address as text.
struct PayloadPart {
  ByteString bytes;
  std::optional<SocketName> socket;
  bool with_commas = false;  // "192,168,0,2,7,208" (RFC 959 4.1.2), else "192.168.0.2:2000"
};

struct PacketSpec {
  PacketKind kind = PacketKind::kTcp;
  std::string flags;                // tcp: letters of FSRPAUECN
  std::string chunk;                // sctp and dccp: what it is
  std::uint8_t type = 0, code = 0;  // error
  std::uint8_t protocol = 0;        // ip

  std::uint8_t dscp = 0, ecn = 0, ttl = 64;
  std::optional<std::uint16_t> id;  // none: a new one for each datagram
  std::uint32_t flow_label = 0;
  bool dont_fragment = false, atomic = false, reversed = false;
  ByteString ip_options;  // IPv4
  std::optional<ByteString> hop_by_hop, destination_options, routing;
  std::uint16_t fragment_size = 0;  // bytes of each fragment's data; 0: whole

  std::optional<std::uint32_t> seq, ack;
  std::uint16_t window = 65535;
  std::optional<std::uint16_t> urgent;
  bool keep_alive = false;
  std::vector<OptionSpec> options;

  bool no_checksum = false;
  std::optional<std::uint16_t> coverage;
  std::optional<std::uint32_t> key, spi;
  std::uint32_t mtu = 0;
  std::uint16_t quote = 0;  // error: bytes of the datagram that are quoted; 0: all, up to 1232
  bool agile = false;       // known by a connection identifier, not by where it comes from

  std::vector<PayloadPart> payload;
};

struct ScriptStep {
  enum class Verb : std::uint8_t { kSend, kWait, kTell };
  Verb verb = Verb::kSend;
  SocketName from, to;  // kSend; kTell: from.host tells to.host
  SocketName told;      // kTell
  Nanos duration{};     // kWait
  PacketSpec packet;    // kSend
  int line = 0;         // in the file
  std::string text;     // as written, for messages
};

// `port`: what a server listens on unless a step says otherwise. Throws std::invalid_argument with
// what is wrong and what would be right.
ScriptStep parse_step(std::string_view key, const std::string& value, std::uint16_t port);

// The host's port when a step names none.
std::uint16_t default_port(HostName host, std::uint16_t server_port);

}  // namespace glassbox
