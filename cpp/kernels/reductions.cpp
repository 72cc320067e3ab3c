// Sums in the fixed orders of the numeric contract, and small flat helpers.
#include "kernels/declare.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {
namespace {

// What is summed: f(v, r, c, n), v the n elements of x from (r, c) on.

// One vector of columns: 16 chains side by side, row r in chain r mod 16. first, c: where x stands in the array.
template <class F>
LW_INLINE Vec chunk_sum(const float* x, int64_t ldx, int64_t first, int64_t rows, int64_t c, int64_t n, F f) {
  Vec fast[16];  // in registers
  LW_UNROLL for (int i = 0; i < 16; ++i) fast[i] = Vec::zero();
  int64_t r = 0;
  for (; !kSmall && n == Vec::kLanes && r + 16 <= rows; r += 16) {
    LW_UNROLL for (int i = 0; i < 16; ++i) fast[i] =
        fast[i] + f(Vec::load(x + (r + i) * ldx), first + r + i, c, Vec::kLanes);
  }
  if (r == rows) return fixed_tree(fast);
  Vec chain[16];
  LW_UNROLL for (int i = 0; i < 16; ++i) chain[i] = fast[i];
  for (; r < rows; ++r) chain[r % 16] = chain[r % 16] + f(load(x + r * ldx, n), first + r, c, n);
  return fixed_tree(chain);
}

// The same chains for a strip of columns, side by side in L1 or L2: the rows are read along their length, four of a
// chain at a time, and rows to come are asked for ahead (a stride of pages is nothing that a CPU foresees).
constexpr int64_t kStripCols = 1024, kAhead = 2;
template <class F>
LW_INLINE void strip_sum(const float* x, int64_t ldx, int64_t first, int64_t rows, int64_t c0, int64_t cols, float* out,
                         F f) {
  alignas(64) float chains[16 * (kStripCols + 16)];
  const int64_t ldc = (cols + 15) / 16 * 16 + 16;  // whole vectors; no two chains in the same lines of L1
  for (int64_t i = 0; i < 16 * ldc; i += Vec::kLanes) Vec::zero().store(chains + i);
  const int64_t step = 16 * ldx;
  int64_t r = 0;
  for (; r + 64 <= rows; r += 64) {
    for (int i = 0; i < 16; ++i) {
      const float* row = x + (r + i) * ldx;
      const int64_t ahead = (i < 16 - kAhead ? kAhead : 48 + kAhead) * ldx;
      for_vectors(cols, [&](int64_t c, int64_t n) {
        const float* p = row + c;
        LW_UNROLL for (int64_t j = 0; j < 4; ++j) __builtin_prefetch(p + j * step + ahead);
        Vec sum = Vec::load(chains + i * ldc + c);
        LW_UNROLL for (int64_t j = 0; j < 4; ++j) sum =
            sum + f(load(p + j * step, n), first + r + i + 16 * j, c0 + c, n);
        sum.store(chains + i * ldc + c);
      });
    }
  }
  for (; r < rows; ++r) {
    const float* row = x + r * ldx;
    float* to = chains + r % 16 * ldc;
    each_vector(cols, [&](int64_t c, int64_t n) {
      (Vec::load(to + c) + f(load(row + c, n), first + r, c0 + c, n)).store(to + c);
    });
  }
  each_vector(cols, [&](int64_t c, int64_t n) {
    Vec v[16];
    LW_UNROLL for (int i = 0; i < 16; ++i) v[i] = Vec::load(chains + i * ldc + c);
    const Vec sum = fixed_tree(v);
    store(first == 0 ? sum : load(out + c, n) + sum, out + c, n);
  });
}

template <class F>
LW_INLINE void sum_columns(const float* x, int64_t ldx, float* out, int64_t rows, int64_t cols, F f) {
  // Fewer rows go by vectors: on a Cascade Lake 48x1000 7.5 -> 5.2 us, with AVX2 11.2 -> 6.5; 32x4096 20 -> 23.
  if (cols >= 64 && rows >= 128) {
    for (int64_t c = 0; c < cols; c += kStripCols) {
      const int64_t width = smaller(cols - c, kStripCols);
      for (int64_t r = 0; r < rows; r += kColumnChunk)
        strip_sum(x + r * ldx + c, ldx, r, smaller(rows - r, kColumnChunk), c, width, out + c, f);
    }
    return;
  }
  each_vector(cols, [&](int64_t c, int64_t n) {
    Vec total = Vec::zero();
    for (int64_t r = 0; r < rows; r += kColumnChunk) {
      const Vec sum = chunk_sum(x + r * ldx + c, ldx, r, smaller(rows - r, kColumnChunk), c, n, f);
      total = r == 0 ? sum : total + sum;
    }
    store(total, out + c, n);
  });
}

// out[c] = sum over rows of d * by[r,c], d = x[r,c] - mean[c]; without mean x, without by d * d. One loop for all, for
// the weight of the wheel (4 KB).
__attribute__((noinline)) void sum_products(const float* x, int64_t ldx, const float* mean, const float* by,
                                            int64_t ldb, float* out, int64_t rows, int64_t cols) {
  sum_columns(x, ldx, out, rows, cols, [=](Vec d, int64_t r, int64_t c, int64_t n) {
    if (mean != nullptr) d = d - load(mean + c, n);
    return d * (by != nullptr ? load(by + r * ldb + c, n) : d);
  });
}

}  // namespace

// A chain starts at +0 and so never becomes -0: where rows run along lanes (sum16), adding +0 for the rows past the end
// changes nothing, and both forms give the same bits.
[[gnu::noinline]] void column_sum(const float* x, int64_t ldx, float* out, int64_t rows, int64_t cols) {
  if (cols == 1 && ldx == 1)
    *out = sum16<kColumnChunk>(rows, [&](int64_t r, int64_t n) { return load16(x + r, n); });
  else
    sum_columns(x, ldx, out, rows, cols, [](Vec v, int64_t, int64_t, int64_t) { return v; });
}

// out[c] = sum over rows of a[r,c] * b[r,c]
void column_dot(const float* a, const float* b, int64_t ld, float* out, int64_t rows, int64_t cols) {
  sum_products(a, ld, nullptr, b, ld, out, rows, cols);
}

// mean[c] and variance[c] = sum((x[r,c] - mean[c])^2) / rows, in two passes. Where the mean is more than 16 standard
// deviations from 0 its rounding counts (a constant column): it takes the mean of x - mean, and the second pass is made
// again. Such columns go by vectors, of which each lane keeps what it had if it is not one.
void column_moments(const float* x, int64_t ldx, float* mean, float* variance, int64_t rows, int64_t cols) {
  const Vec count = Vec::set1(static_cast<float>(rows));
  const auto divide = [&](float* sums, int64_t width) {
    for (int64_t c = 0; c < width; c += Vec::kLanes) {
      const int64_t n = smaller(Vec::kLanes, width - c);
      store(load(sums + c, n) / count, sums + c, n);
    }
  };
  column_sum(x, ldx, mean, rows, cols);
  divide(mean, cols);
  sum_products(x, ldx, mean, nullptr, 0, variance, rows, cols);
  divide(variance, cols);
  for (int64_t c = 0; c < cols; c += Vec::kLanes) {
    const int64_t n = smaller(Vec::kLanes, cols - c);
    const Vec m = load(mean + c, n);
    const Mask far = m * m > Vec::set1(256.0f) * load(variance + c, n);
    float shift[Vec::kLanes], ones[Vec::kLanes], any = 0.0f;
    select(far, Vec::set1(1.0f), Vec::zero()).store(shift);
    for (float lane : shift) any += lane;
    if (any == 0.0f) continue;
    Vec::set1(1.0f).store(ones);
    sum_products(x + c, ldx, mean + c, ones, 0, shift, rows, n);
    divide(shift, n);
    store(select(far, m + load(shift, n), m), mean + c, n);
    sum_products(x + c, ldx, mean + c, nullptr, 0, variance + c, rows, n);
    divide(variance + c, n);
  }
}

constexpr int64_t kFar = 1024;  // floats: the page after this one, where no prefetcher goes by itself
void row_sum(const float* x, int64_t ldx, float* out, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * ldx;
    out[r] = sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
      __builtin_prefetch(row + c + kFar);
      return load16(row + c, n);
    });
  }
}

void weighted_sum(const float* x, const float* w, float* out, int64_t n) {
  *out = sum16<kColumnChunk>(n, [&](int64_t i, int64_t k) {
    if (w == nullptr) return load16(x + i, k);
    return map16([](Vec a, Vec b) { return a * b; }, load16(x + i, k), load16(w + i, k));
  });
}

void sum_squares(const float* x, float* out, int64_t n) {
  *out = sum16<kColumnChunk>(
      n, [&](int64_t i, int64_t k) { return map16([](Vec a) { return a * a; }, load16(x + i, k)); });
}

void scale_inplace(float* x, float s, int64_t n) {
  for_vectors(n, [&](int64_t i, int64_t k) { store(load(x + i, k) * Vec::set1(s), x + i, k); });
}

// NaN stays NaN.
void clip_inplace(float* x, float limit, int64_t n) {
  const Vec high = Vec::set1(limit), low = -high;
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec v = load(x + i, k);
    store(select(v > high, high, select(v < low, low, v)), x + i, k);
  });
}

void add_inplace(float* y, const float* x, int64_t n) {
  for_vectors(n, [&](int64_t i, int64_t k) { store(load(y + i, k) + load(x + i, k), y + i, k); });
}

// sum of l1 * |w| + l2 * w^2
void l1l2_forward(const float* w, float l1, float l2, float* out, int64_t n) {
  const Vec a = Vec::set1(l1), b = Vec::set1(l2);
  *out = sum16<kColumnChunk>(n, [&](int64_t i, int64_t k) {
    return map16([&](Vec v) { return fma(a, abs(v), b * (v * v)); }, load16(w + i, k));
  });
}

// g += l1 * sign(w) + 2 * l2 * w
void l1l2_backward(const float* w, float l1, float l2, float* g, int64_t n) {
  const Vec a = Vec::set1(l1), b = Vec::set1(2.0f * l2), zero = Vec::zero();
  for_vectors(n, [&](int64_t i, int64_t k) {
    const Vec v = load(w + i, k);
    const Vec sign = select(v > zero, a, select(v < zero, -a, zero));
    store(load(g + i, k) + fma(b, v, sign), g + i, k);
  });
}

}  // namespace lanewise::LW_ISA
