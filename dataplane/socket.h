// SPDX-License-Identifier: BSD-3-Clause
//
// A socket that closes itself; get() is negative where there could be none, and errno says why.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

namespace glassbox {

class Socket {
 public:
  Socket(int domain, int type) : descriptor_(socket(domain, type | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace glassbox
