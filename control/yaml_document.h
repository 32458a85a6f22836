// SPDX-License-Identifier: BSD-3-Clause
//
// YAML as text with places: reads a file, checks that it is text and one document, and gives maps
// in which every key is a known one and occurs once. All errors are ConfigErrors with file and
// line.
#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "dataplane/settings.h"

namespace glassbox {

// Where the reader is: the file, and the names that lead to the value at hand.
struct ReadContext {
  std::string file;       // as messages name it
  std::string directory;  // file names in the configuration are relative to it; "": the current one
  std::string path;       // "nat44: pool"

  // The same file, one name deeper.
  ReadContext inside(std::string_view name) const;
  Location at(const YAML::Node& node) const { return {file, node.Mark().line + 1}; }
  Location at(int line) const { return {file, line}; }
  [[noreturn]] void fail(const Location& where, const std::string& text) const;
  [[noreturn]] void fail(const YAML::Node& node, const std::string& text) const {
    fail(at(node), text);
  }
};

// The whole file. Refuses directories, what cannot be read, and what is too long to be a
// configuration.
std::string read_text_file(const std::string& path);

// The one document in `text`. Refuses what is not UTF-8, empty, no YAML, or several documents.
YAML::Node load_yaml(const std::string& text, const std::string& file);

// What a node is, for messages: "a list", "'abc'".
std::string name_of(const YAML::Node& node);

// A map whose keys are all known and each there once.
class YamlMap {
 public:
  YamlMap(const YAML::Node& node, std::span<const std::string_view> known,
          const ReadContext& context);

  struct Entry {
    YAML::Node value;
    int line;  // of the key
  };
  const Entry* find(std::string_view name) const;

 private:
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace glassbox
