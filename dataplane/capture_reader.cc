// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/capture_reader.h"

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <array>
#include <cstdio>
#include <utility>

namespace glassbox {
namespace {

constexpr std::string_view kRepair = "recapture, or repair it with pcapfix";

// libpcap reports by text alone, so the text is what advice can be given on. The first match
// counts.
struct Advice {
  std::string_view when;
  std::string_view advice;
};
constexpr std::array<Advice, 4> kAdvice{{
    {"truncated",
     "the file ends too early: recapture, or keep the whole packets with `editcap IN OUT` or "
     "pcapfix"},
    {"unknown file format",
     "this is no pcap or pcapng capture; if it is compressed, decompress it first"},
    {"different from the type of the first interface",
     "one file can hold one link type only: capture each interface into a file of its own"},
    // Simple packets have no length of their own but the snapshot length, which we erase.
    {"block of type 3", "convert it with `editcap -F nsecpcap IN OUT`"},
}};

std::string_view advice_on(std::string_view problem) {
  for (const Advice& known : kAdvice) {
    if (problem.find(known.when) != std::string_view::npos) return known.advice;
  }
  return kRepair;
}

// libpcap hands out its own DLT numbers. On Linux the only supported one that differs from the
// LINKTYPE in the file is raw IP.
int linktype_of_dlt(int dlt) { return dlt == DLT_RAW ? kLinktypeRaw : dlt; }

Error unsupported_link_type(const std::string& name, int dlt) {
  const char* dlt_name = pcap_datalink_val_to_name(dlt);
  const char* description = pcap_datalink_val_to_description(dlt);
  std::string supported;
  for (const SupportedLinktype& known : kSupportedLinktypes) {
    supported +=
        fmt::format("{}{} ({})", supported.empty() ? "" : ", ", known.name, known.linktype);
  }
  return Error{fmt::format(
      "{}: link type {} ({}{}{}) is not supported (supported: {}); recapture on one Ethernet "
      "interface (not `-i any`), or convert with `tcprewrite --dlt=enet`",
      name, dlt_name != nullptr ? dlt_name : "unknown", dlt, description != nullptr ? ", " : "",
      description != nullptr ? description : "", supported)};
}

// Nothing if 64-bit nanoseconds since 1970 cannot hold it.
std::optional<Instant> instant_of(const timeval& stamp, const SnaplenEraser& file) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  constexpr std::int64_t kWrap = std::int64_t{1} << 32;
  std::int64_t seconds = stamp.tv_sec;
  std::int64_t fraction = stamp.tv_usec;  // in nanoseconds, as we asked libpcap for
  // pcap has 32 unsigned bits for each; libpcap reads them as signed, which ends in 2038.
  if (file.is_pcap()) {
    if (seconds < 0) seconds += kWrap;
    if (fraction < 0) fraction += file.has_nanoseconds() ? kWrap : kWrap * 1000;
  }
  std::int64_t nanos = 0;
  if (__builtin_mul_overflow(seconds, kSecond, &nanos)) return std::nullopt;
  if (__builtin_add_overflow(nanos, fraction, &nanos)) return std::nullopt;
  const Instant time{Nanos{nanos}};
  if (nanos < 0 || time == kNever) return std::nullopt;
  return time;
}

}  // namespace

void CaptureReader::Close::operator()(pcap* handle) const { pcap_close(handle); }

CaptureReader::CaptureReader(std::unique_ptr<CaptureStream> stream, Handle handle, std::string name,
                             int linktype, LinkType link_type)
    : stream_(std::move(stream)),
      handle_(std::move(handle)),
      name_(std::move(name)),
      linktype_(linktype),
      link_type_(link_type) {}

Result<CaptureReader> CaptureReader::open(const std::string& path) {
  std::string name = path == "-" ? "standard input" : path;
  Result<std::unique_ptr<CaptureStream>> stream = CaptureStream::open(path);
  if (!stream.ok()) return stream.error();
  std::FILE* file = (*stream)->new_file();
  if (file == nullptr) return Error{name + ": cannot be read: no memory"};
  std::array<char, PCAP_ERRBUF_SIZE> problem{};
  Handle handle(
      pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, problem.data()));
  if (handle == nullptr) {
    std::fclose(file);
    const std::string_view words = problem.data();
    return Error{fmt::format("{}: {}; {}", name, words, advice_on(words))};
  }
  const int dlt = pcap_datalink(handle.get());
  const int linktype = linktype_of_dlt(dlt);
  const std::optional<LinkType> link_type = link_type_of(linktype);
  if (!link_type) return unsupported_link_type(name, dlt);
  return CaptureReader(*std::move(stream), std::move(handle), std::move(name), linktype,
                       *link_type);
}

Error CaptureReader::fail(std::string_view problem, std::string_view advice) {
  failure_ = Error{fmt::format("{}: packet {}: {}; {}", name_, frames_read_ + 1, problem, advice)};
  return *failure_;
}

Result<std::optional<CapturedFrame>> CaptureReader::next() {
  if (failure_) return *failure_;
  if (at_end_) return std::optional<CapturedFrame>{};

  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  const int outcome = pcap_next_ex(handle_.get(), &header, &data);
  if (outcome == PCAP_ERROR_BREAK) {
    at_end_ = true;
    return std::optional<CapturedFrame>{};
  }
  if (outcome != 1) {
    const std::string_view problem = pcap_geterr(handle_.get());
    return fail(problem, advice_on(problem));
  }
  // libpcap checks neither format for this (its issue 1710).
  if (header->caplen > header->len) {
    return fail(fmt::format("corrupt header: {} bytes captured of a packet of {}", header->caplen,
                            header->len),
                kRepair);
  }
  const std::optional<Instant> time = instant_of(header->ts, stream_->eraser());
  if (!time) return fail("corrupt header: its time is not between 1970 and 2262", kRepair);
  ++frames_read_;
  return std::optional(CapturedFrame{.number = frames_read_,
                                     .time = *time,
                                     .bytes = {data, header->caplen},
                                     .wire_length = header->len,
                                     .truncated = header->caplen < header->len});
}

}  // namespace glassbox
