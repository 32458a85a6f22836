// SPDX-License-Identifier: BSD-3-Clause
#include "nf/tcp_window.h"

namespace glassbox {

bool TcpWindow::fits(const End& own, const End& peer, const TcpWindowSegment& segment) {
  const std::uint32_t end = segment.end();
  const std::uint32_t reach = std::max(largest_window(peer), kLeastReach) + kBefore;
  // What the other end takes before it has acknowledged anything is bounded all the same.
  const std::uint32_t limit = peer.is(kAcked) ? peer.limit + kBeyond : own.end + reach;
  const bool data = !before(end, own.end - reach) && !before(limit, end);
  if ((segment.flags & kTcpAck) == 0) return data;
  const std::uint32_t ack_reach = std::max(2 * largest_window(own), kLeastReach) + kBefore;
  const std::uint32_t sent = peer.end + (peer.is(kFragments) ? UINT16_MAX : 0);
  return data && !before(segment.ack, peer.end - ack_reach) && !before(sent, segment.ack);
}

// Of a segment with ACK and without SYN.
void TcpWindow::note(End& own, const TcpWindowSegment& segment) {
  const std::uint32_t window = std::uint32_t{segment.window} << (own.scale & 15);
  own.end = later(own.end, segment.end());
  own.ack = later(own.ack, segment.ack);
  own.limit = later(own.limit, segment.ack + window);
  own.window = std::max(own.window, segment.window);
}

// Whether this answers the SYN of an end that has acknowledged nothing yet: the SYN itself, or some
// of the data that came with it (RFC 7413).
bool TcpWindow::acknowledges_syn(const End& own, std::uint32_t ack) {
  if (own.is(kAcked)) return !before(own.end, ack) && !before(ack, own.end - kLeastReach);
  return ack - own.ack <= own.end - own.ack;
}

// An end begins with its SYN. Until it acknowledges something, `ack` is the byte behind the SYN.
void TcpWindow::open(End& own, const TcpWindowSegment& syn) {
  // A later copy of the SYN may leave the option out; the answer shows which one was heard.
  const bool again = own.is(kHeard) && !own.is(kAcked) && own.ack == syn.seq + 1;
  const bool scales = syn.scale != TcpWindowSegment::kNoScale;
  const std::uint8_t before_scale = own.scale;
  const std::uint8_t before_scaled = again ? own.flags & kScaled : 0;
  const bool acks = (syn.flags & kTcpAck) != 0;
  own.end = syn.end();
  own.ack = acks ? syn.ack : syn.seq + 1;
  own.limit = syn.ack + syn.window;  // RFC 7323 2.2: a SYN's window is not scaled
  own.window = syn.window;
  own.scale = scales ? std::min(syn.scale, kMaxScale) : before_scaled != 0 ? before_scale : 0;
  own.flags =
      static_cast<std::uint8_t>(kHeard | (scales ? kScaled : before_scaled) | (acks ? kAcked : 0));
}

// Both SYNs were seen: windows are scaled if both ends have offered it, else none is.
void TcpWindow::settle_scales() {
  const bool both = ends_[0].is(kScaled) && ends_[1].is(kScaled);
  for (End& end : ends_) {
    if (!both) {
      end.scale = 0;
      end.flags &= static_cast<std::uint8_t>(~kScaled);
    }
    const std::uint32_t unit = 1u << end.scale;
    end.window = static_cast<std::uint16_t>((end.window + unit - 1) / unit);
  }
}

// A SYN that was not of this connection has been answered by another SYN: the ends agree on a new
// one. Of the first SYN its scale is remembered; what it offered is learned from the next segment.
void TcpWindow::renew(std::uint8_t from, const TcpWindowSegment& syn) {
  End& peer = ends_[from ^ 1];
  const std::uint8_t scaled = peer.is(kRenewScaled) ? kScaled : 0;
  peer = {syn.ack,
          syn.ack,
          0,
          0,
          static_cast<std::uint8_t>(peer.scale >> 4),
          static_cast<std::uint8_t>(kHeard | scaled)};
  ends_[from] = {};
  open(ends_[from], syn);
  settle_scales();
}

TcpWindow::Answer TcpWindow::follow_syn(std::uint8_t from, const TcpWindowSegment& segment) {
  End& own = ends_[from];
  End& peer = ends_[from ^ 1];
  const bool acks = (segment.flags & kTcpAck) != 0;
  if (!enforces()) {
    // An answer to something else: its receiver will say so (RFC 9293 3.10.7.3).
    if (acks && peer.is(kHeard) && !acknowledges_syn(peer, segment.ack)) return Answer::kPass;
    open(own, segment);
    if (enforces()) settle_scales();
    return Answer::kPass;
  }
  if (!acks) {
    const bool scales = segment.scale != TcpWindowSegment::kNoScale;
    const std::uint8_t scale = scales ? std::min(segment.scale, kMaxScale) : 0;
    own.scale = static_cast<std::uint8_t>((own.scale & 15) | scale << 4);
    own.flags = static_cast<std::uint8_t>((own.flags & ~kRenewScaled) | kRenewing |
                                          (scales ? kRenewScaled : 0));
    return Answer::kPass;
  }
  if (fits(own, peer, segment)) {
    if (!own.is(kAcked)) own.ack = own.limit = segment.ack;
    own.ack = later(own.ack, segment.ack);
    own.limit = later(own.limit, segment.ack + segment.window);
    own.flags |= kAcked;
    return Answer::kPass;
  }
  if (!peer.is(kRenewing)) return Answer::kDrop;
  renew(from, segment);
  return Answer::kPass;
}

// RFC 5961 3.2: a RST resets if it stands at the next byte that its receiver expects. One in the
// window that does not is answered by a challenge. A RST's own ack means nothing here.
TcpWindow::Answer TcpWindow::judge_reset(std::uint8_t from, const TcpWindowSegment& segment) const {
  if (!enforces()) return Answer::kPass;
  const End& own = ends_[from];
  const End& peer = ends_[from ^ 1];
  // There is no such connection any more, says the end that a new SYN went to.
  if (peer.is(kRenewing) && (segment.flags & kTcpAck) != 0) return Answer::kPass;
  TcpWindowSegment bare = segment;
  bare.flags &= static_cast<std::uint8_t>(~kTcpAck);
  if (!fits(own, peer, bare)) return Answer::kDrop;
  // Behind the last byte sent: it follows data that is still on its way to the receiver.
  const bool exact = !peer.is(kAcked) || segment.seq == peer.ack || segment.seq == own.end;
  return exact ? Answer::kPass : Answer::kPassOnly;
}

TcpWindow::Answer TcpWindow::follow_specially(std::uint8_t from, const TcpWindowSegment& segment) {
  if ((segment.flags & kTcpRst) != 0) return judge_reset(from, segment);
  if ((segment.flags & kTcpSyn) != 0) return follow_syn(from, segment);
  if (!enforces()) return Answer::kPass;
  End& own = ends_[from];
  End& peer = ends_[from ^ 1];
  if (!fits(own, peer, segment)) return Answer::kDrop;
  own.scale &= 15;
  own.flags &= static_cast<std::uint8_t>(~(kRenewing | kRenewScaled));
  // Of a datagram in fragments only the first one's bytes are counted; its receiver tells the rest.
  if (segment.fragment) own.flags |= kFragments;
  if ((segment.flags & kTcpAck) == 0) {
    own.end = later(own.end, segment.end());
    return Answer::kPass;
  }
  if (!own.is(kAcked)) own.ack = own.limit = segment.ack;
  own.flags |= kAcked;
  note(own, segment);
  if (peer.is(kFragments)) peer.end = later(peer.end, segment.ack);
  return Answer::kPass;
}

}  // namespace glassbox
