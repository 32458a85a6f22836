// SPDX-License-Identifier: BSD-3-Clause
#include "nf/hyperscan.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>
#include <new>
#include <numeric>

#include "nf/partial_match.h"

namespace glassbox {
namespace {

constexpr std::size_t kCacheLine = 64;

// No UTF-8 mode: its results are undefined on data that is not UTF-8, and the data is not ours.
constexpr std::array<PatternFlag, 3> kPatternFlags = {{
    {'i', HS_FLAG_CASELESS, "letters match in either case"},
    {'s', HS_FLAG_DOTALL, "a dot matches a newline, too"},
    {'m', HS_FLAG_MULTILINE, "^ and $ match at newlines, too"},
}};

unsigned flags_of(const Pattern& pattern, std::size_t place) {
  unsigned flags = HS_FLAG_SINGLEMATCH;
  for (const char letter : pattern.flags) {
    unsigned flag = 0;
    std::string known;
    for (const PatternFlag& candidate : kPatternFlags) {
      if (candidate.letter == letter) flag = candidate.flag;
      known += known.empty() ? "" : ", ";
      known += candidate.letter;
    }
    if (flag == 0) {
      throw PatternError(place,
                         std::string("unknown flag '") + letter + "' (known: " + known + ")");
    }
    flags |= flag;
  }
  return flags;
}

// Hyperscan's own callback: zero goes on with the scan.
int on_match(unsigned id, unsigned long long, unsigned long long, unsigned, void* context) {
  static_cast<MatchSink*>(context)->matched(id);
  return 0;
}

const char* as_chars(std::span<const std::uint8_t> bytes) {
  return reinterpret_cast<const char*>(bytes.data());
}

// The calls below fail only by misuse: a wrong mode, a scratch that does not fit or is in use.
void expect_success(hs_error_t result) {
  if (result != HS_SUCCESS) [[unlikely]]
    std::abort();
}

// The pool that this thread is opening or closing a stream of.
thread_local StreamPool* serving = nullptr;

class Serving {
 public:
  explicit Serving(StreamPool* pool) { serving = pool; }
  ~Serving() { serving = nullptr; }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
};

}  // namespace

std::span<const PatternFlag> pattern_flags() { return kPatternFlags; }

PatternDatabase::PatternDatabase(const std::vector<Pattern>& patterns, ScanMode mode)
    : mode_(mode) {
  if (hs_valid_platform() != HS_SUCCESS) {
    throw PatternError(patterns.size(), "this processor lacks SSSE3, which Hyperscan needs");
  }
  std::vector<const char*> expressions;
  std::vector<unsigned> flags;
  std::vector<unsigned> ids;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    if (patterns[i].expression.empty()) throw PatternError(i, "the pattern is empty");
    if (patterns[i].expression.find('\0') != std::string::npos) {
      throw PatternError(i, "the pattern holds a zero byte; write it as \\x00");
    }
    expressions.push_back(patterns[i].expression.c_str());
    flags.push_back(flags_of(patterns[i], i));
    ids.push_back(patterns[i].id);
  }
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  const unsigned compile_mode = mode == ScanMode::kStream ? HS_MODE_STREAM : HS_MODE_BLOCK;
  if (hs_compile_multi(expressions.data(), flags.data(), ids.data(),
                       static_cast<unsigned>(patterns.size()), compile_mode, nullptr, &database,
                       &error) != HS_SUCCESS) {
    const std::size_t place =
        error->expression < 0 ? patterns.size() : static_cast<std::size_t>(error->expression);
    const std::string text = error->message;
    hs_free_compile_error(error);
    throw PatternError(place, text);
  }
  database_.reset(database);
}

void Scratch::fit(const PatternDatabase& database) { fit(database.get()); }

void Scratch::fit(const hs_database_t* database) {
  if (hs_alloc_scratch(database, &scratch_) != HS_SUCCESS) throw std::bad_alloc();
}

void scan_block(const PatternDatabase& database, std::span<const std::uint8_t> bytes,
                const Scratch& scratch, MatchSink& sink) {
  expect_success(hs_scan(database.get(), as_chars(bytes), static_cast<unsigned>(bytes.size()), 0,
                         scratch.get(), on_match, &sink));
}

// --- where it matches ------------------------------------------------------------------------

namespace {

// Looks at what stands around a match. In a stream that is cut anywhere there is nothing around.
bool looks_around(std::string_view expression) {
  bool in_class = false;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == '\\' && i + 1 < expression.size()) {
      ++i;
      if (!in_class && std::string_view("bBAzZG").find(expression[i]) != std::string_view::npos) {
        return true;
      }
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    if (!in_class && (c == '^' || c == '$')) return true;
  }
  return false;
}

// More than a segment brings; what lies behind is looked at in a further scan.
constexpr std::size_t kMaxCandidates = 1 << 15;

struct Search {
  std::vector<MatchFinder::Found>& candidates;
  std::uint32_t ids;
};

int on_found(unsigned id, unsigned long long from, unsigned long long to, unsigned, void* context) {
  auto& search = *static_cast<Search*>(context);
  if ((search.ids >> id & 1) == 0) return 0;
  if (search.candidates.size() == kMaxCandidates) return 1;
  search.candidates.push_back(
      {static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to), id});
  return 0;
}

}  // namespace

MatchFinder::MatchFinder(const std::vector<Pattern>& patterns) {
  std::vector<const char*> expressions;
  std::vector<unsigned> flags;
  std::vector<unsigned> ids;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const Pattern& pattern = patterns[i];
    const unsigned own =
        (flags_of(pattern, i) & ~unsigned{HS_FLAG_SINGLEMATCH}) | HS_FLAG_SOM_LEFTMOST;
    hs_expr_info_t* info = nullptr;
    hs_compile_error_t* error = nullptr;
    if (hs_expression_info(pattern.expression.c_str(), own, &info, &error) != HS_SUCCESS) {
      const std::string text = error->message;
      hs_free_compile_error(error);
      throw PatternError(i, text);
    }
    const hs_expr_info_t known = *info;
    std::free(info);
    if (known.max_width == UINT32_MAX) {
      throw PatternError(i, "it has no bound to what it matches; write {1,20} instead of + or *");
    }
    if (known.min_width == 0) throw PatternError(i, "it matches where nothing is");
    if (known.matches_at_eod || looks_around(pattern.expression)) {
      throw PatternError(i,
                         "^, $ and \\b look at what stands around, which is not there in a stream");
    }
    width_ = std::max(width_, known.max_width);
    widths_.push_back(known.max_width);
    expressions.push_back(pattern.expression.c_str());
    flags.push_back(own);
    ids.push_back(pattern.id);
  }
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  if (hs_compile_multi(expressions.data(), flags.data(), ids.data(),
                       static_cast<unsigned>(patterns.size()), HS_MODE_BLOCK, nullptr, &database,
                       &error) != HS_SUCCESS) {
    const std::size_t place =
        error->expression < 0 ? patterns.size() : static_cast<std::size_t>(error->expression);
    const std::string text = error->message;
    hs_free_compile_error(error);
    throw PatternError(place, text);
  }
  database_.reset(database);
  partial_ = std::make_unique<PartialMatcher>(patterns);
  candidates_.reserve(kMaxCandidates);
}

MatchFinder::~MatchFinder() = default;

std::uint32_t MatchFinder::open_end(std::span<const std::uint8_t> bytes) const {
  const std::size_t widest = std::min<std::size_t>(bytes.size(), width_ - 1);
  const std::size_t before = bytes.size() - widest;
  return static_cast<std::uint32_t>(before + partial_->first(bytes.subspan(before)));
}

// One scan reports, for each place where something ends, the leftmost place where it can begin. Of
// what lies behind a match that was taken all is known but what the reports of overlapping ones
// hide: then the rest is scanned anew.
void MatchFinder::find(std::span<const std::uint8_t> bytes, std::uint32_t before, std::uint32_t ids,
                       const Scratch& scratch, std::vector<Found>& found) {
  std::uint32_t at = 0;  // what lies before it is done with
  bool again = true;
  while (again && at < before) {
    again = false;
    candidates_.clear();
    Search search{candidates_, ids};
    const auto rest = bytes.subspan(at);
    const hs_error_t result =
        hs_scan(database_.get(), as_chars(rest), static_cast<unsigned>(rest.size()), 0,
                scratch.get(), on_found, &search);
    const bool all = result != HS_SCAN_TERMINATED;
    if (all) expect_success(result);
    if (candidates_.empty()) return;
    std::ranges::sort(candidates_, [](const Found& a, const Found& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
    });
    const std::uint32_t origin = at;
    for (const Found& candidate : candidates_) {
      const Found match{origin + candidate.begin, origin + candidate.end, candidate.id};
      if (match.begin < at) {
        if (match.end <= at) continue;
        again = true;
        break;
      }
      if (match.begin >= before || found.size() == found.capacity()) return;
      found.push_back(match);
      at = match.end;
      // What ends behind the last report may begin before what was reported.
      if (!all) again = true;
      if (!all) break;
    }
  }
}

void MatchFinder::fit(Scratch& scratch) const { scratch.fit(database_.get()); }

// --- streams ---------------------------------------------------------------------------------

struct StreamAllocator {
  static void* take(std::size_t bytes) {
    return serving != nullptr ? serving->take_block(bytes) : std::malloc(bytes);
  }
  static void give(void* block) {
    if (serving != nullptr) return serving->give_block(block);
    std::free(block);
  }
  static bool install() { return hs_set_stream_allocator(take, give) == HS_SUCCESS; }
};

StreamPool::StreamPool(const PatternDatabase& database, std::uint32_t capacity)
    : database_(database), streams_(capacity, nullptr), free_(capacity) {
  static const bool installed = StreamAllocator::install();
  std::size_t bytes = 0;
  if (!installed || hs_stream_size(database.get(), &bytes) != HS_SUCCESS) throw std::bad_alloc();
  block_bytes_ = (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
  blocks_ = HugeArray(block_bytes_ * capacity);
  std::iota(free_.rbegin(), free_.rend(), 0u);
}

StreamPool::~StreamPool() {
  const Serving scope(this);
  for (hs_stream_t* stream : streams_) {
    if (stream != nullptr) hs_close_stream(stream, nullptr, nullptr, nullptr);
  }
}

void* StreamPool::take_block(std::size_t bytes) {
  if (bytes > block_bytes_ || free_.empty()) return nullptr;
  const std::uint32_t number = free_.back();
  free_.pop_back();
  return blocks_.data() + number * block_bytes_;
}

void StreamPool::give_block(void* block) {
  const auto offset = static_cast<std::size_t>(static_cast<std::byte*>(block) - blocks_.data());
  free_.push_back(static_cast<std::uint32_t>(offset / block_bytes_));  // within what it had before
}

std::uint32_t StreamPool::open() {
  if (free_.empty()) return kNone;
  const std::uint32_t number = free_.back();
  const Serving scope(this);
  expect_success(hs_open_stream(database_.get(), 0, &streams_[number]));
  ++open_;
  return number;
}

void StreamPool::scan(std::uint32_t stream, std::span<const std::uint8_t> bytes,
                      const Scratch& scratch, MatchSink& sink) {
  expect_success(hs_scan_stream(streams_[stream], as_chars(bytes),
                                static_cast<unsigned>(bytes.size()), 0, scratch.get(), on_match,
                                &sink));
}

void StreamPool::restart(std::uint32_t stream) {
  expect_success(hs_reset_stream(streams_[stream], 0, nullptr, nullptr, nullptr));
}

void StreamPool::close(std::uint32_t stream, const Scratch& scratch, MatchSink* sink) {
  assert(streams_[stream] != nullptr);
  const Serving scope(this);
  expect_success(hs_close_stream(streams_[stream], sink != nullptr ? scratch.get() : nullptr,
                                 sink != nullptr ? on_match : nullptr, sink));
  streams_[stream] = nullptr;
  --open_;
}

}  // namespace glassbox
