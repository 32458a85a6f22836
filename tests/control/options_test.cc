// SPDX-License-Identifier: BSD-3-Clause
#include "control/options.h"

#include <gtest/gtest.h>

#include <sstream>

namespace glassbox {
namespace {

Command parse(const std::string& line) {
  std::istringstream words(line);
  return parse_command_line({std::istream_iterator<std::string>(words), {}});
}

Message message(const std::string& line) {
  const Command command = parse(line);
  const Message* found = std::get_if<Message>(&command);
  return found == nullptr ? Message{-1, "a command"} : *found;
}

TEST(Options, HelpAndVersionAreNoErrors) {
  for (const char* line :
       {"--help", "--version", "replay --help", "run -h", "describe --help", "check --help"}) {
    EXPECT_EQ(message(line).status, kDone) << line;
  }
  EXPECT_NE(message("replay --help").text.find("Examples:"), std::string::npos);
  EXPECT_EQ(message("--version").text.substr(0, 9), "glassbox ");
}

TEST(Options, WrongUsageHasStatusTwo) {
  for (const char* line :
       {"", "replay", "replay c", "replay c p --bogus", "replay c p --seed x", "check", "check a b",
        "run", "run c extra", "run c --duration -1", "--bogus", "replay c p --seed -1"}) {
    EXPECT_EQ(message(line).status, kUsage) << line;
  }
}

TEST(Options, UnknownCommandNamesTheKnownOnes) {
  const std::string text = message("rply").text;
  EXPECT_TRUE(text.starts_with("glassbox: unknown command 'rply' (known: replay, run, ")) << text;
  EXPECT_TRUE(text.ends_with("); did you mean 'replay'?\n")) << text;
  EXPECT_EQ(message("rply").status, kUsage);
}

TEST(Options, ReplayTakesAllItsOptions) {
  const auto options = std::get<ReplayOptions>(
      parse("replay c.yaml a.pcap b.pcap --presented i --out o --packets p --report r "
            "--fix-checksums --endpoints open -q --seed 7 --json"));
  EXPECT_EQ(options.config, "c.yaml");
  EXPECT_EQ(options.captures, (std::vector<std::string>{"a.pcap", "b.pcap"}));
  EXPECT_EQ(options.presented, "i");
  EXPECT_EQ(options.out, "o");
  EXPECT_EQ(options.packets, "p");
  EXPECT_EQ(options.report, "r");
  EXPECT_TRUE(options.fix_checksums && options.quiet && options.json);
  EXPECT_EQ(options.seed, 7u);
  EXPECT_FALSE(std::get<ReplayOptions>(parse("replay c a")).seed.has_value());
}

TEST(Options, WipesOfAReplayAreReadOrExplained) {
  const auto options =
      std::get<ReplayOptions>(parse("replay c p --forget nat44.mapping@2 --forget box@0.5"));
  ASSERT_EQ(options.forget.size(), 2u);
  EXPECT_EQ(options.forget[0].name, "nat44.mapping");
  EXPECT_EQ(options.forget[1].after, std::chrono::milliseconds(500));
  EXPECT_EQ(message("replay c p --forget box@soon").status, kUsage);
}

TEST(Options, CtlTakesItsActionAndInstance) {
  const auto options = std::get<CtlOptions>(parse("ctl forget nat44.mapping --file-prefix edge"));
  EXPECT_EQ(options.action, CtlOptions::Action::kForget);
  EXPECT_EQ(options.target, "nat44.mapping");
  EXPECT_EQ(options.file_prefix, "edge");
  EXPECT_EQ(std::get<CtlOptions>(parse("ctl stop")).action, CtlOptions::Action::kStop);
  EXPECT_EQ(message("ctl forget").status, kUsage);
}

TEST(Options, SidesAreToldByFourRules) {
  const auto sides = [](const std::string& text) {
    return std::get<ReplayOptions>(parse("replay c p --sides " + text)).sides;
  };
  EXPECT_EQ(std::get<ReplayOptions>(parse("replay c p")).sides.rule, SideChoice::Rule::kInitiator);
  EXPECT_EQ(sides("networks").rule, SideChoice::Rule::kNetworks);
  EXPECT_EQ(sides("file:a:b").file, "a:b");
  const SideChoice macs = sides("mac:02:00:00:00:00:01,AA-bb-cc-dd-ee-ff");
  ASSERT_EQ(macs.inside_macs.size(), 2u);
  EXPECT_EQ(macs.inside_macs[0][5], 1);
  EXPECT_EQ(macs.inside_macs[1][0], 0xaa);
  for (const char* wrong : {"mac", "mac:", "mac:1:2", "mac:02:00:00:00:00:01:02", "file:", "guess",
                            "networks:x", "mac:02:00:00:00:00:01,", "mac:0x:00:00:00:00:01"}) {
    EXPECT_EQ(message(std::string("replay c p --sides ") + wrong).status, kUsage) << wrong;
  }
}

TEST(Options, EndpointsAreOpenUnlessToldOtherwise) {
  EXPECT_EQ(std::get<ReplayOptions>(parse("replay c p")).endpoints, EndpointModel::kOpen);
  EXPECT_EQ(std::get<ReplayOptions>(parse("replay c p --endpoints closed")).endpoints,
            EndpointModel::kClosed);
  const Message refused = message("replay c p --endpoints close");
  EXPECT_EQ(refused.status, kUsage);
  EXPECT_NE(refused.text.find("unknown model 'close'"), std::string::npos) << refused.text;
}

TEST(Options, WhatFollowsTheDashesGoesToEal) {
  const auto options = std::get<LiveOptions>(
      parse("run c.yaml --duration 1.5 --report r -- --vdev net_tap0 --help"));
  EXPECT_EQ(options.config, "c.yaml");
  EXPECT_EQ(options.duration->count(), 1.5);
  EXPECT_EQ(options.eal, (std::vector<std::string>{"--vdev", "net_tap0", "--help"}));
  EXPECT_FALSE(std::get<LiveOptions>(parse("run c")).duration.has_value());
}

TEST(Options, DescribeNeedsNoName) {
  EXPECT_EQ(std::get<DescribeOptions>(parse("describe")).function, "");
  EXPECT_TRUE(std::get<DescribeOptions>(parse("describe nat44 --json")).json);
}

}  // namespace
}  // namespace glassbox
