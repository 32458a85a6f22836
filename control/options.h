// SPDX-License-Identifier: BSD-3-Clause
//
// The command line, read and checked: which command, with what options. Nothing is run or printed
// here.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "control/audit/audit_options.h"
#include "control/bench/bench_options.h"
#include "control/compare/compare_command.h"
#include "control/ctl/ctl.h"
#include "control/doctor/doctor.h"
#include "control/forget/forget_command.h"
#include "control/live.h"
#include "control/probe/probe_options.h"
#include "control/replay/replay_command.h"

namespace glassbox {

// Exit statuses (design.md, section 6).
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

struct CheckOptions {
  std::string config;
};

struct DescribeOptions {
  std::string function;  // empty: all
  bool json = false;
  std::string opes;  // a configuration: what its OPES system says of itself
  bool html = false;
};

// Nothing to run: help, the version, or what is wrong with the command line.
struct Message {
  int status = kDone;
  std::string text;
};

using Command = std::variant<Message, ReplayOptions, LiveOptions, ProbeOptions, DescribeOptions,
                             CheckOptions, CtlOptions, CompareOptions, BenchOptions, AuditOptions,
                             ForgetOptions, DoctorOptions>;

// `arguments` without the program's name. Does not throw for anything a user can type.
Command parse_command_line(const std::vector<std::string>& arguments);

}  // namespace glassbox
