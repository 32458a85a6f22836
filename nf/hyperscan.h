// SPDX-License-Identifier: BSD-3-Clause
//
// Hyperscan, as the functions use it. No other file names its API.
//
//   PatternDatabase   compiled patterns, for streams or for whole blocks; never changes afterwards
//   Scratch           the working memory of one thread's scans
//   StreamPool        a bounded number of open streams over memory taken once: opening and closing
//                     a stream on the datapath does not touch the heap
//
//     PatternDatabase database({{"attack", "i", 0}}, ScanMode::kStream);
//     Scratch scratch;
//     scratch.fit(database);
//     StreamPool pool(database, 4096);
//     const std::uint32_t stream = pool.open();
//     pool.scan(stream, bytes, scratch, sink);      // any number of times; patterns may span calls
//     pool.close(stream, scratch, &sink);           // reports what matches at the end of the data
//
// Every pattern is reported once per stream, or once per block (HS_FLAG_SINGLEMATCH). A scan visits
// all of its bytes, whatever matched before.
//
// Hyperscan's stream allocator is one per process. Ours serves whichever pool the calling thread is
// opening or closing a stream of, so that pools of several threads and databases can coexist.
#pragma once

#include <hs/hs.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/huge_array.h"

namespace glassbox {

enum class ScanMode : std::uint8_t { kStream, kBlock };

struct Pattern {
  std::string expression;  // PCRE syntax, as far as Hyperscan has it
  std::string flags;       // letters of kPatternFlags
  std::uint32_t id = 0;    // reported with a match
};

struct PatternFlag {
  char letter;
  unsigned flag;
  std::string_view meaning;
};
std::span<const PatternFlag> pattern_flags();

// A pattern that does not compile.
class PatternError : public std::exception {
 public:
  PatternError(std::size_t pattern, std::string text) : pattern_(pattern), text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }
  // Its place among the patterns given; their number, when the fault is no single pattern's.
  std::size_t pattern() const { return pattern_; }

 private:
  std::size_t pattern_;
  std::string text_;
};

// Told of matches, in no particular order within one scan.
class MatchSink {
 public:
  virtual void matched(std::uint32_t id) = 0;

 protected:
  ~MatchSink() = default;
};

class PatternDatabase {
 public:
  // Throws PatternError. `patterns` must not be empty.
  PatternDatabase(const std::vector<Pattern>& patterns, ScanMode mode);

  const hs_database_t* get() const { return database_.get(); }
  ScanMode mode() const { return mode_; }

 private:
  struct Free {
    void operator()(hs_database_t* database) const { hs_free_database(database); }
  };
  std::unique_ptr<hs_database_t, Free> database_;
  ScanMode mode_;
};

class Scratch {
 public:
  Scratch() = default;
  ~Scratch() { hs_free_scratch(scratch_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // Makes it large enough for this database, too. Throws std::bad_alloc.
  void fit(const PatternDatabase& database);
  void fit(const hs_database_t* database);
  hs_scratch_t* get() const { return scratch_; }

 private:
  hs_scratch_t* scratch_ = nullptr;
};

// Scans one block from its beginning to its end.
void scan_block(const PatternDatabase& database, std::span<const std::uint8_t> bytes,
                const Scratch& scratch, MatchSink& sink);

class PartialMatcher;

// Patterns that match at least one byte and at most so many, whatever stands around them: for
// finding where they match.
class MatchFinder {
 public:
  struct Found {
    std::uint32_t begin;
    std::uint32_t end;
    std::uint32_t id;
  };
  // Throws PatternError, also for patterns without a bound and for those that look around (^, $,
  // \b and the like). `patterns` must not be empty; their ids are below 32.
  explicit MatchFinder(const std::vector<Pattern>& patterns);
  ~MatchFinder();

  // The widest that anything matches.
  std::uint32_t width() const { return width_; }
  // Of one of the patterns, by its place.
  std::uint32_t width_of(std::size_t pattern) const { return widths_[pattern]; }
  // Where the first match begins that has not ended with these bytes and may end with what follows:
  // what lies before it is certain. Their number: none is under way.
  std::uint32_t open_end(std::span<const std::uint8_t> bytes) const;
  // Appends the matches of the patterns in `ids` (a bit each) that begin before `before`: leftmost
  // first, of those the longest, without overlaps; as many as `found` has room for.
  void find(std::span<const std::uint8_t> bytes, std::uint32_t before, std::uint32_t ids,
            const Scratch& scratch, std::vector<Found>& found);
  void fit(Scratch& scratch) const;

 private:
  struct Free {
    void operator()(hs_database_t* database) const { hs_free_database(database); }
  };
  std::unique_ptr<hs_database_t, Free> database_;
  std::unique_ptr<PartialMatcher> partial_;
  std::uint32_t width_ = 0;
  std::vector<std::uint32_t> widths_;
  std::vector<Found> candidates_;
};

class StreamPool {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  // The database must be one for streams and outlive the pool.
  StreamPool(const PatternDatabase& database, std::uint32_t capacity);
  // Streams that are still open are closed without a report.
  ~StreamPool();
  StreamPool(const StreamPool&) = delete;
  StreamPool& operator=(const StreamPool&) = delete;

  // A number below capacity(); kNone: all streams are open.
  std::uint32_t open();
  void scan(std::uint32_t stream, std::span<const std::uint8_t> bytes, const Scratch& scratch,
            MatchSink& sink);
  // Begins anew: nothing that was scanned so far can be part of a match any more, and patterns
  // reported may be reported again. What matches only at the end of the data is not reported.
  void restart(std::uint32_t stream);
  // Reports what matches at the end of the data, unless `sink` is nullptr.
  void close(std::uint32_t stream, const Scratch& scratch, MatchSink* sink);

  std::uint32_t capacity() const { return static_cast<std::uint32_t>(streams_.size()); }
  std::uint32_t open_streams() const { return open_; }
  // Memory that one open stream takes, rounding included.
  std::size_t bytes_per_stream() const { return block_bytes_; }

 private:
  friend struct StreamAllocator;
  void* take_block(std::size_t bytes);
  void give_block(void* block);

  const PatternDatabase& database_;
  std::size_t block_bytes_;
  HugeArray blocks_;
  std::vector<hs_stream_t*> streams_;
  std::vector<std::uint32_t> free_;  // block numbers, the next one last
  std::uint32_t open_ = 0;
};

}  // namespace glassbox
