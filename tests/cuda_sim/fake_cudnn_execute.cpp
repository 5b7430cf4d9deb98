// Running a plan of the simulated cuDNN: the variant pack is held against the plan, then the engine is queued.
#include <cstring>
#include <map>

#include "fake_cudnn.h"
#include "lock.h"
#include "sim.h"

namespace weft::sim::dnn {
namespace {

// One execution, as it was asked for.
struct Run {
  Convolution convolution;
  int64_t engine = 0;
  void *x = nullptr, *w = nullptr, *y = nullptr, *bias = nullptr, *workspace = nullptr;
  size_t workspace_bytes = 0;
  uint64_t seed = 0;
};

struct Use {
  int64_t executions = 0;
  double seconds = 0;
};
std::map<int64_t, Use> uses;  // by engine

bool bind(const Descriptor& pack, const Tensor& tensor, void*& data) {
  const Attribute& ids = pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  for (int64_t i = 0; i < ids.count; ++i)
    if (value<int64_t>(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i) == tensor.id)
      data = value<void*>(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
  const char* const who = "cudnnBackendExecute";
  if (!data)
    wrong(who, "no address for tensor " + std::to_string(tensor.id));
  else if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(tensor.alignment) != 0)
    wrong(who, "an address that is not aligned to the " + std::to_string(tensor.alignment) +
                   " bytes promised: " + describe(data));
  else
    return true;
  return false;
}

void run(const Run& r) {
  const Convolution& c = r.convolution;
  const char* const who = "cudnnBackendExecute";
  const auto access = [&](Pass written) { return c.pass == written ? Access::write : Access::read; };
  bool fine = true;
  for (const Access turn : {Access::read, Access::write}) {  // reads before writes
    if (c.biased && turn == Access::read) fine = check_range(r.bias, c.bias.bytes(), turn, who) && fine;
    if (access(Pass::data) == turn) fine = check_range(r.x, c.x.bytes(), turn, who) && fine;
    if (access(Pass::filter) == turn) fine = check_range(r.w, c.w.bytes(), turn, who) && fine;
    if (access(Pass::forward) == turn) fine = check_range(r.y, c.y.bytes(), turn, who) && fine;
  }
  if (r.workspace_bytes > 0) fine = check_range(r.workspace, r.workspace_bytes, Access::write, who) && fine;
  if (!fine) return;
  Use& use = uses[r.engine];
  ++use.executions;
  take_time(use.seconds);
  if (r.workspace_bytes > 0) std::memset(r.workspace, 0xa5, r.workspace_bytes);
  compute(c, r.engine, r.x, r.w, r.y, r.bias, r.seed);
}

}  // namespace

void set_engine_seconds(Engine engine, double seconds) {
  const Lock lock;
  uses[engine].seconds = seconds;
}

int64_t executions(Engine engine) {
  const Lock lock;
  return uses[engine].executions;
}

cudnnStatus_t execute(cudnnHandle_t handle, const Descriptor& plan, const Descriptor& pack) {
  const char* const who = "cudnnBackendExecute";
  if (const cudnnStatus_t code = planned_fault()) return code;
  if (!plan.final || !pack.final)
    return wrong(who, "with a descriptor that is not finalised", CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
  if (value<cudnnHandle_t>(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE) != handle)
    return wrong(who, "the plan was made for another handle");
  const Descriptor* configuration = referred(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, who);
  Run r;
  if (!configuration || !convolution_of(*configuration, r.convolution, who)) return CUDNN_STATUS_BAD_PARAM;
  r.engine = plan.engine;
  r.workspace_bytes = static_cast<size_t>(workspace_bytes(r.convolution, r.engine));
  r.workspace = value<void*>(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  static uint64_t executions = 0;
  r.seed = ++executions;
  if (!bind(pack, r.convolution.x, r.x) || !bind(pack, r.convolution.w, r.w) || !bind(pack, r.convolution.y, r.y) ||
      (r.convolution.biased && !bind(pack, r.convolution.bias, r.bias)))
    return CUDNN_STATUS_BAD_PARAM;
  if (r.workspace_bytes > 0 && !r.workspace) return wrong(who, "no workspace for a plan that needs one");
  const cudaError_t status = enqueue(handle->stream, who, [r] { run(r); });
  return status == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

}  // namespace weft::sim::dnn
