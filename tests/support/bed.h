// SPDX-License-Identifier: BSD-3-Clause
//
// A test bed: a chain in a worker between two memory ports, in virtual time.
//
//     Bed bed("- nat44: { pool: [203.0.113.1/32] }");
//     const Outs outs = bed.at(1).inside(frame().udp("192.168.1.2:1000", "198.51.100.1:53"));
//     EXPECT_EQ(outs.at(0).seen().source, "203.0.113.1");
//     bed.outside(frame().udp("198.51.100.9:1", "203.0.113.1:9"));
//     EXPECT_EQ(bed.last_drop(), "nat44 no-mapping");
//
// Whatever the test was about, the bed fails it when it ends with packets unaccounted for, a census
// that does not add up, a claim that was wrong or an mbuf that is gone. Every turn is checked.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/config.h"
#include "dataplane/memory_port.h"
#include "dataplane/worker.h"
#include "tests/support/mbufs.h"
#include "tests/support/seen.h"

namespace glassbox::test {

struct In {
  Side side;
  Bytes bytes;
};

struct Out {
  Side side;
  Bytes bytes;
  std::uint64_t id;  // the packet's; Packet::kBornHere is set in packets of the box's own
  FieldSet edits;    // what was claimed for it
  Seen seen() const { return read(bytes); }
};
using Outs = std::vector<Out>;

// The functions of a chain, from the YAML list that would stand behind `chain:`.
Chain chain_of(std::string_view yaml);
// The configuration that chain_of() builds from.
Config config_of(std::string_view yaml);

class Bed {
 public:
  struct Options {
    Worker::Options worker = small_worker();
    unsigned mbufs = 1023;
    std::size_t segment = 0;  // what enters is chained in segments of so many bytes
    LinkType link = LinkType::kEthernet;
  };
  static Worker::Options small_worker();

  explicit Bed(Chain chain) : Bed(std::move(chain), Options()) {}
  Bed(Chain chain, const Options& options);
  explicit Bed(std::string_view yaml) : Bed(yaml, Options()) {}
  Bed(std::string_view yaml, const Options& options) : Bed(chain_of(yaml), options) {
    config_ = config_of(yaml);
  }
  ~Bed();
  Bed(const Bed&) = delete;
  Bed& operator=(const Bed&) = delete;

  // Sets the time, in seconds from the start. It does not run backwards.
  Bed& at(double seconds);
  Instant now() const { return now_; }

  // One turn with these packets; what came out by either port.
  Outs inside(const Bytes& frame) { return turn({{Side::kInside, frame}}); }
  Outs outside(const Bytes& frame) { return turn({{Side::kOutside, frame}}); }
  Outs send(Side side, const Bytes& frame) { return turn({{side, frame}}); }
  // A batch, in the order given; packets of both sides go in the same turn.
  Outs turn(const std::vector<In>& in = {});
  // A packet of which the capture lacks the last `missing` bytes.
  Outs truncated(Side side, const Bytes& frame, std::uint32_t missing);
  // Turns without packets until nothing is due up to now.
  Outs idle();

  // Wipes a kind ("nat44.mapping"), a function ("nat44": a fresh instance) or the "box", as
  // `replay --forget` does. Beds of functions that YAML cannot make only know kinds.
  void forget(std::string_view target);

  // "FUNCTION REASON"; empty: nothing was dropped in the last turn.
  std::string last_drop() const { return drops_.empty() ? "" : drops_.back(); }
  const std::vector<std::string>& drops() const { return drops_; }    // of the last turn
  const std::vector<std::string>& events() const { return events_; }  // "held NAME", "born NAME"...

  // The census of FUNCTION.KIND; dataplane.session and dataplane.fragments among them.
  Census& census(std::string_view kind);
  Balance balance() { return worker_->ledger().total(); }
  Worker& worker() { return *worker_; }
  MemoryPort& port(Side side) { return *ports_[index_of(side)]; }
  Pool& pool() { return pool_; }

  // What was found wrong so far: books, census, claims. Fails the test by itself at the end.
  std::vector<std::string> faults();
  // For tests of the claim checker: takes the lies found so far, which no longer fail the test.
  std::vector<std::string> take_lies();

 private:
  class Watch;
  Outs collect();
  void push(const In& in, std::uint32_t missing = 0);
  void check_kind(std::vector<std::string>& faults, const std::string& name, Census& census);

  Options options_;
  std::optional<Config> config_;
  Pool pool_;
  std::array<std::unique_ptr<MemoryPort>, kSides> ports_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<Worker> worker_;
  Instant now_;
  std::vector<std::string> drops_;
  std::vector<std::string> events_;
  std::uint64_t lies_taken_ = 0;
};

}  // namespace glassbox::test
