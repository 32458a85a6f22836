// SPDX-License-Identifier: BSD-3-Clause
//
// Two hosts that talk through a chain over one TCP connection, cut and disturbed as they are told,
// and judge what reaches them as a real host could: checksums, sequence numbers, acknowledgements,
// bytes that come again. Whatever is wrong ends the program (fuzz.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataplane/memory_port.h"
#include "dataplane/worker.h"
#include "tests/support/mbufs.h"

namespace glassbox::test {

struct TcpView;

// How a text is cut into segments, and what happens to these on the way to the box.
struct Cut {
  std::uint8_t size = 0;      // bytes a segment; 0: as large as they may be
  std::uint8_t disorder = 0;  // 0: nothing; else what is swapped, repeated, lost or overlaps
};
struct Said {
  Side side;
  std::string text;
  Cut cut;
};

struct HttpTalk {
  std::array<std::string, kSides> heard;  // what came to each side, in order
  std::array<bool, kSides> reset{};
  bool whole() const { return !reset[0] && !reset[1]; }
};

class HttpPath {
 public:
  // A chain from a configuration. Lives from one talk to the next, and has forgotten it by then.
  explicit HttpPath(const std::string& config);
  ~HttpPath();
  HttpTalk talk(const std::vector<Said>& said, Side closes_first = Side::kInside);
  // Messages so far that services did without, because their sender could not go on.
  std::uint64_t let_go() const;

 private:
  struct Host {
    std::string said;
    std::uint32_t isn = 0;
    std::uint32_t sent = 0;   // offset behind what was sent; a FIN counts as one byte
    std::uint32_t acked = 0;  // and was acknowledged
    bool closes = false;
    std::string got;  // bytes that came, in order or not
    std::vector<bool> has;
    std::uint32_t heard = 0;         // offset up to which nothing is missing
    std::uint32_t end = UINT32_MAX;  // where the other's FIN stands
    bool reset = false;
    std::uint32_t everything() const {
      return static_cast<std::uint32_t>(said.size()) + (closes ? 1 : 0);
    }
    bool heard_all() const { return heard == end; }
  };

  void open();
  void say(const Said& said);
  void close(Side side);
  // Sends again what is not acknowledged, as long as that helps.
  void recover(Side side, bool acknowledges);
  void emit(Side side, std::uint32_t from, std::uint32_t length, bool acknowledges);
  void acknowledge(Side side);
  void pass(Side from, const Bytes& frame, bool acknowledges);
  void arrive(Side side, const Bytes& frame, bool acknowledges);
  void take_data(Side side, const TcpView& view);
  void check_books();

  Pool pool_{1023};
  MemoryPort inside_, outside_;
  std::unique_ptr<Worker> worker_;
  Instant now_{std::chrono::seconds(1'000'000'000)};
  std::array<Host, kSides> hosts_;
};

}  // namespace glassbox::test
