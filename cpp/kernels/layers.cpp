// Dropout, noise and normalisation.
#include "kernels/declare.h"
#include "simd/loops.h"
#include "simd/math.h"

namespace lanewise::LW_ISA {

namespace {

// philox_block (engine/philox.h) in vectors: out[0..3] are the words of elements 4 * block on, in order.
LW_INLINE void philox_group(const PhiloxKey& key, uint32_t block, VecI (&out)[4]) {
  const auto same = [](uint64_t x) { return VecI::set1(static_cast<int32_t>(static_cast<uint32_t>(x))); };
  // Lane 4k + j computes block j * kLanes/4 + k: transposing groups of four lanes then puts the words in order.
  int32_t number[Vec::kLanes];
  for (int i = 0; i < Vec::kLanes; ++i) number[i] = i % 4 * (Vec::kLanes / 4) + i / 4;
  const VecI m0 = same(0xD2511F53u), m1 = same(0xCD9E8D57u);
  VecI c0 = VecI::load(number) + same(block), c1 = same((key.node & 0xFFFFu) | (key.stream << 16));
  VecI c2 = same(key.step), c3 = same(key.step >> 32), k0 = same(key.seed), k1 = same(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const VecI high0 = multiply_high(c0, m0), low0 = c0 * m0, high1 = multiply_high(c2, m1), low1 = c2 * m1;
    c0 = high1 ^ c1 ^ k0, c1 = low1, c2 = high0 ^ c3 ^ k1, c3 = low0;
    k0 = k0 + same(0x9E3779B9u), k1 = k1 + same(0xBB67AE85u);
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
  transpose4(out);
}

// y[e] = f(x[e], word(e)) for elements first .. first + n of the node's array.
template <class F>
LW_INLINE void with_words(const float* x, float* y, int64_t first, int64_t n, const PhiloxKey& key, F f) {
  constexpr int64_t kGroup = 4 * Vec::kLanes;
  float part[kGroup] = {};
  for (int64_t i = 0; i < n;) {
    const int64_t e = first + i, begin = e / kGroup * kGroup, end = smaller(n, begin + kGroup - first);
    const bool whole = end - i == kGroup;  // else part of a group, through a buffer
    if (!whole)
      for (int64_t j = i; j < end; ++j) part[first + j - begin] = x[j];
    const float* from = whole ? x + i : part;
    float* to = whole ? y + i : part;
    VecI words[4];
    philox_group(key, static_cast<uint32_t>(begin / 4), words);
    LW_UNROLL for (int j = 0; j < 4; ++j) f(Vec::load(from + j * Vec::kLanes), words[j]).store(to + j * Vec::kLanes);
    if (!whole)
      for (int64_t j = i; j < end; ++j) y[j] = part[first + j - begin];
    i = end;
  }
}

// word < threshold, unsigned: by moving both ranges.
struct Dropped {
  VecI limit;
  explicit Dropped(uint32_t threshold) : limit(VecI::set1(static_cast<int32_t>(threshold)) ^ VecI::set1(INT32_MIN)) {}
  LW_INLINE Mask operator()(VecI word) const { return limit > (word ^ VecI::set1(INT32_MIN)); }
};

}  // namespace

// y[e] = word(e) >= threshold ? x[e] * scale : 0
void dropout_apply(const float* x, float* y, int64_t first, int64_t n, uint32_t threshold, float scale, PhiloxKey key) {
  const Dropped dropped(threshold);
  const Vec factor = Vec::set1(scale);
  with_words(x, y, first, n, key, [&](Vec v, VecI word) { return select(dropped(word), Vec::zero(), v * factor); });
}

// y[e] = word(e) >= threshold ? x[e] * scale + shift : floor
void alpha_dropout_apply(const float* x, float* y, int64_t first, int64_t n, uint32_t threshold, float scale,
                         float shift, float floor, PhiloxKey key) {
  const Dropped dropped(threshold);
  const Vec a = Vec::set1(scale), b = Vec::set1(shift), low = Vec::set1(floor);
  with_words(x, y, first, n, key, [&](Vec v, VecI word) { return select(dropped(word), low, fma(v, a, b)); });
}

// y[e] = x[e] + z(e) * (add + times * x[e])
void gaussian_apply(const float* x, float* y, int64_t first, int64_t n, float add, float times, PhiloxKey key) {
  const Vec a = Vec::set1(add), b = Vec::set1(times);
  with_words(x, y, first, n, key, [&](Vec v, VecI word) { return fma(normal_of_word(word), fma(b, v, a), v); });
}

// y[r,c] = (x[r,c] - mean[c]) / std[c]
void normalize_forward(const float* x, const float* mean, const float* std, float* y, int64_t rows, int64_t cols) {
  for_matrix(rows, cols, false, [&](int64_t r, int64_t c, int64_t n) {
    store((load(x + r * cols + c, n) - load(mean + c, n)) / load(std + c, n), y + r * cols + c, n);
  });
}

// dx[r,c] = dy[r,c] / std[c]
void normalize_backward(const float* dy, const float* std, float* dx, int64_t rows, int64_t cols) {
  for_matrix(rows, cols, false, [&](int64_t r, int64_t c, int64_t n) {
    store(load(dy + r * cols + c, n) / load(std + c, n), dx + r * cols + c, n);
  });
}

}  // namespace lanewise::LW_ISA
