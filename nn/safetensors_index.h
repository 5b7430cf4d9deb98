// The index of a model whose tensors lie in several safetensors files.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "weft/nn/safetensors.h"

namespace weft::nn {

namespace safetensors {

/// File names to names of their tensors, from the JSON of an index; pure. Throws CheckpointError, beginning with
/// `name`, unless there is one "weight_map" of texts and no name stands twice, and for files outside the index's own
/// folder.
std::map<std::string, std::set<std::string>> parse_index(std::string_view json, std::string_view name = "index");
/// The same from a file; file names are paths beside it.
std::map<std::string, std::set<std::string>> read_index(const std::string& path);

}  // namespace safetensors

/// Writes tensors to files of at most about `shard_bytes` ("model-00001-of-00003.safetensors") and then the index
/// "STEM.safetensors.index.json", whose path is returned. `stem` is a path without ending. Each file appears whole; the
/// set of them does not: write a new set under a new stem.
std::string write_shards(const std::string& stem, const NamedTensors& tensors, int64_t shard_bytes,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace weft::nn
