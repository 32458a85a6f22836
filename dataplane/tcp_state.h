// SPDX-License-Identifier: BSD-3-Clause
//
// The state of a TCP connection as a box in its path sees it: the machine of RFC 7857 section 2,
// figure 1. A pure function of state and segment, shared by every function that keeps time by it.
//
//   kInit         a SYN of the client was seen                           opening: transitory
//   kEstablished  the server's SYN as well                               established
//   kClientFin    one FIN: the other half may go on for long             established
//   kServerFin
//   kBothFin      both FINs: only retransmissions are to come            closing: transitory
//   kTransitory   a RST was seen; a data segment shows that it did not   closing: transitory
//                 end the connection, and leads back (RFC 7857 2.2)
//
// The client is the end whose segment opened the session, on whichever side it sits. The figure's
// way from ESTABLISHED to TRANS when the idle timer runs out is not taken: there is no probe that
// could bring an answer, so the state ends with its timer.
#pragma once

#include <cstdint>
#include <string_view>

namespace glassbox {

inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpAck = 0x10;
// Segments that can change a state other than kTransitory.
inline constexpr std::uint8_t kTcpTurningPoints = kTcpFin | kTcpSyn | kTcpRst;

enum class TcpState : std::uint8_t {
  kClosed,  // nothing was seen
  kInit,
  kEstablished,
  kClientFin,
  kServerFin,
  kBothFin,
  kTransitory,
};
std::string_view name_of(TcpState state);

enum class TcpEnd : std::uint8_t { kClient, kServer };

struct TcpSegment {
  std::uint8_t flags = 0;
  bool carries_data = false;
};

// The state after `segment` from `sender`. From kClosed: the segment opens the session; without a
// lone SYN the beginning was missed, and the connection counts as established.
TcpState next(TcpState state, TcpEnd sender, TcpSegment segment);

// Which of the timers of RFC 5382 REQ-5 and RFC 7857 2.1 runs in a state.
enum class TcpTimer : std::uint8_t { kOpening, kEstablished, kClosing };
TcpTimer timer_of(TcpState state);

// Its endpoints have ended the connection, as far as anyone in the path can tell.
constexpr bool is_closing(TcpState state) {
  return state == TcpState::kBothFin || state == TcpState::kTransitory;
}

}  // namespace glassbox
