// SPDX-License-Identifier: BSD-3-Clause
//
// Sends the packets of a capture, over and over, out of an interface, and says what that cost:
//
//   veth_sender INTERFACE CAPTURE CORE
//
// It reads seconds, one number a line, from its standard input, sends for so long, and answers each
// with a line: packets sent, nanoseconds of CPU time that its thread had, nanoseconds that passed.
//
// Into a veth without a queueing discipline the whole way of a packet through the other end's
// namespace is walked in the sender's own thread: the softirq that receives it runs where the send
// enables softirqs again. So the thread's CPU time is the price of sending and forwarding, whatever
// other processes do meanwhile, and nothing has to be told apart from other work of a core.
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "dataplane/capture_reader.h"

namespace glassbox {
namespace {

constexpr std::size_t kAtATime = 64;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

std::uint64_t nanoseconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

void pin(int core) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) fail("core " + std::to_string(core));
}

int open_socket(const std::string& interface) {
  // Protocol 0: it receives nothing.
  const int descriptor = ::socket(AF_PACKET, SOCK_RAW, 0);
  if (descriptor < 0) fail("a packet socket (are you root?)");
  const int on = 1;
  if (setsockopt(descriptor, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) != 0) {
    fail("PACKET_QDISC_BYPASS");
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (address.sll_ifindex == 0) fail(interface);
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail(interface);
  }
  return descriptor;
}

std::vector<std::vector<std::uint8_t>> read_frames(const std::string& path) {
  Result<CaptureReader> reader = CaptureReader::open(path);
  if (!reader.ok()) throw std::runtime_error(reader.error().message);
  std::vector<std::vector<std::uint8_t>> frames;
  for (;;) {
    const Result<std::optional<CapturedFrame>> frame = reader->next();
    if (!frame.ok()) throw std::runtime_error(frame.error().message);
    if (!*frame) break;
    frames.emplace_back((*frame)->bytes.begin(), (*frame)->bytes.end());
  }
  if (frames.empty()) throw std::runtime_error(path + ": no packet");
  return frames;
}

class Sender {
 public:
  Sender(int descriptor, std::vector<std::vector<std::uint8_t>> frames)
      : descriptor_(descriptor), frames_(std::move(frames)), vectors_(frames_.size()) {
    for (std::size_t i = 0; i < frames_.size(); ++i) {
      vectors_[i] = {frames_[i].data(), frames_[i].size()};
    }
  }

  // Packets that were sent.
  std::uint64_t run(double seconds) {
    const std::uint64_t end =
        nanoseconds(CLOCK_MONOTONIC) + static_cast<std::uint64_t>(seconds * 1e9);
    std::uint64_t sent = 0;
    while (nanoseconds(CLOCK_MONOTONIC) < end) sent += send_some();
    return sent;
  }

 private:
  std::uint64_t send_some() {
    std::array<mmsghdr, kAtATime> messages{};
    const std::size_t count = std::min(kAtATime, frames_.size() - next_);
    for (std::size_t i = 0; i < count; ++i) {
      messages[i].msg_hdr.msg_iov = &vectors_[next_ + i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent = sendmmsg(descriptor_, messages.data(), static_cast<unsigned>(count), 0);
    if (sent < 0) {
      if (errno == ENOBUFS || errno == EINTR) return 0;
      fail("sendmmsg");
    }
    next_ = (next_ + static_cast<std::size_t>(sent)) % frames_.size();
    return static_cast<std::uint64_t>(sent);
  }

  int descriptor_;
  std::vector<std::vector<std::uint8_t>> frames_;
  std::vector<iovec> vectors_;
  std::size_t next_ = 0;
};

int serve(const std::string& interface, const std::string& path, int core) {
  pin(core);
  Sender sender(open_socket(interface), read_frames(path));
  std::puts("ready");
  std::fflush(stdout);
  for (double seconds = 0; std::cin >> seconds;) {
    const std::uint64_t cpu = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    const std::uint64_t begun = nanoseconds(CLOCK_MONOTONIC);
    const std::uint64_t sent = sender.run(seconds);
    std::printf("%llu %llu %llu\n", static_cast<unsigned long long>(sent),
                static_cast<unsigned long long>(nanoseconds(CLOCK_THREAD_CPUTIME_ID) - cpu),
                static_cast<unsigned long long>(nanoseconds(CLOCK_MONOTONIC) - begun));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace glassbox

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: veth_sender INTERFACE CAPTURE CORE\n", stderr);
    return 2;
  }
  try {
    return glassbox::serve(argv[1], argv[2], std::atoi(argv[3]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "veth_sender: %s\n", error.what());
    return 1;
  }
}
