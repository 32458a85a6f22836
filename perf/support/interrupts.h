// SPDX-License-Identifier: BSD-3-Clause
//
// Whether an interrupt came between two places of a benchmark. A core that is not isolated has the
// kernel's timer tick, some hundred or thousand a second, and what that takes is in whatever was
// being measured: here it can be told apart.
//
// A return from the kernel's interrupt handler (IRET to an outer privilege level) clears data
// segment registers of which the program must not make use; a null selector with a requested
// privilege level of its own is one (Intel SDM volume 2, IRET; AMD64 APM volume 3, IRET). So a mark
// in ES is gone. It is good for nothing else in 64-bit code. An interrupt that comes while the
// kernel works for the program (a system call) leaves the mark as it is.
#pragma once

#include <cstdint>

namespace glassbox::perf {

class InterruptMark {
 public:
  InterruptMark() { asm volatile("mov %0, %%es" ::"r"(kMark) : "memory"); }
  // Since this was made; of marks that lie in each other only the latest tells.
  bool interrupted() const {
    std::uint16_t mark;
    asm volatile("mov %%es, %0" : "=r"(mark)::"memory");
    return mark != kMark;
  }

 private:
  static constexpr std::uint16_t kMark = 1;
};

// Interrupts that this core has had, as the kernel counts them (/proc/interrupts); 0: not known.
std::uint64_t interrupts_of_this_core();

}  // namespace glassbox::perf
