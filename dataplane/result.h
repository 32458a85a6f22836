// SPDX-License-Identifier: BSD-3-Clause
//
// A value, or the words that say why there is none.
//
// For what may fail at start or at the edges (files, configuration), never in the path of a packet.
// An error's message is complete: it names the file, the place and what to do, so that it can be
// printed as it is.
//
//   Result<CaptureReader> reader = CaptureReader::open(path);
//   if (!reader.ok()) return fail(reader.error().message);
//   reader->next();
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace glassbox {

struct Error {
  std::string message;
};

// Asking a failed Result for its value, or a good one for its error, is a bug of the caller.
template <typename T>
class [[nodiscard]] Result {
 public:
  // Both are implicit so that a function can `return value;` and `return Error{...};`.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }

  T& value() & { return *checked(std::get_if<0>(&state_)); }
  const T& value() const& { return *checked(std::get_if<0>(&state_)); }
  T&& value() && { return std::move(value()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const { return *checked(std::get_if<1>(&state_)); }

 private:
  template <typename Pointer>
  static Pointer checked(Pointer pointer) {
    assert(pointer != nullptr);
    return pointer;
  }

  std::variant<T, Error> state_;
};

// Done, or why not.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  const Error& error() const {
    assert(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace glassbox
