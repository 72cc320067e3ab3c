// Optimizer steps over flat arrays, in place on the weights and the slots.
#include "kernels/declare.h"
#include "simd/loops.h"
#include "simd/math.h"

namespace lanewise::LW_ISA {
namespace {

// A moment below the smallest normal number becomes zero: those of a dead unit would otherwise stay subnormal for ever,
// and subnormal arithmetic is slow (a step went from 1.81 to 7.19 us).
LW_INLINE Vec flush(Vec x) { return select(abs(x) < Vec::set1(0x1p-126f), Vec::zero(), x); }

LW_INLINE Vec decayed(const float* w, int64_t n, const OptimizerArgs& a) {
  const Vec v = load(w, n);
  return a.decay == 0.0f ? v : fnma(Vec::set1(a.decay), v, v);
}

// The larger of two, NaN where one is.
LW_INLINE Vec larger(Vec a, Vec b) { return select(is_nan(a), a, max(a, b)); }

// Adam's moments, stepped and stored: m += (g - m)(1 - b1), v += (g^2 - v)(1 - b2).
struct Moments {
  Vec m, v;
};
LW_INLINE Moments step_moments(Vec grad, float* ms, float* vs, int64_t k, Vec rate1, Vec rate2) {
  const Vec m0 = load(ms, k), v0 = load(vs, k);
  const Vec m = flush(fma(grad - m0, rate1, m0)), v = flush(fma(fma(grad, grad, -v0), rate2, v0));
  store(m, ms, k);
  store(v, vs, k);
  return {m, v};
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
    // All is read before anything is written: arrays that begin alike in their pages look alike to the store queue.
    const Vec grad = load(g + i, k), m0 = load(ms + i, k), v0 = load(vs + i, k), w0 = decayed(w + i, k, a);
    const Vec m = flush(fma(grad - m0, rate1, m0)), v = flush(fma(fma(grad, grad, -v0), rate2, v0));
    store(m, ms + i, k);
    store(v, vs + i, k);
    store(w0 - lr * m / (sqrt(v) + epsilon), w + i, k);
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

// Adam with the largest v so far under the root (Reddi et al. 2018). Slots: m, v, that largest v.
void amsgrad_step(float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
  const Vec lr = Vec::set1(a.lr), epsilon = Vec::set1(a.epsilon);
  const Vec rate1 = Vec::set1(a.rate1), rate2 = Vec::set1(a.rate2);
  float *const ms = slots[0], *const vs = slots[1], *const largest = slots[2];
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Moments s = step_moments(load(g + i, k), ms + i, vs + i, k, rate1, rate2);
    const Vec v = larger(flush(load(largest + i, k)), s.v);
    store(v, largest + i, k);
    store(decayed(w + i, k, a) - lr * s.m / (sqrt(v) + epsilon), w + i, k);
  });
}

// Adam that looks a step ahead: w -= (lr_mean * m + lr * g) / (scale * sqrt(v) + eps), where lr_mean, lr and scale
// carry the corrections of the step (engine/optimizer.cpp).
void nadam_step(float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
  const Vec lr = Vec::set1(a.lr), lr_mean = Vec::set1(a.lr_mean);
  const Vec scale = Vec::set1(a.scale), epsilon = Vec::set1(a.epsilon);
  const Vec rate1 = Vec::set1(a.rate1), rate2 = Vec::set1(a.rate2);
  float *const ms = slots[0], *const vs = slots[1];
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec grad = load(g + i, k);
    const Moments s = step_moments(grad, ms + i, vs + i, k, rate1, rate2);
    const Vec step = fma(lr_mean, s.m, lr * grad);
    store(decayed(w + i, k, a) - step / fma(scale, sqrt(s.v), epsilon), w + i, k);
  });
}

// m += (g - m)(1 - b1);  u = max(b2 * u, |g|);  w -= lr_t * m / (u + eps), lr_t = lr / (1 - b1^t).
void adamax_step(float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
  const Vec lr = Vec::set1(a.lr), epsilon = Vec::set1(a.epsilon);
  const Vec rate1 = Vec::set1(a.rate1), beta2 = Vec::set1(a.beta2);
  float *const ms = slots[0], *const us = slots[1];
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec grad = load(g + i, k), m0 = load(ms + i, k);
    const Vec m = flush(fma(grad - m0, rate1, m0)), u = larger(flush(beta2 * load(us + i, k)), abs(grad));
    store(m, ms + i, k);
    store(u, us + i, k);
    store(decayed(w + i, k, a) - lr * m / (u + epsilon), w + i, k);
  });
}

// s += g^2;  w -= lr * g / sqrt(s + eps).
void adagrad_step(float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
  const Vec lr = Vec::set1(a.lr), epsilon = Vec::set1(a.epsilon);
  float* const sums = slots[0];
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec grad = load(g + i, k), sum = flush(fma(grad, grad, load(sums + i, k)));
    store(sum, sums + i, k);
    store(decayed(w + i, k, a) - lr * grad / sqrt(sum + epsilon), w + i, k);
  });
}

// v = rho * v + (1 - rho) * g^2;  d = sqrt(u + eps) * g / sqrt(v + eps);  u = rho * u + (1 - rho) * d^2;  w -= lr * d.
void adadelta_step(float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
  const Vec lr = Vec::set1(a.lr), epsilon = Vec::set1(a.epsilon), rho = Vec::set1(a.beta2), rate = Vec::set1(a.rate2);
  float *const vs = slots[0], *const us = slots[1];
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec grad = load(g + i, k), u0 = load(us + i, k);
    const Vec v = flush(fma(rho, load(vs + i, k), rate * (grad * grad)));
    const Vec d = sqrt(u0 + epsilon) * grad / sqrt(v + epsilon);
    store(v, vs + i, k);
    store(flush(fma(rho, u0, rate * (d * d))), us + i, k);
    store(fnma(lr, d, decayed(w + i, k, a)), w + i, k);
  });
}

// s' = s + g^2;  z += g + shrinkage * w - (s'^p - s^p) / lr * w;  w = (clip(z, -l1, l1) - z) / (s'^p / lr + l2).
void ftrl_step(float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
  const Vec lr = Vec::set1(a.lr), l1 = Vec::set1(a.l1), l2 = Vec::set1(a.l2), shrinkage = Vec::set1(a.shrinkage);
  float *const sums = slots[0], *const zs = slots[1];
  const auto power = [&](Vec s) __attribute__((always_inline)) {
    if (a.power == 0.5f) return sqrt(s);
    return a.power == 0.0f ? Vec::set1(1.0f) : exp(Vec::set1(a.power) * log(s));
  };
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec grad = load(g + i, k), s0 = load(sums + i, k), s1 = flush(fma(grad, grad, s0));
    const Vec w0 = decayed(w + i, k, a), p1 = power(s1), sigma = (p1 - power(s0)) / lr;
    const Vec z = flush(load(zs + i, k) + fnma(sigma, w0, fma(shrinkage, w0, grad)));
    store(s1, sums + i, k);
    store(z, zs + i, k);
    store((max(-l1, min(l1, z)) - z) / (p1 / lr + l2), w + i, k);
  });
}

// w -= lr * sign(b1 * m + (1 - b1) * g);  m = b2 * m + (1 - b2) * g.
void lion_step(float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
  const Vec lr = Vec::set1(a.lr), one = Vec::set1(1.0f), zero = Vec::zero();
  const Vec beta1 = Vec::set1(a.beta1), rate1 = Vec::set1(a.rate1);
  const Vec beta2 = Vec::set1(a.beta2), rate2 = Vec::set1(a.rate2);
  float* const ms = slots[0];
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec grad = load(g + i, k), m = load(ms + i, k), c = fma(beta1, m, rate1 * grad);
    const Vec sign = select(c > zero, one, select(c < zero, -one, c));  // 0 and NaN as they are
    store(flush(fma(beta2, m, rate2 * grad)), ms + i, k);
    store(fnma(lr, sign, decayed(w + i, k, a)), w + i, k);
  });
}

void average_step(const float* w, float* average, float momentum, float rate, int64_t n) {
  const Vec kept = Vec::set1(momentum), added = Vec::set1(rate);
  for_vectors(n, [&](int64_t i, int64_t k) {
    store(flush(fma(kept, load(average + i, k), added * load(w + i, k))), average + i, k);
  });
}

}  // namespace lanewise::LW_ISA
