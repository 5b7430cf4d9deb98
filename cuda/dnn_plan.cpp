#include "weft/cuda/dnn_plan.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "weft/tensor/error.h"

namespace weft::cuda {

namespace {

constexpr int64_t x_id = 1, w_id = 2, y_id = 3, bias_id = 4, unbiased_id = 5;

cudnnDataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return CUDNN_DATA_DOUBLE;
    case DType::f16:
      return CUDNN_DATA_HALF;
    case DType::bf16:
      return CUDNN_DATA_BFLOAT16;
    default:
      return CUDNN_DATA_FLOAT;
  }
}

cudnnDataType_t compute_type(DType dtype) { return dtype == DType::f64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT; }

// [a, b, h, w] with b fastest in memory.
Descriptor channels_last(int64_t id, const Convolution& key, int64_t a, int64_t b, int64_t h, int64_t w) {
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, id == unbiased_id ? compute_type(key.dtype) : data_type(key.dtype))
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, {a, b, h, w})
      .set(CUDNN_ATTR_TENSOR_STRIDES, {h * w * b, int64_t{1}, w * b, b})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, id == unbiased_id ? int64_t{16} : key.alignment);
  if (id == unbiased_id) tensor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);  // it exists in registers alone
  return tensor;
}

Descriptor window(const Convolution& key) {
  Descriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, compute_type(key.dtype))
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {key.top, key.left})
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {key.bottom, key.right})
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {key.stride_h, key.stride_w})
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {key.dilation_h, key.dilation_w});
  return convolution;
}

// The three operations have the same attributes under different names.
struct OperationNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t alpha, beta, convolution, x, w, y;
};

const OperationNames& names_of(ConvPass pass) {
  static constexpr OperationNames forward = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
  static constexpr OperationNames data = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
  static constexpr OperationNames filter = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
  return pass == ConvPass::forward ? forward : pass == ConvPass::data ? data : filter;
}

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

// The status says that cuDNN cannot do this, not that the machine fails.
bool unsupported(cudnnStatus_t status) {
  if (status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
      status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)
    return false;
  const int category = CUDNN_STATUS_CATEGORY(status);
  return category == CUDNN_STATUS_NOT_SUPPORTED || category == CUDNN_STATUS_BAD_PARAM ||
         category == CUDNN_STATUS_INTERNAL_ERROR;
}

}  // namespace

/// One search; its members are the state that find_plan() would otherwise hand around.
class PlanSearch {
 public:
  PlanSearch(const Convolution& key, const PlanTarget& target) : key_(key), target_(target) {}

  FoundPlan run() {
    FoundPlan found;
    if (!make_graph()) {
      found.why = "cuDNN has no plan: " + failure_;
      return found;
    }
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
      for (Descriptor& configuration : ranked(mode)) {
        found.plan = plan_of(std::move(configuration));
        if (found.plan) return found;
        ++seen_;
      }
    }
    found.why = why();
    return found;
  }

 private:
  // What is described so far, in the order of dependence; false if cuDNN does not support it.
  bool keep(Descriptor descriptor) {
    const cudnnStatus_t status = descriptor.finalize();
    if (status != CUDNN_STATUS_SUCCESS && !unsupported(status)) raise(status, "conv2d");
    if (status != CUDNN_STATUS_SUCCESS) failure_ = describe(status);
    parts_.push_back(std::move(descriptor));
    return status == CUDNN_STATUS_SUCCESS;
  }

  template <class Scalar>
  static void set_scales(Descriptor& operation, const OperationNames& names) {
    operation.set(names.alpha, Scalar{1}).set(names.beta, Scalar{0});
  }

  bool make_graph() {
    const OperationNames& names = names_of(key_.pass);
    if (!keep(channels_last(x_id, key_, key_.n, key_.c, key_.h, key_.w)) ||
        !keep(channels_last(w_id, key_, key_.o, key_.c / key_.groups, key_.kh, key_.kw)) ||
        !keep(channels_last(key_.bias ? unbiased_id : y_id, key_, key_.n, key_.o, key_.oh, key_.ow)) ||
        !keep(window(key_)))
      return false;
    Descriptor operation(names.type);
    operation.set(names.x, parts_[0]).set(names.w, parts_[1]).set(names.y, parts_[2]).set(names.convolution, parts_[3]);
    if (key_.dtype == DType::f64) {
      set_scales<double>(operation, names);
    } else {
      set_scales<float>(operation, names);
    }
    if (!keep(std::move(operation)) || (key_.bias && !add_bias())) return false;
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    if (key_.bias) {
      graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, parts_[4], parts_.back());
    } else {
      graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, parts_[4]);
    }
    if (target_.handle_) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, target_.handle_);
    graph_ = parts_.size();
    return keep(std::move(graph));
  }

  // y = unbiased + bias, in the compute type.
  bool add_bias() {
    const size_t first = parts_.size();
    Descriptor sum(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    sum.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_ADD)
        .set(CUDNN_ATTR_POINTWISE_MATH_PREC, compute_type(key_.dtype));
    if (!keep(channels_last(bias_id, key_, 1, key_.o, 1, 1)) ||
        !keep(channels_last(y_id, key_, key_.n, key_.o, key_.oh, key_.ow)) || !keep(std::move(sum)))
      return false;
    Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, parts_[first + 2])
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, parts_[2])
        .set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, parts_[first])
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, parts_[first + 1]);
    return keep(std::move(operation));
  }

  // The configurations that the heuristics recommend, best first.
  std::vector<Descriptor> ranked(cudnnBackendHeurMode_t mode) {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, parts_[graph_]).set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
    if (target_.properties_) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target_.properties_);
    std::vector<Descriptor> configurations;
    if (!keep(std::move(heuristics))) return configurations;
    const Descriptor& results = parts_.back();
    const int64_t count = results.read(CUDNN_ATTR_ENGINEHEUR_RESULTS, nullptr, 0);
    std::vector<cudnnBackendDescriptor_t> raw;
    for (int64_t i = 0; i < count; ++i)
      raw.push_back(configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
    const int64_t filled = count > 0 ? results.read(CUDNN_ATTR_ENGINEHEUR_RESULTS, raw.data(), count) : 0;
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

  std::optional<ConvPlan> plan_of(Descriptor configuration) {
    const Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendDescriptor_t raw = engine.raw();
    configuration.read(CUDNN_ATTR_ENGINECFG_ENGINE, &raw, 1);
    ConvPlan result;
    if (!admit(engine, result.notes)) return {};
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    if (target_.handle_) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, target_.handle_);
    if (target_.properties_) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target_.properties_);
    const cudnnStatus_t status = plan.finalize();
    if (status != CUDNN_STATUS_SUCCESS) {
      if (!unsupported(status)) raise(status, "conv2d");
      failure_ = describe(status);
      ++failed_;
      return {};
    }
    plan.read(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, &result.workspace, 1);
    if (result.workspace > max_conv_workspace) {
      ++too_large_;
      return {};
    }
    engine.read(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, &result.engine, 1);
    result.position = seen_;
    result.parts = std::move(parts_);
    result.parts.push_back(std::move(configuration));
    result.parts.push_back(std::move(plan));
    return result;
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
  std::vector<Descriptor> parts_;  // x, w, y, window, operation; of a bias; graph, heuristics
  size_t graph_ = 0;               // its place among them
  std::string failure_;
  std::array<int, std::size(note_names)> dropped_ = {};
  int seen_ = 0, failed_ = 0, too_large_ = 0;
};

FoundPlan find_plan(const Convolution& key, const PlanTarget& target) { return PlanSearch(key, target).run(); }

PlanTarget::PlanTarget(std::string_view json) : properties_(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) {
  const std::string text(json);  // ends with the zero that cuDNN counts
  properties_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, text.c_str(), static_cast<int64_t>(text.size()) + 1);
  check(properties_->finalize(), "cuDNN device properties");
}

void run_plan(const ConvPlan& plan, cudnnHandle_t handle, const ConvOperands& operands, void* workspace) {
  const int64_t ids[] = {x_id, w_id, y_id, bias_id};
  void* const addresses[] = {operands.x, operands.w, operands.y, operands.bias};
  const int64_t count = operands.bias ? 4 : 3;
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids, count)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, addresses, count)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace);
  check(pack.finalize(), "conv2d");
  check(cudnnBackendExecute(handle, plan.plan().raw(), pack.raw()), "conv2d");
}

}  // namespace weft::cuda
