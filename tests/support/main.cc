// SPDX-License-Identifier: BSD-3-Clause
//
// main() of every test program that needs the EAL.
#include <gtest/gtest.h>

#include "tests/support/mbufs.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new glassbox::test::EalEnvironment);
  return RUN_ALL_TESTS();
}
