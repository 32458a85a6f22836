// SPDX-License-Identifier: BSD-3-Clause
#include "control/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

namespace glassbox {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} * 1024;
constexpr mode_t kMode = 0666;  // less the umask, as any program's output

std::string words_for(int error_number) { return std::generic_category().message(error_number); }

Error open_error(const std::string& name, std::string_view problem) {
  return Error{fmt::format("{}: cannot be written: {}", name, problem)};
}

// These name a descriptor we already have. Opening /dev/stdout anew would start at offset 0 of
// whatever file it was sent to, over what is there.
struct Standard {
  std::string_view path;
  int descriptor;
};
constexpr std::array<Standard, 3> kStandard{{
    {"-", STDOUT_FILENO},
    {"/dev/stdout", STDOUT_FILENO},
    {"/dev/stderr", STDERR_FILENO},
}};

// Whether PATH must be written in place. The file behind a descriptor's name (/dev/fd/3) may be a
// regular one, and yet belongs to whoever opened it.
bool is_written_directly(const std::string& path) {
  const bool device = path.starts_with("/dev/") && !path.starts_with("/dev/shm/");
  if (device || path.starts_with("/proc/")) return true;
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

// Why PATH cannot be replaced, or 0. Replacing needs no right to write the file itself, but whoever
// made it read-only meant it.
int obstacle_at(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return 0;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  return access(path.c_str(), W_OK) == 0 ? 0 : errno;
}

// The file a symbolic link leads to, so that the link stays a link.
std::string behind_links(const std::string& path) {
  std::error_code failed;
  if (!std::filesystem::is_symlink(path, failed)) return path;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, failed);
  return failed ? path : real.string();
}

bool is_same_file(int descriptor, const std::string& path) {
  struct stat ours {};
  struct stat theirs {};
  return fstat(descriptor, &ours) == 0 && stat(path.c_str(), &theirs) == 0 &&
         ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

// Opens and locks the partial file: a descriptor, or a negative error number. The name is fixed, so
// that what a killed run left behind is reused; the lock keeps two live runs apart.
int open_partial(const std::string& partial) {
  constexpr int kAttempts = 16;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int descriptor =
        ::open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kMode);
    if (descriptor < 0) return -errno;
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(descriptor);
      return -EWOULDBLOCK;
    }
    // Its last writer may have finished, and renamed it, between our open and our lock.
    if (is_same_file(descriptor, partial)) {
      if (ftruncate(descriptor, 0) == 0) return descriptor;
      const int error_number = errno;
      ::close(descriptor);
      return -error_number;
    }
    ::close(descriptor);
  }
  return -EWOULDBLOCK;
}

// Turns the SIGPIPE of a write in this thread into that write's EPIPE.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    sigset_t pending{};
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec no_wait{};
    while (!was_pending_ && sigtimedwait(&sigpipe_, nullptr, &no_wait) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t sigpipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

// 0, or an error number.
int write_all(int descriptor, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return 0;
}

// Network file systems report what they could not store when a descriptor is closed. Closing a
// copy asks for that and keeps the lock.
int store_errors(int descriptor) {
  const int copy = dup(descriptor);
  return copy < 0 || ::close(copy) != 0 ? errno : 0;
}

}  // namespace

OutputFile::OutputFile(int descriptor, std::string name)
    : descriptor_(descriptor), name_(std::move(name)) {
  buffer_.reserve(kBufferBytes);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      name_(std::move(other.name_)),
      target_(std::move(other.target_)),
      partial_(std::move(other.partial_)),
      buffer_(std::move(other.buffer_)),
      failure_(std::move(other.failure_)) {}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  if (this == &other) return *this;
  discard();
  descriptor_ = std::exchange(other.descriptor_, -1);
  name_ = std::move(other.name_);
  target_ = std::move(other.target_);
  partial_ = std::move(other.partial_);
  buffer_ = std::move(other.buffer_);
  failure_ = std::move(other.failure_);
  return *this;
}

OutputFile::~OutputFile() { discard(); }

Result<OutputFile> OutputFile::open(const std::string& path) {
  for (const Standard& standard : kStandard) {
    if (path != standard.path) continue;
    const int descriptor = fcntl(standard.descriptor, F_DUPFD_CLOEXEC, 0);
    const std::string name = path == "-" ? "standard output" : path;
    if (descriptor < 0) return open_error(name, words_for(errno));
    return OutputFile(descriptor, name);
  }
  if (is_written_directly(path)) {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (descriptor < 0) return open_error(path, words_for(errno));
    return OutputFile(descriptor, path);
  }
  const std::string target = behind_links(path);
  if (const int error_number = obstacle_at(target))
    return open_error(path, words_for(error_number));
  const std::string partial = target + ".partial";
  const int descriptor = open_partial(partial);
  if (descriptor == -EWOULDBLOCK) return open_error(path, "something else is writing it now");
  if (descriptor < 0) return open_error(path, words_for(-descriptor));
  OutputFile file(descriptor, path);
  file.target_ = target;
  file.partial_ = partial;
  return file;
}

Result<void> OutputFile::write(std::span<const std::uint8_t> bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) {
    Result<void> flushed = flush();
    if (!flushed.ok()) return flushed;
  }
  if (bytes.size() >= kBufferBytes) return write_through(bytes);
  if (failure_) return *failure_;
  if (descriptor_ < 0) return fail("writing after its end", EBADF);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Result<void> OutputFile::write(std::string_view text) {
  return write(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

Result<void> OutputFile::flush() {
  Result<void> written = write_through(buffer_);
  buffer_.clear();
  return written;
}

Result<void> OutputFile::write_through(std::span<const std::uint8_t> bytes) {
  if (failure_) return *failure_;
  if (descriptor_ < 0) return fail("writing after its end", EBADF);
  int error_number = 0;
  if (partial_.empty()) {
    const WithoutSigpipe guard;
    error_number = write_all(descriptor_, bytes);
  } else {
    error_number = write_all(descriptor_, bytes);
  }
  if (error_number != 0) return fail("writing", error_number);
  return {};
}

Result<void> OutputFile::finish() {
  Result<void> flushed = flush();
  if (!flushed.ok()) {
    discard();
    return flushed;
  }
  if (const int error_number = store_errors(descriptor_)) {
    fail("closing", error_number);
  } else if (!partial_.empty() && std::rename(partial_.c_str(), target_.c_str()) != 0) {
    fail(fmt::format("renaming {} to it", partial_), errno);
  } else {
    partial_.clear();
  }
  discard();
  if (failure_) return *failure_;
  return {};
}

Error OutputFile::fail(std::string_view doing, int error_number) {
  failure_ = Error{fmt::format("{}: {} failed: {}", name_, doing, words_for(error_number))};
  return *failure_;
}

void OutputFile::discard() {
  if (descriptor_ < 0) return;
  // Removed while the lock is held, or it could be another run's by then.
  if (!partial_.empty()) unlink(partial_.c_str());
  ::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace glassbox
