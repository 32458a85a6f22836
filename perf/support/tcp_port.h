// SPDX-License-Identifier: BSD-3-Clause
//
// The port of the TCP conversations: SYN, answer and acknowledgement when they are opened, data
// from then on.
#pragma once

#include "perf/support/flow_port.h"
#include "perf/support/tcp_conversation.h"

namespace glassbox::perf {

// What is said at present, by both ports.
enum class Saying : std::uint8_t { kSyn, kSynAck, kAck, kData };
inline constexpr Saying kHandshake[] = {Saying::kSyn, Saying::kSynAck, Saying::kAck};

class TcpPort final : public FlowPort {
 public:
  TcpPort(Side side, std::vector<TcpConversation>& flows, MbufRing& ring, std::uint64_t seed)
      : FlowPort(side, flows.data(), sizeof(TcpConversation), flows.size(), ring, seed),
        flows_(flows) {}

  void say(Saying what) { saying_ = what; }

 private:
  void fill(Burst& burst) override;
  void check(rte_mbuf** mbufs, std::uint16_t count) override;
  template <Side kSide>
  void fill_data(Burst& burst);
  template <Side kSide>
  void check_data(rte_mbuf** mbufs, std::uint16_t count);
  void write_handshake(rte_mbuf* mbuf, std::uint32_t number) const;
  // Of a handshake's packet: whether it is right; a SYN says what its sender is translated to.
  bool note(const rte_mbuf* mbuf);

  std::vector<TcpConversation>& flows_;
  Saying saying_ = Saying::kSyn;
};

}  // namespace glassbox::perf
