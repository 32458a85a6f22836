// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/desk.h"

namespace glassbox {

bool Desk::ask(Task task, std::chrono::milliseconds patience) {
  const std::lock_guard one_at_a_time(asking_);
  std::unique_lock lock(mutex_);
  if (!open_) return false;
  task_ = std::move(task);
  done_ = false;
  asked_.store(true, std::memory_order_relaxed);
  answered_.wait_for(lock, patience, [this] { return done_ || !open_; });
  asked_.store(false, std::memory_order_relaxed);
  task_ = nullptr;
  return done_;
}

// The task runs under the lock: who asked may not give up half way.
void Desk::serve() {
  const std::lock_guard lock(mutex_);
  if (!task_ || done_) return;
  task_();
  done_ = true;
  asked_.store(false, std::memory_order_relaxed);
  answered_.notify_all();
}

void Desk::open() {
  const std::lock_guard lock(mutex_);
  open_ = true;
}

void Desk::close() {
  const std::lock_guard lock(mutex_);
  open_ = false;
  answered_.notify_all();
}

}  // namespace glassbox
