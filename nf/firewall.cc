// SPDX-License-Identifier: BSD-3-Clause
#include "nf/firewall.h"

#include <netinet/in.h>
#include <rte_icmp.h>
#include <rte_ip.h>

#include "dataplane/tcp_state.h"
#include "nf/firewall_matcher.h"

namespace glassbox {
namespace {

constexpr ReasonId id(FirewallReason reason) { return static_cast<ReasonId>(reason); }

// Established packets without these flags pass unread. A data segment takes a connection back from
// TRANS (RFC 7857 2.2), so that there every segment counts; after both FINs none does.
std::uint8_t watched_flags(TcpState state) {
  if (state == TcpState::kTransitory) return kWatchable;
  return state == TcpState::kBothFin ? 0 : kTcpTurningPoints;
}

TcpSegment segment_of(const Packet& packet) {
  return {packet.tcp_flags, packet.ip_end > packet.payload};
}

struct Timers {
  Nanos udp, tcp_established, tcp_transitory, icmp, other;
};

struct Policy {
  std::array<RuleAction, kSides> fallback;
  bool strict;
  bool track_windows;
  bool drop_malformed;
  bool drop_non_ip;
  bool drop_control;
};

// What rules and defaults say of an opener.
struct Judgement {
  RuleAction action;
  RuleNumber rule;
};

Policy read_policy(const Settings& settings) {
  const auto drops = [&](std::string_view name) { return settings.text(name) == "drop"; };
  return {{action_named(settings.text("default_inside")),
           action_named(settings.text("default_outside"))},
          settings.text("pickup") == "strict",
          settings.text("tcp_window") == "track",
          drops("malformed"),
          drops("non_ip"),
          drops("control")};
}

Timers read_timers(const Settings& settings) {
  return {settings.duration("udp"), settings.duration("tcp_established"),
          settings.duration("tcp_transitory"), settings.duration("icmp"),
          settings.duration("other")};
}

std::vector<FirewallRule> rules_of(const Settings& settings) {
  if (!settings.given("rules")) return {};
  return read_rules(settings.rows("rules"), settings.where("rules"));
}

bool is_query(const Packet& packet) {
  const std::uint8_t type = packet.at_offset<rte_icmp_hdr>(packet.l4)->icmp_type;
  // RFC 4443 4.1; RFC 792, RFC 950: the type that asks is the one in the tuple's destination port.
  return packet.has(kIpv6) ? type == 128 : type == 8 || type == 13 || type == 15 || type == 17;
}

// Whether a packet is one that opens a flow by its own protocol's rules.
bool opens(const Packet& packet) {
  if (packet.has(kTcp)) {
    return (packet.tcp_flags & (kTcpTurningPoints | kTcpAck)) == kTcpSyn;
  }
  return !packet.has(kQuery) || is_query(packet);
}

// The addresses of an IP packet that the parser gave no key.
Tuple addresses_of(const Packet& packet) {
  Tuple tuple;
  tuple.protocol = packet.protocol;
  if (packet.has(kIpv4)) {
    const auto* ip = packet.at_offset<rte_ipv4_hdr>(packet.l3);
    tuple.source = IpAddress::from_network(&ip->src_addr, 4);
    tuple.destination = IpAddress::from_network(&ip->dst_addr, 4);
  } else {
    const auto* ip = packet.at_offset<rte_ipv6_hdr>(packet.l3);
    tuple.source = IpAddress::from_network(ip->src_addr, 6);
    tuple.destination = IpAddress::from_network(ip->dst_addr, 6);
  }
  return tuple;
}

// Whether the packet's session is one that this function still knows. (Packets of the flow itself
// have been through admit() again when it does not.)
bool has_connection(const Packet& packet, Context& context) {
  if (packet.flow == nullptr) return false;
  if (!packet.flow->incomplete()) return true;
  const SessionTable& sessions = context.sessions();
  return (sessions.needs(sessions.id_of(packet.flow)) & (1u << context.self())) == 0;
}

// Places in kFirewallKinds.
enum Kind : std::size_t { kConnection, kRules, kWindow };

class Firewall final : public NetworkFunction {
 public:
  explicit Firewall(const Build& build)
      : NetworkFunction(kFirewallSpec),
        policy_(read_policy(build.settings)),
        timers_(read_timers(build.settings)),
        rules_(rules_of(build.settings)),
        matcher_(rules_, build.settings.where("rules")),
        rule_hits_(rules_.size()),
        rules_census_(sizeof(FirewallRule) + sizeof(rule_hits_[0])),
        max_sessions_(build.max_sessions) {}

  void start(Context& context) override {
    if (policy_.track_windows) windows_.start(context.sessions());
  }
  void tick(Context& context) override {
    if (!counted_) [[unlikely]]
      count_rules(context.now());
  }

  // The tracker of a packet's windows is fetched half a batch before it is needed.
  void process(PacketBatch& batch, Context& context) override {
    constexpr std::uint16_t kAhead = 32;
    std::array<TcpWindow*, kMaxBatch> trackers;
    const std::uint16_t offset = context.sessions().layout().slot(context.self()).direction_offset;
    const std::uint16_t count = batch.size();
    for (std::uint16_t i = 0; i < std::min(kAhead, count); ++i) {
      trackers[i] = fetch_tracker(batch[i], offset);
    }
    for (std::uint16_t i = 0; i < count; ++i) {
      const auto ahead = static_cast<std::uint16_t>(i + kAhead);
      if (ahead < count) trackers[ahead] = fetch_tracker(batch[ahead], offset);
      Packet& packet = batch[i];
      if (packet.flow == nullptr || packet.has(kRelated)) [[unlikely]] {
        judge_without_connection(packet, context);
        continue;
      }
      const auto watch = SessionTable::slot_at<const FirewallWatch>(*packet.flow, offset);
      if ((watch & kFollowsWindow) != 0 && !in_window(packet, trackers[i], context)) continue;
      if ((packet.tcp_flags & watch & kWatchable) != 0) [[unlikely]]
        follow_tcp(packet, context);
    }
  }

  Admission admit(Opening& opening, Context& context) override {
    const Packet& packet = opening.packet;
    if (is_igmp(packet)) return control_admission();
    if (packet.has(kRelated) || (policy_.strict && !opens(packet))) {
      return Admission::refuse(id(FirewallReason::kNoState));
    }
    const Judgement judged = opening.is_ipv4()
                                 ? judge(asked_key(opening.four, packet), opening.ingress)
                                 : judge(asked_tuple(opening.tuple(), packet), opening.ingress);
    count(judged, opening.ingress);
    const ReasonId reason = reason_of(judged);
    if (judged.action == RuleAction::kDrop) return Admission::refuse(reason);
    if (judged.action == RuleAction::kReject) return Admission::reject(reason);
    return Admission::accept(open_connection(opening, judged.rule, context));
  }

  void retire(SessionId session, Ending why, Instant when, Context& context) override {
    if ((watch_of(session, context) & kFollowsWindow) != 0) windows_.end(why, when);
  }

  void forget(std::size_t kind, Context& context) override;

  // What was written down, whether or not it has been forgotten.
  Intent intent(const Tuple& opener, Side ingress) const override {
    const Judgement judged = judge_by(matcher_.match(asked_tuple(opener), ingress), ingress);
    return judged.action == RuleAction::kAccept ? Intent::kWanted : Intent::kRefused;
  }

  Census* census(std::size_t index) override {
    if (index == kConnection) return nullptr;
    return index == kRules ? &rules_census_ : &windows_.census();
  }
  // The sessions of either address family.
  std::uint64_t bound(std::size_t index) const override {
    return index == kRules ? NetworkFunction::bound(index) : 2 * max_sessions_;
  }
  StateClass state_class(std::size_t index) const override {
    if (index == kConnection && !policy_.strict) return StateClass::kSoft;
    return NetworkFunction::state_class(index);
  }

  std::vector<std::pair<std::string, std::uint64_t>> findings() const override;

 private:
  static ReasonId reason_of(const Judgement& judged) {
    return id(judged.rule == kNoRule ? FirewallReason::kPolicy : FirewallReason::kRule);
  }
  static bool is_igmp(const Packet& packet) {
    return packet.protocol == IPPROTO_IGMP && packet.has(kIpv4);
  }

  template <typename Asked>
  Judgement judge(const Asked& asked, Side ingress) const {
    return judge_by(rules_forgotten_ ? kNoRule : matcher_.match(asked, ingress), ingress);
  }
  Judgement judge_by(RuleNumber rule, Side ingress) const {
    if (rule == kNoRule) return {policy_.fallback[index_of(ingress)], kNoRule};
    return {rules_[rule - 1u].action, rule};
  }
  void count(const Judgement& judged, Side ingress) {
    ++(judged.rule == kNoRule ? default_hits_[index_of(ingress)] : rule_hits_[judged.rule - 1u]);
  }

  Admission control_admission() const {
    return policy_.drop_control ? Admission::refuse(id(FirewallReason::kControl))
                                : Admission::pass();
  }

  Nanos tcp_lifetime(TcpState state) const {
    return timer_of(state) == TcpTimer::kEstablished ? timers_.tcp_established
                                                     : timers_.tcp_transitory;
  }
  Nanos open_connection(const Opening& opening, RuleNumber rule, Context& context) const;
  Nanos lifetime_without_tcp(const Packet& packet) const;
  TcpWindow* fetch_tracker(const Packet& packet, std::uint16_t offset) const;
  bool in_window(Packet& packet, TcpWindow* tracker, Context& context);
  void follow_tcp(const Packet& packet, Context& context);
  void begin_window(const Packet& packet, SessionId session, Context& context);
  void forget_windows(Context& context);
  void judge_without_connection(Packet& packet, Context& context);
  void count_rules(Instant now);
  std::optional<FirewallReason> reason_without_connection(const Packet& packet);
  // The same in both directions.
  static FirewallWatch watch_of(SessionId session, Context& context) {
    return context.direction_slot<FirewallWatch>(context.sessions().side(session, 0));
  }
  static void watch(SessionId session, FirewallWatch what, Context& context);

  const Policy policy_;
  const Timers timers_;
  const std::vector<FirewallRule> rules_;
  const RuleMatcher matcher_;
  std::vector<std::uint64_t> rule_hits_;
  std::array<std::uint64_t, kSides> default_hits_{};
  Census rules_census_;
  FirewallWindows windows_;
  bool counted_ = false;
  bool rules_forgotten_ = false;
  std::uint64_t max_sessions_;
};

void Firewall::watch(SessionId session, FirewallWatch what, Context& context) {
  SessionTable& sessions = context.sessions();
  for (const std::uint8_t direction : {0, 1}) {
    context.direction_slot<FirewallWatch>(sessions.side(session, direction)) = what;
  }
}

Nanos Firewall::lifetime_without_tcp(const Packet& packet) const {
  if (packet.has(kUdp)) return timers_.udp;
  return packet.has(kIcmp) ? timers_.icmp : timers_.other;
}

// Fills the slot; returns its lifetime.
Nanos Firewall::open_connection(const Opening& opening, RuleNumber rule, Context& context) const {
  auto& connection = context.shared_slot<FirewallConnection>(opening.session);
  connection = FirewallConnection{};
  if (opening.direction != 0) connection.state_and_client = FirewallConnection::kClient;
  connection.set_rule(rule);
  if (!opening.packet.has(kTcp)) return lifetime_without_tcp(opening.packet);
  const TcpState state = next(TcpState::kClosed, TcpEnd::kClient, segment_of(opening.packet));
  connection.set_state(state);
  watch(opening.session, watched_flags(state), context);
  context.sessions().set_closing(opening.session, is_closing(state));
  return tcp_lifetime(state);
}

// nullptr: the packet's connection has none, or none yet.
inline TcpWindow* Firewall::fetch_tracker(const Packet& packet, std::uint16_t offset) const {
  if (packet.flow == nullptr) [[unlikely]]
    return nullptr;
  const auto watch = SessionTable::slot_at<const FirewallWatch>(*packet.flow, offset);
  if ((watch & kFollowsWindow) == 0) return nullptr;
  TcpWindow* const tracker = &windows_.at(*packet.flow);
  __builtin_prefetch(tracker, 1);
  return tracker;
}

// Of a connection whose windows are known: false when the packet is dropped, or says nothing of the
// connection's state. (A later fragment follows its first one.)
inline bool Firewall::in_window(Packet& packet, TcpWindow* tracker, Context& context) {
  if (!packet.has(kTcp)) [[unlikely]]
    return false;
  if (tracker == nullptr) [[unlikely]]
    tracker = &windows_.at(*packet.flow);  // it began earlier in this batch
  const TcpWindow::Answer answer = FirewallWindows::follow(*tracker, packet);
  if (answer == TcpWindow::Answer::kDrop) [[unlikely]]
    context.drop(packet, id(FirewallReason::kOutOfWindow));
  return answer == TcpWindow::Answer::kPass;
}

// The first SYN: what the connection's ends say of themselves is known from here on.
void Firewall::begin_window(const Packet& packet, SessionId session, Context& context) {
  windows_.begin(*packet.flow, packet.time);
  FirewallWindows::follow(windows_.at(*packet.flow), packet);
  const FirewallWatch before = watch_of(session, context);
  watch(session, static_cast<FirewallWatch>(before | kFollowsWindow), context);
}

// A segment that may move the connection's state.
void Firewall::follow_tcp(const Packet& packet, Context& context) {
  SessionTable& sessions = context.sessions();
  const SessionId session = sessions.id_of(packet.flow);
  const bool opens = (packet.tcp_flags & (kTcpTurningPoints | kTcpAck)) == kTcpSyn;
  if (opens && policy_.track_windows && (watch_of(session, context) & kFollowsWindow) == 0) {
    begin_window(packet, session, context);
  }
  auto& connection = context.shared_slot<FirewallConnection>(session);
  const TcpState before = connection.state();
  const TcpEnd sender =
      packet.flow->direction() == connection.client() ? TcpEnd::kClient : TcpEnd::kServer;
  const TcpState after = next(before, sender, segment_of(packet));
  if (after == before) return;
  connection.set_state(after);
  const FirewallWatch follows = watch_of(session, context) & kFollowsWindow;
  watch(session, static_cast<FirewallWatch>(follows | watched_flags(after)), context);
  sessions.set_lifetime(session, context.self(), tcp_lifetime(after));
  sessions.set_closing(session, is_closing(after));
}

// At the first turn: time begins there.
void Firewall::count_rules(Instant now) {
  for (std::size_t i = 0; i < rules_.size(); ++i) rules_census_.created(now);
  if (!rules_.empty()) rules_census_.grew(static_cast<std::int64_t>(matcher_.bytes()), now);
  counted_ = true;
}

// With its rules go the verdicts that came of them: those flows are judged again, by the defaults.
void Firewall::forget(std::size_t kind, Context& context) {
  if (kind == kConnection) return NetworkFunction::forget(kind, context);
  if (kind == kWindow) return forget_windows(context);
  if (!counted_) count_rules(context.now());
  rules_census_.forgotten(context.now());
  rules_forgotten_ = true;
  SessionTable& sessions = context.sessions();
  sessions.for_each([&](SessionId session) {
    if (!sessions.occupied(session, context.self())) return;
    if (context.shared_slot<FirewallConnection>(session).rule() == kNoRule) return;
    sessions.vacate(session, context.self(), Ending::kForgotten, context.now());
  });
}

// Open connections are judged by their windows no more: without their SYNs the scale is unknown.
void Firewall::forget_windows(Context& context) {
  SessionTable& sessions = context.sessions();
  sessions.for_each([&](SessionId session) {
    if (!sessions.occupied(session, context.self())) return;
    const FirewallWatch before = watch_of(session, context);
    if ((before & kFollowsWindow) == 0) return;
    windows_.end(Ending::kForgotten, context.now());
    watch(session, static_cast<FirewallWatch>(before & ~kFollowsWindow), context);
  });
}

// Packets that have no session, and ICMP errors.
void Firewall::judge_without_connection(Packet& packet, Context& context) {
  if (packet.has(kRelated) && has_connection(packet, context)) return;
  const std::optional<FirewallReason> reason = reason_without_connection(packet);
  if (reason) context.drop(packet, id(*reason));
}

std::optional<FirewallReason> Firewall::reason_without_connection(const Packet& packet) {
  const auto when = [](bool drops, FirewallReason reason) {
    return drops ? std::optional(reason) : std::nullopt;
  };
  if (packet.anomaly != Anomaly::kNone) {
    return when(policy_.drop_malformed, FirewallReason::kMalformed);
  }
  if (!packet.has(kIpv4 | kIpv6)) return when(policy_.drop_non_ip, FirewallReason::kNonIp);
  if (packet.has(kRelated)) return FirewallReason::kNoState;
  if (packet.has(kLaterFragment)) return FirewallReason::kFragment;
  if (packet.has(kControl)) return when(policy_.drop_control, FirewallReason::kControl);
  if (packet.has(kKeyed)) return std::nullopt;  // admit() let it pass, or the box made it
  const Judgement judged = judge(asked_tuple(addresses_of(packet), packet), packet.ingress);
  count(judged, packet.ingress);
  return when(judged.action != RuleAction::kAccept,
              judged.rule == kNoRule ? FirewallReason::kPolicy : FirewallReason::kRule);
}

std::vector<std::pair<std::string, std::uint64_t>> Firewall::findings() const {
  std::vector<std::pair<std::string, std::uint64_t>> lines;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    std::string line =
        "rule " + std::to_string(i + 1) + " " + std::string(name_of(rules_[i].action));
    if (!rules_[i].comment.empty()) line += ": " + rules_[i].comment;
    lines.emplace_back(std::move(line), rule_hits_[i]);
  }
  for (const Side side : {Side::kInside, Side::kOutside}) {
    lines.emplace_back(std::string("default_") + name_of(side) + " " +
                           std::string(name_of(policy_.fallback[index_of(side)])),
                       default_hits_[index_of(side)]);
  }
  return lines;
}

}  // namespace

const FunctionType& firewall_function() {
  static constexpr FunctionType kType = {
      kFirewallSpec, [](const Build& build) -> std::unique_ptr<NetworkFunction> {
        return std::make_unique<Firewall>(build);
      }};
  return kType;
}

}  // namespace glassbox
