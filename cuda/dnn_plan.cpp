#include "weft/cuda/dnn_plan.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "weft/cuda/memory_lock.h"
#include "weft/cuda/stream.h"
#include "weft/tensor/error.h"

namespace weft::cuda {

namespace {

constexpr const char* note_names[] = {"TENSOR_CORE",
                                      "DOWN_CONVERT_INPUTS",
                                      "REDUCED_PRECISION_REDUCTION",
                                      "FFT",
                                      "NONDETERMINISTIC",
                                      "WINOGRAD",
                                      "WINOGRAD_TILE_4x4",
                                      "WINOGRAD_TILE_6x6",
                                      "WINOGRAD_TILE_13x13",
                                      "STRICT_NAN_PROP",
                                      "of an unknown kind"};

bool unwanted(int note, const Convolution& key) {
  switch (note) {
    case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
      return !key.nondeterministic;
    case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
    case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      return key.dtype == DType::f32 && !key.tf32;
    case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP:
      return false;
    default:
      return true;
  }
}

}  // namespace

/// One search; its members are the state that find_plan() would otherwise hand around.
class PlanSearch {
 public:
  PlanSearch(const Convolution& key, const PlanTarget& target) : key_(key), target_(target) {}

  FoundPlans run(int most, int from) {
    graph_ = std::make_shared<const ConvGraph>(key_, target_.handle_);
    FoundPlans found;
    if (!graph_->supported()) {
      found.why = "cuDNN has no plan: " + graph_->why();
      return found;
    }
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
      for (Descriptor& configuration : ranked(mode)) {
        std::optional<ConvPlan> plan = seen_ < from ? std::nullopt : plan_of(std::move(configuration));
        if (plan) found.plans.push_back(std::move(*plan));
        if (std::ssize(found.plans) == most) return found;
        ++seen_;
      }
    }
    if (found.plans.empty()) found.why = why();
    return found;
  }

 private:
  bool accept(cudnnStatus_t status) {
    if (status == CUDNN_STATUS_SUCCESS) return true;
    if (!unsupported(status)) raise(status, "conv2d");
    failure_ = describe(status);
    return false;
  }

  // The configurations that the heuristics recommend, best first.
  std::vector<Descriptor> ranked(cudnnBackendHeurMode_t mode) {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_->descriptor()).set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
    if (target_.properties_) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target_.properties_);
    std::vector<Descriptor> configurations;
    if (!accept(heuristics.finalize())) return configurations;
    const int64_t count = heuristics.read(CUDNN_ATTR_ENGINEHEUR_RESULTS, nullptr, 0);
    std::vector<cudnnBackendDescriptor_t> raw;
    for (int64_t i = 0; i < count; ++i)
      raw.push_back(configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
    const int64_t filled = count > 0 ? heuristics.read(CUDNN_ATTR_ENGINEHEUR_RESULTS, raw.data(), count) : 0;
    configurations.erase(configurations.begin() + std::min(filled, count), configurations.end());
    return configurations;
  }

  // Writes the engine's notes into `text`; false, and counted, if one of them is unwanted.
  bool admit(const Descriptor& engine, std::string& text) {
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    const int64_t count = engine.read(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, notes, std::ssize(notes));
    for (int64_t i = 0; i < std::min(count, std::ssize(notes)); ++i) {
      const size_t note = std::min(static_cast<size_t>(notes[i]), std::size(note_names) - 1);
      if (unwanted(notes[i], key_)) {
        ++dropped_[note];
        return false;
      }
      text += (i ? ", " : "") + std::string(note_names[note]);
    }
    return true;
  }

  // On a device this may compile and load kernels.
  cudnnStatus_t finalized(Descriptor& plan) const {
    if (!target_.handle_) return plan.finalize();
    const MemoryScope memory(active_device());
    return plan.finalize();
  }

  std::optional<ConvPlan> plan_of(Descriptor configuration) {
    const Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendDescriptor_t raw = engine.raw();
    configuration.read(CUDNN_ATTR_ENGINECFG_ENGINE, &raw, 1);
    std::string notes;
    if (!admit(engine, notes)) return {};
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    if (target_.handle_) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, target_.handle_);
    if (target_.properties_) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target_.properties_);
    if (!accept(finalized(plan))) {
      ++failed_;
      return {};
    }
    int64_t workspace = 0, number = 0;
    plan.read(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, &workspace, 1);
    if (workspace > max_conv_workspace) {
      ++too_large_;
      return {};
    }
    engine.read(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, &number, 1);
    return ConvPlan{graph_, std::move(configuration), std::move(plan), workspace, number, seen_, std::move(notes)};
  }

  std::string why() const {
    std::string text = "cuDNN has no plan: of " + std::to_string(seen_) + " configurations";
    const char* separator = " ";
    const auto count = [&](int n, const std::string& what) {
      if (n > 0) text += std::exchange(separator, ", ") + std::to_string(n) + what;
    };
    for (size_t i = 0; i < dropped_.size(); ++i) count(dropped_[i], std::string(" are ") + note_names[i]);
    count(too_large_, " want over 1 GiB of workspace");
    count(failed_, " fail");
    return failure_.empty() ? text : text + " (" + failure_ + ")";
  }

  const Convolution& key_;
  const PlanTarget& target_;
  std::shared_ptr<const ConvGraph> graph_;
  std::string failure_;
  std::array<int, std::size(note_names)> dropped_ = {};
  int seen_ = 0, failed_ = 0, too_large_ = 0;
};

FoundPlans find_plans(const Convolution& key, const PlanTarget& target, int most, int from) {
  return PlanSearch(key, target).run(most, from);
}

FoundPlan find_plan(const Convolution& key, const PlanTarget& target) {
  FoundPlans found = find_plans(key, target, 1);
  if (found.plans.empty()) return {.plan = {}, .why = std::move(found.why)};
  return {.plan = std::move(found.plans.front()), .why = {}};
}

PlanTarget::PlanTarget(std::string_view json) : properties_(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) {
  const std::string text(json);  // ends with the zero that cuDNN counts
  properties_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, text.c_str(), static_cast<int64_t>(text.size()) + 1);
  check(properties_->finalize(), "cuDNN device properties");
}

void run_plan(const ConvPlan& plan, cudnnHandle_t handle, const ConvOperands& operands, void* workspace) {
  const int64_t ids[] = {ConvTensor::x, ConvTensor::w, ConvTensor::y, ConvTensor::bias};
  void* const addresses[] = {operands.x, operands.w, operands.y, operands.bias};
  const int64_t count = operands.bias ? 4 : 3;
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids, count)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, addresses, count)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace);
  check(pack.finalize(), "conv2d");
  const MemoryScope memory(active_device());  // kernels may have to be loaded
  check(cudnnBackendExecute(handle, plan.plan.raw(), pack.raw()), "conv2d");
}

}  // namespace weft::cuda
