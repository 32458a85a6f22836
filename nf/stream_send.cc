// SPDX-License-Identifier: BSD-3-Clause
//
// What leaves when a segment came: of its own bytes and of those that waited, what is settled, as
// edited, in as many segments as it takes. The packet itself is the first of them.
#include <rte_tcp.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "dataplane/mbuf_bytes.h"
#include "dataplane/transport_checksum.h"
#include "nf/stream_edit.h"
#include "nf/stream_packets.h"

namespace glassbox {
namespace {

// SACK of three blocks, which leave room for a timestamp (RFC 2018 3).
constexpr std::size_t kSackRoom = 4 + 3 * 8;
constexpr std::uint32_t kDefaultSegment = 536;  // RFC 9293 3.7.1, and a link of 576 bytes

// How many bytes the two have in common at their start, and behind that at their end.
struct Common {
  std::uint32_t first;
  std::uint32_t last;
};

Common common_bytes(const rte_mbuf* mbuf, std::uint32_t offset, std::uint32_t length,
                    std::span<const std::uint8_t> bytes) {
  if (offset + length > mbuf->data_len) return {0, 0};
  const auto* old = rte_pktmbuf_mtod_offset(mbuf, const std::uint8_t*, offset);
  const auto most = std::min(length, static_cast<std::uint32_t>(bytes.size()));
  // By the block as far as it goes, mostly one of the two is most of the segment; then by the word.
  constexpr std::uint32_t kBlock = 64;
  const auto differ = [](const std::uint8_t* left, const std::uint8_t* right) {
    std::uint64_t words[2];
    std::memcpy(&words[0], left, 8);
    std::memcpy(&words[1], right, 8);
    return words[0] ^ words[1];
  };
  std::uint32_t first = 0;
  while (first + kBlock <= most && std::memcmp(old + first, bytes.data() + first, kBlock) == 0) {
    first += kBlock;
  }
  while (first + 8 <= most) {
    const std::uint64_t bits = differ(old + first, bytes.data() + first);
    first += static_cast<std::uint32_t>(std::countr_zero(bits)) / 8;  // 8: none
    if (bits != 0) break;
  }
  while (first < most && old[first] == bytes[first]) ++first;
  const std::uint8_t* const old_end = old + length;
  const std::uint8_t* const end = bytes.data() + bytes.size();
  std::uint32_t last = 0;
  while (last + kBlock <= most - first &&
         std::memcmp(old_end - last - kBlock, end - last - kBlock, kBlock) == 0) {
    last += kBlock;
  }
  while (last + 8 <= most - first) {
    const std::uint64_t bits = differ(old_end - last - 8, end - last - 8);
    last += static_cast<std::uint32_t>(std::countl_zero(bits)) / 8;
    if (bits != 0) break;
  }
  while (last < most - first && old_end[-1 - std::int64_t{last}] == end[-1 - std::int64_t{last}]) {
    ++last;
  }
  return {first, last};
}

}  // namespace

void StreamEditor::send(const Arrival& arrival) {
  StreamHalf& half = arrival.half;
  const Segment& segment = arrival.segment;
  const std::uint32_t end = segment.end() + (arrival.fin ? 1 : 0);
  const bool forgotten =
      half.splices.retired && sequence_offset(segment.sequence, half.splices.base) < 0;
  if (half.waiting.empty() && half.settled(end) && !forgotten &&
      !splices_.intersects(half.splices, segment.sequence, segment.end())) {
    // Most segments: nothing changes but the number.
    arrival.context.edit(arrival.packet)
        .set_tcp_seq(splices_.edited_begin(half.splices, segment.sequence));
    if (sequence_offset(end, half.sent) > 0) half.sent = end;
    return;
  }
  used_ = 0;
  part_count_ = 0;
  std::array<Run, kMaxRuns> runs;
  const std::size_t count = collect_runs(arrival, runs);
  // FIN goes with the last byte before it, or again with a packet that brings it again.
  const bool fin_leaves = half.settled(half.fin + 1) &&
                          ((half.flags & (kStreamFinKnown | kStreamEnded)) != 0 || arrival.fin);
  bool fin_sent = false;
  for (std::size_t i = 0; i < count; ++i) {
    const bool last = fin_leaves && runs[i].to == half.fin;
    assemble(arrival, runs[i], last);
    fin_sent = fin_sent || last;
  }
  if (fin_leaves && !fin_sent && arrival.fin) {
    parts_[part_count_++] = {splices_.edited_end(half.splices, half.fin), used_, 0, true};
    fin_sent = true;
  }
  if (count != 0 && sequence_offset(runs[count - 1].to, half.sent) > 0) {
    half.sent = runs[count - 1].to;
  }
  if (fin_sent && sequence_offset(half.fin + 1, half.sent) > 0) half.sent = half.fin + 1;
  if (half.passes() && count < kMaxRuns) {
    waiting_.clear(half.waiting, Ending::kClosed, arrival.packet.time);
  } else {
    waiting_.drop_before(half.waiting, count == kMaxRuns ? runs[count - 1].to : half.decided,
                         arrival.packet.time);
  }
  if (part_count_ == 0) return send_nothing(arrival);
  send_parts(arrival);
}

// What is settled and lies in the packet or waits, in order, joined where it touches.
std::size_t StreamEditor::collect_runs(const Arrival& arrival,
                                       std::array<Run, kMaxRuns>& runs) const {
  const StreamHalf& half = arrival.half;
  Run own{arrival.segment.sequence, arrival.segment.end()};
  if (!half.settled(own.to)) own.to = half.decided;
  // The receiver has what lies before the base, and how it looked is forgotten.
  if (half.splices.retired && sequence_offset(half.splices.base, own.from) > 0) {
    own.from = half.splices.base;
  }
  bool placed = sequence_offset(own.to, own.from) <= 0;
  std::size_t count = 0;
  const auto push = [&](const Run& run) {
    if (count != 0 && sequence_offset(run.from, runs[count - 1].to) <= 0) {
      if (sequence_offset(run.to, runs[count - 1].to) > 0) runs[count - 1].to = run.to;
    } else if (count < kMaxRuns) {
      runs[count++] = run;
    }
  };
  if (!half.waiting.empty()) {
    const std::uint32_t from = waiting_.first_sequence(half.waiting);
    const std::uint32_t to = half.passes() ? from + (1u << 30) : half.decided;
    waiting_.for_each(half.waiting, from, to,
                      [&](std::uint32_t sequence, std::span<const std::uint8_t> bytes) {
                        if (!placed && sequence_offset(own.from, sequence) <= 0) {
                          push(own);
                          placed = true;
                        }
                        push({sequence, sequence + static_cast<std::uint32_t>(bytes.size())});
                      });
  }
  if (!placed) push(own);
  return count;
}

void StreamEditor::copy(const Arrival& arrival, std::uint32_t from, std::uint32_t to) {
  const std::uint32_t length = to - from;
  if (used_ + length > scratch_.size()) return;
  const StreamCursor cursor(*this, arrival.half, arrival.packet, arrival.segment, arrival.context);
  cursor.read(from, std::span(scratch_).subspan(used_, length));
  used_ += length;
}

// Writes down what a run leaves as, and cuts it into segments.
void StreamEditor::assemble(const Arrival& arrival, const Run& run, bool fin) {
  const SpliceList& splices = arrival.half.splices;
  const std::uint32_t begin = used_;
  splices_.apply(
      splices, run.from, run.to,
      [&](std::uint32_t from, std::uint32_t to) { copy(arrival, from, to); },
      [&](std::span<const std::uint8_t> bytes) {
        if (used_ + bytes.size() > scratch_.size()) return;
        std::memcpy(scratch_.data() + used_, bytes.data(), bytes.size());
        used_ += static_cast<std::uint32_t>(bytes.size());
      });
  std::uint32_t sequence = splices_.edited_begin(splices, run.from);
  const std::uint32_t limit = limit_of(arrival);
  for (std::uint32_t at = begin; at < used_ || (fin && at == begin);) {
    const std::uint32_t length = std::min(limit, used_ - at);
    if (part_count_ == kMaxParts) return;
    parts_[part_count_++] = {sequence, at, length, fin && at + length == used_};
    at += length;
    sequence += length;
    if (length == 0) return;
  }
}

// RFC 6691: options are taken from what MSS allows. A segment that came larger may stay as large:
// it has passed links that carry it, or is cut again further on (large receive offload).
std::uint32_t StreamEditor::limit_of(const Arrival& arrival) const {
  const StreamHalf& half = arrival.half;
  const std::uint32_t options =
      arrival.packet.payload - std::uint32_t{arrival.packet.l4} - sizeof(rte_tcp_hdr);
  const std::uint32_t allowed = half.segment != 0 ? half.segment : kDefaultSegment;
  const std::uint32_t segment = allowed > options + 64 ? allowed - options : 64;
  if (half.segment != 0) return std::max(segment, arrival.segment.length);
  return std::max<std::uint32_t>({segment, half.largest, arrival.segment.length});
}

void StreamEditor::send_parts(const Arrival& arrival) {
  Packet& packet = arrival.packet;
  constexpr std::uint8_t kLast = RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG;
  const auto flags = static_cast<std::uint8_t>(packet.tcp_flags & ~RTE_TCP_FIN_FLAG);
  const bool several = part_count_ > 1;
  const bool broken = several && !has_right_checksum(packet) && !has_checksum_placeholder(packet);
  const auto flags_of = [&](std::size_t i) {
    auto own = flags;
    if (i + 1 != part_count_) own = static_cast<std::uint8_t>(own & ~kLast);
    // RFC 3168 6.1.2: the answer to a congestion mark is sent once.
    if (i != 0) own = static_cast<std::uint8_t>(own & ~RTE_TCP_CWR_FLAG);
    if (parts_[i].fin) own |= RTE_TCP_FIN_FLAG;
    return own;
  };
  for (std::size_t i = 1; i < part_count_; ++i) {
    const Part& part = parts_[i];
    rte_mbuf* mbuf = make_part(packet, part.sequence, flags_of(i),
                               std::span(scratch_).subspan(part.offset, part.length),
                               static_cast<std::uint16_t>(i), broken, arrival.context.pool());
    // Without an mbuf it is lost as on any link, and comes again.
    if (mbuf != nullptr) arrival.context.split(packet, mbuf);
  }
  const Part& own = parts_[0];
  const std::span<const std::uint8_t> bytes(scratch_.data() + own.offset, own.length);
  Editor editor = arrival.context.edit(packet);
  const Common same = common_bytes(packet.mbuf, packet.payload, arrival.segment.length, bytes);
  if (same.first + same.last != arrival.segment.length || bytes.size() != arrival.segment.length) {
    const std::uint32_t erase = arrival.segment.length - same.first - same.last;
    const auto fresh = bytes.subspan(same.first, bytes.size() - same.first - same.last);
    if (!editor.replace_payload(same.first, erase, fresh, arrival.context.pool())) {
      return arrival.context.drop(packet, reasons_.limit);
    }
  }
  editor.set_tcp_seq(own.sequence);
  editor.set_tcp_flags(flags_of(0));
}

// All that it brought stays here or has been deleted: what is left is an acknowledgement.
void StreamEditor::send_nothing(const Arrival& arrival) {
  StreamHalf& half = arrival.half;
  Packet& packet = arrival.packet;
  const std::uint32_t end = arrival.segment.end() + (arrival.fin ? 1 : 0);
  if (half.settled(end)) answer(arrival);
  if (!arrival.news) return arrival.context.merge(packet);
  Editor editor = arrival.context.edit(packet);
  if (arrival.segment.length != 0 &&
      !editor.replace_payload(0, arrival.segment.length, {}, arrival.context.pool())) {
    return arrival.context.drop(packet, reasons_.limit);
  }
  // The end of what has left, as a pure acknowledgement of the sender's would have.
  editor.set_tcp_seq(splices_.edited_end(half.splices, half.sent));
  editor.set_tcp_flags(
      static_cast<std::uint8_t>(packet.tcp_flags & ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG)));
}

// Nothing of it will reach the receiver, which has all that lies before it: its sender would wait
// for an acknowledgement for ever.
void StreamEditor::answer(const Arrival& arrival) {
  StreamHalf& half = arrival.half;
  if ((half.flags & kStreamAcknowledged) == 0) return;
  const std::uint32_t acknowledged = splices_.original_floor(half.splices, half.acknowledged);
  if (sequence_offset(arrival.segment.end(), acknowledged) > 0) return;
  splices_.retire(half.splices, half.acknowledged, arrival.packet.time);
  ++answered_;
  acknowledge_to_sender(arrival, {});
}

// A segment came early: a receiver would say so at once (RFC 5681 4.2), but this one does not see
// it.
void StreamEditor::report_early(const Arrival& arrival) {
  if ((arrival.half.flags & kStreamAcknowledged) == 0) return;
  std::array<std::uint8_t, kSackRoom> option;
  const std::size_t length = sack_blocks(arrival, option);
  ++reported_early_;
  acknowledge_to_sender(arrival, std::span(option).first(length));
}

// RFC 2018 4: first the block that the segment is in, then others. A multiple of four bytes.
std::size_t StreamEditor::sack_blocks(const Arrival& arrival,
                                      std::span<std::uint8_t> option) const {
  const StreamHalf& half = arrival.half;
  if ((half.flags & kStreamSack) == 0) return 0;
  std::array<Run, kMaxRuns> runs;
  std::size_t count = 0;
  std::size_t own = 0;
  waiting_.for_each(half.waiting, half.next, half.next + (1u << 30),
                    [&](std::uint32_t from, std::span<const std::uint8_t> bytes) {
                      const std::uint32_t to = from + static_cast<std::uint32_t>(bytes.size());
                      if (count != 0 && runs[count - 1].to == from) {
                        runs[count - 1].to = to;
                      } else if (count < kMaxRuns) {
                        runs[count++] = {from, to};
                      }
                      if (sequence_offset(arrival.segment.sequence, from) >= 0) own = count - 1;
                    });
  if (count == 0) return 0;
  std::swap(runs[0], runs[own]);
  const std::size_t blocks = std::min<std::size_t>(count, (option.size() - 4) / 8);
  option[0] = option[1] = kTcpOptionNop;
  option[2] = kTcpOptionSack;
  option[3] = static_cast<std::uint8_t>(2 + blocks * 8);
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::uint32_t edges[2] = {rte_cpu_to_be_32(runs[i].from), rte_cpu_to_be_32(runs[i].to)};
    std::memcpy(option.data() + 4 + i * 8, edges, 8);
  }
  return 4 + blocks * 8;
}

// In the receiver's name, what it has acknowledged last: nothing that it has not.
void StreamEditor::acknowledge_to_sender(const Arrival& arrival,
                                         std::span<const std::uint8_t> options) {
  const StreamHalf& half = arrival.half;
  FlowSide* flow = arrival.packet.flow;
  SessionTable& sessions = arrival.context.sessions();
  FlowSide& back = sessions.side(sessions.id_of(flow), flow->direction() ^ 1);
  const Answer answer{.sequence = arrival.ack,
                      .acknowledgement = splices_.original_floor(half.splices, half.acknowledged),
                      .window = window_for_sender(half, half.acknowledged),
                      .options = options};
  rte_mbuf* ack = make_answer(arrival.packet, answer, RTE_TCP_ACK_FLAG, {}, arrival.context.pool());
  // Without an mbuf it is lost as on any link.
  if (ack == nullptr) return;
  arrival.context.inject(ack, arrival.packet.ingress, &back, &arrival.packet);
}

}  // namespace glassbox
