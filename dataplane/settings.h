// SPDX-License-Identifier: BSD-3-Clause
//
// What a function can be told, declared, and what it was told, checked.
//
// A function lists its Parameters; the configuration layer reads them from YAML, refuses unknown
// keys and wrong types with file and line, fills in defaults, and hands over Settings in which
// every declared parameter is present unless it is optional without a default. Functions do not
// parse.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "dataplane/flow_key.h"
#include "dataplane/types.h"

namespace glassbox {

enum class ParameterType : std::uint8_t {
  kBoolean,   // true, false
  kInteger,   // 42; within [minimum, maximum]
  kDuration,  // 300s, 5min, 2h, 250ms
  kChoice,    // one of `choices`
  kText,
  kPorts,     // 1024-65535, or one port
  kPrefixes,  // a prefix or a list of them: 192.168.0.0/16, "fd00::/8", 203.0.113.1
  kRows,      // a list of maps with `columns`, or the name of a YAML file that holds one
};

struct Parameter {
  std::string_view name;
  ParameterType type = ParameterType::kText;
  std::string_view default_value;  // as it would be written in YAML; empty: none
  std::string_view help;
  bool required = false;
  std::span<const std::string_view> choices = {};
  std::span<const Parameter> columns = {};
  std::int64_t minimum = 0;
  std::int64_t maximum = INT64_MAX;
};

struct Location {
  std::string file;
  int line = 0;    // 1-based; 0: unknown
  int column = 0;  // likewise; known for errors of syntax
};

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool contains(std::uint16_t port) const { return first <= port && port <= last; }
};

struct Prefix {
  IpAddress address;
  std::uint8_t length = 0;
  bool contains(const IpAddress& other) const;
};

// A configuration that cannot be used, with its place. Thrown while a chain is built, never later.
class ConfigError : public std::exception {
 public:
  ConfigError(Location where, std::string text);
  const char* what() const noexcept override { return message_.c_str(); }
  const Location& where() const { return where_; }

 private:
  Location where_;
  std::string message_;  // "FILE:LINE: text", or "FILE:LINE:COLUMN: text"
};

class Settings {
 public:
  using Rows = std::vector<Settings>;
  using Value =
      std::variant<bool, std::int64_t, Nanos, std::string, PortRange, std::vector<Prefix>, Rows>;

  explicit Settings(Location where = {}) : where_(std::move(where)) {}
  void set(std::string_view name, Value value, Location where);

  bool given(std::string_view name) const;
  // The declared parameter's value; asking for one that is not there, or by a type that was not
  // declared, is a defect of the function and ends the program.
  bool boolean(std::string_view name) const { return get<bool>(name); }
  std::int64_t integer(std::string_view name) const { return get<std::int64_t>(name); }
  Nanos duration(std::string_view name) const { return get<Nanos>(name); }
  const std::string& text(std::string_view name) const { return get<std::string>(name); }
  PortRange ports(std::string_view name) const { return get<PortRange>(name); }
  const std::vector<Prefix>& prefixes(std::string_view name) const {
    return get<std::vector<Prefix>>(name);
  }
  const Rows& rows(std::string_view name) const { return get<Rows>(name); }

  const Location& where() const { return where_; }
  const Location& where(std::string_view name) const;

 private:
  struct Entry {
    Value value;
    Location where;
  };
  template <typename T>
  const T& get(std::string_view name) const {
    return std::get<T>(entry(name).value);
  }
  const Entry& entry(std::string_view name) const;

  Location where_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace glassbox
