// SPDX-License-Identifier: BSD-3-Clause
#include "control/declaration.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "control/config.h"
#include "control/suggest.h"
#include "dataplane/worker.h"

namespace glassbox {

const FunctionSpec& dataplane_spec() {
  static const FunctionSpec kSpec = {
      .name = "dataplane",
      .summary =
          "Finds each packet's session, follows fragments, and carries packets through the "
          "chain.",
      .parameters = dataplane_parameters(),
      .kinds = kDataplaneKinds,
      .reasons = kDataplaneReasons,
  };
  return kSpec;
}

const FunctionSpec& find_declaration(std::string_view name, Registry registry) {
  if (const FunctionType* type = find_function(name, registry)) return type->spec;
  if (name == dataplane_spec().name) return dataplane_spec();
  std::vector<std::string_view> known;
  for (const FunctionType* type : registry) known.push_back(type->spec.name);
  known.push_back(dataplane_spec().name);
  throw ConfigError({}, fmt::format("unknown function '{}' {}", name, alternatives(name, known)));
}

std::string_view name_of(Reads reads) {
  static constexpr std::array<std::string_view, 3> kNames = {"nothing", "headers", "payload"};
  return kNames[static_cast<std::size_t>(reads)];
}

std::string text_of(const Limit& limit, std::string_view unit) {
  if (!limit.given()) return "none";
  if (limit.parameter.empty()) return fmt::format("{}{}", limit.fixed, unit);
  return fmt::format("set by {}", limit.parameter);
}

std::string class_text(const StateKind& kind) {
  std::string text(name_of(kind.state_class));
  if (kind.exception.given()) {
    text += fmt::format("; {} when {} = {}", name_of(kind.exception.state_class),
                        kind.exception.parameter, kind.exception.value);
  }
  return text;
}

}  // namespace glassbox
