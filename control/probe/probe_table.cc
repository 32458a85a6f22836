// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe/probe_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <stdexcept>

#include "control/probe/builtin.h"
#include "control/suggest.h"
#include "control/yaml_document.h"
#include "control/yaml_values.h"

namespace glassbox {
namespace {

constexpr std::array<std::string_view, 8> kKeys = {"name",   "group", "rfc",        "asks",
                                                   "family", "port",  "directions", "script"};
constexpr std::array<std::string_view, 1> kTopKeys = {"probes"};
constexpr std::size_t kMostSteps = 100;

const Parameter kText{.name = "text", .type = ParameterType::kText};
const Parameter kPort{
    .name = "port", .type = ParameterType::kInteger, .minimum = 1, .maximum = 65535};
const Parameter kFamily{.name = "family", .type = ParameterType::kInteger};

class ProbeReader {
 public:
  explicit ProbeReader(const std::string& file) : context_{file, "", ""} {}

  std::vector<Probe> read(const YAML::Node& root) {
    const YamlMap map(root, kTopKeys, context_);
    const auto* entry = map.find("probes");
    if (entry == nullptr) context_.fail(root, "missing key 'probes': a list of probes");
    if (!entry->value.IsSequence() || entry->value.size() == 0) {
      context_.fail(context_.at(entry->line), "probes: expected a list of probes");
    }
    std::vector<Probe> probes;
    for (const YAML::Node& item : entry->value) {
      probes.push_back(read_probe(item));
      check_place(probes);
    }
    return probes;
  }

 private:
  Probe read_probe(const YAML::Node& node) const {
    ReadContext context = context_.inside("probe");
    const YamlMap map(node, kKeys, context);
    Probe probe;
    probe.where = context.at(node);
    probe.name = text(map, "name", node, context);
    context.path = fmt::format("probe '{}'", probe.name);
    probe.group = text(map, "group", node, context);
    probe.rfc = text(map, "rfc", node, context);
    probe.asks = text(map, "asks", node, context);
    check_words(probe, map, context);
    if (const auto* entry = map.find("family")) probe.family = read_family(*entry, context);
    probe.port = 443;
    if (const auto* entry = map.find("port")) {
      probe.port = static_cast<std::uint16_t>(
          std::get<std::int64_t>(read_value(entry->value, kPort, context.inside("port"))));
    }
    probe.directions = read_directions(map.find("directions"), context);
    const auto* script = map.find("script");
    if (script == nullptr) context.fail(node, "missing key 'script': a list of steps");
    probe.script = read_script(*script, probe, context);
    return probe;
  }

  static std::string text(const YamlMap& map, std::string_view key, const YAML::Node& node,
                          const ReadContext& context) {
    const auto* entry = map.find(key);
    if (entry == nullptr) context.fail(node, fmt::format("missing key '{}'", key));
    const ReadContext inside = context.inside(key);
    const auto value = std::get<std::string>(read_value(entry->value, kText, inside));
    if (value.empty()) inside.fail(inside.at(entry->line), "is empty");
    return value;
  }

  static void check_words(const Probe& probe, const YamlMap& map, const ReadContext& context) {
    static const std::regex kName("[a-z0-9]+(-[a-z0-9]+)*");
    static const std::regex kRfc("RFC [0-9]{3,5} [0-9A-Z][0-9A-Za-z.-]*");
    const auto place = [&](std::string_view key) { return context.at(map.find(key)->line); };
    if (!std::regex_match(probe.name, kName)) {
      context.fail(place("name"), "name: small letters, digits and dashes, such as tcp-mptcp");
    }
    if (!std::regex_match(probe.rfc, kRfc)) {
      context.fail(
          place("rfc"),
          fmt::format("rfc: '{}' names no RFC and clause, such as RFC 8684 3.1", probe.rfc));
    }
  }

  static int read_family(const YamlMap::Entry& entry, const ReadContext& context) {
    const ReadContext inside = context.inside("family");
    const auto family = std::get<std::int64_t>(read_value(entry.value, kFamily, inside));
    if (family != 4 && family != 6) inside.fail(inside.at(entry.line), "4 or 6");
    return static_cast<int>(family);
  }

  static std::vector<Direction> read_directions(const YamlMap::Entry* entry,
                                                const ReadContext& context) {
    if (entry == nullptr) return {Direction::kOutbound, Direction::kInbound};
    const ReadContext inside = context.inside("directions");
    if (!entry->value.IsSequence() || entry->value.size() == 0) {
      inside.fail(inside.at(entry->line), "expected a list, such as [outbound]");
    }
    std::vector<Direction> directions;
    for (const YAML::Node& item : entry->value) {
      const std::string word = item.IsScalar() ? item.Scalar() : name_of(item);
      const auto found = std::find(kDirectionNames.begin(), kDirectionNames.end(), word);
      if (found == kDirectionNames.end()) {
        inside.fail(item, fmt::format("unknown direction '{}' {}", word,
                                      alternatives(word, kDirectionNames)));
      }
      const auto direction = static_cast<Direction>(found - kDirectionNames.begin());
      if (std::find(directions.begin(), directions.end(), direction) != directions.end()) {
        inside.fail(item, fmt::format("'{}' is there twice", word));
      }
      directions.push_back(direction);
    }
    return directions;
  }

  static std::vector<ScriptStep> read_script(const YamlMap::Entry& entry, const Probe& probe,
                                             const ReadContext& context) {
    const ReadContext inside = context.inside("script");
    if (!entry.value.IsSequence() || entry.value.size() == 0) {
      inside.fail(inside.at(entry.line), "expected a list of steps");
    }
    if (entry.value.size() > kMostSteps) {
      inside.fail(inside.at(entry.line), fmt::format("more than {} steps", kMostSteps));
    }
    std::vector<ScriptStep> script;
    bool sends = false;
    for (const YAML::Node& item : entry.value) {
      script.push_back(read_step(item, probe, inside));
      sends = sends || script.back().verb == ScriptStep::Verb::kSend;
    }
    if (!sends) inside.fail(inside.at(entry.line), "no step sends a packet");
    return script;
  }

  static ScriptStep read_step(const YAML::Node& item, const Probe& probe,
                              const ReadContext& context) {
    if (!item.IsMap() || item.size() != 1 || !item.begin()->first.IsScalar() ||
        !item.begin()->second.IsScalar()) {
      context.fail(item, "expected a step, such as 'client > server: tcp S' or 'wait: 300s'");
    }
    try {
      ScriptStep step =
          parse_step(item.begin()->first.Scalar(), item.begin()->second.Scalar(), probe.port);
      step.line = context.at(item).line;
      check_family(step, probe.family);
      return step;
    } catch (const std::invalid_argument& error) {
      context.fail(item, error.what());
    }
  }

  // What only one of the two address families has.
  static void check_family(const ScriptStep& step, int family) {
    const PacketSpec& packet = step.packet;
    const bool six = packet.hop_by_hop || packet.destination_options || packet.routing ||
                     packet.flow_label != 0 || packet.atomic;
    const bool four = !packet.ip_options.empty() || packet.dont_fragment ||
                      packet.kind == PacketKind::kTimestamp ||
                      packet.kind == PacketKind::kTimestampReply;
    if (six && family == 4) throw std::invalid_argument("needs 'family: 6'");
    if (four && family == 6) throw std::invalid_argument("is not there in IPv6");
  }

  // Names are unique, and a group is not taken up again.
  void check_place(const std::vector<Probe>& probes) {
    const Probe& probe = probes.back();
    const auto [other, fresh] = lines_.emplace(probe.name, probe.where.line);
    if (!fresh) {
      throw ConfigError(probe.where, fmt::format("probe '{}': a second one of this name (the first "
                                                 "is on line {})",
                                                 probe.name, other->second));
    }
    const bool follows = probes.size() > 1 && probes[probes.size() - 2].group == probe.group;
    if (!follows && !groups_.insert(probe.group).second) {
      throw ConfigError(probe.where, fmt::format("probe '{}': group '{}' began further above: its "
                                                 "probes stand together",
                                                 probe.name, probe.group));
    }
  }

  ReadContext context_;
  std::map<std::string, int> lines_;
  std::set<std::string> groups_;
};

}  // namespace

ProbeTable parse_probes(const std::string& text, const std::string& file) {
  return {file, ProbeReader(file).read(load_yaml(text, file))};
}

ProbeTable load_probes(const std::string& path) { return parse_probes(read_text_file(path), path); }

ProbeTable builtin_probes() { return parse_probes(std::string(kProbesYaml), "(built-in probes)"); }

std::string_view builtin_probes_text() { return kProbesYaml; }

}  // namespace glassbox
