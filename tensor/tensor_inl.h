// Template members of Tensor. Included by tensor.h only.
#pragma once

namespace weft {

namespace detail {
/// Copies logical elements to host memory as `dtype`, in row-major order.
void copy_to_host(const Tensor& x, DType dtype, void* host);
/// A new tensor with host values of `dtype` in row-major order.
Tensor copy_from_host(const void* host, const Shape& shape, DType dtype, Device device);
}  // namespace detail

template <class T>
std::vector<T> Tensor::to_vector() const {
  if constexpr (std::is_same_v<T, bool>) {
    const std::vector<uint8_t> bytes = to_vector<uint8_t>();
    return std::vector<bool>(bytes.begin(), bytes.end());
  } else {
    std::vector<T> values(static_cast<size_t>(numel()));
    detail::copy_to_host(*this, dtype_of<T>, values.data());
    return values;
  }
}

template <class T>
T Tensor::item() const {
  WEFT_CHECK(ShapeError, numel() == 1, "item: the tensor has shape ", shape(), "; item() needs exactly one element");
  T value;
  detail::copy_to_host(*this, dtype_of<T>, &value);
  return value;
}

template <class T>
Tensor tensor(const std::vector<T>& values, const Shape& shape, Device device) {
  WEFT_CHECK(ShapeError, numel_of(shape, "tensor") == static_cast<int64_t>(values.size()), "tensor: ", values.size(),
             " values do not fill shape ", shape);
  if constexpr (std::is_same_v<T, bool>) {
    const std::vector<uint8_t> bytes(values.begin(), values.end());
    return detail::copy_from_host(bytes.data(), shape, DType::boolean, device);
  } else {
    return detail::copy_from_host(values.data(), shape, dtype_of<T>, device);
  }
}

template <class T>
Tensor tensor(std::initializer_list<std::initializer_list<T>> rows, Device device) {
  const size_t columns = rows.size() ? rows.begin()->size() : 0;
  std::vector<T> values;
  for (const auto& row : rows) {
    WEFT_CHECK(ShapeError, row.size() == columns, "tensor: rows of ", columns, " and ", row.size(), " values");
    values.insert(values.end(), row.begin(), row.end());
  }
  return tensor(values, {static_cast<int64_t>(rows.size()), static_cast<int64_t>(columns)}, device);
}

}  // namespace weft
