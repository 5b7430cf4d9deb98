#include "weft/nn/parameter.h"

#include "weft/tensor/group.h"
#include "weft/tensor/ops/copy.h"

namespace weft::nn {

Placed::Placed(const Tensor& value, GradReq request, bool shares_value) : state_(std::make_shared<State>()) {
  Tensor copy = value.detach();
  if (request != GradReq::null) copy.attach_grad(request);
  state_->copies.push_back({value.device(), 0, copy});
  state_->request = request;
  state_->shares_value = shares_value;
}

Placed::State& Placed::state() const {
  WEFT_CHECK(Error, defined(), "parameter: this parameter is undefined; a layer built without it has none");
  return *state_;
}

const Tensor& Placed::first() const { return state().copies.front().value; }
int Placed::places() const { return static_cast<int>(state().copies.size()); }
const std::string& Placed::name() const { return state().name; }
void Placed::set_name(const std::string& name) const { state().name = name; }

std::vector<Device> Placed::devices() const {
  std::vector<Device> devices;
  for (const Copy& copy : state().copies) devices.push_back(copy.device);
  return devices;
}

const Tensor& Placed::on(Device device) const {
  const int replica = current_rank().replica;
  for (const Copy& copy : state().copies)
    if (copy.device == device && copy.replica == replica) return copy.value;
  std::string places;
  for (const Copy& copy : state().copies) places += (places.empty() ? "" : ", ") + to_string(copy.device);
  fail<DeviceError>("parameter '", name(), "' is not on ", device, replica ? " for this rank" : "", "; it is on ",
                    places, "; place it with module.to({\"", device, "\"})");
}

const Tensor& Placed::at(int place) const {
  WEFT_CHECK(IndexError, place >= 0 && place < places(), "parameter '", name(), "': place ", place, " of ", places());
  return state().copies[static_cast<size_t>(place)].value;
}

void Placed::set(const Tensor& value) const {
  WEFT_CHECK(ShapeError, value.shape() == shape(), "parameter '", name(), "': shape ", shape(),
             " cannot take a value of shape ", value.shape());
  for (const Copy& copy : state().copies)
    if (copy.replica == 0 || !state().shares_value) ops::copy_(copy.value.detach(), value, {}, "set");
}

void Placed::to(std::span<const Device> devices) const {
  WEFT_CHECK(DeviceError, !devices.empty(), "to: no devices given for parameter '", name(), "'");
  State& s = state();
  std::vector<Copy> next;
  for (const Device device : devices) {
    check_exists(device);
    int replica = 0;
    const Copy* neighbour = nullptr;
    for (const Copy& copy : next)
      if (copy.device == device) ++replica, neighbour = &copy;
    const Copy* kept = nullptr;
    for (const Copy& copy : s.copies)
      if (copy.device == device && copy.replica == replica) kept = &copy;
    if (kept) {
      next.push_back(*kept);
      continue;
    }
    Tensor value;
    if (neighbour && s.shares_value)
      value = neighbour->value.detach();
    else if (neighbour || first().device() == device)
      value = ops::clone((neighbour ? neighbour->value : first()).detach());
    else
      value = ops::to(first().detach(), device);
    if (s.request != GradReq::null) value.attach_grad(s.request);
    next.push_back({device, replica, value});
  }
  s.copies = std::move(next);
}

void Parameter::zero_grad() const {
  for (int i = 0; i < places(); ++i) at(i).zero_grad();
}

void Parameter::set_request(GradReq request) const {
  State& s = state();
  if (s.request == request) return;
  s.request = request;
  for (Copy& copy : s.copies) copy.value.attach_grad(request);
}

}  // namespace weft::nn
