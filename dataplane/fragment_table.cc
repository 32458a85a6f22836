// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/fragment_table.h"

#include <rte_ip.h>

#include <cstring>

namespace glassbox {
namespace {

constexpr double kLoad = 5;  // datagrams a bucket, when all are there: none is ever full

}  // namespace

FragmentTable::FragmentTable(std::uint32_t max_datagrams, std::uint32_t max_held, Nanos lifetime,
                             std::uint64_t seed)
    : hasher_(seed),
      index_(max_datagrams, kLoad),
      lifetime_(lifetime),
      entries_(max_datagrams),
      held_(max_held),
      census_(sizeof(Entry) + static_cast<std::uint64_t>(index_.bytes_per_key())) {
  for (std::uint32_t i = 0; i < max_datagrams; ++i)
    entries_[i].next = i + 1 < max_datagrams ? i + 1 : kNone;
  for (std::uint32_t i = 0; i < max_held; ++i) held_[i].next = i + 1 < max_held ? i + 1 : kNone;
  if (max_held == 0) free_held_ = kNone;
  if (max_datagrams == 0) free_entry_ = kNone;
}

FragmentTable::~FragmentTable() {
  clear(Instant{}, [](Packet& packet) { rte_pktmbuf_free(packet.mbuf); });
}

FragmentTable::Key FragmentTable::key_of(const Packet& packet) {
  Key key{};
  key.side = static_cast<std::uint8_t>(packet.ingress);
  if (packet.has(kIpv4)) {
    const auto* ip = packet.at_offset<rte_ipv4_hdr>(packet.l3);
    std::memcpy(key.source, &ip->src_addr, 4);
    std::memcpy(key.destination, &ip->dst_addr, 4);
    key.id = ip->packet_id;
    key.protocol = ip->next_proto_id;
    key.version = 4;
  } else {
    const auto* ip = packet.at_offset<rte_ipv6_hdr>(packet.l3);
    std::memcpy(key.source, ip->src_addr, 16);
    std::memcpy(key.destination, ip->dst_addr, 16);
    std::memcpy(&key.id, packet.at_offset<std::uint8_t>(packet.fragment_header) + 4, 4);
    key.version = 6;
  }
  return key;
}

std::uint32_t FragmentTable::find(const Key& key, Instant now) const {
  return index_.find(hash_of(key), [&](KeyRef entry) {
    return std::memcmp(&entries_[entry].key, &key, sizeof(key)) == 0 &&
           entries_[entry].deadline > now;
  });
}

std::uint32_t FragmentTable::create(const Key& key, Instant now) {
  const std::uint32_t entry = free_entry_;
  const auto resident = [this](KeyRef other) { return hash_of(entries_[other].key); };
  if (entry == kNone || !index_.insert(hash_of(key), entry, resident)) {
    census_.refused();
    return kNone;
  }
  free_entry_ = entries_[entry].next;
  entries_[entry] = Entry{};
  entries_[entry].key = key;
  entries_[entry].deadline = now + lifetime_;
  if (youngest_ == kNone) {
    oldest_ = entry;
  } else {
    entries_[youngest_].next = entry;
  }
  youngest_ = entry;
  census_.created(now);
  return entry;
}

bool FragmentTable::keep(std::uint32_t number, const Packet& packet, Instant now) {
  const std::uint32_t place = free_held_;
  if (place == kNone) return false;
  free_held_ = held_[place].next;
  held_[place].packet = packet;
  held_[place].next = kNone;
  Entry& entry = entries_[number];
  if (entry.last_held == kNone) {
    entry.first_held = place;
  } else {
    held_[entry.last_held].next = place;
  }
  entry.last_held = place;
  ++held_count_;
  census_.grew(packet.length(), now);
  return true;
}

bool FragmentTable::pop_held(std::uint32_t number, Packet& packet, Instant when) {
  Entry& entry = entries_[number];
  const std::uint32_t place = entry.first_held;
  if (place == kNone) return false;
  packet = held_[place].packet;
  entry.first_held = held_[place].next;
  if (entry.first_held == kNone) entry.last_held = kNone;
  held_[place].next = free_held_;
  free_held_ = place;
  --held_count_;
  census_.grew(-static_cast<std::int64_t>(packet.length()), when);
  return true;
}

void FragmentTable::free_oldest(Instant when, Ending why) {
  const std::uint32_t entry = oldest_;
  index_.erase(hash_of(entries_[entry].key), entry);
  oldest_ = entries_[entry].next;
  if (oldest_ == kNone) youngest_ = kNone;
  entries_[entry].next = free_entry_;
  free_entry_ = entry;
  census_.ended(why, when);
}

FragmentTable::Answer FragmentTable::identify(Packet& packet, Instant now) {
  const Key key = key_of(packet);
  std::uint32_t number = find(key, now);
  if (number == kNone) number = create(key, now);
  if (number == kNone) return Answer::kFull;
  const Entry& entry = entries_[number];
  if (!entry.known) return keep(number, packet, now) ? Answer::kHeld : Answer::kFull;
  if (packet.has(kIpv4)) {
    packet.key4 = FlowKey4{};
    std::memcpy(&packet.key4.source, key.source, 4);
    std::memcpy(&packet.key4.destination, key.destination, 4);
    packet.key4.source_port = entry.source_port;
    packet.key4.destination_port = entry.destination_port;
    packet.key4.protocol = entry.protocol;
    packet.key4.side = key.side;
  } else {
    packet.key6 = FlowKey6{};
    std::memcpy(packet.key6.source.data(), key.source, 16);
    std::memcpy(packet.key6.destination.data(), key.destination, 16);
    packet.key6.source_port = entry.source_port;
    packet.key6.destination_port = entry.destination_port;
    packet.key6.protocol = entry.protocol;
    packet.key6.side = key.side;
  }
  packet.protocol = entry.protocol;
  packet.flags |= kKeyed;
  return Answer::kKnown;
}

FragmentTable::Datagram FragmentTable::note_first(const Packet& first, Instant now) {
  if (!first.has(kKeyed)) return kNone;
  const Key key = key_of(first);
  std::uint32_t number = find(key, now);
  if (number == kNone) number = create(key, now);
  if (number == kNone) return kNone;
  Entry& entry = entries_[number];
  entry.known = true;
  entry.protocol = first.protocol;
  entry.source_port = first.has(kIpv4) ? first.key4.source_port : first.key6.source_port;
  entry.destination_port =
      first.has(kIpv4) ? first.key4.destination_port : first.key6.destination_port;
  return number;
}

}  // namespace glassbox
