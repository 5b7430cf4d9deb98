// Metrics: counts that add up over batches, shares and devices, and the numbers that follow from them. Whole numbers,
// so the order of batches does not matter.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/tensor/tensor.h"

namespace weft::nn {

/// What mean_iou() does with a class that neither label nor prediction holds.
enum class AbsentClass : uint8_t {
  excluded,  ///< leaves it out of the mean
  zero,      ///< counts it as 0, as gluon-cv
};

struct SegmentationMetricOptions {
  int64_t ignore_label = -1;  ///< such pixels are not counted; in u8, -1 is 255
  AbsentClass absent = AbsentClass::excluded;
};

/// Pixel accuracy and mean intersection over union of `classes` classes, from a confusion matrix that is counted where
/// the labels are; only reading a number waits for the devices.
class SegmentationMetric {
 public:
  /// Throws Error unless classes > 0.
  explicit SegmentationMetric(int64_t classes, const SegmentationMetricOptions& options = {});
  /// Scores [N, C, d…] (the largest counts) or predicted classes [N, d…] of an integer dtype, and labels [N, d…] of an
  /// integer dtype (i64, i32, u8), all on one device. Throws ShapeError, DtypeError, DeviceError, and IndexError on a
  /// class out of range, on CUDA at the next synchronisation; on the CPU nothing is counted then.
  void update(const Tensor& prediction, const Tensor& labels);
  /// Adds what another metric of as many classes counted.
  void merge(const SegmentationMetric& other);
  void reset();

  /// Pixels of true class `label` that were predicted as `prediction`.
  int64_t count(int64_t label, int64_t prediction) const;
  /// [classes, classes], i64, on the host: rows are labels, columns predictions.
  Tensor confusion() const;
  /// Correct pixels / labelled pixels; 0 if nothing was counted.
  double pixel_accuracy() const;
  /// intersection / union of each class; NaN for an absent one.
  std::vector<double> iou() const;
  /// See AbsentClass; 0 if nothing was counted.
  double mean_iou() const;

 private:
  int64_t classes_;
  SegmentationMetricOptions options_;
  void add(const Tensor& matrix);
  std::vector<int64_t> counts() const;  // [label, prediction]
  std::vector<Tensor> matrices_;        // one for each device that labels were on
};

/// The part of samples whose label is among the `k` largest scores. Ties go to the lower class.
class AccuracyMetric {
 public:
  explicit AccuracyMetric(int64_t k = 1, int64_t ignore_label = -1);
  /// Scores [N, C, d…] and labels [N, d…] of an integer dtype; waits for the device. Throws as above. A sample with a
  /// NaN among its scores is wrong.
  void update(const Tensor& scores, const Tensor& labels);
  void merge(const AccuracyMetric& other);
  void reset() { correct_ = total_ = 0; }
  int64_t correct() const { return correct_; }
  int64_t total() const { return total_; }
  /// correct / total; 0 if nothing was counted.
  double value() const { return total_ ? static_cast<double>(correct_) / static_cast<double>(total_) : 0; }

 private:
  int64_t k_, ignore_label_;
  int64_t correct_ = 0, total_ = 0;
};

}  // namespace weft::nn
