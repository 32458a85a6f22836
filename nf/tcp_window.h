// SPDX-License-Identifier: BSD-3-Clause
//
// Whether a TCP segment is one that the connection's ends can have sent each other: the window
// tracking of G. van Rooij, "Real Stateful TCP Packet Filtering in IP Filter", which nf_conntrack
// and IPFilter do as well. A pure function of what went before and the segment.
//
// Of each end is remembered what it has said of itself:
//   end      behind the last byte that it has sent (SYN and FIN count)
//   ack      the highest acknowledgement that it has sent
//   limit    the highest acknowledgement + window: so far the other end may send
//   window   the largest window that it has offered
// A segment is in the window when
//   its end   <= the other's limit                 what the other end has room for
//   its end   >= own end - window                  else nobody can be waiting for any of it
//   its ack   <= the other's end                   what the other end has sent
//   its ack   >= the other's end - 2 windows       what RFC 5961 5.2 has an end accept
// where window is the largest that was offered to whoever has sent what is counted back from, and
// counts for 66,000 bytes at least (nf_conntrack's MAXACKWINCONST): late copies are legitimate.
// A zero-window probe's byte may lie beyond the limit, and a keepalive's before the window (RFC
// 1122 4.2.3.6): kBeyond, kBefore.
//
// RFC 6092 REC-32: nothing is enforced unless the SYN of both ends was seen, because only a SYN
// tells the window's scale. RST: RFC 5961 3.2 (kPassOnly). A SYN in an open connection passes and
// changes nothing (RFC 5961 4.2: its end answers it); if the answer is a SYN with ACK, or RST, then
// one end has begun anew and the tracker follows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/tcp_state.h"

namespace glassbox {

// What the tracker reads of a segment.
struct TcpWindowSegment {
  static constexpr std::uint8_t kNoScale = UINT8_MAX;

  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint32_t length = 0;  // of the payload, as far as it lies in this packet
  std::uint16_t window = 0;
  std::uint8_t flags = 0;
  std::uint8_t scale = kNoScale;  // of a SYN: the window scale option (RFC 7323 2.2)
  bool fragment = false;          // more payload lies in other fragments

  std::uint32_t end() const {
    return seq + length + ((flags & kTcpSyn) != 0) + ((flags & kTcpFin) != 0);
  }
};

class TcpWindow {
 public:
  enum class Answer : std::uint8_t {
    kPass,
    // It passes, but whoever follows the connection's state should not believe it: a RST in the
    // window that is not at the next byte, which its receiver answers by a challenge and no more.
    kPassOnly,
    kDrop,  // out of the window
  };

  // The segment from the end whose direction is `from`: 0 or 1.
  Answer follow(std::uint8_t from, const TcpWindowSegment& segment);

  // Both ends' SYNs were seen: segments are judged.
  bool enforces() const { return (ends_[0].flags & ends_[1].flags & kHeard) != 0; }

 private:
  struct End {
    std::uint32_t end;
    std::uint32_t ack;
    std::uint32_t limit;
    std::uint16_t window;  // in units of the scale
    std::uint8_t scale;    // the upper half: that of a SYN that may begin anew
    std::uint8_t flags;

    bool is(std::uint8_t flag) const { return (flags & flag) != 0; }
  };
  static constexpr std::uint8_t kHeard = 1;     // its SYN was seen
  static constexpr std::uint8_t kScaled = 2;    // it offered to scale; once both are heard: both
  static constexpr std::uint8_t kAcked = 4;     // ack and limit are known
  static constexpr std::uint8_t kRenewing = 8;  // a SYN passed that was not of this connection
  static constexpr std::uint8_t kRenewScaled = 16;  // ... and offered to scale
  static constexpr std::uint8_t kFragments = 32;    // some of what it sent was not counted
  static constexpr std::uint8_t kReady = kHeard | kAcked;

  static constexpr std::uint32_t kLeastReach = 66'000;  // nf_conntrack's MAXACKWINCONST
  static constexpr std::uint32_t kBeyond = 1;
  static constexpr std::uint32_t kBefore = 2;
  static constexpr std::uint8_t kMaxScale = 14;  // RFC 7323 2.3

  static bool before(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) < 0;
  }
  static std::uint32_t later(std::uint32_t a, std::uint32_t b) { return before(a, b) ? b : a; }
  static std::uint32_t largest_window(const End& end) {
    return std::uint32_t{end.window} << (end.scale & 15);
  }

  template <bool kReadyEnds>
  static bool fits(const End& own, const End& peer, const TcpWindowSegment& segment);
  static void note(End& own, const TcpWindowSegment& segment);
  static bool acknowledges_syn(const End& own, std::uint32_t ack);
  static void open(End& own, const TcpWindowSegment& syn);
  void settle_scales();
  void renew(std::uint8_t from, const TcpWindowSegment& syn);
  Answer follow_specially(std::uint8_t from, const TcpWindowSegment& segment);
  Answer follow_syn(std::uint8_t from, const TcpWindowSegment& segment);
  Answer judge_reset(std::uint8_t from, const TcpWindowSegment& segment) const;

  End ends_[2]{};
};
static_assert(sizeof(TcpWindow) == 32);

template <bool kReadyEnds>
inline bool TcpWindow::fits(const End& own, const End& peer, const TcpWindowSegment& segment) {
  const std::uint32_t end = segment.end();
  const std::uint32_t reach = std::max(largest_window(peer), kLeastReach) + kBefore;
  std::uint32_t limit = peer.limit + kBeyond;
  // What the other end takes before it has acknowledged anything is bounded all the same.
  if (!kReadyEnds && !peer.is(kAcked)) limit = own.end + reach;
  const bool data = !before(end, own.end - reach) & !before(limit, end);
  if (!kReadyEnds && (segment.flags & kTcpAck) == 0) return data;
  const std::uint32_t ack_reach = std::max(2 * largest_window(own), kLeastReach) + kBefore;
  std::uint32_t sent = peer.end;
  if (!kReadyEnds && peer.is(kFragments)) sent += UINT16_MAX;
  return data & !before(segment.ack, peer.end - ack_reach) & !before(sent, segment.ack);
}

// Of a segment with ACK and without SYN.
inline void TcpWindow::note(End& own, const TcpWindowSegment& segment) {
  const std::uint32_t window = std::uint32_t{segment.window} << (own.scale & 15);
  own.end = later(own.end, segment.end());
  own.ack = later(own.ack, segment.ack);
  own.limit = later(own.limit, segment.ack + window);
  own.window = std::max(own.window, segment.window);
}

inline TcpWindow::Answer TcpWindow::follow(std::uint8_t from, const TcpWindowSegment& segment) {
  constexpr std::uint8_t kAsked = kTcpSyn | kTcpRst | kTcpAck;
  End& own = ends_[from];
  const End& peer = ends_[from ^ 1];
  const auto unready =
      static_cast<std::uint8_t>(((own.flags ^ kReady) | (peer.flags ^ kReady)) & ~kScaled);
  if (((segment.flags & kAsked) ^ kTcpAck) != 0 || unready != 0 || segment.fragment) [[unlikely]]
    return follow_specially(from, segment);
  if (!fits<true>(own, peer, segment)) [[unlikely]]
    return Answer::kDrop;
  note(own, segment);
  return Answer::kPass;
}

}  // namespace glassbox
