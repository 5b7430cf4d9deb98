// The mutants of weft's real code.
#pragma once

#include <map>
#include <string>

namespace weft::sim::mutants {

/// By name: puts the mutant's kernels, or its backend, in the place of the right ones.
extern const std::map<std::string, void (*)()> real;

}  // namespace weft::sim::mutants
