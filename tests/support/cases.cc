// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/cases.h"

#include <deque>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "tests/support/bed.h"

namespace glassbox::test {
namespace {

// The words of a line; a quoted text is one word and keeps its quotation mark in front.
class Words {
 public:
  explicit Words(const std::string& line) {
    std::size_t at = 0;
    while ((at = line.find_first_not_of(" \t", at)) != std::string::npos && line[at] != '#') {
      std::size_t end = line.find_first_of(" \t", at);
      if (line[at] == '"') end = line.find('"', at + 1);
      if (end == std::string::npos) end = line.size();
      words_.push_back(line.substr(at, end - at));
      at = end < line.size() && line[end] == '"' ? end + 1 : end;
    }
  }
  bool empty() const { return words_.empty(); }
  const std::string& peek() const { return words_.front(); }
  std::string next(const char* what) {
    if (words_.empty()) throw std::invalid_argument(std::string("expected ") + what);
    std::string word = words_.front();
    words_.pop_front();
    return word;
  }
  std::uint32_t number(const char* what) {
    const std::string word = next(what);
    std::size_t used = 0;
    const unsigned long value = std::stoul(word, &used, 0);
    if (used != word.size()) throw std::invalid_argument("not a number: " + word);
    return static_cast<std::uint32_t>(value);
  }

 private:
  std::deque<std::string> words_;
};

// A packet as a line writes it: the frame, and what of a received one it speaks about.
struct Pattern {
  Frame frame;
  std::vector<std::string> mentioned;
  std::shared_ptr<Pattern> quoted;
};

using Apply = void (*)(Frame&, Words&);
struct Attribute {
  std::string_view name;
  Apply apply;
};
constexpr Attribute kAttributes[] = {
    {"flags", [](Frame& f, Words& w) { f.flags(w.next("TCP flags")); }},
    {"seq", [](Frame& f, Words& w) { f.seq(w.number("seq")); }},
    {"ack", [](Frame& f, Words& w) { f.ack(w.number("ack")); }},
    {"ttl", [](Frame& f, Words& w) { f.ttl(static_cast<std::uint8_t>(w.number("ttl"))); }},
    {"mtu", [](Frame& f, Words& w) { f.mtu(static_cast<std::uint16_t>(w.number("mtu"))); }},
    {"payload", [](Frame& f, Words& w) { f.payload(w.next("a text").substr(1)); }},
    {"filler", [](Frame& f, Words& w) { f.filler(w.number("a size")); }},
    {"options", [](Frame& f, Words& w) { f.options(from_hex(w.next("hex digits"))); }},
    {"bad-checksum",
     [](Frame& f, Words& w) { f.bad_checksum(static_cast<std::uint16_t>(w.number("delta"))); }},
    {"zero-checksum", [](Frame& f, Words&) { f.zero_udp_checksum(); }},
    {"more", [](Frame& f, Words&) { f.more_fragments(); }},
    {"offset",
     [](Frame& f, Words& w) { f.fragment_offset(static_cast<std::uint16_t>(w.number("offset"))); }},
};

Pattern parse_pattern(Words& words) {
  Pattern pattern;
  const std::string kind = words.next("a packet");
  const auto type = static_cast<std::uint8_t>(kind == "error" ? words.number("a type") : 0);
  const auto code = static_cast<std::uint8_t>(kind == "error" ? words.number("a code") : 0);
  const std::string from = words.next("a source");
  if (words.next("'>'") != ">") throw std::invalid_argument("expected '>' behind " + from);
  const std::string to = words.next("a destination");
  if (kind == "tcp") {
    pattern.frame.tcp(from, to);
  } else if (kind == "udp") {
    pattern.frame.udp(from, to);
  } else if (kind == "echo" || kind == "reply") {
    if (words.next("'ident'") != "ident") throw std::invalid_argument("expected 'ident'");
    const auto ident = static_cast<std::uint16_t>(words.number("an identifier"));
    kind == "echo" ? pattern.frame.echo(from, to, ident)
                   : pattern.frame.echo_reply(from, to, ident);
    pattern.mentioned.push_back("ident");
  } else if (kind == "error") {
    pattern.frame.icmp(from, to, type, code);
    pattern.mentioned.push_back("error");
  } else {
    throw std::invalid_argument("unknown packet '" + kind + "' (known: tcp udp echo reply error)");
  }
  while (!words.empty() && words.peek() != "edits") {
    const std::string name = words.next("an attribute");
    pattern.mentioned.push_back(name);
    if (name == "quoting") {
      pattern.quoted = std::make_shared<Pattern>(parse_pattern(words));
      pattern.frame.payload(datagram_of(pattern.quoted->frame));
      continue;
    }
    const Attribute* found = nullptr;
    for (const Attribute& attribute : kAttributes) {
      if (attribute.name == name) found = &attribute;
    }
    if (found == nullptr) throw std::invalid_argument("unknown attribute '" + name + "'");
    found->apply(pattern.frame, words);
  }
  return pattern;
}

// The mentioned properties as text, so that a mismatch can be printed.
std::string picture(const Seen& seen, const Pattern& pattern) {
  std::ostringstream out;
  out << "protocol " << int{seen.protocol} << ' ' << seen.from() << " > " << seen.to();
  for (const std::string& what : pattern.mentioned) {
    out << ' ' << what << ' ';
    if (what == "flags") out << seen.flags;
    if (what == "seq") out << seen.seq;
    if (what == "ack") out << seen.ack;
    if (what == "ttl") out << int{seen.ttl};
    if (what == "mtu") out << seen.sequence;
    if (what == "ident") out << int{seen.type} << ' ' << seen.ident;
    if (what == "error") out << int{seen.type} << ' ' << int{seen.code};
    if (what == "payload" || what == "filler") out << '"' << seen.text() << '"';
    if (what == "options") out << to_hex(seen.ip_options);
    if (what == "more") out << seen.more_fragments;
    if (what == "offset") out << seen.fragment_offset;
    if (what == "bad-checksum") out << (seen.checksum == SumState::kWrong ? "wrong" : "right");
    if (what == "zero-checksum") out << (seen.checksum == SumState::kAbsent ? "absent" : "there");
    if (what == "quoting") {
      out << '(' << (seen.quoted ? picture(*seen.quoted, *pattern.quoted) : "nothing") << ')';
    }
  }
  return out.str();
}

std::string field_names(const FieldSet& fields) {
  std::string out;
  fields.for_each([&](Field field) { out += ' ' + std::string(info(field).name); });
  return out.empty() ? " nothing" : out;
}

class Case {
 public:
  explicit Case(std::string file) : file_(std::move(file)) {}

  std::vector<std::string> run(std::string_view text) {
    std::istringstream lines{std::string(text)};
    std::string line;
    while (std::getline(lines, line)) {
      ++line_;
      try {
        take(line);
      } catch (const std::exception& error) {
        fault(error.what());
        return faults_;
      }
    }
    if (bed_ == nullptr) fault("a case has at least one packet");
    no_more();
    if (bed_ != nullptr) {
      for (const std::string& wrong : bed_->faults()) fault(wrong);
    }
    return faults_;
  }

 private:
  void fault(const std::string& what) {
    faults_.push_back(file_ + ":" + std::to_string(line_) + ": " + what);
  }
  Bed& bed() {
    if (bed_ == nullptr) bed_ = std::make_unique<Bed>(chain_.empty() ? "[]" : chain_);
    return *bed_;
  }

  void take(const std::string& line) {
    if (line.rfind("chain:", 0) == 0) return add_function(line.substr(6));
    Words words(line);
    if (words.empty()) return;
    const std::string verb = words.next("a verb");
    if (verb == "in") return enter(words);
    if (verb == "out") return expect_out(words);
    if (verb == "drop") return expect_drop(words);
    if (verb == "held") return expect_event("held " + words.next("a function"));
    if (verb == "state") return expect_state(words);
    if (verb == "at") {
      no_more();
      bed().at(std::stod(words.next("seconds")));
    } else if (verb == "idle") {
      no_more();
      take_outcome(bed().idle());
    } else {
      throw std::invalid_argument("unknown verb '" + verb +
                                  "' (known: chain: in out drop held state at idle)");
    }
  }

  // "NAME { ... }" becomes a line of the YAML list.
  void add_function(const std::string& text) {
    if (bed_ != nullptr) throw std::invalid_argument("the chain stands ahead of the packets");
    const std::size_t start = text.find_first_not_of(' ');
    if (start == std::string::npos) return;
    const std::size_t brace = text.find('{');
    const std::string name = text.substr(start, text.find_first_of(" {", start) - start);
    chain_ +=
        "- " + name + (brace == std::string::npos ? ": {}" : ": " + text.substr(brace)) + "\n";
  }

  static Side side_of(const std::string& word) {
    if (word == "inside") return Side::kInside;
    if (word == "outside") return Side::kOutside;
    throw std::invalid_argument("not a side: " + word);
  }

  void take_outcome(const Outs& outs) {
    for (const Out& out : outs) outs_[index_of(out.side)].push_back(out);
    drops_.assign(bed_->drops().begin(), bed_->drops().end());
    for (const std::string& event : bed_->events()) {
      if (event.rfind("held ", 0) == 0) events_.push_back(event);
    }
  }

  void enter(Words& words) {
    no_more();
    const Side side = side_of(words.next("a side"));
    const Pattern pattern = parse_pattern(words);
    take_outcome(bed().send(side, pattern.frame));
  }

  void expect_out(Words& words) {
    const Side side = side_of(words.next("a side"));
    const Pattern pattern = parse_pattern(words);
    auto& queue = outs_[index_of(side)];
    if (queue.empty()) {
      return fault("no packet came out " + std::string(name_of(side)) +
                   (drops_.empty() ? "" : "; dropped: " + drops_.front()));
    }
    const Out out = queue.front();
    queue.pop_front();
    const std::string want = picture(read(pattern.frame), pattern);
    const std::string have = picture(out.seen(), pattern);
    if (want != have) fault("expected " + want + "\n    but got " + have);
    if (words.empty()) return;
    words.next("edits");
    check_edits(words, out);
  }

  void check_edits(Words& words, const Out& out) {
    const std::string claimed = field_names(out.edits) + " ";
    std::size_t expected = 0;
    while (!words.empty()) {
      const std::string name = words.next("a field");
      if (name != "nothing") ++expected;
      if (claimed.find(" " + name + " ") == std::string::npos) {
        fault("edit of " + name + " was not claimed, but" + claimed);
      }
    }
    std::size_t count = 0;
    out.edits.for_each([&](Field) { ++count; });
    if (count > expected) fault("claimed:" + claimed);
  }

  void expect_drop(Words& words) {
    const std::string function = words.next("a function");
    const std::string want = function + " " + words.next("a reason");
    if (drops_.empty()) return fault("nothing was dropped");
    const std::string have = drops_.front();
    drops_.pop_front();
    if (want != have) fault("expected drop " + want + "\n    but got " + have);
  }

  void expect_event(const std::string& want) {
    if (events_.empty() || events_.front() != want) return fault("not " + want);
    events_.pop_front();
  }

  void expect_state(Words& words) {
    const std::string kind = words.next("a state kind");
    const std::uint32_t want = words.number("a count");
    bed().worker().settle(bed().now());
    const std::uint64_t have = bed().census(kind).entries();
    if (have != want) {
      fault("expected " + std::to_string(want) + " entries, there are " + std::to_string(have));
    }
  }

  // All outcomes of the last packet must have been spoken of.
  void no_more() {
    for (auto& queue : outs_) {
      for (const Out& out : queue) {
        fault("ahead of this line a packet came out " + std::string(name_of(out.side)) +
              " that no line expects: " + describe(out.bytes));
      }
      queue.clear();
    }
    for (const std::string& drop : drops_) fault("ahead of this line dropped: " + drop);
    for (const std::string& event : events_) fault("ahead of this line: " + event);
    drops_.clear();
    events_.clear();
  }

  std::string file_;
  int line_ = 0;
  std::string chain_;
  std::unique_ptr<Bed> bed_;
  std::array<std::deque<Out>, kSides> outs_;
  std::deque<std::string> drops_;
  std::deque<std::string> events_;
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> run_case(std::string_view text, const std::string& file) {
  return Case(file).run(text);
}

}  // namespace glassbox::test
