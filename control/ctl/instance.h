// SPDX-License-Identifier: BSD-3-Clause
//
// A running `glassbox run`, as seen from another process: its telemetry socket.
#pragma once

#include <string>
#include <vector>

namespace glassbox {

class Instance {
 public:
  // The instance with this EAL file prefix; without one, the only instance of this user's. Throws
  // std::runtime_error, which says what runs and what to do.
  static Instance find(const std::string& prefix);

  ~Instance();
  Instance(Instance&& other) noexcept;
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const std::string& prefix() const { return prefix_; }
  // The answer to a command, as it comes. Throws std::runtime_error.
  std::string ask(const std::string& command) const;

 private:
  Instance(std::string prefix, int socket) : prefix_(std::move(prefix)), socket_(socket) {}
  // nullptr-like (socket -1): nobody listens there.
  static Instance connect(const std::string& prefix, const std::string& path);

  std::string prefix_;
  int socket_;
};

// Where DPDK keeps the directories of running instances: RUNTIME_DIRECTORY, /var/run or
// XDG_RUNTIME_DIR, or /tmp, as EAL chooses.
std::string dpdk_runtime_directory();

}  // namespace glassbox
