// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 3234, "Middleboxes: Taxonomy and Issues": its eight facets, its catalogue of 22 kinds of box
// with what it says of each, and its count over them. For printing beside what a function declares
// and what a run measured.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace glassbox {

struct Facets;

inline constexpr std::array<std::string_view, 8> kFacetNames = {
    "1 protocol layer",      "2 explicit or implicit",     "3 single hop or multi-hop",
    "4 in-line or call-out", "5 functional or optimising", "6 routing or processing",
    "7 soft or hard state",  "8 failover or restart"};
// The same as keys of a report.
inline constexpr std::array<std::string_view, 8> kFacetKeys = {
    "layer", "explicitness", "hops", "placement", "purpose", "work", "state", "recovery"};

struct CatalogueEntry {
  std::string_view section;  // "2.9"
  std::string_view kind;     // "IP firewalls"
  std::array<std::string_view, 8> facets;
  bool checked;  // against the text of the RFC
};
std::span<const CatalogueEntry> rfc3234_catalogue();
// The entry that a function's declared `catalogue` begins with the section of; nullptr: none.
const CatalogueEntry* find_rfc3234(std::string_view catalogue);

// RFC 3234 2.24: how many of its 22 kinds are so.
struct CatalogueTally {
  std::uint8_t facet;  // 1 to 8
  std::string_view value;
  std::uint8_t kinds;
};
inline constexpr std::uint8_t kCatalogueKinds = 22;
std::span<const CatalogueTally> rfc3234_tally();
// Whether a facet's value, as a function declares it, counts for a line of the tally.
bool counts_for(const CatalogueTally& line, std::string_view value);

// A function's declared values, in the order of the facets.
std::array<std::string_view, 8> values_of(const Facets& facets);

}  // namespace glassbox
