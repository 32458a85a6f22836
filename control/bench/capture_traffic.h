// SPDX-License-Identifier: BSD-3-Clause
//
// A load from captures: so many copies of them at a time, each with inside hosts of its own, so
// that all their conversations are distinct. Each copy sends the capture's packets in their order,
// one side at a time: what the other side sends waits until all before it is in the box. Times do
// not count. At the capture's end a copy begins anew:
//
//   closed TCP connections   again with their handshake, on the same tuple, at later numbers
//   other TCP connections    go on where they were: no second SYN, at the numbers that follow
//   the rest                 the same packets again
//
// So the box has as many sessions as the copies have conversations, for good. Outside hosts answer
// the address and port that they saw. What answers a packet that the box did not let through is not
// sent; a packet that the ring lost is sent again.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "control/bench/capture_load.h"
#include "control/bench/flow_ends.h"
#include "control/bench/traffic.h"
#include "dataplane/huge_array.h"

namespace glassbox {

class CaptureTraffic final : public Traffic {
 public:
  // Throws std::runtime_error: more hosts or conversations than there can be.
  CaptureTraffic(std::shared_ptr<const CaptureLoad> load, std::uint32_t copies, Network4 inside);

  // From now on every copy once through the capture; idle() then.
  void play_once();
  // From now on for ever.
  void start();
  bool idle() const;
  std::uint64_t conversations() const {
    return std::uint64_t{copies_wanted_} * load_->flows().size();
  }
  // Of the conversations, those that got through to the outside, or came from there.
  std::uint64_t opened() const { return opened_; }
  // Packets that were not sent because what they answer did not get through.
  std::uint64_t unanswered() const { return unanswered_; }
  std::uint32_t rounds(std::uint32_t copy) const { return copies_[copy].round; }

  std::uint32_t draw(Ticket* tickets, std::uint32_t count, double seconds) override;
  void write(const Ticket* tickets, rte_mbuf** mbufs, std::uint16_t count) override;
  void lost(const Ticket& ticket) override;
  void left(std::uint32_t flow, const rte_mbuf* mbuf) override;
  bool is_right(std::uint32_t flow, Side side, const rte_mbuf* mbuf) const override;
  LinkType link() const override { return load_->link(); }
  std::uint32_t largest_frame() const override { return load_->largest_frame(); }

 private:
  struct Copy {
    std::uint32_t at = 0;  // the packet that comes next
    std::uint32_t round = 0;
    std::array<std::uint16_t, kSides> under_way{};  // drawn, and not in the box
    std::uint32_t waits = 0;                        // draws without getting on
  };
  // The inside end of a conversation as the outside sees it.
  struct Face {
    std::uint32_t address;  // network order
    std::uint16_t port;     // network order
    bool known;
    bool given_up;  // in this round
  };

  bool step(std::uint32_t number, Ticket* ticket);
  bool begin_round(Copy& copy);
  bool waits_for_face(Copy& copy, Face& face);
  void write_one(const Ticket& ticket, rte_mbuf* mbuf);
  std::uint32_t inside_address(std::uint32_t copy, std::uint32_t host) const;
  Face& face(std::uint32_t flow) const { return faces_[flow]; }

  std::shared_ptr<const CaptureLoad> load_;
  std::uint32_t copies_wanted_;
  Network4 inside_;
  unsigned flow_bits_;
  std::vector<Copy> copies_;
  HugeArray memory_;
  Face* faces_;  // at copy << flow_bits_ | flow
  std::uint32_t next_ = 0;
  bool running_ = false;
  bool once_ = false;
  std::uint64_t opened_ = 0;
  std::uint64_t unanswered_ = 0;
};

}  // namespace glassbox
