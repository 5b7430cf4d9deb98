#include "weft/cuda/dnn_graph.h"

namespace weft::cuda {

namespace {

constexpr int64_t first_value = 5;  // names of values between two operations: they exist in registers alone
constexpr bool virtual_id(int64_t id) { return id >= first_value; }

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
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, virtual_id(id) ? compute_type(key.dtype) : data_type(key.dtype))
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, {a, b, h, w})
      .set(CUDNN_ATTR_TENSOR_STRIDES, {h * w * b, int64_t{1}, w * b, b})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, virtual_id(id) ? int64_t{16} : key.alignment);
  if (virtual_id(id)) tensor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
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

// In the compute type.
Descriptor pointwise(cudnnPointwiseMode_t mode, const Convolution& key) {
  Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  how.set(CUDNN_ATTR_POINTWISE_MODE, mode).set(CUDNN_ATTR_POINTWISE_MATH_PREC, compute_type(key.dtype));
  return how;
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

template <class Scalar>
void set_scales(Descriptor& operation, const OperationNames& names) {
  operation.set(names.alpha, Scalar{1}).set(names.beta, Scalar{0});
}

}  // namespace

bool unsupported(cudnnStatus_t status) {
  if (status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
      status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)
    return false;
  const int category = CUDNN_STATUS_CATEGORY(status);
  return category == CUDNN_STATUS_NOT_SUPPORTED || category == CUDNN_STATUS_BAD_PARAM ||
         category == CUDNN_STATUS_INTERNAL_ERROR;
}

ConvGraph::ConvGraph(const Convolution& key, cudnnHandle_t handle) : key_(key) {
  const bool more = key.bias || key.relu;
  static_cast<void>(convolve(more ? first_value : ConvTensor::y) &&  //
                    (!key.bias || add_bias(key.relu ? first_value + 1 : ConvTensor::y)) &&
                    (!key.relu || rectify(ConvTensor::y)) && join(handle));
}

// Finalises what is described; false if cuDNN does not support it.
bool ConvGraph::keep(Descriptor descriptor) {
  const cudnnStatus_t status = descriptor.finalize();
  if (status != CUDNN_STATUS_SUCCESS && !unsupported(status)) raise(status, "conv2d");
  if (status != CUDNN_STATUS_SUCCESS) failure_ = describe(status);
  parts_.push_back(std::move(descriptor));
  return status == CUDNN_STATUS_SUCCESS;
}

bool ConvGraph::convolve(int64_t result) {
  const OperationNames& names = names_of(key_.pass);
  if (!keep(channels_last(ConvTensor::x, key_, key_.n, key_.c, key_.h, key_.w)) ||
      !keep(channels_last(ConvTensor::w, key_, key_.o, key_.c / key_.groups, key_.kh, key_.kw)) ||
      !keep(channels_last(result, key_, key_.n, key_.o, key_.oh, key_.ow)) || !keep(window(key_)))
    return false;
  value_ = 2;
  Descriptor operation(names.type);
  operation.set(names.x, parts_[0]).set(names.w, parts_[1]).set(names.y, parts_[2]).set(names.convolution, parts_[3]);
  if (key_.dtype == DType::f64) {
    set_scales<double>(operation, names);
  } else {
    set_scales<float>(operation, names);
  }
  operations_.push_back(parts_.size());
  return keep(std::move(operation));
}

// result = value + bias
bool ConvGraph::add_bias(int64_t result) {
  return keep(channels_last(ConvTensor::bias, key_, 1, key_.o, 1, 1)) &&
         apply(pointwise(CUDNN_POINTWISE_ADD, key_), result, parts_.size() - 1);
}

// result = max(value, 0)
bool ConvGraph::rectify(int64_t result) {
  Descriptor relu = pointwise(CUDNN_POINTWISE_RELU_FWD, key_);
  relu.set(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_PROPAGATE_NAN);  // else NaN would become 0
  return apply(std::move(relu), result);
}

// result = how(value), or how(value, the tensor at the place `operand`)
bool ConvGraph::apply(Descriptor how, int64_t result, std::optional<size_t> operand) {
  const size_t to = parts_.size();
  if (!keep(channels_last(result, key_, key_.n, key_.o, key_.oh, key_.ow)) || !keep(std::move(how))) return false;
  Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, parts_[to + 1])
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, parts_[value_])
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, parts_[to]);
  if (operand) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, parts_[*operand]);
  value_ = to;
  operations_.push_back(parts_.size());
  return keep(std::move(operation));
}

bool ConvGraph::join(cudnnHandle_t handle) {
  std::vector<cudnnBackendDescriptor_t> operations;
  for (const size_t place : operations_) operations.push_back(parts_[place].raw());
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operations);
  if (handle) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
  return keep(std::move(graph));
}

}  // namespace weft::cuda
