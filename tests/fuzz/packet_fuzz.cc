// SPDX-License-Identifier: BSD-3-Clause
//
// Any bytes as a frame: parsing reads nothing beside it, finds the same again, its offsets lie in
// the frame and in order, the fast path says what the careful one says, and where nothing is wrong
// a second dissector sees the same flow. The first byte: link type, missing bytes, segments.

#include "dataplane/parse.h"
#include "dataplane/transport_checksum.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/mbufs.h"
#include "tests/support/seen.h"

namespace glassbox::test {
namespace {

void check_offsets(const Packet& packet, std::size_t size) {
  require(packet.anomaly < Anomaly::kCount, "an anomaly without a name");
  if (packet.anomaly != Anomaly::kNone || !packet.has(kIpv4 | kIpv6)) return;
  require(packet.l3 <= packet.l4 && packet.l4 <= packet.payload, "headers out of order");
  require(packet.payload <= packet.ip_end && packet.ip_end <= size, "a payload beyond the frame");
  if (packet.has(kTcp)) require(packet.payload - packet.l4 >= 20, "a TCP header that is cut");
  if (packet.has(kUdp)) require(packet.payload - packet.l4 == 8, "a UDP header that is none");
  if (packet.has(kRelated)) require(packet.quoted_l4 + 8u <= size, "a quote beyond the frame");
}

bool same(const Packet& a, const Packet& b, std::uint32_t shift) {
  if (a.anomaly != b.anomaly || (a.flags | kTagged) != (b.flags | kTagged)) return false;
  if (a.anomaly != Anomaly::kNone || !a.has(kIpv4 | kIpv6)) return true;
  const bool place = a.l3 + shift == b.l3 && a.l4 + shift == b.l4 &&
                     a.payload + shift == b.payload && a.ip_end + shift == b.ip_end;
  const bool said = a.protocol == b.protocol && (!a.has(kTcp) || a.tcp_flags == b.tcp_flags);
  if (!place || !said) return false;
  if (!a.has(kKeyed)) return true;
  return a.has(kIpv4) ? a.key4 == b.key4 : a.key6 == b.key6;
}

Packet parsed(rte_mbuf* mbuf, LinkType link, std::uint32_t missing) {
  Packet packet;
  packet.mbuf = mbuf;
  parse(packet, link, missing);
  return packet;
}

// A tag keeps a frame off the fast path.
void check_tagged(const Bytes& frame, const Packet& packet, std::uint32_t missing) {
  if (frame.size() < 14 || packet.has(kTagged)) return;
  Bytes tagged = frame;
  const Bytes tag = {0x81, 0, 0, 7};
  tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
  ExactMbuf mbuf(tagged);
  require(same(packet, parsed(mbuf.get(), LinkType::kEthernet, missing), 4),
          "fast and careful path disagree");
}

// Only what the dissector of the tests dissects, too.
void check_second_opinion(const Bytes& frame, const Packet& packet, LinkType link) {
  if (packet.anomaly != Anomaly::kNone || !packet.has(kTcp | kUdp) || packet.has(kTruncated))
    return;
  const Seen seen = link == LinkType::kRawIp ? read_datagram(frame) : read(frame);
  const Tuple tuple = packet.arriving_tuple();
  require(seen.protocol == packet.protocol, "another protocol: " + describe(frame));
  require(seen.source_port == tuple.source_port && seen.destination_port == tuple.destination_port,
          "other ports: " + describe(frame));
  const std::size_t length = packet.ip_end - packet.payload;
  if (packet.has(kTcp) && !packet.has(kFragmented)) {
    require(seen.payload.size() == length, "another payload: " + describe(frame));
  }
  if (packet.has(kFragmented)) return;
  const SumState sum = seen.checksum;
  if (sum == SumState::kUnknown) return;
  require(has_right_checksum(packet) == (sum != SumState::kWrong),
          "the checksum is judged differently: " + describe(frame));
}

void check_checksum(const Packet& packet) {
  if (!packet.has(kTcp | kUdp) || packet.has(kFragmented) || packet.has(kTruncated) ||
      packet.anomaly != Anomaly::kNone) {
    return;
  }
  fill_checksum(const_cast<Packet&>(packet));
  require(has_right_checksum(packet), "a checksum that was filled in is wrong");
}

}  // namespace
}  // namespace glassbox::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glassbox;
  using namespace glassbox::test;
  static const Pool pool(63);
  Input input({data, size});
  const std::uint8_t how = input.byte();
  const LinkType link = (how & 1) != 0 ? LinkType::kRawIp : LinkType::kEthernet;
  const std::uint32_t missing = (how & 2) != 0 ? how * 16u : 0;
  const auto rest = input.take(9000);
  const Bytes frame(rest.begin(), rest.end());
  ExactMbuf exact(frame);
  const Packet packet = parsed(exact.get(), link, missing);
  check_offsets(packet, frame.size());
  require(same(packet, parsed(exact.get(), link, missing), 0), "parsed twice, found two things");
  if (link == LinkType::kEthernet) check_tagged(frame, packet, missing);
  if (missing == 0) check_second_opinion(frame, packet, link);
  check_checksum(packet);
  if ((how & 4) != 0 && !frame.empty() && frame.size() <= 1200) {
    rte_mbuf* chained = pool.mbuf(frame, 20u + how * 2);
    const Packet again = parsed(chained, link, missing);
    check_offsets(again, frame.size());
    require(again.anomaly != Anomaly::kNone || same(packet, again, 0),
            "in segments it is another packet");
    rte_pktmbuf_free(chained);
  }
  return 0;
}
