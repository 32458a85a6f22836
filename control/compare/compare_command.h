// SPDX-License-Identifier: BSD-3-Clause
//
// `glassbox compare A B`: two reports side by side.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace glassbox {

struct CompareOptions {
  std::string a;  // a report.json, or the directory that has one
  std::string b;
  std::string report;  // directory for compare.json and compare.html
  bool json = false;
};

CLI::App* add_compare(CLI::App& app, CompareOptions& options);
// The exit status. Throws ConfigError for a file that is no report.
int run_compare(const CompareOptions& options);

}  // namespace glassbox
