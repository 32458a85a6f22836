// SPDX-License-Identifier: BSD-3-Clause
#include "nf/firewall_matcher.h"

#include <rte_errno.h>
#include <rte_malloc.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <string>

#include "dataplane/dpdk_heap.h"

namespace glassbox {
namespace {

// What rte_acl looks at: network order, in groups of four bytes behind a single first one.
struct Question4 {
  std::uint8_t protocol;
  std::uint8_t padding[3];
  std::uint32_t side;
  std::uint8_t source[4];
  std::uint8_t destination[4];
  std::uint16_t source_port;
  std::uint16_t destination_port;
};
struct Question6 {
  std::uint8_t protocol;
  std::uint8_t padding[3];
  std::uint32_t side;
  std::uint8_t source[16];
  std::uint8_t destination[16];
  std::uint16_t source_port;
  std::uint16_t destination_port;
};

template <std::size_t kFields>
struct Entry {
  rte_acl_rule_data data;
  rte_acl_field field[kFields];
};

// rte_acl takes addresses in words of four bytes.
template <typename Question>
constexpr std::size_t kWords = sizeof(Question::source) / 4;
// protocol, side, both addresses, both ports
template <typename Question>
constexpr std::size_t kFields = 4 + 2 * kWords<Question>;

template <typename Question>
rte_acl_config layout_of() {
  rte_acl_config config{};
  config.num_categories = 1;
  config.num_fields = kFields<Question>;
  std::uint8_t field = 0;
  std::uint8_t input = 0;
  const auto add = [&](std::uint8_t type, std::uint8_t size, std::size_t offset) {
    config.defs[field] = {type, size, field, input, static_cast<std::uint32_t>(offset)};
    ++field;
  };
  add(RTE_ACL_FIELD_TYPE_BITMASK, 1, offsetof(Question, protocol));
  ++input;
  add(RTE_ACL_FIELD_TYPE_BITMASK, 4, offsetof(Question, side));
  for (const std::size_t start : {offsetof(Question, source), offsetof(Question, destination)}) {
    for (std::size_t word = 0; word < kWords<Question>; ++word) {
      ++input;
      add(RTE_ACL_FIELD_TYPE_MASK, 4, start + 4 * word);
    }
  }
  ++input;  // the two ports share a group
  add(RTE_ACL_FIELD_TYPE_RANGE, 2, offsetof(Question, source_port));
  add(RTE_ACL_FIELD_TYPE_RANGE, 2, offsetof(Question, destination_port));
  return config;
}

rte_acl_field exactly_or_any(bool exactly, std::uint32_t value, std::uint32_t mask) {
  rte_acl_field field{};
  field.value.u32 = exactly ? value : 0;
  field.mask_range.u32 = exactly ? mask : 0;
  return field;
}

rte_acl_field range(PortRange ports) {
  rte_acl_field field{};
  field.value.u16 = ports.first;
  field.mask_range.u16 = ports.last;
  return field;
}

void put_prefix(rte_acl_field* fields, std::size_t words, const Prefix& prefix) {
  int left = prefix.length;
  for (std::size_t word = 0; word < words; ++word) {
    std::uint32_t value;
    std::memcpy(&value, prefix.address.bytes.data() + 4 * word, 4);
    const int length = std::clamp(left, 0, 32);
    fields[word].mask_range.u32 = static_cast<std::uint32_t>(length);
    // Bits behind the prefix must be zero for rte_acl.
    const std::uint32_t mask = length == 0 ? 0 : UINT32_MAX << (32 - length);
    fields[word].value.u32 = rte_be_to_cpu_32(value) & mask;
    left -= length;
  }
}

template <typename Question>
Entry<kFields<Question>> entry_of(const FirewallRule& rule, std::size_t number,
                                  const Prefix& source, const Prefix& destination) {
  Entry<kFields<Question>> entry{};
  entry.data.category_mask = 1;
  // The highest priority wins, so that the first rule must have it.
  entry.data.priority = static_cast<std::int32_t>(RTE_ACL_MAX_PRIORITY - number);
  entry.data.userdata = static_cast<std::uint32_t>(number);
  rte_acl_field* field = entry.field;
  *field++ = exactly_or_any(rule.protocol.has_value(), rule.protocol.value_or(0), UINT8_MAX);
  *field++ = exactly_or_any(rule.from != kBothSides, rule.from == mask_of(Side::kOutside) ? 1 : 0,
                            UINT32_MAX);
  put_prefix(field, kWords<Question>, source);
  put_prefix(field += kWords<Question>, kWords<Question>, destination);
  field += kWords<Question>;
  *field++ = range(rule.source_port);
  *field++ = range(rule.port);
  return entry;
}

template <typename Question>
std::vector<Entry<kFields<Question>>> entries_of(std::span<const FirewallRule> rules,
                                                 bool FirewallRule::*family) {
  static const std::vector<Prefix> kAnywhere = {Prefix{}};
  std::vector<Entry<kFields<Question>>> entries;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const FirewallRule& rule = rules[i];
    if (!(rule.*family)) continue;
    for (const Prefix& source : rule.source.empty() ? kAnywhere : rule.source) {
      for (const Prefix& destination : rule.destination.empty() ? kAnywhere : rule.destination) {
        entries.push_back(entry_of<Question>(rule, i + 1, source, destination));
      }
    }
  }
  return entries;
}

// rte_acl_create() hands out an existing context of the same name.
std::string fresh_name() {
  static std::atomic<unsigned> made{0};
  return "firewall-" + std::to_string(made.fetch_add(1));
}

template <typename Question>
rte_acl_ctx* compile(std::span<const FirewallRule> rules, bool FirewallRule::*family,
                     const Location& where) {
  const auto entries = entries_of<Question>(rules, family);
  if (entries.empty()) return nullptr;
  const std::string name = fresh_name();
  const rte_acl_param parameters{name.c_str(), SOCKET_ID_ANY,
                                 static_cast<std::uint32_t>(RTE_ACL_RULE_SZ(kFields<Question>)),
                                 static_cast<std::uint32_t>(entries.size())};
  static_assert(sizeof(Entry<kFields<Question>>) == RTE_ACL_RULE_SZ(kFields<Question>));
  rte_acl_ctx* context = rte_acl_create(&parameters);
  const rte_acl_config config = layout_of<Question>();
  int error = context == nullptr ? -rte_errno : 0;
  if (error == 0) {
    error = rte_acl_add_rules(context, reinterpret_cast<const rte_acl_rule*>(entries.data()),
                              static_cast<std::uint32_t>(entries.size()));
  }
  if (error == 0) error = rte_acl_build(context, &config);
  if (error == 0) return context;
  rte_acl_free(context);
  throw ConfigError(where, "firewall: cannot compile " + std::to_string(rules.size()) +
                               " rules: " + rte_strerror(-error));
}

std::uint64_t heap_in_use() {
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < rte_socket_count(); ++i) {
    rte_malloc_socket_stats stats{};
    const int socket = rte_socket_id_by_idx(i);
    if (rte_malloc_get_socket_stats(socket, &stats) == 0) bytes += stats.heap_allocsz_bytes;
  }
  return bytes;
}

template <typename Question>
RuleNumber answer_to(const rte_acl_ctx* context, const Question& question) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(&question);
  std::uint32_t number = 0;
  rte_acl_classify(context, &data, &number, 1, 1);
  return static_cast<RuleNumber>(number);
}

template <typename Question>
RuleNumber ask(const rte_acl_ctx* context, const Tuple& tuple, Side ingress) {
  if (context == nullptr) return kNoRule;
  Question question{};
  question.protocol = tuple.protocol;
  question.side = rte_cpu_to_be_32(static_cast<std::uint32_t>(ingress));
  std::memcpy(question.source, tuple.source.bytes.data(), sizeof(question.source));
  std::memcpy(question.destination, tuple.destination.bytes.data(), sizeof(question.destination));
  question.source_port = rte_cpu_to_be_16(tuple.source_port);
  question.destination_port = rte_cpu_to_be_16(tuple.destination_port);
  return answer_to(context, question);
}

}  // namespace

RuleMatcher::RuleMatcher(std::span<const FirewallRule> rules, const Location& where) {
  if (rules.empty()) return;
  need_dpdk_heap();
  const std::uint64_t before = heap_in_use();
  four_.reset(compile<Question4>(rules, &FirewallRule::ipv4, where));
  six_.reset(compile<Question6>(rules, &FirewallRule::ipv6, where));
  bytes_ = heap_in_use() - before;
}

RuleNumber RuleMatcher::match(const Tuple& tuple, Side ingress) const {
  return tuple.version() == 4 ? ask<Question4>(four_.get(), tuple, ingress)
                              : ask<Question6>(six_.get(), tuple, ingress);
}

RuleNumber RuleMatcher::search(const FlowKey4& key, Side ingress) const {
  Question4 question{};
  question.protocol = key.protocol;
  question.side = rte_cpu_to_be_32(static_cast<std::uint32_t>(ingress));
  std::memcpy(question.source, &key.source, sizeof(question.source));
  std::memcpy(question.destination, &key.destination, sizeof(question.destination));
  question.source_port = key.source_port;
  question.destination_port = key.destination_port;
  return answer_to(four_.get(), question);
}

}  // namespace glassbox
