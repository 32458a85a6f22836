// SPDX-License-Identifier: BSD-3-Clause
//
// The firewall's rules compiled with rte_acl: one trie search whatever their number.
//
// Compiling takes memory from the EAL heap and time (10,000 rules: a part of a second), once, at
// start. match() is for the slow path; an accepted flow never comes here again.
#pragma once

#include <rte_acl.h>

#include <memory>

#include "nf/firewall_rules.h"

namespace glassbox {

class RuleMatcher {
 public:
  // Throws ConfigError when the rules cannot be compiled.
  RuleMatcher(std::span<const FirewallRule> rules, const Location& where);

  // The first rule that matches. `tuple` is as asked_tuple() gives it.
  RuleNumber match(const Tuple& tuple, Side ingress) const;
  // The same for the packed form, for the first packet of every flow. As asked_key() gives it.
  RuleNumber match(const FlowKey4& key, Side ingress) const {
    return four_ == nullptr ? kNoRule : search(key, ingress);
  }
  // Of the EAL heap, by all that was compiled.
  std::uint64_t bytes() const { return bytes_; }

 private:
  RuleNumber search(const FlowKey4& key, Side ingress) const;

  struct Free {
    void operator()(rte_acl_ctx* context) const { rte_acl_free(context); }
  };
  using Compiled = std::unique_ptr<rte_acl_ctx, Free>;

  Compiled four_;  // nullptr: no rule is about the family
  Compiled six_;
  std::uint64_t bytes_ = 0;
};

}  // namespace glassbox
