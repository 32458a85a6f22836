// SPDX-License-Identifier: BSD-3-Clause
//
// Needs a process in which EAL has not run.
#include "control/eal.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>
#include <sched.h>

#include <algorithm>
#include <stdexcept>

namespace glassbox {
namespace {

using Arguments = std::vector<std::string>;

bool has(const Arguments& arguments, const std::string& wanted) {
  return std::find(arguments.begin(), arguments.end(), wanted) != arguments.end();
}

bool has_prefix(const Arguments& arguments, const std::string& wanted) {
  return std::any_of(arguments.begin(), arguments.end(),
                     [&](const std::string& argument) { return argument.starts_with(wanted); });
}

TEST(Eal, ReplayTouchesNeitherHugepagesNorDevicesNorSharedFiles) {
  const Arguments arguments = replay_eal_arguments(64);
  for (const char* wanted : {"--no-huge", "--no-pci", "--no-shconf", "--no-telemetry"}) {
    EXPECT_TRUE(has(arguments, wanted)) << wanted;
  }
  EXPECT_TRUE(has_prefix(arguments, "--lcores=0@"));
}

TEST(Eal, WhatTheUserSaysIsNotSaidAgain) {
  const Arguments given = {"-l", "1", "--file-prefix", "mine", "--log-level=debug", "-m", "64"};
  const Arguments arguments = port_eal_arguments({}, given, 512, false);
  EXPECT_FALSE(has_prefix(arguments, "--lcores"));
  EXPECT_FALSE(has(arguments, "512"));
  EXPECT_FALSE(has(arguments, "--no-huge"));
  EXPECT_EQ(std::count(arguments.begin(), arguments.end(), "--file-prefix"), 1);
  EXPECT_TRUE(std::equal(given.rbegin(), given.rend(), arguments.rbegin()));
}

TEST(Eal, PortsWithoutHugepagesTakeOrdinaryMemory) {
  EXPECT_TRUE(has(port_eal_arguments({}, {}, 512, false), "--no-huge"));
  EXPECT_FALSE(has(port_eal_arguments({}, {}, 512, true), "--no-huge"));
}

TEST(Eal, OnlyTheConfiguredDevicesAreProbed) {
  const Arguments virtual_only = port_eal_arguments({"net_tap0,iface=tap0"}, {}, 64, true);
  EXPECT_TRUE(has(virtual_only, "--no-pci"));
  EXPECT_TRUE(has(virtual_only, "net_tap0,iface=tap0"));
  const Arguments pci = port_eal_arguments({"0000:65:00.1", "net_tap0"}, {}, 64, true);
  EXPECT_FALSE(has(pci, "--no-pci"));
  EXPECT_TRUE(has(pci, "--allow"));
  EXPECT_FALSE(has(port_eal_arguments({"65:00.1,dv_flow_en=1"}, {}, 64, true), "--no-pci"));
  const Arguments defined = port_eal_arguments({"net_tap0"}, {"--vdev=net_tap0,iface=x"}, 64, true);
  EXPECT_FALSE(has(defined, "--vdev"));
}

TEST(Eal, ReplayStartsOnceAndLeavesTheThreadItsCpus) {
  cpu_set_t before;
  cpu_set_t after;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  const Eal eal = Eal::for_replay(64);
  ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
  rte_mempool* pool = rte_pktmbuf_pool_create("eal_test", 1023, 0, 0, 2176, SOCKET_ID_ANY);
  ASSERT_NE(pool, nullptr);
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
  ASSERT_NE(mbuf, nullptr);
  rte_pktmbuf_free(mbuf);
  rte_mempool_free(pool);
  EXPECT_THROW(Eal::for_replay(64), std::runtime_error);
}

TEST(Eal, ThisCpuHasWhatTheProgramIsCompiledFor) { EXPECT_NO_THROW(check_cpu()); }

}  // namespace
}  // namespace glassbox
