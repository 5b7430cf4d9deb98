// Module: a tree of parameters, buffers and child modules. A module lists its members once (WEFT_MEMBERS); naming,
// saving, printing, moving and freezing follow from that list. One module object serves all devices, so its forward is
// const.
//
//   struct Net : nn::Module {
//     nn::Conv2d conv{3, 16, {.kernel = 3, .padding = 1}};
//     nn::Linear head{16, 10};
//     WEFT_MEMBERS(conv, head)
//     Tensor forward(const Tensor& x) const { … }
//   };
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/autograd/record_scope.h"
#include "weft/nn/parameter.h"

namespace weft::nn {

class Module;

/// One member of a module, under its own name.
struct Member {
  std::string name;
  Parameter* parameter = nullptr;
  Buffer* buffer = nullptr;
  Module* module = nullptr;
};

/// Collects the members of one module, in order. Undefined parameters and empty optionals are left out; elements of a
/// vector are named by their number.
class MemberList {
 public:
  /// `names`: the text of the list, "conv, norm, head".
  template <class... M>
  void add_all(std::string_view names, M&... members) {
    (add(next_name(names), members), ...);
  }
  void add(const std::string& name, Parameter& p) {
    if (p.defined()) members_.push_back({name, &p, nullptr, nullptr});
  }
  void add(const std::string& name, Buffer& b) {
    if (b.defined()) members_.push_back({name, nullptr, &b, nullptr});
  }
  void add(const std::string& name, Module& m) { members_.push_back({name, nullptr, nullptr, &m}); }
  template <class M>
  void add(const std::string& name, std::unique_ptr<M>& m) {
    if (m) add(name, *m);
  }
  template <class M>
  void add(const std::string& name, std::shared_ptr<M>& m) {
    if (m) add(name, *m);
  }
  template <class M>
  void add(const std::string& name, std::optional<M>& m) {
    if (m) add(name, *m);
  }
  /// Elements become `name.0`, `name.1`, …
  template <class M>
  void add(const std::string& name, std::vector<M>& list) {
    for (size_t i = 0; i < list.size(); ++i) add(name + "." + std::to_string(i), list[i]);
  }
  std::vector<Member>& members() { return members_; }

 private:
  static std::string next_name(std::string_view& names);
  std::vector<Member> members_;
};

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Overridden by WEFT_MEMBERS.
  virtual void list_members(MemberList& list);
  /// What stands in the printed tree, e.g. "Conv2d(3, 16, kernel 3, padding 1)"; by default the name of the class.
  virtual std::string describe() const;

  /// All of the tree, in order of registration, under full names; a shared parameter is listed once.
  std::vector<Parameter> parameters() const;
  std::vector<Buffer> buffers() const;
  /// Direct children with their names.
  std::vector<std::pair<std::string, Module*>> children() const;
  int64_t parameter_count() const;
  /// Throws IndexError naming the closest parameters if there is none of that name.
  Parameter parameter(std::string_view name) const;

  /// Places all parameters and buffers; see Placed::to.
  void to(std::span<const Device> devices) const;
  void to(std::initializer_list<Device> devices) const { to(std::span(devices.begin(), devices.size())); }
  void to(Device device) const { to({device}); }
  /// Converts parameters and floating buffers, which are running statistics and no narrower than float32; see
  /// Placed::to.
  void to(DType dtype) const;
  /// The flag of this module and all below; a module trains when this and autograd::is_training() say so.
  void train(bool flag = true);
  void eval() { train(false); }
  bool training() const { return train_ && autograd::is_training(); }
  /// Calls f on this module and all below, parents first.
  void apply(const std::function<void(Module&)>& f);
  /// Stops (or resumes, with GradReq::write) gradients of all parameters.
  void freeze(GradReq request = GradReq::null) const;
  void zero_grad() const;
  /// Copies values of parameters and buffers from a module of the same structure. Throws ShapeError naming the first
  /// difference.
  void copy_from(const Module& other) const;

 private:
  std::vector<Member> members() const;
  void collect(const std::string& prefix, std::vector<Parameter>* parameters, std::vector<Buffer>* buffers) const;
  bool train_ = true;
};

/// The tree with descriptions, shapes and parameter counts.
std::string to_string(const Module& module);
std::ostream& operator<<(std::ostream& out, const Module& module);

/// A new module of the same type with the same values, on the same devices.
template <class M, class... Args>
std::unique_ptr<M> clone(const M& module, const Args&... constructor_arguments) {
  auto copy = std::make_unique<M>(constructor_arguments...);
  copy->copy_from(module);
  return copy;
}

/// A module from one tensor to one tensor: what Sequential strings together.
class Layer : public Module {
 public:
  virtual Tensor forward(const Tensor& x) const = 0;
  Tensor operator()(const Tensor& x) const { return forward(x); }
};

}  // namespace weft::nn

/// Lists a module's parameters, buffers and children by name.
#define WEFT_MEMBERS(...) \
  void list_members(::weft::nn::MemberList& list) override { list.add_all(#__VA_ARGS__, __VA_ARGS__); }
