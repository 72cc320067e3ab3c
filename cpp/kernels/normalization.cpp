// Normalisation by the statistics of columns (batch) or of rows (layer, root mean square, unit), column-wise scales,
// and the maximum over time.
#include "kernels/declare.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {
namespace {

constexpr float kInfinity = __builtin_inff();

// A variance beyond float32 gives NaN, not the 0 that would make every x - mean a 0.
LW_INLINE Vec inverse_std(const float* variance, float epsilon, int64_t n) {
  const Vec v = load(variance, n), infinity = Vec::set1(kInfinity);
  return select(v < infinity, Vec::set1(1.0f) / sqrt(v + Vec::set1(epsilon)), v - infinity);
}

LW_INLINE float root(float x) {
  float t[Vec::kLanes];
  sqrt(Vec::set1(x)).store(t);
  return t[0];
}

// y = (x - x[0], or x where it is not centred) * s, s = first times the power of two that brings the largest |y| or
// `least` * s, whichever is larger, near 1. Returns s.
float rescale(const float* x, bool center, float least, float first, float* y, int64_t n) {
  const Vec by = Vec::set1(first), from = Vec::set1(center ? -x[0] * first : 0.0f);
  float top[Vec::kLanes] = {least * first};
  for (int64_t i = 0; i < n; i += Vec::kLanes) {
    const int64_t k = smaller(Vec::kLanes, n - i);
    const Vec v = fma(load(x + i, k), by, from);
    store(v, y + i, k);
    max(load(top, Vec::kLanes), abs(first_lanes(v, k, Vec::zero()))).store(top);
  }
  for (float lane : top) top[0] = lane > top[0] ? lane : top[0];
  int32_t bits;
  std::memcpy(&bits, top, sizeof bits);
  bits = 0x7F000000 - (bits & 0x7F800000);  // 2^-e of 2^e <= top < 2^(e + 1)
  if (bits <= 0) bits = 0x00800000;
  float s;
  std::memcpy(&s, &bits, sizeof s);
  for (int64_t i = 0; i < n; i += Vec::kLanes) {
    const int64_t k = smaller(Vec::kLanes, n - i);
    store(load(y + i, k) * Vec::set1(s), y + i, k);
  }
  return s * first;
}

}  // namespace

// xhat[r,c] = (x[r,c] - mean[c]) / sqrt(variance[c] + epsilon);  y[r,c] = xhat[r,c] * gamma[c] + beta[c]
void batch_norm_forward(const float* x, const float* mean, const float* variance, const float* gamma, const float* beta,
                        float epsilon, float* xhat, float* y, int64_t ld, int64_t rows, int64_t cols) {
  for_vectors(cols, [&](int64_t c, int64_t n) {
    const Vec m = load(mean + c, n), s = inverse_std(variance + c, epsilon, n);
    const Vec g = load(gamma + c, n), b = load(beta + c, n);
    for (int64_t at = c; at < rows * ld; at += ld) {
      const Vec h = (load(x + at, n) - m) * s;
      if (xhat != nullptr) store(h, xhat + at, n);
      store(fma(h, g, b), y + at, n);
    }
  });
}

// With the statistics of these `count` rows: dx = gamma / std * (dy - sum(dy) / count - xhat * sum(dy * xhat) / count);
// with given statistics (the sums null): dx = gamma / std * dy.
void batch_norm_backward(const float* dy, const float* xhat, const float* gamma, const float* variance,
                         const float* sum_dy, const float* sum_dyx, float count, float epsilon, float* dx, int64_t ld,
                         int64_t rows, int64_t cols) {
  for_vectors(cols, [&](int64_t c, int64_t n) {
    const Vec k = load(gamma + c, n) * inverse_std(variance + c, epsilon, n);
    if (sum_dy == nullptr) {
      for (int64_t at = c; at < rows * ld; at += ld) store(load(dy + at, n) * k, dx + at, n);
      return;
    }
    const Vec a = load(sum_dy + c, n) / Vec::set1(count), b = load(sum_dyx + c, n) / Vec::set1(count);
    for (int64_t at = c; at < rows * ld; at += ld)
      store(fnma(load(xhat + at, n), b, load(dy + at, n) - a) * k, dx + at, n);
  });
}

// One row of n: m = sum(x) / n (0 where it is not centred), s = sum((x - m)^2),
// inverse = 1 / sqrt(s / n + epsilon), or 1 / max(sqrt(s), epsilon) to bring it to norm 1;
// xhat = (x - m) * inverse;  y = xhat * gamma + beta, or xhat itself where gamma is null.
//
// Rows whose s overflows or loses digits to underflow, and rows far from 0 by their own measure, where the rounding of
// m would count (constant ones), take a second round, on (x - x[0]) times a power of two that stands in y.
void row_norm_forward(const float* x, const float* gamma, const float* beta, RowNorm how, float* xhat, float* inverse,
                      float* y, int64_t rows, int64_t cols) {
  const auto width = static_cast<float>(cols);
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * cols;
    float* out = y + r * cols;
    float scaled = 1.0f, epsilon = how.epsilon, mean, norm;
    for (bool again = false;; again = true) {
      mean = 0.0f;
      if (how.center) mean = sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) { return load16(row + c, n); }) / width;
      const Vec m = Vec::set1(mean);
      const float squares = sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
        return map16([&](Vec v) { return (v - m) * (v - m); }, load16(row + c, n));
      });
      const float square = how.unit ? squares : squares / width + epsilon;
      norm = root(square);
      if (how.unit && norm < epsilon) norm = epsilon;
      if (again || (norm > 0x1p-45f && square < kInfinity && mean * mean <= 256.0f * square)) break;
      scaled = rescale(row, how.center, how.unit ? epsilon : root(epsilon), square < 1.0f ? 1.0f : 0.5f, out, cols);
      epsilon = how.unit ? epsilon * scaled : epsilon * scaled * scaled;
      row = out;
    }
    inverse[r] = 1.0f / norm;
    const Vec m = Vec::set1(mean), s = Vec::set1(inverse[r]);
    inverse[r] *= scaled;
    for_vectors(cols, [&](int64_t c, int64_t n) {
      const Vec h = (load(row + c, n) - m) * s;
      if (xhat != nullptr) store(h, xhat + r * cols + c, n);
      store(gamma == nullptr ? h : fma(h, load(gamma + c, n), load(beta + c, n)), out + c, n);
    });
  }
}

// g = dy * gamma;  dx = inverse * (g - mean(g) - xhat * mean(g * xhat)); mean(g) only where it was centred, the sum
// instead of the second mean for norm 1.
void row_norm_backward(const float* dy, const float* xhat, const float* gamma, const float* inverse, RowNorm how,
                       float* dx, int64_t rows, int64_t cols) {
  const auto width = static_cast<float>(cols);
  for (int64_t r = 0; r < rows; ++r) {
    const float *dyr = dy + r * cols, *h = xhat + r * cols;
    float* out = dx + r * cols;
    for_vectors(cols, [&](int64_t c, int64_t n) {
      const Vec g = load(dyr + c, n);
      store(gamma == nullptr ? g : g * load(gamma + c, n), out + c, n);
    });
    float mean = 0.0f;
    if (how.center) mean = sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) { return load16(out + c, n); }) / width;
    const float dot = sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
      return map16([](Vec g, Vec v) { return g * v; }, load16(out + c, n), load16(h + c, n));
    });
    const Vec a = Vec::set1(mean), b = Vec::set1(how.unit ? dot : dot / width), s = Vec::set1(inverse[r]);
    for_vectors(cols,
                [&](int64_t c, int64_t n) { store(fnma(load(h + c, n), b, load(out + c, n) - a) * s, out + c, n); });
  }
}

// y[r,c] = x[r,c] * s[c] + offset[c]; offset nullable. May run in place.
void scale_columns(const float* x, const float* s, const float* offset, float* y, int64_t rows, int64_t cols) {
  for_matrix(rows, cols, false, [&](int64_t r, int64_t c, int64_t n) {
    const Vec v = load(x + r * cols + c, n) * load(s + c, n);
    store(offset == nullptr ? v : v + load(offset + c, n), y + r * cols + c, n);
  });
}

// m = m * momentum + x * rate
void mix_inplace(float* m, const float* x, float momentum, float rate, int64_t n) {
  for_vectors(n, [&](int64_t i, int64_t k) {
    store(fma(load(m + i, k), Vec::set1(momentum), load(x + i, k) * Vec::set1(rate)), m + i, k);
  });
}

// y[c] = the largest x[t,c]; NaN where there is one.
void max_pool_forward(const float* x, float* y, int64_t rows, int64_t cols) {
  for_vectors(cols, [&](int64_t c, int64_t n) {
    Vec best = load(x + c, n);
    for (int64_t r = 1; r < rows; ++r) {
      const Vec v = load(x + r * cols + c, n);
      best = select(is_nan(best), best, select(best > v, best, v));
    }
    store(best, y + c, n);
  });
}

// dx[t,c] = dy[c] / k where x[t,c] is one of the k largest, else 0.
void max_pool_backward(const float* dy, const float* x, const float* y, float* dx, int64_t rows, int64_t cols) {
  const Vec one = Vec::set1(1.0f), zero = Vec::zero();
  for_vectors(cols, [&](int64_t c, int64_t n) {
    const Vec best = load(y + c, n);
    Vec count = zero;
    for (int64_t r = 0; r < rows; ++r) count = count + select(load(x + r * cols + c, n) == best, one, zero);
    const Vec part = load(dy + c, n) / count;
    for (int64_t r = 0; r < rows; ++r)
      store(select(load(x + r * cols + c, n) == best, part, zero), dx + r * cols + c, n);
  });
}

}  // namespace lanewise::LW_ISA
