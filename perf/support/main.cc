// SPDX-License-Identifier: BSD-3-Clause
//
// main() of the benchmarks: an EAL without root, devices and hugepages on the core the process is
// pinned to.
#include <benchmark/benchmark.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "dataplane/mbuf_pool.h"
#include "perf/support/flow_loop.h"

namespace {

int first_allowed_cpu() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) return cpu;
  }
  return 0;
}

bool start_eal(int cpu) {
  std::vector<std::string> arguments = {"glassbox_bench",
                                        "--no-huge",
                                        "--no-pci",
                                        "-l",
                                        std::to_string(cpu),
                                        "-m",
                                        "64",
                                        "--no-shconf",
                                        "--no-telemetry",
                                        "--iova-mode=va",
                                        "--log-level=*:error",
                                        "--file-prefix=gbperf" + std::to_string(getpid())};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const int cpu = first_allowed_cpu();
  if (!start_eal(cpu)) {
    std::fprintf(stderr, "bench: rte_eal_init: %s\n", rte_strerror(rte_errno));
    return 1;
  }
  benchmark::AddCustomContext("tsc_hz", std::to_string(rte_get_tsc_hz()));
  benchmark::AddCustomContext("pinned_to_cpu", std::to_string(cpu));
  // Said before the benchmarks run, because the context is written first.
  benchmark::AddCustomContext("memory", glassbox::perf::memory_in_use());
  benchmark::AddCustomContext("anonymous_huge_kb", std::to_string(glassbox::huge_kilobytes()));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  glassbox::perf::let_go_of_flows();
  rte_eal_cleanup();
  return 0;
}
