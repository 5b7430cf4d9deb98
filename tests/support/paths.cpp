#include "tests/support/paths.h"

namespace weft::test {
// WEFT_SOURCE_DIR comes from CMake, for this file alone: no other object depends on where the tree lies.
std::string source_path(const std::string& relative) { return std::string(WEFT_SOURCE_DIR) + "/" + relative; }
}  // namespace weft::test
