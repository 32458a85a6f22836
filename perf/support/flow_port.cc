// SPDX-License-Identifier: BSD-3-Clause
#include "perf/support/flow_port.h"

#include <algorithm>

namespace glassbox::perf {

void FlowPort::introduce(std::uint32_t first, std::uint32_t last) {
  range_ = 0;
  next_ = first;
  remaining_ = last - first;
  draw();
}

void FlowPort::run(std::uint32_t flows) {
  range_ = flows;
  remaining_ = UINT32_MAX;
  draw();
}

// The conversations of the next batch, their lines on the way to the cache.
void FlowPort::draw() {
  for (std::uint32_t& number : drawn_) {
    if (range_ != 0) {
      random_ ^= random_ << 13;
      random_ ^= random_ >> 7;
      random_ ^= random_ << 17;
      number = static_cast<std::uint32_t>((random_ >> 32) * range_ >> 32);
    } else {
      number = std::min<std::uint32_t>(next_++, flows_ - 1);
    }
    __builtin_prefetch(table_ + number * stride_);
  }
}

void FlowPort::receive(Burst& burst) {
  burst.stamped = false;
  burst.count =
      static_cast<std::uint16_t>(std::min({std::uint32_t{batch_}, remaining_, ring_.held()}));
  if (burst.count == 0) return;
  fill(burst);
  ring_.advance(burst.count);
  if (range_ == 0) remaining_ -= burst.count;
  draw();
}

std::uint16_t FlowPort::transmit(rte_mbuf** mbufs, std::uint16_t count) {
  sent_ += count;
  check(mbufs, count);
  ring_.put(mbufs, count);
  return count;
}

// --- UDP ---------------------------------------------------------------------------------------

template <Side kSide>
void UdpPort::fill_side(Burst& burst) {
  const Conversation* flows = flows_.data();
  for (std::uint16_t i = 0; i < burst.count; ++i) {
    rte_mbuf* mbuf = next_mbuf(i);
    burst.mbufs[i] = mbuf;
    const std::uint32_t number = drawn_[i];
    const Conversation flow = flows[number];
    reset(mbuf, frame_);
    if constexpr (kSide == Side::kInside) {
      write_frame(data_of(mbuf), blank_, outward(number), flow.inside, number);
    } else {
      write_frame(data_of(mbuf), blank_, translated(number, flow).reversed(), flow.outside, number);
    }
  }
}

void UdpPort::fill(Burst& burst) {
  if (side_ == Side::kInside) {
    fill_side<Side::kInside>(burst);
  } else {
    fill_side<Side::kOutside>(burst);
  }
}

template <Side kSide>
bool UdpPort::is_right(const rte_mbuf* mbuf) const {
  const auto* frame = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
  const std::uint32_t number = number_in(frame);
  const Conversation flow = flows_[number];
  const bool as_written = mbuf->pkt_len == frame_;
  if constexpr (kSide == Side::kOutside) {
    return as_written & is_as_expected(frame, translated(number, flow), flow.outside);
  } else {
    return as_written & is_as_expected(frame, outward(number).reversed(), flow.inside);
  }
}

// Only what leaves by the outside.
void UdpPort::note(const rte_mbuf* mbuf) {
  const auto* frame = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
  const std::uint32_t number = number_in(frame);
  Conversation& flow = flows_[number];
  std::memcpy(&flow.external_address, frame + 26, 4);
  std::memcpy(&flow.external_port, frame + 34, 2);
  flow.outside = checksums_in(frame);
  // By a sum that is unrolled, for packets of the usual length.
  const bool right =
      frame_ == kFrame ? has_right_checksums(frame, kFrame) : has_right_checksums(frame, frame_);
  wrong_ += !(right && is_blank_beside(frame, blank_) && is_right<Side::kOutside>(mbuf));
  untranslated_ += flow.external_address == outward(number).source();
}

template <Side kSide>
void UdpPort::check_side(rte_mbuf** mbufs, std::uint16_t count) {
  std::uint64_t wrong = 0;
  for (std::uint16_t i = 0; i < count; ++i) wrong += !is_right<kSide>(mbufs[i]);
  wrong_ += wrong;
}

void UdpPort::check(rte_mbuf** mbufs, std::uint16_t count) {
  if (learning_) {
    for (std::uint16_t i = 0; i < count; ++i) note(mbufs[i]);
  } else if (side_ == Side::kInside) {
    check_side<Side::kInside>(mbufs, count);
  } else {
    check_side<Side::kOutside>(mbufs, count);
  }
}

}  // namespace glassbox::perf
