// Parameter and Buffer: shared handles to one value (and one gradient) per device. A module holds them by value; copies
// of a handle mean the same parameter. No replica of a module is ever made: on(device) picks the copy that belongs to
// the calling rank.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "weft/tensor/group.h"
#include "weft/tensor/tensor.h"

namespace weft::nn {

/// What Parameter and Buffer share: copies of one value, one per place. A place is a device, or one of several ranks
/// on it; those share the value's memory if `shares_value`, else each has its own.
class Placed {
 public:
  bool defined() const { return static_cast<bool>(state_); }
  const Shape& shape() const { return first().shape(); }
  DType dtype() const { return first().dtype(); }
  int64_t numel() const { return first().numel(); }
  /// Devices in order of placement; a device that serves several ranks is listed as often.
  std::vector<Device> devices() const;
  /// The copy of the calling rank on `device`. Throws DeviceError naming the parameter and where it is.
  const Tensor& on(Device device) const;
  /// The copy of rank `place`.
  const Tensor& at(int place) const;
  int places() const;
  /// Writes `value` (any device, same shape) into every copy. Throws ShapeError.
  void set(const Tensor& value) const;
  /// Moves or adds copies with the values of the first one; repeated devices are ranks on one device.
  void to(std::span<const Device> devices) const;
  /// Converts every copy; gradients are dropped. Not while a tape or an optimizer holds the old values. Throws
  /// DtypeError if `dtype` is not floating.
  void to(DType dtype) const;
  /// Makes one value of copies that differ from rank to rank, as running statistics do that every rank gathers from its
  /// own share (see Buffer::took_in). Called by whoever takes the copies for one value: saving, to(), evaluation. Waits
  /// for the devices if there is anything to merge. Thread-safe.
  void settle() const;
  /// As the module that holds it names it: "layer1.0.conv1.weight"; empty before a module listed it.
  const std::string& name() const;
  void set_name(const std::string& name) const;
  bool same(const Placed& other) const { return state_ == other.state_; }

 protected:
  struct Statistics;  // a running mean and variance, and what their copies have taken in
  struct Copy {
    Device device;
    int replica;
    Tensor value;
  };
  struct State {
    std::string name;
    std::vector<Copy> copies;
    GradReq request = GradReq::null;
    bool shares_value = false;
    Order order = Order::fastest;
    double lr_mult = 1, wd_mult = 1;
    std::shared_ptr<Statistics> statistics = {};
  };
  Placed() = default;
  Placed(const Tensor& value, GradReq request, bool shares_value);
  const Tensor& first() const;
  State& state() const;

  std::shared_ptr<State> state_;
};

class Parameter : public Placed {
 public:
  /// Undefined: a layer without bias.
  Parameter() = default;
  /// Takes over `value`; floating dtype.
  explicit Parameter(const Tensor& value, GradReq request = GradReq::write) : Placed(value, request, true) {}

  /// The gradient of the calling rank's copy; undefined before the first backward pass.
  Tensor grad_on(Device device) const { return on(device).grad(); }
  Tensor grad_at(int place) const { return at(place).grad(); }
  void zero_grad() const;
  GradReq request() const { return state().request; }
  /// null freezes: operations no longer track the parameter.
  void set_request(GradReq request) const;
  /// How the gradients of the copies are summed.
  Order order() const { return state().order; }
  void set_order(Order order) const { state().order = order; }
  /// Factors on the learning rate and the weight decay, read at every step.
  double lr_mult() const { return state().lr_mult; }
  double wd_mult() const { return state().wd_mult; }
  void set_lr_mult(double factor) const { state().lr_mult = factor; }
  void set_wd_mult(double factor) const { state().wd_mult = factor; }
};

/// A value that belongs to a module but is not trained, such as running statistics. Every rank has its own copy.
class Buffer : public Placed {
 public:
  Buffer() = default;
  explicit Buffer(const Tensor& value) : Placed(value, GradReq::null, false) {}

  /// The calling rank's copies of a running mean and variance on `device` took in `count` more values per channel,
  /// which the other copies did not see. settle() merges them by the law of total variance, w_i being rank i's part of
  /// the values taken in since they were last one:  mean = sum w_i mean_i,  var = sum w_i (var_i + (mean_i - mean)^2).
  static void took_in(const Buffer& mean, const Buffer& variance, Device device, double count);
};

}  // namespace weft::nn
