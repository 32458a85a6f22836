// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/mbufs.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace glassbox::test {
namespace {

// Cores may be taken away from a container; the EAL refuses one that is not there.
int first_allowed_cpu() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) return cpu;
  }
  return 0;
}

}  // namespace

void EalEnvironment::SetUp() {
  std::vector<std::string> arguments = {"test",
                                        "--no-huge",
                                        "--no-pci",
                                        "-l",
                                        std::to_string(first_allowed_cpu()),
                                        "-m",
                                        "320",
                                        "--no-shconf",
                                        "--no-telemetry",
                                        "--iova-mode=va",
                                        "--log-level=*:error",
                                        "--file-prefix=gbtest" + std::to_string(getpid())};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    throw std::runtime_error(std::string("rte_eal_init: ") + rte_strerror(rte_errno));
  }
}

void EalEnvironment::TearDown() { rte_eal_cleanup(); }

Pool::Pool(unsigned mbufs, std::uint16_t room) {
  static int number = 0;
  const std::string name = "pool" + std::to_string(number++);
  pool_ = rte_pktmbuf_pool_create(name.c_str(), mbufs, 0, 0,
                                  static_cast<std::uint16_t>(RTE_PKTMBUF_HEADROOM + room), 0);
  if (pool_ == nullptr)
    throw std::runtime_error(std::string("no pool: ") + rte_strerror(rte_errno));
}

Pool::~Pool() { rte_mempool_free(pool_); }

unsigned Pool::missing() const { return rte_mempool_in_use_count(pool_); }

rte_mbuf* Pool::mbuf(const Bytes& frame, std::size_t segment) const {
  const std::size_t room = rte_pktmbuf_data_room_size(pool_) - RTE_PKTMBUF_HEADROOM;
  const std::size_t step = segment == 0 ? room : std::min(segment, room);
  rte_mbuf* head = nullptr;
  std::size_t at = 0;
  do {
    rte_mbuf* part = rte_pktmbuf_alloc(pool_);
    if (part == nullptr) throw std::runtime_error("the test's pool is empty");
    const std::size_t size = std::min(step, frame.size() - at);
    if (size != 0) {
      std::memcpy(rte_pktmbuf_append(part, static_cast<std::uint16_t>(size)), frame.data() + at,
                  size);
    }
    if (head == nullptr) {
      head = part;
    } else if (rte_pktmbuf_chain(head, part) != 0) {
      throw std::runtime_error("too many segments");
    }
    at += size;
  } while (at < frame.size());
  return head;
}

rte_mbuf* Pool::without_tailroom(const Bytes& frame) const {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
  if (mbuf == nullptr) throw std::runtime_error("the test's pool is empty");
  mbuf->data_off = static_cast<std::uint16_t>(mbuf->buf_len - frame.size());
  std::memcpy(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(frame.size())), frame.data(),
              frame.size());
  return mbuf;
}

Bytes bytes_of(const rte_mbuf* mbuf) {
  Bytes out;
  for (; mbuf != nullptr; mbuf = mbuf->next) {
    const auto* data = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
    out.insert(out.end(), data, data + mbuf->data_len);
  }
  return out;
}

ExactMbuf::ExactMbuf(const Bytes& frame) : data_(new std::uint8_t[frame.size()]) {
  std::copy(frame.begin(), frame.end(), data_.get());
  std::memset(static_cast<void*>(&mbuf_), 0, sizeof(mbuf_));
  mbuf_.buf_addr = data_.get();
  mbuf_.buf_len = static_cast<std::uint16_t>(frame.size());
  mbuf_.data_len = static_cast<std::uint16_t>(frame.size());
  mbuf_.pkt_len = static_cast<std::uint32_t>(frame.size());
  mbuf_.nb_segs = 1;
  mbuf_.refcnt = 1;
}

}  // namespace glassbox::test
