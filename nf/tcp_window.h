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

#include <immintrin.h>

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

  // The same in two halves, for the fast path. Whether a segment with these flags, and no fragment,
  // is one that advance() may be asked about; it may when both ends have acknowledged.
  bool is_plain(std::uint8_t flags) const {
    constexpr std::uint8_t kAsked = kTcpSyn | kTcpRst | kTcpAck;
    const int unready = ((ends_[0].flags ^ kReady) | (ends_[1].flags ^ kReady)) & ~kScaled;
    return (((flags & kAsked) ^ kTcpAck) | unready) == 0;
  }
  // `numbers`: seq, ack, ack, window; `bytes`: of payload, and the FIN. False: out of the window.
  bool advance(std::uint8_t from, __m128i numbers, std::uint32_t bytes);
  // Any other segment.
  Answer follow_specially(std::uint8_t from, const TcpWindowSegment& segment);

  // Both ends' SYNs were seen: segments are judged.
  bool enforces() const { return (ends_[0].flags & ends_[1].flags & kHeard) != 0; }

 private:
  struct alignas(16) End {
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

  static bool fits(const End& own, const End& peer, const TcpWindowSegment& segment);
  static void note(End& own, const TcpWindowSegment& segment);
  static bool acknowledges_syn(const End& own, std::uint32_t ack);
  static void open(End& own, const TcpWindowSegment& syn);
  void settle_scales();
  void renew(std::uint8_t from, const TcpWindowSegment& syn);
  Answer follow_syn(std::uint8_t from, const TcpWindowSegment& segment);
  Answer judge_reset(std::uint8_t from, const TcpWindowSegment& segment) const;

  End ends_[2]{};
};
static_assert(sizeof(TcpWindow) == 32);

// The bounds and what is remembered, of four numbers at a time. (fits() and note() in the source
// are the same, one by one, for ends that are not ready.)
[[gnu::always_inline]] inline bool TcpWindow::advance(std::uint8_t from, __m128i numbers,
                                                      std::uint32_t bytes) {
  auto* own_line = reinterpret_cast<__m128i*>(&ends_[from]);
  const __m128i own = _mm_load_si128(own_line);
  const __m128i peer = _mm_load_si128(reinterpret_cast<const __m128i*>(&ends_[from ^ 1]));
  // The last words (window, scale, flags) of peer, peer, own, own.
  const __m128i words = _mm_castps_si128(
      _mm_shuffle_ps(_mm_castsi128_ps(peer), _mm_castsi128_ps(own), _MM_SHUFFLE(3, 3, 3, 3)));
  const __m128i scales = _mm_and_si128(_mm_srli_epi32(words, 16), _mm_set1_epi32(15));
  // What is said now, as it is remembered: end, ack, limit, window.
  const __m128i windows =
      _mm_sllv_epi32(_mm_shuffle_epi32(numbers, _MM_SHUFFLE(3, 3, 3, 3)), scales);
  const __m128i added = _mm_blend_epi16(_mm_cvtsi32_si128(static_cast<int>(bytes)), windows, 0x30);
  const __m128i now = _mm_add_epi32(numbers, added);
  // How far back, and beyond: end from own end, limit from end, ack from peer's end, and vice
  // versa.
  const __m128i largest =
      _mm_sllv_epi32(_mm_and_si128(words, _mm_set_epi32(0, UINT16_MAX, 0, UINT16_MAX)),
                     _mm_add_epi32(scales, _mm_set_epi32(0, 1, 0, 0)));
  const __m128i reach =
      _mm_add_epi32(_mm_max_epu32(largest, _mm_set_epi32(0, kLeastReach, 0, kLeastReach)),
                    _mm_set_epi32(0, kBefore, kBeyond, kBefore));
  const __m128i marks =
      _mm_blend_epi16(_mm_shuffle_epi32(peer, _MM_SHUFFLE(0, 0, 2, 2)), own, 0x03);
  const __m128i past = _mm_sub_epi32(_mm_shuffle_epi32(now, _MM_SHUFFLE(1, 1, 0, 0)), marks);
  const __m128i room = _mm_add_epi32(_mm_sign_epi32(past, _mm_set_epi32(-1, 1, -1, 1)), reach);
  if (_mm_movemask_ps(_mm_castsi128_ps(room)) != 0) [[unlikely]]
    return false;
  // The later of each; scale and flags stay.
  const __m128i whole = _mm_blend_epi16(now, own, 0x80);
  const __m128i older = _mm_sub_epi32(whole, own);
  _mm_store_si128(own_line,
                  _mm_castps_si128(_mm_blendv_ps(_mm_castsi128_ps(whole), _mm_castsi128_ps(own),
                                                 _mm_castsi128_ps(older))));
  return true;
}

inline TcpWindow::Answer TcpWindow::follow(std::uint8_t from, const TcpWindowSegment& segment) {
  if (!is_plain(segment.flags) || segment.fragment) return follow_specially(from, segment);
  const __m128i numbers =
      _mm_set_epi32(segment.window, static_cast<int>(segment.ack), static_cast<int>(segment.ack),
                    static_cast<int>(segment.seq));
  const std::uint32_t bytes = segment.length + (segment.flags & kTcpFin);
  return advance(from, numbers, bytes) ? Answer::kPass : Answer::kDrop;
}

}  // namespace glassbox
