// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace glassbox {

const std::vector<Step>& steps() {
  static const std::vector<Step> kSteps = {
      {"T0", "P0", "wire_exact", "wire-exact", "cross with every packet the same"},
      {"T1", "P1", "endpoint_exact", "endpoint-exact",
       "show both ends the same addresses, ports and signals"},
      {"T2", "P2", "stream_exact", "stream-exact", "deliver the same bytes both ways"},
      {"T3", "P3", "completes", "completes", "finish"},
  };
  return kSteps;
}

std::string clock_text(const std::string& instant) {
  constexpr std::int64_t kDay = 86400;
  std::int64_t seconds = 0;
  const char* end = instant.data() + instant.size();
  const auto [stop, failed] = std::from_chars(instant.data(), end, seconds);
  if (failed != std::errc() || (stop != end && *stop != '.')) return instant;
  const std::int64_t of_day = (seconds % kDay + kDay) % kDay;
  return fmt::format("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
}

std::string enumeration(const std::vector<std::string>& items) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += i + 1 == items.size() ? " and " : ", ";
    text += items[i];
  }
  return text;
}

std::string interval_text(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0 || part > whole) return "";
  const double n = static_cast<double>(whole);
  if (part == 0) return fmt::format("at most {:.1f} %", std::min(100.0, 300.0 / n));
  constexpr double kZ = 1.959964;  // 95 %
  const double share = static_cast<double>(part) / n;
  const double middle = share + kZ * kZ / (2 * n);
  const double half = kZ * std::sqrt(share * (1 - share) / n + kZ * kZ / (4 * n * n));
  const double scale = 100.0 / (1 + kZ * kZ / n);
  const double low = std::max(0.0, (middle - half) * scale);
  const double high = std::min(100.0, (middle + half) * scale);
  return fmt::format("{:.1f} to {:.1f} %", low, high);
}

}  // namespace glassbox
