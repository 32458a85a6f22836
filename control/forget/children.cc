// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/children.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace glassbox {

Children::Children(unsigned at_a_time, std::function<void(std::size_t)> ended)
    : at_a_time_(std::max(at_a_time, 1u)), ended_(std::move(ended)) {}

Children::~Children() {
  for (const pid_t child : running_) kill(child, SIGKILL);
  for (const pid_t child : running_) waitpid(child, nullptr, 0);
}

bool Children::fork() {
  while (running_.size() >= at_a_time_) wait_for_one();
  const pid_t parent = getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    throw std::runtime_error(fmt::format("cannot fork a run: {}", std::strerror(errno)));
  }
  if (child != 0) {
    running_.push_back(child);
    return false;
  }
  running_.clear();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) leave();
  return true;
}

void Children::wait_for_one() {
  pid_t child = 0;
  do {
    child = waitpid(-1, nullptr, 0);
  } while (child < 0 && errno == EINTR);
  if (child < 0) throw std::runtime_error("a run with a wipe is gone");
  std::erase(running_, child);
  ended_(++ended_count_);
}

void Children::wait_for_all() {
  while (!running_.empty()) wait_for_one();
}

void Children::leave() { _exit(0); }

}  // namespace glassbox
