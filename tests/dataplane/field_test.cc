// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/field.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace glassbox::test {
namespace {

std::vector<Field> all_fields() {
  std::vector<Field> fields;
  for (std::size_t i = 0; i < kFieldTable.size(); ++i) fields.push_back(static_cast<Field>(i));
  return fields;
}

TEST(Fields, NamesAreUniqueAndClassesKnown) {
  std::set<std::string_view> names;
  for (const Field field : all_fields()) {
    EXPECT_TRUE(names.insert(info(field).name).second) << info(field).name;
    EXPECT_NE(std::string("RBFX").find(static_cast<char>(info(field).change_class)),
              std::string::npos);
  }
}

// A quoted field means the same as the field it is named after.
TEST(Fields, QuotedFieldsHaveTheClassOfTheirOriginals) {
  for (const Field quoted : all_fields()) {
    const std::string name(info(quoted).name);
    if (name.size() < 3 || name.substr(name.size() - 2) != "#2") continue;
    for (const Field field : all_fields()) {
      if (info(field).name != name.substr(0, name.size() - 2)) continue;
      EXPECT_EQ(info(quoted).change_class, info(field).change_class) << name;
    }
  }
}

TEST(FieldSet, HoldsEachFieldByItself) {
  for (const Field field : all_fields()) {
    FieldSet set;
    EXPECT_TRUE(set.empty());
    set.insert(field);
    for (const Field other : all_fields()) EXPECT_EQ(set.contains(other), other == field);
    EXPECT_FALSE(set.empty());
    set.erase(field);
    EXPECT_TRUE(set.empty());
  }
}

TEST(FieldSet, VisitsItsFieldsInTheTablesOrder) {
  FieldSet set;
  std::vector<Field> expected;
  for (const Field field : all_fields()) {
    if (static_cast<unsigned>(field) % 5 == 3) expected.push_back(field);
  }
  for (auto it = expected.rbegin(); it != expected.rend(); ++it) set.insert(*it);
  std::vector<Field> visited;
  set.for_each([&](Field field) { visited.push_back(field); });
  EXPECT_EQ(visited, expected);
}

TEST(FieldSet, AlgebraOfSets) {
  const FieldSet a = FieldSet::of(Field::kEthDst, Field::kData);
  const FieldSet b = FieldSet::of(Field::kData, Field::kIpSrc);
  EXPECT_EQ(a | b, FieldSet::of(Field::kEthDst, Field::kData, Field::kIpSrc));
  EXPECT_EQ(a & b, FieldSet::of(Field::kData));
  EXPECT_EQ(a.without(b), FieldSet::of(Field::kEthDst));
  EXPECT_TRUE((a | b).includes(a));
  EXPECT_FALSE(a.includes(b));
  EXPECT_TRUE(a.includes(FieldSet()));
}

}  // namespace
}  // namespace glassbox::test
