// SPDX-License-Identifier: BSD-3-Clause
//
// Connections that end here: by a created response or by resets, and what still comes of them.
#include <rte_tcp.h>

#include "dataplane/reply.h"
#include "nf/http.h"
#include "nf/stream_packets.h"

namespace glassbox {
namespace {

constexpr ReasonId id(HttpReason reason) { return static_cast<ReasonId>(reason); }

}  // namespace

std::string Http::page_of(const HttpService& service) const {
  const bool redirects = service.action == HttpAction::kRedirect;
  const std::string body = redirects ? std::string("<html><body>It is elsewhere.</body></html>\n")
                                     : "<html><body>Blocked by " + service.id + ".</body></html>\n";
  std::string page = redirects ? "HTTP/1.1 302 Found\r\nLocation: " + service.to + "\r\n"
                               : std::string("HTTP/1.1 403 Forbidden\r\n");
  page += "Content-Type: text/html\r\nContent-Length: " + std::to_string(body.size()) +
          "\r\nCache-Control: no-store\r\nConnection: close\r\nOPES-System: " + system_ +
          "\r\n\r\n" + body;
  return page;
}

// Ends a connection: with a page for its client when a rule says so and nothing else is due, and by
// a reset.
void Http::condemn(Packet& packet, HttpConnection& connection, bool from_client, Context& context) {
  connection.condemned = true;
  connection.tcp = TcpState::kTransitory;
  context.sessions().set_lifetime(context.sessions().id_of(packet.flow), context.self(),
                                  lifetime(connection.tcp));
  HttpSide& request = connection.sides[0];
  HttpSide& response = connection.sides[1];
  connection.page = blocking_service_;
  connection.answered = failure_ == Failure::kBlocked && connection.count == 1 && from_client;
  if (failure_ == Failure::kMatched || (failure_ == Failure::kBlocked && !from_client)) {
    if (packet.fate == Fate::kForward) context.drop(packet, id(HttpReason::kMatch));
  } else if (failure_ == Failure::kUnparsable || failure_ == Failure::kBroken) {
    if (packet.fate == Fate::kForward) context.drop(packet, id(HttpReason::kUnparsable));
  } else if (packet.fate == Fate::kForward && packet.ip_end == packet.payload) {
    context.drop(packet, id(HttpReason::kCondemned));
  }
  const LinkType link = packet.l3 == 0 ? LinkType::kRawIp : LinkType::kEthernet;
  FlowSide& flow = *packet.flow;
  FlowSide& back = context.sessions().side(context.sessions().id_of(&flow), flow.direction() ^ 1);
  const std::uint32_t to_server = editor_.sent_edited(request.stream);
  const std::uint32_t to_client = editor_.sent_edited(response.stream);
  const Side toward = opposite(packet.ingress);
  // To the packet's receiver, and to its sender unless that gets a page.
  rte_mbuf* further =
      make_reset(packet, ResetTo::kDestination, from_client ? to_server : to_client,
                 from_client ? response.stream.sent : request.stream.sent, link, context.pool());
  if (further != nullptr) context.inject(further, toward, &flow, &packet);
  if (connection.answered) return send_page(packet, connection, context);
  rte_mbuf* backward =
      make_reset(packet, ResetTo::kSource, from_client ? to_client : to_server,
                 from_client ? request.stream.next : response.stream.next, link, context.pool());
  if (backward != nullptr) context.inject(backward, packet.ingress, &back, &packet);
}

void Http::send_page(const Packet& packet, const HttpConnection& connection, Context& context) {
  const std::string& page = pages_[connection.page];
  const Answer answer{connection.page_sequence, connection.sides[0].stream.next,
                      rte_cpu_to_be_16(0xffff)};
  rte_mbuf* mbuf = make_answer(
      packet, answer, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG,
      {reinterpret_cast<const std::uint8_t*>(page.data()), page.size()}, context.pool());
  if (mbuf == nullptr) return;
  FlowSide& back =
      context.sessions().side(context.sessions().id_of(packet.flow), packet.flow->direction() ^ 1);
  context.inject(mbuf, packet.ingress, &back, &packet);
}

// Its packets go no further. A client that was sent a page is sent it until it has it, and gets its
// own end acknowledged.
void Http::refuse_condemned(Packet& packet, HttpConnection& connection, bool from_client,
                            Context& context) {
  if (from_client && connection.answered && (packet.tcp_flags & RTE_TCP_RST_FLAG) == 0) {
    const auto* tcp = packet.at_offset<rte_tcp_hdr>(packet.l4);
    const std::uint32_t page_end =
        connection.page_sequence + 1 + static_cast<std::uint32_t>(pages_[connection.page].size());
    const bool has_page = sequence_offset(rte_be_to_cpu_32(tcp->recv_ack), page_end) >= 0;
    const std::uint32_t length = packet.ip_end - packet.payload;
    const bool closes = (packet.tcp_flags & RTE_TCP_FIN_FLAG) != 0;
    if (!has_page && length != 0) {
      send_page(packet, connection, context);
    } else if (closes) {
      const Answer answer{page_end, rte_be_to_cpu_32(tcp->sent_seq) + length + 1,
                          rte_cpu_to_be_16(0xffff)};
      rte_mbuf* ack = make_answer(packet, answer, RTE_TCP_ACK_FLAG, {}, context.pool());
      FlowSide& back = context.sessions().side(context.sessions().id_of(packet.flow),
                                               packet.flow->direction() ^ 1);
      if (ack != nullptr) context.inject(ack, packet.ingress, &back, &packet);
    }
  }
  context.drop(packet, id(HttpReason::kCondemned));
}

}  // namespace glassbox
