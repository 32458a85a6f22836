// SPDX-License-Identifier: BSD-3-Clause
//
// main() of every benchmark program that needs the EAL.
#include <benchmark/benchmark.h>

#include "tests/support/mbufs.h"

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  glassbox::test::EalEnvironment eal;
  eal.SetUp();
  benchmark::RunSpecifiedBenchmarks();
  eal.TearDown();
  return 0;
}
