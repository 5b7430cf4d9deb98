#include "weft/nn/serialize.h"

#include <algorithm>
#include <map>
#include <set>

#include "weft/autograd/record_scope.h"
#include "weft/nn/answering.h"
#include "weft/nn/safetensors_index.h"
#include "weft/tensor/ops/copy.h"

namespace weft::nn {

namespace {

constexpr std::string_view batches_tracked = "num_batches_tracked";

std::string module_name(std::string name, const LoadOptions& options) {
  if (name.starts_with(options.strip_prefix)) name.erase(0, options.strip_prefix.size());
  for (const auto& [from, to] : options.rename) {
    if (name == from) return to;
    if (from.ends_with('.') && name.starts_with(from)) return to + name.substr(from.size());
  }
  return name;
}

std::string text_of(const LoadReport& report) {
  std::string text;
  const auto list = [&text](const char* what, const std::vector<std::string>& names) {
    if (names.empty()) return;
    text += weft::detail::concat("\n  ", names.size(), " ", what, ":");
    for (const std::string& name : names) text += "\n    " + name;
  };
  list("missing in the file", report.missing);
  list("unexpected in the file", report.unexpected);
  list("of another shape", report.wrong_shape);
  return text;
}

std::vector<Placed> all_of(const Module& module) {
  std::vector<Placed> all;
  for (const Parameter& p : module.parameters()) all.push_back(p);
  for (const Buffer& b : module.buffers()) all.push_back(b);
  for (const Placed& p : all) p.settle();
  return all;
}

}  // namespace

NamedTensors state_of(const Module& module) {
  NamedTensors state;
  for (const Placed& p : all_of(module)) {
    const auto place = static_cast<int>(first_answering(p.devices()));
    state.emplace_back(p.name(), p.at(place).detach());
  }
  return state;
}

void save(const Module& module, const std::string& path, const std::map<std::string, std::string>& metadata) {
  write_safetensors(path, state_of(module), metadata);
}

PendingLoad::PendingLoad(const Module& module, const NamedTensors& tensors, const LoadOptions& options) {
  const autograd::NoGrad pause;
  std::map<std::string, const std::pair<std::string, Tensor>*> given;
  for (const auto& named : tensors) {
    const auto [before, added] = given.emplace(module_name(named.first, options), &named);
    WEFT_CHECK(CheckpointError, added, "load: '", named.first, "' and '", before->second->first,
               "' of the file both become '", before->first, "'");
  }
  for (const Placed& p : all_of(module)) {
    const auto found = given.find(p.name());
    if (found == given.end()) {
      report_.missing.push_back(p.name());
      continue;
    }
    const Tensor& value = found->second->second;
    given.erase(found);
    if (value.shape() != p.shape()) {
      report_.wrong_shape.push_back(
          weft::detail::concat(p.name(), ": ", p.shape(), " here, ", value.shape(), " in the file"));
      continue;
    }
    for (int i = 0; i < p.places(); ++i) {
      const Tensor to = p.at(i).detach(), from = empty_like(to);
      ops::copy(from, value);
      copies_.emplace_back(to, from);
    }
  }
  for (const auto& [name, named] : given)
    if (!std::string_view(name).ends_with(batches_tracked)) report_.unexpected.push_back(named->first);
  WEFT_CHECK(CheckpointError, !options.strict || report_.complete(),
             "load: the file does not fit the module:", text_of(report_),
             "\n  Nothing was changed; strict = false takes what fits");
}

void PendingLoad::commit() {
  for (const auto& [to, from] : copies_) ops::copy_(to, from, {}, "load");
  copies_.clear();
}

NamedTensors read_tensors(const std::string& path) {
  NamedTensors tensors;
  const auto read_all = [&tensors](const SafetensorsFile& file, const std::set<std::string>* wanted) {
    file.verify();
    for (const safetensors::Entry& entry : file.header().tensors)
      if (!wanted || wanted->count(entry.name)) tensors.emplace_back(entry.name, file.load(entry.name));
  };
  if (!path.ends_with(".index.json")) {
    read_all(SafetensorsFile(path), nullptr);
    return tensors;
  }
  for (const auto& [name, wanted] : safetensors::read_index(path)) {
    const SafetensorsFile file(name);
    for (const std::string& tensor : wanted)
      WEFT_CHECK(CheckpointError, file.find(tensor), "load: '", name, "' lacks the tensor '", tensor, "' that '", path,
                 "' says it has");
    read_all(file, &wanted);
  }
  return tensors;
}

LoadReport load(const Module& module, const std::string& path, const LoadOptions& options) {
  PendingLoad pending(module, read_tensors(path), options);
  pending.commit();
  return pending.report();
}

}  // namespace weft::nn
