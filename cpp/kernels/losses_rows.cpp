// Losses that compare whole rows without a softmax: divergence, direction, margin. Meanings are Keras's.
#include "kernels/losses.h"

namespace lanewise::LW_ISA {
namespace {

// Summed over the row: y log(y / q), y and q clipped to [epsilon, 1]; derivative -y / q, 0 where q was clipped
struct KlDivergence : Plain {
  using Plain::Plain;
  LW_INLINE Vec loss(Vec p, Vec t) const {
    const Vec y = clip(t, kEpsilon, 1.0f);
    return y * call_log(y / clip(p, kEpsilon, 1.0f));
  }
  LW_INLINE Vec gradient(Vec p, Vec t) const {
    return select(unclipped(p, kEpsilon, 1.0f), -(clip(t, kEpsilon, 1.0f) / p), Vec::zero());
  }
};

LW_INLINE float dot(const float* a, const float* b, int64_t n) {
  return sum_elements(n, [&](int64_t c, int64_t k) { return load(a + c, k) * load(b + c, k); });
}
[[gnu::noinline]] float length(const float* x, int64_t n) {
  float root[Vec::kLanes];
  sqrt(Vec::set1(dot(x, x, n))).store(root);
  return root[0] < kEpsilon ? kEpsilon : root[0];
}

// The largest (1 - t) p of a row: its column (the first one), or its value. Products of two floats: exact in order.
int64_t rival(const float* p, const float* t, int64_t cols) {
  int64_t best = 0;
  for (int64_t c = 1; c < cols; ++c)
    if ((1.0f - t[c]) * p[c] > (1.0f - t[best]) * p[best]) best = c;
  return best;
}
float hinge_of(const float* p, const float* t, int64_t cols, int64_t other) {
  const float gap = (1.0f - t[other]) * p[other] - dot(p, t, cols) + 1.0f;
  return gap <= 0.0f ? 0.0f : gap;
}

}  // namespace

LW_ROW_LOSS(kl_divergence_forward, kl_divergence_backward, KlDivergence, false)

// -(t . p) / (|t| |p|), lengths at least epsilon
void cosine_similarity_forward(const float* p, const float* t, const float*, float* row_loss, int64_t rows,
                               int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, p += cols, t += cols)
    row_loss[r] = -(dot(p, t, cols) / length(t, cols) / length(p, cols));
}

// (cos * p / |p| - t / |t|) / |p|; without the first term where |p| counts as epsilon
void cosine_similarity_backward(const float* p, const float* t, const float*, const float* row_weight, float scale,
                                float* dp, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, p += cols, t += cols, dp += cols) {
    const float a = length(p, cols), b = length(t, cols), cosine = dot(p, t, cols) / b / a;
    const Vec along = Vec::set1(a > kEpsilon ? cosine / a : 0.0f), to = Vec::set1(b), from = Vec::set1(a);
    const Vec k = Vec::set1(weight_of(row_weight, r, scale));
    each_vector(cols, [&](int64_t c, int64_t n) {
      store((along * load(p + c, n) - load(t + c, n) / to) / from * k, dp + c, n);
    });
  }
}

// max(max_c (1 - t_c) p_c - t . p + 1, 0)
void categorical_hinge_forward(const float* p, const float* t, const float*, float* row_loss, int64_t rows,
                               int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, p += cols, t += cols) row_loss[r] = hinge_of(p, t, cols, rival(p, t, cols));
}

// -t_c, and 1 - t_c more where the maximum is; 0 where the loss is
void categorical_hinge_backward(const float* p, const float* t, const float*, const float* row_weight, float scale,
                                float* dp, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, p += cols, t += cols, dp += cols) {
    const int64_t other = rival(p, t, cols);
    const bool none = hinge_of(p, t, cols, other) == 0.0f;
    const float k = weight_of(row_weight, r, scale);
    const Vec factor = Vec::set1(none ? 0.0f : -k);
    each_vector(cols, [&](int64_t c, int64_t n) { store(load(t + c, n) * factor, dp + c, n); });
    if (!none) dp[other] = ((1.0f - t[other]) - t[other]) * k;
  }
}

}  // namespace lanewise::LW_ISA
