// SPDX-License-Identifier: BSD-3-Clause
#include "nf/registry.h"

#include <vector>

namespace glassbox {

#define GLASSBOX_FUNCTION(name) const FunctionType& name##_function();
#include "nf/functions.def"
#undef GLASSBOX_FUNCTION

Registry functions() {
  // A vector, because an array initialised from an empty list does not compile.
  static const std::vector<const FunctionType*> kTable = {
#define GLASSBOX_FUNCTION(name) &name##_function(),
#include "nf/functions.def"
#undef GLASSBOX_FUNCTION
  };
  return kTable;
}

const FunctionType* find_function(std::string_view name, Registry registry) {
  for (const FunctionType* type : registry) {
    if (type->spec.name == name) return type;
  }
  return nullptr;
}

}  // namespace glassbox
