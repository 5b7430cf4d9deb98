// Dims: up to eight extents or strides, held inline. Shape and Strides are names for its two uses.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>

namespace weft {

inline constexpr int max_rank = 8;

class Dims {
 public:
  constexpr Dims() = default;
  Dims(std::initializer_list<int64_t> values) : Dims(std::span<const int64_t>(values.begin(), values.size())) {}
  /// Throws ShapeError above eight dimensions.
  explicit Dims(std::span<const int64_t> values);
  static Dims filled(int rank, int64_t value);

  int rank() const { return rank_; }
  bool empty() const { return rank_ == 0; }
  int64_t& operator[](int i) { return values_[i]; }
  int64_t operator[](int i) const { return values_[i]; }
  int64_t back() const { return values_[rank_ - 1]; }
  const int64_t* begin() const { return values_; }
  const int64_t* end() const { return values_ + rank_; }
  const int64_t* data() const { return values_; }

  /// Throws ShapeError above eight dimensions.
  void push_back(int64_t value);
  void insert(int position, int64_t value);
  void erase(int position);

  friend bool operator==(const Dims& a, const Dims& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i)
      if (a.values_[i] != b.values_[i]) return false;
    return true;
  }

 private:
  int64_t values_[max_rank] = {};
  int rank_ = 0;
};

using Shape = Dims;
using Strides = Dims;

/// "[2, 3]"
std::string to_string(const Dims& dims);
std::ostream& operator<<(std::ostream& out, const Dims& dims);

/// How a tensor's elements lie in memory. channels_last: logical [N, C, d1, …] with C fastest (N, H, W, C in memory);
/// below rank 3 it is the same as row_major.
enum class Layout : uint8_t { row_major, channels_last };

/// Number of elements. Throws ShapeError, naming `operation`, on a negative extent or when the product exceeds 2^62.
int64_t numel_of(const Shape& shape, const char* operation = "shape");
/// Dense strides of `shape`, in elements.
Strides strides_of(const Shape& shape, Layout layout = Layout::row_major);
/// True if the strides are those of `layout`; extents of 1 do not matter.
bool is_dense(const Shape& shape, const Strides& strides, Layout layout);
/// True if the elements fill one gap-free block in some order of dimensions, without overlap.
bool is_permuted_dense(const Shape& shape, const Strides& strides);
/// The shape two operands broadcast to. Throws ShapeError `add: shapes [2, 3] and [4] do not broadcast (…)`.
Shape broadcast(const char* operation, const Shape& a, const Shape& b);
/// Axis in [-rank, rank) -> [0, rank). Throws IndexError naming `operation`.
int normalize_axis(const char* operation, int64_t axis, int rank);

}  // namespace weft
