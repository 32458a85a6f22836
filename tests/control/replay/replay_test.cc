// SPDX-License-Identifier: BSD-3-Clause
//
// End hosts and staircase, on small captures and a function that each test scripts.
#include "control/replay/replay.h"

#include <gtest/gtest.h>
#include <rte_tcp.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "dataplane/mbuf_bytes.h"
#include "tests/support/packets.h"
#include "tests/support/test_functions.h"

namespace glassbox::test {
namespace {

using Script = std::function<void(Packet&, Context&)>;
Script script;  // what the function does to a packet

class Scripted : public TestFunction {
 public:
  Scripted() : TestFunction("scripted") {
    spec_.edits = FieldSet::of(Field::kTcpSrcPort, Field::kTcpSeq, Field::kTcpAck,
                               Field::kTcpPayload, Field::kUdpPayload, Field::kIpTtl);
  }
  void packet(Packet& packet, Context& context) override {
    if (script) script(packet, context);
  }
};
const FunctionSpec kScripted{.name = "scripted", .summary = "does what a test says"};
const FunctionType kType{kScripted, [](const Build&) -> std::unique_ptr<NetworkFunction> {
                           return std::make_unique<Scripted>();
                         }};

std::string payload_of(const Packet& packet) {
  if (packet.ip_end <= packet.payload) return "";
  std::string text(packet.ip_end - packet.payload, '\0');
  read_bytes(packet.mbuf, packet.payload,
             {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return text;
}

constexpr const char* kClient = "192.168.1.2:1000";
constexpr const char* kServer = "198.51.100.1:80";
Frame client() { return frame().tcp(kClient, kServer); }
Frame server() { return frame().tcp(kServer, kClient); }

// A capture, and what becomes of it.
class Workload {
 public:
  Workload& at(double seconds, const Bytes& frame) {
    const auto us = static_cast<std::uint64_t>(seconds * 1e6 + 0.5);
    const auto word = [&](std::uint64_t value) {
      for (int i = 0; i < 4; ++i) file_ += static_cast<char>(value >> (8 * i));
    };
    word(1'000'000 + us / 1'000'000), word(us % 1'000'000), word(frame.size()), word(frame.size());
    file_.append(frame.begin(), frame.end());
    return *this;
  }
  // Handshake at 0 s; "ask" at 1, "answer" at 2, "more" at 3, "done" at 4, both FINs behind.
  Workload& conversation() {
    at(0.0, client().flags("S").seq(100)).at(0.1, server().flags("SA").seq(500).ack(101));
    at(0.2, client().flags("A").seq(101).ack(501));
    at(1.0, client().flags("PA").seq(101).ack(501).payload("ask"));
    at(2.0, server().flags("PA").seq(501).ack(104).payload("answer"));
    at(3.0, client().flags("PA").seq(104).ack(507).payload("more"));
    at(4.0, server().flags("PA").seq(507).ack(108).payload("done"));
    at(4.5, client().flags("FA").seq(108).ack(511));
    return at(4.6, server().flags("FA").seq(511).ack(109));
  }
  Replay& replay(EndpointModel model) {
    load();
    replay_ =
        std::make_unique<Replay>(config_, *image_, *index_, Replay::Setup{.endpoints = model});
    replay_->run();
    return *replay_;
  }
  const RunOutcome& run(EndpointModel model) { return replay(model).outcome(); }
  void load() {
    if (image_ != nullptr) return;
    const std::string path = ::testing::TempDir() + "replay-" + std::to_string(getpid()) + ".pcap";
    std::ofstream(path, std::ios::binary) << file_;
    image_ = std::make_unique<CaptureImage>(std::vector{path}, [](double) {});
    std::filesystem::remove(path);
    index_ =
        std::make_unique<FlowIndex>(*image_, SideChoice{}, std::vector<Prefix>{}, [](double) {});
  }
  const Config& config() const { return config_; }
  const CaptureImage& image() const { return *image_; }
  const FlowIndex& index() const { return *index_; }

 private:
  static Config chain() {
    static const std::array<const FunctionType*, 1> registry = {&kType};
    return parse_config("chain: [scripted]\n", "test.yaml", registry);
  }
  std::string file_ =
      std::string("\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\1\0\0\0", 24);
  Config config_ = chain();
  std::unique_ptr<CaptureImage> image_;
  std::unique_ptr<FlowIndex> index_;
  std::unique_ptr<Replay> replay_;
};

class ReplayTest : public ::testing::Test {
 protected:
  void SetUp() override { script = nullptr; }
  void TearDown() override { script = nullptr; }

  // Drops the first `times` packets with this payload.
  static void lose(const std::string& payload, int times) {
    script = [payload, left = times](Packet& packet, Context& context) mutable {
      if (payload_of(packet) == payload && left-- > 0) context.drop(packet, 0);
    };
  }
  static std::string steps(const FlowOutcome& flow) {
    std::string text;
    for (std::size_t k = 0; k < kSteps; ++k) text += flow.p(k) ? 'P' : '-';
    return text;
  }
  static double seconds(Instant time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count() - 1e6;
  }
};

constexpr EndpointModel kOpen = EndpointModel::kOpen;
constexpr EndpointModel kClosed = EndpointModel::kClosed;

TEST_F(ReplayTest, AFlowThatNothingHappensToHoldsAllSteps) {
  for (const EndpointModel model : {kOpen, kClosed}) {
    Workload workload;
    const RunOutcome& outcome = workload.conversation().run(model);
    EXPECT_EQ(steps(outcome.flow(1)), "PPPP");
    EXPECT_EQ(outcome.flow(1).deliveries, 9u);
    EXPECT_EQ(outcome.packet(9).place, 9u);
    EXPECT_TRUE(outcome.falls.empty());
  }
}

TEST_F(ReplayTest, OpenLoopPreventsWhatALossWouldHavePrevented) {
  lose("ask", 1);
  Workload workload;
  const RunOutcome& outcome = workload.conversation().run(kOpen);
  EXPECT_EQ(steps(outcome.flow(1)), "----");
  EXPECT_EQ(outcome.packet(4).verdict, Verdict::kDrop);
  EXPECT_EQ(outcome.packet(5).verdict, Verdict::kPrevented) << "it answers what never came";
  EXPECT_EQ(outcome.packet(6).verdict, Verdict::kPrevented);
  ASSERT_EQ(outcome.falls.size(), 4u);
  for (const StepFall& fall : outcome.falls) {
    EXPECT_EQ(fall.packet, 4u);
    EXPECT_EQ(fall.function, 0);
    EXPECT_EQ(fall.why, StepFall::Why::kDropped);
  }
}

TEST_F(ReplayTest, ClosedLoopOffersALostSegmentAgainAndKeepsTheGaps) {
  lose("ask", 1);
  Workload workload;
  const RunOutcome& outcome = workload.conversation().run(kClosed);
  EXPECT_EQ(steps(outcome.flow(1)), "--PP") << "the streams are whole in the end";
  EXPECT_EQ(outcome.packet(4).sendings, 2);
  EXPECT_NEAR(seconds(outcome.packet(4).delivered), 2.0, 1e-6) << "a second after the first time";
  EXPECT_NEAR(seconds(outcome.packet(5).sent), 2.0, 1e-6) << "it was due and only waited for that";
  EXPECT_EQ(outcome.flow(1).undelivered, 0u);
}

TEST_F(ReplayTest, WhatWaitedDelaysTheRestOfItsFlow) {
  lose("ask", 2);
  Workload workload;
  const RunOutcome& outcome = workload.conversation().run(kClosed);
  EXPECT_NEAR(seconds(outcome.packet(4).delivered), 4.0, 1e-6) << "3 s after it was sent first";
  EXPECT_NEAR(seconds(outcome.packet(5).sent), 4.0, 1e-6);
  EXPECT_NEAR(seconds(outcome.packet(6).sent), 5.0, 1e-6);
  EXPECT_NEAR(seconds(outcome.packet(9).sent), 6.6, 1e-6) << "past the capture's end";
  EXPECT_EQ(steps(outcome.flow(1)), "--PP");
}

TEST_F(ReplayTest, ASenderGivesUpAfterSixMoreTries) {
  lose("ask", 6);
  Workload patient;
  const RunOutcome& last = patient.conversation().run(kClosed);
  EXPECT_NEAR(seconds(last.packet(4).delivered), 64.0, 1e-6);
  EXPECT_EQ(last.packet(4).sendings, 7);
  EXPECT_TRUE(last.flow(1).p(3));
  lose("ask", 7);
  Workload hopeless;
  const RunOutcome& outcome = hopeless.conversation().run(kClosed);
  EXPECT_EQ(outcome.packet(4).sendings, 7);
  EXPECT_EQ(steps(outcome.flow(1)), "----");
  for (std::uint64_t n = 5; n <= 9; ++n) {
    EXPECT_EQ(outcome.packet(n).verdict, Verdict::kPrevented) << n;
    EXPECT_EQ(outcome.packet(n).sendings, 0) << n;
  }
}

TEST_F(ReplayTest, OtherFlowsDoNotWait) {
  lose("ask", 2);
  Workload workload;
  workload.at(0.0, client().flags("S").seq(100)).at(0.1, server().flags("SA").seq(500).ack(101));
  workload.at(0.2, client().flags("A").seq(101).ack(501));
  workload.at(1.0, client().flags("PA").seq(101).ack(501).payload("ask"));
  workload.at(1.5, frame().udp("192.168.1.3:5", "198.51.100.1:9").payload("q"));
  workload.at(1.6, frame().udp("198.51.100.1:9", "192.168.1.3:5").payload("r"));
  workload.at(2.0, server().flags("PA").seq(501).ack(104).payload("answer"));
  const RunOutcome& outcome = workload.run(kClosed);
  EXPECT_NEAR(seconds(outcome.packet(6).delivered), 1.6, 1e-6);
  EXPECT_EQ(steps(outcome.flow(2)), "PPPP");
}

TEST_F(ReplayTest, NobodyAnswersADatagramThatNeverCame) {
  lose("q1", 1);
  for (const EndpointModel model : {kOpen, kClosed}) {
    Workload workload;
    workload.at(0, frame().udp("192.168.1.3:5", "198.51.100.1:9").payload("q1"));
    workload.at(1, frame().udp("198.51.100.1:9", "192.168.1.3:5").payload("r1"));
    lose("q1", 1);
    const RunOutcome& outcome = workload.run(model);
    EXPECT_EQ(outcome.packet(2).verdict, Verdict::kPrevented);
    EXPECT_EQ(steps(outcome.flow(1)), "----");
  }
}

TEST_F(ReplayTest, OneDatagramOfEveryRunIsEnoughToComplete) {
  lose("q2", 1);
  Workload workload;
  workload.at(0, frame().udp("192.168.1.3:5", "198.51.100.1:9").payload("q1"));
  workload.at(0.1, frame().udp("192.168.1.3:5", "198.51.100.1:9").payload("q2"));
  workload.at(0.2, frame().udp("198.51.100.1:9", "192.168.1.3:5").payload("r"));
  EXPECT_EQ(steps(workload.run(kOpen).flow(1)), "---P");
  lose("q2", 1);
  Workload slow;
  slow.at(0, frame().udp("192.168.1.3:5", "198.51.100.1:9").payload("q1"));
  slow.at(1.1, frame().udp("192.168.1.3:5", "198.51.100.1:9").payload("q2"));
  slow.at(1.2, frame().udp("198.51.100.1:9", "192.168.1.3:5").payload("r"));
  EXPECT_EQ(steps(slow.run(kOpen).flow(1)), "----") << "a run ends after a second";
}

// Two fragments, an answer; and the first fragment of a datagram that never becomes whole.
Workload fragments() {
  const auto part = [](std::uint16_t id, std::string_view text) {
    return frame().udp("192.168.1.2:1000", "198.51.100.1:53").id(id).more_fragments().payload(text);
  };
  const auto rest = frame()
                        .ip("192.168.1.2", "198.51.100.1", 17)
                        .id(7)
                        .fragment_offset(16)
                        .payload("and the rest");
  Workload workload;
  workload.at(0.0, part(7, "question").build()).at(0.001, rest.build());
  workload.at(0.1, frame().udp("198.51.100.1:53", "192.168.1.2:1000").payload("answer").build());
  workload.at(0.2, part(8, "no more.").build());
  return workload;
}

TEST_F(ReplayTest, FragmentsThatMakeNoDatagramAreMissedByNobody) {
  Workload all = fragments();
  EXPECT_EQ(steps(all.run(kOpen).flow(1)), "PPPP");
  script = [](Packet& packet, Context& context) {
    if (payload_of(packet) == "no more.") context.drop(packet, 0);
  };
  Workload workload = fragments();
  const RunOutcome& outcome = workload.run(kOpen);
  EXPECT_EQ(outcome.packet(4).verdict, Verdict::kDrop);
  EXPECT_EQ(steps(outcome.flow(1)), "-PPP");
}

TEST_F(ReplayTest, OneLostFragmentLosesItsDatagram) {
  script = [](Packet& packet, Context& context) {
    if (packet.has(kLaterFragment)) context.drop(packet, 0);
  };
  Workload workload = fragments();
  const RunOutcome& outcome = workload.run(kOpen);
  EXPECT_EQ(steps(outcome.flow(1)), "---P");
  ASSERT_FALSE(outcome.falls.empty());
  EXPECT_EQ(outcome.falls.back().packet, 2u);
}

TEST_F(ReplayTest, ChangedPayloadIsAnotherStreamThatCompletes) {
  script = [](Packet& packet, Context& context) {
    if (payload_of(packet) != "answer") return;
    const std::array<std::uint8_t, 1> letter = {'A'};
    context.edit(packet).replace_payload(0, 1, letter, context.pool());
  };
  Workload workload;
  const RunOutcome& outcome = workload.conversation().run(kClosed);
  EXPECT_EQ(steps(outcome.flow(1)), "---P");
  ASSERT_EQ(outcome.falls.size(), 3u);
  EXPECT_EQ(outcome.falls[2].step, 2);
  EXPECT_EQ(outcome.falls[2].packet, 5u);
  EXPECT_EQ(outcome.falls[2].why, StepFall::Why::kOther);
  EXPECT_EQ(outcome.falls[2].function, 0);
}

TEST_F(ReplayTest, RouterNormalChangeIsNoLossToTheEndpoints) {
  script = [](Packet& packet, Context& context) { context.edit(packet).set_ttl(9); };
  Workload workload;
  EXPECT_EQ(steps(workload.conversation().run(kOpen).flow(1)), "-PPP");
}

TEST_F(ReplayTest, AnotherPortInTheMiddleEndsTheFlow) {
  script = [](Packet& packet, Context& context) {
    if (payload_of(packet) == "more") context.edit(packet).set_source_port(4711);
  };
  for (const EndpointModel model : {kOpen, kClosed}) {
    Workload workload;
    const RunOutcome& outcome = workload.conversation().run(model);
    EXPECT_EQ(outcome.packet(6).reception, Reception::kRejected);
    EXPECT_EQ(outcome.packet(8).verdict, Verdict::kPrevented) << "its sender was answered by RST";
    EXPECT_EQ(steps(outcome.flow(1)), "----");
    EXPECT_EQ(outcome.falls[3].why, StepFall::Why::kRejected);
    EXPECT_EQ(outcome.falls[3].packet, 6u);
    EXPECT_EQ(outcome.falls[3].function, 0);
  }
}

TEST_F(ReplayTest, AResetOfTheBoxsOwnEndsTheFlow) {
  script = [](Packet& packet, Context& context) {
    if (payload_of(packet) != "answer") return;
    const Bytes reset = server().flags("R").seq(501);
    rte_mbuf* mbuf = make_mbuf(context.pool(), reset);
    context.inject(mbuf, Side::kInside, nullptr, &packet);
  };
  Workload workload;
  const RunOutcome& outcome = workload.conversation().run(kClosed);
  EXPECT_EQ(steps(outcome.flow(1)), "----");
  EXPECT_EQ(outcome.flow(1).injected, 1u);
  EXPECT_EQ(outcome.packet(6).verdict, Verdict::kPrevented) << "the client is reset";
}

// Puts "!!!" in front of "more", and keeps both directions in step.
void splice(Packet& packet, Context& context, bool translate_back) {
  const bool to_server = packet.ingress == Side::kInside;
  const auto* tcp = packet.at_offset<rte_tcp_hdr>(packet.l4);
  const std::uint32_t seq = rte_be_to_cpu_32(tcp->sent_seq);
  const std::uint32_t ack = rte_be_to_cpu_32(tcp->recv_ack);
  if (to_server && payload_of(packet) == "more") {
    const std::array<std::uint8_t, 3> text = {'!', '!', '!'};
    context.spliced(packet, seq, 0, 3);
    context.edit(packet).replace_payload(0, 0, text, context.pool());
  } else if (to_server && seq >= 108) {
    context.edit(packet).set_tcp_seq(seq + 3);
  } else if (!to_server && ack > 107 && translate_back) {
    context.edit(packet).set_tcp_ack(ack - 3);
  }
}

TEST_F(ReplayTest, HostsSpeakOfTheStreamThatTheySaw) {
  std::vector<std::uint32_t> acks;
  script = [&](Packet& packet, Context& context) {
    if (packet.ingress == Side::kOutside) {
      acks.push_back(rte_be_to_cpu_32(packet.at_offset<rte_tcp_hdr>(packet.l4)->recv_ack));
    }
    splice(packet, context, true);
  };
  for (const EndpointModel model : {kOpen, kClosed}) {
    acks.clear();
    Workload workload;
    const RunOutcome& outcome = workload.conversation().run(model);
    EXPECT_EQ(steps(outcome.flow(1)), "---P");
    EXPECT_EQ(outcome.falls[2].why, StepFall::Why::kSpliced);
    EXPECT_EQ(acks, (std::vector<std::uint32_t>{101, 104, 111, 112})) << "three bytes more";
  }
}

TEST_F(ReplayTest, AForgottenSpliceIsASequenceSpaceThatNobodyKnows) {
  script = [](Packet& packet, Context& context) {
    const bool later =
        packet.ingress == Side::kInside && (packet.tcp_flags & RTE_TCP_FIN_FLAG) != 0;
    if (!later) splice(packet, context, true);
  };
  Workload forward;
  EXPECT_EQ(forward.conversation().run(kClosed).packet(8).reception, Reception::kRejected);
  script = [](Packet& packet, Context& context) { splice(packet, context, false); };
  Workload back;
  const RunOutcome& outcome = back.conversation().run(kClosed);
  EXPECT_EQ(outcome.packet(7).reception, Reception::kRejected)
      << "it acknowledges what the client never sent";
  EXPECT_FALSE(outcome.flow(1).p(3));
}

// Keeps the last byte back until more comes, and so makes all but the first and the last segment
// leave as long as they came.
void withhold(Packet& packet, Context& context) {
  const std::string payload = payload_of(packet);
  if (packet.ingress != Side::kOutside || payload.empty()) return;
  const auto* tcp = packet.at_offset<rte_tcp_hdr>(packet.l4);
  const std::uint32_t seq = rte_be_to_cpu_32(tcp->sent_seq);
  const std::string sent = std::string(seq == 501 ? "" : "d") + payload;
  const std::string leaves = payload == "ij" ? sent : sent.substr(0, sent.size() - 1);
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(leaves.data()), leaves.size());
  Editor editor = context.edit(packet);
  editor.replace_payload(0, static_cast<std::uint32_t>(payload.size()), bytes, context.pool());
  if (seq != 501) editor.set_tcp_seq(seq - 1);
}

TEST_F(ReplayTest, WhatWaitsForWithheldBytesDoesNotStopTheOtherEnd) {
  Workload workload;
  workload.at(0.0, client().flags("S").seq(100)).at(0.1, server().flags("SA").seq(500).ack(101));
  workload.at(0.2, client().flags("A").seq(101).ack(501));
  workload.at(1.0, client().flags("PA").seq(101).ack(501).payload("ask"));
  workload.at(2.0, server().flags("PA").seq(501).ack(104).payload("abcd"));
  workload.at(2.1, client().flags("A").seq(104).ack(505));
  workload.at(2.2, server().flags("PA").seq(505).ack(104).payload("efgh"));
  workload.at(2.3, client().flags("A").seq(104).ack(509));
  workload.at(2.4, server().flags("PA").seq(509).ack(104).payload("ij"));
  workload.at(2.5, client().flags("PA").seq(104).ack(511).payload("more"));
  workload.at(2.6, server().flags("FA").seq(511).ack(108));
  workload.at(2.7, client().flags("FA").seq(108).ack(512));
  script = withhold;
  const RunOutcome& outcome = workload.run(kClosed);
  EXPECT_TRUE(outcome.flow(1).p(3));
  for (std::uint64_t n = 1; n <= 12; ++n) {
    EXPECT_EQ(outcome.packet(n).reception, Reception::kAccepted) << n;
  }
  EXPECT_NEAR(seconds(outcome.packet(6).sent), 2.2, 1e-6) << "when the rest had arrived";
  EXPECT_NEAR(seconds(outcome.packet(7).sent), 2.2, 1e-6) << "at its own time";
  EXPECT_GE(outcome.packet(11).sent, outcome.packet(10).sent) << "an answer, after its request";
}

TEST_F(ReplayTest, TwoRunsAreTheSameAlsoSideBySide) {
  // A script that depends on the packet alone: it is shared by all runs.
  script = [](Packet& packet, Context& context) {
    if (payload_of(packet).find('3') != std::string::npos &&
        packet.time < Instant(std::chrono::seconds(1'000'003))) {
      context.drop(packet, 0);
    }
  };
  Workload workload;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const std::string port = std::to_string(2000 + i % 20);
    const std::string from = "192.168.1.2:" + port;
    const std::uint32_t seq = 100 + 3 * (i / 20);
    workload.at(0.01 * i, frame()
                              .tcp(from, kServer)
                              .flags(i < 20 ? "S" : "PA")
                              .seq(i < 20 ? 99 : seq)
                              .payload(i < 20 ? "" : std::to_string(100 + i % 37)));
  }
  workload.load();
  std::array<RunOutcome, 4> outcomes;
  std::vector<std::thread> threads;
  for (RunOutcome& outcome : outcomes) {
    threads.emplace_back([&] {
      Replay replay(workload.config(), workload.image(), workload.index(),
                    {.endpoints = EndpointModel::kClosed});
      replay.run();
      outcome = replay.take_outcome();
    });
  }
  for (std::thread& thread : threads) thread.join();
  bool again = false;
  for (std::size_t run = 1; run < outcomes.size(); ++run) {
    for (std::size_t i = 0; i < outcomes[0].flows.size(); ++i) {
      ASSERT_EQ(outcomes[run].flows[i].digest, outcomes[0].flows[i].digest);
    }
    for (std::size_t i = 0; i < outcomes[0].packets.size(); ++i) {
      ASSERT_EQ(outcomes[run].packets[i].delivered, outcomes[0].packets[i].delivered);
      again = again || outcomes[0].packets[i].sendings > 1;
    }
  }
  EXPECT_TRUE(again);
}

// --- packets of several flows in one turn ------------------------------------------------------

Frame there(int flow, const std::string& payload) {
  return frame().udp("192.168.1.2:" + std::to_string(2000 + flow), kServer).payload(payload);
}
Frame back(int flow, const std::string& payload) {
  return frame().udp(kServer, "192.168.1.2:" + std::to_string(2000 + flow)).payload(payload);
}

// The first packets of flows, which say that the client is inside.
void open(Workload& workload, const std::vector<int>& flows) {
  for (const int flow : flows) workload.at(0, there(flow, "open"));
}

// The lines of --packets, each as "n verdict>out out".
std::vector<std::string> lines_of(Workload& workload) {
  workload.load();
  const std::string path = ::testing::TempDir() + "lines-" + std::to_string(getpid());
  Result<OutputFile> file = OutputFile::open(path);
  Replay replay(workload.config(), workload.image(), workload.index(),
                {.files = {.packets = &*file}});
  replay.run();
  EXPECT_TRUE(file->finish().ok());
  std::ifstream written(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(written, line);) {
    const auto json = nlohmann::json::parse(line);
    std::string text = json["n"].dump() + " " + json["verdict"].get<std::string>();
    for (const auto& out : json["out"]) text += " " + out["n"].dump();
    lines.push_back(text);
  }
  std::filesystem::remove(path);
  return lines;
}

TEST_F(ReplayTest, PacketsOfSeveralFlowsMeetTheBoxInTheirOrderAndAtTheirTime) {
  std::vector<std::pair<std::string, double>> met;
  script = [&](Packet& packet, Context& context) {
    met.emplace_back(payload_of(packet), seconds(context.now()));
  };
  Workload workload;
  std::vector<std::pair<std::string, double>> expected;
  double began = 0;
  for (int i = 0; i < 300; ++i) {
    // Both sides, stretches of one to three packets, flows that come again after a while.
    const bool outward = i < 20 || i / (1 + i % 3) % 2 == 0;
    const bool was_outward = i > 0 && (i - 1 < 20 || (i - 1) / (1 + (i - 1) % 3) % 2 == 0);
    const std::string payload = "packet " + std::to_string(i);
    const double time = 0.0001 * i;
    if (i == 0 || outward != was_outward) began = time;
    workload.at(time, outward ? Bytes(there(i % 20, payload)) : Bytes(back(i % 20, payload)));
    expected.emplace_back(payload, began);
  }
  const RunOutcome& outcome = workload.run(kOpen);
  ASSERT_EQ(met.size(), expected.size());
  for (std::size_t i = 0; i < met.size(); ++i) {
    EXPECT_EQ(met[i].first, expected[i].first);
    // Samples of state end a batch; else it is the time of its first packet.
    EXPECT_GE(met[i].second, expected[i].second - 1e-6) << i;
    EXPECT_LE(met[i].second, 0.0001 * static_cast<double>(i) + 1e-6) << i;
  }
  for (FlowNumber flow = 1; flow <= 20; ++flow) EXPECT_EQ(steps(outcome.flow(flow)), "PPPP");
}

TEST_F(ReplayTest, AnAnswerWaitsForWhatBecameOfTheQuestionThoughOthersCameBetween) {
  script = [](Packet& packet, Context& context) {
    if (payload_of(packet) == "question 1") context.drop(packet, 0);
  };
  Workload workload;
  open(workload, {2, 3, 4});
  workload.at(0.0004, there(1, "question 1")).at(0.0005, back(3, "x"));
  workload.at(0.0006, there(2, "question 2")).at(0.0007, back(2, "answer 2"));
  workload.at(0.0008, back(1, "answer 1")).at(0.0009, there(4, "x"));
  EXPECT_EQ(lines_of(workload),
            (std::vector<std::string>{"1 forward 1", "2 forward 2", "3 forward 3", "4 drop",
                                      "5 forward 4", "6 forward 5", "7 forward 6", "8 prevented",
                                      "9 forward 7"}));
}

TEST_F(ReplayTest, WhatTheBoxMakesComesBehindItsCauseAndAheadOfWhatFollows) {
  script = [](Packet& packet, Context& context) {
    if (payload_of(packet) != "make") return;
    const Bytes bytes = back(9, "made");
    rte_mbuf* mbuf = make_mbuf(context.pool(), bytes);
    context.inject(mbuf, Side::kInside, nullptr, &packet);
  };
  Workload workload;
  open(workload, {1, 2, 3});
  workload.at(0.0004, there(1, "make")).at(0.0005, back(2, "x")).at(0.0006, there(3, "x"));
  workload.at(0.0007, back(1, "make")).at(0.0008, there(2, "x"));
  // What leaves by the inside is told first.
  EXPECT_EQ(lines_of(workload),
            (std::vector<std::string>{"1 forward 1", "2 forward 2", "3 forward 3", "4 forward 5",
                                      "null inject 4", "5 forward 6", "6 forward 7", "7 forward 8",
                                      "null inject 9", "8 forward 10"}));
}

TEST_F(ReplayTest, WhatIsHeldLeavesBehindTheOtherFlowsPacketThatSetsItFree) {
  std::vector<Held> kept;
  script = [&](Packet& packet, Context& context) {
    if (payload_of(packet) == "hold") kept.push_back(context.hold(packet));
    if (payload_of(packet) != "free") return;
    for (Held& held : kept) context.release(std::move(held), &packet);
    kept.clear();
  };
  Workload workload;
  open(workload, {2, 3, 4, 5});
  workload.at(0.0005, there(1, "hold")).at(0.0006, back(2, "x")).at(0.0007, there(3, "x"));
  workload.at(0.0008, back(4, "free")).at(0.0009, there(5, "x")).at(0.0010, back(1, "answer"));
  EXPECT_EQ(lines_of(workload),
            (std::vector<std::string>{"1 forward 1", "2 forward 2", "3 forward 3", "4 forward 4",
                                      "5 forward 8", "6 forward 5", "7 forward 6", "8 forward 7",
                                      "9 forward 9", "10 forward 10"}));
}

}  // namespace
}  // namespace glassbox::test
