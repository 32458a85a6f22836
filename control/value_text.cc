// SPDX-License-Identifier: BSD-3-Clause
#include "control/value_text.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace glassbox {
namespace {

struct Unit {
  std::string_view name;
  Nanos size;
};
// Greatest first.
constexpr std::array kUnits = {
    Unit{"d", std::chrono::hours(24)},        Unit{"h", std::chrono::hours(1)},
    Unit{"min", std::chrono::minutes(1)},     Unit{"s", std::chrono::seconds(1)},
    Unit{"ms", std::chrono::milliseconds(1)}, Unit{"us", std::chrono::microseconds(1)},
    Unit{"ns", std::chrono::nanoseconds(1)},
};

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;  // clang 14 does not deduce it

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Nanos> parse_duration(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = parse_integer(text.substr(0, digits));
  if (!count) return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (unit.name != text.substr(digits)) continue;
    Nanos::rep product = 0;
    if (__builtin_mul_overflow(*count, unit.size.count(), &product)) return Nanos::max();
    return Nanos(product);
  }
  return std::nullopt;
}

std::optional<Prefix> parse_prefix(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  Prefix prefix;
  prefix.address.version = address.find(':') == std::string::npos ? 4 : 6;
  const bool six = prefix.address.version == 6;
  if (inet_pton(six ? AF_INET6 : AF_INET, address.c_str(), prefix.address.bytes.data()) != 1) {
    return std::nullopt;
  }
  const std::int64_t longest = six ? 128 : 32;
  const auto length = slash == std::string::npos
                          ? longest
                          : parse_integer(std::string_view(text).substr(slash + 1));
  if (!length || *length < 0 || *length > longest) return std::nullopt;
  prefix.length = static_cast<std::uint8_t>(*length);
  return prefix;
}

Prefix network_of(const Prefix& prefix) {
  Prefix network = prefix;
  for (std::size_t i = 0; i < network.address.bytes.size(); ++i) {
    const int kept = std::clamp(static_cast<int>(prefix.length) - static_cast<int>(i * 8), 0, 8);
    network.address.bytes[i] &= static_cast<std::uint8_t>(0xff00u >> kept);
  }
  return network;
}

std::string text_of(Nanos duration) {
  for (const Unit& unit : kUnits) {
    if (duration.count() != 0 && duration % unit.size == Nanos::zero()) {
      return fmt::format("{}{}", duration / unit.size, unit.name);
    }
  }
  return "0s";
}

std::string text_of(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  inet_ntop(address.version == 6 ? AF_INET6 : AF_INET, address.bytes.data(), buffer.data(),
            buffer.size());
  return buffer.data();
}

std::string text_of(const Prefix& prefix) {
  return fmt::format("{}/{}", text_of(prefix.address), prefix.length);
}

std::string text_of(PortRange ports) {
  if (ports.first == ports.last) return fmt::format("{}", ports.first);
  return fmt::format("{}-{}", ports.first, ports.last);
}

std::string text_of(const Settings::Value& value) {
  return std::visit(Overloaded{
                        [](bool flag) { return std::string(flag ? "true" : "false"); },
                        [](std::int64_t number) { return std::to_string(number); },
                        [](const std::string& text) { return text; },
                        [](const std::vector<Prefix>& prefixes) {
                          std::string list;
                          for (const Prefix& prefix : prefixes) {
                            list += (list.empty() ? "" : ", ") + text_of(prefix);
                          }
                          return "[" + list + "]";
                        },
                        [](const Settings::Rows& rows) {
                          return fmt::format("{} row{}", rows.size(), rows.size() == 1 ? "" : "s");
                        },
                        [](const auto& other) { return text_of(other); },
                    },
                    value);
}

std::string_view name_of(ParameterType type) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "boolean", "integer", "duration", "choice", "text", "ports", "prefixes", "rows"};
  return kNames[static_cast<std::size_t>(type)];
}

std::string known_columns(const Parameter& parameter) {
  std::string names;
  for (const Parameter& column : parameter.columns) {
    names += (names.empty() ? "" : ", ") + std::string(column.name);
  }
  return names;
}

}  // namespace glassbox
