// SPDX-License-Identifier: BSD-3-Clause
//
// mbufs for tests: the EAL (started once by main.cc, without root, hugepages or devices), a pool,
// and the way from bytes to mbufs and back.
//
// MbufTest is a fixture with a pool of its own, which must be full again when the test ends: a
// leaked mbuf fails the test it leaked in.
#pragma once

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <memory>

#include "tests/support/packets.h"

namespace glassbox::test {

// Starts the EAL once per program; main.cc registers it.
class EalEnvironment : public ::testing::Environment {
 public:
  void SetUp() override;
  void TearDown() override;
};

class Pool {
 public:
  // `room`: data bytes of an mbuf beside the headroom.
  explicit Pool(unsigned mbufs = 1023, std::uint16_t room = 2048);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  rte_mempool* get() const { return pool_; }
  // mbufs taken and not given back.
  unsigned missing() const;

  // A frame, in one mbuf if it fits or in segments of `segment` bytes. The caller owns it.
  rte_mbuf* mbuf(const Bytes& frame, std::size_t segment = 0) const;
  // The frame in one mbuf whose data ends where its buffer ends: no byte behind it can be read.
  rte_mbuf* without_tailroom(const Bytes& frame) const;

 private:
  rte_mempool* pool_;
};

Bytes bytes_of(const rte_mbuf* mbuf);

// A frame in an mbuf of its own outside any pool, in a heap buffer of exactly its size, so that
// AddressSanitizer sees the first byte read beside it.
class ExactMbuf {
 public:
  explicit ExactMbuf(const Bytes& frame);
  rte_mbuf* get() { return &mbuf_; }

 private:
  std::unique_ptr<std::uint8_t[]> data_;
  rte_mbuf mbuf_;
};

class MbufTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(pool_.missing(), 0u) << "mbufs leaked"; }
  rte_mbuf* to_mbuf(const Bytes& frame, std::size_t segment = 0) {
    return pool_.mbuf(frame, segment);
  }
  Pool pool_;
};

}  // namespace glassbox::test
