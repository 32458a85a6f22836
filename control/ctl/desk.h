// SPDX-License-Identifier: BSD-3-Clause
//
// Where another thread (DPDK's telemetry) leaves a question for the thread that runs the worker,
// and waits for the answer. Nothing of a worker is ever read or written by any thread but its own:
// the loop looks here between two turns, and pays one load for it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

namespace glassbox {

class Desk {
 public:
  // Runs in the worker's thread. Whatever it captures must outlive ask().
  using Task = std::function<void()>;

  // From any thread but the worker's: waits for the task to be done. False: nobody serves, or not
  // in time; the task has not begun then and will not.
  bool ask(Task task, std::chrono::milliseconds patience);

  // From the worker's thread, between turns.
  bool asked() const { return asked_.load(std::memory_order_relaxed); }
  void serve();
  // While nobody serves, questions fail at once.
  void open();
  void close();

 private:
  std::mutex asking_;  // one question at a time
  std::mutex mutex_;
  std::condition_variable answered_;
  std::atomic<bool> asked_{false};
  bool open_ = false;
  bool done_ = false;
  Task task_;
};

}  // namespace glassbox
