// What the losses share. An elementwise loss is a struct with its formula and derivative, loss(p, t) and gradient(p,
// t); the loops around them are functions that stand once in the code, whatever the loss.
#pragma once
#include "kernels/declare.h"
#include "simd/loops.h"
#include "simd/math.h"

namespace lanewise::LW_ISA {

constexpr float kEpsilon = 1e-7f;  // Keras's epsilon

LW_INLINE Vec one() { return Vec::set1(1.0f); }
LW_INLINE Vec half() { return Vec::set1(0.5f); }
// At least `low`; NaN stays.
LW_INLINE Vec at_least(Vec x, float low) { return max(Vec::set1(low), x); }
// 1, -1 or 0 (of -0 too); NaN stays.
LW_INLINE Vec sign(Vec d) { return select(d > Vec::zero(), one(), select(d < Vec::zero(), -one(), d + Vec::zero())); }
// x clipped to [low, high], and where clipping leaves it as it is; NaN stays.
LW_INLINE Vec clip(Vec x, float low, float high) {
  const Vec a = Vec::set1(low), b = Vec::set1(high);
  x = select(x < a, a, x);
  return select(x > b, b, x);
}
LW_INLINE Mask unclipped(Vec x, float low, float high) { return ~((x < Vec::set1(low)) | (x > Vec::set1(high))); }

// The elementary functions as calls (losses.cpp): small code for formulas that are not in anybody's inner loop.
Vec call_exp(Vec x);
Vec call_log(Vec x);
Vec call_log1p(Vec x);  // x >= 0
Vec call_tanh(Vec x);
Vec call_sigmoid(Vec x);
// x^g for x >= 0; x below 2^-126 counts as that, so that no 0 * infinity comes of a power of 0.
LW_INLINE Vec power(Vec x, Vec g) { return call_exp(g * call_log(at_least(x, 0x1p-126f))); }

// out[i] = a formula of p[i] and t[i] for i in [0, n).
using Elements = void (*)(const float* p, const float* t, const float* param, float* out, int64_t n);

// row_loss[r] = the sum over cols of what f gives for row r, or (mean) the sum / cols.
void reduce_elements(Elements f, bool mean, const float* p, const float* t, const float* param, float* row_loss,
                     int64_t rows, int64_t cols);
// dpred = what f gives * (scale * weight / cols), weight 1 where row_weight is null, cols 1 where not mean.
void scale_elements(Elements f, bool mean, const float* p, const float* t, const float* param, const float* row_weight,
                    float scale, float* dpred, int64_t rows, int64_t cols);

template <class Loss>
void loss_elements(const float* p, const float* t, const float* param, float* out, int64_t n) {
  const Loss f(param);
  each_vector(n, [&](int64_t i, int64_t k) { store(f.loss(load(p + i, k), load(t + i, k)), out + i, k); });
}
template <class Loss>
void gradient_elements(const float* p, const float* t, const float* param, float* out, int64_t n) {
  const Loss f(param);
  each_vector(n, [&](int64_t i, int64_t k) { store(f.gradient(load(p + i, k), load(t + i, k)), out + i, k); });
}

// A loss without parameters.
struct Plain {
  LW_INLINE explicit Plain(const float*) {}
};

LW_INLINE float weight_of(const float* row_weight, int64_t r, float scale) {
  return row_weight ? scale * row_weight[r] : scale;
}

// The sum of f(c, lanes) over [0, n) by the row rule, f standing once in the code: its values go through a buffer.
float block_sum(const float* x, int64_t n);
template <class F>
LW_INLINE float sum_elements(int64_t n, F f) {
  alignas(64) float block[kRowBlock];
  float total = 0.0f;
  for (int64_t b = 0; b < n; b += kRowBlock) {
    const int64_t size = smaller(n - b, kRowBlock);
    each_vector(size, [&](int64_t i, int64_t k) { store(f(b + i, k), block + i, k); });
    const float sum = block_sum(block, size);
    total = b == 0 ? sum : total + sum;
  }
  return total;
}

// The two kernels of an elementwise loss. (A macro: a template cannot name a function.)
#define LW_ROW_LOSS(forward, backward, Loss, mean)                                                                \
  void forward(const float* pred, const float* target, const float* param, float* row_loss, int64_t rows,         \
               int64_t cols) {                                                                                    \
    reduce_elements(&loss_elements<Loss>, mean, pred, target, param, row_loss, rows, cols);                       \
  }                                                                                                               \
  void backward(const float* pred, const float* target, const float* param, const float* row_weight, float scale, \
                float* dpred, int64_t rows, int64_t cols) {                                                       \
    scale_elements(&gradient_elements<Loss>, mean, pred, target, param, row_weight, scale, dpred, rows, cols);    \
  }

}  // namespace lanewise::LW_ISA
