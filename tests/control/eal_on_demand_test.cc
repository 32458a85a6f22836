// SPDX-License-Identifier: BSD-3-Clause
//
// What a replay does without EAL, and when EAL starts all the same. Needs a process in which EAL
// has not run.
#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <cstring>
#include <vector>

#include "control/config.h"
#include "control/eal.h"
#include "control/replay/mbuf_stack.h"

namespace glassbox {
namespace {

constexpr unsigned kMbufs = 7;
constexpr unsigned kRoom = 2048;

TEST(MbufStack, MakesMbufsWhenTheyAreTakenAndLendsTheLatestFirst) {
  MbufStack stack(kMbufs, kRoom);
  EXPECT_EQ(rte_mempool_avail_count(stack.get()), kMbufs);
  EXPECT_EQ(stack.made(), 0u);
  rte_mbuf* first = rte_pktmbuf_alloc(stack.get());
  rte_mbuf* second = rte_pktmbuf_alloc(stack.get());
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_EQ(rte_pktmbuf_tailroom(first), kRoom);
  EXPECT_EQ(rte_pktmbuf_headroom(first), RTE_PKTMBUF_HEADROOM);
  EXPECT_EQ(first->pool, stack.get());
  rte_pktmbuf_free(second);
  rte_pktmbuf_free(first);
  EXPECT_EQ(rte_pktmbuf_alloc(stack.get()), first);
  EXPECT_EQ(stack.made(), 2u);
  rte_pktmbuf_free(first);
  EXPECT_EQ(rte_mempool_avail_count(stack.get()), kMbufs);
}

TEST(MbufStack, GivesAllOrNoneAndNoMoreThanItHas) {
  MbufStack stack(kMbufs, kRoom);
  std::vector<rte_mbuf*> all(kMbufs);
  EXPECT_NE(rte_pktmbuf_alloc_bulk(stack.get(), all.data(), kMbufs + 1), 0);
  ASSERT_EQ(rte_pktmbuf_alloc_bulk(stack.get(), all.data(), kMbufs), 0);
  EXPECT_EQ(rte_pktmbuf_alloc(stack.get()), nullptr);
  // Each has its room for itself.
  for (unsigned i = 0; i < kMbufs; ++i) {
    std::memset(rte_pktmbuf_append(all[i], kRoom), static_cast<int>(i + 1), kRoom);
  }
  for (unsigned i = 0; i < kMbufs; ++i) {
    const auto* bytes = rte_pktmbuf_mtod(all[i], const std::uint8_t*);
    EXPECT_TRUE(bytes[0] == i + 1 && bytes[kRoom - 1] == i + 1);
  }
  rte_pktmbuf_free_bulk(all.data(), kMbufs);
  EXPECT_EQ(rte_mempool_avail_count(stack.get()), kMbufs);
}

TEST(MbufStack, ChainsAndClonesGoBackWhole) {
  MbufStack stack(kMbufs, kRoom);
  rte_mbuf* head = rte_pktmbuf_alloc(stack.get());
  rte_mbuf* tail = rte_pktmbuf_alloc(stack.get());
  ASSERT_TRUE(head != nullptr && tail != nullptr);
  std::memset(rte_pktmbuf_append(head, 10), 1, 10);
  std::memset(rte_pktmbuf_append(tail, 20), 2, 20);
  ASSERT_EQ(rte_pktmbuf_chain(head, tail), 0);
  rte_mbuf* clone = rte_pktmbuf_clone(head, stack.get());
  ASSERT_NE(clone, nullptr);
  rte_pktmbuf_free(head);
  EXPECT_EQ(rte_pktmbuf_pkt_len(clone), 30u);
  EXPECT_EQ(*rte_pktmbuf_mtod(clone->next, const std::uint8_t*), 2);
  rte_pktmbuf_free(clone);
  EXPECT_EQ(rte_mempool_avail_count(stack.get()), kMbufs);
}

TEST(EalOnDemand, StartsForRulesThatAreCompiledAndForNothingElse) {
  const EalOnDemand eal(64);
  const auto build = [](const char* chain) {
    return build_chain(parse_config(std::string("chain: ") + chain, "test.yaml"), {.seed = 1});
  };
  const auto plain = build("[firewall: {pickup: loose}, nat44: {pool: 203.0.113.1/32}]");
  EXPECT_EQ(plain.size(), 2u);
  EXPECT_FALSE(eal.is_started());
  const char* rules = "[firewall: {rules: [{from: inside, action: drop, comment: none}]}]";
  const auto one = build(rules);
  EXPECT_TRUE(eal.is_started());
  const auto other = build(rules);  // and it starts once
  EXPECT_EQ(other.size(), 1u);
}

}  // namespace
}  // namespace glassbox
