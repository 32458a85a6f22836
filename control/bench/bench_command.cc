// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "control/bench/bench.h"
#include "control/bench/device_bench.h"
#include "control/config.h"
#include "control/eal.h"
#include "control/output_file.h"

namespace glassbox {
namespace {

constexpr unsigned kEalMegabytes = 256;

// One line on a terminal, redrawn; nothing in a pipe.
class Progress {
 public:
  explicit Progress(bool wanted) : on_(wanted && isatty(STDERR_FILENO) != 0) {}
  ~Progress() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }
  void operator()(const std::string& doing, double done) {
    const auto now = std::chrono::steady_clock::now();
    if (!on_ || now - last_ < std::chrono::milliseconds(200)) return;
    last_ = now;
    drawn_ = true;
    std::fputs(fmt::format("\r\033[K{:3.0f} %  {}", done * 100, doing).c_str(), stderr);
    std::fflush(stderr);
  }

 private:
  bool on_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

// The thread stays on one core from here on: the one asked for, else the last one allowed, which
// the kernel and its interrupts use least.
void pin(int wanted) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  int core = wanted;
  for (int cpu = CPU_SETSIZE - 1; core < 0 && cpu >= 0; --cpu) {
    if (CPU_ISSET(cpu, &allowed)) core = cpu;
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  if (sched_setaffinity(0, sizeof one, &one) == 0) return;
  throw std::runtime_error(fmt::format(
      "cannot run on core {}: {}; see `lscpu -e` for those there are", core, std::strerror(errno)));
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  Result<OutputFile> file = OutputFile::open(path.string());
  if (!file.ok()) throw std::runtime_error(file.error().message);
  if (const Result<void> written = file->write(text); !written.ok()) {
    throw std::runtime_error(written.error().message);
  }
  if (const Result<void> done = file->finish(); !done.ok()) {
    throw std::runtime_error(done.error().message);
  }
}

void write_report(const std::string& directory, const BenchReport& report) {
  write_file(std::filesystem::path(directory) / "bench.json", bench_json(report));
  write_file(std::filesystem::path(directory) / "bench.html", bench_page(report));
}

void prepare(const std::string& directory) {
  if (directory.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (std::filesystem::is_directory(directory) && access(directory.c_str(), W_OK) == 0) return;
  throw std::runtime_error(fmt::format("cannot write a report into '{}': {}", directory,
                                       error ? error.message() : "not a writable directory"));
}

BenchReport run_in_memory(const Config& config, const BenchOptions& options) {
  const Eal eal = Eal::for_replay(kEalMegabytes);
  Progress progress(!options.quiet);
  return Bench(config, options, std::ref(progress)).run();
}

}  // namespace

int run_bench(const BenchOptions& options) {
  const Config config = load_config(options.config);
  if (const std::string fault = options.mix.fault(); !fault.empty()) {
    throw ConfigError({options.config, 0, 0}, "bench: " + fault);
  }
  prepare(options.report);
  pin(options.core);
  const BenchReport report =
      options.ports.empty() ? run_in_memory(config, options) : run_device_bench(config, options);
  if (!options.report.empty()) write_report(options.report, report);
  if (options.json) {
    std::fputs(bench_json(report).c_str(), stdout);
  } else if (!options.quiet) {
    std::fputs(bench_text(report).c_str(), stdout);
  }
  if (report.fault.empty()) return 0;
  std::fprintf(stderr, "glassbox: %s: this is a defect of glassbox\n", report.fault.c_str());
  return 1;
}

}  // namespace glassbox
