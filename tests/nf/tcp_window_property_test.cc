// SPDX-License-Identifier: BSD-3-Clause
//
// The window tracker between two simple TCP ends and a network that loses, repeats, delays and
// reorders: no segment that somebody still needs is ever dropped, and what neither end can have
// sent always is. Positions are counted in 64 bits here, so that a wrap is nothing special.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <optional>
#include <queue>
#include <random>

#include "nf/tcp_window.h"

namespace glassbox {
namespace {

using Random = std::mt19937_64;
using Position = std::uint64_t;

bool chance(Random& random, double probability) {
  return std::uniform_real_distribution<>(0, 1)(random) < probability;
}
std::uint64_t up_to(Random& random, std::uint64_t most) {
  return std::uniform_int_distribution<std::uint64_t>(0, most)(random);
}

struct Segment {
  Position seq = 0, ack = 0;
  std::uint32_t length = 0;
  std::uint64_t window = 0;  // scaled
  std::uint8_t scale = 0;    // by which it was
  std::uint8_t flags = 0;
  std::uint8_t offer = TcpWindowSegment::kNoScale;

  Position end() const {
    return seq + length + ((flags & kTcpSyn) != 0) + ((flags & kTcpFin) != 0);
  }
  TcpWindowSegment wire() const {
    TcpWindowSegment segment;
    segment.seq = static_cast<std::uint32_t>(seq);
    segment.ack = (flags & kTcpAck) != 0 ? static_cast<std::uint32_t>(ack) : 0;
    segment.length = length;
    segment.window = static_cast<std::uint16_t>(window >> scale);
    segment.flags = flags;
    segment.scale = offer;
    return segment;
  }
};

// One end: a stream to send, a buffer that its application empties now and then.
class End {
 public:
  End(Random& random, Position isn, std::uint8_t offer, std::uint64_t buffer, std::uint64_t stream)
      : random_(random), isn_(isn), offer_(offer), buffer_(buffer) {
    una_ = next_ = isn;
    last_ = isn + 1 + stream;
  }

  void connect() { syn_sent_ = true; }
  bool done() const { return una_ == last_ + 1 && fin_seen_; }
  Position acknowledged() const { return una_; }
  Position received() const { return receive_; }
  bool answered() const { return heard_; }

  // A segment arrives; answers are appended.
  void take(const Segment& segment, std::vector<Segment>& out) {
    if ((segment.flags & kTcpSyn) != 0) return take_syn(segment, out);
    if (!heard_) return;
    if (segment.ack > una_) {
      una_ = segment.ack;
      next_ = std::max(next_, una_);
    }
    if (segment.seq >= heard_seq_ && segment.ack >= heard_ack_) {
      heard_seq_ = segment.seq;
      heard_ack_ = segment.ack;
      edge_ = segment.ack + segment.window;
    }
    const bool news = take_data(segment);
    send(out);
    if (segment.end() == segment.seq) return;
    if (!news || chance(random_, 0.6)) out.push_back(make(next_, 0));
  }

  // The application reads.
  void read(std::vector<Segment>& out) {
    const std::uint64_t taken = up_to(random_, used_);
    used_ -= taken;
    if (heard_ && taken != 0) out.push_back(make(next_, 0));
  }

  // Nothing was heard for a while.
  void time_out(std::vector<Segment>& out) {
    if (syn_sent_ && una_ == isn_) {
      out.push_back(syn());
    } else if (heard_ && una_ > isn_) {
      if (next_ > una_) {
        next_ = una_;
        edge_ = std::max(edge_, una_);
        if (edge_ > una_) return send(out);
      }
      probe(out);
    }
  }

 private:
  void take_syn(const Segment& segment, std::vector<Segment>& out) {
    if (!heard_) {
      heard_ = true;
      receive_ = segment.end();
      scales_ = offer_ != TcpWindowSegment::kNoScale && segment.offer != TcpWindowSegment::kNoScale;
    }
    if ((segment.flags & kTcpAck) != 0) {
      if (una_ == isn_) {
        una_ = next_ = segment.ack;
        edge_ = segment.ack + segment.window;
        heard_seq_ = segment.seq;
        heard_ack_ = segment.ack;
      }
      out.push_back(make(next_, 0));
      return send(out);
    }
    syn_sent_ = true;
    if (una_ == isn_) out.push_back(syn());
  }

  bool take_data(const Segment& segment) {
    if (segment.seq > receive_ || segment.end() <= receive_) return false;
    const std::uint64_t fresh = segment.seq + segment.length - receive_;
    const std::uint64_t taken = std::min(fresh, buffer_ - used_);
    used_ += taken;
    receive_ += taken;
    if (taken == fresh && (segment.flags & kTcpFin) != 0) {
      ++receive_;
      fin_seen_ = true;
    }
    return true;
  }

  // What the window holds, in segments of any size; the FIN behind the last byte.
  void send(std::vector<Segment>& out) {
    while (next_ < last_ && next_ < edge_) {
      const std::uint64_t most = std::min({last_ - next_, edge_ - next_, std::uint64_t{9000}});
      const auto length = static_cast<std::uint32_t>(1 + up_to(random_, most - 1));
      out.push_back(make(next_, length));
      next_ += length;
      if (chance(random_, 0.02)) break;
    }
    if (next_ == last_) {
      out.push_back(make(next_, 0));
      out.back().flags |= kTcpFin;
      ++next_;
    }
  }

  // A keepalive, or a byte that the window has no room for, or one that is known.
  void probe(std::vector<Segment>& out) {
    if (next_ < last_ && next_ >= edge_ && chance(random_, 0.5)) {
      out.push_back(make(next_, 1));
    } else {
      out.push_back(make(next_ - 1, static_cast<std::uint32_t>(up_to(random_, 1))));
      if (next_ - 1 == isn_) out.back().length = 0;
    }
  }

  Segment make(Position seq, std::uint32_t length) {
    Segment segment;
    segment.seq = seq;
    segment.ack = receive_;
    segment.length = length;
    segment.flags = kTcpAck;
    segment.scale = scales_ ? std::min<std::uint8_t>(offer_, 14) : 0;
    const std::uint64_t units = std::min<std::uint64_t>((buffer_ - used_) >> segment.scale, 65535);
    segment.window = units << segment.scale;
    return segment;
  }
  Segment syn() {
    Segment segment = make(isn_, 0);
    segment.flags = static_cast<std::uint8_t>(kTcpSyn | (heard_ ? kTcpAck : 0));
    segment.scale = 0;
    segment.window = std::min<std::uint64_t>(buffer_ - used_, 65535);
    segment.offer = !heard_ || scales_ ? offer_ : TcpWindowSegment::kNoScale;
    return segment;
  }

  Random& random_;
  const Position isn_;
  const std::uint8_t offer_;
  const std::uint64_t buffer_;
  Position last_;  // behind its last byte
  Position una_, next_, edge_ = 0;
  Position heard_seq_ = 0, heard_ack_ = 0;  // of the segment that edge_ came from
  Position receive_ = 0;
  std::uint64_t used_ = 0;
  bool syn_sent_ = false, heard_ = false, scales_ = false, fin_seen_ = false;
};

// How bad the network is.
struct Weather {
  double loss, repeat, late;
  std::uint64_t delay, lateness;  // microseconds
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, const Weather& weather)
      : random_(seed),
        weather_(weather),
        ends_{make_end(stream_), make_end(chance(random_, 0.5) ? stream_ : 0)} {}

  void run() {
    ends_[0].connect();
    time_out(0);
    for (const int end : {0, 1}) {
      later(300'000, [this, end] { time_out(end); });
      later(1000, [this, end] { read(end); });
    }
    while (!events_.empty() && steps_ < 40'000 && !(ends_[0].done() && ends_[1].done())) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.when;
      ++steps_;
      event.what();
    }
  }

  std::uint64_t legitimate = 0, stale_drops = 0, wrong_drops = 0;
  std::uint64_t forged = 0, forged_passed = 0, taught = 0;
  bool finished() const { return ends_[0].done() && ends_[1].done(); }

 private:
  struct Event {
    std::uint64_t when, order;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return std::tie(when, order) > std::tie(other.when, other.order);
    }
  };

  End make_end(std::uint64_t stream) {
    // Close before the wrap of 32 bits, or of their sign.
    const Position wrap = (Position{1} << 32) + (chance(random_, 0.5) ? 0 : Position{1} << 31);
    const bool scales = chance(random_, 0.7);
    const auto offer =
        static_cast<std::uint8_t>(scales ? up_to(random_, 15) : TcpWindowSegment::kNoScale);
    const std::uint64_t buffer = 1 + up_to(random_, std::uint64_t{1} << (4 + up_to(random_, 18)));
    return End(random_, wrap - up_to(random_, stream + 10), offer, buffer, stream);
  }

  void later(std::uint64_t delay, std::function<void()> what) {
    events_.push({now_ + delay, order_++, std::move(what)});
  }
  void time_out(int end) {
    act(end, [&](std::vector<Segment>& out) { ends_[end].time_out(out); });
    later(200'000 + up_to(random_, 200'000), [this, end] { time_out(end); });
  }
  void read(int end) {
    act(end, [&](std::vector<Segment>& out) { ends_[end].read(out); });
    later(up_to(random_, 40'000), [this, end] { read(end); });
  }
  void act(int end, const std::function<void(std::vector<Segment>&)>& what) {
    std::vector<Segment> out;
    what(out);
    for (const Segment& segment : out) {
      travel([this, end, segment] { at_box(end, segment); });
    }
  }
  void travel(const std::function<void()>& arrival) {
    if (chance(random_, weather_.loss)) return;
    const std::uint64_t late =
        chance(random_, weather_.late) ? up_to(random_, weather_.lateness) : 0;
    later(weather_.delay + late, arrival);
    if (chance(random_, weather_.repeat)) {
      later(weather_.delay + up_to(random_, weather_.lateness), arrival);
    }
  }

  void at_box(int from, const Segment& segment) {
    if (chance(random_, 0.3)) forge();
    ++legitimate;
    const auto answer = box_.follow(static_cast<std::uint8_t>(from), segment.wire());
    if (answer == TcpWindow::Answer::kDrop) {
      ++(is_stale(from, segment) ? stale_drops : wrong_drops);
      return;
    }
    observe(from, segment);
    const int to = from ^ 1;
    travel([this, to, segment] {
      act(to, [&](std::vector<Segment>& out) { ends_[to].take(segment, out); });
    });
  }

  // Nobody waits for it: a copy of what its sender knows to have arrived; a bare acknowledgement
  // that a later one, or data, has overtaken; or so late that its receiver would not take it (RFC
  // 5961 5.2).
  bool is_stale(int from, const Segment& segment) const {
    if (segment.seq == segment.end()) {
      return segment.ack < ends_[from].received() || segment.seq < ends_[from].acknowledged();
    }
    return segment.end() <= ends_[from].acknowledged() ||
           segment.ack + known_[from].window < ends_[from ^ 1].acknowledged();
  }

  // What the box can know, kept apart from the tracker.
  struct Known {
    Position end = 0, limit = 0;
    std::uint64_t window = 0;
    bool acked = false;
  };
  void observe(int from, const Segment& segment) {
    Known& known = known_[from];
    known.end = std::max(known.end, segment.end());
    known.window = std::max(known.window, segment.window);
    if ((segment.flags & kTcpAck) == 0) return;
    known.limit = std::max(known.limit, segment.ack + segment.window);
    known.acked = true;
  }

  void forge() {
    if (!known_[0].acked || !known_[1].acked) return;
    const int from = static_cast<int>(up_to(random_, 1));
    const Known &own = known_[from], &peer = known_[from ^ 1];
    constexpr std::uint64_t kFar = std::uint64_t{1} << 29;
    // Rounding up to the scale's unit may make a window look 16 KB larger.
    const auto reach = [](const Known& end) {
      return std::max<std::uint64_t>(66'000, end.window + 16'384) + 3;
    };
    Segment segment;
    segment.seq = own.end;
    segment.ack = peer.end;
    segment.flags = kTcpAck;
    segment.window = up_to(random_, 65535);
    segment.length = static_cast<std::uint32_t>(up_to(random_, 1460));
    switch (up_to(random_, 4)) {
      case 0:
        segment.seq = std::max(peer.limit, own.end) + 2 + up_to(random_, kFar);
        break;
      case 1:
        segment.seq = own.end - reach(peer) - up_to(random_, kFar);
        segment.length = 0;
        break;
      case 2:
        segment.ack = peer.end + 1 + up_to(random_, kFar);
        break;
      case 3:
        segment.ack = peer.end - 2 * reach(own) - up_to(random_, kFar);
        break;
      default:
        segment.flags = kTcpRst;
        segment.seq = std::max(peer.limit, own.end) + 2 + up_to(random_, kFar);
        break;
    }
    const TcpWindow before = box_;
    ++forged;
    forged_passed +=
        box_.follow(static_cast<std::uint8_t>(from), segment.wire()) != TcpWindow::Answer::kDrop;
    taught += std::memcmp(&before, &box_, sizeof box_) != 0;
    box_ = before;
  }

  Random random_;
  const Weather weather_;
  const std::uint64_t stream_ = up_to(random_, std::uint64_t{1} << up_to(random_, 22));
  End ends_[2];
  TcpWindow box_;
  Known known_[2];
  std::priority_queue<Event> events_;
  std::uint64_t now_ = 0, order_ = 0, steps_ = 0;
};

struct Sum {
  std::uint64_t conversations = 0, finished = 0, legitimate = 0, stale = 0, forged = 0;
};

Sum converse(std::uint64_t seeds, const Weather& weather) {
  Sum sum;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Simulation simulation(seed, weather);
    simulation.run();
    EXPECT_EQ(simulation.wrong_drops, 0u) << "seed " << seed;
    EXPECT_EQ(simulation.forged_passed, 0u) << "seed " << seed;
    EXPECT_EQ(simulation.taught, 0u) << "seed " << seed;
    ++sum.conversations;
    sum.finished += simulation.finished();
    sum.legitimate += simulation.legitimate;
    sum.stale += simulation.stale_drops;
    sum.forged += simulation.forged;
    if (::testing::Test::HasFailure()) break;
  }
  return sum;
}

TEST(TcpWindowProperty, InAQuietNetworkNothingIsDropped) {
  const Sum sum = converse(60, {.loss = 0, .repeat = 0, .late = 0, .delay = 5000, .lateness = 0});
  EXPECT_EQ(sum.stale, 0u);
  EXPECT_GT(sum.finished, 45u);
  EXPECT_GT(sum.forged, 5000u);
}

TEST(TcpWindowProperty, LossAndRepetitionInOrderDropNothing) {
  const Sum sum =
      converse(60, {.loss = 0.05, .repeat = 0.05, .late = 0, .delay = 5000, .lateness = 0});
  EXPECT_EQ(sum.stale, 0u);
  EXPECT_GT(sum.finished, 30u);
}

// What is late by many round trips may be dropped if it is a copy that nobody waits for.
TEST(TcpWindowProperty, InAStormNothingIsDroppedThatSomebodyNeeds) {
  const Sum sum =
      converse(100, {.loss = 0.03, .repeat = 0.1, .late = 0.2, .delay = 1000, .lateness = 100'000});
  RecordProperty("legitimate", static_cast<int>(sum.legitimate));
  RecordProperty("stale_drops", static_cast<int>(sum.stale));
  EXPECT_GT(sum.legitimate, 200'000u);
  EXPECT_LT(sum.stale * 1000, sum.legitimate);
  EXPECT_GT(sum.finished, 25u);
}

}  // namespace
}  // namespace glassbox
