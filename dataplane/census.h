// SPDX-License-Identifier: BSD-3-Clause
//
// The census of one state kind on one worker, kept on every operation and never by a scan.
//
// Identity, asserted wherever it is read:
//     entries = created - closed - expired - evicted - forgotten
// An entry that passed its deadline counts as expired at its deadline, whenever it is reclaimed:
// expired() takes that time, and the byte-seconds it did not live are taken back.
#pragma once

#include <cassert>
#include <cstdint>

#include "dataplane/books.h"
#include "dataplane/types.h"

namespace glassbox {

// Why an entry ended.
enum class Ending : std::uint8_t { kClosed, kExpired, kEvicted, kForgotten };

class Census {
 public:
  Census() = default;
  explicit Census(std::uint64_t bytes_per_entry) : bytes_per_entry_(bytes_per_entry) {}

  // `begin` may lie before the last operation, too: what follows from a late expiry begins late.
  void created(Instant begin) {
    if constexpr (!kBooks) return;
    accrue(begin);
    if (begin < last_)
      byte_seconds_ += seconds(last_ - begin) * static_cast<double>(bytes_per_entry_);
    ++entries_;
    ++created_;
    if (entries_ > peak_entries_) peak_entries_ = entries_;
    if (bytes() > peak_bytes_) peak_bytes_ = bytes();
  }
  void refreshed(std::uint64_t count = 1) {
    if constexpr (!kBooks) return;
    refreshed_ += count;
  }
  void refused() {
    if constexpr (!kBooks) return;
    ++refused_;
  }

  // `end` is the entry's deadline for an expiry, else the present. It may lie before the last
  // operation, because reclaiming may run late.
  void ended(Ending why, Instant end) {
    if constexpr (!kBooks) return;
    assert(entries_ > 0);
    accrue(end);
    if (end < last_) byte_seconds_ -= seconds(last_ - end) * static_cast<double>(bytes_per_entry_);
    --entries_;
    ++endings_[static_cast<std::size_t>(why)];
  }

  // Entries of varying size (held packets, stream state): bytes beside bytes_per_entry.
  void grew(std::int64_t bytes, Instant now) {
    if constexpr (!kBooks) return;
    accrue(now);
    if (now < last_) byte_seconds_ += seconds(last_ - now) * static_cast<double>(bytes);
    extra_bytes_ = static_cast<std::uint64_t>(static_cast<std::int64_t>(extra_bytes_) + bytes);
    if (this->bytes() > peak_bytes_) peak_bytes_ = this->bytes();
  }

  // All that is left goes at once, by a wipe.
  void forgotten(Instant now) {
    while (entries_ != 0) ended(Ending::kForgotten, now);
    if (extra_bytes_ != 0) grew(-static_cast<std::int64_t>(extra_bytes_), now);
  }

  // Brings byte-seconds up to `now`; call before reading them.
  void accrue(Instant now) {
    if constexpr (!kBooks) return;
    if (now == last_) return;
    if (!started_) {
      started_ = true;
      last_ = now;
    }
    if (now <= last_) return;
    byte_seconds_ += seconds(now - last_) * static_cast<double>(bytes());
    last_ = now;
  }

  std::uint64_t entries() const { return entries_; }
  std::uint64_t peak_entries() const { return peak_entries_; }
  std::uint64_t bytes_per_entry() const { return bytes_per_entry_; }
  std::uint64_t bytes() const { return entries_ * bytes_per_entry_ + extra_bytes_; }
  std::uint64_t peak_bytes() const { return peak_bytes_; }
  double byte_seconds() const { return byte_seconds_; }
  std::uint64_t created_total() const { return created_; }
  std::uint64_t refreshed_total() const { return refreshed_; }
  std::uint64_t refused_total() const { return refused_; }
  std::uint64_t ended_total(Ending why) const { return endings_[static_cast<std::size_t>(why)]; }
  bool identity_holds() const {
    std::uint64_t ended = 0;
    for (const std::uint64_t count : endings_) ended += count;
    return entries_ + ended == created_;
  }

 private:
  static double seconds(Nanos span) { return std::chrono::duration<double>(span).count(); }

  std::uint64_t bytes_per_entry_ = 0;
  std::uint64_t extra_bytes_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t peak_entries_ = 0;
  std::uint64_t peak_bytes_ = 0;
  std::uint64_t created_ = 0;
  std::uint64_t refreshed_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t endings_[4] = {};
  double byte_seconds_ = 0;
  Instant last_{};
  bool started_ = false;
};

}  // namespace glassbox
