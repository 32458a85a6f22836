// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow_key.h"

#include <gtest/gtest.h>

#include <random>

namespace glassbox {
namespace {

// A key made in a register is the one that the readable form gives.
TEST(FlowKeyTest, AnswersAreTheReversedTupleFromTheOtherSide) {
  std::mt19937 random(11);
  for (int i = 0; i < 1000; ++i) {
    const auto sixteen = [&] { return static_cast<std::uint16_t>(random()); };
    const Tuple tuple{IpAddress::v4(static_cast<std::uint32_t>(random())),
                      IpAddress::v4(static_cast<std::uint32_t>(random())), sixteen(), sixteen(),
                      static_cast<std::uint8_t>(random())};
    const Side side = i % 2 == 0 ? Side::kInside : Side::kOutside;
    const FlowKey4 key = FlowKey4::from(tuple, side);
    ASSERT_EQ(key.tuple(), tuple);
    ASSERT_EQ(key.side, index_of(side));
    ASSERT_EQ(key.zone, 0);
    for (const Side from : {Side::kInside, Side::kOutside}) {
      ASSERT_EQ(key.answer(from), FlowKey4::from(tuple.reversed(), from));
    }
    ASSERT_EQ(FlowKey4::of(key.source, key.destination, key.source_port, key.destination_port,
                           key.protocol, side),
              key);
    const KeyHasher hasher(static_cast<std::uint64_t>(i));
    ASSERT_EQ(hasher(key), hasher(key.vector()));
  }
}

}  // namespace
}  // namespace glassbox
