// SPDX-License-Identifier: BSD-3-Clause
//
// A chain between two DPDK devices that bring packets themselves (net_null, net_pcap with
// infinite_rx): what other dataplanes over the same devices are compared with. Rate and cycles
// only: the load is the device's, and its cost is in the figures.
#pragma once

#include "control/bench/bench_options.h"
#include "control/bench/bench_report.h"
#include "control/config.h"

namespace glassbox {

// Starts and ends the EAL. Throws std::runtime_error.
BenchReport run_device_bench(const Config& config, const BenchOptions& options);

}  // namespace glassbox
