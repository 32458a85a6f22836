// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/figures.h"

#include <fmt/format.h>

#include <array>

namespace glassbox {

std::string with_commas(std::uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string bytes_text(std::uint64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // What would print as 1024.0 is one of the next unit.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string share_text(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  const double percent = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  // Neither "none" nor "all" may come of rounding.
  if (part > 0 && percent < 0.05) return "< 0.1 %";
  if (part < whole && percent >= 99.95) return "> 99.9 %";
  return fmt::format("{:.1f} %", percent);
}

std::string span_text(Nanos span) {
  const double seconds = std::chrono::duration<double>(span).count();
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 120) return fmt::format("{:.1f} s", seconds);
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(span).count();
  if (minutes < 60) {
    const auto rest = std::chrono::duration_cast<std::chrono::seconds>(span).count() % 60;
    return fmt::format("{} min {:02} s", minutes, rest);
  }
  return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

std::string instant_text(Instant time) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t nanos = time.time_since_epoch().count();
  const bool negative = nanos < 0;
  const std::uint64_t size =
      negative ? 0 - static_cast<std::uint64_t>(nanos) : static_cast<std::uint64_t>(nanos);
  return fmt::format("{}{}.{:09}", negative ? "-" : "", size / kSecond, size % kSecond);
}

std::string plural(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", with_commas(count), noun, count == 1 ? "" : "s");
}

char letter_of(Field field) { return static_cast<char>(info(field).change_class); }

const std::vector<ClassMeaning>& class_meanings() {
  static const std::vector<ClassMeaning> kMeanings = {
      {'R', "reversible at the destination"},
      {'B', "irreversible but benign"},
      {'F', "needs per-flow state in the box"},
      {'X', "payload meaning changed"},
  };
  return kMeanings;
}

std::string qualified(const StateRow& row) {
  return fmt::format("{}.{}", row.function, row.kind.name);
}

StateBand band_of(const StateRow& row) {
  if (row.kind.scope == Scope::kConfigured) return StateBand::kConfigured;
  return row.state_class == StateClass::kHard ? StateBand::kHard : StateBand::kSoft;
}

std::string_view name_of(StateBand band) {
  static constexpr std::array<std::string_view, 3> kNames = {"hard", "soft", "configured"};
  return kNames[static_cast<std::size_t>(band)];
}

std::uint64_t ended(const StateRow& row, Ending why) { return row.census.ended_total(why); }

DropSums sum_drops(const Report& report) {
  DropSums sums;
  for (const DropRow& row : report.drops) {
    if (!row.intended) {
      sums.unknown += row.packets;
    } else {
      (*row.intended ? sums.intended : sums.unintended) += row.packets;
    }
  }
  return sums;
}

std::string_view intent_text(const std::optional<bool>& intended) {
  if (!intended) return "not known";
  return *intended ? "intended" : "unintended";
}

bool is_modelled(const Report& report) { return !report.workload.endpoints.empty(); }

}  // namespace glassbox
