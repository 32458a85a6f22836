// SPDX-License-Identifier: BSD-3-Clause
//
// A connection between two hosts through a box that edits both directions by a plan, over links
// that lose, repeat and reorder. The hosts are small TCPs that share nothing with the box: they
// number, reassemble, acknowledge, use SACK, and complain about what a real one could not accept.
#pragma once

#include <deque>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "dataplane/memory_port.h"
#include "dataplane/worker.h"
#include "nf/stream_edit.h"
#include "tests/support/mbufs.h"

namespace glassbox::test {

// What happens to a stream: `erase` bytes at `offset` leave as `insert`.
struct PlannedEdit {
  std::uint32_t offset;
  std::uint32_t erase;
  std::string insert;
};

struct Plan {
  std::vector<PlannedEdit> edits;
  std::uint32_t hold = 0;       // nothing leaves before so many bytes have come
  bool decides_ahead = false;   // what lies before the next edit is decided before it comes
  bool passes_at_last = false;  // wants nothing more behind the last edit
  bool gives_in = false;        // does without what is left when it is urged
  std::string applied_to(const std::string& stream) const;
};

// Carries a plan out.
class PlanClient final : public StreamClient {
 public:
  explicit PlanClient(const Plan& plan) : plan_(plan) {}
  void bytes(StreamCursor& stream, std::uint32_t at, std::span<const std::uint8_t> bytes) override;
  void urge(StreamCursor& stream) override;
  void end(StreamCursor& stream) override;

 private:
  void settle(StreamCursor& stream, std::uint32_t have);
  const Plan& plan_;
  std::size_t next_ = 0;
};

// The function under test: one connection at a time.
class Splicer final : public NetworkFunction {
 public:
  explicit Splicer(const StreamEditor::Bounds& bounds);
  void begin(const Plan& up, const Plan& down);
  void finish(Instant now);
  StreamHalf& half(std::size_t direction) { return halves_[direction]; }
  StreamEditor& editor() { return editor_; }

  void process(PacketBatch& batch, Context& context) override;
  Admission admit(Opening&, Context&) override {
    return Admission::accept(std::chrono::seconds(1));
  }
  Census* census(std::size_t index) override;
  std::uint64_t bound(std::size_t) const override { return 1 << 16; }

 private:
  StreamEditor editor_;
  std::array<StreamHalf, 2> halves_;
  std::array<std::optional<PlanClient>, 2> clients_;
};

struct TcpView {
  bool valid = false;  // its checksums are right
  bool icmp = false;
  std::uint32_t seq = 0, ack = 0;
  std::uint8_t flags = 0;
  std::uint16_t window = 0;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> sack;
  std::optional<std::pair<std::uint32_t, std::uint32_t>> timestamp;
  std::string payload;
};
TcpView view_of(const Bytes& frame);

struct Sent {
  Side side;
  Bytes bytes;
};

// The box between two ports.
class Rig {
 public:
  explicit Rig(bool check_claims, const StreamEditor::Bounds& bounds = {})
      : Rig(check_claims, bounds, {}, {}) {}
  // With these functions on either side of the splicer.
  Rig(bool check_claims, const StreamEditor::Bounds& bounds, Chain within, Chain without);
  ~Rig();
  Splicer& splicer() { return *splicer_; }
  Worker& worker() { return *worker_; }
  std::vector<Sent> pass(Side from, const Bytes& frame);
  void later(std::chrono::milliseconds span) { now_ += span; }
  Instant now() const { return now_; }

 private:
  Pool pool_{2047};
  MemoryPort inside_, outside_;
  Splicer* splicer_;
  FunctionId place_;  // the splicer's
  std::unique_ptr<Worker> worker_;
  Instant now_{std::chrono::seconds(1'000'000)};
};

// Where a conversation's choices come from: a seed; or bytes, and when these are used up a seed.
class Choices {
 public:
  explicit Choices(unsigned seed) : random_(seed) {}
  explicit Choices(std::span<const std::uint8_t> bytes)
      : bytes_(bytes), random_(static_cast<unsigned>(bytes.size())) {}
  std::uint32_t operator()() { return take(2); }
  std::uint32_t below(std::uint32_t limit) { return take(limit <= 256 ? 1 : 2) % limit; }
  // What nobody needs to choose.
  std::uint32_t filler() { return static_cast<std::uint32_t>(random_()); }

 private:
  std::uint32_t take(std::size_t size) {
    if (bytes_.size() < size) return filler();
    const std::uint32_t value = size == 1 ? bytes_[0] : bytes_[0] | std::uint32_t{bytes_[1]} << 8;
    bytes_ = bytes_.subspan(size);
    return value;
  }
  std::span<const std::uint8_t> bytes_;
  std::mt19937 random_;
};

// One connection's life. run() returns what went wrong; empty: nothing.
class Conversation {
 public:
  explicit Conversation(unsigned seed) : Conversation(Choices(seed), seed) {}
  explicit Conversation(const Choices& choices, unsigned number = 0);
  std::string run(Rig& rig);
  std::string describe() const;

 private:
  struct Host {
    std::string stream;    // what it sends
    std::string expected;  // what it is to receive
    std::uint32_t isn = 0, mss = 0;
    std::uint32_t acked = 0, sent = 0;  // offsets; the FIN is the last one
    bool syn_acked = false, syn_seen = false;
    std::vector<bool> sacked;
    std::string got;
    std::vector<bool> have;
    std::uint32_t peer_isn = 0;
    std::uint32_t received = 0;  // offset
    bool fin_received = false;
    std::uint32_t clock = 0, echo = 0;
    std::uint32_t end() const { return static_cast<std::uint32_t>(stream.size()) + 1; }
  };
  struct Link {
    std::deque<Bytes> queue;
  };

  bool done() const;
  void offer(std::size_t host);
  void retransmit(std::size_t host);
  void emit(std::size_t host, std::uint32_t from, std::uint32_t length);
  void acknowledge(std::size_t host);
  Bytes segment(std::size_t host, std::uint32_t offset, std::string_view bytes, std::uint8_t flags);
  void carry(Rig& rig, std::size_t link);
  void arrive(std::size_t host, const Bytes& frame);
  void take_ack(std::size_t host, const TcpView& view);
  void take_data(std::size_t host, const TcpView& view);
  void fail(const std::string& what) {
    if (fault_.empty()) fault_ = what;
  }
  std::uint32_t chance(std::uint32_t of) { return choices_.below(of); }

  unsigned seed_;
  Choices choices_;
  std::array<Plan, 2> plans_;
  std::array<Host, 2> hosts_;
  std::array<Link, 4> links_;  // host 0 to box, host 1 to box, box to host 0, box to host 1
  std::uint32_t loss_, repetition_, disorder_, window_;
  bool timestamps_, sack_;
  std::string fault_;
};

}  // namespace glassbox::test
