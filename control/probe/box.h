// SPDX-License-Identifier: BSD-3-Clause
//
// A chain in a worker between two memory ports, in virtual time, and what became of each frame.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/probe/script.h"
#include "dataplane/memory_port.h"
#include "dataplane/worker.h"

namespace glassbox {

// One frame that was put in, from there on.
struct FrameFate {
  struct Exit {
    Side side;
    ByteString bytes;
    std::uint64_t order;  // counted over all that left the box
    Instant time;
  };
  struct Edit {
    FunctionId function;
    FieldSet fields;
  };
  struct Drop {
    FunctionId function;
    ReasonId reason;
  };
  Side ingress = Side::kInside;
  ByteString sent;
  Instant entered{};
  std::vector<Exit> exits;
  std::vector<Edit> edits;
  std::optional<Drop> drop;
  std::optional<FunctionId> holder;   // who holds it now
  std::optional<FunctionId> held_by;  // who has held it last
  std::optional<FunctionId> merger;
};

// A packet of the box's own.
struct Injection {
  FunctionId function;
  Side side;
  ByteString bytes;
};

class Box : private Observer {
 public:
  Box(Chain chain, rte_mempool* pool, Worker::Options options);
  ~Box() override;
  Box(const Box&) = delete;
  Box& operator=(const Box&) = delete;

  using FrameId = std::uint64_t;
  // Throws std::runtime_error when there is no memory left for it.
  FrameId put(Side side, const ByteString& frame);
  // One turn at the present time.
  void turn();
  // Time passes, and timers run as they come due.
  void wait(Nanos duration);
  // The time until the next timer, if it is due within `most`.
  std::optional<Nanos> until_due(Nanos most) const;
  // Ends the run: what is held drops.
  void stop();

  const FrameFate& fate(FrameId id) const { return fates_.at(id - 1); }
  std::vector<Injection> take_injections() { return std::exchange(injections_, {}); }

  Worker& worker() { return *worker_; }
  Instant now() const { return now_; }
  std::string function_name(FunctionId function) const;
  const DropReason& reason(const FrameFate::Drop& drop) const;

 private:
  void edited(const Packet& packet, FunctionId function, const FieldSet& fields) override;
  void dropped(const Packet& packet, FunctionId function, ReasonId reason) override;
  void held(const Packet& packet, FunctionId function) override;
  void released(const Packet& packet, FunctionId function) override;
  void merged(const Packet& packet, FunctionId function) override;
  void born(const Packet& packet, FunctionId function) override;
  void transmitted(const Packet& packet, Side side) override;

  FrameFate* find(std::uint64_t id);

  rte_mempool* pool_;
  std::array<MemoryPort, kSides> ports_;
  std::unique_ptr<Worker> worker_;
  Instant now_;
  std::vector<FrameFate> fates_;
  std::vector<Injection> injections_;
  // Of packets born here: the frame they are a part of (0: none), and who made them.
  struct Birth {
    std::uint64_t id;
    std::uint64_t parent;
    FunctionId function;
  };
  std::vector<Birth> births_;
  std::uint64_t exits_ = 0;
};

}  // namespace glassbox
