// Several values into one and back: sums, products, larger ones, concatenations.
#include <cstring>

#include "engine/execute.h"
#include "engine/team.h"

namespace lanewise {
namespace {

using Merge = void (*)(const float*, const float*, float*, int64_t);

Merge merge_kernel(const KernelTable& t, Op op) {
  switch (op) {
    case Op::kSubtract:
      return t.subtract_forward;
    case Op::kMultiply:
      return t.multiply_forward;
    case Op::kMaximum:
      return t.maximum_forward;
    case Op::kMinimum:
      return t.minimum_forward;
    case Op::kDivide:
      return t.divide_forward;
    default:
      return t.add_forward;
  }
}

// A sample of the wide tensor is `blocks` equal stretches; the narrow one has a part of each, from element `first` on.
void copy_columns(const Run& run, const Instruction& i, int thread) {
  const bool put = i.kind == Kind::kPutColumns;
  auto stretch = [&](int t) { return run.shape(t).rows * run.shape(t).cols / i.blocks; };
  const int64_t wide = stretch(put ? i.out : i.in), narrow = stretch(put ? i.in : i.out);
  const Range r = share(run.batch * i.blocks, thread, run.threads);
  float* from_wide = run.data(put ? i.out : i.in) + r.begin * wide + i.first;
  float* from_narrow = run.data(put ? i.in : i.out) + r.begin * narrow;
  const auto bytes = static_cast<size_t>(narrow) * sizeof(float);
  for (int64_t n = r.begin; n < r.end; ++n, from_wide += wide, from_narrow += narrow)
    std::memcpy(put ? from_wide : from_narrow, put ? from_narrow : from_wide, bytes);
}

}  // namespace

void execute_merge(const Run& run, const Instruction& i, int thread) {
  if (i.kind == Kind::kPutColumns || i.kind == Kind::kTakeColumns) return copy_columns(run, i, thread);
  const KernelTable& k = *run.table;
  const Range r = share(run.batch * run.shape(i.out).rows, thread, run.threads);
  const int64_t rows = r.end - r.begin, cols = run.shape(i.kind == Kind::kScaleRows ? i.out : i.in).cols;
  if (rows <= 0) return;
  auto at = [&](int t) { return run.data(t) + r.begin * run.shape(t).cols; };
  switch (i.kind) {
    case Kind::kMerge:
      return merge_kernel(k, i.activation)(at(i.in), at(i.in2), at(i.out), rows * cols);
    case Kind::kMaximumBackward:
      return k.maximum_backward(at(i.in), at(i.in2), at(i.in3), at(i.out), rows * cols);
    case Kind::kDot:
      return k.dot_forward(at(i.in), at(i.in2), at(i.out), rows, cols);
    case Kind::kScaleRows:
      return k.dot_backward(at(i.in), at(i.in2), at(i.out), rows, cols);
    case Kind::kScale:
      k.linear_forward(at(i.in), cols, nullptr, at(i.out), cols, rows, cols, {});
      return k.scale_inplace(at(i.out), i.rate, rows * cols);
    default:
      return;
  }
}

}  // namespace lanewise
