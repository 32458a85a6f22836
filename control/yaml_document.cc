// SPDX-License-Identifier: BSD-3-Clause
#include "control/yaml_document.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <sstream>

#include "control/suggest.h"

namespace glassbox {
namespace {

constexpr std::size_t kLongestFile = std::size_t{64} << 20;

// What mends most of what is not YAML.
constexpr const char* kYamlRemedy =
    "(write 'key: value' or '- item', indent with spaces, close each bracket and quote, and put "
    "text "
    "that begins with a sign or holds ': ' in quotes)";

// Bytes of the UTF-8 character (RFC 3629 section 4) that `text` begins with; 0: it is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) > 0x9f;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool too_great = first == 0xf4 && byte(1) > 0x8f;
    return continues(1) && continues(2) && continues(3) && !overlong && !too_great ? 4 : 0;
  }
  return 0;
}

void check_is_text(const std::string& text, const std::string& file) {
  int line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(std::string_view(text).substr(at));
    if (length == 0) throw ConfigError({file, line}, "not UTF-8 text");
    if (text[at] == '\0') throw ConfigError({file, line}, "not a text file: it holds a zero byte");
    if (text[at] == '\n') ++line;
    at += length;
  }
}

// Where the second document of a text begins, if it has more than one.
class Documents final : public YAML::EventHandler {
 public:
  const std::optional<YAML::Mark>& second() const { return second_; }
  // It is where the first was: yaml-cpp makes no way there.
  bool stuck() const { return stuck_; }

  using Anchor = YAML::anchor_t;
  void OnDocumentStart(const YAML::Mark& mark) override {
    stuck_ = ++count_ > 1 && mark.pos == begin_.pos;
    begin_ = mark;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, Anchor) override { node(mark); }
  void OnAlias(const YAML::Mark& mark, Anchor) override { node(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string&, Anchor, const std::string&) override {
    node(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, Anchor,
                       YAML::EmitterStyle::value) override {
    node(mark);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string&, Anchor,
                  YAML::EmitterStyle::value) override {
    node(mark);
  }
  void OnMapEnd() override {}

 private:
  void node(const YAML::Mark& mark) {
    if (count_ == 2 && !second_) second_ = mark;
  }
  int count_ = 0;
  bool stuck_ = false;
  YAML::Mark begin_;
  std::optional<YAML::Mark> second_;
};

}  // namespace

ReadContext ReadContext::inside(std::string_view name) const {
  return {file, directory, path.empty() ? std::string(name) : fmt::format("{}: {}", path, name)};
}

void ReadContext::fail(const Location& where, const std::string& text) const {
  throw ConfigError(where, path.empty() ? text : path + ": " + text);
}

std::string read_text_file(const std::string& path) {
  const auto refuse = [&](const std::string& why) { throw ConfigError({path}, why); };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (file == nullptr) refuse(fmt::format("cannot be read: {}", std::strerror(errno)));
  struct stat status {};
  if (fstat(fileno(file.get()), &status) == 0 && S_ISDIR(status.st_mode)) {
    refuse("is a directory, not a file");
  }
  std::string text;
  std::array<char, 16384> buffer;
  for (std::size_t got; (got = std::fread(buffer.data(), 1, buffer.size(), file.get())) != 0;) {
    text.append(buffer.data(), got);
    if (text.size() > kLongestFile) refuse("is longer than 64 MiB: not a configuration");
  }
  if (std::ferror(file.get()) != 0) {
    refuse(fmt::format("cannot be read: {}", std::strerror(errno)));
  }
  return text;
}

YAML::Node load_yaml(const std::string& text, const std::string& file) {
  check_is_text(text, file);
  YAML::Node document;
  try {
    // Not LoadAll(): of a comma at the beginning it makes documents without end.
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    Documents documents;
    while (!documents.second() && !documents.stuck() && parser.HandleNextDocument(documents)) {
    }
    if (documents.stuck()) {
      const YAML::Mark mark = documents.second().value_or(YAML::Mark());
      throw ConfigError({file, mark.line + 1, mark.column + 1},
                        fmt::format("not YAML: nothing begins like this {}", kYamlRemedy));
    }
    if (documents.second()) {
      throw ConfigError({file, documents.second()->line + 1},
                        "a second YAML document ('---'): a file holds one");
    }
    document = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    const Location where = {file, error.mark.line + 1, error.mark.column + 1};
    throw ConfigError(where, fmt::format("not YAML: {} {}", error.msg, kYamlRemedy));
  }
  if (!document.IsDefined() || document.IsNull()) throw ConfigError({file}, "the file is empty");
  return document;
}

std::string name_of(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return "'" + node.Scalar() + "'";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a map";
    default:
      return "nothing";
  }
}

YamlMap::YamlMap(const YAML::Node& node, std::span<const std::string_view> known,
                 const ReadContext& context) {
  if (!node.IsMap()) {
    context.fail(node,
                 fmt::format("expected a map of keys and values, such as {{ {}: ... }}, not {}",
                             known.empty() ? "" : known.front(), name_of(node)));
  }
  for (const auto& item : node) {
    if (!item.first.IsScalar()) {
      context.fail(item.first, fmt::format("a key is a name, not {}", name_of(item.first)));
    }
    const std::string& key = item.first.Scalar();
    const Location where = context.at(item.first);
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      context.fail(where, fmt::format("unknown key '{}' {}", key, alternatives(key, known)));
    }
    const auto [other, added] = entries_.emplace(key, Entry{item.second, where.line});
    if (!added) {
      context.fail(where, fmt::format("duplicate key '{}' (the first is on line {})", key,
                                      other->second.line));
    }
  }
}

const YamlMap::Entry* YamlMap::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

}  // namespace glassbox
