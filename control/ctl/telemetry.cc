// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/telemetry.h"

#include <rte_telemetry.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "control/forget/wipe.h"
#include "control/report/figures.h"
#include "control/report/report.h"

namespace glassbox {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 5s;

// What the commands speak of; written while the desk is closed, read in the worker's thread only.
struct Running {
  Worker* worker = nullptr;
  const Config* config = nullptr;
  const LiveClock* clock = nullptr;
  void (*stop)() = nullptr;
};
Running running;

// --- dictionaries ------------------------------------------------------------------------------

// A telemetry dictionary. Its names may hold letters, digits and _ only; text is cut at 127 bytes.
class Dict {
 public:
  explicit Dict(rte_tel_data* data) : data_(data) { rte_tel_data_start_dict(data_); }
  void add(const char* name, std::uint64_t value) const {
    rte_tel_data_add_dict_u64(data_, name, value);
  }
  void add(const char* name, std::string_view text) const {
    const std::string cut(text.substr(0, RTE_TEL_MAX_STRING_LEN - 1));
    rte_tel_data_add_dict_string(data_, name, cut.c_str());
  }
  // A dictionary within; it belongs to this one.
  Dict dict(const std::string& name) const {
    rte_tel_data* inner = rte_tel_data_alloc();
    if (inner == nullptr) throw std::bad_alloc();
    const Dict made(inner);
    if (rte_tel_data_add_dict_container(data_, name.c_str(), inner, 0) != 0) {
      rte_tel_data_free(inner);
      throw std::runtime_error("no room in the answer");
    }
    return made;
  }

 private:
  rte_tel_data* data_;
};

// Runs `answer` in the worker's thread.
int answer_with(rte_tel_data* data, const std::function<void(const Dict&)>& answer, Desk& desk) {
  const Dict dict(data);
  std::string error = "the instance does not answer";
  try {
    std::string failed;
    const bool done = desk.ask(
        [&] {
          try {
            answer(dict);
          } catch (const std::exception& exception) {
            failed = exception.what();
          }
        },
        kPatience);
    if (done && failed.empty()) return 0;
    if (done) error = failed;
  } catch (const std::exception& exception) {
    error = exception.what();
  }
  dict.add("error", error);
  return 0;
}

// --- what is answered --------------------------------------------------------------------------

void add_census(const Dict& dict, const StateRow& row) {
  const Census& census = row.census;
  dict.add("class", name_of(row.state_class));
  dict.add("entries", census.entries());
  dict.add("peak_entries", census.peak_entries());
  dict.add("bytes", census.bytes());
  dict.add("peak_bytes", census.peak_bytes());
  dict.add("created", census.created_total());
  dict.add("refreshed", census.refreshed_total());
  dict.add("closed", ended(row, Ending::kClosed));
  dict.add("expired", ended(row, Ending::kExpired));
  dict.add("evicted", ended(row, Ending::kEvicted));
  dict.add("refused", census.refused_total());
  dict.add("forgotten", ended(row, Ending::kForgotten));
}

void state(const Dict& dict) {
  const Instant now = running.clock->now();
  running.worker->settle(now);
  std::optional<Dict> function;
  std::string name;
  for (const StateRow& row : read_state(*running.worker, *running.config, now)) {
    if (!function || name != row.function) {
      name = row.function;
      function = dict.dict(name);
    }
    add_census(function->dict(std::string(row.kind.name)), row);
  }
}

void transparency(const Dict& dict) {
  const Instant now = running.clock->now();
  running.worker->settle(now);
  Report report;
  read_books(*running.worker, *running.config, now, report);
  const Dict packets = dict.dict("packets");
  packets.add("received", report.balance.received);
  packets.add("forwarded", report.balance.forwarded);
  packets.add("dropped", report.balance.dropped);
  packets.add("held", report.balance.held);
  packets.add("merged", report.balance.merged);
  packets.add("injected", report.balance.injected);
  packets.add("split", report.balance.split);
  packets.add("transmitted", report.balance.transmitted);
  packets.add("unsent", report.balance.unsent);
  packets.add("balanced", report.balanced ? "yes" : "no");
  const Dict drops = dict.dict("drops");
  for (std::size_t i = 0; i < report.drops.size(); ++i) {
    const DropRow& row = report.drops[i];
    const Dict drop = drops.dict(std::to_string(i));
    drop.add("function", row.function);
    drop.add("reason", row.reason);
    drop.add("packets", row.packets);
    drop.add("bytes", row.bytes);
  }
  const Dict effects = dict.dict("effects");
  for (std::size_t i = 0; i < report.effects.size(); ++i) {
    const EffectRow& row = report.effects[i];
    const Dict effect = effects.dict(std::to_string(i));
    effect.add("function", row.function);
    effect.add("direction", row.direction);
    effect.add("field", info(row.field).name);
    effect.add("class", std::string(1, letter_of(row.field)));
    effect.add("packets", row.packets);
    effect.add("bytes", row.bytes);
  }
  const Dict exposure = dict.dict("exposure");
  // Absent: no function of the chain reads payload.
  if (report.payload_bytes_read) exposure.add("payload_bytes_read", *report.payload_bytes_read);
}

// Entries that are gone, by kind.
std::vector<std::pair<std::string, std::uint64_t>> forgotten(Instant now) {
  std::vector<std::pair<std::string, std::uint64_t>> counts;
  for (const StateRow& row : read_state(*running.worker, *running.config, now)) {
    counts.emplace_back(qualified(row), ended(row, Ending::kForgotten));
  }
  return counts;
}

void forget(const Dict& dict, const std::string& name) {
  const Instant now = running.clock->now();
  const std::optional<Wipe> wipe = wipe_named(name, running.worker->chain());
  if (!wipe) throw std::runtime_error(unknown_wipe(name, running.worker->chain()));
  const auto before = forgotten(now);
  const std::uint64_t dropped = running.worker->ledger().total().dropped;
  carry_out(*wipe, *running.config, running.config->dataplane.seed, *running.worker, now);
  const auto after = forgotten(now);
  dict.add("forgot", name);
  dict.add("packets_dropped", running.worker->ledger().total().dropped - dropped);
  const Dict gone = dict.dict("entries");
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::uint64_t count = after[i].second - before[i].second;
    if (count == 0) continue;
    const Dict kind = gone.dict(std::to_string(i));
    kind.add("kind", after[i].first);
    kind.add("entries", count);
  }
}

}  // namespace

Desk& Telemetry::desk() {
  static Desk desk;
  return desk;
}

Telemetry::Telemetry(Worker& worker, const Config& config, const LiveClock& clock, void (*stop)()) {
  running = {&worker, &config, &clock, stop};
  desk().open();
  rte_telemetry_register_cmd(
      "/glassbox/state",
      [](const char*, const char*, rte_tel_data* data) { return answer_with(data, state, desk()); },
      "Every kind of state: entries, bytes, created, closed, expired, forgotten. No parameters");
  rte_telemetry_register_cmd(
      "/glassbox/transparency",
      [](const char*, const char*, rte_tel_data* data) {
        return answer_with(data, transparency, desk());
      },
      "Packets, drops and effects by function, payload bytes read. No parameters");
  rte_telemetry_register_cmd(
      "/glassbox/forget",
      [](const char*, const char* name, rte_tel_data* data) {
        const std::string wanted = name == nullptr ? "" : name;
        return answer_with(
            data, [&](const Dict& dict) { forget(dict, wanted); }, desk());
      },
      "Wipes state. Parameter: a kind (nat44.mapping), a function (nat44) or box");
  rte_telemetry_register_cmd(
      "/glassbox/stop",
      [](const char*, const char*, rte_tel_data* data) {
        return answer_with(
            data,
            [](const Dict& dict) {
              running.stop();
              dict.add("stopping", "yes");
            },
            desk());
      },
      "Ends the run, with its report. No parameters");
}

Telemetry::~Telemetry() { desk().close(); }

}  // namespace glassbox
