// Losses for numbers: p the prediction, t the target. Meanings are Keras's; quantile, Tweedie, gamma and Gaussian have
// no counterpart there.
#include "kernels/losses.h"

namespace lanewise::LW_ISA {
namespace {

// (p - t)^2
struct Mse : Plain {
  using Plain::Plain;
  LW_INLINE Vec loss(Vec p, Vec t) const {
    const Vec d = p - t;
    return d * d;
  }
  LW_INLINE Vec gradient(Vec p, Vec t) const {
    const Vec d = p - t;
    return d + d;
  }
};

// |p - t|; the derivative at 0 is 0
struct Mae : Plain {
  using Plain::Plain;
  LW_INLINE Vec loss(Vec p, Vec t) const { return abs(p - t); }
  LW_INLINE Vec gradient(Vec p, Vec t) const { return sign(p - t); }
};

// 100 |p - t| / max(|t|, epsilon)
struct Mape : Plain {
  using Plain::Plain;
  LW_INLINE Vec loss(Vec p, Vec t) const { return abs(p - t) / at_least(abs(t), kEpsilon) * Vec::set1(100.0f); }
  LW_INLINE Vec gradient(Vec p, Vec t) const { return sign(p - t) * Vec::set1(100.0f) / at_least(abs(t), kEpsilon); }
};

// (log(1 + p) - log(1 + t))^2, p and t at least epsilon; derivative 0 where p is not
struct Msle : Plain {
  using Plain::Plain;
  static LW_INLINE Vec difference(Vec p, Vec t) {
    return call_log1p(at_least(p, kEpsilon)) - call_log1p(at_least(t, kEpsilon));
  }
  LW_INLINE Vec loss(Vec p, Vec t) const {
    const Vec d = difference(p, t);
    return d * d;
  }
  LW_INLINE Vec gradient(Vec p, Vec t) const {
    const Vec d = difference(p, t);
    return select(p <= Vec::set1(kEpsilon), Vec::zero(), (d + d) / (p + one()));
  }
};

// e^2 / 2 for |e| <= delta, else delta * (|e| - delta / 2)
struct Huber {
  Vec delta;
  LW_INLINE explicit Huber(const float* param) : delta(Vec::set1(param[0])) {}
  LW_INLINE Vec loss(Vec p, Vec t) const {
    const Vec e = p - t, a = abs(e);
    return select(a > delta, delta * fnma(half(), delta, a), half() * e * e);
  }
  LW_INLINE Vec gradient(Vec p, Vec t) const {
    const Vec e = p - t;
    return select(abs(e) > delta, copy_sign(delta, e), e);
  }
};

// log cosh(e), derivative tanh e. Below 1 as log(1 + sinh(e)^2) / 2 with sinh^2 = tanh^2 / (1 - tanh^2), which keeps
// the digits of small values; above as |e| + log(1 + exp(-2|e|)) - log 2, which does not overflow.
struct LogCosh : Plain {
  using Plain::Plain;
  LW_INLINE Vec loss(Vec p, Vec t) const {
    const Vec e = p - t, a = abs(e), h = call_tanh(e), square = h * h;
    const Mask near = a < one();
    const Vec l = call_log1p(select(near, square / (one() - square), call_exp(-(a + a))));
    return select(near, half() * l, a + (l - Vec::set1(0x1.62e430p-1f)));
  }
  LW_INLINE Vec gradient(Vec p, Vec t) const { return call_tanh(p - t); }
};

// p - t log(p + epsilon)
struct Poisson : Plain {
  using Plain::Plain;
  LW_INLINE Vec loss(Vec p, Vec t) const { return fnma(t, call_log(p + Vec::set1(kEpsilon)), p); }
  LW_INLINE Vec gradient(Vec p, Vec t) const { return one() - t / (p + Vec::set1(kEpsilon)); }
};

// max(q e, (q - 1) e), e = t - p; the derivative at 0 is 0
struct Quantile {
  Vec q;
  LW_INLINE explicit Quantile(const float* param) : q(Vec::set1(param[0])) {}
  LW_INLINE Vec loss(Vec p, Vec t) const {
    const Vec e = t - p;
    return select(e > Vec::zero(), q * e, (q - one()) * e);
  }
  LW_INLINE Vec gradient(Vec p, Vec t) const {
    const Vec e = t - p;
    return select(e > Vec::zero(), -q, select(e < Vec::zero(), one() - q, e + Vec::zero()));
  }
};

// What the losses with a mean m > 0 start from: p is m, or its logarithm. As m it counts as epsilon where it is less
// (derivative 0 there).
struct PositiveMean {
  bool log_input;
  LW_INLINE Vec log_mean(Vec p) const { return log_input ? p : call_log(at_least(p, kEpsilon)); }
  // The derivative by p from that by log m.
  LW_INLINE Vec by_input(Vec p, Vec g) const {
    return log_input ? g : select(p <= Vec::set1(kEpsilon), Vec::zero(), g / p);
  }
};

// t m^(1 - w) / (w - 1) + m^(2 - w) / (2 - w), w the power in (1, 2): the negative log-likelihood of a Tweedie
// distribution of dispersion 1 without what does not depend on m
struct Tweedie : PositiveMean {
  Vec below, above;  // 1 - w, 2 - w
  LW_INLINE explicit Tweedie(const float* param)
      : PositiveMean{param[1] != 0.0f}, below(one() - Vec::set1(param[0])), above(below + one()) {}
  LW_INLINE Vec loss(Vec p, Vec t) const {
    const Vec l = log_mean(p);
    return call_exp(above * l) / above - t * call_exp(below * l) / below;
  }
  LW_INLINE Vec gradient(Vec p, Vec t) const {
    const Vec l = log_mean(p);
    return by_input(p, fnma(t, call_exp(below * l), call_exp(above * l)));
  }
};

// t / m + log m: the same of a gamma distribution of shape 1
struct Gamma : PositiveMean {
  LW_INLINE explicit Gamma(const float* param) : PositiveMean{param[0] != 0.0f} {}
  LW_INLINE Vec ratio(Vec p, Vec t) const { return log_input ? t * call_exp(-p) : t / at_least(p, kEpsilon); }
  LW_INLINE Vec loss(Vec p, Vec t) const { return ratio(p, t) + log_mean(p); }
  LW_INLINE Vec gradient(Vec p, Vec t) const { return by_input(p, one() - ratio(p, t)); }
};

// (v + (t - m)^2 exp(-v)) / 2 with v the logarithm of the variance, at least that of 1e-6 (the derivative by v is then
// that at the limit: a variance that is too small is pushed up)
constexpr float kLeastLogVariance = -0x1.ba18aap+3f;
struct Gaussian {
  Vec error, log_variance, precision;
  LW_INLINE Gaussian(Vec m, Vec v, Vec t)
      : error(m - t), log_variance(at_least(v, kLeastLogVariance)), precision(call_exp(-log_variance)) {}
  LW_INLINE Vec loss() const { return half() * fma(error * error, precision, log_variance); }
  LW_INLINE Vec by_mean() const { return error * precision; }
  LW_INLINE Vec by_log_variance() const { return half() * fnma(error * error, precision, one()); }
};

// Vectors of rows where a row has one mean and one variance, else of columns: f(mean, log variance, target, row,
// column, lanes) with the vectors loaded. cols counts both means and log variances.
template <class F>
LW_INLINE void each_gaussian(const float* pred, const float* target, int64_t rows, int64_t cols, F f) {
  const int64_t d = cols / 2;
  for (int64_t r = 0; r < rows;) {
    const int64_t together = d == 1 ? smaller(rows - r, Vec::kLanes) : 1;
    float pairs[2][Vec::kLanes];
    for (int64_t i = 0; d == 1 && i < together; ++i)
      pairs[0][i] = pred[2 * (r + i)], pairs[1][i] = pred[2 * (r + i) + 1];
    const float* mean = d == 1 ? pairs[0] : pred + r * cols;
    const float* variance = d == 1 ? pairs[1] : mean + d;
    each_vector(d == 1 ? together : d, [&](int64_t c, int64_t n) {
      f(Gaussian(load(mean + c, n), load(variance + c, n), load(target + r * d + c, n)), r, c, n);
    });
    r += together;
  }
}

}  // namespace

LW_ROW_LOSS(mse_forward, mse_backward, Mse, true)
LW_ROW_LOSS(mae_forward, mae_backward, Mae, true)
LW_ROW_LOSS(mape_forward, mape_backward, Mape, true)
LW_ROW_LOSS(msle_forward, msle_backward, Msle, true)
LW_ROW_LOSS(huber_forward, huber_backward, Huber, true)
LW_ROW_LOSS(log_cosh_forward, log_cosh_backward, LogCosh, true)
LW_ROW_LOSS(poisson_forward, poisson_backward, Poisson, true)
LW_ROW_LOSS(quantile_forward, quantile_backward, Quantile, true)
LW_ROW_LOSS(tweedie_forward, tweedie_backward, Tweedie, true)
LW_ROW_LOSS(gamma_forward, gamma_backward, Gamma, true)

void gaussian_nll_forward(const float* pred, const float* target, const float*, float* row_loss, int64_t rows,
                          int64_t cols) {
  const int64_t d = cols / 2;
  float total = 0.0f;
  alignas(64) float block[kRowBlock];
  each_gaussian(pred, target, rows, cols, [&](const Gaussian& g, int64_t r, int64_t c, int64_t n) {
    if (d == 1) return store(g.loss(), row_loss + r + c, n);
    store(g.loss(), block + c % kRowBlock, n);
    const int64_t end = c + n;
    if (end != d && end % kRowBlock != 0) return;
    const int64_t size = (end - 1) % kRowBlock + 1;
    const float sum = block_sum(block, size);
    total = end == size ? sum : total + sum;
    row_loss[r] = total / static_cast<float>(d);
  });
}

void gaussian_nll_backward(const float* pred, const float* target, const float*, const float* row_weight, float scale,
                           float* dpred, int64_t rows, int64_t cols) {
  const int64_t d = cols / 2;
  const float count = static_cast<float>(d);
  each_gaussian(pred, target, rows, cols, [&](const Gaussian& g, int64_t r, int64_t c, int64_t n) {
    if (d > 1) {
      const Vec k = Vec::set1(weight_of(row_weight, r, scale) / count);
      store(g.by_mean() * k, dpred + r * cols + c, n);
      return store(g.by_log_variance() * k, dpred + r * cols + d + c, n);
    }
    float pairs[2][Vec::kLanes];
    g.by_mean().store(pairs[0]), g.by_log_variance().store(pairs[1]);
    for (int64_t i = 0; i < n; ++i) {
      const float k = weight_of(row_weight, r + c + i, scale);
      dpred[2 * (r + c + i)] = pairs[0][i] * k, dpred[2 * (r + c + i) + 1] = pairs[1][i] * k;
    }
  });
}

}  // namespace lanewise::LW_ISA
