// SPDX-License-Identifier: BSD-3-Clause
//
// Any bytes as a list of rules, the firewall's or http's services: refused with a place, or the
// compiled rules find what reading them one by one finds, and each service is what its row says.
// The first byte says whose rules they are.
#include <algorithm>

#include "control/config.h"
#include "nf/firewall_matcher.h"
#include "nf/http_opes.h"
#include "nf/http_services.h"
#include "tests/fuzz/fuzz.h"

namespace glassbox::test {
namespace {

Config config_of_rows(const std::string& head, const std::string& rows) {
  std::string text = "chain:\n" + head + "\n        ";
  for (const char c : rows) {
    text += c;
    if (c == '\n') text += "        ";
  }
  return parse_config(text + "\n", "fuzz.yaml");
}

bool any_contains(const std::vector<Prefix>& prefixes, const IpAddress& address) {
  return prefixes.empty() || std::ranges::any_of(prefixes, [&](const Prefix& prefix) {
           return prefix.contains(address);
         });
}

RuleNumber first_match(const std::vector<FirewallRule>& rules, const Tuple& tuple, Side side) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const FirewallRule& rule = rules[i];
    const bool family = tuple.source.version == 4 ? rule.ipv4 : rule.ipv6;
    if (family && (rule.from & mask_of(side)) != 0 && any_contains(rule.source, tuple.source) &&
        any_contains(rule.destination, tuple.destination) &&
        (!rule.protocol || *rule.protocol == tuple.protocol) &&
        rule.source_port.contains(tuple.source_port) &&
        rule.port.contains(tuple.destination_port)) {
      return static_cast<RuleNumber>(i + 1);
    }
  }
  return kNoRule;
}

IpAddress address_of(const std::vector<Prefix>& prefixes, bool four) {
  for (const Prefix& prefix : prefixes) {
    if ((prefix.address.version == 4) == four) return prefix.address;
  }
  constexpr std::uint8_t kBytes[16] = {10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return IpAddress::from_network(kBytes, four ? 4 : 6);
}

void check_firewall(const Config& config) {
  const Settings& settings = config.chain.at(0).settings;
  const auto rules = read_rules(settings.rows("rules"), settings.where("rules"));
  if (rules.size() > 50) return;  // compiling takes its time
  const RuleMatcher matcher(rules, settings.where("rules"));
  for (const FirewallRule& rule : rules) {
    for (const bool four : {false, true}) {
      for (const Side side : {Side::kInside, Side::kOutside}) {
        for (const int off : {-1, 0, 1}) {
          const Tuple tuple{address_of(rule.source, four), address_of(rule.destination, four),
                            static_cast<std::uint16_t>(rule.source_port.first + off),
                            static_cast<std::uint16_t>(rule.port.last + off),
                            rule.protocol.value_or(17)};
          require(matcher.match(tuple, side) == first_match(rules, tuple, side),
                  "the compiled rules find another rule");
        }
      }
    }
  }
}

void check_services(const Config& config) {
  const Settings& settings = config.chain.at(0).settings;
  const auto& rows = settings.rows("services");
  const HttpServices services(rows, settings.text("system"));
  require(services.all().size() == rows.size(), "a service is missing");
  require(std::ranges::is_sorted(services.all(), {}, &HttpService::point), "out of order");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const HttpService& service = services.all()[i];
    const bool refuses = services.traced()[i].essential == service.bypassable;
    require(!refuses && services.traced()[i].id == settings.text("system") + "#" + service.id,
            "a bypass of '" + service.id + "' means something else");
    for (const std::string* text : {&service.name, &service.value, &service.to}) {
      require(text->find_first_of("\r\n") == std::string::npos, "a field of two lines");
    }
  }
  require(opes_statement(settings).services.size() == rows.size(), "a service is not stated");
}

}  // namespace
}  // namespace glassbox::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glassbox;
  using namespace glassbox::test;
  Input input({data, size});
  const bool firewall = input.byte() % 2 == 0;
  try {
    if (firewall)
      return check_firewall(config_of_rows("  - firewall:\n      rules:", input.text())), 0;
    check_services(config_of_rows(
        "  - http:\n      system: http://box.example/opes\n      services:", input.text()));
  } catch (const ConfigError& error) {
    require(!error.where().file.empty() && error.where().line > 0,
            std::string("an error without a place: ") + error.what());
  }
  return 0;
}
