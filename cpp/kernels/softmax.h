// The parts of softmax that the cross-entropies share.
#pragma once
#include "simd/loops.h"
#include "simd/math.h"

namespace lanewise::LW_ISA {

// The largest element of a row (cols >= 1); which one of equals does not matter.
LW_INLINE float row_max(const float* x, int64_t cols) {
  Vec best = Vec::set1(x[0]);
  for_vectors(cols, [&](int64_t c, int64_t n) {
    const Vec v = n == Vec::kLanes ? Vec::load(x + c) : Vec::load_partial(x + c, n);
    if (n == Vec::kLanes) {
      best = max(v, best);
    } else {
      float t[Vec::kLanes];
      best.store(t);
      for (int64_t i = 0; i < n; ++i) t[i] = x[c + i] > t[i] ? x[c + i] : t[i];
      best = Vec::load(t);
    }
  });
  float t[Vec::kLanes];
  best.store(t);
  float top = t[0];
  for (int i = 1; i < Vec::kLanes; ++i) top = t[i] > top ? t[i] : top;
  return top;
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
