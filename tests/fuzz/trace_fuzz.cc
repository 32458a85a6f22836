// SPDX-License-Identifier: BSD-3-Clause
//
// Any bytes as values of OPES-System, OPES-Via and OPES-Bypass, one a line (RFC 3897, 4236): what a
// bypass asks for is what a second reader makes of it; a head that is taken apart and put together
// is the same; and a head that a service adapted carries the trace, each entry that was there, and
// the bypass as it came.
#include <algorithm>
#include <vector>

#include "nf/http_head.h"
#include "nf/http_trace.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/http_path.h"

namespace glassbox::test {
namespace {

const std::string kSystemId = "http://box.example/opes";
const std::string kProcessorId = "http://box.example/one";

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// Entries of a list, without blanks around them and without empty ones.
std::vector<std::string> entries_of(const std::string& list) {
  std::vector<std::string> entries(1);
  for (const char c : list) {
    if (c == ',') {
      entries.emplace_back();
    } else {
      entries.back() += c;
    }
  }
  for (std::string& entry : entries) {
    const std::size_t first = entry.find_first_not_of(" \t");
    const std::size_t last = entry.find_last_not_of(" \t");
    entry = first == std::string::npos ? "" : entry.substr(first, last - first + 1);
  }
  std::erase(entries, "");
  return entries;
}

void check_bypass(const std::string& value) {
  const std::vector<TracedService> services = {
      {kSystemId + "#a", false}, {kSystemId + "#b", true}, {kSystemId + "#c", false}};
  constexpr ServiceSet kAll = 7;
  const Bypass bypass = read_bypass(value, kSystemId, services, kProcessorId);
  ServiceSet asked = 0;
  const auto entries = entries_of(value);
  for (const std::string& entry : entries) {
    const std::string wanted = folded(entry);
    const auto found = std::ranges::find(services, wanted, &TracedService::id);
    asked |= found != services.end() ? ServiceSet{1} << (found - services.begin()) : kAll;
  }
  if (entries.empty() || value.size() > kMaxBypass) asked = kAll;
  require(bypass.asked == asked, "a bypass asks for something else: " + value);
  require(bypass.ignored == (asked & 2), "an essential service can be bypassed: " + value);
  require(bypass.services() == (asked & ~2u), "another service runs: " + value);
}

void check_trace(const std::string& value) {
  const std::size_t count = trace_entries(value);
  const auto entries = entries_of(value);
  require(count == (value.size() > kMaxTrace ? SIZE_MAX : entries.size()), "entries: " + value);
}

// The head's lines, put together again, are the head.
void check_head(const std::string& text) {
  HttpHead head;
  if (!head.read(text)) return;
  std::string again(head.start_line());
  for (std::size_t i = 0; i < head.size(); ++i) {
    require(head[i].begin == again.size() && head[i].begin < head[i].end, "a line out of place");
    const std::string_view line = head.text().substr(head[i].begin, head[i].end - head[i].begin);
    const auto inside = [&](std::string_view part) {
      return part.data() >= line.data() && part.data() + part.size() <= line.data() + line.size();
    };
    require(inside(head[i].name) && inside(head[i].value), "a field beside its line");
    again += line;
  }
  require(head.fields_end() == again.size(), "fields end elsewhere");
  again += head.text().substr(head.fields_end());
  require(again == text, "a head is not the sum of its lines");
}

// All entries of all fields of that name, in order.
std::vector<std::string> listed(const HttpHead& head, std::string_view name) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < head.size(); ++i) {
    if (!same_name(head[i].name, name)) continue;
    const auto entries = entries_of(std::string(head[i].value));
    all.insert(all.end(), entries.begin(), entries.end());
  }
  return all;
}

bool begins_with(const std::vector<std::string>& all, const std::vector<std::string>& first) {
  return all.size() >= first.size() && std::equal(first.begin(), first.end(), all.begin());
}

// Through the chain: a service that adds X-Adapted-By, and the trace of it.
void check_adapted(const std::string& request) {
  static HttpPath path(
      "chain:\n"
      "  - http:\n"
      "      system: http://box.example/opes\n"
      "      processor: http://box.example/one\n"
      "      services:\n"
      "        - { id: mark, do: insert-header, at: request-out, name: X-Adapted-By, value: box,\n"
      "            party: provider, bypassable: false, trace: true }\n");
  HttpHead before;
  if (!before.read(request) || before.find("X-Adapted-By") != nullptr) return;
  const HttpTalk talk = path.talk({{Side::kInside, request, {}}});
  const std::string& got = talk.heard[index_of(Side::kOutside)];
  HttpHead after;
  if (!after.read(got)) return;  // it was no HTTP, and passed as it came
  require(listed(after, "OPES-Bypass") == listed(before, "OPES-Bypass"), "the bypass has changed");
  const auto was = listed(before, "OPES-System");
  const auto system = listed(after, "OPES-System");
  const auto via = listed(after, "OPES-Via");
  if (after.find("X-Adapted-By") == nullptr) {
    require(got == request, "changed without a service");
    return;
  }
  require(begins_with(system, was) && begins_with(via, listed(before, "OPES-Via")),
          "an entry that was there is gone");
  require(system.size() == was.size() + 1 && system.back() == kSystemId,
          "adapted, and not in OPES-System");
  require(std::ranges::count(via, kProcessorId) != 0, "the processor is not in OPES-Via");
  if (before.find("OPES-Via") != nullptr) {
    require(via.back() == kSystemId, "adapted, and not in the OPES-Via that was there");
  }
}

}  // namespace
}  // namespace glassbox::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glassbox::test;
  constexpr std::string_view kNames[] = {"OPES-System", "OPES-Via", "OPES-Bypass"};
  Input input({data, std::min<std::size_t>(size, 6000)});
  std::string request = "GET / HTTP/1.1\r\nHost: www.example\r\n";
  while (!input.empty()) {
    const std::size_t which = input.byte() % 4;
    std::string value;
    for (std::uint8_t byte = 0; !input.empty() && (byte = input.byte()) != '\n';) {
      value += static_cast<char>(byte);
    }
    check_bypass(value);
    check_trace(value);
    if (which != 3) request += std::string(kNames[which]) + ": ";
    request += value + "\r\n";
  }
  request += "\r\n";
  check_head(request);
  check_adapted(request);
  return 0;
}
