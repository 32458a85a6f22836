// SPDX-License-Identifier: BSD-3-Clause
//
// One HTTP connection through `http`: both ends say what they say in segments of any size, and what
// the other received is put together again.
#pragma once

#include <map>
#include <string>

#include "tests/nf/inspect_bed.h"

namespace glassbox::test {

inline constexpr const char* kSystem = "http://box.example/opes";

// A chain with these service rows.
inline std::string http_chain(const std::string& services, const std::string& more = "") {
  return "- http: { system: '" + std::string(kSystem) + "', services: [" + services + "]" +
         (more.empty() ? "" : ", " + more) + " }";
}

inline std::string ok(const std::string& fields, const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + fields + "\r\n" + body;
}
inline std::string counted(const std::string& body, const std::string& more = "") {
  return ok(more + "Content-Length: " + std::to_string(body.size()) + "\r\n", body);
}
inline std::string body_of(const std::string& message) {
  return message.substr(message.find("\r\n\r\n") + 4);
}
// The body of a chunked message, with all chunks joined.
inline std::string dechunked(const std::string& message) {
  std::string body;
  std::size_t at = message.find("\r\n\r\n") + 4;
  for (;;) {
    const std::size_t size = std::stoul(message.substr(at), nullptr, 16);
    at = message.find("\r\n", at) + 2;
    if (size == 0) break;
    body += message.substr(at, size);
    EXPECT_EQ(message.substr(at + size, 2), "\r\n");
    at += size + 2;
  }
  return body;
}

class HttpBed {
 public:
  explicit HttpBed(const std::string& services, const std::string& more = "",
                   std::size_t segment = 1000)
      : bed(http_chain(services, more)), segment_(segment) {
    const Bytes mss = {2, 4, 5, 180};
    bed.inside(frame().tcp(tcp_.client, tcp_.server).flags("S").seq(1000).tcp_options(mss));
    bed.outside(
        frame().tcp(tcp_.server, tcp_.client).flags("SA").seq(5000).ack(1001).tcp_options(mss));
    bed.inside(tcp_.up(0, "", "A"));
  }

  // What the server has received of what the client says, after this.
  std::string request(const std::string& text) {
    say(Side::kInside, text, up_);
    return received(Side::kOutside);
  }
  std::string response(const std::string& text) {
    say(Side::kOutside, text, down_);
    return received(Side::kInside);
  }
  // What was said last, so many bytes of it, comes again.
  void again(Side side, const std::string& text) {
    const bool up = side == Side::kInside;
    const std::uint32_t at = (up ? up_ : down_) - static_cast<std::uint32_t>(text.size());
    take(bed.send(
        side, up ? tcp_.up(at, text, "PA", acked(side)) : tcp_.down(at, text, "PA", acked(side))));
  }
  // The client closes; the server.
  void close(Side side) {
    const bool up = side == Side::kInside;
    take(bed.send(
        side, up ? tcp_.up(up_, "", "FA", acked(side)) : tcp_.down(down_, "", "FA", acked(side))));
  }
  // The sender's bytes that are acknowledged when the other side acknowledges all it has.
  std::uint32_t acknowledged(Side side) {
    const Side other = opposite(side);
    const Outs outs =
        bed.send(other, other == Side::kInside ? tcp_.up(up_, "", "A", acked(other))
                                               : tcp_.down(down_, "", "A", acked(other)));
    const std::uint32_t first = side == Side::kInside ? tcp_.up_first : tcp_.down_first;
    return outs.at(0).seen().ack - first;
  }
  std::uint32_t said(Side side) const { return side == Side::kInside ? up_ : down_; }
  // All that came to one side, in sequence order.
  std::string received(Side side) const { return got_[index_of(side)]; }
  std::string flags(Side side) const { return flags_[index_of(side)]; }
  std::uint64_t count(std::string_view name) { return finding(bed.worker(), name); }
  bool was_reset() const {
    return flags(Side::kInside).find('R') != std::string::npos &&
           flags(Side::kOutside).find('R') != std::string::npos;
  }

  Bed bed;
  bool acknowledges = true;  // the receiver, at once

 private:
  void say(Side side, const std::string& text, std::uint32_t& at) {
    for (std::size_t i = 0; i < text.size(); i += segment_) {
      const std::string part = text.substr(i, segment_);
      take(bed.send(side, side == Side::kInside ? tcp_.up(at, part, "PA", acked(side))
                                                : tcp_.down(at, part, "PA", acked(side))));
      at += static_cast<std::uint32_t>(part.size());
      if (!acknowledges) continue;
      const Side other = opposite(side);
      take(bed.send(other, other == Side::kInside ? tcp_.up(up_, "", "A", acked(other))
                                                  : tcp_.down(down_, "", "A", acked(other))));
    }
  }
  std::uint32_t acked(Side side) const {
    return static_cast<std::uint32_t>(got_[index_of(side)].size());
  }
  void take(const Outs& outs) {
    for (const Out& out : outs) {
      const Seen seen = out.seen();
      EXPECT_TRUE(seen.checksums_right());
      flags_[index_of(out.side)] += seen.flags + " ";
      if (seen.payload.empty()) continue;
      std::string& got = got_[index_of(out.side)];
      const std::uint32_t first = out.side == Side::kOutside ? tcp_.up_first : tcp_.down_first;
      const std::uint32_t offset = seen.seq - first;
      ASSERT_LE(offset, got.size()) << "a gap";
      if (offset + seen.payload.size() > got.size()) {
        got.resize(offset);
        got += seen.text();
      }
    }
  }

  Connection tcp_;
  std::size_t segment_;
  std::uint32_t up_ = 0;
  std::uint32_t down_ = 0;
  std::array<std::string, 2> got_;
  std::array<std::string, 2> flags_;
};

}  // namespace glassbox::test
