// Descriptor: the owner of one descriptor of cuDNN's graph API, with typed attributes; and check() for cuDNN's status.
#pragma once

#include <cudnn_graph.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "weft/cuda/check.h"

namespace weft::cuda {

/// Throws for a failed call: OutOfMemory if memory ran out, else Error `conv2d: cuDNN: CUDNN_STATUS_… (…)`.
[[noreturn]] void raise(cudnnStatus_t status, const char* operation);
inline void check(cudnnStatus_t status, const char* operation) {
  if (status != CUDNN_STATUS_SUCCESS) [[unlikely]]
    raise(status, operation);
}
/// "CUDNN_STATUS_NOT_SUPPORTED (what cuDNN said last in this thread)"
std::string describe(cudnnStatus_t status);

/// The tag that cuDNN wants beside a value of each type.
template <class T>
inline constexpr auto dnn_type = nullptr;
template <>
inline constexpr auto dnn_type<int64_t> = CUDNN_TYPE_INT64;
template <>
inline constexpr auto dnn_type<float> = CUDNN_TYPE_FLOAT;
template <>
inline constexpr auto dnn_type<double> = CUDNN_TYPE_DOUBLE;
template <>
inline constexpr auto dnn_type<bool> = CUDNN_TYPE_BOOLEAN;
template <>
inline constexpr auto dnn_type<char> = CUDNN_TYPE_CHAR;
template <>
inline constexpr auto dnn_type<void*> = CUDNN_TYPE_VOID_PTR;
template <>
inline constexpr auto dnn_type<cudnnHandle_t> = CUDNN_TYPE_HANDLE;
template <>
inline constexpr auto dnn_type<cudnnDataType_t> = CUDNN_TYPE_DATA_TYPE;
template <>
inline constexpr auto dnn_type<cudnnConvolutionMode_t> = CUDNN_TYPE_CONVOLUTION_MODE;
template <>
inline constexpr auto dnn_type<cudnnPointwiseMode_t> = CUDNN_TYPE_POINTWISE_MODE;
template <>
inline constexpr auto dnn_type<cudnnNanPropagation_t> = CUDNN_TYPE_NAN_PROPOGATION;
template <>
inline constexpr auto dnn_type<cudnnBackendHeurMode_t> = CUDNN_TYPE_HEUR_MODE;
template <>
inline constexpr auto dnn_type<cudnnBackendNumericalNote_t> = CUDNN_TYPE_NUMERICAL_NOTE;

/// Every function but finalize() throws Error on a failed call. A descriptor is read-only once it is finalised, and
/// what it refers to must live as long as it.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check(cudnnBackendCreateDescriptor(type, &handle_), "cudnnBackendCreateDescriptor");
  }
  Descriptor(Descriptor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Descriptor() {
    if (handle_) static_cast<void>(cudnnBackendDestroyDescriptor(handle_));
  }

  cudnnBackendDescriptor_t raw() const { return handle_; }

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, const T* values, int64_t count) {
    check(cudnnBackendSetAttribute(handle_, name, dnn_type<T>, count, values), "cudnnBackendSetAttribute");
    return *this;
  }
  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, const T& value) {
    return set(name, &value, 1);
  }
  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, std::initializer_list<T> values) {
    return set(name, values.begin(), static_cast<int64_t>(values.size()));
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    check(cudnnBackendSetAttribute(handle_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.handle_),
          "cudnnBackendSetAttribute");
    return *this;
  }

  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<cudnnBackendDescriptor_t>& values) {
    check(cudnnBackendSetAttribute(handle_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(values.size()),
                                   values.data()),
          "cudnnBackendSetAttribute");
    return *this;
  }

  /// Up to `capacity` values; returns how many there are (capacity 0: only asks).
  template <class T>
  int64_t read(cudnnBackendAttributeName_t name, T* values, int64_t capacity) const {
    int64_t count = 0;
    check(cudnnBackendGetAttribute(handle_, name, dnn_type<T>, capacity, &count, values), "cudnnBackendGetAttribute");
    return count;
  }
  /// Descriptors are read into ones the caller made.
  int64_t read(cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t* values, int64_t capacity) const {
    int64_t count = 0;
    check(cudnnBackendGetAttribute(handle_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, capacity, &count, values),
          "cudnnBackendGetAttribute");
    return count;
  }

  /// The status tells whether cuDNN supports what was described.
  [[nodiscard]] cudnnStatus_t finalize() { return cudnnBackendFinalize(handle_); }

 private:
  cudnnBackendDescriptor_t handle_ = nullptr;
};

}  // namespace weft::cuda
