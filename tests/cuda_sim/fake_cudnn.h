// The simulator's cuDNN: descriptors as tables of attributes, and the patterns that weft builds of them: a convolution,
// and one whose result has a bias added and a ReLU taken.
#pragma once

#include <cudnn_graph.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "sim.h"

struct cudnnContext {
  int device = 0;
  cudaStream_t stream = nullptr;
  std::thread::id thread;  // that chose the stream
};

namespace weft::sim::dnn {

struct Attribute {
  cudnnBackendAttributeType_t type = CUDNN_TYPE_INT64;
  int64_t count = 0;
  std::vector<std::byte> bytes;
  std::vector<uint64_t> serials;  // of descriptors: an address may be used again, a serial is not
};

struct Descriptor {
  uint64_t serial = 0;
  cudnnBackendDescriptorType_t type = CUDNN_BACKEND_TENSOR_DESCRIPTOR;
  bool final = false;
  std::map<cudnnBackendAttributeName_t, Attribute> attributes;
  int64_t engine = -1;  // of engines, configurations and plans
};

/// The plan's code for a call on the current device, or CUDNN_STATUS_SUCCESS.
cudnnStatus_t planned_fault(FaultKind kind = FaultKind::cudnn);
/// A caller's mistake: reported; the status that the real library would return.
cudnnStatus_t wrong(const char* who, const std::string& what, cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM);
/// The handle may be used here and now; `chosen`: by the thread that chose its stream. Reports if not.
bool usable(cudnnHandle_t handle, const char* who, bool chosen);

/// The live descriptor, or nullptr after a report that names `who`.
Descriptor* find(const void* handle, const char* who);
/// Value i of an attribute; the attribute must be set.
template <class T>
T value(const Descriptor& descriptor, int name, int64_t i = 0) {
  return reinterpret_cast<const T*>(
      descriptor.attributes.at(static_cast<cudnnBackendAttributeName_t>(name)).bytes.data())[i];
}
/// Descriptor i that an attribute refers to; nullptr, and a report, if it was destroyed meanwhile.
Descriptor* referred(const Descriptor& descriptor, int name, const char* who, size_t i = 0);

/// Whether the descriptor takes values of this kind under this name.
bool accepts(cudnnBackendDescriptorType_t descriptor, cudnnBackendAttributeName_t name,
             cudnnBackendAttributeType_t type, int64_t count);
/// The first attribute that a complete descriptor of the type has and this one lacks; "" if there is none.
std::string missing(const Descriptor& descriptor);

enum class Pass { forward, data, filter };

struct Tensor {
  int64_t id = 0, alignment = 0;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  int64_t extent[4] = {};  // logical: N, C, H, W
  int64_t stride[4] = {};
  bool is_virtual = false;

  size_t bytes() const;
  int64_t at(int64_t a, int64_t b, int64_t c, int64_t d) const {
    return a * stride[0] + b * stride[1] + c * stride[2] + d * stride[3];
  }
};

struct Convolution {
  Pass pass = Pass::forward;
  Tensor x, w, y;
  bool biased = false;
  Tensor bias;  // [1, O, 1, 1]
  bool rectified = false, keeps_nan = false;
  int64_t before[2] = {}, behind[2] = {}, stride[2] = {}, dilation[2] = {};
  cudnnDataType_t compute = CUDNN_DATA_FLOAT;
  int64_t groups = 1;
};

/// Reads a convolution's operation descriptor; false, and `why`, if it does not fit together.
bool recognise(const Descriptor& operation, Convolution& convolution, std::string& why);
/// The same for a graph: a convolution, or one into a virtual tensor and the sum of that and a bias, a ReLU or both.
bool recognise_graph(const Descriptor& graph, Convolution& convolution, std::string& why);

/// The convolution behind a configuration's graph; false, and a report, if something on the way was destroyed.
bool convolution_of(const Descriptor& configuration, Convolution& convolution, const char* who);

/// The engines of the simulated library, in the order of its heuristics. Only the last two keep weft's promises.
enum Engine : int64_t {
  hasty = 20,     // NONDETERMINISTIC: adds in another order each time
  rounding = 46,  // TENSOR_CORE, DOWN_CONVERT_INPUTS: f32 becomes TF32
  refusing = 35,  // fails when a plan is made of it
  exact = 28,     // with a workspace
  naive = 0,      // STRICT_NAN_PROP; the only one of the fallback heuristics
};
std::vector<int64_t> engines(cudnnBackendHeurMode_t mode);
std::vector<cudnnBackendNumericalNote_t> notes(int64_t engine);
int64_t workspace_bytes(const Convolution& convolution, int64_t engine);
/// How long an engine takes by the clock of the devices; 0 at first.
void set_engine_seconds(Engine engine, double seconds);
/// Plans of the engine that have run.
int64_t executions(Engine engine);
/// From now on a ReLU makes 0 of NaN in every engine, whatever it was told.
void lose_nan(bool lose);

/// Computes on the host's view of the operands; bias may be null. `seed` orders the sums of the hasty engine.
void compute(const Convolution& convolution, int64_t engine, void* x, void* w, void* y, const void* bias,
             uint64_t seed);

/// Queues a plan; `pack` says where the operands lie.
cudnnStatus_t execute(cudnnHandle_t handle, const Descriptor& plan, const Descriptor& pack);

}  // namespace weft::sim::dnn
