// The parts of softmax that the cross-entropies share.
#pragma once
#include "simd/loops.h"
#include "simd/math.h"

namespace lanewise::LW_ISA {

// The largest element of a row (cols >= 1); which one of equals does not matter, nor what a row with a NaN gives (its
// exponentials are NaN anyway).
LW_INLINE float row_max(const float* x, int64_t cols) {
  Vec best = Vec::set1(x[0]);
  for_vectors(cols, [&](int64_t c, int64_t n) { best = max(first_lanes(load(x + c, n), n, best), best); });
  float t[Vec::kLanes];
  best.store(t);
  LW_UNROLL for (int half = Vec::kLanes / 2; half >= 1; half /= 2) {
    LW_UNROLL for (int i = 0; i < half; ++i) t[i] = t[i + half] > t[i] ? t[i + half] : t[i];
  }
  return t[0];
}

// y[c] = exp(x[c] - top) (y may be null); returns their sum by the row rule.
LW_INLINE float row_exp(const float* x, int64_t cols, float top, float* y) {
  const Vec t = Vec::set1(top);
  return sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
    const Vec16 e = map16([&](Vec v) { return exp(v - t); }, load16(x + c, n));
    if (y != nullptr) store16(e, y + c, n);
    return e;
  });
}

LW_INLINE float log_of(float x) {
  float t[Vec::kLanes];
  log(Vec::set1(x)).store(t);
  return t[0];
}

}  // namespace lanewise::LW_ISA
