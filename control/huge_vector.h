// SPDX-License-Identifier: BSD-3-Clause
//
// A vector for what grows with a capture: its room lies on transparent huge pages where the kernel
// has them, because a fault for every 4 KiB costs a replay more than it does with what is there.
// Room that is reserved and never used costs nothing.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace glassbox {

template <typename T>
class HugeAllocator {
 public:
  using value_type = T;

  HugeAllocator() = default;
  template <typename Other>
  HugeAllocator(const HugeAllocator<Other>&) {}

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    if (bytes < kWorthIt) return static_cast<T*>(::operator new(bytes, kAlignment));
    // One huge page more than asked for, so that the start can be aligned to one.
    const std::size_t wanted = round_up(bytes);
    void* const base = ::mmap(nullptr, wanted + kHugePage, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) throw std::bad_alloc();
    const auto from = reinterpret_cast<std::uintptr_t>(base);
    const std::uintptr_t start = (from + kHugePage - 1) & ~(kHugePage - 1);
    if (start != from) ::munmap(base, start - from);
    if (start != from + kHugePage) {
      ::munmap(reinterpret_cast<void*>(start + wanted), from + kHugePage - start);
    }
    ::madvise(reinterpret_cast<void*>(start), wanted, MADV_HUGEPAGE);
    return reinterpret_cast<T*>(start);
  }

  void deallocate(T* data, std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    if (bytes < kWorthIt) {
      ::operator delete(data, kAlignment);
    } else {
      ::munmap(data, round_up(bytes));
    }
  }

  bool operator==(const HugeAllocator&) const { return true; }

 private:
  static constexpr std::uintptr_t kHugePage = 2u << 20;
  static constexpr std::size_t kWorthIt = 2 * kHugePage;
  static constexpr std::align_val_t kAlignment{alignof(T)};  // it may be more than new's own
  static std::size_t round_up(std::size_t bytes) { return (bytes + 4095) & ~std::size_t{4095}; }
};

template <typename T>
using HugeVector = std::vector<T, HugeAllocator<T>>;

}  // namespace glassbox
