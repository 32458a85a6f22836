// SPDX-License-Identifier: BSD-3-Clause
//
// The forgetting experiment where theory knows the answer: conversations that pause around T = 10
// s, through chains whose loss of state has known consequences.
#include "control/forget/experiment.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "control/forget/forget_report.h"
#include "control/forget/private_memory.h"
#include "control/report/forgetting_json.h"
#include "control/report/report_json.h"
#include "tests/support/packets.h"

namespace glassbox {
namespace {

using test::frame;
using test::Frame;

constexpr double kT = 10;
constexpr double kStart = 1'000'000'000;

// Frames by time, which become a capture.
class Script {
 public:
  void say(double at, const Frame& frame) { frames_.emplace(at, frame.build()); }
  // As a pcap file of microseconds.
  std::string pcap() const {
    std::string bytes;
    const auto put = [&](std::initializer_list<std::uint32_t> words) {
      for (const std::uint32_t word : words) {
        for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(word >> shift);
      }
    };
    put({0xa1b2c3d4, 4u << 16 | 2, 0, 0, 262144, 1});
    for (const auto& [at, frame] : frames_) {
      const auto micros = static_cast<std::uint64_t>((kStart + at) * 1e6 + 0.5);
      const auto size = static_cast<std::uint32_t>(frame.size());
      put({static_cast<std::uint32_t>(micros / 1'000'000),
           static_cast<std::uint32_t>(micros % 1'000'000), size, size});
      bytes.append(frame.begin(), frame.end());
    }
    return bytes;
  }

 private:
  std::multimap<double, test::Bytes> frames_;
};

std::string host(int number) {
  return "192.168.1." + std::to_string(2 + number % 200) + ":" + std::to_string(5000 + number);
}

// A TCP connection: handshake, a turn each, a pause around T, a turn each, both FINs.
class Connection {
 public:
  Connection(Script& script, int number, double begin)
      : script_(script), client_(host(number)), at_(begin) {
    up("S", 1);
    down("SA", 1);
    up("A", 0);
  }
  void client_says(const std::string& text) {
    up("PA", text.size(), text);
    down("A", 0);
  }
  void server_says(const std::string& text) {
    down("PA", text.size(), text);
    up("A", 0);
  }
  void pause_until(double at) { at_ = at; }
  void close() {
    up("FA", 1);
    down("FA", 1);
    up("A", 0);
  }

 private:
  void up(const char* flags, std::size_t takes, const std::string& text = "") {
    at_ += 0.01;
    script_.say(at_, frame().tcp(client_, kServer).flags(flags).seq(up_).ack(down_).payload(text));
    up_ += static_cast<std::uint32_t>(takes);
  }
  void down(const char* flags, std::size_t takes, const std::string& text = "") {
    at_ += 0.01;
    script_.say(at_, frame().tcp(kServer, client_).flags(flags).seq(down_).ack(up_).payload(text));
    down_ += static_cast<std::uint32_t>(takes);
  }

  static constexpr const char* kServer = "198.51.100.1:80";
  Script& script_;
  std::string client_;
  double at_;
  std::uint32_t up_ = 1000;
  std::uint32_t down_ = 5000;
};

enum class Next { kClient, kServer };

void add_tcp(Script& script, int count, Next next) {
  for (int i = 0; i < count; ++i) {
    Connection talk(script, i, 1 + 0.001 * i);
    talk.client_says("question");
    talk.server_says("answer");
    talk.pause_until(kT + 1 + 0.001 * i);
    if (next == Next::kClient) {
      talk.client_says("more");
      talk.server_says("of it");
    } else {
      talk.server_says("news");
      talk.client_says("thanks");
    }
    talk.close();
  }
}

// Queries over UDP, each with its answer, before and after T.
void add_dns(Script& script, int count) {
  for (int i = 0; i < count; ++i) {
    for (const double at : {2.0, kT + 2}) {
      std::string message = "ID\x01\x02rest-of-a-dns-message";
      message[0] = static_cast<char>(i + 1);
      message[1] = static_cast<char>(at);
      script.say(at + 0.001 * i, frame().udp(host(300 + i), "198.51.100.53:53").payload(message));
      script.say(at + 0.05 + 0.001 * i,
                 frame().udp("198.51.100.53:53", host(300 + i)).payload(message));
    }
  }
}

// QUIC: long headers with connection IDs, then short ones both ways (RFC 9000 17).
void add_quic(Script& script, int count) {
  const std::string version("\0\0\0\1", 4);
  const auto long_header = [&](const std::string& to, const std::string& from) {
    return "\xc3" + version + std::string(1, static_cast<char>(to.size())) + to +
           std::string(1, static_cast<char>(from.size())) + from + std::string(40, 'q');
  };
  for (int i = 0; i < count; ++i) {
    const std::string client = host(600 + i);
    const std::string server = "198.51.100.2:443";
    double at = 3 + 0.001 * i;
    const auto up = [&](const std::string& text) {
      script.say(at += 0.01, frame().udp(client, server).payload(text));
    };
    const auto down = [&](const std::string& text) {
      script.say(at += 0.01, frame().udp(server, client).payload(text));
    };
    up(long_header("SERVERID", "CLIENTID"));
    down(long_header("CLIENTID", "ServerID"));
    // The first short header travels behind a Handshake packet, in one datagram (12.2), and its
    // fixed bit is greased (RFC 9287).
    const std::string handshake = "\xe3" + version + "\x08ServerID" +
                                  "\x08"
                                  "CLIENTID" +
                                  "\x0a" + std::string(10, 'h');
    up(handshake + "\x01ServerID" + std::string(30, 'a'));
    down(
        "\x41"
        "CLIENTID" +
        std::string(30, 'b'));
    at = kT + 1 + 0.001 * i;
    up("\x41ServerID" + std::string(30, 'c'));
    down(
        "\x41"
        "CLIENTID" +
        std::string(30, 'd'));
  }
}

class CaptureFile {
 public:
  explicit CaptureFile(const std::string& bytes)
      : path_(std::filesystem::temp_directory_path() /
              ("glassbox-forget-" + std::to_string(getpid()) + ".pcap")) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~CaptureFile() { std::filesystem::remove(path_); }
  CaptureFile(const CaptureFile&) = delete;
  CaptureFile& operator=(const CaptureFile&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

struct Made {
  Experiment experiment;
  Report report;

  const WipeResult& row(const std::string& function, const std::string& kind = "all") const {
    for (const WipeResult& result : experiment.results) {
      if (result.target.function == function && result.target.kind == kind) return result;
    }
    throw std::out_of_range("no row of " + function + "." + kind);
  }
};

Made run(const Script& script, const std::string& chain, Registry registry = functions(),
         EndpointModel endpoints = EndpointModel::kClosed) {
  static const bool kPrivate = (make_dpdk_memory_private(), true);
  EXPECT_TRUE(kPrivate);
  const CaptureFile file(script.pcap());
  const Config config = parse_config(
      "inside_networks: [192.168.0.0/16]\ndataplane: { sessions: 4096 }\nchain: " + chain + "\n",
      "test", registry);
  const CaptureImage image({file.path()}, [](double) {});
  const FlowIndex flows(image, {SideChoice::Rule::kNetworks, false, {}, ""}, config.inside_networks,
                        [](double) {});
  ExperimentSetup setup;
  setup.endpoints = endpoints;
  setup.after = {std::chrono::milliseconds(
      static_cast<int>(kT * 1000) -
      static_cast<int>(
          std::chrono::duration<double>(image.frame(1).time.time_since_epoch()).count() * 1000 -
          kStart * 1000))};
  setup.jobs = 2;
  Made made;
  made.experiment = run_experiment(config, image, flows, setup, made.report, [](double) {});
  fill_forgetting(made.experiment, made.report);
  return made;
}

const char* kPreserve = "[{ nat44: { pool: 203.0.113.1 } }]";
const char* kRandom = "[{ nat44: { pool: 203.0.113.1, port_choice: random } }]";

TEST(ForgetExperiment, WireHasNoExposure) {
  Script script;
  add_tcp(script, 40, Next::kServer);
  add_dns(script, 10);
  const Made wire = run(script, "[]");
  const WipeResult& box = wire.row("box");
  EXPECT_EQ(box.effect.compared, 50u);
  EXPECT_EQ(box.effect.broken, 0u);
  EXPECT_EQ(box.effect.unaffected, 50u);
  EXPECT_EQ(box.verdict, WipeVerdict::kUntested) << "nothing is forgotten there";
  const auto json = to_json(wire.report);
  EXPECT_EQ(json["transparency"]["fate_sharing_exposure"]["share"], 0.0);
  EXPECT_EQ(json["transparency"]["fate_sharing_exposure"]["compared"], 50);
}

TEST(ForgetExperiment, PortPreservingNatSurvivesIfTheInsideSpeaks) {
  Script inside_next;
  add_tcp(inside_next, 40, Next::kClient);
  const Made talks = run(inside_next, kPreserve);
  EXPECT_EQ(talks.row("nat44", "mapping").verdict, WipeVerdict::kS1);
  EXPECT_EQ(talks.row("nat44", "mapping").effect.compared, 40u);
  EXPECT_EQ(talks.row("nat44", "mapping").contradiction, true)
      << "declared hard, soft in all cells";
  EXPECT_EQ(talks.row("nat44", "session").verdict, WipeVerdict::kS1);
  EXPECT_EQ(talks.row("nat44", "holddown").verdict, WipeVerdict::kUntested);

  Script outside_next;
  add_tcp(outside_next, 40, Next::kServer);
  const Made listens = run(outside_next, kPreserve);
  EXPECT_EQ(listens.row("nat44", "mapping").verdict, WipeVerdict::kH1);
  EXPECT_EQ(listens.row("nat44", "mapping").effect.broken, 40u);
  EXPECT_EQ(listens.row("nat44", "mapping").contradiction, false);
  EXPECT_EQ(listens.row("nat44", "session").verdict, WipeVerdict::kS1);
}

TEST(ForgetExperiment, RandomPortsBreakTcpWhoeverSpeaks) {
  Script script;
  add_tcp(script, 40, Next::kClient);
  const Made random = run(script, kRandom);
  EXPECT_EQ(random.row("nat44", "mapping").verdict, WipeVerdict::kH1);
  EXPECT_EQ(random.row("nat44", "mapping").effect.broken, 40u);
  EXPECT_EQ(random.row("nat44", "session").verdict, WipeVerdict::kS1);
  EXPECT_EQ(random.row("box").effect.broken, 40u);
}

TEST(ForgetExperiment, DnsAndQuicFareBetterThanTcp) {
  Script script;
  add_tcp(script, 20, Next::kClient);
  add_dns(script, 20);
  add_quic(script, 20);
  const Made random = run(script, kRandom);
  const WipeEffect& effect = random.row("nat44", "mapping").effect;
  EXPECT_EQ(effect.compared, 60u);
  for (const WipeCell& cell : effect.cells) {
    if (cell.protocol == 6) {
      EXPECT_EQ(cell.broken, 20u);
    } else {
      EXPECT_EQ(cell.broken, 0u) << name_of(cell.phase);
    }
  }
  EXPECT_EQ(effect.broken, 20u);
}

TEST(ForgetExperiment, PickupDecidesWhatTheFirewallsLossMeans) {
  Script script;
  add_tcp(script, 40, Next::kClient);
  const Made strict = run(script, "[firewall]");
  EXPECT_EQ(strict.row("firewall", "connection").verdict, WipeVerdict::kH1);
  EXPECT_EQ(strict.row("firewall", "connection").effect.broken, 40u);
  EXPECT_EQ(strict.row("firewall", "connection").contradiction, false);
  const Made loose = run(script, "[{ firewall: { pickup: loose } }]");
  const WipeResult& connection = loose.row("firewall", "connection");
  EXPECT_EQ(connection.effect.broken, 0u);
  EXPECT_TRUE(connection.verdict == WipeVerdict::kS1 || connection.verdict == WipeVerdict::kA)
      << name_of(connection.verdict);
  EXPECT_EQ(connection.contradiction, false);
}

TEST(ForgetExperiment, RulesAreHardForWhatOnlyTheyLetPass) {
  Script script;
  add_tcp(script, 40, Next::kClient);
  const Made ruled = run(script,
                         "[{ firewall: { default_inside: drop, rules: [{ from: inside, "
                         "action: accept }] } }]");
  EXPECT_EQ(ruled.row("firewall", "rules").effect.broken, 40u);
  EXPECT_EQ(ruled.row("firewall", "rules").verdict, WipeVerdict::kH1);
  EXPECT_EQ(ruled.row("firewall").undeclared, false) << "a fresh instance has read its rules";
}

TEST(ForgetExperiment, InspectLosesDetectionsAndNothingElse) {
  Script script;
  for (int i = 0; i < 5; ++i) {
    Connection talk(script, i, 1 + 0.001 * i);
    talk.client_says("one");
    talk.pause_until(kT + 1);
    talk.client_says("two");
    talk.close();
  }
  const Made inspected = run(script, "[{ inspect: { rules: [{ id: 1, pattern: onetwo }] } }]");
  for (const char* kind : {"flow", "stream"}) {
    const WipeResult& row = inspected.row("inspect", kind);
    EXPECT_EQ(row.verdict, WipeVerdict::kA) << kind;
    EXPECT_EQ(row.effect.audit_lost, 5u) << kind;
    EXPECT_EQ(row.effect.unaffected, 5u) << kind;
    EXPECT_EQ(row.contradiction, false) << kind;
  }
  const WipeEffect& box = inspected.row("box").effect;
  EXPECT_EQ(box.audit_lost, 5u) << "detections, not the bytes that something is said of";
  EXPECT_EQ(inspected.row("inspect", "segments").verdict, WipeVerdict::kUntested);
  EXPECT_EQ(inspected.row("inspect").undeclared, false);
}

// --- a function that lies about its kinds ------------------------------------------------------

constexpr std::array<StateKind, 1> kTold = {declared({.name = "told",
                                                      .exception = {},
                                                      .bound = Limit::of(4096),
                                                      .idle_lifetime = Limit::of(600),
                                                      .if_lost = "so it says: nothing"})};
constexpr std::array<DropReason, 1> kStranger = {{{"stranger", "it was not here at the SYN"}}};
constexpr FunctionSpec kLiarSpec = {.name = "liar",
                                    .summary = "remembers more than it declares",
                                    .parameters = {},
                                    .kinds = kTold,
                                    .slot = {.direction_bytes = 8, .shared_bytes = 0},
                                    .reasons = kStranger,
                                    .edits = {},
                                    .reads = Reads::kHeaders,
                                    .injects = false,
                                    .facets = {}};
constexpr FunctionSpec kSecretSpec = {.name = "secret",
                                      .summary = "declares no kind at all",
                                      .parameters = {},
                                      .kinds = {},
                                      .slot = {},
                                      .reasons = kStranger,
                                      .edits = {},
                                      .reads = Reads::kHeaders,
                                      .injects = false,
                                      .facets = {}};
constexpr FunctionSpec kHonestSpec = {.name = "honest",
                                      .summary = "declares no kind and has none",
                                      .parameters = {},
                                      .kinds = {},
                                      .slot = {},
                                      .reasons = {},
                                      .edits = {},
                                      .reads = Reads::kNothing,
                                      .injects = false,
                                      .facets = {}};

// Drops what belongs to a connection whose SYN it has not seen: by a set of its own.
class Secretive : public NetworkFunction {
 public:
  using NetworkFunction::NetworkFunction;
  Admission admit(Opening&, Context&) override {
    return spec().slot.wanted() ? Admission::accept(std::chrono::seconds(600)) : Admission::pass();
  }
  void process(PacketBatch& batch, Context& context) override {
    for (Packet* packet : batch) {
      if (!packet->has(kTcp)) continue;
      const Tuple tuple = packet->arriving_tuple();
      const auto& inside =
          packet->ingress == Side::kInside ? tuple.source_port : tuple.destination_port;
      if ((packet->tcp_flags & 0x02) != 0) seen_[inside] = true;
      if (!seen_[inside]) context.drop(*packet, 0);
    }
  }

 private:
  std::map<std::uint16_t, bool> seen_;
};
class Honest : public NetworkFunction {
 public:
  using NetworkFunction::NetworkFunction;
  void process(PacketBatch&, Context&) override {}
};

Registry liars() {
  static const FunctionType kLiar = {
      kLiarSpec, [](const Build&) {
        return std::unique_ptr<NetworkFunction>(std::make_unique<Secretive>(kLiarSpec));
      }};
  static const FunctionType kSecret = {
      kSecretSpec, [](const Build&) {
        return std::unique_ptr<NetworkFunction>(std::make_unique<Secretive>(kSecretSpec));
      }};
  static const FunctionType kHonest = {
      kHonestSpec, [](const Build&) {
        return std::unique_ptr<NetworkFunction>(std::make_unique<Honest>(kHonestSpec));
      }};
  static const std::array kAll = {&kLiar, &kSecret, &kHonest};
  return {kAll.data(), kAll.size()};
}

TEST(ForgetExperiment, UndeclaredStateIsCaught) {
  Script script;
  add_tcp(script, 10, Next::kClient);
  const Made lied = run(script, "[liar]", liars());
  EXPECT_EQ(lied.row("liar", "told").effect.broken, 0u) << "the declared kind matters to nobody";
  EXPECT_EQ(lied.row("liar").effect.broken, 10u);
  EXPECT_EQ(lied.row("liar").undeclared, true);
  EXPECT_NE(forget_text(lied.report, {}).find("UNDECLARED STATE: liar"), std::string::npos);
  const Made secret = run(script, "[secret]", liars());
  EXPECT_EQ(secret.row("secret").undeclared, true);
  EXPECT_EQ(secret.row("secret").verdict, WipeVerdict::kH1);
}

TEST(ForgetExperiment, WhoDeclaresNothingAndHasNothingIsS0) {
  Script script;
  add_tcp(script, 10, Next::kClient);
  const Made honest = run(script, "[honest]", liars());
  EXPECT_EQ(honest.row("honest").undeclared, false);
  EXPECT_EQ(honest.row("honest").verdict, WipeVerdict::kS0);
}

// --- what is compared --------------------------------------------------------------------------

TEST(ForgetExperiment, ComparedFlowsSpeakBeforeAndAfterAndAreOpen) {
  Script script;
  add_tcp(script, 3, Next::kClient);
  {  // closed before T
    Connection over(script, 20, 2);
    over.client_says("short");
    over.close();
  }
  {  // begins behind T
    Connection late(script, 21, kT + 3);
    late.client_says("late");
    late.close();
  }
  {  // open at T, and silent from then on
    Connection silent(script, 22, 2);
    silent.client_says("and no more");
  }
  {  // closing at T
    Connection closing(script, 23, kT - 0.065);
    closing.client_says("bye");
    closing.close();
  }
  {  // opening at T
    Connection opening(script, 24, kT - 0.015);
    opening.client_says("hello");
    opening.close();
  }
  const Made made = run(script, "[firewall]");
  const WipeEffect& effect = made.row("firewall", "connection").effect;
  EXPECT_EQ(effect.compared, 5u);
  EXPECT_EQ(effect.untested, 1u);
  std::map<Phase, std::uint64_t> phases;
  for (const WipeCell& cell : effect.cells) phases[cell.phase] += cell.compared();
  EXPECT_EQ(phases[Phase::kIdle], 3u);
  EXPECT_EQ(phases[Phase::kClosing], 1u);
  EXPECT_EQ(phases[Phase::kOpening], 1u);
  EXPECT_EQ(effect.bystanders, 0u) << "the late one is as in the baseline";
  EXPECT_EQ(made.report.exposure.at(0).open_on_wire, 6u);
  EXPECT_EQ(made.report.exposure.at(0).open_through_box, 6u);
}

TEST(ForgetExperiment, ExposureIsPooledOverManyTimesWithItsInterval) {
  Script script;
  add_tcp(script, 20, Next::kClient);
  add_dns(script, 20);
  const Made random = run(script, kRandom);
  ASSERT_TRUE(random.experiment.over_times);
  const ExposureOverTimes& all = *random.experiment.over_times;
  EXPECT_EQ(all.times, 20u);
  EXPECT_EQ(all.flows, 40u);
  EXPECT_GT(all.compared, 40u);
  EXPECT_GT(all.broken, 0u);
  EXPECT_LT(all.broken, all.compared);
  const double share = static_cast<double>(all.broken) / static_cast<double>(all.compared);
  EXPECT_LT(all.low, share);
  EXPECT_GT(all.high, share);
  EXPECT_EQ(random.row("box").at, random.experiment.times.at(0)) << "rows are of the times asked";
  EXPECT_EQ(random.experiment.exposure.size(), 1u);
  const auto json = to_json(random.report)["transparency"]["fate_sharing_exposure"];
  EXPECT_EQ(json["over_times"]["compared"], all.compared);
  EXPECT_EQ(json["over_times"]["interval"], "95 %, bootstrap by flow");
  EXPECT_GT(json["share_by_bytes"], 0.5) << "TCP has most of the bytes";
}

TEST(ForgetExperiment, SharesHaveIntervals) {
  EXPECT_EQ(wilson(0, 40).low, 0.0);
  EXPECT_EQ(wilson(40, 40).high, 1.0);
  EXPECT_NEAR(wilson(5, 10).low, 0.2366, 1e-4);
  EXPECT_NEAR(wilson(5, 10).high, 0.7634, 1e-4);
}

}  // namespace
}  // namespace glassbox
