#include "weft/nn/parameter.h"

#include <mutex>

#include "weft/autograd/record_scope.h"
#include "weft/tensor/group.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/untold.h"

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
  settle();
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

void Placed::to(DType dtype) const {
  WEFT_CHECK(DtypeError, is_floating(dtype), "to: parameter '", name(), "' cannot become ", dtype,
             "; it needs a floating dtype");
  if (dtype == this->dtype()) return;
  settle();
  State& s = state();
  std::vector<Copy> next;
  for (const Copy& copy : s.copies) {
    const Copy* neighbour = nullptr;
    for (const Copy& other : next)
      if (s.shares_value && other.device == copy.device) neighbour = &other;
    Tensor value = neighbour ? neighbour->value.detach() : ops::cast(copy.value.detach(), dtype);
    if (s.request != GradReq::null) value.attach_grad(s.request);
    next.push_back({copy.device, copy.replica, value});
  }
  s.copies = std::move(next);
}

struct Placed::Statistics {
  std::mutex mutex;
  std::weak_ptr<State> mean, variance;
  struct Seen {
    Device device;
    int replica;
    double count;
  };
  std::vector<Seen> seen = {};  // since the copies were last one value

  double seen_by(const Copy& copy) const {
    for (const Seen& s : seen)
      if (s.device == copy.device && s.replica == copy.replica) return s.count;
    return 0;
  }
  void merge(const State& means, const State& variances) const;
};

namespace {

// Guards which statistics a state belongs to. Never destroyed: static modules may still be saved at exit.
std::mutex& statistics_mutex() {
  static std::mutex& instance = *new std::mutex;
  return instance;
}

}  // namespace

// On the host in double: the same bits whatever the devices. All memory is taken before a copy changes. Copies on lost
// devices are left out: what the others hold can still be saved.
void Placed::Statistics::merge(const State& means, const State& variances) const {
  const autograd::NoGrad pause;
  struct Part {
    double count;
    std::vector<double> mean, variance;
  };
  std::vector<Part> parts;
  double total = 0;
  for (size_t i = 0; i < means.copies.size(); ++i) {
    const double count = seen_by(means.copies[i]);
    if (count == 0) continue;
    try {
      const weft::detail::UntoldScope untold;
      parts.push_back(
          {count, means.copies[i].value.to_vector<double>(), variances.copies[i].value.to_vector<double>()});
      total += count;
    } catch (const DeviceLost&) {
    }
  }
  if (parts.empty()) return;
  std::vector<double> mean_of_all(parts[0].mean.size()), variance_of_all(parts[0].mean.size());
  for (const Part& part : parts)
    for (size_t c = 0; c < mean_of_all.size(); ++c) mean_of_all[c] += part.count / total * part.mean[c];
  for (const Part& part : parts)
    for (size_t c = 0; c < mean_of_all.size(); ++c) {
      const double apart = part.mean[c] - mean_of_all[c];
      variance_of_all[c] += part.count / total * (part.variance[c] + apart * apart);
    }
  std::vector<std::pair<Tensor, Tensor>> writes;
  const auto stage = [&](const State& state, const std::vector<double>& values) {
    const Tensor host = tensor(values, state.copies[0].value.shape(), Device());
    for (const Copy& copy : state.copies) {
      try {
        const weft::detail::UntoldScope untold;
        const Tensor staged = empty_like(copy.value);
        ops::copy(staged, host);
        writes.emplace_back(copy.value.detach(), staged);
      } catch (const DeviceLost&) {
      }
    }
  };
  stage(means, mean_of_all);
  stage(variances, variance_of_all);
  for (const auto& [to, from] : writes) ops::copy_(to, from, {}, "settle");
}

void Placed::settle() const {
  std::shared_ptr<Statistics> statistics;
  {
    const std::lock_guard lock(statistics_mutex());
    statistics = state().statistics;
  }
  if (!statistics) return;
  const std::lock_guard lock(statistics->mutex);
  const std::shared_ptr<State> mean = statistics->mean.lock(), variance = statistics->variance.lock();
  if (statistics->seen.empty() || !mean || !variance || mean->copies.size() != variance->copies.size()) return;
  statistics->merge(*mean, *variance);
  statistics->seen.clear();
}

void Buffer::took_in(const Buffer& mean, const Buffer& variance, Device device, double count) {
  std::shared_ptr<Statistics> statistics;
  {
    const std::lock_guard lock(statistics_mutex());
    std::shared_ptr<Statistics>& known = mean.state().statistics;
    if (!known || known->variance.lock() != variance.state_) {
      known = std::make_shared<Statistics>();
      known->mean = mean.state_, known->variance = variance.state_;
      variance.state().statistics = known;
    }
    statistics = known;
  }
  const int replica = current_rank().replica;
  const std::lock_guard lock(statistics->mutex);
  for (Statistics::Seen& seen : statistics->seen)
    if (seen.device == device && seen.replica == replica) return void(seen.count += count);
  statistics->seen.push_back({device, replica, count});
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
