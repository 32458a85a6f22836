// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/private_memory.h"

#include <fmt/format.h>
#include <rte_memory.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace glassbox {
namespace {

// Maps the file of one list of segments over itself, privately: the content is the file's, to which
// nobody writes any more. 0: on with the next list.
int make_private(const rte_memseg_list* list, void*) {
  if (list->external != 0 || list->len == 0) return 0;
  int fd = -1;
  rte_memseg* first = rte_mem_virt2memseg(list->base_va, list);
  if (first != nullptr) fd = rte_memseg_get_fd_thread_unsafe(first);
  if (fd < 0) return 0;  // no file behind it: it is private already
  void* const mapped =
      mmap(list->base_va, list->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
  return mapped == MAP_FAILED ? -1 : 0;
}

}  // namespace

void make_dpdk_memory_private() {
  if (rte_memseg_list_walk_thread_unsafe(make_private, nullptr) == 0) return;
  throw std::runtime_error(
      fmt::format("cannot give each run memory of its own: {}", std::strerror(errno)));
}

}  // namespace glassbox
