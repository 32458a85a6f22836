// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/forgetting_json.h"

#include <algorithm>
#include <cmath>

#include "control/report/figures.h"

namespace glassbox {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

double rounded(double value) { return std::round(value * 1e6) / 1e6; }

Json share_of(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return nullptr;
  return rounded(static_cast<double>(part) / static_cast<double>(whole));
}

// The share and its interval; of nothing there is none.
void add_share(std::uint64_t part, std::uint64_t whole, Json& json) {
  if (whole == 0) {
    json["share"] = json["share_low"] = json["share_high"] = nullptr;
    return;
  }
  const ShareInterval interval = wilson(part, whole);
  json["share"] = rounded(static_cast<double>(part) / static_cast<double>(whole));
  json["share_low"] = rounded(interval.low);
  json["share_high"] = rounded(interval.high);
}

Json cells_json(const ForgettingRow& row) {
  Json cells = Json::array();
  for (const ForgettingCell& cell : row.cells) {
    cells.push_back({{"phase", cell.phase},
                     {"next_side", name_of(cell.next_side)},
                     {"protocol", cell.protocol},
                     {"compared", cell.unaffected + cell.recovered + cell.broken},
                     {"unaffected", cell.unaffected},
                     {"recovered", cell.recovered},
                     {"broken", cell.broken}});
  }
  return cells;
}

Json row_json(const ForgettingRow& row) {
  return {{"function", row.function},
          {"kind", row.kind},
          {"at", instant_text(row.at)},
          {"compared", row.compared},
          {"untested", row.untested},
          {"unaffected", row.unaffected},
          {"recovered", row.recovered},
          {"broken", row.broken},
          {"compared_bytes", row.compared_bytes},
          {"broken_bytes", row.broken_bytes},
          {"broken_if_agile", or_null(row.broken_if_agile)},
          {"bystanders", row.bystanders},
          {"misdelivered", row.misdelivered},
          {"forgotten", row.forgotten},
          {"packets_lost", row.packets_lost},
          {"seconds_until_clean",
           row.seconds_until_clean ? Json(rounded(*row.seconds_until_clean)) : Json()},
          {"audit_lost", row.audit_lost},
          {"verdict", row.verdict},
          {"declared", row.declared ? Json(name_of(*row.declared)) : Json()},
          {"contradiction", or_null(row.contradiction)},
          {"undeclared_state", or_null(row.undeclared_state)},
          {"cells", cells_json(row)}};
}

Json exposure_row_json(const ExposureRow& row) {
  Json json = {{"at", instant_text(row.at)},
               {"open_on_wire", row.open_on_wire},
               {"open_through_box", row.open_through_box},
               {"compared", row.compared},
               {"broken", row.broken},
               {"untested", row.untested}};
  add_share(row.broken, row.compared, json);
  json["share_by_bytes"] = share_of(row.broken_bytes, row.compared_bytes);
  return json;
}

Json over_times_json(const Report& report) {
  if (!report.exposure_over_times) return nullptr;
  const ExposureOverTimes& all = *report.exposure_over_times;
  const bool some = all.compared != 0;
  return {{"times", all.times},
          {"flows", all.flows},
          {"compared", all.compared},
          {"broken", all.broken},
          {"share", share_of(all.broken, all.compared)},
          {"share_low", some ? Json(rounded(all.low)) : Json()},
          {"share_high", some ? Json(rounded(all.high)) : Json()},
          {"share_by_bytes", share_of(all.broken_bytes, all.compared_bytes)},
          {"interval", "95 %, bootstrap by flow"}};
}

}  // namespace

ShareInterval wilson(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return {};
  constexpr double kZ = 1.959963984540054;  // of 97.5 %
  const double n = static_cast<double>(whole);
  const double share = static_cast<double>(part) / n;
  const double square = kZ * kZ;
  const double centre = (share + square / (2 * n)) / (1 + square / n);
  const double half =
      kZ / (1 + square / n) * std::sqrt(share * (1 - share) / n + square / (4 * n * n));
  // At the ends the formula is exact but for rounding.
  return {part == 0 ? 0.0 : std::max(0.0, centre - half),
          part == whole ? 1.0 : std::min(1.0, centre + half)};
}

Json forgetting_json(const Report& report) {
  if (!report.forgetting) return nullptr;
  Json rows = Json::array();
  for (const ForgettingRow& row : *report.forgetting) rows.push_back(row_json(row));
  return rows;
}

Json exposure_json(const Report& report) {
  const ExposureRow* worst = nullptr;
  const auto share = [](const ExposureRow& row) {
    return static_cast<double>(row.broken) / static_cast<double>(row.compared);
  };
  for (const ExposureRow& row : report.exposure) {
    if (row.compared == 0) continue;
    if (worst == nullptr || share(row) > share(*worst)) worst = &row;
  }
  if (worst == nullptr) return nullptr;
  Json json = {{"compared", worst->compared}, {"broken", worst->broken}};
  add_share(worst->broken, worst->compared, json);
  json["share_by_bytes"] = share_of(worst->broken_bytes, worst->compared_bytes);
  json["over_times"] = over_times_json(report);
  json["at"] = instant_text(worst->at);
  json["by_time"] = Json::array();
  for (const ExposureRow& row : report.exposure) {
    json["by_time"].push_back(exposure_row_json(row));
  }
  return json;
}

}  // namespace glassbox
