// SPDX-License-Identifier: BSD-3-Clause
#include "control/rfc3234.h"

#include <algorithm>

#include "dataplane/network_function.h"

namespace glassbox {
namespace {

constexpr std::string_view kIp = "IP", kTransport = "transport", kApplication = "application",
                           kMulti = "multi-layer", kImplicit = "implicit", kExplicit = "explicit",
                           kMultiHop = "multihop", kSingleHop = "single hop", kInLine = "in-line",
                           kFunctional = "functional", kOptimising = "optimising",
                           kProcessing = "processing", kRouting = "routing", kHard = "hard",
                           kSoft = "soft", kRestart = "restart";

constexpr std::array<CatalogueEntry, kCatalogueKinds> kCatalogue = {{
    {"2.1",
     "NAT",
     {kIp, kImplicit, kMultiHop, kInLine, kFunctional, kProcessing, kHard, kRestart},
     true},
    {"2.2",
     "NAT-PT",
     {kIp, kImplicit, kMultiHop, kInLine, kFunctional, kProcessing, kHard, kRestart},
     true},
    {"2.3",
     "SOCKS gateway",
     {kMulti, kExplicit, kMultiHop, kInLine, kFunctional, kRouting, kHard, kRestart},
     true},
    {"2.4",
     "IP tunnel endpoints",
     {kMulti, kImplicit, kMultiHop, kInLine, kFunctional, kProcessing, kHard,
      "restart or failover"},
     false},
    {"2.5",
     "packet classifiers, markers and schedulers",
     {kMulti, kImplicit, kMultiHop, kInLine, kOptimising, kProcessing, kSoft,
      "failover or restart"},
     false},
    {"2.6",
     "transport relay",
     {kTransport, kImplicit, kMultiHop, kInLine, kFunctional, kRouting, kHard, kRestart},
     false},
    {"2.7",
     "TCP performance enhancing proxies",
     {kTransport, kImplicit, kMultiHop, kInLine, kOptimising, kRouting, kHard, kRestart},
     false},
    {"2.8",
     "load balancers that divert or munge packets",
     {kMulti, kImplicit, kSingleHop, kInLine, kOptimising, kRouting, kHard, kRestart},
     true},
    {"2.9",
     "IP firewalls",
     {kIp, kImplicit, kMultiHop, kInLine, kFunctional, kRouting, kHard, kRestart},
     true},
    {"2.10",
     "application firewalls",
     {kApplication, kImplicit, kMultiHop, kInLine, kFunctional, kProcessing, kHard, kRestart},
     true},
    {"2.11",
     "application-level gateways",
     {kApplication, "implicit or explicit", kMultiHop, kInLine, kFunctional, kProcessing, kHard,
      kRestart},
     true},
    {"2.12",
     "gatekeepers and session control boxes",
     {kApplication, kExplicit, kMultiHop, "in-line or call-out", kFunctional, kProcessing, kHard,
      "restart?"},
     true},
    {"2.13",
     "transcoders",
     {kApplication, "explicit or implicit", kSingleHop, kInLine, kFunctional, kProcessing, "hard?",
      "restart or failover"},
     true},
    {"2.14",
     "proxies",
     {kApplication, kExplicit, kMultiHop, kInLine, kFunctional, kProcessing, kSoft, kRestart},
     false},
    {"2.15",
     "caches",
     {kApplication, kExplicit, kMultiHop, kInLine, kFunctional, kProcessing, kSoft, kRestart},
     false},
    {"2.16",
     "modified DNS servers",
     {kApplication, kImplicit, kMultiHop, kInLine, "functional or optimising", kProcessing, kSoft,
      "failover"},
     false},
    {"2.17",
     "content and applications distribution boxes",
     {kApplication, "implicit or explicit", kMultiHop, "in-line or call-out", kOptimising,
      "routing or processing", kSoft, "failover?"},
     false},
    {"2.18",
     "load balancers that divert or munge URLs",
     {kApplication, kExplicit, kSingleHop, kInLine, kFunctional, kRouting, kSoft, kRestart},
     false},
    {"2.19",
     "application-level interceptors",
     {kApplication, kImplicit, kSingleHop, kInLine, kFunctional, kRouting, kHard, kRestart},
     false},
    {"2.20",
     "application-level multicast",
     {kApplication, kExplicit, kMultiHop, kInLine, kFunctional, kRouting, kHard, kRestart},
     true},
    {"2.21",
     "involuntary packet redirection",
     {kMulti, kImplicit, kSingleHop, "call-out", kFunctional, kRouting, kHard, kRestart},
     true},
    {"2.22",
     "anonymisers",
     {kMulti, "implicit or explicit", kMultiHop, kInLine, kFunctional, kProcessing, kHard,
      kRestart},
     true},
}};

constexpr std::array<CatalogueTally, 7> kTally = {{
    {1, "application or multi-layer", 17},
    {2, "implicit", 16},
    {3, "multihop", 17},
    {4, "in-line", 21},
    {5, "functional", 18},
    {7, "hard", 16},
    {8, "restart", 21},
}};

}  // namespace

std::span<const CatalogueEntry> rfc3234_catalogue() { return kCatalogue; }
std::span<const CatalogueTally> rfc3234_tally() { return kTally; }

const CatalogueEntry* find_rfc3234(std::string_view catalogue) {
  const std::string_view section = catalogue.substr(0, catalogue.find(' '));
  const auto found = std::find_if(kCatalogue.begin(), kCatalogue.end(),
                                  [&](const CatalogueEntry& e) { return e.section == section; });
  return found == kCatalogue.end() ? nullptr : &*found;
}

bool counts_for(const CatalogueTally& line, std::string_view value) {
  if (line.facet == 1) {
    return value.find(kApplication) != value.npos || value.find(kMulti) != value.npos ||
           value.find(" and ") != value.npos;
  }
  return value.find(line.value) != value.npos;
}

std::array<std::string_view, 8> values_of(const Facets& f) {
  return {f.layer, f.explicitness, f.hops, f.placement, f.purpose, f.work, f.state, f.recovery};
}

}  // namespace glassbox
