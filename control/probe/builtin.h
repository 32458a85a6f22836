// SPDX-License-Identifier: BSD-3-Clause
//
// probes.yaml, as scripts/embed writes it.
#pragma once

#include <string_view>

namespace glassbox {

extern const std::string_view kProbesYaml;

}  // namespace glassbox
