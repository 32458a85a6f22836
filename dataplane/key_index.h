// SPDX-License-Identifier: BSD-3-Clause
//
// A bounded hash index from flow keys to references, in buckets of one cache line: ten 16-bit tags
// that one SIMD compare tests, ten 32-bit references. The keys themselves lie in the session
// records; a reference is verified there, on a line that the fast path needs anyway.
//
// A key has two buckets. It goes to the first if there is room, else to the second and the first
// counts it as an overflow, so that a lookup touches the second only when it must. When both are
// full, one resident is moved to its other bucket. insert() fails when that does not help either.
#pragma once

#include <immintrin.h>

#include <array>
#include <cstdint>

#include "dataplane/huge_array.h"

namespace glassbox {

using KeyRef = std::uint32_t;
inline constexpr KeyRef kNoRef = UINT32_MAX;

class KeyIndex {
 public:
  static constexpr std::uint32_t kWays = 10;

  struct alignas(64) Bucket {
    std::array<std::uint16_t, kWays> tags;  // 0: empty
    std::array<KeyRef, kWays> refs;
    std::uint16_t overflow;  // keys of this bucket that live in their second one
  };
  static_assert(sizeof(Bucket) == 64);

  // `load`: keys per bucket when all `keys` are in.
  KeyIndex(std::uint64_t keys, double load)
      : load_(load),
        buckets_(static_cast<std::uint32_t>(static_cast<double>(keys) / load + 2)),
        memory_(buckets_ * sizeof(Bucket)) {}

  // The part of a lookup that runs ahead of it, by value: a loop over keys keeps it in registers.
  struct View {
    const Bucket* buckets;
    std::uint32_t count;

    const Bucket* first(std::uint64_t hash) const {
      return buckets + reduce(static_cast<std::uint32_t>(hash), count);
    }
    void prefetch(std::uint64_t hash) const { _mm_prefetch(first(hash), _MM_HINT_T0); }
    // The first reference with the hash's tag in its first bucket: most often the right one. Cheap;
    // for prefetching what it points at. kNoRef: not in the first bucket.
    KeyRef candidate(std::uint64_t hash) const {
      const Bucket& bucket = *first(hash);
      const std::uint32_t hits = matches(bucket, tag_of(hash));
      return hits == 0 ? kNoRef : bucket.refs[static_cast<std::uint32_t>(__builtin_ctz(hits)) / 2];
    }
  };
  View view() const { return {at(0), buckets_}; }
  void prefetch_for_insert(std::uint64_t hash) const { __builtin_prefetch(at(first_of(hash)), 1); }
  bool overflowed(std::uint64_t hash) const { return at(first_of(hash))->overflow != 0; }

  // The reference for which same(ref) holds; kNoRef without one.
  template <typename Same>
  KeyRef find(std::uint64_t hash, Same same) const {
    const Bucket& first = *at(first_of(hash));
    const KeyRef ref = find_in(first, tag_of(hash), same);
    if (ref != kNoRef || first.overflow == 0) return ref;
    return find_in(*at(second_of(hash)), tag_of(hash), same);
  }

  // The key must not be there yet. hash_of(ref) gives the hash of a resident's key. False: full.
  template <typename HashOf>
  bool insert(std::uint64_t hash, KeyRef ref, HashOf hash_of);
  // Removes the reference. False: it was not there.
  bool erase(std::uint64_t hash, KeyRef ref);

  double bytes_per_key() const { return sizeof(Bucket) / load_; }

 private:
  Bucket* at(std::uint32_t bucket) const {
    return reinterpret_cast<Bucket*>(memory_.data()) + bucket;
  }
  static std::uint32_t reduce(std::uint32_t bits, std::uint32_t buckets) {
    return static_cast<std::uint32_t>((std::uint64_t{bits} * buckets) >> 32);
  }
  std::uint32_t first_of(std::uint64_t hash) const {
    return reduce(static_cast<std::uint32_t>(hash), buckets_);
  }
  std::uint32_t second_of(std::uint64_t hash) const {
    return reduce(static_cast<std::uint32_t>(hash >> 32), buckets_);
  }
  static std::uint16_t tag_of(std::uint64_t hash) {
    const auto tag = static_cast<std::uint16_t>(hash ^ (hash >> 37));
    return tag == 0 ? 1 : tag;
  }
  // Two bits for each matching position.
  static std::uint32_t matches(const Bucket& bucket, std::uint16_t tag) {
    const __m256i tags = _mm256_load_si256(reinterpret_cast<const __m256i*>(&bucket));
    const __m256i equal = _mm256_cmpeq_epi16(tags, _mm256_set1_epi16(static_cast<short>(tag)));
    // Behind the tags lie references.
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(equal)) & ((1u << 2 * kWays) - 1);
  }
  template <typename Same>
  static KeyRef find_in(const Bucket& bucket, std::uint16_t tag, Same same) {
    for (std::uint32_t hits = matches(bucket, tag); hits != 0; hits &= hits - 1, hits &= hits - 1) {
      const KeyRef ref = bucket.refs[static_cast<std::uint32_t>(__builtin_ctz(hits)) / 2];
      if (same(ref)) return ref;
    }
    return kNoRef;
  }
  static bool put(Bucket& bucket, std::uint16_t tag, KeyRef ref) {
    const std::uint32_t free = matches(bucket, 0);
    if (free == 0) return false;
    const std::uint32_t position = static_cast<std::uint32_t>(__builtin_ctz(free)) / 2;
    bucket.tags[position] = tag;
    bucket.refs[position] = ref;
    return true;
  }
  static bool remove(Bucket& bucket, std::uint16_t tag, KeyRef ref) {
    for (std::uint32_t i = 0; i < kWays; ++i) {
      if (bucket.tags[i] != tag || bucket.refs[i] != ref) continue;
      bucket.tags[i] = 0;
      return true;
    }
    return false;
  }
  // Moves one resident of the bucket to its other bucket, if any has room there.
  template <typename HashOf>
  bool make_room(std::uint32_t bucket, HashOf hash_of);

  double load_;
  std::uint32_t buckets_;
  HugeArray memory_;
};

template <typename HashOf>
bool KeyIndex::make_room(std::uint32_t number, HashOf hash_of) {
  Bucket& bucket = *at(number);
  for (std::uint32_t i = 0; i < kWays; ++i) {
    const std::uint64_t hash = hash_of(bucket.refs[i]);
    const std::uint32_t first = first_of(hash);
    const std::uint32_t second = second_of(hash);
    const std::uint32_t other = number == first ? second : first;
    if (other == number || !put(*at(other), bucket.tags[i], bucket.refs[i])) continue;
    at(first)->overflow += number == first ? 1 : -1;
    bucket.tags[i] = 0;
    return true;
  }
  return false;
}

template <typename HashOf>
bool KeyIndex::insert(std::uint64_t hash, KeyRef ref, HashOf hash_of) {
  const std::uint16_t tag = tag_of(hash);
  Bucket& first = *at(first_of(hash));
  if (put(first, tag, ref)) return true;
  Bucket& second = *at(second_of(hash));
  if (!put(second, tag, ref)) {
    if (make_room(first_of(hash), hash_of)) return put(first, tag, ref);
    if (!make_room(second_of(hash), hash_of) || !put(second, tag, ref)) return false;
  }
  if (&first != &second) ++first.overflow;
  return true;
}

inline bool KeyIndex::erase(std::uint64_t hash, KeyRef ref) {
  const std::uint16_t tag = tag_of(hash);
  Bucket& first = *at(first_of(hash));
  if (remove(first, tag, ref)) return true;
  if (!remove(*at(second_of(hash)), tag, ref)) return false;
  --first.overflow;
  return true;
}

}  // namespace glassbox
