// SPDX-License-Identifier: BSD-3-Clause
//
// The commands of a running `glassbox run`, over DPDK's telemetry socket (version 2), for `glassbox
// ctl` and for dpdk-telemetry.py:
//
//   /glassbox/state              every kind of state: {"nat44": {"mapping": {"entries": ...}}}
//   /glassbox/transparency       packets, drops, effects, payload read
//   /glassbox/forget,NAME        wipes a kind, a function or the box; answers what went
//   /glassbox/stop               ends the run, with its report
//
// An answer that is a refusal is {"error": "..."}.
#pragma once

#include "control/config.h"
#include "control/ctl/desk.h"
#include "control/live_clock.h"
#include "dataplane/worker.h"

namespace glassbox {

class Telemetry {
 public:
  // Registers the commands (EAL must have started) and serves until it is destroyed. `stop` is
  // called from the telemetry thread.
  Telemetry(Worker& worker, const Config& config, const LiveClock& clock, void (*stop)());
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  // Between turns, from the worker's thread.
  bool asked() const { return desk().asked(); }
  static void serve() { desk().serve(); }

 private:
  // Commands cannot be unregistered: what they speak to outlives every run.
  static Desk& desk();
};

}  // namespace glassbox
