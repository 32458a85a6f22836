// SPDX-License-Identifier: BSD-3-Clause
//
// What is settled of a workload before it runs: what policy refuses by content, what is encrypted,
// how long flows are silent.
#include "control/replay/intents.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/packets.h"

namespace glassbox::test {
namespace {

constexpr const char* kServer = "198.51.100.1:80";

class Workload {
 public:
  Workload& say(const Frame& frame) {
    const Bytes bytes = frame.build();
    const auto word = [&](std::uint64_t value) {
      for (int i = 0; i < 4; ++i) file_ += static_cast<char>(value >> (8 * i));
    };
    micros_ += 10'000;
    word(1'000'000 + micros_ / 1'000'000), word(micros_ % 1'000'000);
    word(bytes.size()), word(bytes.size());
    file_.append(bytes.begin(), bytes.end());
    return *this;
  }
  Workload& wait(int seconds) {
    micros_ += static_cast<std::uint64_t>(seconds) * 1'000'000;
    return *this;
  }
  // A connection in which the client says these segments, one answer behind each.
  Workload& connection(const std::string& client, const std::vector<std::string>& texts) {
    std::uint32_t up = 100;
    std::uint32_t down = 500;
    const auto from_client = [&](const char* flags, const std::string& text) {
      say(frame().tcp(client, kServer).flags(flags).seq(up).ack(down).payload(text));
    };
    const auto from_server = [&](const char* flags, const std::string& text) {
      say(frame().tcp(kServer, client).flags(flags).seq(down).ack(up).payload(text));
    };
    say(frame().tcp(client, kServer).flags("S").seq(up++));
    from_server("SA", "");
    ++down;
    from_client("A", "");
    for (const std::string& text : texts) {
      from_client("PA", text);
      up += static_cast<std::uint32_t>(text.size());
      from_server("A", "");
    }
    return *this;
  }
  void load() {
    const std::string path = ::testing::TempDir() + "intents-" + std::to_string(getpid()) + ".pcap";
    std::ofstream(path, std::ios::binary) << file_;
    image_ = std::make_unique<CaptureImage>(std::vector{path}, [](double) {});
    std::filesystem::remove(path);
    index_ =
        std::make_unique<FlowIndex>(*image_, SideChoice{}, std::vector<Prefix>{}, [](double) {});
  }
  std::vector<FlowIntent> intents(const std::string& chain) {
    load();
    const Config config = parse_config("chain: " + chain + "\n", "test.yaml", functions());
    return settle_intents(config, *image_, *index_, {});
  }
  Report replay(const std::string& chain) {
    load();
    const Config config = parse_config("chain: " + chain + "\n", "test.yaml", functions());
    Replay::Setup setup;
    const std::vector<FlowIntent> intents = settle_intents(config, *image_, *index_, setup);
    setup.intents = &intents;
    Replay replay(config, *image_, *index_, setup);
    replay.run();
    Report report;
    replay.fill(report);
    return report;
  }
  const FlowIndex& index() const { return *index_; }

 private:
  std::string file_ =
      std::string("\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\1\0\0\0", 24);
  std::uint64_t micros_ = 0;
  std::unique_ptr<CaptureImage> image_;
  std::unique_ptr<FlowIndex> index_;
};

const char* kEnforcing = "{ inspect: { rules: [{ id: 1, pattern: forbidden, action: drop }] } }";

TEST(Intents, ContentRulesAreJudgedOnTheStream) {
  Workload workload;
  workload.connection("192.168.1.2:1000", {"what is for", "bidden"});  // in two segments
  workload.connection("192.168.1.2:1001", {"what is allowed"});
  const auto alone = workload.intents(std::string("[") + kEnforcing + "]");
  EXPECT_EQ(alone, (std::vector{FlowIntent::kRefused, FlowIntent::kWanted}));
  // Over a wire: it does not matter what stands ahead of it in the chain.
  const auto behind = workload.intents(std::string("[{ nat44: { pool: 203.0.113.1 } }, ") +
                                       kEnforcing + ", firewall]");
  EXPECT_EQ(behind, alone);
  const auto logging =
      workload.intents("[{ inspect: { rules: [{ id: 1, pattern: forbidden }] } }]");
  EXPECT_EQ(logging, (std::vector{FlowIntent::kWanted, FlowIntent::kWanted}));
}

TEST(Intents, WhatAContentRuleDropsIsIntended) {
  Workload workload;
  workload.connection("192.168.1.2:1000", {"forbidden"});
  workload.connection("192.168.1.2:1001", {"allowed"});
  const Report report = workload.replay(std::string("[") + kEnforcing + "]");
  ASSERT_FALSE(report.drops.empty());
  for (const DropRow& row : report.drops) EXPECT_EQ(row.intended, true) << row.reason;
  EXPECT_EQ(report.flows->refused, 1u);
  EXPECT_EQ(report.staircase->of, 1u);
  EXPECT_EQ(report.staircase->reached[3], 1u) << "what is refused is no headline";
}

TEST(Workload, EncryptedFlowsAreOpaque) {
  const std::string hello("\x16\x03\x01\x00\x20\x01\x00\x00\x1c", 9);
  const std::string quic = std::string("\xc3\x00\x00\x00\x01\x08", 6) + std::string(50, 'q');
  Workload workload;
  workload.connection("192.168.1.2:1000", {hello, "0123456789"});
  workload.connection("192.168.1.2:1001", {"SSH-2.0-test\r\n"});
  workload.connection("192.168.1.2:1002", {"GET / HTTP/1.1\r\n\r\n"});
  workload.say(frame().udp("192.168.1.2:1003", "198.51.100.1:443").payload(quic));
  const Report report =
      workload.replay("[{ inspect: { rules: [{ id: 1, protocol: tcp, pattern: nowhere }] } }]");
  EXPECT_EQ(report.payload->presented, 19u + 14u + 18u + 56u);
  EXPECT_EQ(report.payload->forwarded, report.payload->presented);
  EXPECT_EQ(report.payload->opaque, 19u + 14u + 56u);
  EXPECT_EQ(report.payload_bytes_read, 19u + 14u + 18u) << "the rule is for TCP";
  EXPECT_EQ(report.payload_bytes_read_at_most, report.payload_bytes_read);
}

TEST(Workload, TimersLongerThanAnySilenceAreNotExercised) {
  Workload workload;
  workload.connection("192.168.1.2:1000", {"before"}).wait(100);
  workload.say(frame().tcp("192.168.1.2:1000", kServer).flags("A").seq(107).ack(501).payload(""));
  const Report report = workload.replay("[{ firewall: { udp: 60s } }]");
  EXPECT_NEAR(*report.workload.longest_gap, 100, 0.1);
  for (const TimerRow& timer : report.timers) {
    EXPECT_EQ(timer.exercised, timer.seconds <= 100.1) << timer.parameter;
  }
}

TEST(Workload, SharesComeByProtocolDirectionAndBytes) {
  Workload workload;
  workload.connection("192.168.1.2:1000", {"0123456789"});
  workload.say(frame().udp("192.168.1.2:1003", "198.51.100.1:53").payload("ask"));
  workload.say(frame().udp("198.51.100.1:53", "192.168.1.2:1003").payload("tell"));
  const Report report = workload.replay("[]");
  ASSERT_EQ(report.strata.size(), 2u);
  EXPECT_EQ(report.strata[0].protocol, "tcp");
  EXPECT_EQ(report.strata[0].initiator, Side::kInside);
  EXPECT_EQ(report.strata[0].staircase.of, 1u);
  EXPECT_EQ(report.strata[1].protocol, "udp");
  EXPECT_EQ(report.strata[1].staircase.bytes, 45u + 46u);
  EXPECT_EQ(report.staircase->bytes,
            report.strata[0].staircase.bytes + report.strata[1].staircase.bytes);
  EXPECT_EQ(report.staircase->reached_bytes[0], report.staircase->bytes);
}

}  // namespace
}  // namespace glassbox::test
