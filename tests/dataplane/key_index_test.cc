// SPDX-License-Identifier: BSD-3-Clause
//
// The index against std::unordered_map, up to and beyond the load it is made for.
#include "dataplane/key_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <unordered_map>
#include <vector>

namespace glassbox::test {
namespace {

// Keys are numbers; the reference of a key is its position in `keys`.
class Model {
 public:
  // `hash_bits` narrows the hash, so that keys collide.
  Model(std::uint64_t capacity, int hash_bits) : index_(capacity, 6.25), bits_(hash_bits) {}

  bool insert(std::uint64_t key) {
    const auto ref = static_cast<KeyRef>(keys_.size());
    keys_.push_back(key);
    if (!index_.insert(hash(key), ref, [this](KeyRef r) { return hash(keys_.at(r)); }))
      return false;
    model_[key] = ref;
    return true;
  }
  void erase(std::uint64_t key) {
    ASSERT_TRUE(index_.erase(hash(key), model_.at(key)));
    model_.erase(key);
  }
  KeyRef find(std::uint64_t key) const {
    return index_.find(hash(key), [&](KeyRef r) { return keys_.at(r) == key; });
  }
  bool holds(std::uint64_t key) const { return model_.count(key) != 0; }
  // Every key of the model is found, as the reference it was inserted with.
  void check_all() const {
    for (const auto& [key, ref] : model_) ASSERT_EQ(find(key), ref) << "key " << key;
  }
  std::size_t size() const { return model_.size(); }
  const std::unordered_map<std::uint64_t, KeyRef>& all() const { return model_; }
  KeyIndex& index() { return index_; }
  std::uint64_t hash(std::uint64_t key) const {
    std::uint64_t h = key * 0x9e3779b97f4a7c15ULL;
    h = (h ^ (h >> 31)) * 0xbf58476d1ce4e5b9ULL;
    h ^= h >> 29;
    if (bits_ < 64) h &= (std::uint64_t{1} << bits_) - 1;
    return h * (bits_ < 64 ? 0x0004'0001'0000'8001ULL : 1);
  }

 private:
  KeyIndex index_;
  int bits_;
  std::vector<std::uint64_t> keys_;
  std::unordered_map<std::uint64_t, KeyRef> model_;
};

struct Load {
  std::uint64_t capacity;
  int hash_bits;
  unsigned seed;
};

class KeyIndexAgainstModel : public ::testing::TestWithParam<Load> {};

TEST_P(KeyIndexAgainstModel, FindsWhatIsThereAndNothingElse) {
  const auto [capacity, bits, seed] = GetParam();
  Model model(capacity, bits);
  std::mt19937_64 random(seed);
  const std::uint64_t keys = capacity * 2;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t key = random() % keys;
    if (model.holds(key)) {
      if (random() % 2 == 0) model.erase(key);
    } else if (model.size() < capacity) {
      model.insert(key);
    }
    const std::uint64_t other = random() % keys;
    ASSERT_EQ(model.find(other) != kNoRef, model.holds(other)) << "step " << step;
    if (step % 500 == 0) model.check_all();
  }
  model.check_all();
}
INSTANTIATE_TEST_SUITE_P(Loads, KeyIndexAgainstModel,
                         ::testing::Values(Load{8, 64, 1}, Load{64, 64, 2}, Load{1000, 64, 3},
                                           Load{1000, 12, 4}, Load{200, 6, 5}, Load{64, 3, 6},
                                           Load{5000, 64, 7}, Load{5000, 14, 8}));

TEST(KeyIndex, HoldsAllTheKeysItIsBoundedTo) {
  for (const std::uint64_t capacity : {16u, 512u, 8192u, 131072u}) {
    Model model(capacity, 64);
    for (std::uint64_t key = 0; key < capacity; ++key) {
      ASSERT_TRUE(model.insert(key)) << key << " of " << capacity;
    }
    model.check_all();
  }
}

TEST(KeyIndex, FullIndexRefusesAndKeepsWhatItHas) {
  Model model(64, 64);
  std::uint64_t key = 0;
  while (model.insert(key)) ++key;
  EXPECT_GE(model.size(), 64u);
  model.check_all();
  EXPECT_EQ(model.find(key), kNoRef);
}

// An overflow that is not taken back would send lookups to the second bucket for ever.
TEST(KeyIndex, EmptiedIndexHasNoOverflow) {
  for (const int bits : {64, 6}) {
    Model model(256, bits);
    std::vector<std::uint64_t> in;
    for (std::uint64_t key = 0; key < 400; ++key) {
      if (model.insert(key)) in.push_back(key);
    }
    std::shuffle(in.begin(), in.end(), std::mt19937(3));
    for (const std::uint64_t key : in) model.erase(key);
    for (std::uint64_t key = 0; key < 400; ++key) {
      EXPECT_FALSE(model.index().overflowed(model.hash(key)));
      EXPECT_EQ(model.index().view().candidate(model.hash(key)), kNoRef);
    }
  }
}

TEST(KeyIndex, ErasingWhatIsNotThereIsToldApart) {
  Model model(16, 64);
  EXPECT_FALSE(model.index().erase(model.hash(1), 0));
  model.insert(1);
  EXPECT_FALSE(model.index().erase(model.hash(1), 5));
  model.check_all();
}

}  // namespace
}  // namespace glassbox::test
