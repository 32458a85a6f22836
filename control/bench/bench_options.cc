// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/bench_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "control/value_text.h"

namespace glassbox {
namespace {

constexpr const char* kExamples = R"(Examples:
  glassbox bench configs/bench.yaml
      64k established UDP flows of 64 bytes, from memory: rate under overload, rates without loss
      (NDR) and with at most 0.5 % (PDR), cycles a packet by stage, latencies
  glassbox bench configs/bench.yaml --flows 1M --zipf 1.1 --size imix --report out
      a skewed mix; out/bench.json and out/bench.html, with plots
  glassbox bench configs/bench.yaml --protocol tcp --arrival 100k
      TCP with window tracking, and 100,000 new connections a second beside it
  glassbox bench configs/bench.yaml --stateful
      also in RFC 9693's order: establishment rate, capacity, tear-down rate
  glassbox bench configs/bench.yaml --rate 5M --trials 20
      no search: twenty trials at 5 million packets a second
  glassbox bench configs/bench.yaml day.pcap --copies 1000
      a thousand copies of a capture at a time, each with inside hosts of its own
  glassbox bench configs/wire.yaml --ports net_null0 net_null1
      over DPDK devices: what dpdk-testpmd is compared with
On a machine that does other things: nice -n -10 glassbox bench ...)";

double positive_number(const std::string& option, const std::string& text, double least,
                       double most) {
  const std::optional<double> number = parse_scaled(text);
  if (!number || !(*number >= least && *number <= most)) {
    throw CLI::ValidationError(
        option,
        fmt::format("'{}' is no number from {} to {}, such as 64k or 1.5M", text, least, most));
  }
  return *number;
}

CLI::Option* add_scaled(CLI::App* command, const std::string& name, double least, double most,
                        const std::function<void(double)>& set, const std::string& help) {
  return command
      ->add_option_function<std::string>(
          name, [=](const std::string& text) { set(positive_number(name, text, least, most)); },
          help)
      ->type_name("NUMBER");
}

Network4 network4(const std::string& option, const std::string& text) {
  const std::optional<Prefix> prefix = parse_prefix(text);
  if (!prefix || prefix->address.version != 4 || prefix->length > 30) {
    throw CLI::ValidationError(
        option, fmt::format("'{}' is no IPv4 network of at least four addresses, such as "
                            "10.0.0.0/8",
                            text));
  }
  const Prefix network = network_of(*prefix);
  std::uint32_t address = 0;
  for (std::size_t i = 0; i < 4; ++i) address = address << 8 | network.address.bytes[i];
  return {address, network.length};
}

void add_workload(CLI::App* command, BenchOptions& options) {
  SyntheticSpec& mix = options.mix;
  const auto whole = [](std::uint32_t& to) {
    return [&to](double number) { to = static_cast<std::uint32_t>(number); };
  };
  add_scaled(command, "--flows", 1, 1 << 28, whole(mix.flows), "Established flows (64k)")
      ->group("Synthetic load");
  command->add_option("--zipf", mix.zipf, "Skew: flow k has a share of 1/k^S; 0: all alike (0)")
      ->type_name("S")
      ->check(CLI::Range(0.0, 4.0))
      ->group("Synthetic load");
  command
      ->add_option_function<std::string>(
          "--size",
          [&mix](const std::string& text) {
            const std::optional<FrameSizes> sizes = FrameSizes::parse(text);
            if (!sizes) {
              throw CLI::ValidationError(
                  "--size", fmt::format("'{}' is neither 'imix' nor sizes from 64 to 1518, such as "
                                        "64 or 64:28,570:16,1518:4",
                                        text));
            }
            mix.sizes = *sizes;
          },
          "Frame size with check sequence: 64 to 1518, SIZE:WEIGHT,..., or imix (64)")
      ->type_name("SIZES")
      ->group("Synthetic load");
  command
      ->add_option_function<std::string>(
          "--protocol",
          [&mix](const std::string& text) {
            if (text != "udp" && text != "tcp") {
              throw CLI::ValidationError("--protocol",
                                         fmt::format("unknown '{}' (known: udp, tcp)", text));
            }
            mix.protocol =
                text == "tcp" ? SyntheticSpec::Protocol::kTcp : SyntheticSpec::Protocol::kUdp;
          },
          "udp or tcp (udp)")
      ->type_name("NAME")
      ->group("Synthetic load");
  add_scaled(
      command, "--arrival", 0, 1e8, [&mix](double number) { mix.arrival = number; },
      "New conversations a second, beside the established ones (0)")
      ->group("Synthetic load");
  add_scaled(command, "--exchanges", 1, 1e6, whole(mix.exchanges),
             "Requests with their answers in a new conversation (4)")
      ->group("Synthetic load");
  add_scaled(command, "--hosts", 1, 1 << 24, whole(mix.hosts),
             "Inside hosts, a power of two (one for 16 flows)")
      ->group("Synthetic load");
  const auto network = [&](const char* name, Network4& to, const char* help) {
    command
        ->add_option_function<std::string>(
            name, [&, name](const std::string& text) { to = network4(name, text); }, help)
        ->type_name("NETWORK")
        ->group("Synthetic load");
  };
  network("--inside-network", mix.inside, "Where inside hosts are (10.0.0.0/8)");
  network("--outside-network", mix.outside, "Where outside hosts are (198.18.0.0/15)");
  add_scaled(
      command, "--seed", 0, 1e15,
      [&mix](double number) { mix.seed = static_cast<std::uint64_t>(number); },
      "What draws follow from (1)")
      ->group("Synthetic load");
}

void add_trials(CLI::App* command, BenchOptions& options) {
  add_scaled(
      command, "--duration", 0.001, 3600, [&](double n) { options.duration = n; },
      "Seconds of a trial (0.1)");
  add_scaled(
      command, "--warm-up", 0, 3600, [&](double n) { options.warm_up = n; },
      "Seconds under load before the first trial (0.2)");
  add_scaled(
      command, "--trials", 1, 10000, [&](double n) { options.trials = static_cast<unsigned>(n); },
      "Trials of every figure; the median is printed (10)");
  add_scaled(
      command, "--rate", 1, 1e10, [&](double n) { options.rate = n; },
      "Offer so many packets a second, and do not search");
  command
      ->add_option("--loss", options.losses,
                   "Loss ratios to search a rate for (0 and 0.005: NDR and PDR)")
      ->type_name("RATIO")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 0.5));
  command->add_option("--width", options.width, "Relative width at which a search ends (0.005)")
      ->type_name("RATIO")
      ->check(CLI::Range(0.0001, 0.5));
  add_scaled(
      command, "--ring", 64, 65536,
      [&](double n) {
        options.ring = static_cast<std::uint32_t>(n);
        if (!std::has_single_bit(options.ring)) {
          throw CLI::ValidationError("--ring", "not a power of two");
        }
      },
      "Descriptors of the receive ring of each side, a power of two (1024)");
  command->add_option("--core", options.core, "The CPU to run on (the last one allowed)")
      ->type_name("N")
      ->check(CLI::Range(0, 1023));
  command->add_flag("--count-interruptions", options.count_interruptions,
                    "Count the time that the kernel gave to others as the box's own");
  command->add_flag("--no-search{false}", options.search, "No NDR and PDR");
  command->add_flag("--no-latency{false}", options.latency, "No latencies");
  command->add_flag("--no-stages{false}", options.stages, "No cycles by stage");
  command
      ->add_flag("--stateful", options.stateful,
                 "Establishment rate, capacity and tear-down rate, too (RFC 9693)")
      ->group("Synthetic load");
}

}  // namespace

std::optional<double> parse_scaled(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  if (suffix.empty()) return number;
  if (suffix == "k" || suffix == "K") return number * 1e3;
  if (suffix == "M") return number * 1e6;
  if (suffix == "G") return number * 1e9;
  return std::nullopt;
}

CLI::App* add_bench(CLI::App& app, BenchOptions& options) {
  CLI::App* command = app.add_subcommand(
      "bench", "The chain under load from memory: rates, cycles a packet, latencies");
  command->footer(kExamples);
  command->add_option("CONFIG", options.config, "The configuration (YAML)")
      ->required()
      ->type_name("");
  auto* captures =
      command
          ->add_option("CAPTURE", options.captures,
                       "Captures (pcap, pcapng), looped from memory (none: a synthetic load)")
          ->type_name("");
  add_trials(command, options);
  add_workload(command, options);
  for (CLI::Option* option : command->get_options()) {
    const bool both = option->check_lname("inside-network");
    if (option->get_group() == "Synthetic load" && !both) captures->excludes(option);
  }
  add_scaled(
      command, "--copies", 1, 1 << 24,
      [&](double n) { options.copies = static_cast<std::uint32_t>(n); },
      "Copies of the captures under way at a time (256)");
  auto* ports =
      command
          ->add_option(
              "--ports", options.ports,
              "Two DPDK devices that bring packets themselves (net_null, net_pcap), instead of "
              "memory: rate and cycles only")
          ->type_name("DEVICE DEVICE")
          ->expected(2);
  captures->excludes(ports);
  add_scaled(
      command, "--mbufs", 1023, 1 << 22,
      [&](double n) { options.mbufs = static_cast<unsigned>(n); },
      "Packet buffers for --ports (16383)");
  command->add_option("--report", options.report, "Write bench.json and bench.html into it")
      ->type_name("DIRECTORY");
  command->add_flag("--json", options.json, "Print the figures as JSON");
  command->add_flag("-q,--quiet", options.quiet, "Print no table and no progress");
  return command;
}

}  // namespace glassbox
