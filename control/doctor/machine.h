// SPDX-License-Identifier: BSD-3-Clause
//
// What a preflight asks of the machine: files of /sys and /proc, limits, and what only the kernel
// can be asked. Tests give it a root of their own, and answers of their own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace glassbox {

class Machine {
 public:
  explicit Machine(std::filesystem::path root = "/") : root_(std::move(root)) {}
  virtual ~Machine() = default;

  // Paths are absolute, as on the machine itself.
  bool exists(const std::string& path) const;
  // Without the line's end; nullopt: it cannot be read.
  std::optional<std::string> text(const std::string& path) const;
  std::optional<std::uint64_t> number(const std::string& path) const;
  // The name of what a symbolic link points to; empty: no link.
  std::string link(const std::string& path) const;
  // The names in a directory, in order; none: no directory.
  std::vector<std::string> names(const std::string& path) const;

  // --- asked of the kernel ----------------------------------------------------------------------
  struct Interface {
    bool up = false;
    unsigned mtu = 0;
  };
  // nullopt: there is none of that name.
  virtual std::optional<Interface> interface(const std::string& name) const;
  // The offloads of an interface that join or delay cutting frames, by ethtool's names, that are
  // on ("gro", "lro", "gso", "tso").
  virtual std::vector<std::string> offloads(const std::string& interface) const;
  // Bytes that this process may lock; nullopt: any number.
  virtual std::optional<std::uint64_t> lockable() const;
  virtual bool may_open_packet_sockets() const;
  virtual bool may_write(const std::string& path) const;
  virtual bool is_root() const;
  // CPUs that this process may run on.
  virtual std::vector<unsigned> cpus() const;

 private:
  std::filesystem::path place(const std::string& path) const;

  std::filesystem::path root_;
};

}  // namespace glassbox
