// SPDX-License-Identifier: BSD-3-Clause
//
// The page of a report.json, whoever wrote it: page_of_json < report.json > report.html
#include <exception>
#include <iostream>
#include <iterator>

#include "control/report/report_html.h"

int main() {
  try {
    const std::string json{std::istreambuf_iterator<char>(std::cin), {}};
    std::cout << glassbox::to_html(json);
    return std::cout.flush() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "page_of_json: " << error.what() << "\n";
    return 1;
  }
}
