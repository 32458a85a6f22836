// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow_key.h"

namespace glassbox {

FlowKey4 FlowKey4::from(const Tuple& tuple, Side side) {
  std::uint32_t source;
  std::uint32_t destination;
  std::memcpy(&source, tuple.source.bytes.data(), 4);
  std::memcpy(&destination, tuple.destination.bytes.data(), 4);
  return of(source, destination, rte_cpu_to_be_16(tuple.source_port),
            rte_cpu_to_be_16(tuple.destination_port), tuple.protocol, side);
}

Tuple FlowKey4::tuple() const {
  return {IpAddress::from_network(&source, 4), IpAddress::from_network(&destination, 4),
          rte_be_to_cpu_16(source_port), rte_be_to_cpu_16(destination_port), protocol};
}

FlowKey6 FlowKey6::from(const Tuple& tuple, Side side) {
  FlowKey6 key{};
  key.source = tuple.source.bytes;
  key.destination = tuple.destination.bytes;
  key.source_port = rte_cpu_to_be_16(tuple.source_port);
  key.destination_port = rte_cpu_to_be_16(tuple.destination_port);
  key.protocol = tuple.protocol;
  key.side = static_cast<std::uint8_t>(side);
  return key;
}

Tuple FlowKey6::tuple() const {
  return {IpAddress::from_network(source.data(), 6), IpAddress::from_network(destination.data(), 6),
          rte_be_to_cpu_16(source_port), rte_be_to_cpu_16(destination_port), protocol};
}

}  // namespace glassbox
