// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/instance.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace glassbox {
namespace {

constexpr const char* kSocket = "dpdk_telemetry.v2";
// RTE telemetry's own bound (MAX_OUTPUT_LEN), with room to tell when it is met.
constexpr std::size_t kAnswer = 64 * 1024;
constexpr int kPatienceSeconds = 10;

// One message of the socket; nullopt-like empty: none came.
std::string receive(int socket) {
  std::string buffer(kAnswer, '\0');
  const ssize_t got = recv(socket, buffer.data(), buffer.size(), 0);
  buffer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return buffer;
}

}  // namespace

std::string dpdk_runtime_directory() {
  const char* own = std::getenv("RUNTIME_DIRECTORY");
  const char* user = std::getenv("XDG_RUNTIME_DIR");
  std::string base = "/tmp";
  if (own != nullptr) {
    base = own;
  } else if (getuid() == 0) {
    base = "/var/run";
  } else if (user != nullptr) {
    base = user;
  }
  return base + "/dpdk";
}

Instance::~Instance() {
  if (socket_ >= 0) close(socket_);
}

Instance::Instance(Instance&& other) noexcept
    : prefix_(std::move(other.prefix_)), socket_(std::exchange(other.socket_, -1)) {}

Instance Instance::connect(const std::string& prefix, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return {prefix, -1};
  std::memcpy(address.sun_path, path.c_str(), path.size());
  Instance instance(prefix, ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const timeval patience{kPatienceSeconds, 0};
  setsockopt(instance.socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const bool connected =
      instance.socket_ >= 0 &&
      ::connect(instance.socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  // It says hello; other DPDK programs do, too, and have no commands of ours.
  const bool ours = connected && !receive(instance.socket_).empty() &&
                    instance.ask("/").find("/glassbox/state") != std::string::npos;
  if (ours) return instance;
  return {prefix, -1};
}

Instance Instance::find(const std::string& prefix) {
  const std::string directory = dpdk_runtime_directory();
  std::vector<Instance> found;
  std::error_code error;
  for (const auto& each : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = each.path().filename();
    if (!prefix.empty() && name != prefix) continue;
    Instance instance = connect(name, each.path() / kSocket);
    if (instance.socket_ >= 0) found.push_back(std::move(instance));
  }
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    throw std::runtime_error(fmt::format(
        "no glassbox runs{} (looked in {}): start one with 'glassbox run CONFIG', as the same user",
        prefix.empty() ? "" : " with the file prefix '" + prefix + "'", directory));
  }
  std::vector<std::string> names;
  for (const Instance& instance : found) names.push_back(instance.prefix_);
  std::sort(names.begin(), names.end());
  throw std::runtime_error(fmt::format("several instances run ({}): choose one with --file-prefix",
                                       fmt::join(names, ", ")));
}

std::string Instance::ask(const std::string& command) const {
  if (send(socket_, command.data(), command.size(), MSG_NOSIGNAL) < 0) {
    throw std::runtime_error(fmt::format("instance {} is gone: {}", prefix_, std::strerror(errno)));
  }
  std::string answer = receive(socket_);
  if (answer.empty()) {
    throw std::runtime_error(fmt::format("instance {} does not answer", prefix_));
  }
  return answer;
}

}  // namespace glassbox
