// SPDX-License-Identifier: BSD-3-Clause
//
// For any two streams, any edits of either and any way of cutting, losing, repeating, reordering
// and overlapping segments: each host receives the other's stream as edited, byte by byte, is never
// told of an acknowledgement of what it did not send, and is told of all of it in the end.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/nf/stream_rig.h"

namespace glassbox::test {
namespace {

unsigned environment(const char* name, unsigned otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : static_cast<unsigned>(std::strtoul(value, nullptr, 10));
}

TEST(StreamProperty, HostsReceiveTheStreamAsEditedAndAreAcknowledged) {
  const unsigned first = environment("GLASSBOX_STREAM_SEED", 1);
  const unsigned cases = environment("GLASSBOX_STREAM_CASES", 100000);
  Rig rig(false);
  Rig checked(true);
  for (unsigned seed = first; seed < first + cases; ++seed) {
    const std::string fault = Conversation(seed).run(seed % 64 == 0 ? checked : rig);
    ASSERT_EQ(fault, "") << "again: GLASSBOX_STREAM_SEED=" << seed << " GLASSBOX_STREAM_CASES=1";
  }
}

}  // namespace
}  // namespace glassbox::test
