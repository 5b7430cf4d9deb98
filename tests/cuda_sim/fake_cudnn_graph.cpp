// What descriptors may hold, and how a convolution is read out of them.
#include <cudnn_graph.h>

#include <algorithm>
#include <array>

#include "fake_cudnn.h"

namespace weft::sim::dnn {
namespace {

constexpr const char* who = "cudnnBackendFinalize";

// What a descriptor may hold under a name. `count` 0: any number.
struct Field {
  cudnnBackendDescriptorType_t descriptor;
  int name;
  cudnnBackendAttributeType_t type;
  int64_t count;
  bool required;
};

constexpr std::array fields = {
    Field{CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, true},
    Field{CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, true},
    Field{CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, true},
    Field{CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, true},
    Field{CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, true},
    Field{CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, false},
    Field{CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, true},
    Field{CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, true},
    Field{CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1,
          false},
    Field{CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
          CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    Field{CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
          CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    Field{CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
          CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, false},
    Field{CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_YDESC,
          CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    Field{CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, true},
    Field{CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, true},
    Field{CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, true},
    Field{CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, true},
    Field{CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, true},
    Field{CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, true},
    Field{CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, true},
    Field{CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0,
          true},
    Field{CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, true},
    Field{CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
          true},
    Field{CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, true},
    Field{CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
          CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    Field{CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, true},
    Field{CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 0, true},
    Field{CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 0, true},
    Field{CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, true},
};

// The attributes of the three operations are numbered alike: scales, window, w, x, y.
enum Part { alpha, beta, window, w, x, y, parts };

int first_name(cudnnBackendDescriptorType_t type) {
  switch (type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      return CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA;
    default:
      return -1;
  }
}

bool is_scale(const Attribute& attribute, cudnnDataType_t compute, double expected) {
  if (attribute.type != (compute == CUDNN_DATA_DOUBLE ? CUDNN_TYPE_DOUBLE : CUDNN_TYPE_FLOAT)) return false;
  return expected == (attribute.type == CUDNN_TYPE_DOUBLE ? *reinterpret_cast<const double*>(attribute.bytes.data())
                                                          : *reinterpret_cast<const float*>(attribute.bytes.data()));
}

Tensor tensor(const Descriptor& from) {
  Tensor t;
  t.id = value<int64_t>(from, CUDNN_ATTR_TENSOR_UNIQUE_ID);
  t.alignment = value<int64_t>(from, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
  t.type = value<cudnnDataType_t>(from, CUDNN_ATTR_TENSOR_DATA_TYPE);
  for (int i = 0; i < 4; ++i) {
    t.extent[i] = value<int64_t>(from, CUDNN_ATTR_TENSOR_DIMENSIONS, i);
    t.stride[i] = value<int64_t>(from, CUDNN_ATTR_TENSOR_STRIDES, i);
  }
  t.is_virtual =
      from.attributes.contains(CUDNN_ATTR_TENSOR_IS_VIRTUAL) && value<bool>(from, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
  return t;
}

bool channels_last(const Tensor& t) {
  const int64_t* e = t.extent;
  return t.stride[1] == 1 && t.stride[3] == e[1] && t.stride[2] == e[3] * e[1] && t.stride[0] == e[2] * e[3] * e[1];
}

bool positive(const Tensor& t) {
  return std::all_of(t.extent, t.extent + 4, [](int64_t e) { return e > 0; });
}

std::string check(const Convolution& c) {
  for (const Tensor* t : {&c.x, &c.w, &c.y}) {
    if (!positive(*t)) return "an extent that is not positive";
    if (!channels_last(*t)) return "strides that are not channels-last";
    if (t->type != (t->is_virtual ? c.compute : c.x.type)) return "operands of different types";
  }
  if (c.x.is_virtual || c.w.is_virtual) return "a virtual operand that nothing computes";
  if ((c.compute == CUDNN_DATA_DOUBLE) != (c.x.type == CUDNN_DATA_DOUBLE))
    return "a compute type that does not go with the operands";
  if (c.x.id == c.w.id || c.w.id == c.y.id || c.x.id == c.y.id) return "operands with the same id";
  if (c.x.extent[0] != c.y.extent[0]) return "x and y of different numbers of images";
  if (c.w.extent[0] != c.y.extent[1]) return "w and y of different output channels";
  if (c.x.extent[1] % c.w.extent[1] != 0 || c.y.extent[1] % c.groups != 0) return "channels that do not make groups";
  for (int d = 0; d < 2; ++d) {
    const int64_t room = c.x.extent[2 + d] + c.before[d] + c.behind[d] - (c.dilation[d] * (c.w.extent[2 + d] - 1) + 1);
    if (room < 0 || room / c.stride[d] + 1 != c.y.extent[2 + d])
      return "an output extent that does not follow from the others";
  }
  return "";
}

// A bias that is added to y.
std::string add_bias(const Descriptor& sum, Convolution& c) {
  if (!sum.attributes.contains(CUDNN_ATTR_OPERATION_POINTWISE_BDESC)) return "a sum of one operand";
  const Descriptor* bias = referred(sum, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, who);
  if (!bias) return "an operand that was destroyed";
  c.bias = tensor(*bias);
  const int64_t* e = c.bias.extent;
  if (e[1] != c.y.extent[1] || e[0] * e[2] * e[3] != 1) return "a bias that is not one value per channel";
  if (c.bias.is_virtual || c.bias.type != c.x.type) return "a bias of the wrong type";
  c.biased = true;
  return "";
}

std::string rectify(const Descriptor& mode, Convolution& c) {
  c.rectified = true;
  c.keeps_nan = mode.attributes.contains(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION) &&
                value<cudnnNanPropagation_t>(mode, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION) == CUDNN_PROPAGATE_NAN;
  return "";
}

// An elementwise operation on the result so far, `made`, of the convolution; `made` becomes its result.
std::string follow(const Descriptor& operation, const Descriptor*& made, Convolution& c) {
  const Descriptor* mode = referred(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, who);
  const Descriptor* from = referred(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, who);
  const Descriptor* to = referred(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, who);
  if (!mode || !from || !to) return "an operand that was destroyed";
  if (value<cudnnDataType_t>(*mode, CUDNN_ATTR_POINTWISE_MATH_PREC) != c.compute) return "an operation in another type";
  if (from != made || !c.y.is_virtual) return "an operation on something else than the result before it";
  const Tensor y = tensor(*to);
  if (!std::equal(y.extent, y.extent + 4, c.y.extent) || !channels_last(y)) return "a result of another shape";
  if (y.type != (y.is_virtual ? c.compute : c.x.type)) return "a result of the wrong type";
  made = to;
  c.y = y;
  const auto what = value<cudnnPointwiseMode_t>(*mode, CUDNN_ATTR_POINTWISE_MODE);
  if (what == CUDNN_POINTWISE_ADD && !c.biased && !c.rectified) return add_bias(operation, c);
  if (what == CUDNN_POINTWISE_RELU_FWD && !c.rectified) return rectify(*mode, c);
  return "an operation that nothing is known to fuse with";
}

}  // namespace

bool recognise_graph(const Descriptor& graph, Convolution& c, std::string& why) {
  const int64_t count = graph.attributes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).count;
  const Descriptor* operation = referred(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, who);
  if (!operation || first_name(operation->type) < 0) {
    why = "a graph that begins with no convolution";
    return false;
  }
  if (!recognise(*operation, c, why)) return false;
  const bool more = count > 1 && c.pass == Pass::forward;
  const Descriptor* made = more ? referred(*operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, who) : nullptr;
  for (int64_t i = 1; i < count && why.empty(); ++i) {
    const Descriptor* next = referred(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, who, static_cast<size_t>(i));
    if (!next || next->type != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR || c.pass != Pass::forward)
      why = "an operation that nothing is known to fuse with";
    else
      why = follow(*next, made, c);
  }
  if (why.empty() && c.y.is_virtual) why = "a virtual result";
  return why.empty();
}

size_t Tensor::bytes() const {
  const int64_t element = type == CUDNN_DATA_DOUBLE ? 8 : type == CUDNN_DATA_FLOAT ? 4 : 2;
  return static_cast<size_t>(extent[0] * extent[1] * extent[2] * extent[3] * element);
}

bool accepts(cudnnBackendDescriptorType_t descriptor, cudnnBackendAttributeName_t name,
             cudnnBackendAttributeType_t type, int64_t count) {
  if (const int first = first_name(descriptor); first >= 0) {
    const int part = name - first;
    const bool scale = part == alpha || part == beta;
    const bool fits =
        scale ? type == CUDNN_TYPE_FLOAT || type == CUDNN_TYPE_DOUBLE : type == CUDNN_TYPE_BACKEND_DESCRIPTOR;
    return part >= 0 && part < parts && fits && count == 1;
  }
  return std::any_of(fields.begin(), fields.end(), [&](const Field& field) {
    return field.descriptor == descriptor && field.name == name && field.type == type &&
           (field.count == 0 || field.count == count);
  });
}

std::string missing(const Descriptor& descriptor) {
  const auto lacks = [&](int name) {
    return !descriptor.attributes.contains(static_cast<cudnnBackendAttributeName_t>(name));
  };
  if (const int first = first_name(descriptor.type); first >= 0)
    for (int part = 0; part < parts; ++part)
      if (lacks(first + part)) return "attribute " + std::to_string(first + part);
  for (const Field& field : fields)
    if (field.descriptor == descriptor.type && field.required && lacks(field.name))
      return "attribute " + std::to_string(field.name);
  return "";
}

bool recognise(const Descriptor& operation, Convolution& c, std::string& why) {
  const int first = first_name(operation.type);
  const Descriptor *from[3], *windows = referred(operation, first + window, who);
  for (int i = 0; i < 3; ++i) from[i] = referred(operation, first + w + i, who);
  if (!windows || !from[0] || !from[1] || !from[2]) {
    why = "an operand that was destroyed";
    return false;
  }
  c.pass = operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR         ? Pass::forward
           : operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? Pass::data
                                                                                            : Pass::filter;
  c.w = tensor(*from[0]), c.x = tensor(*from[1]), c.y = tensor(*from[2]);
  c.compute = value<cudnnDataType_t>(*windows, CUDNN_ATTR_CONVOLUTION_COMP_TYPE);
  for (int d = 0; d < 2; ++d) {
    c.before[d] = value<int64_t>(*windows, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, d);
    c.behind[d] = value<int64_t>(*windows, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, d);
    c.stride[d] = value<int64_t>(*windows, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, d);
    c.dilation[d] = value<int64_t>(*windows, CUDNN_ATTR_CONVOLUTION_DILATIONS, d);
  }
  c.groups = c.w.extent[1] > 0 ? std::max<int64_t>(1, c.x.extent[1] / c.w.extent[1]) : 1;
  if (value<cudnnConvolutionMode_t>(*windows, CUDNN_ATTR_CONVOLUTION_CONV_MODE) != CUDNN_CROSS_CORRELATION)
    why = "a flipped filter";
  if (!is_scale(operation.attributes.at(static_cast<cudnnBackendAttributeName_t>(first + alpha)), c.compute, 1) ||
      !is_scale(operation.attributes.at(static_cast<cudnnBackendAttributeName_t>(first + beta)), c.compute, 0))
    why = "scales other than 1 and 0 of the compute type";
  if (why.empty()) why = check(c);
  return why.empty();
}

}  // namespace weft::sim::dnn
