// SPDX-License-Identifier: BSD-3-Clause
//
// Files that belong together, in a directory of their own.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dataplane/result.h"

namespace glassbox {

// Names and contents. Makes the directory if need be; all files are whole before the first gets its
// name, and on an error what was there before is left.
Result<void> write_files(const std::string& directory,
                         const std::vector<std::pair<std::string, std::string>>& files);

}  // namespace glassbox
