// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/bed.h"

#include "control/forget/wipe.h"

#include <algorithm>
#include <deque>
#include <stdexcept>

namespace glassbox::test {
namespace {

// An ordinary day, so that nothing starts at zero by accident.
constexpr Instant kStart{std::chrono::seconds(1'000'000'000)};

std::string function_name(const Chain& chain, FunctionId function) {
  return function == kDataplane ? "dataplane" : std::string(chain.at(function)->spec().name);
}

std::string reason_name(const Chain& chain, FunctionId function, ReasonId reason) {
  if (function == kDataplane) return std::string(kDataplaneReasons.at(reason).name);
  const auto& reasons = chain.at(function)->spec().reasons;
  return reason < reasons.size() ? std::string(reasons[reason].name) : "undeclared-reason";
}

}  // namespace

// Writes down what happens, and which packet each transmission was.
class Bed::Watch : public Observer {
 public:
  explicit Watch(Bed& bed) : bed_(bed) {}

  void edited(const Packet& packet, FunctionId, const FieldSet& fields) override {
    FieldSet& all = edits_[packet.id];
    all = all | fields;
  }
  void dropped(const Packet&, FunctionId function, ReasonId reason) override {
    const Chain& chain = bed_.worker_->chain();
    bed_.drops_.push_back(function_name(chain, function) + " " +
                          reason_name(chain, function, reason));
  }
  void held(const Packet&, FunctionId function) override { note("held", function); }
  void released(const Packet&, FunctionId function) override { note("released", function); }
  void merged(const Packet&, FunctionId function) override { note("merged", function); }
  void born(const Packet&, FunctionId function) override { note("born", function); }
  void spliced(const Packet&, FunctionId function, std::uint32_t seq, std::uint32_t erased,
               std::uint32_t inserted) override {
    bed_.events_.push_back("spliced " + function_name(bed_.worker_->chain(), function) + " " +
                           std::to_string(seq) + " -" + std::to_string(erased) + " +" +
                           std::to_string(inserted));
  }
  void transmitted(const Packet& packet, Side side) override {
    sent_[index_of(side)].push_back(packet.id);
  }

  void unsent(const Packet& packet, Side side) override {
    auto& queue = sent_[index_of(side)];
    const auto found = std::find(queue.begin(), queue.end(), packet.id);
    if (found != queue.end()) queue.erase(found);
  }

  // The packet that the oldest frame in a port's queue was.
  std::uint64_t next_sent(Side side) {
    auto& queue = sent_[index_of(side)];
    if (queue.empty()) throw std::logic_error("a frame left that no observer was told of");
    const std::uint64_t id = queue.front();
    queue.pop_front();
    return id;
  }
  FieldSet edits(std::uint64_t id) const {
    const auto found = edits_.find(id);
    return found == edits_.end() ? FieldSet() : found->second;
  }

 private:
  void note(const char* what, FunctionId function) {
    bed_.events_.push_back(std::string(what) + " " +
                           function_name(bed_.worker_->chain(), function));
  }

  Bed& bed_;
  std::map<std::uint64_t, FieldSet> edits_;
  std::array<std::deque<std::uint64_t>, kSides> sent_;
};

Worker::Options Bed::small_worker() {
  Worker::Options options;
  options.max_sessions = 256;
  options.max_fragments = 64;
  options.check_claims = true;
  return options;
}

Bed::Bed(Chain chain, const Options& options)
    : options_(options),
      pool_(options.mbufs),
      ports_{std::make_unique<MemoryPort>(options.link),
             std::make_unique<MemoryPort>(options.link)},
      watch_(std::make_unique<Watch>(*this)),
      worker_(std::make_unique<Worker>(std::move(chain), *ports_[0], *ports_[1], pool_.get(),
                                       options.worker)),
      now_(kStart) {
  worker_->observe(watch_.get());
}

Bed::~Bed() {
  for (const std::string& fault : faults()) ADD_FAILURE() << fault;
  worker_->stop(now_);
  for (const std::string& fault : faults()) ADD_FAILURE() << "after stop: " << fault;
  EXPECT_EQ(balance().held, 0u) << "stop() left packets held";
  worker_->observe(nullptr);
  worker_.reset();
  for (auto& port : ports_) port.reset();
  EXPECT_EQ(pool_.missing(), 0u) << "mbufs leaked";
}

Bed& Bed::at(double seconds) {
  const Instant then =
      kStart + std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds));
  if (then < now_) throw std::logic_error("time does not run backwards");
  now_ = then;
  return *this;
}

void Bed::push(const In& in, std::uint32_t missing) {
  ports_[index_of(in.side)]->push(pool_.mbuf(in.bytes, options_.segment), now_, missing);
}

Outs Bed::collect() {
  Outs outs;
  for (const Side side : {Side::kInside, Side::kOutside}) {
    while (rte_mbuf* mbuf = port(side).pop()) {
      const std::uint64_t id = watch_->next_sent(side);
      outs.push_back({side, bytes_of(mbuf), id, watch_->edits(id)});
      rte_pktmbuf_free(mbuf);
    }
  }
  return outs;
}

Outs Bed::turn(const std::vector<In>& in) {
  drops_.clear();
  events_.clear();
  for (const In& packet : in) push(packet);
  do {
    worker_->run_once(now_);
  } while (port(Side::kInside).pending() || port(Side::kOutside).pending());
  const Balance total = balance();
  EXPECT_TRUE(Ledger::balanced(total)) << "packets are not accounted for after this turn";
  return collect();
}

void Bed::forget(std::string_view target) {
  drops_.clear();
  events_.clear();
  const Config none;
  const std::optional<Wipe> wipe = wipe_named(target, worker_->chain());
  if (!wipe) throw std::invalid_argument(unknown_wipe(target, worker_->chain()));
  carry_out(*wipe, config_ ? *config_ : none, 1, *worker_, now_);
  EXPECT_TRUE(Ledger::balanced(balance())) << "packets are not accounted for after a wipe";
  EXPECT_TRUE(collect().empty()) << "a wipe sent packets";
}

Outs Bed::truncated(Side side, const Bytes& frame, std::uint32_t missing) {
  push({side, frame}, missing);
  return turn();
}

Outs Bed::idle() {
  Outs all;
  std::vector<std::string> drops;
  for (Instant before = kNever;;) {
    Outs outs = turn();
    all.insert(all.end(), outs.begin(), outs.end());
    drops.insert(drops.end(), drops_.begin(), drops_.end());
    const Instant due = worker_->next_due();
    if (due > now_ || (due == before && outs.empty())) break;
    before = due;
  }
  drops_ = drops;
  return all;
}

Census& Bed::census(std::string_view kind) {
  for (std::size_t k = 0; k < kDataplaneKinds.size(); ++k) {
    if (kind == "dataplane." + std::string(kDataplaneKinds[k].name)) {
      return worker_->census(kDataplane, k);
    }
  }
  for (std::size_t f = 0; f < worker_->chain().size(); ++f) {
    const FunctionSpec& spec = worker_->chain()[f]->spec();
    for (std::size_t k = 0; k < spec.kinds.size(); ++k) {
      if (kind == std::string(spec.name) + "." + std::string(spec.kinds[k].name)) {
        return worker_->census(static_cast<FunctionId>(f), k);
      }
    }
  }
  throw std::invalid_argument("no such state kind: " + std::string(kind));
}

void Bed::check_kind(std::vector<std::string>& faults, const std::string& name, Census& census) {
  if (!census.identity_holds()) {
    faults.push_back("census of " + name + ": entries are not created less ended");
  }
  if (census.entries() > census.peak_entries()) {
    faults.push_back("census of " + name + ": more entries than the peak");
  }
}

std::vector<std::string> Bed::faults() {
  std::vector<std::string> faults;
  const Balance t = balance();
  if (!Ledger::balanced(t)) {
    faults.push_back("packets: received " + std::to_string(t.received) + ", forwarded " +
                     std::to_string(t.forwarded) + ", dropped " + std::to_string(t.dropped) +
                     ", held " + std::to_string(t.held) + ", merged " + std::to_string(t.merged) +
                     "; transmitted " + std::to_string(t.transmitted) + ", unsent " +
                     std::to_string(t.unsent) + ", injected " + std::to_string(t.injected) +
                     ", split " + std::to_string(t.split));
  }
  for (std::size_t k = 0; k < kDataplaneKinds.size(); ++k) {
    check_kind(faults, "dataplane." + std::string(kDataplaneKinds[k].name),
               worker_->census(kDataplane, k));
  }
  for (std::size_t f = 0; f < worker_->chain().size(); ++f) {
    const FunctionSpec& spec = worker_->chain()[f]->spec();
    for (std::size_t k = 0; k < spec.kinds.size(); ++k) {
      check_kind(faults, std::string(spec.name) + "." + std::string(spec.kinds[k].name),
                 worker_->census(static_cast<FunctionId>(f), k));
    }
  }
  const ClaimChecker* checker = worker_->claim_checker();
  if (checker != nullptr && checker->lie_count() > lies_taken_) {
    for (const std::string& lie : checker->lies()) faults.push_back("wrong claim: " + lie);
  }
  return faults;
}

std::vector<std::string> Bed::take_lies() {
  const ClaimChecker* checker = worker_->claim_checker();
  if (checker == nullptr) return {};
  lies_taken_ = checker->lie_count();
  return checker->lies();
}

}  // namespace glassbox::test
