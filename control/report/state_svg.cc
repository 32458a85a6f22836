// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "control/report/figures.h"
#include "control/report/html.h"
#include "control/report/report_svg.h"

namespace glassbox {
namespace {

constexpr std::size_t kBands = 3;
constexpr int kHeight = 240;
constexpr int kLeft = 64;  // room for the numbers of bytes
constexpr int kRight = 12;
constexpr int kTop = 10;
constexpr int kBottom = 24;  // room for the seconds

using Totals = std::array<std::uint64_t, kBands>;

// Bytes by band at each moment that has a sample; a kind without one keeps its last value.
std::map<Instant, Totals> totals_over_time(const Report& report) {
  using Key = std::pair<std::string, std::string>;
  std::map<Key, std::size_t> bands;
  for (const StateRow& row : report.state) {
    bands[{row.function, std::string(row.kind.name)}] = static_cast<std::size_t>(band_of(row));
  }
  std::map<Instant, std::map<Key, std::uint64_t>> moments;
  for (const StateSample& sample : report.timeline) {
    moments[sample.time][{sample.function, sample.kind}] = sample.bytes;
  }
  std::map<Instant, Totals> totals;
  std::map<Key, std::uint64_t> present;
  for (const auto& [time, values] : moments) {
    for (const auto& [key, bytes] : values) present[key] = bytes;
    Totals& sum = totals[time];
    for (const auto& [key, bytes] : present) {
      const auto band = bands.find(key);
      if (band != bands.end()) sum[band->second] += bytes;
    }
  }
  return totals;
}

// The step between lines of the grid: a power of two, so that KiB and MiB come out round.
std::uint64_t grid_step(std::uint64_t most) {
  std::uint64_t step = 1;
  while (step * 4 < most) step *= 2;
  return step;
}

class Chart {
 public:
  Chart(const std::map<Instant, Totals>& totals, int width)
      : totals_(totals),
        width_(width),
        first_(totals.begin()->first),
        length_((totals.rbegin()->first - first_).count()) {
    std::uint64_t most = 1;
    for (const auto& [time, sum] : totals) {
      std::uint64_t all = 0;
      for (const std::uint64_t bytes : sum) all += bytes;
      most = std::max(most, all);
    }
    step_ = grid_step(most);
    top_ = (most + step_ - 1) / step_ * step_;
  }

  std::string draw() const {
    std::string svg = grid();
    for (std::size_t band = 0; band < kBands; ++band) {
      bool any = false;
      for (const auto& [time, sum] : totals_) any = any || sum[band] > 0;
      if (any) svg += area(band);
    }
    return svg;
  }

 private:
  double x(Instant time) const {
    const double part = static_cast<double>((time - first_).count()) / static_cast<double>(length_);
    return kLeft + part * (width_ - kLeft - kRight);
  }
  double y(std::uint64_t bytes) const {
    const double part = static_cast<double>(bytes) / static_cast<double>(top_);
    return kHeight - kBottom - part * (kHeight - kTop - kBottom);
  }

  std::string grid() const {
    std::string svg;
    for (std::uint64_t bytes = 0; bytes <= top_; bytes += step_) {
      svg += fmt::format(
          "<path class=\"grid\" d=\"M{},{:.1f}H{}\"/>"
          "<text class=\"axis end\" x=\"{}\" y=\"{:.1f}\">{}</text>\n",
          kLeft, y(bytes), width_ - kRight, kLeft - 6, y(bytes) + 4, bytes_text(bytes));
    }
    const std::array<std::pair<int, const char*>, 3> marks = {
        {{0, "axis"}, {1, "axis middle"}, {2, "axis end"}}};
    for (const auto& [halves, style] : marks) {
      const Instant time = first_ + Nanos(length_ / 2 * halves);
      svg += fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{}\">{}</text>\n", style, x(time),
                         kHeight - 6, span_text(time - first_));
    }
    return svg;
  }

  // Steps, not slopes: between two samples nothing is known but the first.
  std::string area(std::size_t band) const {
    std::string upper;
    std::vector<std::string> lower;  // from the left; drawn back from the right
    double before_low = 0;
    double before_high = 0;
    bool started = false;
    for (const auto& [time, sum] : totals_) {
      std::uint64_t low = 0;
      for (std::size_t below = 0; below < band; ++below) low += sum[below];
      const double at = x(time);
      const double y_low = y(low);
      const double y_high = y(low + sum[band]);
      if (started) {
        upper += fmt::format("L{:.1f},{:.1f}", at, before_high);
        lower.push_back(fmt::format("L{:.1f},{:.1f}", at, before_low));
      }
      upper += fmt::format("{}{:.1f},{:.1f}", started ? "L" : "M", at, y_high);
      lower.push_back(fmt::format("L{:.1f},{:.1f}", at, y_low));
      before_low = y_low;
      before_high = y_high;
      started = true;
    }
    std::reverse(lower.begin(), lower.end());
    const std::string_view name = name_of(static_cast<StateBand>(band));
    return fmt::format(
        "<path class=\"band {0}\" d=\"{1}{2}Z\"/><path class=\"band hatch {0}\" "
        "fill=\"url(#hatch-{0})\" d=\"{1}{2}Z\"/>\n",
        name, upper, fmt::join(lower, ""));
  }

  const std::map<Instant, Totals>& totals_;
  int width_;
  Instant first_;
  std::int64_t length_;
  std::uint64_t step_ = 1;
  std::uint64_t top_ = 1;
};

}  // namespace

std::string state_svg(const Report& report, int width) {
  const std::map<Instant, Totals> totals = totals_over_time(report);
  if (totals.size() < 2) return "";
  return fmt::format(
      "<svg class=\"state\" role=\"img\" aria-label=\"Bytes of state over time, hard and soft; the "
      "table of state has the peaks\" viewBox=\"0 0 {} {}\" style=\"max-width:{}px\">\n{}</svg>\n",
      width, kHeight, width, Chart(totals, width).draw());
}

}  // namespace glassbox
