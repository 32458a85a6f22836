// SPDX-License-Identifier: BSD-3-Clause
//
// What the firewall's tests share: a host inside, a server outside, and whether something passes.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bed.h"

namespace glassbox::test {

inline constexpr const char* kPlain = "- firewall";
inline constexpr const char* kLoose = "- firewall: { pickup: loose }";

inline constexpr const char* kHost = "192.168.1.2:1000";
inline constexpr const char* kServer = "198.51.100.1:80";
inline constexpr const char* kHost6 = "[fd00::2]:1000";
inline constexpr const char* kServer6 = "[2001:db8::1]:80";

inline Frame from_host(const char* flags) { return frame().tcp(kHost, kServer).flags(flags); }
inline Frame from_server(const char* flags) { return frame().tcp(kServer, kHost).flags(flags); }
inline Frame ask() { return frame().udp(kHost, kServer).payload("?"); }
inline Frame answer() { return frame().udp(kServer, kHost).payload("!"); }

inline bool passes(Bed& bed, Side side, const Bytes& bytes) {
  const Outs outs = bed.send(side, bytes);
  if (outs.size() != 1 || outs[0].side != opposite(side)) return false;
  EXPECT_EQ(outs[0].bytes, bytes);
  EXPECT_TRUE(outs[0].edits.empty());
  return true;
}
inline bool passes_out(Bed& bed, const Bytes& bytes) { return passes(bed, Side::kInside, bytes); }
inline bool passes_in(Bed& bed, const Bytes& bytes) { return passes(bed, Side::kOutside, bytes); }

inline std::string drop_of(Bed& bed, Side side, const Bytes& bytes) {
  EXPECT_THAT(bed.send(side, bytes), ::testing::IsEmpty());
  return bed.last_drop();
}
inline std::string drop_out(Bed& bed, const Bytes& bytes) {
  return drop_of(bed, Side::kInside, bytes);
}
inline std::string drop_in(Bed& bed, const Bytes& bytes) {
  return drop_of(bed, Side::kOutside, bytes);
}

inline void shake_hands(Bed& bed) {
  ASSERT_TRUE(passes_out(bed, from_host("S")));
  ASSERT_TRUE(passes_in(bed, from_server("SA")));
  ASSERT_TRUE(passes_out(bed, from_host("A")));
}

// Forgets the firewall's part of every session.
inline void forget(Bed& bed) {
  SessionTable& sessions = bed.worker().sessions();
  sessions.for_each([&](SessionId session) {
    if (sessions.occupied(session, 0)) sessions.vacate(session, 0, Ending::kForgotten, bed.now());
  });
}

}  // namespace glassbox::test
