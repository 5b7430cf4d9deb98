#include "weft/nn/checkpoint.h"

#include <charconv>
#include <set>

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/tuning.h"

namespace weft::nn {

namespace {

constexpr const char* format_key = "weft.format";
constexpr const char* format = "checkpoint 1";
constexpr const char* text_prefix = "weft.text.";
constexpr const char* tuned_key = "weft.tuned";

// "12 34" -> {12, 34}; empty if it is anything else.
std::vector<uint64_t> numbers_in(const std::string& text) {
  std::vector<uint64_t> numbers;
  const char *at = text.data(), *end = at + text.size();
  while (at < end) {
    uint64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || (next < end && *next != ' ')) return {};
    numbers.push_back(value);
    at = next < end ? next + 1 : next;
  }
  return numbers;
}

}  // namespace

bool Checkpoint::has(const std::string& part) const {
  if (texts_.count(part)) return true;
  for (const auto& [name, tensor] : tensors_)
    if (name.starts_with(part + "/")) return true;
  return false;
}

void Checkpoint::check_new(const std::string& part) const {
  WEFT_CHECK(Error, !part.empty() && part.find('/') == std::string::npos && !has(part), "Checkpoint: part '", part,
             "' is put twice, empty, or has a '/' in its name");
}

void Checkpoint::missing(const std::string& part, const char* kind) const {
  std::set<std::string> parts;
  for (const auto& [name, tensor] : tensors_) parts.insert(name.substr(0, name.find('/')));
  for (const auto& [name, text] : texts_) parts.insert(name);
  std::string list;
  for (const std::string& name : parts) list += " " + name;
  fail<CheckpointError>("Checkpoint: there is no part '", part, "' that is ", kind, "; there are:", list);
}

Checkpoint& Checkpoint::put(const std::string& part, const NamedTensors& tensors) {
  check_new(part);
  NamedTensors copies;
  const std::string prefix = part + "/";
  for (const auto& [name, tensor] : tensors)
    copies.emplace_back(weft::detail::concat(prefix, name), ops::clone(ops::to(tensor.detach(), Device())));
  tensors_.insert(tensors_.end(), copies.begin(), copies.end());
  return *this;
}

Checkpoint& Checkpoint::put(const std::string& part, const Generator& generator) {
  return put_text(part, weft::detail::concat(generator.seed(), " ", generator.calls()));
}

Checkpoint& Checkpoint::put_text(const std::string& part, const std::string& text) {
  check_new(part);
  texts_[part] = text;
  return *this;
}

NamedTensors Checkpoint::tensors(const std::string& part) const {
  NamedTensors found;
  for (const auto& [name, tensor] : tensors_)
    if (name.starts_with(part + "/")) found.emplace_back(name.substr(part.size() + 1), tensor);
  if (found.empty()) missing(part, "tensors");
  return found;
}

Tensor Checkpoint::tensor(const std::string& part) const {
  const std::string name = part + "/value";
  for (const auto& named : tensors_)
    if (named.first == name) return named.second;
  missing(part, "one tensor");
}

int64_t Checkpoint::number(const std::string& part) const {
  const Tensor value = tensor(part);
  if (value.dtype() != DType::i64 || value.numel() != 1) missing(part, "a whole number");
  return value.item<int64_t>();
}

double Checkpoint::real(const std::string& part) const {
  const Tensor value = tensor(part);
  if (value.dtype() != DType::f64 || value.numel() != 1) missing(part, "a floating number");
  return value.item<double>();
}

const std::string& Checkpoint::text(const std::string& part) const {
  const auto found = texts_.find(part);
  if (found == texts_.end()) missing(part, "a text");
  return found->second;
}

Generator Checkpoint::generator(const std::string& part) const {
  const std::vector<uint64_t> numbers = numbers_in(text(part));
  if (numbers.size() != 2) missing(part, "a generator");
  Generator generator(numbers[0]);
  generator.set_calls(numbers[1]);
  return generator;
}

void save_checkpoint(const Checkpoint& checkpoint, const std::string& path) {
  std::map<std::string, std::string> metadata{{format_key, format}};
  for (const auto& [name, text] : checkpoint.texts_) metadata[text_prefix + name] = text;
  if (std::string choices = tuned_choices(); !choices.empty()) metadata[tuned_key] = std::move(choices);
  write_safetensors(path, checkpoint.tensors_, metadata);
}

Checkpoint load_checkpoint(const std::string& path) {
  const SafetensorsFile file(path);
  const auto found = file.metadata().find(format_key);
  WEFT_CHECK(CheckpointError, found != file.metadata().end(), "load: '", path,
             "' is a safetensors file, but no checkpoint of weft");
  WEFT_CHECK(CheckpointError, found->second == format, "load: '", path, "' is a '", found->second,
             "'; this version of weft reads '", format, "'");
  WEFT_CHECK(CheckpointError, file.verify(), "load: '", path, "' has lost its checksum");
  Checkpoint checkpoint;
  for (const safetensors::Entry& entry : file.header().tensors)
    checkpoint.tensors_.emplace_back(entry.name, file.load(entry.name));
  for (const auto& [key, text] : file.metadata())
    if (key.starts_with(text_prefix)) checkpoint.texts_[key.substr(std::string_view(text_prefix).size())] = text;
  if (const auto choices = file.metadata().find(tuned_key); choices != file.metadata().end())
    load_tuned_choices(choices->second);
  return checkpoint;
}

}  // namespace weft::nn
