// SPDX-License-Identifier: BSD-3-Clause
#include "control/eal.h"

#include <fmt/format.h>
#include <rte_cpuflags.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <stdexcept>
#include <string_view>

#include "dataplane/dpdk_heap.h"

namespace glassbox {
namespace {

std::string own_prefix() { return fmt::format("glassbox-{}", getpid()); }

int first_allowed_cpu() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) return cpu;
  }
  return 0;
}

// `--lcores`, not `-l`: 22.11 takes no CPU number above 127 for an lcore's.
std::string one_lcore() { return fmt::format("--lcores=0@{}", first_allowed_cpu()); }

// Whether one of the options is among the arguments, in any of getopt's spellings.
bool has_option(const std::vector<std::string>& arguments,
                std::initializer_list<std::string_view> options) {
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    return std::any_of(options.begin(), options.end(), [&](std::string_view option) {
      const bool is_long = option.starts_with("--");
      if (!is_long) return argument.starts_with(option) && !argument.starts_with("--");
      return argument == option || argument.starts_with(std::string(option) + "=");
    });
  });
}

// 0000:65:00.1, 65:00.1; device arguments may follow a comma.
bool is_pci_address(const std::string& device) {
  const std::string address = device.substr(0, device.find(','));
  for (const char* form : {"%*8x:%*2x:%*2x.%*1u%n", "%*2x:%*2x.%*1u%n"}) {
    int used = 0;
    std::sscanf(address.c_str(), form, &used);
    if (used != 0 && static_cast<std::size_t>(used) == address.size()) return true;
  }
  return false;
}

// Whether the user's own arguments define the device: `--vdev=net_tap0,...`, `-a 0000:65:00.1`.
bool mentions(const std::vector<std::string>& arguments, const std::string& device) {
  const std::string name = device.substr(0, device.find(','));
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    const std::size_t value = argument.starts_with("--") ? argument.find('=') + 1 : 0;
    const std::string_view said = std::string_view(argument).substr(value);
    return said.substr(0, said.find(',')) == name;
  });
}

// What EAL logs while it starts, so that its reason can be part of the exception.
class CapturedLog {
 public:
  CapturedLog() : stream_(open_memstream(&text_, &size_)) { rte_openlog_stream(stream_); }
  ~CapturedLog() {
    rte_openlog_stream(nullptr);
    if (stream_ != nullptr) std::fclose(stream_);
    std::free(text_);
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  std::string text() {
    if (stream_ == nullptr) return {};
    std::fflush(stream_);
    return std::string(text_, size_);
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* stream_;
};

[[noreturn]] void cannot_start(const std::string& log) {
  std::string text = fmt::format("DPDK's EAL cannot start: {}", rte_strerror(rte_errno));
  if (!log.empty()) text += "\n" + log;
  if (log.find("huge") != std::string::npos) {
    text += "without hugepages, use the EAL arguments '--no-huge -m 1024'";
  }
  throw std::runtime_error(text);
}

void start(std::vector<char*>& pointers) {
  static std::atomic<bool> started = false;
  if (started.exchange(true)) throw std::runtime_error("DPDK's EAL runs once in a process");
  std::string log;
  int result = 0;
  {
    CapturedLog captured;
    result = rte_eal_init(static_cast<int>(pointers.size()) - 1, pointers.data());
    log = captured.text();
  }
  if (result < 0) cannot_start(log);
  std::fputs(log.c_str(), stderr);
}

}  // namespace

void check_cpu() {
  struct Feature {
    rte_cpu_flag_t flag;
    std::string_view name;
  };
  static constexpr std::array kNeeded = {Feature{RTE_CPUFLAG_AVX2, "AVX2"},
                                         Feature{RTE_CPUFLAG_AES, "AES"},
                                         Feature{RTE_CPUFLAG_BMI2, "BMI2"}};
  for (const Feature& feature : kNeeded) {
    if (rte_cpu_get_flag_enabled(feature.flag) == 1) continue;
    throw std::runtime_error(
        fmt::format("this CPU has no {}: glassbox needs an x86-64 CPU with AVX2, AES and BMI2 "
                    "(Intel Haswell of "
                    "2013, AMD Excavator of 2015, or later)",
                    feature.name));
  }
}

bool have_hugepages() {
  std::error_code error;
  const std::filesystem::path sizes = "/sys/kernel/mm/hugepages";
  for (const auto& size : std::filesystem::directory_iterator(sizes, error)) {
    long pages = 0;
    std::ifstream(size.path() / "nr_hugepages") >> pages;
    if (pages > 0) return true;
  }
  return false;
}

std::vector<std::string> replay_eal_arguments(unsigned megabytes) {
  return {"glassbox", "--no-huge", "--no-pci", "-m", std::to_string(megabytes),
          // No shared files: an ordinary user may have no directory for them.
          "--no-shconf", "--no-telemetry", "--iova-mode=va", "--log-level=*:error", "--file-prefix",
          own_prefix(), one_lcore()};
}

std::vector<std::string> port_eal_arguments(const std::vector<std::string>& devices,
                                            const std::vector<std::string>& arguments,
                                            unsigned megabytes, bool hugepages) {
  std::vector<std::string> all = {"glassbox"};
  const auto unless_given = [&](std::initializer_list<std::string_view> options,
                                std::initializer_list<std::string> addition) {
    if (!has_option(arguments, options)) all.insert(all.end(), addition);
  };
  unless_given({"--log-level"}, {"--log-level=*:warning"});
  unless_given({"--file-prefix"}, {"--file-prefix", own_prefix()});
  unless_given({"-l", "-c", "--lcores"}, {one_lcore()});
  if (!hugepages) {
    unless_given({"--no-huge", "--in-memory", "--huge-dir", "-m", "--socket-mem"},
                 {"--no-huge", "-m", std::to_string(megabytes)});
  }
  const bool any_pci = std::any_of(devices.begin(), devices.end(), is_pci_address);
  if (!any_pci) unless_given({"-a", "--allow", "--no-pci"}, {"--no-pci"});
  for (const std::string& device : devices) {
    if (mentions(arguments, device)) continue;
    all.insert(all.end(), {is_pci_address(device) ? "--allow" : "--vdev", device});
  }
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

Eal::Eal(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
  check_cpu();
  for (std::string& argument : arguments_) pointers_.push_back(argument.data());
  pointers_.push_back(nullptr);
  start(pointers_);
}

Eal::~Eal() {
  // EAL leaves the directory of its run behind. With a file prefix for each run they would pile up.
  const std::filesystem::path directory = rte_eal_get_runtime_dir();
  rte_eal_cleanup();
  std::error_code error;
  if (directory.filename() == own_prefix()) std::filesystem::remove_all(directory, error);
}

Eal Eal::for_replay(unsigned megabytes) {
  // EAL nails the thread to its CPU, which suits polling. Replays that run side by side would all
  // sit on the same one.
  cpu_set_t before;
  const bool known = sched_getaffinity(0, sizeof before, &before) == 0;
  struct Restore {
    const cpu_set_t* cpus;
    ~Restore() {
      if (cpus != nullptr) sched_setaffinity(0, sizeof *cpus, cpus);
    }
  } const restore{known ? &before : nullptr};
  return Eal(replay_eal_arguments(megabytes));
}

EalOnDemand::EalOnDemand(unsigned megabytes) {
  check_cpu();
  start_dpdk_by([this, megabytes] { eal_.reset(new Eal(Eal::for_replay(megabytes))); });
}

EalOnDemand::~EalOnDemand() { start_dpdk_by(nullptr); }

Eal Eal::for_ports(const std::vector<std::string>& devices,
                   const std::vector<std::string>& arguments, unsigned megabytes) {
  return Eal(port_eal_arguments(devices, arguments, megabytes, have_hugepages()));
}

}  // namespace glassbox
