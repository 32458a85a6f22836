// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/ctl.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "control/ctl/instance.h"
#include "control/suggest.h"

namespace glassbox {
namespace {

using Json = nlohmann::ordered_json;

// Answers are {"/glassbox/state": {...}}.
Json ask(const Instance& instance, const std::string& command) {
  const std::string text = instance.ask(command);
  const Json answer = Json::parse(text, nullptr, false);
  if (!answer.is_object() || answer.empty()) {
    throw std::runtime_error(
        fmt::format("instance {}: no answer to {}: {}", instance.prefix(), command, text));
  }
  const Json inner = answer.begin().value();
  if (inner.is_object() && inner.contains("error")) {
    throw std::runtime_error(
        fmt::format("instance {}: {}", instance.prefix(), inner["error"].get<std::string>()));
  }
  return inner;
}

std::vector<std::string> known_targets(const Instance& instance) {
  std::vector<std::string> names = {"box"};
  const Json state = ask(instance, "/glassbox/state");
  for (const auto& [function, kinds] : state.items()) {
    if (function != "dataplane") names.push_back(function);
    for (const auto& [kind, census] : kinds.items()) names.push_back(function + "." + kind);
  }
  return names;
}

// Functions without any kind are not in the state: what is not known there is the instance's to
// judge, but only what can stand in a command is sent to it.
void check_target(const Instance& instance, const std::string& target) {
  const std::vector<std::string> known = known_targets(instance);
  if (std::find(known.begin(), known.end(), target) != known.end()) return;
  const bool plain =
      !target.empty() &&
      target.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (plain) return;
  throw std::runtime_error(
      fmt::format("nothing to forget is called '{}' {}", target,
                  alternatives(target, std::vector<std::string_view>(known.begin(), known.end()))));
}

}  // namespace

int run_ctl(const CtlOptions& options) {
  const Instance instance = Instance::find(options.file_prefix);
  Json answer;
  switch (options.action) {
    case CtlOptions::Action::kState:
      answer = ask(instance, "/glassbox/state");
      break;
    case CtlOptions::Action::kTransparency:
      answer = ask(instance, "/glassbox/transparency");
      break;
    case CtlOptions::Action::kForget:
      check_target(instance, options.target);
      answer = ask(instance, "/glassbox/forget," + options.target);
      break;
    case CtlOptions::Action::kStop:
      answer = ask(instance, "/glassbox/stop");
      break;
  }
  std::fputs((answer.dump(2) + "\n").c_str(), stdout);
  return 0;
}

}  // namespace glassbox
