// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/wipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "control/suggest.h"

namespace glassbox {
namespace {

constexpr std::string_view kBox = "box";
constexpr std::string_view kDataplaneName = "dataplane";

std::string kind_name(std::string_view function, const StateKind& kind) {
  return fmt::format("{}.{}", function, kind.name);
}

std::optional<Wipe> kind_named(std::string_view wanted, std::string_view function, FunctionId id,
                               std::span<const StateKind> kinds) {
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    if (kind_name(function, kinds[k]) == wanted) return Wipe{Wipe::What::kKinds, id, {k}};
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> wipe_names(const Chain& chain) {
  std::vector<std::string> names = {std::string(kBox)};
  const auto add = [&](std::string name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const auto& function : chain) add(std::string(function->spec().name));
  for (const StateKind& kind : kDataplaneKinds) add(kind_name(kDataplaneName, kind));
  for (const auto& function : chain) {
    for (const StateKind& kind : function->spec().kinds) {
      add(kind_name(function->spec().name, kind));
    }
  }
  return names;
}

std::optional<Wipe> wipe_named(std::string_view name, const Chain& chain) {
  if (name == kBox) return Wipe{Wipe::What::kBox, kDataplane, {}};
  if (auto found = kind_named(name, kDataplaneName, kDataplane, kDataplaneKinds)) return found;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const auto id = static_cast<FunctionId>(i);
    const FunctionSpec& spec = chain[i]->spec();
    if (spec.name == name) return Wipe{Wipe::What::kFunction, id, {}};
    if (auto found = kind_named(name, spec.name, id, spec.kinds)) return found;
  }
  return std::nullopt;
}

std::string unknown_wipe(std::string_view name, const Chain& chain) {
  const std::vector<std::string> names = wipe_names(chain);
  return fmt::format("nothing to forget is called '{}' {}", name,
                     alternatives(name, std::vector<std::string_view>(names.begin(), names.end())));
}

void carry_out(const Wipe& wipe, const Config& config, std::uint64_t seed, Worker& worker,
               Instant now) {
  const ChainPart part = {.worker = 0, .workers = 1, .seed = seed, .epoch = worker.epoch() + 1};
  switch (wipe.what) {
    case Wipe::What::kKinds:
      return worker.forget(wipe.function, wipe.kinds, now);
    case Wipe::What::kFunction:
      return worker.forget(wipe.function, build_function(config, wipe.function, part), now);
    case Wipe::What::kBox:
      return worker.forget(build_chain(config, part), now);
  }
}

TimedWipe parse_timed_wipe(const std::string& text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos || at == 0) {
    throw std::invalid_argument(
        fmt::format("'{}' is not KIND@SECONDS, such as nat44.mapping@12.5", text));
  }
  std::size_t used = 0;
  double seconds = -1;
  try {
    seconds = std::stod(text.substr(at + 1), &used);
  } catch (const std::exception&) {
  }
  if (used != text.size() - at - 1 || !std::isfinite(seconds) || seconds < 0 || seconds > 1e9) {
    throw std::invalid_argument(fmt::format(
        "'{}': '{}' is no number of seconds from the first packet", text, text.substr(at + 1)));
  }
  return {text.substr(0, at),
          std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds))};
}

}  // namespace glassbox
