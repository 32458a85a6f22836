// SPDX-License-Identifier: BSD-3-Clause
#include "control/doctor/machine.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

#include "dataplane/socket.h"

namespace glassbox {
namespace {

bool name_request(const std::string& name, ifreq& request) {
  request = {};
  if (name.empty() || name.size() >= sizeof request.ifr_name) return false;
  std::memcpy(request.ifr_name, name.data(), name.size());
  return true;
}

}  // namespace

std::filesystem::path Machine::place(const std::string& path) const {
  return root_ / std::filesystem::path(path).relative_path();
}

bool Machine::exists(const std::string& path) const {
  std::error_code ignored;
  return std::filesystem::exists(place(path), ignored);
}

std::optional<std::string> Machine::text(const std::string& path) const {
  std::ifstream file(place(path));
  if (!file) return std::nullopt;
  std::ostringstream all;
  all << file.rdbuf();
  if (file.bad()) return std::nullopt;
  std::string text = all.str();
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::optional<std::uint64_t> Machine::number(const std::string& path) const {
  const std::optional<std::string> said = text(path);
  if (!said) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(said->data(), said->data() + said->size(), value);
  if (error != std::errc{} || end == said->data()) return std::nullopt;
  return value;
}

std::string Machine::link(const std::string& path) const {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::read_symlink(place(path), error);
  return error ? std::string() : target.filename().string();
}

std::vector<std::string> Machine::names(const std::string& path) const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(place(path), error)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// --- asked of the kernel ------------------------------------------------------------------------

std::optional<Machine::Interface> Machine::interface(const std::string& name) const {
  const Socket socket(AF_INET, SOCK_DGRAM);
  ifreq request;
  if (!name_request(name, request)) return std::nullopt;
  if (ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return std::nullopt;
  Interface found;
  found.up = (request.ifr_flags & IFF_UP) != 0;
  if (name_request(name, request) && ioctl(socket.get(), SIOCGIFMTU, &request) == 0) {
    found.mtu = static_cast<unsigned>(request.ifr_mtu);
  }
  return found;
}

std::vector<std::string> Machine::offloads(const std::string& interface) const {
  struct Question {
    const char* name;
    std::uint32_t command;
    std::uint32_t flag;  // in ETHTOOL_GFLAGS; 0: the command's own answer
  };
  static constexpr std::array kQuestions = {
      Question{"gro", ETHTOOL_GGRO, 0}, Question{"lro", ETHTOOL_GFLAGS, ETH_FLAG_LRO},
      Question{"gso", ETHTOOL_GGSO, 0}, Question{"tso", ETHTOOL_GTSO, 0}};
  const Socket socket(AF_INET, SOCK_DGRAM);
  std::vector<std::string> on;
  for (const Question& question : kQuestions) {
    ifreq request;
    if (!name_request(interface, request)) break;
    ethtool_value value{question.command, 0};
    request.ifr_data = reinterpret_cast<char*>(&value);
    if (ioctl(socket.get(), SIOCETHTOOL, &request) != 0) continue;
    if ((question.flag == 0 ? value.data : value.data & question.flag) != 0) {
      on.emplace_back(question.name);
    }
  }
  return on;
}

std::optional<std::uint64_t> Machine::lockable() const {
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return std::nullopt;
  }
  return limit.rlim_cur;
}

bool Machine::may_open_packet_sockets() const { return Socket(AF_PACKET, SOCK_RAW).get() >= 0; }

bool Machine::may_write(const std::string& path) const {
  return access(place(path).c_str(), R_OK | W_OK) == 0;
}

bool Machine::is_root() const { return geteuid() == 0; }

std::vector<unsigned> Machine::cpus() const {
  std::vector<unsigned> all;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return all;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) all.push_back(cpu);
  }
  return all;
}

}  // namespace glassbox
