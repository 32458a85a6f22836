// SPDX-License-Identifier: BSD-3-Clause
//
// The preflight on machines that are made up, file by file.
#include "control/doctor/doctor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

namespace glassbox {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNic = "0000:65:00.1";

class FakeMachine : public Machine {
 public:
  explicit FakeMachine(fs::path root) : Machine(root), root_(std::move(root)) {}

  void write(const std::string& path, const std::string& text) {
    const fs::path place = root_ / fs::path(path).relative_path();
    fs::create_directories(place.parent_path());
    std::ofstream(place) << text << '\n';
  }
  void link(const std::string& path, const std::string& target) {
    const fs::path place = root_ / fs::path(path).relative_path();
    fs::create_directories(place.parent_path());
    fs::remove(place);
    fs::create_symlink(target, place);
  }
  using Machine::link;
  void remove(const std::string& path) { fs::remove_all(root_ / fs::path(path).relative_path()); }

  std::optional<Interface> interface(const std::string& name) const override {
    const auto found = interfaces.find(name);
    return found == interfaces.end() ? std::nullopt : std::optional(found->second);
  }
  std::vector<std::string> offloads(const std::string&) const override { return on; }
  std::optional<std::uint64_t> lockable() const override { return locked; }
  bool may_open_packet_sockets() const override { return sockets; }
  bool may_write(const std::string& path) const override { return exists(path); }
  bool is_root() const override { return root; }
  std::vector<unsigned> cpus() const override { return processors; }

  std::map<std::string, Interface> interfaces;
  std::vector<std::string> on;
  std::optional<std::uint64_t> locked;
  bool sockets = true;
  bool root = true;
  std::vector<unsigned> processors = {0, 1, 2, 3};

 private:
  fs::path root_;
};

class DoctorTest : public ::testing::Test {
 protected:
  // All is well: a NIC at vfio-pci, hugepages, an isolated core.
  DoctorTest()
      : directory_(fs::temp_directory_path() / ("glassbox-doctor-" + std::to_string(getpid()))),
        machine_(directory_) {
    machine_.write("/proc/cpuinfo", "vendor_id : AuthenticAMD\nflags : fpu aes avx2 bmi2 sse");
    machine_.write("/proc/mounts", "nodev /dev/hugepages hugetlbfs rw 0 0");
    huge(2048, 512, 512);
    machine_.write("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never");
    machine_.write("/sys/class/iommu/ivhd0/x", "");
    machine_.write("/sys/bus/pci/drivers/vfio-pci/bind", "");
    const std::string nic = std::string("/sys/bus/pci/devices/") + kNic;
    machine_.write(nic + "/class", "0x020000");
    machine_.link(nic + "/driver", "../../drivers/vfio-pci");
    machine_.link(nic + "/iommu_group", "../../groups/17");
    machine_.write("/dev/vfio/17", "");
    machine_.write("/sys/devices/system/cpu/isolated", "2-3");
    machine_.write("/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance");
    machine_.write("/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2");
    patient_.devices = {"65:00.1"};
    patient_.core = 2;
  }
  ~DoctorTest() override { fs::remove_all(directory_); }

  void huge(unsigned kilobytes, unsigned reserved, unsigned free) {
    const std::string directory =
        "/sys/kernel/mm/hugepages/hugepages-" + std::to_string(kilobytes) + "kB/";
    machine_.write(directory + "nr_hugepages", std::to_string(reserved));
    machine_.write(directory + "free_hugepages", std::to_string(free));
  }
  std::vector<Finding> findings() { return examine(machine_, patient_); }
  // The only finding of that check; its health is kSkipped with "none" if there is none.
  Finding finding(const std::string& check) {
    Finding found{check, "", Health::kSkipped, "none", ""};
    int count = 0;
    for (const Finding& each : findings()) {
      if (each.check != check) continue;
      found = each;
      ++count;
    }
    EXPECT_LE(count, 1) << check;
    return found;
  }
  // That check fails, alone, with that remedy.
  void expect_failure(const std::string& check, const std::string& remedy) {
    const Finding found = finding(check);
    EXPECT_EQ(found.health, Health::kFailed) << check << ": " << found.found;
    EXPECT_EQ(found.remedy, remedy);
    EXPECT_FALSE(is_healthy(findings()));
    for (const Finding& each : findings()) {
      if (each.check != check) EXPECT_NE(each.health, Health::kFailed) << each.check;
    }
  }

  fs::path directory_;
  FakeMachine machine_;
  Patient patient_;
};

TEST_F(DoctorTest, FindsNothingWhereAllIsWell) {
  for (const Finding& each : findings()) {
    EXPECT_EQ(each.health, Health::kOk) << each.check << ": " << each.found;
    EXPECT_EQ(each.remedy, "") << each.check;
  }
  EXPECT_TRUE(is_healthy(findings()));
  EXPECT_GT(findings().size(), 7u);
}

TEST_F(DoctorTest, AnOldProcessorFailsAndNoCommandMendsIt) {
  machine_.write("/proc/cpuinfo", "flags : fpu aes avx sse bmi1");
  expect_failure("processor", "");
  EXPECT_NE(finding("processor").found.find("AVX2, BMI2"), std::string::npos);
}

TEST_F(DoctorTest, ANicNeedsHugepages) {
  huge(2048, 0, 0);
  expect_failure("hugepages",
                 "echo 128 | sudo tee /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
}

TEST_F(DoctorTest, HugepagesThatOthersTookAreNotFree) {
  huge(2048, 512, 100);  // 824 MiB are in use
  expect_failure("hugepages",
                 "echo 540 | sudo tee /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
}

TEST_F(DoctorTest, GigabytePagesCount) {
  huge(2048, 0, 0);
  huge(1048576, 1, 1);
  EXPECT_EQ(finding("hugepages").health, Health::kOk);
}

TEST_F(DoctorTest, HugepagesHaveToBeMounted) {
  machine_.write("/proc/mounts", "proc /proc proc rw 0 0");
  expect_failure("hugetlbfs",
                 "sudo mkdir -p /dev/hugepages && sudo mount -t hugetlbfs nodev /dev/hugepages");
}

TEST_F(DoctorTest, VirtualDevicesDoWithoutHugepages) {
  huge(2048, 0, 0);
  patient_.devices = {"net_null0", "net_null1"};
  EXPECT_EQ(finding("hugepages").health, Health::kWarning);
  EXPECT_TRUE(is_healthy(findings()));
}

TEST_F(DoctorTest, ANicOfTheKernelIsBoundAnew) {
  const std::string nic = std::string("/sys/bus/pci/devices/") + kNic;
  machine_.link(nic + "/driver", "../../drivers/ice");
  expect_failure("driver", "sudo dpdk-devbind.py --bind=vfio-pci 0000:65:00.1");
  machine_.write(nic + "/net/eth5/x", "");
  machine_.interfaces["eth5"] = {.up = true, .mtu = 1500};
  expect_failure("driver",
                 "sudo ip link set eth5 down && sudo dpdk-devbind.py --bind=vfio-pci 0000:65:00.1");
}

TEST_F(DoctorTest, ANicThatIsNotThereIsTold) {
  patient_.devices = {"0000:01:00.0"};
  EXPECT_EQ(finding("driver").health, Health::kFailed);
  EXPECT_NE(finding("driver").found.find("no such PCI device"), std::string::npos);
}

TEST_F(DoctorTest, ASharedNicNeedsNoVfio) {
  machine_.link(std::string("/sys/bus/pci/devices/") + kNic + "/driver", "../../drivers/mlx5_core");
  machine_.remove("/sys/bus/pci/drivers/vfio-pci");
  machine_.remove("/sys/class/iommu");
  EXPECT_TRUE(is_healthy(findings()));
  EXPECT_EQ(finding("vfio").found, "none");
  EXPECT_EQ(finding("iommu").health, Health::kSkipped);
}

TEST_F(DoctorTest, VfioHasToBeLoaded) {
  machine_.remove("/sys/bus/pci/drivers/vfio-pci");
  expect_failure("vfio", "sudo modprobe vfio-pci");
}

TEST_F(DoctorTest, TheGroupsFileHasToOpen) {
  machine_.remove("/dev/vfio/17");
  expect_failure("vfio group", "sudo chown $USER /dev/vfio/17");
}

TEST_F(DoctorTest, WithoutAnIommuVfioHasToBeToldSo) {
  machine_.remove("/sys/class/iommu");
  const Finding off = finding("iommu");
  EXPECT_EQ(off.health, Health::kFailed);
  EXPECT_NE(off.found.find("amd_iommu=on"), std::string::npos);
  EXPECT_NE(off.remedy.find("enable_unsafe_noiommu_mode"), std::string::npos);
  machine_.write("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
  EXPECT_EQ(finding("iommu").health, Health::kWarning);
}

TEST_F(DoctorTest, LockedMemoryIsLimitedForOthersThanRoot) {
  machine_.locked = std::uint64_t{8} << 20;
  EXPECT_EQ(finding("memlock").health, Health::kOk);
  machine_.root = false;
  EXPECT_EQ(finding("memlock").health, Health::kFailed);
  EXPECT_NE(finding("memlock").remedy.find("memlock unlimited"), std::string::npos);
  patient_.devices = {"net_null0"};
  EXPECT_EQ(finding("memlock").health, Health::kSkipped);
}

TEST_F(DoctorTest, InterfacesHaveToBeThereAndUp) {
  patient_.devices = {"net_af_packet0,iface=eth1"};
  EXPECT_EQ(finding("interface").health, Health::kFailed);
  machine_.interfaces["eth1"] = {.up = false, .mtu = 1500};
  expect_failure("interface", "sudo ip link set eth1 up");
  machine_.interfaces["eth1"].up = true;
  EXPECT_EQ(finding("interface").health, Health::kOk);
  machine_.sockets = false;
  EXPECT_EQ(finding("rights").health, Health::kFailed);
  EXPECT_NE(finding("rights").remedy.find("cap_net_raw"), std::string::npos);
}

TEST_F(DoctorTest, OffloadsThatJoinFramesAreToBeSwitchedOff) {
  patient_.devices = {"net_af_packet0,iface=eth1"};
  machine_.interfaces["eth1"] = {.up = true, .mtu = 1500};
  machine_.on = {"gro", "tso"};
  const Finding found = finding("offloads");
  EXPECT_EQ(found.health, Health::kWarning);
  EXPECT_EQ(found.remedy, "sudo ethtool -K eth1 gro off tso off");
}

TEST_F(DoctorTest, TheCoreIsBestLeftAlone) {
  patient_.core = 0;
  EXPECT_EQ(finding("isolation").health, Health::kWarning);
  EXPECT_NE(finding("isolation").remedy.find("isolcpus=0"), std::string::npos);
  patient_.core = 2;
  machine_.write("/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave");
  EXPECT_EQ(finding("governor").remedy,
            "echo performance | sudo tee "
            "/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor");
  machine_.write("/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "0,2");
  EXPECT_EQ(finding("sibling").health, Health::kWarning);
  patient_.core = 9;
  expect_failure("core", "lscpu -e");
}

TEST_F(DoctorTest, WithoutPortsTheNicsAreListed) {
  patient_.devices.clear();
  EXPECT_EQ(finding("nic").subject, kNic);
  EXPECT_EQ(finding("nic").found, "vfio-pci");
}

TEST_F(DoctorTest, AddressesOfAnyForm) {
  EXPECT_EQ(pci_address("65:00.1"), kNic);
  EXPECT_EQ(pci_address("0000:65:00.1,arg=1"), kNic);
  EXPECT_EQ(pci_address("net_null0"), std::nullopt);
  EXPECT_EQ(pci_address(""), std::nullopt);
}

TEST_F(DoctorTest, SaysTheSameInWordsAndInJson) {
  huge(2048, 0, 0);
  const auto all = findings();
  const nlohmann::json json = nlohmann::json::parse(doctor_json(all));
  EXPECT_EQ(json["schema"], "glassbox.doctor/1");
  EXPECT_EQ(json["healthy"], false);
  ASSERT_EQ(json["checks"].size(), all.size());
  const std::string text = doctor_text(all);
  for (const auto& check : json["checks"]) {
    if (check["status"] == "ok") EXPECT_TRUE(check["remedy"].is_null());
    if (check["remedy"].is_string()) {
      EXPECT_NE(text.find("         " + check["remedy"].get<std::string>() + "\n"),
                std::string::npos);
    }
    EXPECT_NE(text.find(check["found"].get<std::string>()), std::string::npos);
  }
  EXPECT_NE(text.find("1 failure, 0 warnings"), std::string::npos);
}

// The real machine, whatever it is: no crash, an answer to every check.
TEST(Doctor, ExaminesThisMachine) {
  const auto all = examine(Machine(), {.devices = {"net_af_packet0,iface=lo"}, .core = {}});
  EXPECT_GT(all.size(), 5u);
  for (const Finding& each : all) {
    EXPECT_FALSE(each.found.empty()) << each.check;
    if (each.check == "interface") EXPECT_EQ(each.health, Health::kOk) << each.found;
  }
}

}  // namespace
}  // namespace glassbox
