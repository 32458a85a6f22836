// SPDX-License-Identifier: BSD-3-Clause
//
// State over time, of a run whose end nobody knows: sampled every second at first; when there are
// too many samples, every second one goes and the step doubles.
#pragma once

#include <vector>

#include "control/config.h"
#include "control/report/report.h"

namespace glassbox {

class LiveTimeline {
 public:
  // Samples when it is time to.
  void look(Worker& worker, const Config& config, Instant now) {
    if (now < next_) return;
    sample(worker, config, now);
    if (samples_.size() >= kMost) thin();
    next_ = now + step_;
  }

  void sample(Worker& worker, const Config& config, Instant now) {
    std::vector<StateSample> rows;
    for (const StateRow& row : read_state(worker, config, now)) {
      rows.push_back({now, row.function, std::string(row.kind.name), row.census.entries(),
                      row.census.bytes()});
    }
    samples_.push_back(std::move(rows));
  }

  std::vector<StateSample> take() {
    std::vector<StateSample> all;
    for (const auto& rows : samples_) all.insert(all.end(), rows.begin(), rows.end());
    samples_.clear();
    return all;
  }

 private:
  static constexpr std::size_t kMost = 480;

  void thin() {
    for (std::size_t i = 1; 2 * i < samples_.size(); ++i) samples_[i] = std::move(samples_[2 * i]);
    samples_.resize((samples_.size() + 1) / 2);
    step_ *= 2;
  }

  std::vector<std::vector<StateSample>> samples_;  // of one time each
  Instant next_{};
  Nanos step_ = std::chrono::seconds(1);
};

}  // namespace glassbox
