// SPDX-License-Identifier: BSD-3-Clause
//
// One probe through one chain: the script is played, and what became of it is judged.
//
//   works           every packet came to its addressee as it was sent, and nothing else did
//   works changed   the exchange went through, and these fields were changed on the way
//   broken          a packet did not come, or its addressee had no use for it: what it would have
//                   caused was never sent, and the exchange ends there
//
// What any router does (MAC addresses, hop limit) is no change.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/probe/box.h"
#include "control/probe/hosts.h"
#include "control/probe/probe_table.h"
#include "control/report/openness.h"

namespace glassbox {

class Exchange {
 public:
  Exchange(Box& box, const Probe& probe, Direction direction, const HostAddresses& addresses);

  OpennessRow run();

 private:
  // A packet of the script under way.
  struct Flight {
    const ScriptStep* step;
    ByteString datagram;
    std::vector<Box::FrameId> frames;
  };
  // The first packet between two sockets.
  struct Opener {
    SocketName from, to;
    ByteString frame;
    Side side;
  };
  // Why the exchange ends.
  struct Failure {
    std::string function;  // empty: nobody's
    std::string why;
    std::optional<bool> intended;
  };

  void play(const ScriptStep& step);
  void send(const ScriptStep& step);
  bool deliver_at_home(const Flight& flight);
  // Looks at what has left since.
  void settle();
  bool arrive(const Flight& flight);
  bool is_lost(const Flight& flight);
  void judge_change(const Flight& flight, const std::vector<ByteString>& datagrams);
  void judge_order(const Flight& flight);
  void judge_injections();
  // What `host` needs to go on has come; waits a while for what is held. nullopt: for everything.
  void require(std::optional<HostName> host);
  void fail(const Flight& flight, const std::string& function, const std::string& why,
            std::optional<bool> intended = std::nullopt);
  std::optional<bool> is_intended(const ScriptStep& step) const;
  void note_opener(const ScriptStep& step, const ByteString& frame);
  Side side_of(HostName host) const;
  std::string step_text(const ScriptStep& step) const;
  OpennessRow row() const;

  Box& box_;
  const Probe& probe_;
  Direction direction_;
  Hosts hosts_;
  std::vector<Flight> flights_;
  std::optional<Failure> failure_;
  std::vector<Opener> openers_;
  // Names of fields, and what else is different, by function.
  std::map<FunctionId, FieldSet> changed_;
  std::map<FunctionId, std::vector<std::string>> otherwise_;
  std::vector<std::string> signals_;  // errors that the box sent
};

}  // namespace glassbox
