// c = a + b;   da = dc,        db = dc
// c = a - b;   da = dc,        db = -dc
// c = a b;     da = dc b,      db = dc a
// c = a / b;   da = dc / b,    db = -dc c / b
// c = max(a, b), min(a, b);    da = dc w, db = dc (1 - w), w = 1 where a is taken, 1/2 where both are, else 0
// c = a^b;     da = dc b a^(b-1),   db = dc c log a
// c = a mod b; da = dc,        db = -dc floor(a / b)
// each summed over the dimensions in which its operand was broadcast
#include "weft/autograd/ops/binary.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/ops/where.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/unary.h"

namespace weft {

namespace {

using namespace autograd;

// How a gradient of the result becomes one of an operand: unchanged where shapes and dtypes are all the same …
struct AsIs {
  explicit AsIs(const Tensor&) {}
  Tensor operator()(const Tensor& dx) const { return dx; }
};
// … else summed over what was broadcast, in the operand's dtype.
struct BackTo {
  explicit BackTo(const Tensor& x) : shape(x.shape()), dtype(x.dtype()) {}
  Tensor operator()(const Tensor& dx) const { return to(sum_to(dx, shape), dtype); }
  Shape shape;
  DType dtype;
};

template <class Back>
Tensor record_add(const Tensor& a, const Tensor& b, const Tensor& c) {
  return record("add", c, edge(a, [back = Back(a)](const Tensor& dc) { return back(dc); }),
                edge(b, [back = Back(b)](const Tensor& dc) { return back(dc); }));
}

template <class Back>
Tensor record_sub(const Tensor& a, const Tensor& b, const Tensor& c) {
  return record("sub", c, edge(a, [back = Back(a)](const Tensor& dc) { return back(dc); }),
                edge(b, [back = Back(b)](const Tensor& dc) { return neg(back(dc)); }));
}

template <class Back>
Tensor record_mul(const Tensor& a, const Tensor& b, const Tensor& c) {
  return record("mul", c, edge(a, [b = saved(b), back = Back(a)](const Tensor& dc) { return back(mul(dc, b)); }),
                edge(b, [a = saved(a), back = Back(b)](const Tensor& dc) { return back(mul(dc, a)); }));
}

template <class Back>
Tensor record_div(const Tensor& a, const Tensor& b, const Tensor& c) {
  return record("div", c, edge(a, [b = saved(b), back = Back(a)](const Tensor& dc) { return back(div(dc, b)); }),
                edge(b, [b = saved(b), back = Back(b)](const Tensor& dc, const Tensor& own) {
                  return neg(back(div(mul(dc, own), b)));
                }));
}

// w of the first line above: a constant almost everywhere, so it is not recorded.
Tensor weight_of(CompareOp taken, const Tensor& a, const Tensor& b, DType dtype) {
  const Tensor clear = ops::cast(ops::compare(taken, a, b), dtype);
  const Tensor tied = ops::cast(ops::compare(CompareOp::equal, a, b), dtype);
  return ops::add(clear, ops::unary(UnaryOp::scale, tied, 0.5));
}

template <class Back>
Tensor record_choice(const char* name, CompareOp a_wins, CompareOp b_wins, const Tensor& a, const Tensor& b,
                     const Tensor& c) {
  return record(name, c,
                edge(a, [=, a = saved(a), b = saved(b), back = Back(a)](
                            const Tensor& dc) { return back(mul(dc, weight_of(a_wins, a, b, dc.dtype()))); }),
                edge(b, [=, a = saved(a), b = saved(b), back = Back(b)](const Tensor& dc) {
                  return back(mul(dc, weight_of(b_wins, a, b, dc.dtype())));
                }));
}

// The base where its power or logarithm is finite: 1 where both operands of a gradient that is 0 would be 0 and
// infinite.
Tensor base_for_slope(const Tensor& a, const Tensor& b) {
  return where(ops::logical_and(ops::compare(CompareOp::equal, a, 0), ops::compare(CompareOp::equal, b, 0)), 1.0, a);
}
Tensor base_for_log(const Tensor& a, const Tensor& b) {
  return where(ops::logical_and(ops::compare(CompareOp::equal, a, 0), ops::compare(CompareOp::greater_equal, b, 0)),
               1.0, a);
}

template <class Back>
Tensor record_pow(const Tensor& a, const Tensor& b, const Tensor& c) {
  return record("pow", c,
                edge(a, [a = saved(a), b = saved(b), back = Back(a)](
                            const Tensor& dc) { return back(mul(dc, mul(b, pow(base_for_slope(a, b), b - 1)))); }),
                edge(b, [a = saved(a), b = saved(b), back = Back(b)](const Tensor& dc, const Tensor& own) {
                  return back(mul(dc, mul(own, log(to(base_for_log(a, b), own.dtype())))));
                }));
}

template <class Back>
Tensor record_remainder(const Tensor& a, const Tensor& b, const Tensor& c) {
  return record("remainder", c, edge(a, [back = Back(a)](const Tensor& dc) { return back(dc); }),
                edge(b, [a = saved(a), b = saved(b), back = Back(b)](const Tensor& dc) {
                  const Tensor whole = ops::floor(ops::div(a, b));  // constant almost everywhere
                  return neg(back(mul(dc, whole)));
                }));
}

bool unchanged(const Tensor& a, const Tensor& b) { return a.dtype() == b.dtype() && a.shape() == b.shape(); }

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  Tensor c = ops::add(a, b);
  if (!tracked(a, b)) return c;
  return unchanged(a, b) ? record_add<AsIs>(a, b, c) : record_add<BackTo>(a, b, c);
}

Tensor sub(const Tensor& a, const Tensor& b) {
  Tensor c = ops::sub(a, b);
  if (!tracked(a, b)) return c;
  return unchanged(a, b) ? record_sub<AsIs>(a, b, c) : record_sub<BackTo>(a, b, c);
}

Tensor mul(const Tensor& a, const Tensor& b) {
  Tensor c = ops::mul(a, b);
  if (!tracked(a, b)) return c;
  return unchanged(a, b) ? record_mul<AsIs>(a, b, c) : record_mul<BackTo>(a, b, c);
}

Tensor div(const Tensor& a, const Tensor& b) {
  Tensor c = ops::div(a, b);
  if (!tracked(a, b)) return c;
  return unchanged(a, b) ? record_div<AsIs>(a, b, c) : record_div<BackTo>(a, b, c);
}

Tensor maximum(const Tensor& a, const Tensor& b) {
  Tensor c = ops::maximum(a, b);
  if (!tracked(a, b)) return c;
  return record_choice<BackTo>("maximum", CompareOp::greater, CompareOp::less, a, b, c);
}

Tensor minimum(const Tensor& a, const Tensor& b) {
  Tensor c = ops::minimum(a, b);
  if (!tracked(a, b)) return c;
  return record_choice<BackTo>("minimum", CompareOp::less, CompareOp::greater, a, b, c);
}

Tensor pow(const Tensor& base, const Tensor& exponent) {
  const Tensor a = in_full(base), b = in_full(exponent);
  Tensor c = ops::pow(a, b);
  if (!tracked(a, b)) return c;
  return record_pow<BackTo>(a, b, c);
}

Tensor remainder(const Tensor& a, const Tensor& b) {
  Tensor c = ops::remainder(a, b);
  if (!tracked(a, b)) return c;
  return record_remainder<BackTo>(a, b, c);
}

#define WEFT_DEFINE(Functor, name, ...)                                     \
  Tensor name(const Tensor& a, const Tensor& b) { return ops::name(a, b); } \
  Tensor name(const Tensor& a, double b) { return ops::compare(CompareOp::name, a, b); }
WEFT_COMPARE_OPS(WEFT_DEFINE)
#undef WEFT_DEFINE
#define WEFT_DEFINE(Functor, name, ...) \
  Tensor name(const Tensor& x) { return ops::name(x); }
WEFT_TEST_OPS(WEFT_DEFINE)
#undef WEFT_DEFINE

}  // namespace weft
