// SPDX-License-Identifier: BSD-3-Clause
//
// Edits what a TCP connection carries while it passes. Its two ends keep one connection: nothing is
// terminated, nothing is acknowledged that its receiver has not acknowledged, and a segment leaves
// because a segment came.
//
// A client is given each direction's bytes in order, once, and settles what leaves instead of them:
// replace() some, decide() up to where nothing more will change. What is settled leaves; what is
// not waits here as bytes (StreamBytes), while the packet that brought it leaves without them, as
// the acknowledgement that it is too, or counts as merged when it says nothing new. A client that
// knows that it wants nothing of the next bytes decides ahead, and they pass unread in any order.
//
//   longer      the segment leaves as several, none larger than its receiver's MSS and the path
//               allow
//   shorter     seq, ack, SACK and quoted seq are translated for the rest of the flow
//               (splice_map.h)
//   nothing     what is deleted and needs no receiver to acknowledge it, because it has
//               acknowledged all before it, is acknowledged by the box: nobody else would
//   early       what comes before its turn waits, and its sender is told at once, by the
//               acknowledgement that its receiver sent last with SACK of what waits (RFC 2018,
//               RFC 5681 4.2): else nothing but its timer would tell it of a loss. As any SACK it
//               can be taken back (RFC 2018 8): the sender keeps those bytes
//   again       a retransmission leaves as the first transmission did, the new bytes from the
//               record
//   overlap     the copy that came first counts; it is the one that was given to the client, and
//               the receiver is sent it first
//   FIN, PSH    leave with the last part; FIN counts when all before it has come. RST passes at
//               once
//   window      is narrowed by what is still to be acknowledged of growth, never widened
//
// Timestamps, urgent pointers, ECN bits and MSS are left alone. Not defended against: segments that
// the receiver does not accept (forged, expired TTL) are taken for real.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/network_function.h"
#include "nf/splice_map.h"
#include "nf/stream_bytes.h"

namespace glassbox {

enum StreamFlag : std::uint8_t {
  kStreamSynchronised = 1 << 0,  // where the stream begins is known
  kStreamPasses = 1 << 1,        // the client wants nothing more of it
  kStreamFinKnown = 1 << 2,
  kStreamEnded = 1 << 3,         // all of it, FIN included, is settled
  kStreamAcknowledged = 1 << 4,  // `acknowledged` and `window` are known
  kStreamScaled = 1 << 5,        // `scale` is known
  // The client changes nothing, as it has said before the stream began: nothing waits for it.
  kStreamWatched = 1 << 6,
  kStreamSack = 1 << 7,  // the sender can read SACK (RFC 2018 2)
};

// One direction of a connection. Numbers are the sender's but for `acknowledged`.
struct StreamHalf {
  std::uint32_t decided = 0;  // before it, what leaves is settled
  std::uint32_t next = 0;     // first byte the client was not given; not before `decided`
  std::uint32_t origin = 0;   // of the first byte
  std::uint32_t fin = 0;
  std::uint32_t sent = 0;          // behind the last byte that left
  std::uint32_t acknowledged = 0;  // by the receiver, as it counts
  SpliceList splices;
  StreamBytes::Queue waiting;
  std::uint16_t window = 0;   // the receiver's, as it was written last
  std::uint16_t segment = 0;  // payload bytes that a segment to the receiver may have; 0: unknown
  std::uint16_t largest = 0;  // payload bytes of the largest segment that came
  std::uint8_t scale = 0;     // of the receiver's window
  std::uint8_t flags = 0;
  std::uint8_t repeats = 0;  // of what is kept back, since the last news

  bool passes() const { return (flags & kStreamPasses) != 0; }
  bool settled(std::uint32_t upto) const { return passes() || sequence_offset(upto, decided) <= 0; }
};

class StreamEditor;

// What a client does to the stream that it is being given.
class StreamCursor {
 public:
  StreamCursor(StreamEditor& editor, StreamHalf& half, const Packet& packet, const Segment& segment,
               const Context& context)
      : editor_(editor), half_(half), packet_(packet), segment_(segment), context_(context) {}

  // `erase` bytes, one at least, leave as `bytes`. They lie in what was given, are not decided yet
  // and lie behind all that was replaced before. False: there is no room for the record.
  bool replace(std::uint32_t at, std::uint32_t erase, std::span<const std::uint8_t> bytes);
  bool has_room(std::uint32_t splices, std::uint32_t bytes) const;
  // Nothing before `upto` will change; it may lie ahead of what came.
  void decide(std::uint32_t upto);
  // The rest of the stream passes unread.
  void pass() { half_.flags |= kStreamPasses; }
  // Copies bytes that were given and are not decided.
  void read(std::uint32_t from, std::span<std::uint8_t> to) const;

  std::uint32_t decided() const { return half_.decided; }
  Instant now() const { return packet_.time; }
  const Packet& packet() const { return packet_; }
  StreamHalf& half() { return half_; }

 private:
  friend class StreamEditor;
  StreamEditor& editor_;
  StreamHalf& half_;
  const Packet& packet_;
  const Segment& segment_;
  const Context& context_;
};

class StreamClient {
 public:
  virtual ~StreamClient() = default;
  // What is given is settled as far as the client decides; decide() and replace() may lag behind.
  virtual void bytes(StreamCursor& stream, std::uint32_t at,
                     std::span<const std::uint8_t> bytes) = 0;
  // The sender has nothing acknowledged to go on with: it repeats what the client keeps back, while
  // its receiver has all the rest. It will wait for ever, unless the client decides.
  virtual void urge(StreamCursor& stream) { (void)stream; }
  // The sender has closed: nothing follows, and all that was given is settled now.
  virtual void end(StreamCursor& stream) { (void)stream; }
  // More waits than the bound allows. The client gives in (pass()), or the segment drops.
  virtual void overrun(StreamCursor& stream) { (void)stream; }
  // Bytes that the receiver has and that never came by: nothing behind them can be read.
  virtual void lost(StreamHalf& half) { half.flags |= kStreamPasses; }
};

class StreamEditor {
 public:
  struct Bounds {
    std::uint32_t window = 65536;  // bytes that may wait, per direction
    std::uint64_t pool = 1 << 24;  // and in all
    std::uint32_t splices = 65536;
    std::uint64_t splice_bytes = 1 << 24;
    std::uint32_t per_direction = 4096;  // splices that are not acknowledged
    std::uint32_t inserted = 1 << 20;    // and bytes that they put in
  };
  struct Reasons {
    ReasonId limit;  // what waits has reached a bound
  };
  StreamEditor(const Bounds& bounds, Reasons reasons);

  // A TCP segment, whole. `half`: of its direction, `peer`: of the other.
  void process(Packet& packet, StreamHalf& half, StreamHalf& peer, StreamClient& client,
               Context& context);
  // An ICMP error that travels with the packets of `half` and quotes one of `peer`.
  void process_error(Packet& packet, StreamHalf& peer, Context& context);
  void close(StreamHalf& half, Ending why, Instant now);

  // What was put in and is not acknowledged yet is wiped: the numbers stay as they are, but nothing
  // can be sent again.
  void forget_splices(StreamHalf& half, Instant now);
  // What waits is wiped: it comes again.
  void forget_waiting(StreamHalf& half, Instant now);
  // There is room for so many further splices that put in so many bytes.
  bool has_room(const StreamHalf& half, std::uint32_t splices, std::uint32_t bytes) const {
    return half.splices.bytes + std::uint64_t{bytes} <= bounds_.inserted &&
           splices_.has_room(half.splices, splices, bytes);
  }
  // Behind the last byte that left, as the receiver counts.
  std::uint32_t sent_edited(const StreamHalf& half) const {
    return splices_.edited_end(half.splices, half.sent);
  }

  const SpliceStore& splices() const { return splices_; }
  const StreamBytes& waiting() const { return waiting_; }
  SpliceStore& splices() { return splices_; }
  StreamBytes& waiting() { return waiting_; }
  std::uint64_t answered() const { return answered_; }
  std::uint64_t reported_early() const { return reported_early_; }

 private:
  friend class StreamCursor;
  // Of what waited, at a time: enough that little is put in by the piece, and not too much to be
  // taken apart by a client.
  static constexpr std::uint32_t kPiece = 16384;
  static constexpr std::size_t kMaxRuns = 64;
  static constexpr std::size_t kMaxParts = 1024;

  struct Arrival {
    Packet& packet;
    StreamHalf& half;
    StreamHalf& peer;
    StreamClient& client;
    Context& context;
    Segment segment;
    std::uint32_t ack;  // as it came
    bool news;          // it says something new about the other direction
    bool fin;
  };
  struct Run {
    std::uint32_t from;
    std::uint32_t to;
  };
  // A segment to be sent: bytes in `scratch_`.
  struct Part {
    std::uint32_t sequence;
    std::uint32_t offset;
    std::uint32_t length;
    bool fin;
  };

  bool process_plain(Packet& packet, StreamHalf& half, StreamHalf& peer, StreamClient& client,
                     Context& context);
  void begin(const Arrival& arrival);
  bool acknowledge(Packet& packet, StreamHalf& peer, Context& context);
  std::uint16_t window_for_sender(const StreamHalf& half, std::uint32_t ack) const;
  void translate_sack(Editor& editor, const Packet& packet, const SpliceList& splices);
  void skip_lost(StreamHalf& peer, StreamClient& client, std::uint32_t ack);

  void carry(const Arrival& arrival);
  void send_unread(const Arrival& arrival);
  void feed(const Arrival& arrival, StreamCursor& cursor);
  void give(const Arrival& arrival, StreamCursor& cursor, std::uint32_t sequence,
            std::span<const std::uint8_t> bytes);
  void settle(const Arrival& arrival, StreamCursor& cursor, std::uint32_t had);
  bool keep(const Arrival& arrival, StreamCursor& cursor);
  bool repeats(const Arrival& arrival) const;
  void watch(const Arrival& arrival, StreamCursor& cursor);
  void send(const Arrival& arrival);
  std::size_t collect_runs(const Arrival& arrival, std::array<Run, kMaxRuns>& runs) const;
  void assemble(const Arrival& arrival, const Run& run, bool fin);
  void copy(const Arrival& arrival, std::uint32_t from, std::uint32_t to);
  void send_parts(const Arrival& arrival);
  void send_nothing(const Arrival& arrival);
  void answer(const Arrival& arrival);
  void report_early(const Arrival& arrival);
  std::size_t sack_blocks(const Arrival& arrival, std::span<std::uint8_t> option) const;
  void acknowledge_to_sender(const Arrival& arrival, std::span<const std::uint8_t> options);
  std::uint32_t limit_of(const Arrival& arrival) const;

  StreamBytes waiting_;
  SpliceStore splices_;
  Bounds bounds_;
  Reasons reasons_;
  std::vector<std::uint8_t> gathered_;
  std::vector<std::uint8_t> scratch_;
  std::uint32_t used_ = 0;  // of scratch_
  std::array<Part, kMaxParts> parts_;
  std::size_t part_count_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t reported_early_ = 0;
};

}  // namespace glassbox
