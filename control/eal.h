// SPDX-License-Identifier: BSD-3-Clause
//
// DPDK's environment (EAL) for as long as the object lives. One a process: DPDK 22.11 cannot start
// it a second time, not even after its cleanup.
//
// A replay needs neither root, hugepages, a NIC nor a runtime directory. Live ports take what the
// user says and fall back to ordinary memory where no hugepages are set up.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace glassbox {

class Eal {
 public:
  // Throw std::runtime_error with the reason in words, EAL's own included.
  static Eal for_replay(unsigned megabytes);
  // `devices` as the configuration names them (PCI addresses, net_tap0,iface=...); no other NIC of
  // the machine is touched. `arguments` as after `--`; what they leave open is filled in.
  static Eal for_ports(const std::vector<std::string>& devices,
                       const std::vector<std::string>& arguments, unsigned megabytes);

  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;

 private:
  explicit Eal(std::vector<std::string> arguments);

  // EAL keeps pointers to its arguments, and reorders the list of them.
  std::vector<std::string> arguments_;
  std::vector<char*> pointers_;
};

// EAL as for a replay, but started only when somebody needs its heap (dataplane/dpdk_heap.h). One
// at a time.
class EalOnDemand {
 public:
  explicit EalOnDemand(unsigned megabytes);
  ~EalOnDemand();
  EalOnDemand(const EalOnDemand&) = delete;
  EalOnDemand& operator=(const EalOnDemand&) = delete;

  bool is_started() const { return eal_ != nullptr; }

 private:
  std::unique_ptr<const Eal> eal_;
};

// The arguments that Eal::for_replay and for_ports start EAL with, the program's name first.
std::vector<std::string> replay_eal_arguments(unsigned megabytes);
std::vector<std::string> port_eal_arguments(const std::vector<std::string>& devices,
                                            const std::vector<std::string>& arguments,
                                            unsigned megabytes, bool hugepages);

// Whether hugepages are set up, in any size.
bool have_hugepages();

// Throws std::runtime_error if the CPU lacks what the program is compiled for.
void check_cpu();

}  // namespace glassbox
