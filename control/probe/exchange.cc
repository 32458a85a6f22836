// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "control/probe/transport.h"
#include "control/replay/frame_view.h"
#include "dataplane/field_diff.h"

namespace glassbox {
namespace {

// What a function holds it may release by a timer; an end host would not wait for long.
constexpr Nanos kPatience = std::chrono::seconds(10);

// What any router changes.
FieldSet router_normal() {
  FieldSet fields;
  for (const Field field : {Field::kEthDst, Field::kEthSrc, Field::kIpTtl, Field::kIpv6Hlim}) {
    fields.insert(field);
  }
  return fields;
}

void note(std::vector<std::string>& list, const std::string& what) {
  if (std::find(list.begin(), list.end(), what) == list.end()) list.push_back(what);
}

std::string names_of(const FieldSet& fields) {
  std::string text;
  fields.for_each(
      [&](Field field) { text += fmt::format("{}{}", text.empty() ? "" : " ", info(field).name); });
  return text;
}

}  // namespace

Exchange::Exchange(Box& box, const Probe& probe, Direction direction,
                   const HostAddresses& addresses)
    : box_(box), probe_(probe), direction_(direction), hosts_(addresses) {}

Side Exchange::side_of(HostName host) const {
  return is_on_client_side(host) == (direction_ == Direction::kOutbound) ? Side::kInside
                                                                         : Side::kOutside;
}

std::string Exchange::step_text(const ScriptStep& step) const {
  const auto number = static_cast<std::size_t>(&step - probe_.script.data()) + 1;
  return fmt::format("step {} ({})", number, step.text);
}

void Exchange::fail(const Flight& flight, const std::string& function, const std::string& why,
                    std::optional<bool> intended) {
  if (failure_) return;
  failure_ = {function, fmt::format("{}: {}", step_text(*flight.step), why), intended};
}

OpennessRow Exchange::run() {
  for (const ScriptStep& step : probe_.script) {
    if (failure_) break;
    try {
      play(step);
    } catch (const std::invalid_argument& error) {
      failure_ = {"", fmt::format("{}: {}", step_text(step), error.what()), std::nullopt};
    }
  }
  if (!failure_) require(std::nullopt);
  judge_injections();
  return row();
}

void Exchange::play(const ScriptStep& step) {
  switch (step.verb) {
    case ScriptStep::Verb::kWait:
      box_.wait(step.duration);
      return settle();
    case ScriptStep::Verb::kTell:
      require(step.from.host);
      if (!failure_) hosts_.tell(step);
      return;
    case ScriptStep::Verb::kSend:
      require(step.from.host);
      if (!failure_) send(step);
      return;
  }
}

void Exchange::send(const ScriptStep& step) {
  Flight flight{&step, hosts_.make(step), {}};
  if (deliver_at_home(flight)) return;
  const PacketSpec& packet = step.packet;
  std::vector<ByteString> frames = {flight.datagram};
  if (packet.fragment_size != 0) {
    frames = cut_frame(flight.datagram, packet.fragment_size, get16(flight.datagram, 18));
  }
  note_opener(step, frames.front());
  if (packet.reversed) std::reverse(frames.begin(), frames.end());
  for (const ByteString& frame : frames) {
    flight.frames.push_back(box_.put(side_of(step.from.host), frame));
  }
  flights_.push_back(std::move(flight));
  box_.turn();
  settle();
}

// What is addressed to a neighbour on the sender's own side does not come by the box.
bool Exchange::deliver_at_home(const Flight& flight) {
  const FrameParts parts = read_frame(flight.datagram);
  const auto host = hosts_.host_at(parts.destination);
  if (!host || side_of(*host) != side_of(flight.step->from.host)) return false;
  const std::string complaint = hosts_.receive(*flight.step, flight.datagram);
  if (!complaint.empty()) fail(flight, "", complaint);
  return true;
}

void Exchange::settle() {
  judge_injections();
  for (auto flight = flights_.begin(); flight != flights_.end();) {
    const bool over = is_lost(*flight) || arrive(*flight);
    flight = over ? flights_.erase(flight) : flight + 1;
  }
}

bool Exchange::is_lost(const Flight& flight) {
  for (const Box::FrameId id : flight.frames) {
    const FrameFate& fate = box_.fate(id);
    if (!fate.drop || !fate.exits.empty()) continue;
    const DropReason& reason = box_.reason(*fate.drop);
    fail(flight, box_.function_name(fate.drop->function),
         fmt::format("dropped by {}: {}, {}", box_.function_name(fate.drop->function), reason.name,
                     reason.help),
         is_intended(*flight.step));
    return true;
  }
  return false;
}

// True: there is nothing more to wait for.
bool Exchange::arrive(const Flight& flight) {
  std::vector<ByteString> frames;
  std::optional<FunctionId> merger;
  const Side side = side_of(flight.step->to.host);
  for (const Box::FrameId id : flight.frames) {
    const FrameFate& fate = box_.fate(id);
    if (fate.merger) merger = fate.merger;
    for (const FrameFate::Exit& exit : fate.exits) {
      if (exit.side != side) {
        fail(flight, "", fmt::format("came out {}", name_of(exit.side)));
        return true;
      }
      frames.push_back(exit.bytes);
    }
  }
  if (frames.empty() && !merger) return false;
  if (merger) note(otherwise_[*merger], "merged");
  std::vector<ByteString> datagrams = frames;
  if (!frames.empty() && read_frame(frames[0]).is_fragment()) {
    const auto whole = join_frames(frames);
    if (!whole) return false;
    datagrams = {*whole};
  }
  for (const ByteString& datagram : datagrams) {
    const std::string complaint = hosts_.receive(*flight.step, datagram);
    if (complaint.empty()) continue;
    judge_change(flight, datagrams);
    const std::string function =
        changed_.empty() ? "" : box_.function_name(changed_.begin()->first);
    fail(flight, function, complaint);
    return true;
  }
  judge_change(flight, datagrams);
  judge_order(flight);
  return true;
}

void Exchange::judge_change(const Flight& flight, const std::vector<ByteString>& datagrams) {
  FieldSet differing;
  for (const ByteString& datagram : datagrams) {
    differing = differing | differing_fields(flight.datagram, datagram, LinkType::kEthernet);
  }
  differing = differing.without(router_normal());
  FieldSet unclaimed = differing;
  FunctionId last = kDataplane;
  for (const Box::FrameId id : flight.frames) {
    for (const FrameFate::Edit& edit : box_.fate(id).edits) {
      const FieldSet own = edit.fields & differing;
      if (own.empty()) continue;
      changed_[edit.function] = changed_[edit.function] | own;
      unclaimed = unclaimed.without(own);
      last = edit.function;
    }
  }
  // What nobody claims for the frames may come from joining or splitting them.
  if (!unclaimed.empty()) changed_[last] = changed_[last] | unclaimed;
  if (datagrams.size() > 1) note(otherwise_[last], "split");
}

// Whether the frames left as they came: in their order, at once, each as one.
void Exchange::judge_order(const Flight& flight) {
  std::uint64_t before = 0;
  for (const Box::FrameId id : flight.frames) {
    const FrameFate& fate = box_.fate(id);
    if (fate.exits.empty()) continue;
    if (fate.exits.front().order < before) note(otherwise_[kDataplane], "order");
    before = fate.exits.front().order;
    if (fate.exits.front().time != fate.entered) {
      note(otherwise_[fate.held_by.value_or(kDataplane)], "delay");
    }
    const bool same =
        flight.frames.size() == 1 || read_frame(fate.exits.front().bytes).fragment_offset ==
                                         read_frame(fate.sent).fragment_offset;
    if (!same) note(otherwise_[kDataplane], "fragmentation");
  }
}

void Exchange::judge_injections() {
  for (const Injection& injection : box_.take_injections()) {
    const std::string function = box_.function_name(injection.function);
    const FrameParts parts = read_frame(injection.bytes);
    const auto host = hosts_.host_at(parts.destination);
    const std::string whom = host ? fmt::format("the {}", name_of(*host)) : "nobody of the script";
    const bool is_tcp = parts.version != 0 && parts.protocol == kProtocolTcp;
    if (is_tcp && (injection.bytes[parts.l4 + 13] & 4) != 0) {
      note(signals_, fmt::format("{} sends {} a RST", function, whom));
      if (!failure_) {
        failure_ = {function,
                    fmt::format("{} ends the connection: it sends {} a RST", function, whom),
                    std::nullopt};
      }
      continue;
    }
    const bool is_icmp = parts.version != 0 &&
                         (parts.protocol == kProtocolIcmp || parts.protocol == kProtocolIcmpv6);
    note(signals_, is_icmp
                       ? fmt::format("{} sends {} an ICMP message of type {}, code {}", function,
                                     whom, injection.bytes[parts.l4], injection.bytes[parts.l4 + 1])
                       : fmt::format("{} sends {} a packet of its own", function, whom));
    note(otherwise_[injection.function], "injected");
  }
}

void Exchange::require(std::optional<HostName> host) {
  const auto waits = [&] {
    return std::find_if(flights_.begin(), flights_.end(), [&](const Flight& flight) {
      return !host || flight.step->to.host == *host;
    });
  };
  for (Nanos waited{0}; !failure_ && waits() != flights_.end();) {
    const auto due = box_.until_due(kPatience - waited);
    if (!due) break;
    box_.wait(*due);
    waited += *due;
    settle();
  }
  if (failure_ || waits() == flights_.end()) return;
  const Flight& flight = *waits();
  for (const Box::FrameId id : flight.frames) {
    const FrameFate& fate = box_.fate(id);
    if (!fate.holder) continue;
    const std::string function = box_.function_name(*fate.holder);
    return fail(flight, function, fmt::format("{} holds it", function));
  }
  fail(flight, "", "did not come out");
}

// Whether the written policy refuses what the packet belongs to: asked of the first packet between
// the two ends, for an error of the last exchange of its addressee.
std::optional<bool> Exchange::is_intended(const ScriptStep& step) const {
  const bool error = step.packet.kind == PacketKind::kError;
  const Opener* found = nullptr;
  for (const Opener& opener : openers_) {
    const auto is = [&](const SocketName& a, const SocketName& b) {
      return opener.from == a && opener.to == b;
    };
    const bool theirs = error ? opener.from.host == step.to.host || opener.to.host == step.to.host
                              : is(step.from, step.to) || is(step.to, step.from);
    if (theirs) found = &opener;
  }
  if (found == nullptr) return std::nullopt;
  const FrameView view(found->frame, static_cast<std::uint32_t>(found->frame.size()),
                       LinkType::kEthernet, found->side);
  if (!view.packet().has(kKeyed)) return std::nullopt;
  for (const auto& function : box_.worker().chain()) {
    if (function->intent(view.packet().arriving_tuple(), found->side) == Intent::kRefused) {
      return true;
    }
  }
  return false;
}

void Exchange::note_opener(const ScriptStep& step, const ByteString& frame) {
  if (step.packet.kind == PacketKind::kError) return;
  for (const Opener& opener : openers_) {
    if (opener.from == step.from && opener.to == step.to) return;
    if (opener.from == step.to && opener.to == step.from) return;
  }
  openers_.push_back({step.from, step.to, frame, side_of(step.from.host)});
}

OpennessRow Exchange::row() const {
  OpennessRow row;
  row.probe = probe_.name;
  row.group = probe_.group;
  row.rfc = probe_.rfc;
  row.asks = probe_.asks;
  row.direction = std::string(name_of(direction_));
  std::vector<std::string> parts;
  std::map<FunctionId, bool> functions;
  for (const auto& [function, fields] : changed_) {
    fields.for_each([&](Field field) { note(row.fields, std::string(info(field).name)); });
    parts.push_back(fmt::format("{} changes {}", box_.function_name(function), names_of(fields)));
    functions[function] = true;
  }
  for (const auto& [function, list] : otherwise_) {
    for (const std::string& what : list) note(row.fields, what);
    parts.push_back(
        fmt::format("{} changes: {}", box_.function_name(function), fmt::join(list, " ")));
    functions[function] = true;
  }
  if (failure_) {
    row.outcome = ProbeOutcome::kBroken;
    row.function = failure_->function;
    row.why = failure_->why;
    row.intended = failure_->intended;
    for (const std::string& signal : signals_) row.why += "; " + signal;
    return row;
  }
  if (row.fields.empty()) return row;
  row.outcome = ProbeOutcome::kChanged;
  row.function = box_.function_name(functions.begin()->first);
  row.why = fmt::format("{}", fmt::join(parts, "; "));
  for (const std::string& signal : signals_) row.why += "; " + signal;
  return row;
}

}  // namespace glassbox
