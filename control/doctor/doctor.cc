// SPDX-License-Identifier: BSD-3-Clause
#include "control/doctor/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>

namespace glassbox {
namespace {

// What the program is compiled for, by /proc/cpuinfo's names.
constexpr std::array kFeatures = {std::pair{"avx2", "AVX2"}, std::pair{"aes", "AES"},
                                  std::pair{"bmi2", "BMI2"}};

// The value behind the first "flags : " of /proc/cpuinfo, a blank at each end.
std::string processor_flags(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos && line.starts_with("flags")) {
      return line.substr(colon + 1) + " ";
    }
  }
  return {};
}

}  // namespace

std::string_view name_of(Health health) {
  static constexpr std::array<std::string_view, 4> kNames = {"ok", "warning", "failed", "skipped"};
  return kNames[static_cast<std::size_t>(health)];
}

void check_processor(const Machine& machine, std::vector<Finding>& findings) {
  const std::string flags = processor_flags(machine.text("/proc/cpuinfo").value_or(""));
  if (flags.empty()) {
    findings.push_back({"processor", "", Health::kSkipped, "/proc/cpuinfo names no flags", ""});
    return;
  }
  std::string missing;
  for (const auto& [flag, name] : kFeatures) {
    if (flags.find(fmt::format(" {} ", flag)) != std::string::npos) continue;
    missing += fmt::format("{}{}", missing.empty() ? "" : ", ", name);
  }
  if (missing.empty()) {
    findings.push_back({"processor", "", Health::kOk, "AVX2, AES and BMI2 are there", ""});
  } else {
    findings.push_back(
        {"processor", "", Health::kFailed,
         fmt::format("it has no {}: another machine is needed (or, in a virtual one, "
                     "a CPU model that passes them through)",
                     missing),
         ""});
  }
}

std::vector<Finding> examine(const Machine& machine, const Patient& patient) {
  std::vector<Finding> findings;
  check_processor(machine, findings);
  check_memory(machine, patient, findings);
  check_nics(machine, patient, findings);
  check_interfaces(machine, patient, findings);
  check_core(machine, patient, findings);
  return findings;
}

bool is_healthy(const std::vector<Finding>& findings) {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& each) { return each.health == Health::kFailed; });
}

std::string doctor_text(const std::vector<Finding>& findings) {
  std::size_t width = 0;
  for (const Finding& each : findings) {
    width =
        std::max(width, each.check.size() + (each.subject.empty() ? 0 : 1) + each.subject.size());
  }
  std::string text;
  unsigned failed = 0;
  unsigned warnings = 0;
  for (const Finding& each : findings) {
    const std::string what =
        each.subject.empty() ? each.check : fmt::format("{} {}", each.check, each.subject);
    text += fmt::format("{:8} {:{}}  {}\n", name_of(each.health), what, width, each.found);
    if (!each.remedy.empty()) text += fmt::format("{:9}{}\n", "", each.remedy);
    failed += each.health == Health::kFailed ? 1 : 0;
    warnings += each.health == Health::kWarning ? 1 : 0;
  }
  const auto plural = [](unsigned count, const char* one, const char* many) {
    return fmt::format("{} {}", count, count == 1 ? one : many);
  };
  return text + fmt::format("\n{}, {}\n", plural(failed, "failure", "failures"),
                            plural(warnings, "warning", "warnings"));
}

std::string doctor_json(const std::vector<Finding>& findings) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const Finding& each : findings) {
    const auto or_null = [](const std::string& text) {
      return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
    };
    checks.push_back({{"check", each.check},
                      {"subject", or_null(each.subject)},
                      {"status", name_of(each.health)},
                      {"found", each.found},
                      {"remedy", or_null(each.remedy)}});
  }
  const nlohmann::ordered_json all = {{"schema", "glassbox.doctor/1"},
                                      {"healthy", is_healthy(findings)},
                                      {"checks", std::move(checks)}};
  return all.dump(2) + "\n";
}

}  // namespace glassbox
