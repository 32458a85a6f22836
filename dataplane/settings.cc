// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/settings.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace glassbox {

bool Prefix::contains(const IpAddress& other) const {
  if (other.version != address.version) return false;
  if (address.version == 4) {
    const std::uint32_t differing = other.v4_host_order() ^ address.v4_host_order();
    return length == 0 || differing >> (32 - length) == 0;
  }
  const unsigned whole = length / 8u;
  for (unsigned i = 0; i < whole; ++i) {
    if (other.bytes[i] != address.bytes[i]) return false;
  }
  const unsigned rest = length % 8u;
  if (rest == 0) return true;
  const unsigned mask = 0xffu << (8 - rest);
  return ((other.bytes[whole] ^ address.bytes[whole]) & mask & 0xffu) == 0;
}

ConfigError::ConfigError(Location where, std::string text) : where_(std::move(where)) {
  message_ = where_.file;
  if (where_.line != 0) message_ += ":" + std::to_string(where_.line);
  if (where_.column != 0) message_ += ":" + std::to_string(where_.column);
  if (!message_.empty()) message_ += ": ";
  message_ += text;
}

void Settings::set(std::string_view name, Value value, Location where) {
  entries_.insert_or_assign(std::string(name), Entry{std::move(value), std::move(where)});
}

bool Settings::given(std::string_view name) const { return entries_.find(name) != entries_.end(); }

const Location& Settings::where(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? where_ : found->second.where;
}

const Settings::Entry& Settings::entry(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    std::fprintf(stderr, "glassbox: setting '%.*s' was asked for but is not declared\n",
                 static_cast<int>(name.size()), name.data());
    std::abort();
  }
  return found->second;
}

}  // namespace glassbox
