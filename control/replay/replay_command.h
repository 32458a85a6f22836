// SPDX-License-Identifier: BSD-3-Clause
//
// `glassbox replay`: captures through the chain, and what came of it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/forget/wipe.h"

namespace glassbox {

// How a packet's side is told (measurement.md, section 2).
struct SideChoice {
  enum class Rule : std::uint8_t { kInitiator, kNetworks, kMac, kFile };
  Rule rule = Rule::kInitiator;
  // kNetworks: a flow that has both ends, or none, in the networks goes by its initiator.
  bool else_initiator = false;
  std::vector<std::array<std::uint8_t, 6>> inside_macs;  // kMac
  std::string file;                                      // kFile
};

// Whether end hosts wait for what they answer and send again what was lost (measurement.md, section
// 2).
enum class EndpointModel : std::uint8_t { kOpen, kClosed };

// File names are empty where none was asked for.
struct ReplayOptions {
  std::string config;
  std::vector<std::string> captures;
  std::string presented;  // pcapng of what entered the box
  std::string out;        // pcapng of what left it
  std::string packets;    // JSON Lines, one a packet
  std::string report;     // directory for report.json
  SideChoice sides;
  bool sides_given = false;  // else by inside_networks where they tell a flow's ends apart
  std::vector<TimedWipe> forget;
  EndpointModel endpoints = EndpointModel::kOpen;
  bool attribute = false;  // also with each function left out, and alone
  bool fix_checksums = false;
  bool quiet = false;
  bool json = false;                  // the summary as JSON
  std::optional<std::uint64_t> seed;  // else the configuration's
};

// How sides are told for this configuration. Throws ConfigError.
SideChoice choose_sides(const ReplayOptions& options, const Config& config);
// Names and hashes of the files. Throws std::runtime_error.
struct Report;
class CaptureImage;
void describe_workload(const std::vector<std::string>& captures, const CaptureImage& image,
                       Report& report);

// The exit status. Throws ConfigError for what the configuration has wrong, std::runtime_error for
// a run that failed.
int run_replay(const ReplayOptions& options);

}  // namespace glassbox
