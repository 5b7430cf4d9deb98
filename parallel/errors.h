// WorkerErrors: what failed on which device, when several worked at once.
#pragma once

#include <exception>
#include <vector>

#include "weft/tensor/device.h"
#include "weft/tensor/error.h"

namespace weft {

struct WorkerError {
  int rank = 0;
  Device device;
  std::exception_ptr error;
};

/// `parallel: 2 of 4 devices failed. cpu:0: matmul: inner sizes differ, [8, 3] x [4, 5]. cpu:3: …`
/// Ranks that only failed because another one left a collective are not listed when the other one is.
class WorkerErrors : public Error {
 public:
  WorkerErrors(std::vector<WorkerError> errors, int ranks);
  /// In order of rank.
  const std::vector<WorkerError>& errors() const { return errors_; }

 private:
  std::vector<WorkerError> errors_;
};

/// The text of any exception, also of those that are no std::exception.
std::string describe(const std::exception_ptr& error);

}  // namespace weft
