// SPDX-License-Identifier: BSD-3-Clause
#include "perf/support/tcp_port.h"

#include <rte_ip.h>
#include <rte_tcp.h>

namespace glassbox::perf {
namespace {

constexpr std::uint8_t kSynOptions[] = {2, 4, 5, 180, 1, 3, 3, 7};  // MSS 1460, scale 7
constexpr std::uint32_t kTcpAt = 34;

rte_ipv4_hdr* ip_of(std::uint8_t* frame) { return reinterpret_cast<rte_ipv4_hdr*>(frame + 14); }
rte_tcp_hdr* tcp_of(std::uint8_t* frame) { return reinterpret_cast<rte_tcp_hdr*>(frame + kTcpAt); }

void complete(std::uint8_t* frame) {
  rte_ipv4_hdr* ip = ip_of(frame);
  rte_tcp_hdr* tcp = tcp_of(frame);
  ip->hdr_checksum = 0;
  tcp->cksum = 0;
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  tcp->cksum = rte_ipv4_udptcp_cksum(ip, tcp);
}

Ends ends_in(const std::uint8_t* frame) {
  Ends ends;
  std::memcpy(&ends.addresses, frame + 26, 8);
  std::memcpy(&ends.ports, frame + 34, 4);
  return ends;
}

bool same(Ends a, Ends b) { return a.addresses == b.addresses && a.ports == b.ports; }

}  // namespace

Checksums full_tcp_checksums(Ends ends, std::uint32_t number) {
  Frame frame;
  write_tcp_frame(frame.bytes, ends, {0, 0}, 0, 0, number);
  complete(frame.bytes);
  return {ip_of(frame.bytes)->hdr_checksum, tcp_of(frame.bytes)->cksum};
}

// --- the handshake -----------------------------------------------------------------------------

void TcpPort::write_handshake(rte_mbuf* mbuf, std::uint32_t number) const {
  const bool syn = saying_ != Saying::kAck;
  const std::uint32_t options = syn ? sizeof(kSynOptions) : 0;
  const std::uint32_t length = kTcpAt + sizeof(rte_tcp_hdr) + options;
  reset(mbuf, static_cast<std::uint16_t>(std::max(length, kFrame)));
  const Ends outwards = outward(number);
  const bool inside = side_ == Side::kInside;
  const Ends ends = inside ? outwards : translated(number, flows_[number].flow).reversed();
  std::uint8_t* frame = data_of(mbuf);
  write_tcp_frame(frame, ends, {0, 0}, 0, 0, 0);
  ip_of(frame)->total_length = rte_cpu_to_be_16(static_cast<std::uint16_t>(length - 14));
  rte_tcp_hdr* tcp = tcp_of(frame);
  const int self = inside ? 0 : 1;
  tcp->sent_seq = rte_cpu_to_be_32(isn(number, self) + (syn ? 0 : 1));
  tcp->recv_ack = saying_ == Saying::kSyn ? 0 : rte_cpu_to_be_32(isn(number, self ^ 1) + 1);
  tcp->data_off = static_cast<std::uint8_t>((sizeof(rte_tcp_hdr) + options) << 2);
  tcp->tcp_flags = saying_ == Saying::kSyn      ? RTE_TCP_SYN_FLAG
                   : saying_ == Saying::kSynAck ? RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG
                                                : RTE_TCP_ACK_FLAG;
  if (syn) std::memcpy(frame + kTcpAt + sizeof(rte_tcp_hdr), kSynOptions, sizeof(kSynOptions));
  complete(frame);
}

bool TcpPort::note(const rte_mbuf* mbuf) {
  auto* frame = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
  const rte_tcp_hdr* tcp = tcp_of(frame);
  const std::uint32_t seq = rte_be_to_cpu_32(tcp->sent_seq);
  const std::uint32_t ack = rte_be_to_cpu_32(tcp->recv_ack);
  const std::uint32_t first = saying_ == Saying::kSyn   ? seq
                              : saying_ == Saying::kAck ? seq - 1
                                                        : ack - 1;
  const std::uint32_t number = number_of_isn(first);
  if (number >= flows_.size()) return false;
  const Checksums found = {ip_of(frame)->hdr_checksum, tcp->cksum};
  complete(frame);
  const bool whole = found.ip == ip_of(frame)->hdr_checksum && found.udp == tcp->cksum;
  TcpConversation& conversation = flows_[number];
  const Ends ends = ends_in(frame);
  if (saying_ == Saying::kSyn) {
    conversation.flow.external_address = ends.source();
    conversation.flow.external_port = ends.source_port();
    conversation.flow.outside = full_tcp_checksums(translated(number, conversation.flow), number);
    untranslated_ += conversation.flow.external_address == outward(number).source();
    for (const int end : {0, 1}) conversation.sent[end] = conversation.received[end] = 0;
  }
  return whole && same(ends, side_ == Side::kOutside ? translated(number, conversation.flow)
                                                     : outward(number).reversed());
}

// --- data --------------------------------------------------------------------------------------

template <Side kSide>
void TcpPort::fill_data(Burst& burst) {
  constexpr int kSelf = kSide == Side::kInside ? 0 : 1;
  TcpConversation* flows = flows_.data();
  for (std::uint16_t i = 0; i < burst.count; ++i) {
    rte_mbuf* mbuf = next_mbuf(i);
    burst.mbufs[i] = mbuf;
    const std::uint32_t number = drawn_[i];
    TcpConversation& state = flows[number];
    const std::uint32_t seq = rte_cpu_to_be_32(isn(number, kSelf) + 1 + state.sent[kSelf]);
    const std::uint32_t ack = rte_cpu_to_be_32(isn(number, kSelf ^ 1) + 1 + state.received[kSelf]);
    state.sent[kSelf] += kTcpPayload;
    reset(mbuf, kFrame);
    if constexpr (kSide == Side::kInside) {
      write_tcp_frame(data_of(mbuf), outward(number), state.flow.inside, seq, ack, number);
    } else {
      write_tcp_frame(data_of(mbuf), translated(number, state.flow).reversed(), state.flow.outside,
                      seq, ack, number);
    }
  }
}

void TcpPort::fill(Burst& burst) {
  if (saying_ != Saying::kData) {
    for (std::uint16_t i = 0; i < burst.count; ++i) {
      burst.mbufs[i] = next_mbuf(i);
      write_handshake(burst.mbufs[i], drawn_[i]);
    }
  } else if (side_ == Side::kInside) {
    fill_data<Side::kInside>(burst);
  } else {
    fill_data<Side::kOutside>(burst);
  }
}

// What leaves by this side reaches the host there, in order.
template <Side kSide>
void TcpPort::check_data(rte_mbuf** mbufs, std::uint16_t count) {
  constexpr int kSelf = kSide == Side::kInside ? 0 : 1;
  std::uint64_t wrong = 0;
  for (std::uint16_t i = 0; i < count; ++i) {
    const auto* frame = rte_pktmbuf_mtod(mbufs[i], const std::uint8_t*);
    const std::uint32_t number = tcp_number_in(frame);
    TcpConversation& state = flows_[number];
    const std::uint32_t seq = rte_cpu_to_be_32(isn(number, kSelf ^ 1) + 1 + state.received[kSelf]);
    state.received[kSelf] += kTcpPayload;
    bool right = mbufs[i]->pkt_len == kFrame;
    if constexpr (kSide == Side::kOutside) {
      right = right &
              is_tcp_as_expected(frame, translated(number, state.flow), state.flow.outside, seq);
    } else {
      right = right & is_tcp_as_expected(frame, outward(number).reversed(), state.flow.inside, seq);
    }
    wrong += !right;
  }
  wrong_ += wrong;
}

void TcpPort::check(rte_mbuf** mbufs, std::uint16_t count) {
  if (saying_ != Saying::kData) {
    for (std::uint16_t i = 0; i < count; ++i) wrong_ += !note(mbufs[i]);
  } else if (side_ == Side::kInside) {
    check_data<Side::kInside>(mbufs, count);
  } else {
    check_data<Side::kOutside>(mbufs, count);
  }
}

}  // namespace glassbox::perf
