// Golden files: values, gradients and some second gradients as PyTorch computed them; tests/golden/make_golden.py
// writes them and says what is in them. Unlike the op table's references these were not written by the authors of the
// operations.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "tests/support/npz.h"
#include "weft/tensor/tensor.h"

namespace weft::test {

/// One case of a file, in one dtype on one device.
class Golden {
 public:
  Golden(const std::map<std::string, NpyArray>& file, std::string name, DType dtype, Device device)
      : file_(file), name_(std::move(name)), dtype_(dtype), device_(device) {}

  bool has(const std::string& what) const { return file_.count(name_ + "/" + what) > 0; }
  const Array& array(const std::string& what) const { return file_.at(name_ + "/" + what).values; }
  Tensor tensor(const std::string& what) const {
    const NpyArray& a = file_.at(name_ + "/" + what);
    return make_tensor(a.values, a.dtype == DType::f32 ? dtype_ : a.dtype, device_);
  }
  Tensors tensors(const std::string& letter, size_t from = 0) const {
    Tensors list;
    while (has(letter + std::to_string(from + list.size())))
      list.push_back(tensor(letter + std::to_string(from + list.size())));
    return list;
  }
  /// `widening`: of the tolerance, for gradients, which are longer sums than values.
  void compare(const std::string& what, const Tensor& got, double widening = 1) const;

 private:
  const std::map<std::string, NpyArray>& file_;
  std::string name_;
  DType dtype_;
  Device device_;
};

/// The result of a case from its inputs; may compare() more.
using Function = std::function<Tensor(const Tensors& x, const Golden& golden)>;
using Functions = std::map<std::string, Function>;

/// Runs tests/golden/OP.npz on every device in f64 and f32: every case of the file has a function, and the other way
/// round.
void check_file(const std::string& op, const Functions& functions);

template <class F>
Function unary_case(F f) {
  return [f](const Tensors& x, const Golden&) { return f(x[0]); };
}
template <class F>
Function binary_case(F f) {
  return [f](const Tensors& x, const Golden&) { return f(x[0], x[1]); };
}

}  // namespace weft::test
