// SPDX-License-Identifier: BSD-3-Clause
//
// Functions that exist to prove what the dataplane carries, one ability each. What they do to a
// packet is asked for by the first letter of its payload, so that a test reads as a conversation.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/network_function.h"
#include "dataplane/worker.h"

namespace glassbox::test {

// A function with a declaration of its own, which the test may complete before the chain is built.
class TestFunction : public NetworkFunction {
 public:
  explicit TestFunction(std::string_view name);
  void process(PacketBatch& batch, Context& context) override;
  FunctionSpec& declaration() { return spec_; }

 protected:
  // One packet; the default leaves it alone.
  virtual void packet(Packet& packet, Context& context) { (void)packet, (void)context; }
  static char letter(const Packet& packet);  // the payload's first, 0 without one

  FunctionSpec spec_;
};

// h: held; r: releases all held, d: discards them. What is held 5 seconds is released by timer.
class Holder : public TestFunction {
 public:
  Holder() : TestFunction("holder") {}
  void packet(Packet& packet, Context& context) override;
  void tick(Context& context) override;
  void stop(Context& context) override;
  Instant next_due() const override;

 private:
  struct Kept {
    Held held;
    Instant due;
  };
  std::vector<Kept> kept_;
};

// i: sends a packet of its own each way.
class Injector : public TestFunction {
 public:
  Injector() : TestFunction("injector") { spec_.injects = true; }
  void packet(Packet& packet, Context& context) override;
};

// g: puts `size` bytes in front of the payload.
class Grower : public TestFunction {
 public:
  explicit Grower(std::size_t size);
  void packet(Packet& packet, Context& context) override;
  std::uint64_t failures() const { return failures_; }

 private:
  std::vector<std::uint8_t> bytes_;
  std::uint64_t failures_ = 0;
};

// s: leaves as three.
class Splitter : public TestFunction {
 public:
  Splitter() : TestFunction("splitter") {}
  void packet(Packet& packet, Context& context) override;
};

// m: its payload is kept and goes in front of the next packet's that is no m.
class Merger : public TestFunction {
 public:
  Merger();
  void packet(Packet& packet, Context& context) override;

 private:
  std::vector<std::uint8_t> kept_;
};

// Keeps a slot in each session: the session's first letter, which every packet must find again.
// e: ends the session. c: the session is closing.
class Keeper : public TestFunction {
 public:
  explicit Keeper(std::string_view name = "keeper", Nanos lifetime = std::chrono::seconds(60));
  Admission admit(Opening& opening, Context& context) override;
  void undo(const Opening& opening, Context& context) override;
  void retire(SessionId session, Ending why, Instant when, Context& context) override;
  void packet(Packet& packet, Context& context) override;

  // What is kept outside the slots and must be given back: one for each accepted flow.
  int outstanding = 0;
  int strangers = 0;    // packets that came without a session
  int dirty_slots = 0;  // admissions that were handed a slot with something in it
  std::string found;    // the letters that packets found in their slots

 private:
  Nanos lifetime_;
};

// Refuses (or rejects) flows to port 666, and accepts nothing.
class Refuser : public TestFunction {
 public:
  explicit Refuser(bool reject = false);
  Admission admit(Opening& opening, Context& context) override;
  void packet(Packet& packet, Context& context) override;

 private:
  bool reject_;
};

// Gives every flow from the inside an external port of 203.0.113.1, from the part of `ports` that
// this worker owns. Flows from the inside to 203.0.113.1:PORT turn back to PORT's owner (hairpin).
class PortDrawer : public TestFunction {
 public:
  PortDrawer(PortRange ports, std::uint32_t worker, std::uint32_t workers);
  Admission admit(Opening& opening, Context& context) override;
  void undo(const Opening& opening, Context& context) override;
  void retire(SessionId session, Ending why, Instant when, Context& context) override;
  void packet(Packet& packet, Context& context) override;
  std::size_t free_ports() const { return free_.size(); }

 private:
  struct Slot {
    std::uint16_t port;
    std::uint16_t peer_port;
    std::uint32_t peer;  // 0: no hairpin
    std::uint16_t own_port;
    std::uint16_t unused;
    std::uint32_t own;
  };
  struct Owner {
    std::uint32_t address = 0;
    std::uint16_t port = 0;
  };
  void give_back(std::uint16_t port);
  std::vector<std::uint16_t> free_;
  std::vector<Owner> owners_;  // by external port
};

enum class Lie : std::uint8_t { kSilentEdit, kEmptyClaim, kUndeclaredField };
class Liar : public TestFunction {
 public:
  explicit Liar(Lie lie);
  void packet(Packet& packet, Context& context) override;

 private:
  Lie lie_;
};

template <typename... Functions>
Chain chain_with(std::unique_ptr<Functions>... functions) {
  Chain chain;
  (chain.push_back(std::move(functions)), ...);
  return chain;
}
template <typename Function, typename... Arguments>
Chain chain_of_one(Arguments... arguments) {
  return chain_with(std::make_unique<Function>(arguments...));
}

}  // namespace glassbox::test
