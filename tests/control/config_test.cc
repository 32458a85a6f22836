// SPDX-License-Identifier: BSD-3-Clause
#include "control/config.h"

#include <gtest/gtest.h>

#include <array>

#include "control/value_text.h"
#include "tests/control/toy_function.h"

namespace glassbox {
namespace {

using testing::toys;

Config parse(const std::string& text) { return parse_config(text, "dir/x.yaml", toys()); }

std::string error_of(const std::string& text) {
  try {
    parse(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Config, EmptyChainIsTheWire) {
  const Config config = parse("mode: wire\nchain: []\n");
  EXPECT_TRUE(config.chain.empty());
  EXPECT_TRUE(build_chain(config, {}).empty());
  EXPECT_EQ(config.mode, Mode::kWire);
  EXPECT_EQ(config.dataplane.sessions, 262144u);
  EXPECT_EQ(config.dataplane.fragments, 4096u);
  EXPECT_EQ(config.dataplane.fragment_lifetime, std::chrono::seconds(30));
}

TEST(Config, EveryTypeOfValueIsRead) {
  const Config config = parse(R"(
inside: { port: net_tap0 }
inside_networks: [192.168.0.0/16, "fd00::/8", 203.0.113.1]
dataplane: { sessions: 7, fragment_lifetime: 250ms, seed: 9 }
eal: ["-l", 0]
chain:
  - plain
  - toy:
      pool: 198.51.100.7
      ports: 80
      idle: 2h
      entries: 12
      pickup: loose
      log: true
      note: "a: b"
      rules:
        - { action: drop, from: [10.0.0.0/8, 10.1.0.0/16] }
        - { action: accept, port: 1-2 }
)");
  EXPECT_EQ(config.inside.port, "net_tap0");
  EXPECT_EQ(config.inside_networks.size(), 3u);
  EXPECT_EQ(text_of(config.inside_networks[1]), "fd00::/8");
  EXPECT_EQ(text_of(config.inside_networks[2]), "203.0.113.1/32");
  EXPECT_EQ(config.dataplane.sessions, 7u);
  EXPECT_EQ(config.dataplane.fragment_lifetime, std::chrono::milliseconds(250));
  EXPECT_EQ(config.dataplane.seed, 9u);
  EXPECT_EQ(config.eal, (std::vector<std::string>{"-l", "0"}));
  ASSERT_EQ(config.chain.size(), 2u);
  EXPECT_EQ(config.chain[0].type->spec.name, "plain");
  const Settings& toy = config.chain[1].settings;
  EXPECT_EQ(text_of(toy.prefixes("pool").at(0)), "198.51.100.7/32");
  EXPECT_EQ(toy.ports("ports").last, 80);
  EXPECT_EQ(toy.duration("idle"), std::chrono::hours(2));
  EXPECT_EQ(toy.integer("entries"), 12);
  EXPECT_EQ(toy.text("pickup"), "loose");
  EXPECT_TRUE(toy.boolean("log"));
  EXPECT_EQ(toy.text("note"), "a: b");
  EXPECT_EQ(toy.where("note").line, 15);
  ASSERT_EQ(toy.rows("rules").size(), 2u);
  EXPECT_EQ(toy.rows("rules")[0].prefixes("from").size(), 2u);
  EXPECT_EQ(toy.rows("rules")[0].where().line, 17);
  EXPECT_FALSE(toy.rows("rules")[1].given("from"));
  EXPECT_EQ(toy.rows("rules")[1].ports("port").last, 2);
}

TEST(Config, WhatIsNotWrittenIsTheDefault) {
  const Settings toy = parse("chain:\n  - toy: { pool: 192.0.2.0/24 }\n").chain[0].settings;
  EXPECT_EQ(toy.duration("idle"), std::chrono::minutes(5));
  EXPECT_EQ(toy.ports("ports").first, 1024);
  EXPECT_EQ(toy.text("pickup"), "strict");
  EXPECT_TRUE(toy.rows("rules").empty());
  EXPECT_FALSE(toy.given("note"));
}

struct Wrong {
  const char* text;
  const char* error;
};

// A toy with one more line, which is line 4 of the file.
std::string toy_with(const std::string& line) {
  return "chain:\n  - toy:\n      pool: 192.0.2.0/24\n      " + line + "\n";
}

TEST(Config, ErrorsOfValuesNamePlaceAndForm) {
  const std::array<Wrong, 26> cases = {{
      {"prot: 80",
       "unknown key 'prot' (known: pool, ports, idle, entries, pickup, log, note, rules); did you "
       "mean 'ports'?"},
      {"xyzzy: 1",
       "unknown key 'xyzzy' (known: pool, ports, idle, entries, pickup, log, note, rules)"},
      {"pool: 192.0.3.0/24", "duplicate key 'pool' (the first is on line 3)"},
      {"entries: many", "entries: expected a whole number, such as 1000, not 'many'"},
      {"entries: 1.5", "entries: expected a whole number, such as 1000, not '1.5'"},
      {"entries: [1]", "entries: expected a whole number, such as 1000, not a list"},
      {"entries: 0", "entries: 0 is out of range: 1 to 5000"},
      {"entries: 5001", "entries: 5001 is out of range: 1 to 5000"},
      {"entries: 99999999999999999999",
       "entries: expected a whole number, such as 1000, not '99999999999999999999'"},
      {"entries:", "entries: has no value"},
      {"idle: 300",
       "idle: '300' has no unit: write 300s for seconds (units: ns, us, ms, s, min, h, d)"},
      {"idle: 5 parsecs",
       "idle: expected a number and a unit (ns, us, ms, s, min, h, d), such as 300s, not '5 "
       "parsecs'"},
      {"idle: -5s",
       "idle: expected a number and a unit (ns, us, ms, s, min, h, d), such as 300s, not '-5s'"},
      {"idle: 250ms", "idle: 250ms is out of range: 1s to 1d"},
      {"idle: 999999999999d", "idle: 999999999999d is out of range: 1s to 1d"},
      {"pickup: lose",
       "pickup: unknown value 'lose' (known: strict, loose); did you mean 'loose'?"},
      {"log: yes", "log: expected true or false, not 'yes'"},
      {"note: { a: b }", "note: expected text, not a map"},
      {"ports: 2000-1000", "ports: the range 2000-1000 is reversed: write 1000-2000"},
      {"ports: 0-80", "ports: port 0 is out of range: 1 to 65535"},
      {"ports: 1-65536", "ports: port 65536 is out of range: 1 to 65535"},
      {"ports: http", "ports: expected a port or a range of ports, such as 1024-65535, not 'http'"},
      {"rules: [drop]", "rules: expected a map with action, from, port, not 'drop'"},
      {"rules: [{ from: 10.0.0.0/8 }]", "rules: missing key 'action': what to do"},
      {"rules: [{ action: drop, from: 10.0.0.1/8 }]",
       "rules: from: 10.0.0.1/8 has host bits set: the network is 10.0.0.0/8"},
      {"rules: [{ action: drop, colour: red }]",
       "rules: unknown key 'colour' (known: action, from, port)"},
  }};
  for (const Wrong& wrong : cases) {
    EXPECT_EQ(error_of(toy_with(wrong.text)), std::string("dir/x.yaml:4: toy: ") + wrong.error);
  }
}

TEST(Config, ErrorsOfPrefixesNameTheNetwork) {
  const auto pool = [](const std::string& text) {
    return error_of("chain:\n  - toy:\n      pool:\n        - 192.0.2.0/24\n        - " + text);
  };
  EXPECT_EQ(pool("203.0.113.77/28"),
            "dir/x.yaml:5: toy: pool: 203.0.113.77/28 has host bits set: the network is "
            "203.0.113.64/28");
  EXPECT_EQ(pool("\"fd00::1/8\""),
            "dir/x.yaml:5: toy: pool: fd00::1/8 has host bits set: the network is fd00::/8");
  const std::string form =
      "dir/x.yaml:5: toy: pool: expected a prefix or a list of them, such as "
      "[192.0.2.0/24, \"fd00::/8\"], not ";
  for (const char* bad : {"1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1", "::/129", "256.1.1.1"}) {
    EXPECT_EQ(pool(bad), form + "'" + bad + "'");
  }
}

TEST(Config, ErrorsOfTheFilesShapeNameTheLine) {
  const std::array<Wrong, 20> cases = {{
      {"chain: []\nchian: []\n",
       "2: unknown key 'chian' (known: inside, outside, mode, inside_networks, chain, dataplane, "
       "eal); did you mean 'chain'?"},
      {"chain: []\n\nchain: []\n", "3: duplicate key 'chain' (the first is on line 1)"},
      {"mode: wire\n", "1: missing key 'chain': a list of functions, [] for the wire"},
      {"chain: []\nmode: routed\n", "2: mode: routed is not available yet (known: wire)"},
      {"chain: []\nmode: wired\n",
       "2: mode: unknown value 'wired' (known: wire, routed); did you mean 'wire'?"},
      {"chain: []\nmode:\n", "2: mode: has no value"},
      {"- chain\n", "1: expected a map of keys and values, such as { inside: ... }, not a list"},
      {"chain:\n",
       "1: chain: expected a list of functions, such as [inspect], or [] for the wire, not "
       "nothing"},
      {"chain: { plain: {} }\n",
       "1: chain: expected a list of functions, such as [inspect], or [] for the wire, not a map"},
      {"chain:\n  - plain\n  - nat64\n", "3: chain: unknown function 'nat64' (known: toy, plain)"},
      {"chain:\n  - plian\n",
       "2: chain: unknown function 'plian' (known: toy, plain); did you mean 'plain'?"},
      {"chain: [wire]\n",
       "1: chain: unknown function 'wire' (known: toy, plain); the wire is the empty chain: "
       "'chain: []'"},
      {"chain:\n  - plain\n\n  - plain: {}\n", "4: plain: is in the chain twice (first on line 2)"},
      {"chain:\n  - plain:\n    pool: 1\n",
       "3: chain: one function in each entry, but 'pool' stands beside 'plain' (a parameter is "
       "indented further than its function)"},
      {"chain:\n  - []\n",
       "2: chain: expected a function, such as '- inspect' or '- nat44: { ... }', not a list"},
      {"chain:\n  - toy\n", "2: toy: missing key 'pool': external addresses"},
      {"chain:\n  - plain: { a: 1 }\n", "2: plain: unknown key 'a' (known: none)"},
      {"chain: []\ndataplane:\n  sesions: 3\n",
       "3: dataplane: unknown key 'sesions' (known: sessions, fragments, fragment_lifetime, seed); "
       "did you mean 'sessions'?"},
      {"chain: []\ninside: {}\n",
       "2: inside: missing key 'port': a DPDK device: net_tap0, net_af_packet0,iface=eth1, or a "
       "PCI address"},
      {"chain: []\neal: -l 0\n",
       "2: eal: expected a list of texts, such as [\"-l\", \"0\"], not '-l 0'"},
  }};
  for (const Wrong& wrong : cases) {
    EXPECT_EQ(error_of(wrong.text), std::string("dir/x.yaml:") + wrong.error);
  }
}

TEST(Config, SyntaxErrorsCarryLineAndColumn) {
  EXPECT_TRUE(error_of("chain: [\n").starts_with("dir/x.yaml:2:1: not YAML: "));
  EXPECT_TRUE(error_of("mode: wire\nchain: ]\n").starts_with("dir/x.yaml:2:8: not YAML: "))
      << error_of("mode: wire\nchain: ]\n");
  EXPECT_TRUE(error_of("a: *nowhere\n").starts_with("dir/x.yaml:1:"));
}

TEST(Config, WhatIsNoYamlTextIsRefused) {
  EXPECT_EQ(error_of(""), "dir/x.yaml: the file is empty");
  EXPECT_EQ(error_of("# nothing\n"), "dir/x.yaml: the file is empty");
  EXPECT_EQ(error_of("chain: []\n# caf\xe9\n"), "dir/x.yaml:2: not UTF-8 text");
  EXPECT_EQ(error_of("\xff\xfe"
                     "c"),
            "dir/x.yaml:1: not UTF-8 text");
  EXPECT_EQ(error_of("# \xed\xa0\x80\n"), "dir/x.yaml:1: not UTF-8 text");
  EXPECT_EQ(error_of("# \xc0\xaf\n"), "dir/x.yaml:1: not UTF-8 text");
  EXPECT_EQ(error_of(std::string("chain: []\n\0", 11)),
            "dir/x.yaml:2: not a text file: it holds a zero byte");
  EXPECT_EQ(error_of("chain: []\n---\nchain: []\n"),
            "dir/x.yaml:3: a second YAML document ('---'): a file holds one");
  const std::string refused = error_of(", a\n");
  EXPECT_TRUE(refused.starts_with("dir/x.yaml:1:1: not YAML: nothing begins like this ("));
  for (const std::string& error : {refused, error_of("chain: [\n")}) {
    EXPECT_NE(error.find("(write 'key: value'"), std::string::npos) << "no remedy: " << error;
  }
  EXPECT_EQ(error_of("# caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\nchain: []\n"), "accepted");
}

std::string build_error_of(const std::string& text) {
  const Config config = parse(text);
  try {
    build_chain(config, {});
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "built";
}

TEST(Config, ErrorsOfAFunctionsOwnCheckNameTheFunctionOnce) {
  EXPECT_EQ(build_error_of("chain:\n  - toy:\n      pool: []\n"),
            "dir/x.yaml:3: toy: pool: is empty");
  EXPECT_EQ(build_error_of("chain:\n  - toy:\n      pool: 1.2.3.4\n      entries: 13\n"),
            "dir/x.yaml:2: toy: entries: not thirteen");
}

TEST(Config, ChainIsBuiltInItsOrder) {
  const auto chain = build_chain(parse("chain: [plain, toy: { pool: 1.2.3.4 }]\n"), {});
  ASSERT_EQ(chain.size(), 2u);
  EXPECT_EQ(chain[0]->spec().name, "plain");
  EXPECT_EQ(chain[1]->spec().name, "toy");
}

}  // namespace
}  // namespace glassbox
