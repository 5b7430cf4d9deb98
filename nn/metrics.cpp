#include "weft/nn/metrics.h"

#include <cmath>
#include <limits>

#include "weft/autograd/ops/confusion_matrix.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/labels.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/reduce.h"

namespace weft::nn {

namespace {

void check_integer(const char* metric, const char* what, const Tensor& x) {
  WEFT_CHECK(DtypeError, !is_floating(x.dtype()) && x.dtype() != DType::boolean, metric, ": ", what, " of dtype ",
             x.dtype(), "; give an integer dtype");
}

// Scores have one axis more than labels, after the first.
void check_scores(const char* metric, const Tensor& scores, const Tensor& labels) {
  Shape expected = scores.shape();
  WEFT_CHECK(ShapeError, scores.rank() >= 2, metric, ": scores of shape ", scores.shape(), "; give [N, C, d…]");
  expected.erase(1);
  WEFT_CHECK(ShapeError, expected == labels.shape(), metric, ": scores of shape ", scores.shape(),
             " need labels of shape ", expected, ", not ", labels.shape());
}

}  // namespace

SegmentationMetric::SegmentationMetric(int64_t classes, const SegmentationMetricOptions& options)
    : classes_(classes), options_(options) {
  WEFT_CHECK(Error, classes > 0, "SegmentationMetric: ", classes, " classes");
  reset();
}

void SegmentationMetric::reset() { matrices_.clear(); }

void SegmentationMetric::update(const Tensor& prediction, const Tensor& labels) {
  const autograd::NoGrad pause;
  Tensor predicted = prediction.detach();
  if (predicted.rank() == labels.rank() + 1) {
    check_scores("SegmentationMetric", predicted, labels);
    WEFT_CHECK(ShapeError, predicted.size(1) == classes_, "SegmentationMetric: scores of ", predicted.size(1),
               " classes for ", classes_);
    predicted = ops::argmax(predicted, 1);
  }
  add(confusion_matrix(predicted, labels, classes_, options_.ignore_label));
}

void SegmentationMetric::add(const Tensor& matrix) {
  for (const Tensor& sum : matrices_)
    if (sum.device() == matrix.device()) return ops::add_(sum, matrix);
  matrices_.push_back(ops::clone(matrix));
}

void SegmentationMetric::merge(const SegmentationMetric& other) {
  WEFT_CHECK(Error, other.classes_ == classes_, "SegmentationMetric: merging ", other.classes_, " classes into ",
             classes_);
  const std::vector<Tensor> matrices = other.matrices_;  // which may be this one's
  for (const Tensor& matrix : matrices) add(matrix);
}

std::vector<int64_t> SegmentationMetric::counts() const {
  std::vector<int64_t> sum(static_cast<size_t>(classes_ * classes_));
  for (const Tensor& matrix : matrices_) {
    const std::vector<int64_t> part = matrix.to_vector<int64_t>();
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
  }
  return sum;
}

int64_t SegmentationMetric::count(int64_t label, int64_t prediction) const {
  WEFT_CHECK(IndexError, label >= 0 && label < classes_ && prediction >= 0 && prediction < classes_,
             "SegmentationMetric: no count of label ", label, ", prediction ", prediction, " among ", classes_,
             " classes");
  return counts()[static_cast<size_t>(label * classes_ + prediction)];
}

Tensor SegmentationMetric::confusion() const { return tensor(counts(), {classes_, classes_}, Device()); }

double SegmentationMetric::pixel_accuracy() const {
  const std::vector<int64_t> counts = this->counts();
  int64_t correct = 0, total = 0;
  for (int64_t c = 0; c < classes_; ++c) correct += counts[static_cast<size_t>(c * classes_ + c)];
  for (const int64_t n : counts) total += n;
  return total ? static_cast<double>(correct) / static_cast<double>(total) : 0;
}

std::vector<double> SegmentationMetric::iou() const {
  const std::vector<int64_t> counts = this->counts();
  const auto at = [&](int64_t label, int64_t prediction) {
    return counts[static_cast<size_t>(label * classes_ + prediction)];
  };
  std::vector<double> result;
  for (int64_t c = 0; c < classes_; ++c) {
    int64_t joined = -at(c, c);
    for (int64_t k = 0; k < classes_; ++k) joined += at(c, k) + at(k, c);
    result.push_back(joined ? static_cast<double>(at(c, c)) / static_cast<double>(joined)
                            : std::numeric_limits<double>::quiet_NaN());
  }
  return result;
}

double SegmentationMetric::mean_iou() const {
  double sum = 0;
  int64_t present = 0;
  for (const double value : iou()) {
    if (std::isnan(value)) continue;
    sum += value;
    ++present;
  }
  const int64_t divisor = options_.absent == AbsentClass::zero ? classes_ : present;
  return divisor ? sum / static_cast<double>(divisor) : 0;
}

AccuracyMetric::AccuracyMetric(int64_t k, int64_t ignore_label) : k_(k), ignore_label_(ignore_label) {
  WEFT_CHECK(Error, k > 0, "AccuracyMetric: k is ", k, "; it must be positive");
}

void AccuracyMetric::update(const Tensor& scores, const Tensor& labels) {
  constexpr const char* name = "AccuracyMetric";
  check_integer(name, "labels", labels);
  check_scores(name, scores, labels);
  const int64_t classes = scores.size(1), ignored = ignored_label(ignore_label_, labels.dtype(), classes);
  const int64_t inner = labels.size(0) ? labels.numel() / labels.size(0) : 0;
  const std::vector<double> s = scores.to_vector<double>();
  const std::vector<int64_t> l = labels.to_vector<int64_t>();
  int64_t correct = 0, total = 0;
  for (int64_t i = 0; i < labels.numel(); ++i) {
    const int64_t label = l[static_cast<size_t>(i)];
    if (label == ignored) continue;
    WEFT_CHECK(IndexError, label >= 0 && label < classes, name, ": label ", label, " at position ", i,
               " is not in [0, ", classes, ") and not the ignore label ", ignored);
    const double* score = s.data() + i / inner * classes * inner + i % inner;
    int64_t better = 0;
    bool is_nan = false;
    for (int64_t c = 0; c < classes; ++c) {
      const double other = score[c * inner], own = score[label * inner];
      is_nan |= std::isnan(other);
      better += other > own || (other == own && c < label);
    }
    correct += !is_nan && better < k_;
    ++total;
  }
  correct_ += correct;
  total_ += total;
}

void AccuracyMetric::merge(const AccuracyMetric& other) {
  WEFT_CHECK(Error, other.k_ == k_, "AccuracyMetric: merging the ", other.k_, " largest into the ", k_, " largest");
  correct_ += other.correct_;
  total_ += other.total_;
}

}  // namespace weft::nn
