// SPDX-License-Identifier: BSD-3-Clause
//
// A report in plain language: what each figure says, in a sentence that somebody who never read
// an RFC understands, with the clause that makes it matter. What was not measured is said to be so,
// with the command that measures it.
#pragma once

#include <string>
#include <vector>

#include "control/report/json_view.h"

namespace glassbox {

struct Sentence {
  std::string topic;  // "staircase": the section it belongs to
  std::string text;
  std::string clause;   // "RFC 1958, 2.3"; empty: none
  std::string command;  // what would measure it; empty: it was measured
};

// In the order of the page. A topic may have several, or none where there is nothing to say.
std::vector<Sentence> sentences(const Json& report);

}  // namespace glassbox
