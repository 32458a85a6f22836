// SPDX-License-Identifier: BSD-3-Clause
//
// Any bytes as choices: what two hosts say, how a box edits it, and what links cut, lose, repeat
// and reorder. Each host receives what it is to receive (tests/nf/stream_rig.h).
#include "tests/fuzz/fuzz.h"
#include "tests/nf/stream_rig.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glassbox;
  using namespace glassbox::test;
  static Rig rig(true);
  Conversation conversation{Choices({data, size})};
  const std::string fault = conversation.run(rig);
  require(fault.empty(), fault);
  for (std::size_t kind = 1; kind < 3; ++kind) {
    const Census& census = *rig.splicer().census(kind);
    require(census.entries() == 0 && census.bytes() == 0, "state is left");
  }
  const ClaimChecker& checker = *rig.worker().claim_checker();
  require(checker.lies().empty(), checker.lies().empty() ? "" : checker.lies().front());
  require(Ledger::balanced(rig.worker().ledger().total()), "packets are not accounted for");
  return 0;
}
