// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/taps.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

namespace glassbox::audit {
namespace {

constexpr std::int64_t kEver = std::int64_t{1} << 61;

std::vector<std::int64_t> times_of(const Capture& capture) {
  std::vector<std::int64_t> times;
  for (const Frame& frame : capture.frames) times.push_back(frame.time);
  return times;
}

// Who sends, at one tap: by MAC and IP address, and by MAC address alone. Votes above zero say that
// these are of the tap's own side, below that they come through the box.
class Senders {
 public:
  explicit Senders(const Capture& capture) : capture_(capture) {}

  void vote(std::uint32_t number, int vote) {
    votes_[fine(number)] += vote;
    votes_[coarse(number)] += vote;
  }
  // 1 from the tap's own side, -1 from the box, 0 not known.
  int origin(std::uint32_t number) const {
    for (const std::uint64_t key : {fine(number), coarse(number)}) {
      const auto found = votes_.find(key);
      if (found != votes_.end() && found->second != 0) return found->second > 0 ? 1 : -1;
    }
    return 0;
  }

 private:
  std::uint64_t coarse(std::uint32_t number) const {
    const Frame& frame = capture_.frames[number];
    if (frame.link != LinkType::kEthernet || frame.length < 12) return 1;
    return hash_bytes(capture_.bytes(frame).subspan(6, 6), 1);
  }
  std::uint64_t fine(std::uint32_t number) const {
    const Address& source = capture_.frames[number].shape.source;
    return mix(mix(coarse(number), source.high), source.low + 1);
  }

  const Capture& capture_;
  std::unordered_map<std::uint64_t, std::int64_t> votes_;
};

// Packets seen by both taps, by unique bytes.
struct Pair {
  std::uint32_t inside, outside;
  std::int64_t difference;  // outside minus inside, by their own clocks
};

std::vector<Pair> pairs_of(const Capture& inside, const Capture& outside) {
  MatchOptions options;
  options.window = options.slack = kEver;
  Matcher matcher(inside, outside, times_of(inside), times_of(outside), options);
  const Matching matching = matcher.run_unique();
  std::vector<Pair> pairs;
  for (std::uint32_t i = 0; i < inside.frames.size(); ++i) {
    const std::uint32_t o = matching.partner_of_in[i];
    if (o == kNone) continue;
    pairs.push_back({i, o, outside.frames[o].time - inside.frames[i].time});
  }
  return pairs;
}

// Of each conversation with both directions in pairs: the one whose packets come later outside goes
// outwards. All its senders are told.
void vote(const Capture& inside, const std::vector<Pair>& pairs, Senders& at_inside,
          Senders& at_outside) {
  struct Sums {
    double sum[2] = {0, 0};
    std::uint64_t count[2] = {0, 0};
  };
  std::unordered_map<std::uint64_t, Sums> conversations;
  const auto place = [&](const Pair& pair) {
    const Tuple& tuple = inside.frames[pair.inside].shape.tuple;
    const Tuple reversed = tuple.reversed();
    return std::make_pair(hash_of(std::min(tuple, reversed)), tuple < reversed ? 0 : 1);
  };
  for (const Pair& pair : pairs) {
    if (!inside.frames[pair.inside].shape.is_ip()) continue;
    const auto [key, way] = place(pair);
    conversations[key].sum[way] += static_cast<double>(pair.difference - pairs[0].difference);
    ++conversations[key].count[way];
  }
  for (const Pair& pair : pairs) {
    if (!inside.frames[pair.inside].shape.is_ip()) continue;
    const auto [key, way] = place(pair);
    const Sums& sums = conversations[key];
    if (sums.count[0] == 0 || sums.count[1] == 0) continue;
    const double mean[2] = {sums.sum[0] / static_cast<double>(sums.count[0]),
                            sums.sum[1] / static_cast<double>(sums.count[1])};
    if (mean[0] == mean[1]) continue;
    const bool outwards = mean[way] > mean[1 - way];
    at_inside.vote(pair.inside, outwards ? 1 : -1);
    at_outside.vote(pair.outside, outwards ? -1 : 1);
  }
}

std::int64_t quantile(std::vector<std::int64_t>& values, double share) {
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

Clock offset_of(const std::vector<Pair>& pairs, const Senders& at_inside) {
  Clock clock;
  clock.estimated = true;
  std::vector<std::int64_t> outwards, inwards;
  for (const Pair& pair : pairs) {
    const int origin = at_inside.origin(pair.inside);
    if (origin != 0) (origin > 0 ? outwards : inwards).push_back(pair.difference);
  }
  if (outwards.empty() || inwards.empty()) {
    // One direction encloses the offset from one side only: then the clocks are taken for one, if
    // that can be.
    const auto& known = outwards.empty() ? inwards : outwards;
    if (known.empty()) return clock;
    const std::int64_t nearest = outwards.empty() ? *std::max_element(known.begin(), known.end())
                                                  : *std::min_element(known.begin(), known.end());
    const bool can_be_one = outwards.empty() ? nearest <= 0 : nearest >= 0;
    clock.offset = can_be_one ? 0 : nearest;
    clock.uncertainty = std::abs(nearest);
    return clock;
  }
  std::int64_t most = *std::min_element(outwards.begin(), outwards.end());
  std::int64_t least = *std::max_element(inwards.begin(), inwards.end());
  if (least > most) {
    // No one offset serves all: clocks that drift, or stamps out of order. The bulk decides.
    clock.consistent = false;
    most = quantile(outwards, 0.01);
    least = quantile(inwards, 0.99);
  }
  clock.offset = std::midpoint(least, most);
  clock.uncertainty = std::max(most, least) - clock.offset;
  return clock;
}

// Whether each frame of a tap entered the box there; else it left the box there.
std::vector<bool> entered(const Capture& capture, const Senders& senders,
                          const std::vector<int>& by_pair) {
  std::vector<bool> entered;
  for (std::uint32_t number = 0; number < capture.frames.size(); ++number) {
    int origin = senders.origin(number);
    if (origin == 0) origin = by_pair[number];
    entered.push_back(origin >= 0);
  }
  return entered;
}

}  // namespace

Input from_taps(Capture inside, Capture outside) {
  Input input;
  input.taps = true;
  inside.has_sides = outside.has_sides = false;  // a tap is on one side, whatever its file says
  const std::vector<Pair> pairs = pairs_of(inside, outside);
  Senders at_inside(inside);
  Senders at_outside(outside);
  vote(inside, pairs, at_inside, at_outside);
  input.clock = offset_of(pairs, at_inside);
  std::vector<int> inside_pair(inside.frames.size());
  std::vector<int> outside_pair(outside.frames.size());
  for (const Pair& pair : pairs) {
    inside_pair[pair.inside] = pair.difference >= input.clock.offset ? 1 : -1;
    outside_pair[pair.outside] = -inside_pair[pair.inside];
  }
  const std::vector<bool> from_inside = entered(inside, at_inside, inside_pair);
  const std::vector<bool> from_outside = entered(outside, at_outside, outside_pair);
  std::tie(input.in, input.out) = Capture::sorted_out(
      std::move(inside), std::move(outside), from_inside, from_outside, input.clock.offset);
  input.in_time = times_of(input.in);
  input.out_time = times_of(input.out);
  return input;
}

}  // namespace glassbox::audit
