// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/pass.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <stdexcept>
#include <type_traits>

#include "control/forget/children.h"
#include "control/replay/intents.h"

namespace glassbox {
namespace {

static_assert(std::is_trivially_copyable_v<WipeCounts> && std::is_trivially_copyable_v<WipeCell>);

Replay::Setup replay_setup(const ExperimentSetup& setup, bool agile, bool timeline) {
  Replay::Setup made;
  made.endpoints = setup.endpoints;
  made.agile = agile;
  made.fix_checksums = setup.fix_checksums;
  made.timeline = timeline;
  made.seed = setup.seed;
  return made;
}

// What a child leaves behind.
struct Note {
  static constexpr std::size_t kMaxCells = 128;  // phases x sides x protocols that are common
  std::size_t target;
  std::size_t time;
  WipeCounts counts;
  std::array<WipeCell, kMaxCells> cells;
  std::size_t cell_count;
  std::uint64_t fingerprint;
  bool would_differ_if_agile;
  bool done;
  std::array<char, 512> error;
};

// So many T, zeroed, shared with the children.
template <typename T>
class Shared {
 public:
  explicit Shared(std::size_t count) : bytes_(std::max<std::size_t>(count, 1) * sizeof(T)) {
    memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) throw std::bad_alloc();
  }
  ~Shared() { munmap(memory_, bytes_); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T& operator[](std::size_t index) { return static_cast<T*>(memory_)[index]; }
  std::span<T> part(std::size_t from, std::size_t count) { return {&(*this)[from], count}; }

 private:
  std::size_t bytes_;
  void* memory_;
};

void write(const WipeEffect& effect, const Trial& trial, Note& note) {
  note.counts = effect;
  note.cell_count = std::min(effect.cells.size(), Note::kMaxCells);
  std::copy_n(effect.cells.begin(), note.cell_count, note.cells.begin());
  note.fingerprint = fingerprint(trial);
  note.would_differ_if_agile = trial.would_differ_if_agile;
  note.done = true;
}

PassResult read(const Note& note) {
  if (!note.done) {
    throw std::runtime_error(note.error[0] != 0 ? note.error.data()
                                                : "a run with a wipe ended without a word");
  }
  PassResult result;
  result.target = note.target;
  result.time = note.time;
  static_cast<WipeCounts&>(result.effect) = note.counts;
  result.effect.cells.assign(note.cells.begin(),
                             note.cells.begin() + static_cast<std::ptrdiff_t>(note.cell_count));
  result.fingerprint = note.fingerprint;
  result.would_differ_if_agile = note.would_differ_if_agile;
  return result;
}

}  // namespace

BaselineRun run_baseline(const Config& config, const CaptureImage& image, const FlowIndex& flows,
                         const ExperimentSetup& setup, bool agile, Report* report) {
  BaselineRun base;
  Replay::Setup made = replay_setup(setup, agile, report != nullptr);
  base.intents = settle_intents(config, image, flows, made);
  made.intents = &base.intents;
  Replay replay(config, image, flows, made);
  base.targets = wipe_targets(replay.worker().chain());
  replay.run();
  if (report != nullptr) replay.fill(*report);
  base.trial = take_trial(replay);
  return base;
}

std::vector<PassResult> Pass::run(const BaselineRun& base, bool agile,
                                  const std::function<bool(std::size_t, std::size_t)>& wanted,
                                  const std::function<void(std::size_t)>& ended,
                                  std::vector<std::vector<FlowMark>>* box_marks) const {
  Shared<Note> notes(base.targets.size() * moments_.size());
  const std::size_t flows = box_marks != nullptr ? flows_.flows() : 0;
  Shared<FlowMark> marks(moments_.size() * flows);
  std::size_t runs = 0;
  Note* own = nullptr;  // in a child: its note
  Children children(setup_.jobs, ended);
  Replay replay(config_, image_, flows_, replay_setup(setup_, agile, false));
  const auto fork_all = [&](std::size_t time, Worker& worker, Instant now) {
    for (std::size_t target = 0; target < base.targets.size(); ++target) {
      if (own != nullptr || !wanted(target, time)) continue;
      Note& note = notes[runs++];
      note.target = target;
      note.time = time;
      if (!children.fork()) continue;
      own = &note;
      carry_out(base.targets[target].wipe, config_, setup_.seed, worker, now);
    }
  };
  for (std::size_t time = 0; time < moments_.size(); ++time) {
    replay.at(moments_[time].when,
              [&fork_all, time](Worker& worker, Instant now) { fork_all(time, worker, now); });
  }
  try {
    replay.run();
    if (own == nullptr) {
      children.wait_for_all();
    } else {
      const Trial trial = take_trial(replay);
      const WipeTarget& target = base.targets[own->target];
      const bool box = target.role == WipeTarget::Role::kBox;
      write(compare(moments_[own->time], target.subject, workload_, base.trial, trial,
                    box ? marks.part(own->time * flows, flows) : std::span<FlowMark>()),
            trial, *own);
    }
  } catch (const std::exception& error) {
    if (own == nullptr) throw;
    std::strncpy(own->error.data(), error.what(), own->error.size() - 1);
  }
  if (own != nullptr) Children::leave();
  std::vector<PassResult> results;
  for (std::size_t i = 0; i < runs; ++i) results.push_back(read(notes[i]));
  for (std::size_t time = 0; box_marks != nullptr && time < moments_.size(); ++time) {
    const std::span<FlowMark> row = marks.part(time * flows, flows);
    box_marks->emplace_back(row.begin(), row.end());
  }
  return results;
}

}  // namespace glassbox
