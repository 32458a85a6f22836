// SPDX-License-Identifier: BSD-3-Clause
//
// A fixed array of zeroed bytes outside the heap, on transparent huge pages where the kernel has
// them. Pages that are never touched cost nothing, so a generous bound is free until it is used.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace glassbox {

class HugeArray {
 public:
  HugeArray() = default;
  explicit HugeArray(std::size_t bytes) : bytes_(round_up(bytes)) {
    // One huge page more than asked for, so that the start can be aligned to one.
    mapped_ = bytes_ + kHugePage;
    base_ = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base_ == MAP_FAILED) {
      base_ = nullptr;
      throw std::bad_alloc();
    }
    data_ = reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(base_) + kHugePage - 1) &
                                         ~(kHugePage - 1));
    ::madvise(data_, bytes_, MADV_HUGEPAGE);
  }
  HugeArray(HugeArray&& other) noexcept { swap(other); }
  HugeArray& operator=(HugeArray&& other) noexcept {
    swap(other);
    return *this;
  }
  ~HugeArray() {
    if (base_ != nullptr) ::munmap(base_, mapped_);
  }

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  static constexpr std::uintptr_t kHugePage = 2u << 20;
  static std::size_t round_up(std::size_t bytes) { return (bytes + 4095) & ~std::size_t{4095}; }
  void swap(HugeArray& other) {
    std::swap(base_, other.base_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(mapped_, other.mapped_);
  }

  void* base_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t mapped_ = 0;
};

}  // namespace glassbox
