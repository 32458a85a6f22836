// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tcp_state.h"

#include <array>

namespace glassbox {
namespace {

using enum TcpState;

// What a segment is to the machine, the weightiest first.
enum Event : std::uint8_t { kRst, kSyn, kFin, kData, kOther, kEvents };

Event event_of(TcpSegment segment) {
  if ((segment.flags & kTcpRst) != 0) return kRst;
  if ((segment.flags & kTcpSyn) != 0) return kSyn;
  if ((segment.flags & kTcpFin) != 0) return kFin;
  return segment.carries_data ? kData : kOther;
}

using Row = std::array<TcpState, kEvents>;  // kRst, kSyn, kFin, kData, kOther
constexpr std::size_t kStates = static_cast<std::size_t>(kTransitory) + 1;

// A SYN in a closing state changes nothing: whoever owns the keys opens a new session for it.
constexpr std::array<Row, kStates> kFromClient = {{
    {kTransitory, kInit, kClientFin, kEstablished, kEstablished},         // kClosed
    {kTransitory, kInit, kInit, kInit, kInit},                            // kInit
    {kTransitory, kEstablished, kClientFin, kEstablished, kEstablished},  // kEstablished
    {kTransitory, kClientFin, kClientFin, kClientFin, kClientFin},        // kClientFin
    {kTransitory, kServerFin, kBothFin, kServerFin, kServerFin},          // kServerFin
    {kBothFin, kBothFin, kBothFin, kBothFin, kBothFin},                   // kBothFin
    {kTransitory, kTransitory, kTransitory, kEstablished, kTransitory},   // kTransitory
}};
constexpr std::array<Row, kStates> kFromServer = {{
    {kTransitory, kInit, kServerFin, kEstablished, kEstablished},         // kClosed
    {kTransitory, kEstablished, kInit, kInit, kInit},                     // kInit
    {kTransitory, kEstablished, kServerFin, kEstablished, kEstablished},  // kEstablished
    {kTransitory, kClientFin, kBothFin, kClientFin, kClientFin},          // kClientFin
    {kTransitory, kServerFin, kServerFin, kServerFin, kServerFin},        // kServerFin
    {kBothFin, kBothFin, kBothFin, kBothFin, kBothFin},                   // kBothFin
    {kTransitory, kTransitory, kTransitory, kEstablished, kTransitory},   // kTransitory
}};

struct StateRow {
  std::string_view name;
  TcpTimer timer;
};
constexpr std::array<StateRow, kStates> kStateTable = {{
    {"closed", TcpTimer::kOpening},
    {"init", TcpTimer::kOpening},
    {"established", TcpTimer::kEstablished},
    {"client-fin", TcpTimer::kEstablished},
    {"server-fin", TcpTimer::kEstablished},
    {"both-fin", TcpTimer::kClosing},
    {"transitory", TcpTimer::kClosing},
}};

const StateRow& row(TcpState state) { return kStateTable[static_cast<std::size_t>(state)]; }

}  // namespace

std::string_view name_of(TcpState state) { return row(state).name; }
TcpTimer timer_of(TcpState state) { return row(state).timer; }

TcpState next(TcpState state, TcpEnd sender, TcpSegment segment) {
  const auto& table = sender == TcpEnd::kClient ? kFromClient : kFromServer;
  const Event event = event_of(segment);
  // A SYN with ACK answers a SYN that went unseen: both ends have spoken.
  if (state == kClosed && event == kSyn && (segment.flags & kTcpAck) != 0) return kEstablished;
  return table[static_cast<std::size_t>(state)][event];
}

}  // namespace glassbox
