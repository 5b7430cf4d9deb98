#include "weft/tensor/cpu/onednn_plan.h"

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "weft/tensor/cpu/lru_cache.h"
#include "weft/tensor/cpu/threads.h"

#if defined(__SANITIZE_THREAD__)
#define WEFT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#endif
#ifdef WEFT_TSAN
extern "C" void __tsan_read_range(void* data, unsigned long bytes);
extern "C" void __tsan_write_range(void* data, unsigned long bytes);
#endif

namespace weft::cpu {

namespace {

struct KeyHash {
  size_t operator()(const onednn::Key& key) const {
    uint64_t hash = 0xcbf29ce484222325u;
    for (const int64_t part : key) {
      hash = (hash ^ static_cast<uint64_t>(part)) * 0x9e3779b97f4a7c15u;
      hash ^= hash >> 32;
    }
    return hash;
  }
};

using PlanCache = LruCache<onednn::Key, onednn::Plan, KeyHash>;

PlanCache& plan_cache() {
  static auto* cache = new PlanCache(1024);
  return *cache;
}

bool multiplies_bf16() {
#if defined(__x86_64__)
  static const bool native = __builtin_cpu_supports("avx512bf16");
  return native;
#else
  return false;
#endif
}

}  // namespace

onednn::PlanRef onednn::find_plan(const Key& key) { return plan_cache().find(key); }
void onednn::keep_plan(const Key& key, PlanRef plan) { plan_cache().insert(key, std::move(plan)); }

const dnnl::engine& onednn::engine() {
  static const auto* engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

dnnl::stream& onednn::queue() {
  static auto* queue = new dnnl::stream(engine());
  return *queue;
}

bool onednn::takes(DType dtype) { return dtype == DType::f32 || (dtype == DType::bf16 && multiplies_bf16()); }

dnnl::memory::data_type onednn::type_of(DType dtype) {
  return dtype == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

void onednn::rethrow(const char* operation, const dnnl::error& error) {
  if (error.status == dnnl_out_of_memory)
    fail<OutOfMemory>(operation, ": oneDNN is out of host memory; reduce the batch or call empty_cache()");
  fail<Error>(operation, ": oneDNN failed: ", error.what());
}

#ifdef _OPENMP
int onednn::threads() { return std::min(team_size(), omp_get_thread_limit()); }
onednn::ThreadScope::ThreadScope() : previous_(omp_get_max_threads()) { omp_set_num_threads(threads()); }
onednn::ThreadScope::~ThreadScope() { omp_set_num_threads(previous_); }
#else
int onednn::threads() { return 1; }
onednn::ThreadScope::ThreadScope() : previous_(1) {}
onednn::ThreadScope::~ThreadScope() { (void)previous_; }
#endif

#ifdef WEFT_TSAN
void onednn::will_read(const void* data, int64_t bytes) {
  __tsan_read_range(const_cast<void*>(data), static_cast<unsigned long>(bytes));
}
void onednn::will_write(void* data, int64_t bytes) { __tsan_write_range(data, static_cast<unsigned long>(bytes)); }
#else
void onednn::will_read(const void*, int64_t) {}
void onednn::will_write(void*, int64_t) {}
#endif

dnnl::primitive_attr onednn::attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

}  // namespace weft::cpu
