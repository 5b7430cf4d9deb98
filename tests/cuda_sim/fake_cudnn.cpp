// The part of cuDNN that weft calls, on the simulated devices: the entry points of the graph API. They test plumbing,
// not mathematics: attributes, lifetimes, handles, streams, addresses and workspaces; results come from a plain loop.
#include "fake_cudnn.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <thread>

#include "lock.h"
#include "runtime/status.h"
#include "sim.h"

namespace weft::sim::dnn {
namespace {

std::map<cudnnHandle_t, std::unique_ptr<cudnnContext>> handles;
std::map<const void*, std::unique_ptr<Descriptor>> descriptors;
uint64_t serials = 0;
std::string last_message;  // of all threads: only texts depend on it

size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
    case CUDNN_TYPE_HANDLE:
      return 8;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
      return 1;
    default:
      return 4;
  }
}

template <class T>
cudnnStatus_t give(const std::vector<T>& values, int64_t capacity, int64_t* count, void* out) {
  *count = std::ssize(values);
  const int64_t n = std::min(capacity, *count);
  if (n > 0) std::memcpy(out, values.data(), static_cast<size_t>(n) * sizeof(T));
  return CUDNN_STATUS_SUCCESS;
}

// Fills a descriptor that the caller made, as reading an engine or a configuration does.
cudnnStatus_t fill(void* handle, cudnnBackendDescriptorType_t type, int64_t engine, const Descriptor* from,
                   cudnnBackendAttributeName_t graph) {
  Descriptor* made = find(handle, "cudnnBackendGetAttribute");
  if (!made || made->type != type) return wrong("cudnnBackendGetAttribute", "into a descriptor of another type");
  made->engine = engine;
  made->final = true;
  if (from) made->attributes[CUDNN_ATTR_ENGINE_OPERATION_GRAPH] = from->attributes.at(graph);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t ranked(const Descriptor& heuristics, int64_t capacity, int64_t* count, void* out) {
  const std::vector<int64_t> list = engines(value<cudnnBackendHeurMode_t>(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE));
  *count = std::ssize(list);
  for (int64_t i = 0; i < std::min(capacity, *count); ++i) {
    const cudnnStatus_t status = fill(static_cast<void**>(out)[i], CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                                      list[static_cast<size_t>(i)], &heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    if (status != CUDNN_STATUS_SUCCESS) return status;
  }
  *count = capacity == 0 ? *count : std::min(capacity, *count);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize(Descriptor& descriptor) {
  const char* const who = "cudnnBackendFinalize";
  if (descriptor.final) return wrong(who, "of a descriptor that is finalised already");
  if (const std::string lack = missing(descriptor); !lack.empty()) return wrong(who, lack + " is missing");
  switch (descriptor.type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR: {
      Convolution convolution;
      std::string why;
      if (!recognise(descriptor, convolution, why)) return wrong(who, why);
      break;
    }
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: {
      Convolution convolution;
      std::string why;
      if (!recognise_graph(descriptor, convolution, why)) return wrong(who, why);
      break;
    }
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: {
      if (!usable(value<cudnnHandle_t>(descriptor, CUDNN_ATTR_EXECUTION_PLAN_HANDLE), who, false))
        return CUDNN_STATUS_BAD_PARAM;
      const Descriptor* configuration = referred(descriptor, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, who);
      if (!configuration) return CUDNN_STATUS_BAD_PARAM;
      descriptor.engine = configuration->engine;
      last_message = "this engine refuses";
      if (descriptor.engine == refusing) return CUDNN_STATUS_NOT_SUPPORTED;
      Convolution convolution;
      if (!convolution_of(*configuration, convolution, who)) return CUDNN_STATUS_BAD_PARAM;
      if (convolution.biased && convolution.groups > 1) return CUDNN_STATUS_NOT_SUPPORTED;  // as most of the real ones
      break;
    }
    default:
      break;
  }
  descriptor.final = true;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

cudnnStatus_t planned_fault(FaultKind kind) {
  return static_cast<cudnnStatus_t>(consult_fault(kind, current_device()));
}

cudnnStatus_t wrong(const char* who, const std::string& what, cudnnStatus_t status) {
  last_message = what;
  report(std::string(who) + ": " + what);
  return status;
}

bool usable(cudnnHandle_t handle, const char* who, bool chosen) {
  if (!handles.contains(handle)) {
    wrong(who, "with a handle that does not exist, or no longer");
    return false;
  }
  if (handle->device != current_device())
    wrong(who, "the handle belongs to cuda:" + std::to_string(handle->device) +
                   ", the current device is cuda:" + std::to_string(current_device()));
  else if (chosen && handle->thread != std::this_thread::get_id())
    wrong(who, "two threads use one handle: the other has chosen its stream since");
  else
    return true;
  return false;
}

Descriptor* find(const void* handle, const char* who) {
  const auto found = descriptors.find(handle);
  if (found != descriptors.end()) return found->second.get();
  wrong(who, "with a descriptor that does not exist, or no longer");
  return nullptr;
}

Descriptor* referred(const Descriptor& descriptor, int name, const char* who, size_t i) {
  const Attribute& attribute = descriptor.attributes.at(static_cast<cudnnBackendAttributeName_t>(name));
  const auto found = descriptors.find(reinterpret_cast<void* const*>(attribute.bytes.data())[i]);
  if (found != descriptors.end() && found->second->serial == attribute.serials[i]) return found->second.get();
  wrong(who, "a descriptor that this one refers to was destroyed");
  return nullptr;
}

bool convolution_of(const Descriptor& configuration, Convolution& convolution, const char* who) {
  const Descriptor* graph = referred(configuration, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, who);
  std::string why;
  return graph && recognise_graph(*graph, convolution, why);
}

}  // namespace weft::sim::dnn

using namespace weft::sim;
using namespace weft::sim::dnn;

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  const Lock lock;
  if (device_count() == 0) return CUDNN_STATUS_NOT_INITIALIZED;
  if (check_current_device() != cudaSuccess) return CUDNN_STATUS_INTERNAL_ERROR;
  if (const cudnnStatus_t code = planned_fault()) return code;
  auto made = std::make_unique<cudnnContext>();
  made->device = current_device();
  *handle = made.get();
  handles[*handle] = std::move(made);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  const Lock lock;
  if (release_fails(current_device())) return CUDNN_STATUS_INTERNAL_ERROR;
  return handles.erase(handle) == 1 ? CUDNN_STATUS_SUCCESS
                                    : wrong("cudnnDestroy", "with a handle that does not exist, or no longer");
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  const Lock lock;
  if (!usable(handle, "cudnnSetStream", false)) return CUDNN_STATUS_BAD_PARAM;
  if (const cudnnStatus_t code = planned_fault(FaultKind::cudnn_setup)) return code;
  const int device = stream_device(stream, "cudnnSetStream");
  if (device < 0) return CUDNN_STATUS_BAD_PARAM;
  if (device != handle->device)
    return wrong("cudnnSetStream", "a stream of cuda:" + std::to_string(device) +
                                       " for a handle of cuda:" + std::to_string(handle->device));
  handle->stream = stream;
  handle->thread = std::this_thread::get_id();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* handle) {
  const Lock lock;
  if (const cudnnStatus_t code = planned_fault(FaultKind::cudnn_setup)) return code;
  auto made = std::make_unique<Descriptor>();
  made->serial = ++serials;
  made->type = type;
  *handle = made.get();
  descriptors[*handle] = std::move(made);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t handle) {
  const Lock lock;
  if (release_fails(current_device())) return CUDNN_STATUS_INTERNAL_ERROR;
  if (descriptors.erase(handle) == 1) return CUDNN_STATUS_SUCCESS;
  return wrong("cudnnBackendDestroyDescriptor", "with a descriptor that does not exist, or no longer");
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t handle) {
  const Lock lock;
  Descriptor* descriptor = find(handle, "cudnnBackendFinalize");
  if (!descriptor) return CUDNN_STATUS_BAD_PARAM;
  const bool plan = descriptor->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR;
  const cudnnStatus_t code = planned_fault(plan ? FaultKind::cudnn : FaultKind::cudnn_setup);
  return code ? code : finalize(*descriptor);
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t handle, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  const Lock lock;
  const char* const who = "cudnnBackendSetAttribute";
  if (const cudnnStatus_t code = planned_fault(FaultKind::cudnn_setup)) return code;
  Descriptor* descriptor = find(handle, who);
  if (!descriptor) return CUDNN_STATUS_BAD_PARAM;
  if (descriptor->final) return wrong(who, "on a descriptor that is finalised");
  if (!accepts(descriptor->type, name, type, count))
    return wrong(who, "attribute " + std::to_string(name) + " with " + std::to_string(count) + " values of type " +
                          std::to_string(type) + " on a descriptor of type " + std::to_string(descriptor->type));
  Attribute attribute = {.type = type,
                         .count = count,
                         .bytes = std::vector<std::byte>(static_cast<size_t>(count) * size_of(type)),
                         .serials = {}};
  std::memcpy(attribute.bytes.data(), values, attribute.bytes.size());
  for (int64_t i = 0; type == CUDNN_TYPE_BACKEND_DESCRIPTOR && i < count; ++i) {
    const Descriptor* part = find(static_cast<void* const*>(values)[i], who);
    if (!part || !part->final) return wrong(who, "a part that is not finalised", CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
    attribute.serials.push_back(part->serial);
  }
  descriptor->attributes[name] = std::move(attribute);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const handle, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t capacity, int64_t* count, void* out) {
  const Lock lock;
  const char* const who = "cudnnBackendGetAttribute";
  if (const cudnnStatus_t code = planned_fault(FaultKind::cudnn_setup)) return code;
  const Descriptor* d = find(handle, who);
  if (!d) return CUDNN_STATUS_BAD_PARAM;
  if (!d->final) return wrong(who, "of a descriptor that is not finalised", CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS && d->type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)
    return ranked(*d, capacity, count, out);
  if (name == CUDNN_ATTR_ENGINECFG_ENGINE && d->type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR && capacity == 1) {
    *count = 1;
    return fill(*static_cast<void**>(out), CUDNN_BACKEND_ENGINE_DESCRIPTOR, d->engine, nullptr, name);
  }
  if (d->type == CUDNN_BACKEND_ENGINE_DESCRIPTOR) {
    if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE && type == CUDNN_TYPE_NUMERICAL_NOTE)
      return give(notes(d->engine), capacity, count, out);
    if (name == CUDNN_ATTR_ENGINE_GLOBAL_INDEX && type == CUDNN_TYPE_INT64)
      return give(std::vector{d->engine}, capacity, count, out);
  }
  if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE && d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
    const Descriptor* configuration = referred(*d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, who);
    Convolution convolution;
    if (!configuration || !convolution_of(*configuration, convolution, who)) return CUDNN_STATUS_BAD_PARAM;
    return give(std::vector{workspace_bytes(convolution, d->engine)}, capacity, count, out);
  }
  return wrong(who, "attribute " + std::to_string(name) + " of a descriptor of type " + std::to_string(d->type));
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  const Lock lock;
  const Descriptor *p = find(plan, "cudnnBackendExecute"), *v = find(pack, "cudnnBackendExecute");
  if (!p || !v || !usable(handle, "cudnnBackendExecute", true)) return CUDNN_STATUS_BAD_PARAM;
  return execute(handle, *p, *v);
}

size_t cudnnGetVersion() { return CUDNN_VERSION; }

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (CUDNN_STATUS_CATEGORY(status)) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_INTERNAL_ERROR:
      return "CUDNN_STATUS_INTERNAL_ERROR";
    case CUDNN_STATUS_EXECUTION_FAILED:
      return "CUDNN_STATUS_EXECUTION_FAILED";
    default:
      return "CUDNN_STATUS_NOT_INITIALIZED";
  }
}

void cudnnGetLastErrorString(char* message, size_t size) {
  const Lock lock;
  std::strncpy(message, last_message.c_str(), size - 1);
  message[size - 1] = '\0';
  last_message.clear();
}
