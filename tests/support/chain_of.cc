// SPDX-License-Identifier: BSD-3-Clause
//
// Bed's way from YAML to functions: the program's own, so that a test's chain is a user's chain.
#include <sstream>

#include "control/config.h"
#include "tests/support/bed.h"

namespace glassbox::test {

Config config_of(std::string_view yaml) {
  std::ostringstream text;
  text << "dataplane: { sessions: " << Bed::small_worker().max_sessions << " }\nchain:";
  if (yaml.find_first_not_of(" \n") == std::string_view::npos || yaml.front() == '[') {
    text << ' ' << yaml << '\n';
  } else {
    std::istringstream lines{std::string(yaml)};
    text << '\n';
    for (std::string line; std::getline(lines, line);) text << "  " << line << '\n';
  }
  return parse_config(text.str(), "test");
}

Chain chain_of(std::string_view yaml) {
  return build_chain(config_of(yaml), ChainPart{.seed = 1});
}

}  // namespace glassbox::test
