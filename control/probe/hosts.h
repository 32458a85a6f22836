// SPDX-License-Identifier: BSD-3-Clause
//
// The end hosts of a script (docs/measurement.md section 2 in short): a host answers to what it
// saw, and checks what it receives. What one knows of another comes from packets, from their
// payload, or was told by a third; without either it is the other's own address, as a name server
// would say.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/probe/frame.h"
#include "control/probe/script.h"

namespace glassbox {

using HostAddresses = std::array<IpAddress, kHostNames.size()>;

class Hosts {
 public:
  explicit Hosts(const HostAddresses& addresses) : addresses_(addresses) {}

  // The datagram of a step, as its sender would send it now. Throws std::invalid_argument if it
  // cannot: an error has nothing to quote.
  ByteString make(const ScriptStep& step);
  // The datagram got across and came to the step's addressee. Empty, or why the host has no use for
  // it.
  std::string receive(const ScriptStep& step, const ByteString& datagram);
  // Throws std::invalid_argument if the teller knows nothing.
  void tell(const ScriptStep& step);

  const IpAddress& address(HostName host) const {
    return addresses_[static_cast<std::size_t>(host)];
  }
  std::optional<HostName> host_at(const IpAddress& address) const;

 private:
  // Where a host reaches a socket of another, or sees it.
  struct Known {
    IpAddress address;
    std::uint16_t port = 0;
    bool operator==(const Known&) const = default;
  };
  // A TCP connection as one end knows it.
  struct Connection {
    bool began = false;      // its own numbers are in use
    bool heard = false;      // the peer's are known
    std::uint32_t isn = 0;   // own
    std::uint32_t irs = 0;   // the peer's
    std::uint32_t next = 0;  // to send
    std::uint32_t expected = 0;
    std::map<std::uint32_t, std::uint32_t> early;  // received beyond a gap: begin, length
  };
  using Pair = std::pair<SocketName, SocketName>;

  Known where(const ScriptStep& step);
  Connection& connection(const SocketName& own, const SocketName& peer);
  TcpNumbers numbers(const ScriptStep& step, std::size_t payload);
  ByteString payload(const ScriptStep& step) const;
  std::string check_addresses(const ScriptStep& step, const FrameParts& parts);
  std::string check_tcp(const ScriptStep& step, const ByteString& datagram,
                        const FrameParts& parts);
  std::string check_quote(const ScriptStep& step, const ByteString& datagram,
                          const FrameParts& parts);
  std::string read_payload(const ScriptStep& step, const ByteString& datagram,
                           const FrameParts& parts);

  HostAddresses addresses_;
  std::map<std::tuple<HostName, SocketName, std::uint8_t>, Known> seen_;
  std::map<std::pair<HostName, SocketName>, Known> told_;
  std::map<Pair, Connection> connections_;
  std::array<std::vector<ByteString>, kHostNames.size()> sent_;
  // The last datagram of each host that got across, as it came out.
  std::array<ByteString, kHostNames.size()> crossed_;
  std::uint16_t next_id_ = 0x2301;
};

}  // namespace glassbox
