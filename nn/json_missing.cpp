// Takes json.cpp's place in a build without nlohmann-json: what needs JSON says so.
#include "weft/nn/json.h"
#include "weft/tensor/error.h"

namespace weft::nn::detail {

namespace {
constexpr const char* missing =
    "this weft was built without nlohmann-json, which safetensors files and checkpoints need; install it and build "
    "again";
}  // namespace

bool parse_json(std::string_view /*text*/, JsonVisitor& /*visitor*/, std::string& /*error*/) {
  fail<CheckpointError>("load: ", missing);
}

std::string quote_json(const std::string& /*text*/) { fail<CheckpointError>("save: ", missing); }

}  // namespace weft::nn::detail
