// SPDX-License-Identifier: BSD-3-Clause
//
// The page that an OPES system's id leads to (RFC 3897 3.2): its privacy policy, processors and
// services with the effect of each on references, and what it does not meet. From the
// configuration, so that it says what runs.
#pragma once

#include <string>

#include "control/config.h"
#include "nf/http_opes.h"

namespace glassbox {

// Of each http function in the chain. Throws ConfigError when there is none.
std::string status_page_text(const Config& config);
std::string status_page_html(const Config& config);

}  // namespace glassbox
