// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/dpdk_heap.h"

#include <mutex>
#include <utility>

namespace glassbox {
namespace {

struct Starter {
  std::mutex mutex;
  std::function<void()> start;
};
Starter& starter() {
  static Starter one;
  return one;
}

}  // namespace

void need_dpdk_heap() {
  Starter& one = starter();
  const std::lock_guard lock(one.mutex);
  if (one.start) std::exchange(one.start, nullptr)();
}

void start_dpdk_by(std::function<void()> start) {
  Starter& one = starter();
  const std::lock_guard lock(one.mutex);
  one.start = std::move(start);
}

}  // namespace glassbox
