// SPDX-License-Identifier: BSD-3-Clause
//
// The program: reads the command line, runs one command, turns what went wrong into words and an
// exit status (0 done, 1 the run failed, 2 usage or configuration error).
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "control/check.h"
#include "control/config.h"
#include "control/describe.h"
#include "control/eal.h"
#include "control/opes/status_page.h"
#include "control/options.h"

namespace glassbox {
namespace {

constexpr unsigned kCheckMegabytes = 256;  // of EAL's heap, for rules that are compiled

void print(std::FILE* stream, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

int run(const Message& message) {
  print(message.status == kDone ? stdout : stderr, message.text);
  return message.status;
}

int run(const ReplayOptions& options) { return run_replay(options); }

int run(const LiveOptions& options) { return run_live(options); }

int run(const ForgetOptions& options) { return run_forget(options); }

int run(const CtlOptions& options) { return run_ctl(options); }
int run(const BenchOptions& options) { return run_bench(options); }

int run(const ProbeOptions& options) { return run_probe(options); }

int run(const AuditOptions& options) { return run_audit(options); }

int run(const DescribeOptions& options) {
  if (!options.opes.empty()) {
    const Config config = load_config(options.opes);
    print(stdout, options.html ? status_page_html(config) : status_page_text(config));
    return kDone;
  }
  print(stdout, options.json ? describe_json(options.function) : describe_text(options.function));
  return kDone;
}

int run(const CheckOptions& options) {
  const Config config = load_config(options.config);
  const EalOnDemand eal(kCheckMegabytes);
  // Functions check what only they can know while they are made.
  build_chain(config, {.seed = config.dataplane.seed});
  print(stdout, chain_text(config));
  return kDone;
}

int run(const CompareOptions& options) { return run_compare(options); }

int run(const DoctorOptions& options) { return run_doctor(options); }

int run_main(const std::vector<std::string>& arguments) {
  const Command command = parse_command_line(arguments);
  int status = kFailed;
  try {
    status = std::visit([](const auto& options) { return run(options); }, command);
  } catch (const ConfigError& error) {
    std::fprintf(stderr, "glassbox: %s\n", error.what());
    status = kUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "glassbox: %s\n", error.what());
    status = kFailed;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fprintf(stderr, "glassbox: cannot write to standard output: %s\n", std::strerror(errno));
    if (status == kDone) status = kFailed;
  }
  return status;
}

}  // namespace
}  // namespace glassbox

int main(int count, char** arguments) {
  return glassbox::run_main({arguments + 1, arguments + count});
}
