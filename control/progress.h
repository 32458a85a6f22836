// SPDX-License-Identifier: BSD-3-Clause
//
// How far a long job has come: one line on a terminal, redrawn; nothing in a pipe.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace glassbox {

class Progress {
 public:
  Progress(bool wanted, const char* what)
      : on_(wanted && isatty(STDERR_FILENO) != 0), what_(what) {}
  ~Progress() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }
  void operator()(double fraction) {
    const auto now = std::chrono::steady_clock::now();
    if (!on_ || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    drawn_ = true;
    const int filled = static_cast<int>(fraction * 40);
    std::fputs(fmt::format("\r{} [{:#<{}}{:.<{}}] {:3.0f} %", what_, "", filled, "", 40 - filled,
                           fraction * 100)
                   .c_str(),
               stderr);
    std::fflush(stderr);
  }

 private:
  bool on_;
  const char* what_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace glassbox
