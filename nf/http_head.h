// SPDX-License-Identifier: BSD-3-Clause
//
// The head of an HTTP/1 message as text: its start line and fields, where they stand, and the edits
// that services ask for. A head is short and lies here in one piece; edits are written down against
// its offsets, in order, and carried out by the stream layer.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace glassbox {

class HttpHead {
 public:
  static constexpr std::size_t kMaxFields = 100;

  struct FieldLine {
    std::string_view name;
    std::string_view value;   // without the blanks around it
    std::uint32_t begin = 0;  // of the line
    std::uint32_t end = 0;    // behind its line end, and behind lines that continue it
  };

  // `text`: start line to empty line. False: it is no head, or has too many fields.
  bool read(std::string_view text);

  std::string_view text() const { return text_; }
  std::string_view start_line() const { return text_.substr(0, start_end_); }
  // Of a request: between the blanks of the start line.
  std::string_view target() const;
  std::size_t size() const { return count_; }
  const FieldLine& operator[](std::size_t index) const { return fields_[index]; }
  // The first of that name (in any case); nullptr: none.
  const FieldLine* find(std::string_view name) const;
  // Where a further field goes: ahead of the empty line.
  std::uint32_t fields_end() const { return fields_end_; }

 private:
  std::string_view text_;
  std::uint32_t start_end_ = 0;
  std::uint32_t fields_end_ = 0;
  std::array<FieldLine, kMaxFields> fields_;
  std::size_t count_ = 0;
};

bool same_name(std::string_view a, std::string_view b);
// Some member of a comma-separated list is `token` (in any case).
bool has_token(std::string_view list, std::string_view token);

// Edits of one head: what [begin, end) becomes. They may come in any order and must not overlap;
// insertions at one place keep their order.
class HeadEdits {
 public:
  static constexpr std::size_t kMaxEdits = 64;
  static constexpr std::size_t kMaxBytes = 8192;

  struct Edit {
    std::uint32_t begin;
    std::uint32_t end;
    std::uint16_t offset;  // of the new bytes
    std::uint16_t length;
  };

  void clear() { count_ = used_ = 0; }
  // False: there is no room.
  bool replace(std::uint32_t begin, std::uint32_t end, std::string_view first,
               std::string_view second = {}, std::string_view third = {},
               std::string_view fourth = {});
  bool insert(std::uint32_t at, std::string_view first, std::string_view second = {},
              std::string_view third = {}, std::string_view fourth = {}) {
    return replace(at, at, first, second, third, fourth);
  }
  bool covers(std::uint32_t at) const;
  void sort();
  std::size_t size() const { return count_; }
  const Edit& operator[](std::size_t index) const { return edits_[index]; }
  std::string_view bytes(const Edit& edit) const {
    return {bytes_.data() + edit.offset, edit.length};
  }
  std::size_t total_bytes() const { return used_; }
  // The bytes of what was asked for from a moment on begin at total_bytes() of that moment.
  static bool since(const Edit& edit, std::size_t moment) { return edit.offset >= moment; }

 private:
  std::array<Edit, kMaxEdits> edits_;
  std::array<char, kMaxBytes> bytes_;
  std::size_t count_ = 0;
  std::size_t used_ = 0;
};

}  // namespace glassbox
