// Losses by row, and their gradients. Elementwise losses are a struct with the equation and its derivative; the
// cross-entropies over classes work on whole rows. Meanings are Keras's.
#include "kernels/declare.h"
#include "kernels/softmax.h"

namespace lanewise::LW_ISA {
namespace {

LW_INLINE Vec one() { return Vec::set1(1.0f); }

// --- elementwise: row_loss = mean over cols of loss(p, t) -----------------------------------------------------------

// (p - t)^2
struct Mse {
  static LW_INLINE Vec loss(Vec p, Vec t, Vec) {
    const Vec d = p - t;
    return d * d;
  }
  static LW_INLINE Vec gradient(Vec p, Vec t, Vec) {
    const Vec d = p - t;
    return d + d;
  }
};
// |p - t|; the derivative at 0 is 0
struct Mae {
  static LW_INLINE Vec loss(Vec p, Vec t, Vec) { return abs(p - t); }
  static LW_INLINE Vec gradient(Vec p, Vec t, Vec) {
    const Vec d = p - t;
    return select(d > Vec::zero(), one(), select(d < Vec::zero(), -one(), d + Vec::zero()));  // -0 to +0; NaN stays
  }
};
// e^2 / 2 for |e| <= delta, else delta * (|e| - delta / 2)
struct Huber {
  static LW_INLINE Vec loss(Vec p, Vec t, Vec delta) {
    const Vec e = p - t, a = abs(e), half = Vec::set1(0.5f);
    return select(a > delta, delta * fnma(half, delta, a), half * e * e);
  }
  static LW_INLINE Vec gradient(Vec p, Vec t, Vec delta) {
    const Vec e = p - t;
    return select(abs(e) > delta, copy_sign(delta, e), e);
  }
};
// y = t * (1 - s) + s / 2
LW_INLINE Vec smooth(Vec t, Vec s) { return fma(t, one() - s, Vec::set1(0.5f) * s); }
// max(x, 0) - x * y + log(1 + e^-|x|); derivative sigmoid(x) - y
struct BinaryCrossentropy {
  static LW_INLINE Vec loss(Vec x, Vec t, Vec s) {
    const Vec top = select(x <= Vec::zero(), Vec::zero(), x);
    return fnma(x, smooth(t, s), top) + log1p_positive(exp(-abs(x)));
  }
  static LW_INLINE Vec gradient(Vec x, Vec t, Vec s) { return sigmoid(x) - smooth(t, s); }
};

constexpr float kProbsEpsilon = 1e-7f;
LW_INLINE Vec clip_probability(Vec p) {
  const Vec low = Vec::set1(kProbsEpsilon), high = Vec::set1(1.0f - kProbsEpsilon);
  p = select(p < low, low, p);
  return select(p > high, high, p);
}
// Where clipping leaves p as it is (NaN included, so that it stays).
LW_INLINE Mask unclipped(Vec p) { return ~((p < Vec::set1(kProbsEpsilon)) | (p > Vec::set1(1.0f - kProbsEpsilon))); }
// -(y log p + (1 - y) log(1 - p)) with p clipped; derivative (1 - y) / (1 - p) - y / p, 0 where it was clipped
struct BinaryCrossentropyProbs {
  static LW_INLINE Vec loss(Vec p, Vec t, Vec s) {
    const Vec q = clip_probability(p), y = smooth(t, s);
    return -fma(y, log(q), (one() - y) * log(one() - q));
  }
  static LW_INLINE Vec gradient(Vec p, Vec t, Vec s) {
    const Vec y = smooth(t, s), g = (one() - y) / (one() - p) - y / p;
    return select(unclipped(p), g, Vec::zero());
  }
};

template <class Loss>
LW_INLINE void forward(const float* p, const float* t, float param, float* row_loss, int64_t rows, int64_t cols) {
  const Vec s = Vec::set1(param);
  if (cols == 1) {  // rows are the vector: the mean of one element is the element
    return for_vectors(
        rows, [&](int64_t r, int64_t n) { store(Loss::loss(load(p + r, n), load(t + r, n), s), row_loss + r, n); });
  }
  for (int64_t r = 0; r < rows; ++r, p += cols, t += cols) {
    const float sum = sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
      return map16([&](Vec a, Vec b) { return Loss::loss(a, b, s); }, load16(p + c, n), load16(t + c, n));
    });
    row_loss[r] = sum / static_cast<float>(cols);
  }
}

// dpred = gradient * (scale * weight / cols)
template <class Loss>
LW_INLINE void backward(const float* p, const float* t, float param, const float* row_weight, float scale, float* dpred,
                        int64_t rows, int64_t cols) {
  const Vec s = Vec::set1(param);
  const float count = static_cast<float>(cols);
  if (row_weight == nullptr) {
    const Vec k = Vec::set1(scale / count);
    return for_vectors(rows * cols, [&](int64_t i, int64_t n) {
      store(Loss::gradient(load(p + i, n), load(t + i, n), s) * k, dpred + i, n);
    });
  }
  for (int64_t r = 0; r < rows; ++r, p += cols, t += cols, dpred += cols) {
    const Vec k = Vec::set1(scale * row_weight[r] / count);
    for_vectors(cols, [&](int64_t c, int64_t n) {
      store(Loss::gradient(load(p + c, n), load(t + c, n), s) * k, dpred + c, n);
    });
  }
}

// --- over classes, from logits: loss = sum_c y_c * (log sum exp(x - max) - (x_c - max)) ------------------------------

struct LogSoftmax {
  float top, log_sum, sum;
};
LW_INLINE LogSoftmax log_softmax(const float* x, int64_t cols, float* exps) {
  const float top = row_max(x, cols), sum = row_exp(x, cols, top, exps);
  return {top, log_of(sum), sum};
}

LW_INLINE Vec smooth_classes(Vec t, float s, int64_t cols) {
  return fma(t, Vec::set1(1.0f - s), Vec::set1(s / static_cast<float>(cols)));
}

LW_INLINE float target_sum(const float* t, float s, int64_t cols) {
  return sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
    return map16([&](Vec v) { return smooth_classes(v, s, cols); }, load16(t + c, n));
  });
}

// --- over classes, from probabilities: q = p / sum p, clipped; loss = -sum_c y_c log q_c
// ------------------------------

LW_INLINE float row_total(const float* p, int64_t cols) {
  return sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) { return load16(p + c, n); });
}

float weight_of(const float* row_weight, int64_t r, float scale) { return row_weight ? scale * row_weight[r] : scale; }

}  // namespace

void mse_forward(const float* pred, const float* target, float param, float* row_loss, int64_t rows, int64_t cols) {
  forward<Mse>(pred, target, param, row_loss, rows, cols);
}
void mse_backward(const float* pred, const float* target, float param, const float* row_weight, float scale,
                  float* dpred, int64_t rows, int64_t cols) {
  backward<Mse>(pred, target, param, row_weight, scale, dpred, rows, cols);
}
void mae_forward(const float* pred, const float* target, float param, float* row_loss, int64_t rows, int64_t cols) {
  forward<Mae>(pred, target, param, row_loss, rows, cols);
}
void mae_backward(const float* pred, const float* target, float param, const float* row_weight, float scale,
                  float* dpred, int64_t rows, int64_t cols) {
  backward<Mae>(pred, target, param, row_weight, scale, dpred, rows, cols);
}
void huber_forward(const float* pred, const float* target, float param, float* row_loss, int64_t rows, int64_t cols) {
  forward<Huber>(pred, target, param, row_loss, rows, cols);
}
void huber_backward(const float* pred, const float* target, float param, const float* row_weight, float scale,
                    float* dpred, int64_t rows, int64_t cols) {
  backward<Huber>(pred, target, param, row_weight, scale, dpred, rows, cols);
}
void binary_crossentropy_forward(const float* logits, const float* target, float param, float* row_loss, int64_t rows,
                                 int64_t cols) {
  forward<BinaryCrossentropy>(logits, target, param, row_loss, rows, cols);
}
void binary_crossentropy_backward(const float* logits, const float* target, float param, const float* row_weight,
                                  float scale, float* dpred, int64_t rows, int64_t cols) {
  backward<BinaryCrossentropy>(logits, target, param, row_weight, scale, dpred, rows, cols);
}
void binary_crossentropy_probs_forward(const float* probs, const float* target, float param, float* row_loss,
                                       int64_t rows, int64_t cols) {
  forward<BinaryCrossentropyProbs>(probs, target, param, row_loss, rows, cols);
}
void binary_crossentropy_probs_backward(const float* probs, const float* target, float param, const float* row_weight,
                                        float scale, float* dpred, int64_t rows, int64_t cols) {
  backward<BinaryCrossentropyProbs>(probs, target, param, row_weight, scale, dpred, rows, cols);
}

void categorical_crossentropy_forward(const float* x, const float* t, float param, float* row_loss, int64_t rows,
                                      int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, x += cols, t += cols) {
    const LogSoftmax s = log_softmax(x, cols, nullptr);
    const Vec top = Vec::set1(s.top), log_sum = Vec::set1(s.log_sum);
    row_loss[r] = sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
      return map16([&](Vec v, Vec y) { return smooth_classes(y, param, cols) * (log_sum - (v - top)); },
                   load16(x + c, n), load16(t + c, n));
    });
  }
}

// dx_c = k * (softmax_c * sum(y) - y_c)
void categorical_crossentropy_backward(const float* x, const float* t, float param, const float* row_weight,
                                       float scale, float* dx, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, x += cols, t += cols, dx += cols) {
    const Vec sum = Vec::set1(log_softmax(x, cols, dx).sum), mass = Vec::set1(target_sum(t, param, cols));
    const Vec k = Vec::set1(weight_of(row_weight, r, scale));
    for_vectors(cols, [&](int64_t c, int64_t n) {
      const Vec q = load(dx + c, n) / sum;
      store((q * mass - smooth_classes(load(t + c, n), param, cols)) * k, dx + c, n);
    });
  }
}

// Labels are checked before a call. One that another thread of the caller's changes meanwhile must not become an
// address: its loss is NaN.
bool is_class(int32_t label, int64_t cols) { return label >= 0 && label < cols; }
float at_label(const float* row, int32_t label, int64_t cols) {
  return is_class(label, cols) ? row[label] : __builtin_nanf("");
}

void sparse_categorical_crossentropy_forward(const float* x, const int32_t* label, float, float* row_loss, int64_t rows,
                                             int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, x += cols) {
    const LogSoftmax s = log_softmax(x, cols, nullptr);
    row_loss[r] = s.log_sum - (at_label(x, label[r], cols) - s.top);
  }
}

// dx_c = k * (softmax_c - [c is the label])
void sparse_categorical_crossentropy_backward(const float* x, const int32_t* label, float, const float* row_weight,
                                              float scale, float* dx, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, x += cols, dx += cols) {
    const float sum = log_softmax(x, cols, dx).sum, k = weight_of(row_weight, r, scale);
    const Vec total = Vec::set1(sum), factor = Vec::set1(k);
    const float hit = (at_label(dx, label[r], cols) / sum - 1.0f) * k;
    for_vectors(cols, [&](int64_t c, int64_t n) { store(load(dx + c, n) / total * factor, dx + c, n); });
    if (is_class(label[r], cols)) dx[label[r]] = hit;
  }
}

void categorical_crossentropy_probs_forward(const float* p, const float* t, float param, float* row_loss, int64_t rows,
                                            int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, p += cols, t += cols) {
    const Vec total = Vec::set1(row_total(p, cols));
    row_loss[r] = -sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
      return map16([&](Vec v, Vec y) { return smooth_classes(y, param, cols) * log(clip_probability(v / total)); },
                   load16(p + c, n), load16(t + c, n));
    });
  }
}

// With q = p / total and g_c = -y_c / q_c (0 where q was clipped): dp_c = k * (g_c - sum(g * q)) / total.
void categorical_crossentropy_probs_backward(const float* p, const float* t, float param, const float* row_weight,
                                             float scale, float* dp, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, p += cols, t += cols, dp += cols) {
    const Vec total = Vec::set1(row_total(p, cols)), k = Vec::set1(weight_of(row_weight, r, scale));
    auto slope = [&](Vec v, Vec y) {
      const Vec q = v / total;
      return select(unclipped(q), -(smooth_classes(y, param, cols) / q), Vec::zero());
    };
    const Vec dot = Vec::set1(sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
      return map16([&](Vec v, Vec y) { return slope(v, y) * (v / total); }, load16(p + c, n), load16(t + c, n));
    }));
    for_vectors(cols, [&](int64_t c, int64_t n) {
      store((slope(load(p + c, n), load(t + c, n)) - dot) / total * k, dp + c, n);
    });
  }
}

void sparse_categorical_crossentropy_probs_forward(const float* p, const int32_t* label, float, float* row_loss,
                                                   int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, p += cols) {
    float q[Vec::kLanes];
    clip_probability(Vec::set1(at_label(p, label[r], cols) / row_total(p, cols))).store(q);
    row_loss[r] = -log_of(q[0]);
  }
}

// With q = p_label / total: dp_label = k * (-1 / q + 1) / total, dp_other = k / total (all 0 where q was clipped).
void sparse_categorical_crossentropy_probs_backward(const float* p, const int32_t* label, float,
                                                    const float* row_weight, float scale, float* dp, int64_t rows,
                                                    int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, p += cols, dp += cols) {
    const float total = row_total(p, cols), q = at_label(p, label[r], cols) / total,
                k = weight_of(row_weight, r, scale);
    const bool clipped = q < kProbsEpsilon || q > 1.0f - kProbsEpsilon;
    const Vec other = Vec::set1(clipped ? 0.0f : k / total);
    const float hit = clipped ? 0.0f : (1.0f - 1.0f / q) / total * k;
    for_vectors(cols, [&](int64_t c, int64_t n) { store(other, dp + c, n); });
    if (is_class(label[r], cols)) dp[label[r]] = hit;
  }
}

}  // namespace lanewise::LW_ISA
