// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "control/report/figures.h"
#include "control/report/html.h"
#include "control/report/report_svg.h"
#include "control/report/text_table.h"

namespace glassbox {
namespace {

constexpr int kBox = 200;  // width of a function
constexpr int kEnd = 120;  // width of an end
constexpr int kGap = 34;   // length of an arrow
constexpr int kPad = 10;
constexpr int kLine = 17;
constexpr int kTitle = 24;
constexpr int kDownWidth = 340;
constexpr int kMargin = 2;          // for the strokes of the outermost boxes
constexpr double kCharacter = 6.3;  // mean width of a character of 12 px, on the wide side

struct Line {
  std::string style;  // a class of report.css
  std::string text;
};

struct Box {
  std::string style;
  std::string title;
  std::vector<Line> lines;
  int x = 0, y = 0, width = 0;
  int height() const { return kTitle + kPad + kLine * static_cast<int>(lines.size()); }
};

int characters_in(int width) { return static_cast<int>((width - 2 * kPad) / kCharacter); }

std::string fitted(const std::string& text, int width) {
  const auto characters = static_cast<std::size_t>(characters_in(width));
  if (text.size() <= characters) return text;
  return text.substr(0, characters - 1) + "…";
}

// Only what happened: a field that a function may edit and did not is not drawn.
void add_effects(const Report& report, const std::string& function, Box& box) {
  std::map<char, std::vector<std::string>> fields;
  for (const EffectRow& row : report.effects) {
    if (row.function != function) continue;
    std::vector<std::string>& list = fields[letter_of(row.field)];
    const std::string name(info(row.field).name);
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  }
  if (fields.empty()) box.lines.push_back({"quiet", "changed nothing"});
  for (const auto& [letter, names] : fields) {
    const std::string first = fmt::format("{}: ", letter);
    for (const std::string& line : wrapped(first, names, " ", characters_in(box.width))) {
      box.lines.push_back({"effect", line});
    }
  }
}

void add_state(const Report& report, const std::string& function, Box& box) {
  bool any = false;
  for (const StateRow& row : report.state) {
    if (row.function != function) continue;
    any = true;
    const std::string band(name_of(band_of(row)));
    box.lines.push_back({band, fmt::format("{}: {}, peak {}", band, row.kind.name,
                                           with_commas(row.census.peak_entries()))});
  }
  if (!any) box.lines.push_back({"quiet", "remembers nothing"});
}

void add_drops(const Report& report, const std::string& function, Box& box) {
  std::uint64_t dropped = 0;
  std::uint64_t unintended = 0;
  for (const DropRow& row : report.drops) {
    if (row.function != function) continue;
    dropped += row.packets;
    if (row.intended.has_value() && !*row.intended) unintended += row.packets;
  }
  if (dropped == 0) {
    box.lines.push_back({"quiet", "dropped nothing"});
    return;
  }
  std::string text = with_commas(dropped) + " dropped";
  if (unintended > 0) text += fmt::format(", {} unintended", with_commas(unintended));
  box.lines.push_back({"drop", text});
}

Box function_box(const Report& report, const std::string& name, int width) {
  Box box{"function", name, {}};
  box.width = width;
  add_state(report, name, box);
  if (name != "dataplane") add_effects(report, name, box);
  add_drops(report, name, box);
  return box;
}

Box end_box(const Report& report, Side side) {
  const Balance& balance = report.by_side[index_of(side)];
  return {"end",
          name_of(side),
          {{"", with_commas(balance.received) + " sent in"},
           {"", with_commas(balance.transmitted) + " came out"}}};
}

std::string draw(const Box& box, int height) {
  std::string svg = fmt::format(
      "<g class=\"box {}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\"/>"
      "<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>\n",
      box.style, box.x, box.y, box.width, height, box.x + kPad, box.y + 18,
      escape_html(fitted(box.title, box.width)));
  int y = box.y + kTitle + 13;
  for (const Line& line : box.lines) {
    svg += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\">{}<title>{}</title></text>\n",
                       line.style, box.x + kPad, y, escape_html(fitted(line.text, box.width)),
                       escape_html(line.text));
    y += kLine;
  }
  return svg + "</g>\n";
}

// A line with a head at both ends: packets go both ways.
std::string arrow(int x1, int y1, int x2, int y2) {
  const int dx = x2 > x1 ? 6 : 0;
  const int dy = y2 > y1 ? 6 : 0;
  const auto head = [&](int x, int y, int sign) {
    return fmt::format("M{},{}L{},{}L{},{}Z", x, y, x + sign * dx + (dy ? 4 : 0),
                       y + sign * dy + (dx ? 4 : 0), x + sign * dx - (dy ? 4 : 0),
                       y + sign * dy - (dx ? 4 : 0));
  };
  return fmt::format("<path class=\"wire\" d=\"M{},{}L{},{}\"/><path class=\"head\" d=\"{}{}\"/>\n",
                     x1, y1, x2, y2, head(x1 + 2 * (dx ? 1 : 0), y1 + 2 * (dy ? 1 : 0), 1),
                     head(x2 - 2 * (dx ? 1 : 0), y2 - 2 * (dy ? 1 : 0), -1));
}

std::string across(std::vector<Box>& boxes, Box& dataplane) {
  int height = 0;
  int x = kMargin;
  for (Box& box : boxes) {
    box.width = box.style == "end" ? kEnd : kBox;
    box.x = x;
    box.y = kMargin;
    x += box.width + kGap;
    height = std::max(height, box.height());
  }
  const int width = x - kGap - kMargin;
  std::string svg;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    svg += draw(boxes[i], height);
    if (i == 0) continue;
    const int middle = kMargin + height / 2;
    svg += arrow(boxes[i].x - kGap, middle, boxes[i].x, middle);
  }
  dataplane.x = kMargin;
  dataplane.y = kMargin + height + kPad;
  dataplane.width = width;
  svg += draw(dataplane, dataplane.height());
  return fmt::format("viewBox=\"0 0 {} {}\" style=\"max-width:{}px\">\n{}", width + 2 * kMargin,
                     dataplane.y + dataplane.height() + kMargin, width + 2 * kMargin, svg);
}

std::string down(std::vector<Box>& boxes, Box& dataplane) {
  int y = kMargin;
  std::string svg;
  for (Box& box : boxes) {
    box.width = kDownWidth;
    box.x = kMargin;
    if (y > kMargin) {
      svg += arrow(kMargin + kDownWidth / 2, y, kMargin + kDownWidth / 2, y + kGap);
      y += kGap;
    }
    box.y = y;
    svg += draw(box, box.height());
    y += box.height();
  }
  dataplane.x = kMargin;
  dataplane.y = y + kPad;
  dataplane.width = kDownWidth;
  svg += draw(dataplane, dataplane.height());
  return fmt::format("viewBox=\"0 0 {} {}\" style=\"max-width:{}px\">\n{}",
                     kDownWidth + 2 * kMargin, dataplane.y + dataplane.height() + kMargin,
                     kDownWidth + 2 * kMargin, svg);
}

}  // namespace

std::string chain_svg(const Report& report, Orientation orientation) {
  std::vector<Box> boxes = {end_box(report, Side::kInside)};
  const int width = orientation == Orientation::kAcross ? kBox : kDownWidth;
  for (const std::string& name : report.chain) boxes.push_back(function_box(report, name, width));
  boxes.push_back(end_box(report, Side::kOutside));
  Box dataplane = function_box(report, "dataplane", width);
  dataplane.style = "dataplane";
  dataplane.title = "dataplane, under all of them";
  const std::string label =
      fmt::format("The chain from the inside to the outside: {}",
                  report.chain.empty() ? "the wire, no function"
                                       : fmt::format("{}", fmt::join(report.chain, ", ")));
  return fmt::format(
      "<svg class=\"chain\" role=\"img\" aria-label=\"{}\" {}</svg>\n", escape_html(label),
      orientation == Orientation::kAcross ? across(boxes, dataplane) : down(boxes, dataplane));
}

}  // namespace glassbox
