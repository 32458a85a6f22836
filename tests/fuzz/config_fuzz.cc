// SPDX-License-Identifier: BSD-3-Clause
//
// Any bytes as a configuration: it is read, and prints as a chain, or refused with a place in it.
#include <algorithm>

#include "control/check.h"
#include "control/config.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glassbox;
  using namespace glassbox::test;
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const Config config = parse_config(text, "fuzz.yaml");
    require(!chain_text(config).empty(), "a chain that prints nothing");
    for (const ChainEntry& entry : config.chain) {
      require(entry.type != nullptr, "an entry without a function");
      for (const Parameter& parameter : entry.type->spec.parameters) {
        require(!parameter.required || entry.settings.given(parameter.name),
                "a required parameter is not there: " + std::string(parameter.name));
      }
    }
  } catch (const ConfigError& error) {
    const std::string what = error.what();
    require(!error.where().file.empty(), "an error without a file: " + what);
    require(error.where().line >= 0, "an error in a line that there is not: " + what);
    // A line break of YAML is more than \n, but never more than a byte.
    require(error.where().file != "fuzz.yaml" || error.where().line <= static_cast<int>(size) + 1,
            "an error behind the end: " + what);
  }
  return 0;
}
