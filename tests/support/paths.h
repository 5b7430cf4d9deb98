// Where the source tree lies: for tests that read golden files or the folders themselves.
#pragma once

#include <string>

namespace weft::test {
/// source_path("tests/golden") is that folder's absolute path.
std::string source_path(const std::string& relative);
}  // namespace weft::test
