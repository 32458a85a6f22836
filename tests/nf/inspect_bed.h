// SPDX-License-Identifier: BSD-3-Clause
//
// One TCP connection through `inspect`, spoken in offsets from the first byte of each direction.
#pragma once

#include <string>

#include "tests/support/bed.h"

namespace glassbox::test {

// The chain of one inspect function with these rules and further parameters.
inline std::string inspect_chain(const std::string& rules, const std::string& more = "") {
  return "- inspect: { rules: [" + rules + "]" + (more.empty() ? "" : ", " + more) + " }";
}

inline std::uint64_t finding(Worker& worker, std::string_view name) {
  for (const auto& [found, count] : worker.chain().at(0)->findings()) {
    if (found == name) return count;
  }
  ADD_FAILURE() << "no finding named " << name;
  return 0;
}

struct Connection {
  std::string client = "192.168.1.2:1000";
  std::string server = "198.51.100.1:80";
  std::uint32_t up_first = 1001;    // sequence number of the first byte from the client
  std::uint32_t down_first = 5001;  // from the server

  // A segment from the client. `acked`: bytes of the server that it acknowledges.
  Bytes up(std::uint32_t offset, std::string_view text, std::string_view flags = "PA",
           std::uint32_t acked = 0) const {
    return frame()
        .tcp(client, server)
        .flags(flags)
        .seq(up_first + offset)
        .ack(down_first + acked)
        .payload(text);
  }
  Bytes down(std::uint32_t offset, std::string_view text, std::string_view flags = "PA",
             std::uint32_t acked = 0) const {
    return frame()
        .tcp(server, client)
        .flags(flags)
        .seq(down_first + offset)
        .ack(up_first + acked)
        .payload(text);
  }
  Bytes syn() const { return frame().tcp(client, server).flags("S").seq(up_first - 1); }

  void open(Bed& bed) const {
    bed.inside(syn());
    bed.outside(frame().tcp(server, client).flags("SA").seq(down_first - 1).ack(up_first));
    bed.inside(up(0, "", "A"));
  }
};

// What the packets carry, in the order in which they left: "one|two".
inline std::string texts(const Outs& outs) {
  std::string all;
  for (const Out& out : outs) all += (all.empty() ? "" : "|") + out.seen().text();
  return all;
}

}  // namespace glassbox::test
