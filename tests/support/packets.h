// SPDX-License-Identifier: BSD-3-Clause
//
// Frames for tests, built fluently and with correct checksums unless told otherwise.
//
//     Bytes syn = frame().tcp("192.168.1.2:1000", "198.51.100.1:80").flags("S").seq(1);
//     Bytes ask = frame().vlan(7).udp("[fd00::1]:53", "[2001:db8::1]:53").payload("?");
//     Bytes error = frame().icmp_error("198.51.100.1", "203.0.113.1", 3, 4, syn).mtu(1400);
//
// Endpoints are written ADDRESS:PORT, [ADDRESS]:PORT or ADDRESS. The code shares nothing with
// dataplane/: what it writes is a second opinion. Reading frames: seen.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace glassbox::test {

using Bytes = std::vector<std::uint8_t>;

Bytes bytes(std::string_view text);
Bytes from_hex(std::string_view hex);  // blanks are ignored
std::string to_hex(const Bytes& data);

struct Endpoint {
  Bytes address;  // 4 or 16 bytes
  std::uint16_t port = 0;
};
// Throws std::invalid_argument.
Endpoint endpoint(std::string_view text);
std::string address_text(const std::uint8_t* address, std::size_t size);

// One's complement sum, not inverted, of bytes in network order.
std::uint32_t ones_sum(const std::uint8_t* data, std::size_t size, std::uint32_t sum = 0);
std::uint16_t fold(std::uint32_t sum);

class Frame {
 public:
  // --- what it carries; the address family is that of the addresses ---------------------------
  Frame& tcp(std::string_view source, std::string_view destination);
  Frame& udp(std::string_view source, std::string_view destination);
  Frame& echo(std::string_view source, std::string_view destination, std::uint16_t ident,
              std::uint16_t sequence = 1);
  Frame& echo_reply(std::string_view source, std::string_view destination, std::uint16_t ident,
                    std::uint16_t sequence = 1);
  // `rest`: bytes 4..7 of the ICMP header.
  Frame& icmp(std::string_view source, std::string_view destination, std::uint8_t type,
              std::uint8_t code, std::uint32_t rest = 0);
  // An error that quotes the IP datagram in `quoted` (a frame), the whole of it.
  Frame& icmp_error(std::string_view source, std::string_view destination, std::uint8_t type,
                    std::uint8_t code, const Bytes& quoted);
  // Any other protocol; the payload is all there is behind the IP header.
  Frame& ip(std::string_view source, std::string_view destination, std::uint8_t protocol);
  // No IP at all: `payload` behind the Ethernet header.
  Frame& ether(std::uint16_t type);

  // --- Ethernet ------------------------------------------------------------------------------
  Frame& macs(std::string_view source, std::string_view destination);
  // Outermost first. `protocol` 0x8100, or 0x88a8 for the outer tag of QinQ.
  Frame& vlan(std::uint16_t id, std::uint16_t protocol = 0x8100);
  Frame& raw_ip();  // no Ethernet header
  Frame& trailer(Bytes bytes);

  // --- IP ------------------------------------------------------------------------------------
  Frame& ttl(std::uint8_t value);
  Frame& dsfield(std::uint8_t value);
  Frame& id(std::uint16_t value);
  Frame& dont_fragment();
  Frame& more_fragments();
  Frame& fragment_offset(std::uint16_t bytes);
  Frame& options(Bytes bytes);                           // IPv4; padded to a multiple of four
  Frame& extension(std::uint8_t kind, Bytes body = {});  // IPv6: body behind the first two bytes
  Frame& fragment_header(std::uint16_t offset, bool more, std::uint32_t id = 1);  // IPv6
  Frame& total_length(std::uint16_t value);                                       // a lie
  Frame& header_words(std::uint8_t value);                                        // a lie: IHL
  Frame& version(std::uint8_t value);                                             // a lie

  // --- transport -----------------------------------------------------------------------------
  Frame& flags(std::string_view letters);  // of "FSRPAUEC"
  Frame& seq(std::uint32_t value);
  Frame& ack(std::uint32_t value);
  Frame& window(std::uint16_t value);
  Frame& tcp_options(Bytes bytes);         // padded to a multiple of four
  Frame& data_offset(std::uint8_t words);  // a lie
  Frame& udp_length(std::uint16_t value);  // a lie
  Frame& mtu(std::uint16_t value);         // of an ICMP error
  Frame& payload(std::string_view text);
  Frame& payload(Bytes bytes);
  Frame& filler(std::size_t size);  // a payload in which each place can be told from the next
  // An ICMP error quotes at most so many bytes of the datagram.
  Frame& quote_at_most(std::size_t size);

  // --- checksums -----------------------------------------------------------------------------
  Frame& bad_checksum(std::uint16_t delta);  // transport
  Frame& bad_ip_checksum(std::uint16_t delta);
  Frame& zero_udp_checksum();
  Frame& checksum_placeholder();  // the pseudo-header's sum, as an offloading system leaves it

  Bytes build() const;
  operator Bytes() const { return build(); }  // NOLINT: a frame is its bytes

 private:
  Frame& transport(std::uint8_t protocol, std::string_view source, std::string_view destination);
  bool six() const { return source_.address.size() == 16; }
  Bytes segment() const;
  void finish_checksum(Bytes& segment, std::size_t at) const;
  Bytes ip4(const Bytes& segment) const;
  Bytes ip6(const Bytes& segment) const;
  std::uint32_t pseudo_sum(std::size_t length) const;

  enum class Kind : std::uint8_t { kNone, kTcp, kUdp, kIcmp, kOther, kEther };
  enum class Sum : std::uint8_t { kRight, kZero, kPlaceholder };
  Kind kind_ = Kind::kNone;
  Endpoint source_, destination_;
  std::uint8_t protocol_ = 0;
  std::array<std::uint8_t, 12> macs_{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
  std::vector<std::pair<std::uint16_t, std::uint16_t>> tags_;
  std::uint16_t ether_type_ = 0;
  bool raw_ip_ = false;
  Bytes trailer_;
  std::uint8_t ttl_ = 64, dsfield_ = 0;
  std::uint16_t id_ = 0x1234, fragment_ = 0;
  Bytes options_;
  std::vector<std::pair<std::uint8_t, Bytes>> extensions_;
  std::optional<std::uint16_t> total_length_, udp_length_;
  std::optional<std::uint8_t> header_words_, version_, data_offset_;
  std::uint8_t tcp_flags_ = 0x10;
  std::uint32_t seq_ = 1, ack_ = 0;
  std::uint16_t window_ = 0xffff;
  Bytes tcp_options_;
  std::uint8_t icmp_type_ = 0, icmp_code_ = 0;
  std::uint32_t icmp_rest_ = 0;
  Bytes payload_;
  std::size_t quote_limit_ = SIZE_MAX;
  std::uint16_t checksum_error_ = 0, ip_checksum_error_ = 0;
  Sum sum_ = Sum::kRight;
};

inline Frame frame() { return {}; }

// Where the IP header of a frame begins.
std::size_t ip_offset(const Bytes& frame);
// The IP datagram in a frame, without Ethernet and trailer.
Bytes datagram_of(const Bytes& frame);
// The frames that an IP datagram becomes on a link of `mtu`. IPv6: without other extension headers.
std::vector<Bytes> fragments(const Bytes& frame, std::size_t mtu, std::uint32_t six_id = 0x5eed);

}  // namespace glassbox::test
