// SPDX-License-Identifier: BSD-3-Clause
//
// Any bytes as an HTTP conversation through the services (http_path.h judges it). The first byte
// picks a chain and who closes first; then
//
//     ~> S D text     the client says, in segments of S bytes, in disorder D
//     ~< S D text     the server does
//
// where S and D are bytes; 0 and '0' mean: as large as they may be, and in order.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/http_path.h"

namespace glassbox::test {
namespace {

const std::string kHead =
    "chain:\n"
    "  - http:\n"
    "      system: http://box.example/opes\n"
    "      processor: http://box.example/one\n";

// Heads are edited, bodies are not: what is heard does not depend on how it was cut.
const std::string kHeads =
    kHead +
    "      head: 1024\n"
    "      services:\n"
    "        - { id: mark, do: insert-header, name: X-Adapted-By, value: box, party: provider }\n"
    "        - { id: hide, do: remove-header, name: Referer, party: consumer, trace: true }\n"
    "        - { id: agent, do: replace-header, at: request-out, name: User-Agent, value: box,\n"
    "            party: consumer }\n"
    "        - { id: never, do: insert-header, name: X-Never, value: box }\n"
    "        - { id: old, do: insert-header, name: X-Old, value: box, party: provider,\n"
    "            until: 1999-12-31 }\n"
    "        - { id: usage, do: log, party: provider }\n";

const std::string kAll =
    kHead +
    "      unparsable: block\n"
    "      services:\n"
    "        - { id: filter, do: block, url: blocked.example, party: consumer, bypassable: false "
    "}\n"
    "        - { id: moved, do: redirect, url: /moved, to: 'http://other.example/', party: "
    "provider }\n"
    "        - { id: upload, do: scan, at: request-in, pattern: 'evil', action: block, party: "
    "consumer }\n"
    "        - { id: virus, do: scan, pattern: 'EICAR[0-9]', action: block, party: consumer,\n"
    "            on_failure: block }\n"
    "        - { id: cut, do: scan, pattern: 'reset-me', action: reset, party: consumer }\n"
    "        - { id: hide, do: remove-header, name: Referer, party: consumer }\n"
    "        - { id: mark, do: insert-header, name: X-Adapted-By, value: box, party: provider }\n"
    "        - { id: wording, do: substitute, pattern: 'colou?r', by: shade, party: provider }\n"
    "        - { id: gone, do: substitute, pattern: 'x{3,20}', by: '', party: provider }\n";

// Everything is small, and what fails passes.
const std::string kSmall =
    kHead +
    "      connections: 1\n"
    "      head: 256\n"
    "      window: 4096\n"
    "      pool: 65536\n"
    "      codings: 1\n"
    "      coding_pool: 300000\n"
    "      ratio: 3\n"
    "      scans: 1\n"
    "      services:\n"
    "        - { id: look, do: scan, pattern: 'virus', party: consumer }\n"
    "        - { id: mark, do: insert-header, name: X-Adapted-By, value: box, party: provider }\n"
    "        - { id: longer, do: substitute, pattern: 'a', by: 'aardvark', party: provider }\n"
    "        - { id: shorter, do: substitute, pattern: 'b.{0,40}c', by: '', party: provider }\n";

// Nothing is changed or stopped: every byte arrives as it was sent.
const std::string kWatch =
    kHead +
    "      services:\n"
    "        - { id: usage, do: log, party: provider }\n"
    "        - { id: virus, do: scan, pattern: 'EICAR', party: consumer }\n"
    "        - { id: upload, do: scan, at: request-in, pattern: 'evil', party: consumer }\n";

struct Conversation {
  std::vector<Said> said;
  std::array<std::string, kSides> texts;
};

Conversation read_conversation(const std::string& text) {
  Conversation all;
  const auto cut_of = [](char c) { return static_cast<std::uint8_t>(c == '0' ? 0 : c); };
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t next =
        std::min({text.find("~>", at + 1), text.find("~<", at + 1), text.size()});
    if (next - at >= 4 && text[at] == '~' && all.said.size() < 40) {
      const Side side = text[at + 1] == '>' ? Side::kInside : Side::kOutside;
      const std::string part = text.substr(at + 4, next - at - 4);
      all.said.push_back({side, part, {cut_of(text[at + 2]), cut_of(text[at + 3])}});
      all.texts[index_of(opposite(side))] += part;
    }
    at = next;
  }
  return all;
}

}  // namespace
}  // namespace glassbox::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glassbox;
  using namespace glassbox::test;
  Input input({data, std::min<std::size_t>(size, 1 << 14)});
  const std::uint8_t how = input.byte();
  auto talk = read_conversation(input.text());
  const Side closes = (how & 4) != 0 ? Side::kOutside : Side::kInside;
  switch (how & 3) {
    case 0: {
      static HttpPath path(kHeads);
      const std::uint64_t before = path.let_go();
      const HttpTalk first = path.talk(talk.said, closes);
      for (Said& said : talk.said) said.cut = {};
      const HttpTalk second = path.talk(talk.said, closes);
      // What is sent again and again is let go: that depends on what is lost.
      if (path.let_go() != before) break;
      require(first.reset == second.reset && first.heard == second.heard,
              "what is heard depends on how it was cut");
      break;
    }
    case 1: {
      static HttpPath path(kAll);
      path.talk(talk.said, closes);
      break;
    }
    case 2: {
      static HttpPath path(kSmall);
      path.talk(talk.said, closes);
      break;
    }
    default: {
      static HttpPath path(kWatch);
      const HttpTalk heard = path.talk(talk.said, closes);
      require(heard.whole() && heard.heard == talk.texts, "changed by a service that looks on");
    }
  }
  return 0;
}
