// SPDX-License-Identifier: BSD-3-Clause
//
// Forked children, so many at a time.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <vector>

namespace glassbox {

class Children {
 public:
  // ended(number of children that have) is called in the parent, whenever one has.
  Children(unsigned at_a_time, std::function<void(std::size_t)> ended);
  // Ends those that still run.
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Waits for room, then forks. True: this is the child, which ends with leave(), and at the latest
  // with its parent. Throws std::runtime_error.
  bool fork();
  void wait_for_all();
  // Ends the child, without anything that the parent will do at its own end.
  [[noreturn]] static void leave();

 private:
  void wait_for_one();

  unsigned at_a_time_;
  std::function<void(std::size_t)> ended_;
  std::vector<pid_t> running_;
  std::size_t ended_count_ = 0;
};

}  // namespace glassbox
