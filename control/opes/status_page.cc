// SPDX-License-Identifier: BSD-3-Clause
#include "control/opes/status_page.h"

#include <fmt/format.h>

#include "control/report/html.h"

namespace glassbox {
namespace {

std::vector<OpesStatement> statements_of(const Config& config) {
  std::vector<OpesStatement> all;
  for (const ChainEntry& entry : config.chain) {
    if (entry.type->spec.name == "http") all.push_back(opes_statement(entry.settings));
  }
  if (all.empty()) {
    throw ConfigError({config.file, 0, 0},
                      "no http in the chain: without it there is no OPES system to describe");
  }
  return all;
}

std::string or_unsaid(const std::string& text) { return text.empty() ? "not stated" : text; }

std::string line(std::string_view name, std::string_view value) {
  return fmt::format("  {:<15} {}\n", name, value);
}

std::string text_of(const OpesServiceStatement& service) {
  return fmt::format("\n{}\n", service.uri) + line("does", service.does) +
         line("at", service.point) + line("when", service.when) +
         line("authorised by", fmt::format("{} ({})", service.party, service.consent)) +
         line("for", fmt::format("{}, until: {}", service.scope, service.until)) +
         line("bypass", service.bypass) +
         line("runs", fmt::format("{}; when it cannot: {}", service.runs, service.on_failure)) +
         line("references", service.references);
}

std::string text_of(const OpesStatement& statement) {
  std::string text = fmt::format("OPES system {}\n\n", statement.system);
  text += line("run by", or_unsaid(statement.run_by));
  text += line("privacy", or_unsaid(statement.privacy));
  text += line("contact", or_unsaid(statement.contact));
  text += line("processor", or_unsaid(statement.processor));
  text += line("go without", fmt::format("OPES-Bypass: {}   in a request", statement.system));
  text += "\nServices\n";
  for (const OpesServiceStatement& service : statement.services) text += text_of(service);
  text += "\nNot met, knowingly (RFC 3897 6)\n\n";
  for (const OpesException& each : statement.exceptions) {
    text += fmt::format("  {:<5} {}: {}\n        {}\n", each.row, each.level, each.what, each.why);
  }
  return text;
}

std::string services_html(const OpesStatement& statement) {
  HtmlTable table("", {{"service"},
                       {"does"},
                       {"at"},
                       {"when", HtmlTable::Cell::kWords},
                       {"authorised by", HtmlTable::Cell::kWords},
                       {"for"},
                       {"until"},
                       {"bypass", HtmlTable::Cell::kWords},
                       {"effect on references", HtmlTable::Cell::kWords}});
  for (const OpesServiceStatement& each : statement.services) {
    table.add({each.uri, each.does, each.point, each.when,
               fmt::format("{} ({})", each.party, each.consent), each.scope, each.until,
               each.bypass, each.references});
  }
  return table.html();
}

std::string html_of(const OpesStatement& statement) {
  std::string html =
      fmt::format("<h1>OPES system <code>{}</code></h1>\n<dl>\n", escape_html(statement.system));
  const auto add = [&html](std::string_view name, const std::string& value) {
    html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escape_html(or_unsaid(value)));
  };
  add("Run by", statement.run_by);
  add("Privacy policy", statement.privacy);
  add("Contact", statement.contact);
  add("Processor", statement.processor);
  add("To go without", "OPES-Bypass: " + statement.system);
  html += "</dl>\n<h2>Services</h2>\n" + services_html(statement);
  HtmlTable table(
      "",
      {{"row"}, {"level"}, {"what", HtmlTable::Cell::kWords}, {"why", HtmlTable::Cell::kWords}});
  for (const OpesException& each : statement.exceptions) {
    table.add({each.row, each.level, each.what, each.why});
  }
  return html + "<h2>Not met, knowingly</h2>\n" + table.html();
}

}  // namespace

std::string status_page_text(const Config& config) {
  std::string text;
  for (const OpesStatement& statement : statements_of(config)) {
    text += (text.empty() ? "" : "\n") + text_of(statement);
  }
  return text;
}

std::string status_page_html(const Config& config) {
  std::string body;
  for (const OpesStatement& statement : statements_of(config)) body += html_of(statement);
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>OPES "
         "system</title></head>\n<body>\n" +
         body + "</body>\n</html>\n";
}

}  // namespace glassbox
