// SPDX-License-Identifier: BSD-3-Clause
#include "nf/coding_memory.h"

#include <algorithm>

namespace glassbox {

CodingMemory::CodingMemory(std::uint64_t bytes)
    : units_(static_cast<std::uint32_t>(std::max<std::uint64_t>(bytes / kUnit, 2))),
      blocks_(std::size_t{units_} * kUnit) {
  *at(0) = {units_, 0, 0, 0};
}

// And tells the block behind it.
void CodingMemory::set_size(std::uint32_t place, std::uint32_t size) {
  at(place)->size = size;
  if (place + size < units_) at(place + size)->previous = size;
}

void* CodingMemory::take(Account& account, std::size_t bytes) {
  CodingMemory& memory = *account.memory;
  const std::uint64_t wanted = (bytes + kUnit - 1) / kUnit + 1;
  const auto refuse = [&]() -> void* {
    account.refused = true;
    return nullptr;
  };
  if (account.bytes + wanted * kUnit > account.bound || wanted > memory.units_) return refuse();
  const auto size = static_cast<std::uint32_t>(wanted);
  std::uint32_t place = memory.rover_;
  do {
    Header& header = *memory.at(place);
    if (header.taken == 0 && header.size >= size) {
      if (const std::uint32_t rest = header.size - size; rest >= 2) {
        *memory.at(place + size) = {rest, size, 0, 0};
        memory.set_size(place + size, rest);
        header.size = size;
      }
      header.taken = 1;
      memory.rover_ = place;
      account.bytes += std::uint64_t{header.size} * kUnit;
      memory.used_ += std::uint64_t{header.size} * kUnit;
      return &header + 1;
    }
    place += header.size;
    if (place >= memory.units_) place = 0;
  } while (place != memory.rover_);
  return refuse();
}

void CodingMemory::give(Account& account, void* block) {
  if (block == nullptr) return;
  CodingMemory& memory = *account.memory;
  Header* header = static_cast<Header*>(block) - 1;
  std::uint32_t place = memory.place_of(header);
  std::uint32_t size = header->size;
  account.bytes -= std::uint64_t{size} * kUnit;
  memory.used_ -= std::uint64_t{size} * kUnit;
  header->taken = 0;
  if (const std::uint32_t next = place + size;
      next < memory.units_ && memory.at(next)->taken == 0) {
    size += memory.at(next)->size;
  }
  if (header->previous != 0) {
    const std::uint32_t before = place - header->previous;
    if (memory.at(before)->taken == 0) {
      size += memory.at(before)->size;
      place = before;
    }
  }
  memory.set_size(place, size);
  memory.rover_ = place;  // it may have stood at what is no block any more
}

}  // namespace glassbox
