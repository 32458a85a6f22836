// SPDX-License-Identifier: BSD-3-Clause
//
// Figures as people read them, in the summary and in the page alike: 1,234; 1.3 MiB; 12.5 %; and
// the few sums that both of them print.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/report/report.h"

namespace glassbox {

std::string with_commas(std::uint64_t number);                    // "1,234,567"
std::string bytes_text(std::uint64_t bytes);                      // "512 B", "1.3 MiB"
std::string share_text(std::uint64_t part, std::uint64_t whole);  // "12.5 %"; of nothing: "-"
std::string span_text(Nanos span);  // "250 ms", "23.1 s", "1 h 02 min"
// Seconds since the epoch, nine decimals: "1355.000217000", as in --packets.
std::string instant_text(Instant time);
std::string plural(std::uint64_t count, std::string_view noun);  // "1 packet", "2 packets"

// 'R', 'B', 'F' or 'X', and what they stand for (RFC 2775 2.3; X is ours).
char letter_of(Field field);
struct ClassMeaning {
  char letter;
  std::string_view meaning;
};
const std::vector<ClassMeaning>& class_meanings();

// "firewall.connection"
std::string qualified(const StateRow& row);
// The band that a kind is drawn and summed in: hard, soft, or configured (by its scope).
enum class StateBand : std::uint8_t { kHard, kSoft, kConfigured };
StateBand band_of(const StateRow& row);
std::string_view name_of(StateBand band);
std::uint64_t ended(const StateRow& row, Ending why);

// What policy meant to drop, what it did not, and what nobody knows, in packets.
struct DropSums {
  std::uint64_t intended = 0;
  std::uint64_t unintended = 0;
  std::uint64_t unknown = 0;
};
DropSums sum_drops(const Report& report);
// "intended", "unintended", "not known"
std::string_view intent_text(const std::optional<bool>& intended);

// The end hosts are a model's, so what could not be sent was counted (measurement.md, section 2).
bool is_modelled(const Report& report);

}  // namespace glassbox
