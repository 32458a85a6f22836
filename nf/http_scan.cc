// SPDX-License-Identifier: BSD-3-Clause
//
// The scan service: looks for patterns in bodies, requests' and responses', as they come in. A body
// is a stream; what is found may be logged, or stop the message.
#include <algorithm>

#include "nf/http.h"

namespace glassbox {

void Http::compile_scans(const Settings::Rows& rows, std::uint32_t streams) {
  for (const bool requests : {true, false}) {
    std::vector<Pattern> patterns;
    for (std::size_t i = 0; i < services_.all().size(); ++i) {
      const HttpService& service = services_.all()[i];
      if (service.action != HttpAction::kScan || service.on_request() != requests) continue;
      patterns.push_back({service.pattern, service.flags, static_cast<std::uint32_t>(i)});
    }
    if (patterns.empty()) continue;
    Scans& scans = scans_[requests ? 0 : 1];
    try {
      scans.database.emplace(patterns, ScanMode::kStream);
    } catch (const PatternError& error) {
      refuse_pattern(rows, patterns, error);
    }
    scans.pool.emplace(*scans.database, streams);
    scans.services.resize(streams);
    scan_scratch_.fit(*scans.database);
    const std::uint64_t bytes = scans.pool->bytes_per_stream() + sizeof(ServiceSet);
    scan_census_ = Census(std::max(scan_census_.bytes_per_entry(), bytes));
  }
}

// For the body that begins.
void Http::begin_scan(ServiceSet wanted) {
  HttpSide& side = this->side();
  Scans& scans = scans_[from_client_ ? 0 : 1];
  const std::uint32_t stream = scans.pool->open();
  if (stream == StreamPool::kNone) {
    scan_census_.refused();
    for_each_service(
        wanted, [&](HttpService& service) { fail_service(service, HttpFailureCause::kMemory); });
    return;
  }
  scan_census_.created(now_);
  side.scan = stream + 1;
  scans.services[stream] = wanted;
  for_each_service(wanted, [&](HttpService& service) { count_invocation(service); });
}

void Http::scan_bytes(std::span<const std::uint8_t> bytes) {
  HttpSide& side = this->side();
  if (side.scan == 0 || bytes.empty()) return;
  scanned_ += bytes.size();
  scans_[from_client_ ? 0 : 1].pool->scan(side.scan - 1, bytes, scan_scratch_, *this);
}

// One that matches at the end of the data is told of it now.
void Http::end_scan() {
  HttpSide& side = this->side();
  if (side.scan == 0) return;
  scans_[from_client_ ? 0 : 1].pool->close(side.scan - 1, scan_scratch_, this);
  scan_census_.ended(Ending::kClosed, now_);
  side.scan = 0;
}

// The services that scan the body under way.
ServiceSet Http::scanning() const {
  const std::size_t from = from_client_ ? 0 : 1;
  const std::uint32_t scan = connection_->sides[from].scan;
  return scan == 0 ? 0 : scans_[from].services[scan - 1];
}

void Http::close_scan(HttpConnection& connection, std::size_t from, Ending why, Instant now) {
  HttpSide& side = connection.sides[from];
  if (side.scan == 0) return;
  scans_[from].pool->close(side.scan - 1, scan_scratch_, nullptr);
  scan_census_.ended(why, now);
  side.scan = 0;
}

void Http::matched(std::uint32_t id) {
  if ((scanning() >> id & 1) == 0) return;
  HttpService& service = services_.all()[id];
  ++service.matches;
  if (service.verdict == HttpVerdict::kLog) return;
  blocking_service_ = static_cast<std::uint8_t>(id);
  failure_ = service.verdict == HttpVerdict::kBlock ? Failure::kBlocked : Failure::kMatched;
}

}  // namespace glassbox
