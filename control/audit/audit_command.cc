// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>

#include "control/audit/audit.h"
#include "control/audit/audit_json.h"
#include "control/audit/audit_text.h"
#include "control/audit/match_lines.h"

namespace glassbox {

int run_audit(const AuditOptions& options) {
  const auto begun = std::chrono::steady_clock::now();
  const auto input = audit::read_input(options);
  if (!input.ok()) throw std::runtime_error(input.error().message);
  audit::Audited done = audit::audit(*input, options);
  if (!options.matches.empty()) {
    const auto written = audit::write_matches(*input, done, options.matches);
    if (!written.ok()) throw std::runtime_error(written.error().message);
  }
  done.findings.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  if (options.quiet) return 0;
  const std::string text =
      options.json ? audit::json_text(done.findings) : audit::summary(done.findings);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace glassbox
