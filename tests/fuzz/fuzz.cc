// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/fuzz.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/support/mbufs.h"

namespace glassbox::test {

void fuzz_failure(const std::string& what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

}  // namespace glassbox::test

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  // Expectations of the parts that unit tests use, too, end the program.
  int count = 1;
  char name[] = "fuzz";
  char* arguments[] = {name, nullptr};
  ::testing::InitGoogleTest(&count, arguments);
  GTEST_FLAG_SET(throw_on_failure, true);
  static glassbox::test::EalEnvironment environment;
  environment.SetUp();
  return 0;
}
