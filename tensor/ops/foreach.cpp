#include "weft/tensor/ops/foreach.h"

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/elementwise.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(ForeachAxpbyArgs, foreach_axpby_kernel);
WEFT_KERNEL(ForeachSquaresArgs, foreach_squares_kernel);
WEFT_KERNEL(ForeachTotalArgs, foreach_total_kernel);

namespace ops {
namespace {

constexpr DType dtypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16};

void check_list(const char* name, const Tensors& list) {
  for (const Tensor& x : list) {
    check_floating(name, x);
    check_same_device(name, list[0], x);
  }
}

void check_in_place(const char* name, const Tensors& y) {
  check_list(name, y);
  for (const Tensor& t : y) check_writable(name, t);
}

// The items of one dtype. x may be empty: then only y is used.
std::vector<ForeachItem> items_of(DType dtype, const Tensors& y, const Tensors& x) {
  std::vector<ForeachItem> items;
  for (size_t i = 0; i < y.size(); ++i)
    if (y[i].dtype() == dtype && y[i].numel() > 0)
      items.push_back({y[i].numel(), y[i].raw(), x.empty() ? nullptr : x[i].raw()});
  return items;
}

// Of `accesses` operands as large as the items.
int64_t bytes_of(const std::vector<ForeachItem>& items, DType dtype, int64_t accesses) {
  int64_t bytes = 0;
  for (const ForeachItem& item : items) bytes += item.numel * size_of(dtype) * accesses;
  return bytes;
}

void axpby(const char* name, const Tensors& y, double b, double a, const Tensors& x, const double* factor) {
  Tensors dense, terms;
  for (size_t i = 0; i < y.size(); ++i) {
    dense.push_back(dense_like(y[i]));
    if (!x.empty()) terms.push_back(with_strides_of(apart_from(y[i], x[i]), dense[i]));
  }
  for (const Tensor& t : y) t.storage().bump_version(name);
  for (const DType dtype : dtypes)
    if (const auto items = items_of(dtype, dense, terms); !items.empty()) {
      profile_bytes(foreach_axpby_kernel, [&] { return bytes_of(items, dtype, x.empty() ? 2 : 3); });
      foreach_axpby_kernel({dtype, static_cast<int64_t>(items.size()), items.data(), a, b, factor},
                           current_stream(y[0].device()));
    }
  for (size_t i = 0; i < y.size(); ++i)
    if (!dense[i].same(y[i])) copy(y[i], dense[i]);  // y has gaps
}

int64_t chunks_of(const std::vector<ForeachItem>& items) {
  int64_t chunks = 0;
  for (const ForeachItem& item : items) chunks += (item.numel + foreach_chunk - 1) / foreach_chunk;
  return chunks;
}

// The three results of ForeachTotalArgs in one tensor [3]; the last two only with max_norm > 0.
Tensor totals(const Tensors& x, double max_norm) {
  const TensorOptions options{.dtype = DType::f64, .device = x.empty() ? Device("cpu") : x[0].device()};
  Tensors dense;
  for (const Tensor& t : x) dense.push_back(dense_like(t));
  std::vector<ForeachItem> items[std::size(dtypes)];
  int64_t chunks = 0;
  for (size_t d = 0; d < std::size(dtypes); ++d) {
    items[d] = items_of(dtypes[d], dense, {});
    chunks += chunks_of(items[d]);
  }
  if (chunks == 0) return zeros({3}, options);
  const Tensor partials = empty({chunks}, options), results = empty({3}, options);
  const Stream stream = current_stream(options.device);
  double* next = partials.data<double>();
  for (size_t d = 0; d < std::size(dtypes); ++d) {
    if (items[d].empty()) continue;
    profile_bytes(foreach_squares_kernel, [&] { return bytes_of(items[d], dtypes[d], 1); });
    foreach_squares_kernel({dtypes[d], static_cast<int64_t>(items[d].size()), items[d].data(), next}, stream);
    next += chunks_of(items[d]);
  }
  double* const result = results.data<double>();
  const bool clips = max_norm > 0;
  profile_work(foreach_total_kernel, partials, results);
  foreach_total_kernel(
      {chunks, partials.data<double>(), max_norm, result, clips ? result + 1 : nullptr, clips ? result + 2 : nullptr},
      stream);
  return results;
}

Tensor scalar_of(const Tensor& results, int64_t i) { return view(results, {}, {}, results.impl().offset + i); }

}  // namespace

void foreach_axpby_(const Tensors& y, double b, double a, const Tensors& x) {
  constexpr const char* name = "foreach_axpby_";
  WEFT_CHECK(ShapeError, y.size() == x.size(), name, ": lists of ", y.size(), " and ", x.size(), " tensors");
  check_in_place(name, y);
  for (size_t i = 0; i < y.size(); ++i) check_same(name, y[i], x[i]);
  axpby(name, y, b, a, x, nullptr);
}

void foreach_scale_(const Tensors& y, double factor) {
  check_in_place("foreach_scale_", y);
  axpby("foreach_scale_", y, factor, 0, {}, nullptr);
}

Tensor foreach_squared_norm(const Tensors& x) {
  check_list("foreach_squared_norm", x);
  return scalar_of(totals(x, 0), 0);
}

Tensor foreach_clip_norm_(const Tensors& y, double max_norm) {
  WEFT_CHECK(Error, max_norm > 0, "foreach_clip_norm_: max_norm is ", max_norm, "; it must be positive");
  check_in_place("foreach_clip_norm_", y);
  const Tensor results = totals(y, max_norm);
  axpby("foreach_clip_norm_", y, 1, 0, {}, results.data<double>() + 2);
  return scalar_of(results, 1);
}

}  // namespace ops
}  // namespace weft
