// SPDX-License-Identifier: BSD-3-Clause
//
// Content codings of bodies (RFC 9110 8.4): takes one apart as it comes, and puts what has become
// of it together again in the same coding, because that is the one its receiver asked for.
//
//   gzip, deflate   zlib; written at level 1 with a small window: what is written anew has to keep
//                   up with the wire
//   br              brotli; written at quality 1
//
// zlib and brotli are spoken of in this file's source alone. Their memory comes from CodingMemory.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "nf/coding_memory.h"

namespace glassbox {

enum class ContentCoding : std::uint8_t { kIdentity, kGzip, kDeflate, kBrotli, kUnknown };

// Of a Content-Encoding field; several at once are kUnknown.
ContentCoding content_coding(std::string_view value);

class BodyDecoder {
 public:
  enum class State : std::uint8_t {
    kMore,      // goes on with what comes next
    kFull,      // goes on, with room for what it gives
    kEnded,     // the coded stream is over; what is left of the input is none of it
    kBroken,    // it is not in this coding
    kNoMemory,  // it wants more than the account has
  };

  // False: there is no memory. Closed again by close().
  bool open(ContentCoding coding, CodingMemory::Account& account);
  void close();
  bool is_open() const { return state_ != nullptr; }
  // Takes from the front of `input`, gives to the front of `room`; both shrink by what was used.
  State decode(std::span<const std::uint8_t>& input, std::span<std::uint8_t>& room);
  // What came so far may be all there is.
  bool complete() const { return between_members_ || ended_; }

 private:
  State inflate_some(std::span<const std::uint8_t>& input, std::span<std::uint8_t>& room);
  State unbrotli_some(std::span<const std::uint8_t>& input, std::span<std::uint8_t>& room);

  ContentCoding coding_ = ContentCoding::kIdentity;
  void* state_ = nullptr;
  CodingMemory::Account* account_ = nullptr;
  bool between_members_ = false;  // gzip: RFC 1952 2.2, a file may have several
  bool ended_ = false;
};

class BodyEncoder {
 public:
  enum class Until : std::uint8_t {
    kGathered,  // may be kept back
    kFlushed,   // all of it can be decoded
    kEnded,
  };

  bool open(ContentCoding coding, CodingMemory::Account& account);
  void close();
  bool is_open() const { return state_ != nullptr; }
  // Gives to the front of `room`, which shrinks by it. False: there is no room, or no memory.
  bool encode(std::span<const std::uint8_t> bytes, Until until, std::span<std::uint8_t>& room);

 private:
  bool deflate_some(std::span<const std::uint8_t> bytes, Until until,
                    std::span<std::uint8_t>& room);
  bool brotli_some(std::span<const std::uint8_t> bytes, Until until, std::span<std::uint8_t>& room);

  ContentCoding coding_ = ContentCoding::kIdentity;
  void* state_ = nullptr;
  CodingMemory::Account* account_ = nullptr;
};

}  // namespace glassbox
