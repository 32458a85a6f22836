// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/frame_sizes.h"

#include <algorithm>
#include <numeric>

#include "control/value_text.h"

namespace glassbox {
namespace {

constexpr std::string_view kImix = "64:28,570:16,1518:4";
constexpr std::int64_t kMostWeight = 4096;

}  // namespace

std::optional<FrameSizes> FrameSizes::parse(std::string_view text) {
  FrameSizes sizes;
  sizes.text_ = text;
  std::string_view rest = text == "imix" ? kImix : text;
  for (;;) {
    const std::string_view item = rest.substr(0, rest.find(','));
    const std::size_t colon = item.find(':');
    const std::optional<std::int64_t> size = parse_integer(item.substr(0, colon));
    const std::optional<std::int64_t> weight =
        colon == std::string_view::npos ? 1 : parse_integer(item.substr(colon + 1));
    if (!size || *size < kLeast || *size > kMost) return std::nullopt;
    if (!weight || *weight < 1 || *weight > kMostWeight) return std::nullopt;
    sizes.sizes_.insert(sizes.sizes_.end(), static_cast<std::size_t>(*weight),
                        static_cast<std::uint16_t>(*size));
    if (item.size() == rest.size()) break;
    rest.remove_prefix(item.size() + 1);
  }
  if (std::ranges::count(sizes.sizes_, sizes.sizes_[0]) ==
      static_cast<std::ptrdiff_t>(sizes.sizes_.size())) {
    sizes.only_ = sizes.sizes_[0];
  }
  return sizes;
}

std::uint16_t FrameSizes::largest() const { return *std::ranges::max_element(sizes_); }

double FrameSizes::mean() const {
  return std::accumulate(sizes_.begin(), sizes_.end(), 0.0) / static_cast<double>(sizes_.size());
}

}  // namespace glassbox
