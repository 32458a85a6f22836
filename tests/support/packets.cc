// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/packets.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace glassbox::test {
namespace {

void put16(Bytes& out, std::size_t at, std::uint32_t value) {
  out[at] = static_cast<std::uint8_t>(value >> 8);
  out[at + 1] = static_cast<std::uint8_t>(value);
}
void put32(Bytes& out, std::size_t at, std::uint32_t value) {
  put16(out, at, value >> 16);
  put16(out, at + 2, value & 0xffff);
}
std::uint16_t get16(const Bytes& in, std::size_t at) {
  return static_cast<std::uint16_t>(in.at(at) << 8 | in.at(at + 1));
}
void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

Bytes padded(Bytes data, std::size_t to) {
  while (data.size() % to != 0) data.push_back(0);
  return data;
}

Bytes address(std::string_view text) {
  const std::string copy(text);
  Bytes out(16);
  if (inet_pton(AF_INET6, copy.c_str(), out.data()) == 1) return out;
  out.resize(4);
  if (inet_pton(AF_INET, copy.c_str(), out.data()) == 1) return out;
  throw std::invalid_argument("not an address: " + copy);
}

std::array<std::uint8_t, 6> mac(std::string_view text) {
  std::array<unsigned, 6> v{};
  if (std::sscanf(std::string(text).c_str(), "%x:%x:%x:%x:%x:%x", &v[0], &v[1], &v[2], &v[3], &v[4],
                  &v[5]) != 6) {
    throw std::invalid_argument("not a MAC address: " + std::string(text));
  }
  std::array<std::uint8_t, 6> out;
  std::copy(v.begin(), v.end(), out.begin());
  return out;
}

}  // namespace

Bytes bytes(std::string_view text) { return {text.begin(), text.end()}; }

Bytes from_hex(std::string_view hex) {
  std::string digits;
  for (const char c : hex) {
    if (c != ' ' && c != '\n') digits.push_back(c);
  }
  Bytes out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return out;
}

std::string to_hex(const Bytes& data) {
  std::string out;
  char two[3];
  for (const std::uint8_t byte : data) {
    std::snprintf(two, sizeof(two), "%02x", byte);
    out += two;
  }
  return out;
}

Endpoint endpoint(std::string_view text) {
  std::string_view port;
  std::string_view host = text;
  if (!text.empty() && text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) throw std::invalid_argument("no ]: " + std::string(text));
    host = text.substr(1, end - 1);
    if (end + 1 < text.size()) port = text.substr(end + 2);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    const std::size_t colon = text.find(':');
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  const int number = port.empty() ? 0 : std::stoi(std::string(port));
  if (number < 0 || number > 0xffff)
    throw std::invalid_argument("not a port: " + std::string(text));
  return {address(host), static_cast<std::uint16_t>(number)};
}

std::string address_text(const std::uint8_t* data, std::size_t size) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(size == 16 ? AF_INET6 : AF_INET, data, text, sizeof(text));
  return text;
}

std::uint32_t ones_sum(const std::uint8_t* data, std::size_t size, std::uint32_t sum) {
  for (std::size_t i = 0; i < size; ++i) {
    sum += i % 2 == 0 ? static_cast<std::uint32_t>(data[i]) << 8 : data[i];
  }
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

// --- what it carries ---------------------------------------------------------------------------

Frame& Frame::transport(std::uint8_t protocol, std::string_view source,
                        std::string_view destination) {
  source_ = endpoint(source);
  destination_ = endpoint(destination);
  if (source_.address.size() != destination_.address.size()) {
    throw std::invalid_argument("addresses of two families");
  }
  protocol_ = protocol;
  return *this;
}

Frame& Frame::tcp(std::string_view source, std::string_view destination) {
  kind_ = Kind::kTcp;
  return transport(6, source, destination);
}
Frame& Frame::udp(std::string_view source, std::string_view destination) {
  kind_ = Kind::kUdp;
  return transport(17, source, destination);
}
Frame& Frame::icmp(std::string_view source, std::string_view destination, std::uint8_t type,
                   std::uint8_t code, std::uint32_t rest) {
  kind_ = Kind::kIcmp;
  icmp_type_ = type;
  icmp_code_ = code;
  icmp_rest_ = rest;
  transport(1, source, destination);
  if (six()) protocol_ = 58;
  return *this;
}
Frame& Frame::echo(std::string_view source, std::string_view destination, std::uint16_t ident,
                   std::uint16_t sequence) {
  const std::uint8_t type = endpoint(source).address.size() == 16 ? 128 : 8;
  return icmp(source, destination, type, 0, static_cast<std::uint32_t>(ident) << 16 | sequence);
}
Frame& Frame::echo_reply(std::string_view source, std::string_view destination, std::uint16_t ident,
                         std::uint16_t sequence) {
  const std::uint8_t type = endpoint(source).address.size() == 16 ? 129 : 0;
  return icmp(source, destination, type, 0, static_cast<std::uint32_t>(ident) << 16 | sequence);
}
Frame& Frame::icmp_error(std::string_view source, std::string_view destination, std::uint8_t type,
                         std::uint8_t code, const Bytes& quoted) {
  icmp(source, destination, type, code);
  return payload(datagram_of(quoted));
}
Frame& Frame::ip(std::string_view source, std::string_view destination, std::uint8_t protocol) {
  kind_ = Kind::kOther;
  return transport(protocol, source, destination);
}
Frame& Frame::ether(std::uint16_t type) {
  kind_ = Kind::kEther;
  ether_type_ = type;
  return *this;
}

// --- Ethernet ----------------------------------------------------------------------------------

Frame& Frame::macs(std::string_view source, std::string_view destination) {
  const auto to = mac(destination);
  const auto from = mac(source);
  std::copy(to.begin(), to.end(), macs_.begin());
  std::copy(from.begin(), from.end(), macs_.begin() + 6);
  return *this;
}
Frame& Frame::vlan(std::uint16_t id, std::uint16_t protocol) {
  tags_.emplace_back(protocol, id);
  return *this;
}
Frame& Frame::raw_ip() { return raw_ip_ = true, *this; }
Frame& Frame::trailer(Bytes data) { return trailer_ = std::move(data), *this; }

// --- IP ----------------------------------------------------------------------------------------

Frame& Frame::ttl(std::uint8_t value) { return ttl_ = value, *this; }
Frame& Frame::dsfield(std::uint8_t value) { return dsfield_ = value, *this; }
Frame& Frame::id(std::uint16_t value) { return id_ = value, *this; }
Frame& Frame::dont_fragment() { return fragment_ |= 0x4000, *this; }
Frame& Frame::more_fragments() { return fragment_ |= 0x2000, *this; }
Frame& Frame::fragment_offset(std::uint16_t at) {
  fragment_ = static_cast<std::uint16_t>((fragment_ & 0xe000) | at / 8);
  return *this;
}
Frame& Frame::options(Bytes data) { return options_ = padded(std::move(data), 4), *this; }
Frame& Frame::extension(std::uint8_t kind, Bytes body) {
  while ((body.size() + 2) % 8 != 0) body.push_back(0);
  Bytes header{0, static_cast<std::uint8_t>((body.size() + 2) / 8 - 1)};
  // RFC 4302 section 2.2: the authentication header counts words of four, less two.
  if (kind == 51) header[1] = static_cast<std::uint8_t>((body.size() + 2) / 4 - 2);
  append(header, body);
  extensions_.emplace_back(kind, header);
  return *this;
}
Frame& Frame::fragment_header(std::uint16_t offset, bool more, std::uint32_t id) {
  Bytes header(8);
  put16(header, 2, (offset / 8u) << 3 | (more ? 1 : 0));
  put32(header, 4, id);
  extensions_.emplace_back(44, header);
  return *this;
}
Frame& Frame::total_length(std::uint16_t value) { return total_length_ = value, *this; }
Frame& Frame::header_words(std::uint8_t value) { return header_words_ = value, *this; }
Frame& Frame::version(std::uint8_t value) { return version_ = value, *this; }

// --- transport ---------------------------------------------------------------------------------

Frame& Frame::flags(std::string_view letters) {
  static constexpr std::string_view kLetters = "FSRPAUEC";
  tcp_flags_ = 0;
  for (const char letter : letters) {
    const std::size_t bit = kLetters.find(letter);
    if (bit == std::string_view::npos) throw std::invalid_argument("not a TCP flag");
    tcp_flags_ |= static_cast<std::uint8_t>(1u << bit);
  }
  return *this;
}
Frame& Frame::seq(std::uint32_t value) { return seq_ = value, *this; }
Frame& Frame::ack(std::uint32_t value) { return ack_ = value, *this; }
Frame& Frame::window(std::uint16_t value) { return window_ = value, *this; }
Frame& Frame::tcp_options(Bytes data) { return tcp_options_ = padded(std::move(data), 4), *this; }
Frame& Frame::data_offset(std::uint8_t words) { return data_offset_ = words, *this; }
Frame& Frame::udp_length(std::uint16_t value) { return udp_length_ = value, *this; }
Frame& Frame::mtu(std::uint16_t value) { return icmp_rest_ = value, *this; }
Frame& Frame::payload(std::string_view text) { return payload(bytes(text)); }
Frame& Frame::payload(Bytes data) { return payload_ = std::move(data), *this; }
Frame& Frame::filler(std::size_t size) {
  payload_.resize(size);
  for (std::size_t i = 0; i < size; ++i) payload_[i] = static_cast<std::uint8_t>(i * 7 + (i >> 8));
  return *this;
}
Frame& Frame::quote_at_most(std::size_t size) { return quote_limit_ = size, *this; }
Frame& Frame::bad_checksum(std::uint16_t delta) { return checksum_error_ = delta, *this; }
Frame& Frame::bad_ip_checksum(std::uint16_t delta) { return ip_checksum_error_ = delta, *this; }
Frame& Frame::zero_udp_checksum() { return sum_ = Sum::kZero, *this; }
Frame& Frame::checksum_placeholder() { return sum_ = Sum::kPlaceholder, *this; }

// --- building ----------------------------------------------------------------------------------

std::uint32_t Frame::pseudo_sum(std::size_t length) const {
  std::uint32_t sum = ones_sum(source_.address.data(), source_.address.size());
  sum = ones_sum(destination_.address.data(), destination_.address.size(), sum);
  return sum + protocol_ + static_cast<std::uint32_t>(length >> 16) +
         static_cast<std::uint32_t>(length & 0xffff);
}

void Frame::finish_checksum(Bytes& segment, std::size_t at) const {
  const bool pseudo = kind_ != Kind::kIcmp || six();
  const std::uint32_t seed = pseudo ? pseudo_sum(segment.size()) : 0;
  std::uint16_t sum = 0;
  if (sum_ == Sum::kPlaceholder) {
    sum = fold(seed);
  } else if (sum_ == Sum::kRight) {
    sum = static_cast<std::uint16_t>(~fold(ones_sum(segment.data(), segment.size(), seed)));
    if (kind_ == Kind::kUdp && sum == 0) sum = 0xffff;  // RFC 768
  }
  put16(segment, at, static_cast<std::uint16_t>(sum + checksum_error_));
}

Bytes Frame::segment() const {
  Bytes out;
  Bytes body = payload_;
  if (body.size() > quote_limit_) body.resize(quote_limit_);
  if (kind_ == Kind::kTcp) {
    out.resize(20);
    put16(out, 0, source_.port);
    put16(out, 2, destination_.port);
    put32(out, 4, seq_);
    put32(out, 8, ack_);
    const std::size_t words = data_offset_.value_or(5 + tcp_options_.size() / 4);
    out[12] = static_cast<std::uint8_t>(words << 4);
    out[13] = tcp_flags_;
    put16(out, 14, window_);
    append(out, tcp_options_);
    append(out, body);
    finish_checksum(out, 16);
  } else if (kind_ == Kind::kUdp) {
    out.resize(8);
    put16(out, 0, source_.port);
    put16(out, 2, destination_.port);
    put16(out, 4, udp_length_.value_or(static_cast<std::uint16_t>(8 + body.size())));
    append(out, body);
    finish_checksum(out, 6);
  } else if (kind_ == Kind::kIcmp) {
    out = {icmp_type_, icmp_code_, 0, 0, 0, 0, 0, 0};
    put32(out, 4, icmp_rest_);
    append(out, body);
    finish_checksum(out, 2);
  } else {
    out = body;
  }
  return out;
}

Bytes Frame::ip4(const Bytes& segment) const {
  Bytes out(20);
  append(out, options_);
  const std::size_t words = header_words_.value_or(out.size() / 4);
  out[0] = static_cast<std::uint8_t>(version_.value_or(4) << 4 | (words & 15));
  out[1] = dsfield_;
  put16(out, 2, total_length_.value_or(static_cast<std::uint16_t>(out.size() + segment.size())));
  put16(out, 4, id_);
  put16(out, 6, fragment_);
  out[8] = ttl_;
  out[9] = protocol_;
  std::copy(source_.address.begin(), source_.address.end(), out.begin() + 12);
  std::copy(destination_.address.begin(), destination_.address.end(), out.begin() + 16);
  const auto sum = static_cast<std::uint16_t>(~fold(ones_sum(out.data(), out.size())));
  put16(out, 10, static_cast<std::uint16_t>(sum + ip_checksum_error_));
  append(out, segment);
  return out;
}

Bytes Frame::ip6(const Bytes& segment) const {
  Bytes out(40);
  std::uint8_t next = protocol_;
  Bytes chain;
  for (auto it = extensions_.rbegin(); it != extensions_.rend(); ++it) {
    Bytes header = it->second;
    header[0] = next;
    next = it->first;
    append(header, chain);
    chain = header;
  }
  out[0] = static_cast<std::uint8_t>(version_.value_or(6) << 4 | dsfield_ >> 4);
  out[1] = static_cast<std::uint8_t>(dsfield_ << 4);
  put16(out, 4, total_length_.value_or(static_cast<std::uint16_t>(chain.size() + segment.size())));
  out[6] = next;
  out[7] = ttl_;
  std::copy(source_.address.begin(), source_.address.end(), out.begin() + 8);
  std::copy(destination_.address.begin(), destination_.address.end(), out.begin() + 24);
  append(out, chain);
  append(out, segment);
  return out;
}

Bytes Frame::build() const {
  if (kind_ == Kind::kNone) throw std::logic_error("a frame that carries nothing");
  Bytes out;
  if (!raw_ip_) {
    out.assign(macs_.begin(), macs_.end());
    for (const auto& [protocol, id] : tags_) {
      out.resize(out.size() + 4);
      put16(out, out.size() - 4, protocol);
      put16(out, out.size() - 2, id);
    }
    out.resize(out.size() + 2);
    const int type = kind_ == Kind::kEther ? ether_type_ : six() ? 0x86dd : 0x0800;
    put16(out, out.size() - 2, static_cast<std::uint32_t>(type));
  }
  const Bytes body = segment();
  append(out, kind_ == Kind::kEther ? body : six() ? ip6(body) : ip4(body));
  append(out, trailer_);
  return out;
}

// --- frames as a whole -------------------------------------------------------------------------

std::size_t ip_offset(const Bytes& frame) {
  std::size_t at = 12;
  while (get16(frame, at) == 0x8100 || get16(frame, at) == 0x88a8 || get16(frame, at) == 0x9100) {
    at += 4;
  }
  return at + 2;
}

Bytes datagram_of(const Bytes& frame) {
  const std::size_t l3 = ip_offset(frame);
  const bool six = frame.at(l3) >> 4 == 6;
  const std::size_t length = six ? 40u + get16(frame, l3 + 4) : get16(frame, l3 + 2);
  const auto begin = frame.begin() + static_cast<std::ptrdiff_t>(l3);
  return {begin, begin + static_cast<std::ptrdiff_t>(std::min(length, frame.size() - l3))};
}

std::vector<Bytes> fragments(const Bytes& frame, std::size_t mtu, std::uint32_t six_id) {
  const std::size_t l3 = ip_offset(frame);
  const Bytes datagram = datagram_of(frame);
  const bool six = datagram[0] >> 4 == 6;
  const std::size_t header = six ? 40 : (datagram[0] & 15) * 4u;
  const std::size_t room = (mtu - header - (six ? 8 : 0)) / 8 * 8;
  std::vector<Bytes> out;
  for (std::size_t at = header; at < datagram.size(); at += room) {
    const std::size_t size = std::min(room, datagram.size() - at);
    const bool more = at + size < datagram.size();
    Bytes part(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(l3 + header));
    if (six) {
      part.resize(part.size() + 8);
      part[l3 + header] = part[l3 + 6];
      part[l3 + 6] = 44;
      put16(part, l3 + header + 2, static_cast<std::uint32_t>(at - header) | (more ? 1 : 0));
      put32(part, l3 + header + 4, six_id);
      put16(part, l3 + 4, static_cast<std::uint32_t>(size + 8));
    } else {
      put16(part, l3 + 2, static_cast<std::uint32_t>(header + size));
      put16(part, l3 + 6, static_cast<std::uint32_t>((at - header) / 8) | (more ? 0x2000 : 0));
      put16(part, l3 + 10, 0);
      put16(part, l3 + 10, static_cast<std::uint16_t>(~fold(ones_sum(part.data() + l3, header))));
    }
    part.insert(part.end(), datagram.begin() + static_cast<std::ptrdiff_t>(at),
                datagram.begin() + static_cast<std::ptrdiff_t>(at + size));
    out.push_back(std::move(part));
  }
  return out;
}

}  // namespace glassbox::test
