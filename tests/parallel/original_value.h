// Python's objects and how the original splits them; see original.h.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "weft/tensor/tensor.h"

namespace original {

struct PythonError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Kind { none, tensor, tuple, list, dict, other };
struct Value;
using Values = std::vector<Value>;

struct Value {
  Kind kind = Kind::none;
  weft::Tensor tensor = {};
  Values items = {};
  std::vector<std::string> keys = {};  // of a dict, beside its items
  std::vector<float> other = {};       // anything that is no NDArray: a number, a host array

  Value() = default;
  Value(const weft::Tensor& x) : kind(Kind::tensor), tensor(x) {}
  Value(Kind k, Values v) : kind(k), items(std::move(v)) {}
};
inline Value tuple(Values items) { return {Kind::tuple, std::move(items)}; }
inline Value list(Values items) { return {Kind::list, std::move(items)}; }
inline Value object(std::vector<float> values) {
  Value v(Kind::other, {});
  v.other = std::move(values);
  return v;
}
inline Value dict(const std::vector<std::pair<std::string, Value>>& entries) {
  Value v(Kind::dict, {});
  for (const auto& [key, value] : entries) {
    v.keys.push_back(key);
    v.items.push_back(value);
  }
  return v;
}

/// a + b of two tuples.
inline Value joined(const Value& a, const Value& b) {
  if (a.kind != Kind::tuple || b.kind != Kind::tuple) throw PythonError("TypeError: can only concatenate tuples");
  Value sum = a;
  sum.items.insert(sum.items.end(), b.items.begin(), b.items.end());
  return sum;
}

/// `for item in value`: a dict gives its keys, None nothing but an error.
inline Values iterate(const Value& value) {
  if (value.kind == Kind::dict) return Values(value.items.size(), object({}));
  if (value.kind == Kind::tuple || value.kind == Kind::list) return value.items;
  throw PythonError("TypeError: object is not iterable");
}

inline void wait_to_read(const Value& value) {
  if (value.kind != Kind::tensor) throw PythonError("AttributeError: object has no attribute 'wait_to_read'");
  value.tensor.wait();
}

/// How deep tensors lie: 0 for a tensor, 1 for a tuple of them.
inline int depth(const Value& value) {
  return value.kind == Kind::tensor || value.items.empty() ? 0 : 1 + depth(value.items[0]);
}

/// gluon.utils.split_and_load: fewer slices than devices where the batch is smaller.
inline Values split_and_load(const weft::Tensor& x, const std::vector<weft::Device>& devices, bool even_split) {
  if (devices.size() == 1) return {x.to(devices[0])};
  auto slices = static_cast<int64_t>(devices.size());
  const int64_t size = x.size(0);
  if (even_split && size % slices != 0) throw PythonError("ValueError: data cannot be evenly split");
  int64_t step = size / slices;
  if (!even_split && size < slices) step = 1, slices = size;
  Values parts;
  for (int64_t i = 0; i < slices; ++i)
    parts.push_back(x.slice(0, i * step, i + 1 < slices ? (i + 1) * step : size).to(devices[static_cast<size_t>(i)]));
  return parts;
}

/// split_map of split_load_kwargs; zip ends with the shortest.
inline Values split_map(const Value& value, const std::vector<weft::Device>& devices) {
  if (value.kind == Kind::tensor) return split_and_load(value.tensor, devices, false);
  if (value.items.empty()) return Values(devices.size(), value);
  std::vector<Values> columns;
  size_t shortest = devices.size();
  for (const Value& item : value.items) {
    columns.push_back(split_map(item, devices));
    shortest = std::min(shortest, columns.back().size());
  }
  Values shares;
  for (size_t device = 0; device < shortest; ++device) {
    Value share(value.kind, {});
    share.keys = value.keys;
    for (const Values& column : columns) share.items.push_back(column[device]);
    shares.push_back(share);
  }
  return shares;
}

inline std::pair<Values, Values> split_load_kwargs(const Value& inputs, const Value& named,
                                                   const std::vector<weft::Device>& devices) {
  Values a = inputs.items.empty() ? Values() : split_map(inputs, devices);
  Values b = named.items.empty() ? Values() : split_map(named, devices);
  while (a.size() < b.size()) a.push_back(tuple({}));
  while (b.size() < a.size()) b.push_back(dict({}));
  return {a, b};
}

}  // namespace original
