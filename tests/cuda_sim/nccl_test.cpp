// Collectives of CUDA devices by NCCL: values, which communicators there are, what runs beside their launch, and what
// becomes of those that fail. One file although it is long: every case begins and ends with one process's cliques.
#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <thread>

#include "tests/cuda_sim/operand.h"
#include "tests/cuda_sim/sim.h"
#include "weft/cuda/blas.h"
#include "weft/cuda/nccl_cliques.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/creation.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/profile.h"

using namespace weft;
using namespace weft::test;
using namespace std::chrono_literals;

namespace {

using Numbers = std::vector<double>;

std::vector<Device> gpus(std::initializer_list<int> indices) {
  std::vector<Device> devices;
  for (const int i : indices) devices.push_back(Device(DeviceType::cuda, i));
  return devices;
}
std::vector<Device> first_gpus(int n) {
  std::vector<Device> devices;
  for (int i = 0; i < n; ++i) devices.push_back(Device(DeviceType::cuda, i));
  return devices;
}

// Small whole numbers, other ones for each rank; bools alternate.
Tensor values(int rank, const Shape& shape, DType dtype, Device device) {
  std::vector<float> numbers(static_cast<size_t>(numel_of(shape)));
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = dtype == DType::boolean ? static_cast<float>((i + static_cast<size_t>(rank)) % 3 == 0)
                                         : static_cast<float>((i * 3 + static_cast<size_t>(rank) * 7) % 11);
  return tensor(numbers, shape).to(dtype).to(device);
}
Tensors on(const std::vector<Device>& devices, const Shape& shape, DType dtype = DType::f32) {
  Tensors x;
  for (const Device device : devices) x.push_back(values(static_cast<int>(x.size()), shape, dtype, device));
  return x;
}
Tensors on_cpu(const Tensors& x) {
  Tensors y;
  for (const Tensor& t : x) y.push_back(t.to("cpu:0"));
  return y;
}
Numbers numbers(const Tensor& x) { return x.to("cpu:0").to(DType::f64).to_vector<double>(); }
std::vector<Numbers> numbers(const Tensors& x) {
  std::vector<Numbers> all;
  for (const Tensor& t : x) all.push_back(numbers(t));
  return all;
}

constexpr DType dtypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16,
                            DType::i64, DType::i32, DType::u8,  DType::boolean};

int64_t taken() { return collectives_taken(DeviceType::cuda); }
cuda::CliqueCounts counts() { return cuda::Cliques::instance().counts(); }

// Devices as in a fresh process; deadlines that a loaded machine keeps, or short ones where one is to pass.
struct Fresh {
  CommOptions before = comm_options();
  bool lost_results = false;  // which the case may read all the same
  Fresh() {
    fresh_devices();
    be_patient();
  }
  ~Fresh() {
    set_comm_options(before);
    sim::run_all();
    const std::vector<std::string> reports = sim::take_reports();
    CHECK_MESSAGE((reports.empty() || lost_results), (reports.empty() ? std::string() : reports[0]));
    fresh_devices();
  }
  void be_patient() const { set_comm_options({.deadline = 20s, .abort_deadline = 5s}); }
  void be_impatient() {
    set_comm_options({.deadline = 100ms, .abort_deadline = 100ms});
    lost_results = true;
  }
  // The collectives of these devices work, and nothing is reported.
  void check_recovery(const std::vector<Device>& devices) const;
  Fresh(const Fresh&) = delete;
  Fresh& operator=(const Fresh&) = delete;
};

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void plan(sim::FaultKind kind, int device, int64_t nth, int code) {
  sim::inject({.kind = kind, .device = device, .nth = nth, .code = code});
}

void Fresh::check_recovery(const std::vector<Device>& devices) const {
  be_patient();
  sim::run_all();
  sim::take_reports();
  const Tensors x = on(devices, {5});
  CHECK(numbers(ops::all_reduce(x)) == numbers(ops::all_reduce(on_cpu(x))));
  sim::run_all();
  CHECK(sim::take_reports().empty());
}

}  // namespace

TEST_SUITE("cuda_sim/nccl") {
  TEST_CASE("values of every collective and dtype on 1 to 4 devices are those of the CPU") {
    const Fresh fresh;
    const Shape shape{3, 5};
    for (int n = 1; n <= 4; ++n)
      for (const DType dtype : dtypes) {
        CAPTURE(n);
        CAPTURE(to_string(dtype));
        const auto devices = first_gpus(n);
        const Tensors x = on(devices, shape, dtype), expected = on_cpu(x);
        const int64_t before = taken();
        CHECK(numbers(ops::all_reduce(x)) == numbers(ops::all_reduce(expected)));
        CHECK(numbers(ops::all_reduce(x, Order::tree)) == numbers(ops::all_reduce(expected)));
        for (int64_t axis = 0; axis < 2; ++axis)
          CHECK(numbers(ops::all_gather(x, axis)) == numbers(ops::all_gather(expected, axis)));
        for (const Device root : devices) {
          const Tensor sum = ops::reduce(x, root);
          CHECK(sum.device() == root);
          CHECK(numbers(sum) == numbers(ops::reduce(expected, "cpu:0")));
          const Tensors copies = ops::broadcast(x[static_cast<size_t>(root.index)], devices);
          for (int i = 0; i < n; ++i) {
            CHECK(copies[static_cast<size_t>(i)].device() == devices[static_cast<size_t>(i)]);
            CHECK(numbers(copies[static_cast<size_t>(i)]) == numbers(x[static_cast<size_t>(root.index)]));
          }
        }
        CHECK(taken() - before == (n == 1 ? 0 : 4 + 2 * n));
      }
    CHECK(counts().created >= 1);
  }

  TEST_CASE("parts of different sizes, some empty, along any axis") {
    const Fresh fresh;
    for (const DType dtype : {DType::f32, DType::boolean, DType::f64}) {
      const Tensors x{values(0, {2, 3}, dtype, "cuda:0"), values(1, {0, 3}, dtype, "cuda:1"),
                      values(2, {5, 3}, dtype, "cuda:2")};
      const int64_t before = taken();
      CHECK(numbers(ops::all_gather(x)) == numbers(ops::all_gather(on_cpu(x))));
      Tensors turned;
      for (const Tensor& t : x) turned.push_back(t.transpose());
      CHECK(numbers(ops::all_gather(turned, 1)) == numbers(ops::all_gather(on_cpu(turned), 1)));
      CHECK(taken() - before == 2);
    }
  }

  TEST_CASE("layouts: what is sent is memory, so all ranks send it in one order") {
    const Fresh fresh;
    Tensors x = on(gpus({0, 1, 2}), {2, 3, 4, 2});
    x[1] = x[1].contiguous(Layout::channels_last);
    x[2] = x[2].transpose(0, 1).contiguous().transpose(0, 1);
    CHECK(numbers(ops::all_reduce(x)) == numbers(ops::all_reduce(on_cpu(x))));
    CHECK(numbers(ops::all_reduce(x, Order::tree)) == numbers(ops::all_reduce(on_cpu(x))));
    CHECK(numbers(ops::reduce(x, "cuda:1")) == numbers(ops::reduce(on_cpu(x), "cpu:0")));
    CHECK(numbers(ops::all_gather(x, 1)) == numbers(ops::all_gather(on_cpu(x), 1)));
    const Tensor gaps = x[0].slice(3, 0, 1);
    CHECK(numbers(ops::broadcast(gaps, gpus({0, 1, 2}))[2]) == numbers(gaps));
    for (Tensor& t : x) t = t.contiguous(Layout::channels_last);
    CHECK(ops::all_reduce(x)[1].is_contiguous(Layout::channels_last));
  }

  TEST_CASE(
      "what NCCL does not do goes the general way: one rank, a device twice, no elements, other kinds of device") {
    const Fresh fresh;
    const int64_t before = taken();
    const Tensors twice{values(0, {3}, DType::f32, "cuda:0"), values(1, {3}, DType::f32, "cuda:0")};
    CHECK(numbers(ops::all_reduce(twice)) == numbers(ops::all_reduce(on_cpu(twice))));
    CHECK(ops::all_reduce(on(gpus({0, 1}), {0, 3}))[1].shape() == Shape{0, 3});
    const Tensors mixed{values(0, {3}, DType::f32, "cuda:0"), values(1, {3}, DType::f32, "cpu:0")};
    CHECK(numbers(ops::all_reduce(mixed)) == numbers(ops::all_reduce(on_cpu(mixed))));
    CHECK(numbers(ops::broadcast(twice[0], gpus({1, 2}))[1]) == numbers(twice[0]));  // whose root is no rank
    CHECK(numbers(ops::reduce(on(gpus({0, 1}), {3}), "cuda:2")) ==
          numbers(ops::reduce(on_cpu(on(gpus({0, 1}), {3})), "cpu:0")));
    CHECK(taken() == before);
  }

  TEST_CASE("the tree over shares has the same bits on any number of devices; sums of NCCL have those of their order") {
    const Fresh fresh;
    const auto fraction = [](int rank, Device device) {
      Tensor x = values(rank, {257}, DType::f32, "cpu:0");
      return (x * 0.1 + 0.37 / (rank + 1)).to(device);
    };
    const auto sums = [&](const std::vector<Device>& devices, Order order) {
      Tensors x;
      for (const Device device : devices) x.push_back(fraction(static_cast<int>(x.size()), device));
      const Tensors y = ops::all_reduce(x, order);
      for (size_t i = 1; i < y.size(); ++i) CHECK(numbers(y[i]) == numbers(y[0]));
      return numbers(y[0]);
    };
    const Numbers expected = sums(gpus({0, 1, 2, 3}), Order::tree);
    const int64_t before = taken();
    CHECK(sums(gpus({0, 0, 1, 1}), Order::tree) == expected);
    CHECK(sums(gpus({1, 0, 1, 0}), Order::tree) == expected);
    CHECK(taken() == before + 2);
    CHECK(sums(gpus({2, 2, 2, 2}), Order::tree) == expected);
    CHECK(sums({"cpu:0", "cpu:1", "cpu:2", "cpu:3"}, Order::tree) == expected);

    const Numbers once = sums(gpus({0, 1, 2, 3}), Order::fastest);
    CHECK(sums(gpus({0, 1, 2, 3}), Order::fastest) == once);
    sim::set_reduction_seed(2);
    CHECK(sums(gpus({0, 1, 2, 3}), Order::fastest) != once);
    CHECK(sums(gpus({0, 1, 2, 3}), Order::tree) == expected);
    sim::set_reduction_seed(1);
  }

  TEST_CASE("communicators are made once, split from larger ones, and bounded in number") {
    const Fresh fresh;
    const auto before = counts();
    const auto use = [](std::initializer_list<int> indices) {
      const Tensors x = on(gpus(indices), {3});
      CHECK(numbers(ops::all_reduce(x)) == numbers(ops::all_reduce(on_cpu(x))));
    };
    for (int i = 0; i < 3; ++i) use({0, 1, 2});
    CHECK(counts().created - before.created == 1);
    use({0, 2});
    use({2, 1});  // in another order of ranks
    use({0, 2});
    CHECK(counts().created - before.created == 1);
    CHECK(counts().split - before.split == 2);
    use({0, 1, 2, 3});
    CHECK(counts().created - before.created == 2);
    for (const auto& pair : {gpus({0, 1}), gpus({0, 3}), gpus({1, 0}), gpus({1, 2}), gpus({1, 3}), gpus({3, 0})})
      ops::all_reduce(on(pair, {2}));
    for (const Device device : first_gpus(4)) synchronize(device);
    CHECK(counts().cached == static_cast<int64_t>(cuda::Cliques::max_cached));
    CHECK(counts().evicted - before.evicted == 2);
    use({0, 1, 2});  // was evicted: the first in use
  }

  TEST_CASE("streams: a collective runs on each device's current one, in its order") {
    const Fresh fresh;
    const auto devices = gpus({0, 1});
    const StreamGuard first(Stream::create(devices[0])), second(Stream::create(devices[1]));
    Tensors x = on(devices, {1000});
    for (int i = 0; i < 3; ++i) {
      for (Tensor& t : x) t = t + 1.0;
      x = ops::all_reduce(x);
    }
    const Numbers start = numbers(ops::reduce(on_cpu(on(devices, {1000})), "cpu:0"));
    CHECK(numbers(x[0])[17] == start[17] * 4 + 14);
    CHECK(numbers(x[1]) == numbers(x[0]));
  }

  TEST_CASE("a kernel of another thread is not launched, and so not loaded, within a grouped launch") {
    const Fresh fresh;
    const auto devices = first_gpus(2);
    const Tensors x = on(devices, {6}), y = on(devices, {6});
    const Tensor z = zeros({6}, {.device = devices[1]});
    std::thread other;
    std::promise<void> filled;
    bool meanwhile = false;
    cuda::Cliques::instance().launch(
        {0, 1}, {"all_reduce", "float32[6]", 24}, {current_stream(devices[0]), current_stream(devices[1])},
        [&](size_t rank, ncclComm_t comm, cudaStream_t stream) {
          if (rank == 1) {  // cuda:0's part is on its way
            other = std::thread([&] { ops::fill(z, 3), filled.set_value(); });
            meanwhile = filled.get_future().wait_for(100ms) == std::future_status::ready;
          }
          return ncclAllReduce(x[rank].raw(), y[rank].raw(), 6, ncclFloat32, ncclSum, comm, stream);
        });
    other.join();
    CHECK(!meanwhile);
    CHECK(numbers(z) == Numbers(6, 3.0));
    CHECK(numbers(y) == numbers(ops::all_reduce(on_cpu(x))));
  }

  TEST_CASE("a collective is not launched within a call of cuBLAS, and its parts in a profile begin after it") {
    const Fresh fresh;
    const auto devices = first_gpus(2);
    const Tensors x = on(devices, {6});
    ops::all_reduce(x);  // the communicator is there
    std::promise<void> begun;
    std::atomic<bool> launched{false};
    bool meanwhile = false;
    Profile profile;
    std::thread other([&] {
      const cuda::BlasScope blas({devices[1], 0}, "test", 64);
      const ProfileRange range("held");
      begun.set_value();
      std::this_thread::sleep_for(100ms);
      meanwhile = launched;
    });
    begun.get_future().wait();
    const Tensors y = ops::all_reduce(x);
    launched = true;
    other.join();
    CHECK(!meanwhile);
    double free = 0;
    std::vector<double> begins;
    for (const ProfileEvent& e : profile.events()) {
      if (e.name == "held") free = e.end;
      if (e.name == "all_reduce" && e.on_stream) begins.push_back(e.begin);
    }
    CHECK(begins.size() == 2);
    for (const double begin : begins) CHECK(begin >= free);
    CHECK(numbers(y) == numbers(ops::all_reduce(on_cpu(x))));
  }

  TEST_CASE("a launch that fails leaves failed parts in a profile") {
    const Fresh fresh;
    const auto devices = first_gpus(2);
    const Tensors x = on(devices, {6});
    ops::all_reduce(x);
    plan(sim::FaultKind::nccl, 1, 0, ncclInternalError);
    Profile profile;
    CHECK(!error_of([&] { ops::all_reduce(x); }).empty());
    const Tensors y = ops::all_reduce(x);
    std::vector<std::pair<Device, bool>> parts;  // whether they failed
    for (const ProfileEvent& e : profile.events())
      if (e.kind == ProfileKind::operation && e.name == "all_reduce") parts.emplace_back(e.stream.device, e.failed);
    CHECK(parts == std::vector<std::pair<Device, bool>>{
                       {devices[0], true}, {devices[1], true}, {devices[0], false}, {devices[1], false}});
  }

  TEST_CASE("a lost peer: the wait ends at the deadline, every device is told, and the next collective works") {
    for (int lost = 0; lost < 3; ++lost) {
      CAPTURE(lost);
      Fresh fresh;
      const auto devices = first_gpus(3);
      ops::broadcast(ones({4}, {.device = devices[0]}), devices);
      const auto before = counts();
      fresh.be_impatient();
      plan(sim::FaultKind::nccl_lost_peer, lost, 0, 1);
      const Tensors y = ops::all_reduce(on(devices, {1024}));
      CHECK(sim::fired(sim::FaultKind::nccl_lost_peer) == 1);
      const auto began = std::chrono::steady_clock::now();
      const std::string text = error_of([&] { numbers(y[0]); });
      CHECK(std::chrono::steady_clock::now() - began < 5s);
      CHECK_MESSAGE(has(text, "all_reduce #2 float32[1024]: not finished on cuda:0, cuda:1, cuda:2 within 0.1 s"),
                    text);
      CHECK_MESSAGE(has(text,
                        "the last operations on cuda:0, cuda:1, cuda:2, newest first: all_reduce #2 float32[1024], "
                        "broadcast #1 float32[4]"),
                    text);
      CHECK(counts().given_up - before.given_up == 1);
      CHECK(error_of([&] { numbers(y[0]); }).empty());  // told once; the memory is whatever it was
      std::string other;
      std::thread([&] { other = error_of([&] { synchronize(devices[1]); }); }).join();
      CHECK(other == text);
      finish_collectives(devices);  // has been told
      fresh.check_recovery(devices);
    }
  }

  TEST_CASE("finish_collectives is told first, for all devices at once") {
    Fresh fresh;
    const auto devices = first_gpus(2);
    plan(sim::FaultKind::nccl_lost_peer, 1, 2, 1);  // 0 and 1 are of setting up
    ops::all_reduce(on(devices, {8}));
    finish_collectives(devices);
    ops::all_reduce(on(devices, {8}));
    fresh.be_impatient();
    const std::string text = error_of([&] { finish_collectives(devices); });
    CHECK_MESSAGE(has(text, "all_reduce #2 float32[8]: not finished on cuda:0, cuda:1"), text);
    finish_collectives(devices);
    for (const Device device : devices) synchronize(device);
  }

  TEST_CASE("a peer that is slow but not dead is waited for") {
    const Fresh fresh;
    const auto devices = first_gpus(3);
    plan(sim::FaultKind::nccl_slow_peer, 1, 0, 50);
    const Tensors x = on(devices, {6});
    const auto began = std::chrono::steady_clock::now();
    CHECK(numbers(ops::all_reduce(x)) == numbers(ops::all_reduce(on_cpu(x))));
    CHECK(sim::fired(sim::FaultKind::nccl_slow_peer) == 1);
    CHECK(std::chrono::steady_clock::now() - began >= 50ms);
  }

  TEST_CASE("setting up: what fails in one rank is said of its device, and nobody waits for it") {
    const auto devices = first_gpus(3);
    for (int rank = 0; rank < 3; ++rank) {
      CAPTURE(rank);
      const std::string device = "cuda:" + std::to_string(rank);
      {
        Fresh fresh;
        const Tensors x = on(devices, {6});
        plan(sim::FaultKind::nccl, rank, rank == 0 ? 2 : 0, ncclSystemError);  // 0 and 1: the unique id, the group
        const std::string text = error_of([&] { ops::all_reduce(x); });
        CHECK_MESSAGE(has(text, "communicator of cuda:0, cuda:1, cuda:2: NCCL failed on " + device +
                                    " with 2 (unhandled system error)"),
                      text);
        CHECK_MESSAGE(has(text, "; the last operations, newest first, on cuda:0 (copy"), text);
        fresh.check_recovery(devices);
      }
      {
        Fresh fresh;
        const Tensors x = on(devices, {6});
        fresh.be_impatient();
        plan(sim::FaultKind::nccl_lost_peer, rank, 0, 1);
        const std::string text = error_of([&] { ops::all_reduce(x); });
        CHECK_MESSAGE(
            has(text, "communicator of cuda:0, cuda:1, cuda:2: not ready on cuda:0, cuda:1, cuda:2 within 0.1 s"),
            text);
        fresh.check_recovery(devices);
      }
      {
        Fresh fresh;
        const Tensors x = on(devices, {6});
        plan(sim::FaultKind::nccl_async, rank, 0, ncclInternalError);
        const std::string text = error_of([&] { ops::all_reduce(x); });
        CHECK_MESSAGE(has(text, "NCCL failed on " + device + " with 3 (internal error)"), text);
        fresh.check_recovery(devices);
      }
    }
  }

  TEST_CASE("an asynchronous error is found by who waits, and blamed on who has it") {
    const Fresh fresh;
    const auto devices = first_gpus(3);
    Tensors y = ops::all_reduce(on(devices, {6}));
    plan(sim::FaultKind::nccl_async, 2, 0, ncclSystemError);
    plan(sim::FaultKind::nccl_async, 0, 0, ncclRemoteError);
    const std::string text = error_of([&] { synchronize(devices[0]); });
    CHECK_MESSAGE(has(text, "all_reduce #1 float32[6]: NCCL failed on cuda:2 with 2"), text);
  }

  TEST_CASE("an abort that hangs is left to itself: its devices say so, the others work") {
    Fresh fresh;
    const auto devices = first_gpus(2);
    plan(sim::FaultKind::nccl_lost_peer, 1, 1, 1);
    plan(sim::FaultKind::nccl_abort, 0, 0, 1);
    ops::all_reduce(on(devices, {6}));
    fresh.be_impatient();
    const auto began = std::chrono::steady_clock::now();
    const std::string text = error_of([&] { synchronize(devices[0]); });
    CHECK_MESSAGE(has(text, "all_reduce #1 float32[6]: not finished on cuda:0, cuda:1 within 0.1 s"), text);
    CHECK_MESSAGE(
        has(text, "its abort has not ended within 0.1 s, so cuda:0, cuda:1 may stay busy: save on other devices"),
        text);
    const std::string busy = error_of([&] { synchronize(devices[0]); });
    CHECK_MESSAGE(has(busy, "cuda:0 is kept busy"), busy);
    CHECK_MESSAGE(has(busy, "; the last operations on cuda:0, cuda:1, newest first: all_reduce #1 float32[6]"), busy);
    CHECK(has(error_of([&] { synchronize(devices[1]); }), "cuda:1 is kept busy"));
    CHECK(std::chrono::steady_clock::now() - began < 5s);
    CHECK(sim::fired(sim::FaultKind::nccl_abort) == 1);
    fresh.check_recovery(gpus({2, 3}));
  }

  TEST_CASE("the text of a failed collective ends with the last eight") {
    const Fresh fresh;
    const auto devices = first_gpus(2);
    for (int i = 0; i < 9; ++i) ops::all_reduce(on(devices, {i + 1}));
    plan(sim::FaultKind::nccl, 1, 0, ncclInternalError);
    const std::string text = error_of([&] { ops::all_reduce(on(devices, {77})); });
    CHECK_MESSAGE(has(text, "all_reduce #10 float32[77]: NCCL failed on cuda:1 with 3 (internal error)"), text);
    CHECK(has(text, "newest first: all_reduce #10 float32[77], all_reduce #9 float32[9], all_reduce #8"));
    CHECK(has(text, "all_reduce #3 float32[3]"));
    CHECK_FALSE(has(text, "all_reduce #2 float32[2]"));
    finish_collectives(devices);  // what was launched before came to its end
  }
}
