// Mutants of weft's real kernels and host code: the simulator reports each, and is silent about the right code.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>

#include "../self/support.h"
#include "real.h"
#include "sim.h"
#include "weft/cuda/context.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/ops/batch_norm.h"
#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/cross_entropy.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/matmul.h"
#include "weft/tensor/ops/max_pool2d.h"
#include "weft/tensor/ops/softmax.h"
#include "weft/tensor/ops/sort.h"
#include "weft/tensor/ops/unary.h"
#include "weft/tensor/tensor.h"

namespace weft::cuda {
void load();  // plugs the right kernels and registers the right backend
}

namespace weft::sim {
namespace {

using mutants::real;

const Device cuda0 = "cuda:0", cuda1 = "cuda:1";

Tensor filled(const Shape& shape, double value, Device device = cuda0) {
  Tensor x = empty(shape, {.device = device});
  ops::fill(x, value);
  return x;
}

void unary_of_an_odd_length() { ops::unary(UnaryOp::exp, filled({1001}, 1)); }

void unary_of_a_shifted_view() {
  const Tensor x = filled({1001}, 1);
  ops::unary(UnaryOp::exp, ops::view(x, {1000}, {1}, 1));
}

// More rows than blocks, so that some take two, and one reduction a row.
void softmax_backward_of_many_long_rows() {
  const Tensor x = filled({4 * 64 + 2, 1025}, 1);
  ops::softmax_backward(x, x, 1);
}
void softmax_of_long_rows() { ops::softmax(filled({3, 2000}, 1), 1); }

void cross_entropy_of_chunks() {
  const Tensor labels = empty({9}, {.dtype = DType::i64, .device = cuda0});
  ops::fill(labels, 1);
  ops::cross_entropy(filled({9, 5}, 1), labels, Tensor(), {});
}

void batch_norm_of_chunks() { ops::batch_norm_statistics(filled({300, 6}, 1)); }

void pooling_to_the_edge() { ops::max_pool2d(filled({1, 1, 7, 7}, 1), {.kernel = 3, .stride = 2, .padding = 1}); }

void sorted_rows() {
  Tensor index;
  ops::sort("sort", filled({2, 9}, 1), 1, false, 9, index);
}

void product_of_unequal_extents() { ops::matmul(filled({3, 5}, 1), filled({5, 2}, 1)); }

void convolution_of_small_images() { ops::conv2d(filled({1, 2, 6, 6}, 1), filled({3, 2, 3, 3}, 1), Tensor()); }

void copied_to_the_host() { ops::to(filled({100}, 1), "cpu"); }

void copied_to_a_second_device() { ops::to(filled({100}, 1), cuda1); }

void fill_on_a_second_device() {
  const DeviceGuard guard(cuda0);
  filled({100}, 1, cuda1);
}

void handed_to_another_stream() {
  const Stream producer = Stream::create(cuda0), consumer = Stream::create(cuda0);
  Event ready;
  Tensor x;
  {
    const StreamGuard guard(producer);
    x = filled({100}, 1);
    ready.record(producer);
  }
  {
    const StreamGuard guard(consumer);
    consumer.wait(ready);
    ops::unary(UnaryOp::exp, x);
  }
  consumer.synchronize();
}

void freed_on_a_side_stream() {
  const StreamGuard guard(Stream::create(cuda0));
  for (int i = 0; i < 4; ++i) ops::unary(UnaryOp::exp, filled({100}, 1));
}

void pinned_memory_again() {
  for (int i = 0; i < 3; ++i) {
    const Tensor host = empty({1000}, {.device = "cpu", .pinned = true});
    ops::fill(host, i);
    ops::to(host, cuda0, {.non_blocking = true});
  }
}

void sums_on_two_devices() {
  const Tensor x[] = {filled({100}, 1, cuda0), filled({100}, 2, cuda1)};
  for (int i = 0; i < 2; ++i) ops::all_reduce(x);
}

struct RealCase {
  std::string mutant;
  void (*work)();
  std::vector<std::string> reports;  // one of them, by the schedule
};
const RealCase cases[] = {
    {"reads_past_the_end", unary_of_an_odd_length, {"out of bounds: ", "uninitialised read: "}},
    {"packs_at_any_address", unary_of_a_shifted_view, {"misaligned: "}},
    {"no_barrier_before_the_parts_are_read", softmax_of_long_rows, {"data race: reduce_lanes"}},
    {"no_barrier_before_the_next_call", softmax_backward_of_many_long_rows, {"data race: reduce_lanes"}},
    {"barrier_of_one_lane", softmax_of_long_rows, {"divergent barrier in softmax"}},
    {"parts_of_one_warp_too_few", softmax_of_long_rows, {"out of bounds: reduce_lanes"}},
    {"lanes_that_leave_early", cross_entropy_of_chunks, {"absent lane: in cross_entropy"}},
    {"chunks_in_one_place", batch_norm_of_chunks, {"data race: statistics_kernel"}},
    {"sums_not_written", batch_norm_of_chunks, {"uninitialised read: merge_statistics_kernel"}},
    {"one_column_too_many", pooling_to_the_edge, {"out of bounds: ", "uninitialised read: "}},
    {"positions_one_too_far", sorted_rows, {"out of bounds: "}},
    {"rows_shorter_than_they_are", product_of_unequal_extents, {"leading dimension 3, less than its 5 rows"}},
    {"products_without_room", product_of_unequal_extents, {"8192 bytes; some routines fail with less than 16 KiB"}},
    {"half_the_workspace", convolution_of_small_images, {"out of bounds: cudnnBackendExecute"}},
    {"launches_without_the_device", fill_on_a_second_device, {"while the current device is cuda:0"}},
    {"waits_for_nothing", handed_to_another_stream, {"no order between operations: ", "is not allocated yet"}},
    {"frees_on_another_stream", freed_on_a_side_stream, {"no order between operations: ", "which has been freed"}},
    {"copies_one_word_too_many", copied_to_the_host, {"out of bounds: cudaMemcpyAsync"}},
    {"peers_the_wrong_way_round", copied_to_a_second_device, {"cudaMemcpyPeerAsync: the devices given"}},
    {"frees_twice", freed_on_a_side_stream, {"a double free"}},
    {"memory_of_device_0_for_all", fill_on_a_second_device, {"another device's pointer: ", "which has been freed"}},
    {"pinned_memory_is_always_idle", pinned_memory_again, {"was changed by the host between the call and the copy"}},
    {"ranks_that_disagree", sums_on_two_devices, {"nccl: ranks disagree about collective #1"}},
    {"ranks_one_by_one", sums_on_two_devices, {"nccl: deadlock: ncclAllReduce of rank 0"}},
    {"a_rank_left_out", sums_on_two_devices, {"nccl: lost peer: collective #1 has no part of rank 1"}},
    {"goes_on_before_the_launch_is_over",
     sums_on_two_devices,
     {"the communicator's last operation is still in progress"}},
};

// Devices as in a fresh process. Pinned memory outlives the devices in the backend, so it goes first.
void fresh_devices() {
  try {
    empty_cache(cuda0);
  } catch (const Error&) {
    // The mutant has lost the device.
  }
  reset();
  cuda::forget_devices();
}

std::vector<std::string> reports_of(void (*work)()) {
  try {
    work();
    synchronize(cuda0);
    synchronize(cuda1);
  } catch (const Error&) {
    // A device that was lost, or a call that was refused: what matters here is the report.
  }
  run_all();
  return take_reports();
}

void run(const RealCase& test) {
  if (!real.contains(test.mutant)) return;
  CAPTURE(test.mutant);
  fresh_devices();
  cuda::load();
  const std::vector<std::string> right = reports_of(test.work);
  CAPTURE(joined(right));
  CHECK(right.empty());
  fresh_devices();
  real.at(test.mutant)();
  const std::vector<std::string> wrong = reports_of(test.work);
  CAPTURE(joined(wrong));
  REQUIRE(
      std::any_of(test.reports.begin(), test.reports.end(), [&](const auto& part) { return contains(wrong, part); }));
}

TEST_CASE("mutants of the real code are reported, and the right code is not, under every policy") {
  set_comm_options({.deadline = 0.5, .abort_deadline = 2});
  cuda::load();
  size_t there = 0;  // those of NCCL are not where its header is not
  for (const RealCase& test : cases) there += real.contains(test.mutant);
  CHECK(there + 1 == real.size());  // one more below
  CHECK((there == std::size(cases) || !has_communicator(DeviceType::cuda)));
  for (const char* policy : policies) {
    CAPTURE(std::string(policy));
    set_schedule({.policy = policy, .seed = first_seed()});
    for (const RealCase& test : cases) run(test);
  }
  MESSAGE(there, " mutants of the real code, all reported under ", std::size(policies), " policies");
}

TEST_CASE("a mutant of the real code that reads device memory on the host stops with the allocation's name") {
  fresh_devices();
  int status = 0;
  const std::string text = stderr_of(
      [] {
        signal(SIGSEGV, SIG_DFL);  // not the handler of the test framework
        real.at("reads_on_the_host")();
        const Tensor x = filled({100}, 1);
        synchronize(cuda0);
        ops::to(x, "cpu");
      },
      status);
  CAPTURE(text);
  CHECK(text.find("cuda simulator: host code dereferenced cuda:0 allocation #") != std::string::npos);
  CHECK(text.find(" (400 bytes, made by fill), +0x0") != std::string::npos);
  REQUIRE(WIFSIGNALED(status));
  MESSAGE("1 mutant of the real code, reported by the fault of the host");
}

TEST_CASE("mutants of the real kernels are reported whatever the order of threads and blocks") {
  for (Order order : {Order::descending, Order::shuffled}) {
    CAPTURE(static_cast<int>(order));
    set_schedule({.policy = "fifo", .seed = first_seed(), .threads = order, .blocks = order});
    for (const RealCase& test : cases) run(test);
  }
}

}  // namespace
}  // namespace weft::sim
