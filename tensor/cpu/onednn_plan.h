// oneDNN 2 and 3 behind one face, for the two files that use it. What it punishes, and what is done here about it:
// - its own scratch memory ties a primitive to the thread that made it: scratch memory comes from weft's pool;
// - a primitive is made for a number of threads: that number is part of a plan's key, and plans are made and run with
//   OpenMP's team set to this thread's share, outside of any parallel region;
// - its reference code is slower by orders of magnitude than Eigen: such a case gives an empty plan.
#pragma once

#include <array>
#include <cstring>
#include <dnnl.hpp>
#include <memory>

#include "weft/tensor/dtype.h"
#include "weft/tensor/error.h"

namespace weft::cpu::onednn {

using Layout = dnnl::memory::desc;
using Extents = dnnl::memory::dims;

/// A primitive and what runs it. No primitive: the case is left to the caller.
struct Plan {
  dnnl::primitive run;
  Layout x, w, y, bias;     ///< of our operands; a, b, c of a product
  Layout w_inside;          ///< the filter as the primitive takes or makes it
  dnnl::primitive reorder;  ///< between w and w_inside; none: they are the same
  size_t scratch = 0, reorder_scratch = 0;
  bool by_gemm = false;  ///< a product for which the primitive only calls sgemm
};
using PlanRef = std::shared_ptr<const Plan>;
using Key = std::array<int64_t, 22>;

/// The plan of a key; null if it has to be made. The 1024 plans used last are kept, for all threads.
PlanRef find_plan(const Key& key);
void keep_plan(const Key& key, PlanRef plan);

/// Never destroyed: other static objects may still compute at exit. Shared by all threads.
const dnnl::engine& engine();
dnnl::stream& queue();

/// True for f32, and for bf16 where the processor multiplies it.
bool takes(DType dtype);
dnnl::memory::data_type type_of(DType dtype);
[[noreturn]] void rethrow(const char* operation, const dnnl::error& error);

/// Threads that the library may use in this thread.
int threads();
/// Gives OpenMP, and so the library, that number of threads until the end of the scope.
class ThreadScope {
 public:
  ThreadScope();
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int previous_;
};

/// Tells ThreadSanitizer, which cannot see into the library, what a call reads and writes.
void will_read(const void* data, int64_t bytes);
void will_write(void* data, int64_t bytes);

/// A case that the library does not know gives an empty plan, which is kept as well.
template <class Make>
PlanRef plan_for(const Key& key, const Make& make) {
  if (PlanRef plan = find_plan(key)) return plan;
  auto plan = std::make_shared<Plan>();
  try {
    make(*plan);
  } catch (const dnnl::error& error) {
    if (error.status != dnnl_unimplemented && error.status != dnnl_invalid_arguments) throw;
    *plan = Plan();
  }
  keep_plan(key, plan);
  return plan;
}

dnnl::primitive_attr attributes();

/// The description of primitive P, empty if there is none. A backward pass takes the forward description as a hint.
#if DNNL_VERSION_MAJOR >= 3
template <class P, class... Parts>
auto describe(const Parts&... parts) {
  return typename P::primitive_desc(engine(), parts..., attributes(), true);
}
template <class P, class Hint, class... Parts>
auto describe_backward(const Hint& hint, const Parts&... parts) {
  return typename P::primitive_desc(engine(), parts..., hint, attributes(), true);
}
#else
template <class P, class... Parts>
auto describe(const Parts&... parts) {
  return typename P::primitive_desc(typename P::desc(parts...), attributes(), engine(), true);
}
template <class P, class Hint, class... Parts>
auto describe_backward(const Hint& hint, const Parts&... parts) {
  return typename P::primitive_desc(typename P::desc(parts...), attributes(), engine(), hint, true);
}
#endif

inline bool starts_with(const char* text, const char* start) {
  return std::strncmp(text, start, std::strlen(start)) == 0;
}

/// Puts the primitive into the plan; false, and the plan stays empty, if it would be reference code or, where
/// `specialised` is asked for, one that goes by way of a general product.
template <class P, class Description>
bool adopt(Plan& plan, const Description& description, bool specialised = false) {
  if (!description || starts_with(description.impl_info_str(), "ref")) return false;
  if (specialised && std::strstr(description.impl_info_str(), "gemm")) return false;
  plan.run = P(description);
  plan.scratch = description.scratchpad_desc().get_size();
  return true;
}

/// One run of a primitive: memory objects over pointers, and the C interface, which takes a plain array where that of
/// C++ takes a hash table.
class Call {
 public:
  void add(int argument, const Layout& layout, const void* data) {
    memory_[count_] = dnnl::memory(layout, engine(), const_cast<void*>(data));
    args_[count_] = {argument, memory_[count_].get()};
    ++count_;
  }
  void scratch(size_t bytes, void* data) {
    using memory = dnnl::memory;
    if (bytes == 0) return;
    add(DNNL_ARG_SCRATCHPAD, Layout({static_cast<int64_t>(bytes)}, memory::data_type::u8, memory::format_tag::a), data);
  }
  void run(const dnnl::primitive& primitive) {
    dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive.get(), queue().get(), count_, args_),
                            "a primitive failed");
  }

 private:
  dnnl::memory memory_[5];
  dnnl_exec_arg_t args_[5];
  int count_ = 0;
};

}  // namespace weft::cpu::onednn
