// SPDX-License-Identifier: BSD-3-Clause
//
// Any bytes as frames that come from both sides to a whole chain: every packet is accounted for,
// every change was claimed, and in the end nothing is left. A frame is
//
//     control, length / 2 (bytes each), the frame
//
// and control says: from which side (1), whether checksums are made right first (2), whether it
// came with the one before (4), how much time has passed (8 to 128).
#include <vector>

#include "control/config.h"
#include "dataplane/memory_port.h"
#include "dataplane/parse.h"
#include "dataplane/transport_checksum.h"
#include "dataplane/worker.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/mbufs.h"

namespace glassbox::test {
namespace {

constexpr const char* kChain =
    "chain:\n"
    "  - firewall:\n"
    "      rules:\n"
    "        - { from: inside, action: accept }\n"
    "        - { from: outside, protocol: tcp, port: 22, action: reject }\n"
    "        - { from: outside, protocol: icmp, action: accept }\n"
    "  - http:\n"
    "      system: http://box.example/opes\n"
    "      services:\n"
    "        - { id: mark, do: insert-header, at: request-out, name: X-A, value: b, party: "
    "provider }\n"
    "  - inspect: { rules: [{ id: 1, pattern: evil, action: drop }] }\n"
    "  - nat44: { pool: [203.0.113.1/32], ports: 1024-65535 }\n";

class Box {
 public:
  Box() {
    Config config = parse_config(kChain, "fuzz.yaml");
    Worker::Options options;
    options.max_sessions = config.dataplane.sessions = 64;
    options.max_fragments = 16;
    options.check_claims = true;
    worker_ = std::make_unique<Worker>(build_chain(config, {.seed = 1}), ports_[0], ports_[1],
                                       pool_.get(), options);
  }

  void push(Side side, const Bytes& frame, bool right) {
    rte_mbuf* mbuf = pool_.mbuf(frame);
    Packet packet;
    packet.mbuf = mbuf;
    parse(packet, LinkType::kEthernet, 0);
    const bool sums =
        packet.anomaly == Anomaly::kNone && packet.has(kTcp | kUdp) && !packet.has(kFragmented);
    if (right && sums) fill_checksum(packet);
    ports_[index_of(side)].push(mbuf, now_);
  }
  void run() {
    worker_->run_once(now_);
    for (MemoryPort& port : ports_) {
      while (rte_mbuf* mbuf = port.pop()) rte_pktmbuf_free(mbuf);
    }
    require(Ledger::balanced(worker_->ledger().total()), "packets are not accounted for");
  }
  void later(Nanos span) { now_ += span; }

  void end() {
    // Longer than anything lives; twice, because one thing's end begins another's.
    for (int i = 0; i < 2; ++i) {
      now_ += std::chrono::hours(4);
      worker_->settle(now_);
      run();
    }
    require(worker_->ledger().total().held == 0, "packets are held");
    require(pool_.missing() == 0, "mbufs are lost");
    for (std::size_t f = 0; f < worker_->chain().size(); ++f) {
      const FunctionSpec& spec = worker_->chain()[f]->spec();
      for (std::size_t k = 0; k < spec.kinds.size(); ++k) {
        const Census& census = worker_->census(static_cast<FunctionId>(f), k);
        require(census.identity_holds(), "a census that does not add up");
        require(spec.kinds[k].maintenance == Maintenance::kConfigured || census.entries() == 0,
                "state is left: " + std::string(spec.kinds[k].name));
      }
    }
    for (std::size_t k = 0; k < kDataplaneKinds.size(); ++k) {
      require(worker_->census(kDataplane, k).entries() == 0, "a session is left");
    }
    const ClaimChecker& checker = *worker_->claim_checker();
    require(checker.lies().empty(), checker.lies().empty() ? "" : checker.lies().front());
  }

 private:
  Pool pool_{1023};
  std::array<MemoryPort, kSides> ports_;
  std::unique_ptr<Worker> worker_;
  Instant now_{std::chrono::seconds(1'000'000'000)};
};

}  // namespace
}  // namespace glassbox::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glassbox;
  using namespace glassbox::test;
  static Box box;
  Input input({data, size});
  for (int frames = 0; !input.empty() && frames < 200; ++frames) {
    const std::uint8_t control = input.byte();
    const auto bytes = input.take(2u * input.byte());
    box.push((control & 1) != 0 ? Side::kOutside : Side::kInside, {bytes.begin(), bytes.end()},
             (control & 2) != 0);
    // 1 ms to 9 hours.
    box.later(std::chrono::milliseconds(std::int64_t{1} << (control >> 3)) / 64);
    if ((control & 4) == 0) box.run();
  }
  box.run();
  box.end();
  return 0;
}
