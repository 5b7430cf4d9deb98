// Writing a model to several safetensors files.
#include <cstdio>

#include "weft/nn/atomic_file.h"
#include "weft/nn/json.h"
#include "weft/nn/safetensors_index.h"

namespace weft::nn {

namespace {

std::string shard_name(const std::string& stem, size_t i, size_t count) {
  char number[64];
  std::snprintf(number, sizeof number, "-%05zu-of-%05zu.safetensors", i + 1, count);
  return stem + number;
}

}  // namespace

std::string write_shards(const std::string& stem, const NamedTensors& tensors, int64_t shard_bytes,
                         const std::map<std::string, std::string>& metadata) {
  WEFT_CHECK(Error, shard_bytes > 0, "write_shards: shards of ", shard_bytes, " bytes");
  std::vector<NamedTensors> shards(1);
  int64_t filled = 0, total = 0;
  for (const auto& named : tensors) {
    const int64_t bytes = named.second.numel() * size_of(named.second.dtype());
    if (filled > 0 && filled + bytes > shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(named);
    filled += bytes, total += bytes;
  }
  const std::string base = stem.substr(stem.rfind('/') + 1);
  std::map<std::string, std::string> weight_map;  // sorted; a name in two shards is found here
  for (size_t i = 0; i < shards.size(); ++i)
    for (const auto& [name, tensor] : shards[i])
      WEFT_CHECK(Error, weight_map.emplace(name, shard_name(base, i, shards.size())).second,
                 "save: two tensors are called '", name, "'");
  for (size_t i = 0; i < shards.size(); ++i) write_safetensors(shard_name(stem, i, shards.size()), shards[i], metadata);
  std::string json = weft::detail::concat("{\"metadata\":{\"total_size\":", total, "},\"weight_map\":{");
  for (const auto& [name, file] : weight_map)
    json += (json.back() == '{' ? "" : ",") + detail::quote_json(name) + ":" + detail::quote_json(file);
  json += "}}\n";
  std::string path = stem + ".safetensors.index.json";
  AtomicFile file(path);
  file.write(json.data(), json.size());
  file.commit();
  return path;
}

}  // namespace weft::nn
