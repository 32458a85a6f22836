// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/desk.h"

#include <gtest/gtest.h>

#include <thread>

namespace glassbox {
namespace {

using namespace std::chrono_literals;

TEST(Desk, TaskRunsInTheThreadThatServes) {
  Desk desk;
  desk.open();
  std::thread::id ran;
  std::atomic<bool> done{false};
  bool answered = false;
  std::thread asker([&] {
    answered = desk.ask([&] { ran = std::this_thread::get_id(); }, 10s);
    done = true;
  });
  while (!done) {
    if (desk.asked()) desk.serve();
    std::this_thread::yield();
  }
  asker.join();
  EXPECT_TRUE(answered);
  EXPECT_EQ(ran, std::this_thread::get_id());
  EXPECT_FALSE(desk.asked());
}

TEST(Desk, WhatWasGivenUpNeverRuns) {
  Desk desk;
  desk.open();
  bool ran = false;
  EXPECT_FALSE(desk.ask([&] { ran = true; }, 1ms));
  EXPECT_FALSE(desk.asked());
  desk.serve();
  EXPECT_FALSE(ran);
}

TEST(Desk, NobodyIsKeptWaitingAtAClosedOne) {
  Desk desk;
  EXPECT_FALSE(desk.ask([] {}, 10s));
  desk.open();
  std::thread closer([&] {
    while (!desk.asked()) std::this_thread::yield();
    desk.close();
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(desk.ask([] {}, 60s));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
  closer.join();
}

TEST(Desk, QuestionsOfManyAreAnsweredOneByOne) {
  Desk desk;
  desk.open();
  int count = 0;
  std::atomic<int> answered{0};
  std::vector<std::thread> askers;
  for (int i = 0; i < 4; ++i) {
    askers.emplace_back([&] {
      for (int j = 0; j < 50; ++j) {
        if (desk.ask([&] { ++count; }, 10s)) ++answered;
      }
    });
  }
  while (answered < 200) {
    if (desk.asked()) desk.serve();
    std::this_thread::yield();
  }
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(count, 200);
}

}  // namespace
}  // namespace glassbox
