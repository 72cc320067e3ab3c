// Optimizer steps over flat arrays, in place on the weights and the slots.
#include "kernels/declare.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {
namespace {

// A moment below the smallest normal number becomes zero: those of a dead unit would otherwise stay subnormal for ever,
// and subnormal arithmetic is slow (a step went from 1.81 to 7.19 us).
LW_INLINE Vec flush(Vec x) { return select(abs(x) < Vec::set1(0x1p-126f), Vec::zero(), x); }

LW_INLINE Vec decayed(const float* w, int64_t n, const OptimizerArgs& a) {
  const Vec v = load(w, n);
  return a.decay == 0.0f ? v : fnma(Vec::set1(a.decay), v, v);
}

}  // namespace

// momentum 0: w -= lr * g; else v = momentum * v - lr * g, w += v (nesterov: w += momentum * v - lr * g).
void sgd_step(float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
  const Vec lr = Vec::set1(a.lr), momentum = Vec::set1(a.beta1);
  float* const velocity = slots[0];
  if (a.beta1 == 0.0f) {
    return for_vectors(n,
                       [&](int64_t i, int64_t k) { store(fnma(lr, load(g + i, k), decayed(w + i, k, a)), w + i, k); });
  }
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec step = lr * load(g + i, k);
    const Vec v = flush(momentum * load(velocity + i, k) - step);
    store(v, velocity + i, k);
    store(decayed(w + i, k, a) + (a.nesterov ? momentum * v - step : v), w + i, k);
  });
}

// m += (g - m)(1 - b1);  v += (g^2 - v)(1 - b2);  w -= lr_t * m / (sqrt(v) + eps), lr_t with the bias corrections.
void adam_step(float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
  const Vec lr = Vec::set1(a.lr), epsilon = Vec::set1(a.epsilon);
  const Vec rate1 = Vec::set1(a.rate1), rate2 = Vec::set1(a.rate2);
  float *const ms = slots[0], *const vs = slots[1];
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec grad = load(g + i, k), m0 = load(ms + i, k), v0 = load(vs + i, k);
    const Vec m = flush(fma(grad - m0, rate1, m0)), v = flush(fma(fma(grad, grad, -v0), rate2, v0));
    store(m, ms + i, k);
    store(v, vs + i, k);
    store(decayed(w + i, k, a) - lr * m / (sqrt(v) + epsilon), w + i, k);
  });
}

// v = rho * v + (1 - rho) * g^2; step = lr * g / sqrt(v + eps), centered: sqrt(v - mean^2 + eps) with the running mean
// of g; momentum: mom = momentum * mom + step, w -= mom. Slots: v, then mean and momentum where they are used.
void rmsprop_step(float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
  const Vec lr = Vec::set1(a.lr), epsilon = Vec::set1(a.epsilon), momentum = Vec::set1(a.beta1);
  const Vec rho = Vec::set1(a.beta2), rate = Vec::set1(a.rate2);
  float *const vs = slots[0], *const means = slots[1];
  float* const moments = a.centered ? slots[2] : slots[1];
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec grad = load(g + i, k);
    const Vec v = flush(fma(rho, load(vs + i, k), rate * (grad * grad)));
    store(v, vs + i, k);
    Vec spread = v;
    if (a.centered) {
      const Vec mean = flush(fma(rho, load(means + i, k), rate * grad));
      store(mean, means + i, k);
      spread = fnma(mean, mean, v);
    }
    Vec step = lr * grad / sqrt(spread + epsilon);
    if (a.beta1 != 0.0f) {
      step = flush(fma(momentum, load(moments + i, k), step));
      store(step, moments + i, k);
    }
    store(decayed(w + i, k, a) - step, w + i, k);
  });
}

}  // namespace lanewise::LW_ISA
