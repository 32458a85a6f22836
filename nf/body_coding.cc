// SPDX-License-Identifier: BSD-3-Clause
#include "nf/body_coding.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <zlib.h>

#include <array>
#include <cstring>

#include "nf/http_head.h"

namespace glassbox {
namespace {

// What zlib asks for when it writes: (1 << (kWindowBits + 2)) + (1 << (kMemoryLevel + 9)), some
// 70 KB; at the usual 15 and 8 it is four times that for 1 % in size.
constexpr int kWindowBits = 13;
constexpr int kMemoryLevel = 6;
constexpr int kLevel = Z_BEST_SPEED;
constexpr int kGzipWrapper = 16;
constexpr std::uint32_t kBrotliQuality = 1;
constexpr std::uint32_t kBrotliWindow = 16;

CodingMemory::Account& account_of(void* opaque) {
  return *static_cast<CodingMemory::Account*>(opaque);
}
voidpf take_items(voidpf opaque, uInt items, uInt size) {
  return CodingMemory::take(account_of(opaque), std::size_t{items} * size);
}
void* take_bytes(void* opaque, std::size_t bytes) {
  return CodingMemory::take(account_of(opaque), bytes);
}
void give_back(void* opaque, void* block) { CodingMemory::give(account_of(opaque), block); }

// The z_stream itself lies in the account's memory, too.
z_stream* make_stream(CodingMemory::Account& account) {
  void* const memory = CodingMemory::take(account, sizeof(z_stream));
  if (memory == nullptr) return nullptr;
  auto* stream = static_cast<z_stream*>(memory);
  std::memset(stream, 0, sizeof(z_stream));
  stream->zalloc = take_items;
  stream->zfree = give_back;
  stream->opaque = &account;
  return stream;
}

// zlib does not write to its input, whatever its type says.
Bytef* input_of(std::span<const std::uint8_t> bytes) { return const_cast<Bytef*>(bytes.data()); }

constexpr std::uint8_t kGzipMagic = 0x1f;  // RFC 1952 2.3.1: its first byte

}  // namespace

ContentCoding content_coding(std::string_view value) {
  struct Name {
    std::string_view name;
    ContentCoding coding;
  };
  // RFC 9110 8.4.1.3: x-gzip is gzip.
  constexpr std::array<Name, 6> kNames = {{{"", ContentCoding::kIdentity},
                                           {"identity", ContentCoding::kIdentity},
                                           {"gzip", ContentCoding::kGzip},
                                           {"x-gzip", ContentCoding::kGzip},
                                           {"deflate", ContentCoding::kDeflate},
                                           {"br", ContentCoding::kBrotli}}};
  for (const Name& known : kNames) {
    if (same_name(known.name, value)) return known.coding;
  }
  return ContentCoding::kUnknown;
}

// --- decoding --------------------------------------------------------------------------------

bool BodyDecoder::open(ContentCoding coding, CodingMemory::Account& account) {
  coding_ = coding;
  account_ = &account;
  between_members_ = ended_ = false;
  if (coding == ContentCoding::kBrotli) {
    state_ = BrotliDecoderCreateInstance(take_bytes, give_back, &account);
    return state_ != nullptr;
  }
  z_stream* stream = make_stream(account);
  if (stream == nullptr) return false;
  const int bits = MAX_WBITS + (coding == ContentCoding::kGzip ? kGzipWrapper : 0);
  if (inflateInit2(stream, bits) != Z_OK) {
    CodingMemory::give(account, stream);
    return false;
  }
  state_ = stream;
  return true;
}

void BodyDecoder::close() {
  if (state_ == nullptr) return;
  if (coding_ == ContentCoding::kBrotli) {
    BrotliDecoderDestroyInstance(static_cast<BrotliDecoderState*>(state_));
  } else {
    inflateEnd(static_cast<z_stream*>(state_));
    CodingMemory::give(*account_, state_);
  }
  state_ = nullptr;
}

BodyDecoder::State BodyDecoder::decode(std::span<const std::uint8_t>& input,
                                       std::span<std::uint8_t>& room) {
  return coding_ == ContentCoding::kBrotli ? unbrotli_some(input, room) : inflate_some(input, room);
}

BodyDecoder::State BodyDecoder::inflate_some(std::span<const std::uint8_t>& input,
                                             std::span<std::uint8_t>& room) {
  auto* stream = static_cast<z_stream*>(state_);
  for (;;) {
    if (between_members_) {
      if (input.empty()) return State::kMore;
      if (input[0] != kGzipMagic) return State::kEnded;
      between_members_ = false;
      inflateReset(stream);
    }
    stream->next_in = input_of(input);
    stream->avail_in = static_cast<uInt>(input.size());
    stream->next_out = room.data();
    stream->avail_out = static_cast<uInt>(room.size());
    const int result = inflate(stream, Z_NO_FLUSH);
    input = input.last(stream->avail_in);
    room = room.last(stream->avail_out);
    if (result == Z_STREAM_END) {
      if (coding_ != ContentCoding::kGzip) {
        ended_ = true;
        return State::kEnded;
      }
      between_members_ = true;
      continue;
    }
    if (result == Z_MEM_ERROR) return State::kNoMemory;
    if (result != Z_OK && result != Z_BUF_ERROR) return State::kBroken;
    return room.empty() ? State::kFull : State::kMore;
  }
}

BodyDecoder::State BodyDecoder::unbrotli_some(std::span<const std::uint8_t>& input,
                                              std::span<std::uint8_t>& room) {
  auto* state = static_cast<BrotliDecoderState*>(state_);
  std::size_t available = input.size();
  const std::uint8_t* next = input.data();
  std::size_t free = room.size();
  std::uint8_t* out = room.data();
  const BrotliDecoderResult result =
      BrotliDecoderDecompressStream(state, &available, &next, &free, &out, nullptr);
  input = input.last(available);
  room = room.last(free);
  switch (result) {
    case BROTLI_DECODER_RESULT_SUCCESS:
      ended_ = true;
      return State::kEnded;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
      return State::kMore;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
      return State::kFull;
    default:
      return account_->refused ? State::kNoMemory : State::kBroken;
  }
}

// --- encoding --------------------------------------------------------------------------------

bool BodyEncoder::open(ContentCoding coding, CodingMemory::Account& account) {
  coding_ = coding;
  account_ = &account;
  if (coding == ContentCoding::kBrotli) {
    auto* state = BrotliEncoderCreateInstance(take_bytes, give_back, &account);
    if (state == nullptr) return false;
    BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, kBrotliQuality);
    BrotliEncoderSetParameter(state, BROTLI_PARAM_LGWIN, kBrotliWindow);
    state_ = state;
    return true;
  }
  z_stream* stream = make_stream(account);
  if (stream == nullptr) return false;
  const int bits = kWindowBits + (coding == ContentCoding::kGzip ? kGzipWrapper : 0);
  if (deflateInit2(stream, kLevel, Z_DEFLATED, bits, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
    CodingMemory::give(account, stream);
    return false;
  }
  state_ = stream;
  return true;
}

void BodyEncoder::close() {
  if (state_ == nullptr) return;
  if (coding_ == ContentCoding::kBrotli) {
    BrotliEncoderDestroyInstance(static_cast<BrotliEncoderState*>(state_));
  } else {
    deflateEnd(static_cast<z_stream*>(state_));
    CodingMemory::give(*account_, state_);
  }
  state_ = nullptr;
}

bool BodyEncoder::encode(std::span<const std::uint8_t> bytes, Until until,
                         std::span<std::uint8_t>& room) {
  if (bytes.empty() && until == Until::kGathered) return true;
  return coding_ == ContentCoding::kBrotli ? brotli_some(bytes, until, room)
                                           : deflate_some(bytes, until, room);
}

bool BodyEncoder::deflate_some(std::span<const std::uint8_t> bytes, Until until,
                               std::span<std::uint8_t>& room) {
  constexpr std::array<int, 3> kFlush = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
  auto* stream = static_cast<z_stream*>(state_);
  stream->next_in = input_of(bytes);
  stream->avail_in = static_cast<uInt>(bytes.size());
  stream->next_out = room.data();
  stream->avail_out = static_cast<uInt>(room.size());
  const int result = deflate(stream, kFlush[static_cast<std::size_t>(until)]);
  room = room.last(stream->avail_out);
  const bool whole = until == Until::kEnded ? result == Z_STREAM_END : stream->avail_out != 0;
  return whole && stream->avail_in == 0 &&
         (result == Z_OK || result == Z_STREAM_END ||
          result == Z_BUF_ERROR);  // nothing new to flush
}

bool BodyEncoder::brotli_some(std::span<const std::uint8_t> bytes, Until until,
                              std::span<std::uint8_t>& room) {
  constexpr std::array<BrotliEncoderOperation, 3> kOperation = {
      BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH, BROTLI_OPERATION_FINISH};
  auto* state = static_cast<BrotliEncoderState*>(state_);
  const std::uint8_t* next = bytes.data();
  std::size_t available = bytes.size();
  std::uint8_t* out = room.data();
  std::size_t free = room.size();
  bool sound = true;
  do {
    sound = BrotliEncoderCompressStream(state, kOperation[static_cast<std::size_t>(until)],
                                        &available, &next, &free, &out, nullptr) == BROTLI_TRUE;
  } while (sound && free != 0 && (available != 0 || BrotliEncoderHasMoreOutput(state) != 0));
  room = room.last(free);
  return sound && available == 0 && BrotliEncoderHasMoreOutput(state) == 0;
}

}  // namespace glassbox
