// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ethdev_port.h"

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <stdexcept>

namespace glassbox {
namespace {

constexpr std::uint16_t kDescriptors = 1024;

[[noreturn]] void fail(const DevicePlan& plan, const std::string& text) {
  throw std::runtime_error(fmt::format("port '{}': {}", plan.device(), text));
}

void require(int result, const DevicePlan& plan, const char* step) {
  if (result >= 0) return;
  fail(plan, fmt::format("cannot {}: {}", step, rte_strerror(-result)));
}

}  // namespace

EthdevPort::EthdevPort(DevicePlan plan, rte_mempool* pool) : plan_(std::move(plan)) {
  find_or_create();
  try {
    configure(pool);
    start();
  } catch (...) {
    close();
    throw;
  }
}

EthdevPort::~EthdevPort() { close(); }

void EthdevPort::find_or_create() {
  if (rte_eth_dev_get_port_by_name(plan_.name().c_str(), &id_) == 0) return;
  const std::string arguments = plan_.arguments();
  const int result = rte_dev_probe(arguments.c_str());
  // A PCI address may have been written short, so it is not found by its name.
  rte_dev_iterator iterator;
  bool found = false;
  std::uint16_t id;
  RTE_ETH_FOREACH_MATCHING_DEV(id, arguments.c_str(), &iterator) {
    id_ = id;
    found = true;
    rte_eth_iterator_cleanup(&iterator);
    break;
  }
  if (found) return;
  fail(plan_, fmt::format("DPDK cannot open it ({}); {}",
                          result < 0 ? rte_strerror(-result) : "no port", plan_.hint()));
}

void EthdevPort::configure(rte_mempool* pool) {
  rte_eth_dev_info info;
  require(rte_eth_dev_info_get(id_, &info), plan_, "ask the device what it can do");
  driver_ = info.driver_name;
  rte_eth_conf conf{};
  // Functions chain mbufs where a packet outgrows its first.
  conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  require(rte_eth_dev_configure(id_, 1, 1, &conf), plan_, "configure one queue each way");
  std::uint16_t received = kDescriptors;
  std::uint16_t transmitted = kDescriptors;
  require(rte_eth_dev_adjust_nb_rx_tx_desc(id_, &received, &transmitted), plan_, "size its queues");
  const int socket = rte_eth_dev_socket_id(id_);
  rte_eth_txconf txconf = info.default_txconf;
  txconf.offloads = conf.txmode.offloads;
  require(rte_eth_rx_queue_setup(id_, 0, received, static_cast<unsigned>(socket), nullptr, pool),
          plan_, "set up its receive queue");
  require(rte_eth_tx_queue_setup(id_, 0, transmitted, static_cast<unsigned>(socket), &txconf),
          plan_, "set up its transmit queue");
  mtu_ = plan_.mtu();
  if (!plan_.interface()) rte_eth_dev_get_mtu(id_, &mtu_);
  longest_ = mtu_ + RTE_ETHER_HDR_LEN;
  // A packet socket lets one tag exceed the MTU, a NIC two.
  longest_tagged_ = longest_ + (plan_.has_ring() ? 1 : 2) * RTE_VLAN_HLEN;
}

void EthdevPort::start() {
  require(rte_eth_dev_start(id_), plan_, "start");
  started_ = true;
  if (plan_.interface()) {
    sockets_.emplace(plan_.interface()->index());
    sockets_->ignore_outgoing();
    dropped_before_ = plan_.interface()->transmit_dropped();
  }
  if (rte_eth_promiscuous_get(id_) != 1) {
    const int result = rte_eth_promiscuous_enable(id_);
    // A device that cannot filter passes everything anyhow (net_pcap on files, net_null).
    if (result != 0 && result != -ENOTSUP) require(result, plan_, "be made promiscuous");
    made_promiscuous_ = result == 0 && !(plan_.interface() && plan_.interface()->promiscuous());
  }
  rte_eth_stats_reset(id_);
}

void EthdevPort::close() {
  rte_eth_dev_info info;
  const bool known = rte_eth_dev_info_get(id_, &info) == 0;
  if (made_promiscuous_) rte_eth_promiscuous_disable(id_);
  if (started_) rte_eth_dev_stop(id_);
  rte_eth_dev_close(id_);
  if (known && info.device != nullptr) rte_dev_remove(info.device);
}

// Tags are looked at only where the length calls for it.
bool EthdevPort::fits(const rte_mbuf* mbuf) const {
  if (mbuf->pkt_len <= longest_) [[likely]]
    return true;
  if (mbuf->pkt_len > longest_tagged_) return false;
  const auto* tag = rte_pktmbuf_mtod_offset(mbuf, const rte_be16_t*, 2 * RTE_ETHER_ADDR_LEN);
  std::uint32_t allowed = longest_;
  while (allowed < mbuf->pkt_len && (*tag == rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN) ||
                                     *tag == rte_cpu_to_be_16(RTE_ETHER_TYPE_QINQ))) {
    allowed += RTE_VLAN_HLEN;
    tag += RTE_VLAN_HLEN / sizeof *tag;
  }
  return mbuf->pkt_len <= allowed;
}

void EthdevPort::receive(Burst& burst) {
  burst.stamped = false;
  const std::uint16_t received = rte_eth_rx_burst(id_, 0, burst.mbufs.data(), kMaxBatch);
  std::uint16_t kept = 0;
  for (std::uint16_t i = 0; i < received; ++i) {
    rte_mbuf* mbuf = burst.mbufs[i];
    if (fits(mbuf)) [[likely]] {
      received_bytes_ += mbuf->pkt_len;
      burst.mbufs[kept++] = mbuf;
    } else {
      ++too_long_;
      rte_pktmbuf_free(mbuf);
    }
  }
  burst.count = kept;
}

std::uint16_t EthdevPort::transmit(rte_mbuf** mbufs, std::uint16_t count) {
  std::uint16_t taken = 0;
  while (taken < count) {
    std::uint16_t end = taken;
    while (end < count && fits(mbufs[end])) ++end;
    if (end > taken) {
      taken += rte_eth_tx_burst(id_, 0, mbufs + taken, static_cast<std::uint16_t>(end - taken));
      if (taken < end) return taken;
    }
    if (taken < count) {
      ++unsendable_;
      rte_pktmbuf_free(mbufs[taken++]);
    }
  }
  return taken;
}

void EthdevPort::limit_mtu(std::uint16_t mtu) {
  if (mtu >= mtu_) return;
  longest_ -= mtu_ - mtu;
  longest_tagged_ -= mtu_ - mtu;
  mtu_ = mtu;
}

std::array<std::uint8_t, 6> EthdevPort::mac() const {
  rte_ether_addr address{};
  rte_eth_macaddr_get(id_, &address);
  return std::to_array(address.addr_bytes);
}

bool EthdevPort::link_up() const {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

NicCounters EthdevPort::counters() {
  NicCounters counters;
  counters.too_long = too_long_;
  counters.unsendable = unsendable_;
  rte_eth_stats stats{};
  if (rte_eth_stats_get(id_, &stats) == 0) {
    counters.missed = stats.imissed;
    counters.receive_errors = stats.ierrors;
    counters.no_mbuf = stats.rx_nombuf;
    counters.transmit_errors = stats.oerrors;
  }
  if (plan_.has_ring()) {
    // This driver counts neither of the two.
    counters.missed += sockets_->missed();
    counters.transmit_errors += plan_.interface()->transmit_dropped() - dropped_before_;
  }
  return counters;
}

}  // namespace glassbox
