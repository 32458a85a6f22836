// SPDX-License-Identifier: BSD-3-Clause
//
// What a live run tells the person who started it, on standard error: that it runs, once what
// stands in its way, and on a terminal how it goes. At the end, what the ports lost becomes
// findings.
#pragma once

#include <array>
#include <string>

#include "control/report/report.h"
#include "dataplane/ethdev_port.h"

namespace glassbox {

class LiveNotices {
 public:
  LiveNotices(std::array<EthdevPort, kSides>& ports, bool quiet);

  void started(const std::string& chain);
  // To be called now and then.
  void look(Worker& worker, Instant now);
  // Adds the findings of the ports; the last look, too.
  void finish(Report& report);

 private:
  void tell_too_long();
  void draw_status(Worker& worker, Instant now);
  void clear_status();

  std::array<EthdevPort, kSides>& ports_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  std::array<bool, kSides> told_too_long_{};
  Instant next_status_{};
  std::uint64_t received_before_ = 0;
};

// For frames longer than the MTU allows that came by this port: why that happens and the command
// that mends it.
std::string too_long_notice(const EthdevPort& port, const std::string& side);

}  // namespace glassbox
