// SPDX-License-Identifier: BSD-3-Clause
//
// Memory for decoders and encoders: a bounded pool that is taken at the start, because what they
// ask for while packets pass must neither come from the heap nor be without a bound. Blocks of any
// size, first fit from where the last one was found, neighbours joined when they are free.
//
// An Account is what one body takes; it is refused what would bring it beyond its own bound.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/huge_array.h"

namespace glassbox {

class CodingMemory {
 public:
  struct Account {
    CodingMemory* memory = nullptr;
    std::uint64_t bytes = 0;  // taken, with their headers
    std::uint64_t bound = 0;
    bool refused = false;  // something was
  };

  explicit CodingMemory(std::uint64_t bytes);

  // nullptr: there is no room.
  static void* take(Account& account, std::size_t bytes);
  static void give(Account& account, void* block);

  std::uint64_t size() const { return units_ * std::uint64_t{kUnit}; }
  std::uint64_t used() const { return used_; }

 private:
  static constexpr std::uint32_t kUnit = 16;
  // In front of each block. Sizes in units, the header's own included.
  struct alignas(kUnit) Header {
    std::uint32_t size;
    std::uint32_t previous;  // size of the block before it; 0: it is the first
    std::uint32_t taken;
    std::uint32_t unused;
  };
  static_assert(sizeof(Header) == kUnit);

  Header* at(std::uint32_t unit) const {
    return reinterpret_cast<Header*>(blocks_.data() + std::size_t{unit} * kUnit);
  }
  std::uint32_t place_of(const Header* header) const {
    return static_cast<std::uint32_t>(
        (reinterpret_cast<const std::byte*>(header) - blocks_.data()) / kUnit);
  }
  void set_size(std::uint32_t place, std::uint32_t size);

  std::uint32_t units_;
  HugeArray blocks_;
  std::uint32_t rover_ = 0;
  std::uint64_t used_ = 0;
};

}  // namespace glassbox
