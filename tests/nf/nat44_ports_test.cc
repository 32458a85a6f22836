// SPDX-License-Identifier: BSD-3-Clause
#include "nf/nat44_ports.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace glassbox {
namespace {

constexpr PortClass kUdp = PortClass::kUdp;
constexpr PortClass kTcp = PortClass::kTcp;

Prefix prefix(std::uint32_t address, std::uint8_t length) {
  return {IpAddress::v4(address), length};
}

// --- the pool ----------------------------------------------------------------------------------

TEST(AddressPoolTest, NumbersAllAddressesOfAllPrefixes) {
  const AddressPool pool({prefix(0xcb007100, 30), prefix(0xc6336407, 32)}, {});
  ASSERT_EQ(pool.size(), 5u);
  std::set<std::uint32_t> seen;
  for (std::uint32_t number = 0; number < pool.size(); ++number) {
    seen.insert(pool.address(number));
    EXPECT_EQ(pool.number_of(pool.address(number)), number);
  }
  EXPECT_EQ(seen,
            (std::set<std::uint32_t>{0xcb007100, 0xcb007101, 0xcb007102, 0xcb007103, 0xc6336407}));
  EXPECT_FALSE(pool.contains(0xcb007104));
  EXPECT_FALSE(pool.contains(0xcb0070ff));
}

TEST(AddressPoolTest, PairingIsAFunctionThatUsesTheWholePool) {
  const AddressPool pool({prefix(0xcb007100, 28)}, {});
  std::vector<int> hosts(pool.size());
  for (std::uint32_t host = 0; host < 1600; ++host) {
    const std::uint32_t number = pool.paired_with(0xc0a80000 + host);
    ASSERT_LT(number, pool.size());
    ASSERT_EQ(number, pool.paired_with(0xc0a80000 + host));
    ++hosts[number];
  }
  for (const int count : hosts) EXPECT_NEAR(count, 100, 50);
}

std::string complaint(const std::vector<Prefix>& prefixes) {
  try {
    const AddressPool pool(prefixes, {"edge.yaml", 7});
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(AddressPoolTest, WhatCannotBeAPoolIsRefusedWithItsPlace) {
  EXPECT_EQ(complaint({prefix(0xcb007100, 24), prefix(0xcb007180, 25)}),
            "edge.yaml:7: pool: 203.0.113.128/25 overlaps 203.0.113.0/24");
  EXPECT_EQ(complaint({prefix(0xcb007180, 25), prefix(0xcb007100, 24)}),
            "edge.yaml:7: pool: 203.0.113.0/24 overlaps 203.0.113.128/25");
  EXPECT_EQ(complaint({prefix(0xe0000001, 32)}), "edge.yaml:7: pool: 224.0.0.1/32 is not unicast");
  EXPECT_NE(complaint({prefix(0x0a000000, 8)}), "");
  EXPECT_NE(complaint({Prefix{IpAddress::from_network("0123456789abcdef", 6), 64}}), "");
  EXPECT_NE(complaint({}), "");
}

// --- shares ------------------------------------------------------------------------------------

TEST(PortShareTest, SharesAreDisjointAndCoverTheRange) {
  for (const PortRange range :
       {PortRange{1024, 65535}, PortRange{1, 65535}, PortRange{5001, 5017}}) {
    for (std::uint32_t workers = 1; workers <= 8; ++workers) {
      std::uint32_t expected = range.first;
      for (std::uint32_t worker = 0; worker < workers; ++worker) {
        const auto share = share_of(range, worker, workers);
        ASSERT_TRUE(share);
        EXPECT_EQ(share->first, expected) << workers;
        expected = share->last + 1u;
      }
      EXPECT_EQ(expected, range.last + 1u);
    }
  }
}

TEST(PortShareTest, TooFewPortsForTheWorkersIsSaid) {
  int served = 0;
  for (std::uint32_t worker = 0; worker < 4; ++worker) {
    served += share_of({1024, 1025}, worker, 4).has_value() ? 1 : 0;
  }
  EXPECT_LT(served, 4);
}

// --- the book ----------------------------------------------------------------------------------

TEST(PortBookTest, FreePortIsPreserved) {
  PortBook book(1, {1024, 65535});
  EXPECT_EQ(book.take(0, kUdp, 5353, PortChoice::kPreserve, 99), 5353);
  EXPECT_TRUE(book.taken(0, kUdp, 5353));
}

TEST(PortBookTest, ProtocolsAndAddressesAreSeparate) {
  PortBook book(2, {1024, 65535});
  EXPECT_EQ(book.take(0, kUdp, 5353, PortChoice::kPreserve, 1), 5353);
  EXPECT_EQ(book.take(0, kTcp, 5353, PortChoice::kPreserve, 1), 5353);
  EXPECT_EQ(book.take(1, kUdp, 5353, PortChoice::kPreserve, 1), 5353);
  EXPECT_NE(book.take(0, kUdp, 5353, PortChoice::kPreserve, 1), 5353);
}

TEST(PortBookTest, SubstituteKeepsHalfAndParity) {
  PortBook book(1, {1, 65535});
  for (const std::uint16_t wanted : {80, 81, 5000, 5001}) {
    book.take(0, kUdp, wanted, PortChoice::kPreserve, 0);
    for (std::uint64_t chance = 0; chance < 200; ++chance) {
      const auto port = book.take(0, kUdp, wanted, PortChoice::kPreserve, chance * 0x12345677);
      ASSERT_TRUE(port);
      EXPECT_EQ(*port % 2, wanted % 2);
      EXPECT_EQ(*port <= 1023, wanted <= 1023);
    }
  }
}

TEST(PortBookTest, LastPortIsFoundWhateverItsParity) {
  PortBook book(1, {2000, 2127});
  std::set<std::uint16_t> given;
  for (int i = 0; i < 128; ++i) {
    const auto port = book.take(0, kUdp, 2000, PortChoice::kPreserve,
                                std::uint64_t{0x9999999} * static_cast<unsigned>(i));
    ASSERT_TRUE(port) << i;
    EXPECT_TRUE(given.insert(*port).second) << "given twice: " << *port;
  }
  EXPECT_EQ(*given.begin(), 2000);
  EXPECT_EQ(*given.rbegin(), 2127);
  EXPECT_FALSE(book.take(0, kUdp, 2000, PortChoice::kPreserve, 5));
  book.give_back(0, kUdp, 2077);
  EXPECT_EQ(book.take(0, kUdp, 2000, PortChoice::kRandom, 5), 2077);
}

TEST(PortBookTest, PortsBelowTheRangeGetOneOfIt) {
  PortBook book(1, {1024, 65535});
  const auto port = book.take(0, kUdp, 53, PortChoice::kPreserve, 7);
  ASSERT_TRUE(port);
  EXPECT_GE(*port, 1024);
}

TEST(PortBookTest, RandomChoiceIsSpreadOverTheRange) {
  PortBook book(1, {1024, 65535});
  std::mt19937_64 random(1);
  std::vector<int> parts(8);
  for (int i = 0; i < 8000; ++i) {
    const auto port = book.take(0, kUdp, 40000, PortChoice::kRandom, random());
    ASSERT_TRUE(port);
    ++parts[(*port - 1024) / 8064];
  }
  for (const int count : parts) EXPECT_NEAR(count, 1000, 150);
}

TEST(PortBookTest, BookAgreesWithASetThroughRandomUse) {
  PortBook book(2, {3000, 3511});
  std::mt19937_64 random(2);
  std::set<std::pair<std::uint32_t, std::uint16_t>> taken;
  for (int step = 0; step < 20000; ++step) {
    const auto address = static_cast<std::uint32_t>(random() % 2);
    if (random() % 5 < 3) {
      const auto wanted = static_cast<std::uint16_t>(2990 + random() % 540);
      const auto choice = random() % 2 == 0 ? PortChoice::kPreserve : PortChoice::kRandom;
      const auto port = book.take(address, kTcp, wanted, choice, random());
      if (port) {
        ASSERT_TRUE(taken.insert({address, *port}).second);
        ASSERT_TRUE(*port >= 3000 && *port <= 3511);
      } else {
        ASSERT_EQ(book.taken_count(address, kTcp), 512u);
      }
    } else if (!taken.empty()) {
      const auto one =
          taken.lower_bound({address, static_cast<std::uint16_t>(3000 + random() % 512)});
      if (one == taken.end()) continue;
      book.give_back(one->first, kTcp, one->second);
      taken.erase(one);
    }
    ASSERT_EQ(book.taken_total(), taken.size());
  }
}

TEST(PortBookTest, WhatIsChosenIsWhatIsTaken) {
  std::mt19937 random(7);
  for (const PortChoice choice : {PortChoice::kPreserve, PortChoice::kRandom}) {
    PortBook book(1, {1000, 1200});
    for (int i = 0; i < 201; ++i) {
      const auto wanted = static_cast<std::uint16_t>(900 + random() % 400);
      const std::uint64_t chance = random();
      const auto chosen = book.choose(0, kUdp, wanted, choice, chance);
      ASSERT_TRUE(chosen);
      ASSERT_FALSE(book.taken(0, kUdp, *chosen));
      ASSERT_EQ(book.crowded(0, kUdp), i > 201 / 8 * 7);
      ASSERT_EQ(book.take(0, kUdp, wanted, choice, chance), chosen);
    }
    EXPECT_FALSE(book.choose(0, kUdp, 1000, choice, 1));
    EXPECT_FALSE(book.take(0, kUdp, 1000, choice, 1));
  }
}

}  // namespace
}  // namespace glassbox
