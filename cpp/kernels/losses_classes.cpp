// Losses that take a row as one thing: distributions over classes, directions. Meanings are Keras's.
#include "kernels/losses.h"
#include "kernels/softmax.h"

namespace lanewise::LW_ISA {
namespace {

// --- from logits: loss = sum_c y_c * (log sum exp(x - max) - (x_c - max)) -------------------------------------------

struct LogSoftmax {
  float top, log_sum, sum;
};
[[gnu::noinline]] LogSoftmax log_softmax(const float* x, int64_t cols, float* exps) {
  const float top = row_max(x, cols), sum = row_exp(x, cols, top, exps);
  return {top, log_of(sum), sum};
}

// t * (1 - s) + s / classes
struct Smoothing {
  Vec factor, shift;
  LW_INLINE Smoothing(const float* param, int64_t cols)
      : factor(Vec::set1(1.0f - param[0])), shift(Vec::set1(param[0] / static_cast<float>(cols))) {}
  LW_INLINE Vec smooth(Vec t) const { return fma(t, factor, shift); }
};

[[gnu::noinline]] float target_sum(const float* t, const float* param, int64_t cols) {
  const Smoothing y(param, cols);
  return sum_elements(cols, [&](int64_t c, int64_t n) { return y.smooth(load(t + c, n)); });
}

// --- from probabilities: q = p / sum p, clipped; loss = -sum_c y_c log q_c -------------------------------------------

LW_INLINE Vec clip_probability(Vec p) { return clip(p, kEpsilon, 1.0f - kEpsilon); }
LW_INLINE Mask unclipped_probability(Vec p) { return unclipped(p, kEpsilon, 1.0f - kEpsilon); }

float row_total(const float* p, int64_t cols) { return block_sum(p, cols); }

// Labels are checked before a call. One that another thread of the caller's changes meanwhile must not become an
// address: its loss is NaN.
bool is_class(int32_t label, int64_t cols) { return label >= 0 && label < cols; }
float at_label(const float* row, int32_t label, int64_t cols) {
  return is_class(label, cols) ? row[label] : __builtin_nanf("");
}

}  // namespace

void categorical_crossentropy_forward(const float* x, const float* t, const float* param, float* row_loss, int64_t rows,
                                      int64_t cols) {
  const Smoothing y(param, cols);
  for (int64_t r = 0; r < rows; ++r, x += cols, t += cols) {
    const LogSoftmax s = log_softmax(x, cols, nullptr);
    const Vec top = Vec::set1(s.top), log_sum = Vec::set1(s.log_sum);
    row_loss[r] = sum_elements(
        cols, [&](int64_t c, int64_t n) { return y.smooth(load(t + c, n)) * (log_sum - (load(x + c, n) - top)); });
  }
}

// dx_c = k * (softmax_c * sum(y) - y_c)
void categorical_crossentropy_backward(const float* x, const float* t, const float* param, const float* row_weight,
                                       float scale, float* dx, int64_t rows, int64_t cols) {
  const Smoothing y(param, cols);
  for (int64_t r = 0; r < rows; ++r, x += cols, t += cols, dx += cols) {
    const Vec sum = Vec::set1(log_softmax(x, cols, dx).sum), mass = Vec::set1(target_sum(t, param, cols));
    const Vec k = Vec::set1(weight_of(row_weight, r, scale));
    each_vector(cols, [&](int64_t c, int64_t n) {
      const Vec q = load(dx + c, n) / sum;
      store((q * mass - y.smooth(load(t + c, n))) * k, dx + c, n);
    });
  }
}

void sparse_categorical_crossentropy_forward(const float* x, const int32_t* label, const float*, float* row_loss,
                                             int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, x += cols) {
    const LogSoftmax s = log_softmax(x, cols, nullptr);
    row_loss[r] = s.log_sum - (at_label(x, label[r], cols) - s.top);
  }
}

// dx_c = k * (softmax_c - [c is the label])
void sparse_categorical_crossentropy_backward(const float* x, const int32_t* label, const float*,
                                              const float* row_weight, float scale, float* dx, int64_t rows,
                                              int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, x += cols, dx += cols) {
    const float sum = log_softmax(x, cols, dx).sum, k = weight_of(row_weight, r, scale);
    const Vec total = Vec::set1(sum), factor = Vec::set1(k);
    const float hit = (at_label(dx, label[r], cols) / sum - 1.0f) * k;
    for_vectors(cols, [&](int64_t c, int64_t n) { store(load(dx + c, n) / total * factor, dx + c, n); });
    if (is_class(label[r], cols)) dx[label[r]] = hit;
  }
}

void categorical_crossentropy_probs_forward(const float* p, const float* t, const float* param, float* row_loss,
                                            int64_t rows, int64_t cols) {
  const Smoothing y(param, cols);
  for (int64_t r = 0; r < rows; ++r, p += cols, t += cols) {
    const Vec total = Vec::set1(row_total(p, cols));
    row_loss[r] = -sum_elements(cols, [&](int64_t c, int64_t n) {
      return y.smooth(load(t + c, n)) * call_log(clip_probability(load(p + c, n) / total));
    });
  }
}

// With q = p / total and g_c = -y_c / q_c (0 where q was clipped): dp_c = k * (g_c - sum(g * q)) / total.
void categorical_crossentropy_probs_backward(const float* p, const float* t, const float* param,
                                             const float* row_weight, float scale, float* dp, int64_t rows,
                                             int64_t cols) {
  const Smoothing y(param, cols);
  for (int64_t r = 0; r < rows; ++r, p += cols, t += cols, dp += cols) {
    const Vec total = Vec::set1(row_total(p, cols)), k = Vec::set1(weight_of(row_weight, r, scale));
    const Vec dot = Vec::set1(sum_elements(cols, [&](int64_t c, int64_t n) {
      const Vec q = load(p + c, n) / total;
      const Vec g = select(unclipped_probability(q), -(y.smooth(load(t + c, n)) / q), Vec::zero());
      store(g, dp + c, n);
      return g * q;
    }));
    each_vector(cols, [&](int64_t c, int64_t n) { store((load(dp + c, n) - dot) / total * k, dp + c, n); });
  }
}

void sparse_categorical_crossentropy_probs_forward(const float* p, const int32_t* label, const float*, float* row_loss,
                                                   int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, p += cols) {
    float q[Vec::kLanes];
    clip_probability(Vec::set1(at_label(p, label[r], cols) / row_total(p, cols))).store(q);
    row_loss[r] = -log_of(q[0]);
  }
}

// With q = p_label / total: dp_label = k * (-1 / q + 1) / total, dp_other = k / total (all 0 where q was clipped).
void sparse_categorical_crossentropy_probs_backward(const float* p, const int32_t* label, const float*,
                                                    const float* row_weight, float scale, float* dp, int64_t rows,
                                                    int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, p += cols, dp += cols) {
    const float total = row_total(p, cols), q = at_label(p, label[r], cols) / total,
                k = weight_of(row_weight, r, scale);
    const bool clipped = q < kEpsilon || q > 1.0f - kEpsilon;
    const Vec other = Vec::set1(clipped ? 0.0f : k / total);
    const float hit = clipped ? 0.0f : (1.0f - 1.0f / q) / total * k;
    for_vectors(cols, [&](int64_t c, int64_t n) { store(other, dp + c, n); });
    if (is_class(label[r], cols)) dp[label[r]] = hit;
  }
}

// --- focal: loss = -sum_c a_c y_c (1 - q_c)^gamma log q_c; param: smoothing, gamma, how many a (1 or classes), a...
// ---

namespace {

// A row's q and log q, from logits or (clipped) from probabilities.
template <bool Logits>
struct Classes {
  Vec a, b;  // logits: max, log of the sum; probabilities: their sum
  LW_INLINE Classes(const float* x, int64_t cols) {
    if (Logits) {
      const LogSoftmax s = log_softmax(x, cols, nullptr);
      a = Vec::set1(s.top), b = Vec::set1(s.log_sum);
    } else {
      a = b = Vec::set1(row_total(x, cols));
    }
  }
  LW_INLINE Vec raw(Vec x) const { return x / a; }
  LW_INLINE void at(Vec x, Vec* q, Vec* log_q) const {
    *log_q = Logits ? (x - a) - b : call_log(*q = clip_probability(raw(x)));
    if (Logits) *q = call_exp(*log_q);
  }
};

struct Focus : Smoothing {
  Vec gamma;
  const float* alpha;
  bool each;
  LW_INLINE Focus(const float* param, int64_t cols)
      : Smoothing(param, cols), gamma(Vec::set1(param[1])), alpha(param + 3), each(param[2] != 1.0f) {}
  LW_INLINE Vec weight(Vec t, int64_t c, int64_t n) const {
    return (each ? load(alpha + c, n) : Vec::set1(alpha[0])) * smooth(t);
  }
};

template <bool Logits>
[[gnu::noinline]] void focal_forward(const float* x, const float* t, const float* param, float* row_loss, int64_t rows,
                                     int64_t cols) {
  const Focus f(param, cols);
  for (int64_t r = 0; r < rows; ++r, x += cols, t += cols) {
    const Classes<Logits> row(x, cols);
    row_loss[r] = -sum_elements(cols, [&](int64_t c, int64_t n) {
      Vec q, log_q;
      row.at(load(x + c, n), &q, &log_q);
      return f.weight(load(t + c, n), c, n) * power(one() - q, f.gamma) * log_q;
    });
  }
}

// h_c = q_c d loss / d q_c = a y (gamma (1 - q)^(gamma - 1) q log q - (1 - q)^gamma) (0 where q was clipped), H its
// sum: by logits h_c - q_c H, by probabilities (h_c / q_c - H) / total.
template <bool Logits>
[[gnu::noinline]] void focal_backward(const float* x, const float* t, const float* param, const float* row_weight,
                                      float scale, float* dx, int64_t rows, int64_t cols) {
  const Focus f(param, cols);
  for (int64_t r = 0; r < rows; ++r, x += cols, t += cols, dx += cols) {
    const Classes<Logits> row(x, cols);
    const Vec k = Vec::set1(weight_of(row_weight, r, scale));
    const Vec total = Vec::set1(sum_elements(cols, [&](int64_t c, int64_t n) {
      Vec q, log_q;
      const Vec v = load(x + c, n);
      row.at(v, &q, &log_q);
      const Vec rest = one() - q, slope = f.gamma * power(rest, f.gamma - one()) * q * log_q;
      Vec h = f.weight(load(t + c, n), c, n) * (slope - power(rest, f.gamma));
      if (!Logits) h = select(unclipped_probability(row.raw(v)), h, Vec::zero());
      store(h, dx + c, n);
      return h;
    }));
    each_vector(cols, [&](int64_t c, int64_t n) {
      Vec q, log_q;
      row.at(load(x + c, n), &q, &log_q);
      const Vec h = load(dx + c, n);
      store((Logits ? fnma(q, total, h) : (h / q - total) / row.a) * k, dx + c, n);
    });
  }
}

}  // namespace

void categorical_focal_crossentropy_forward(const float* x, const float* t, const float* param, float* row_loss,
                                            int64_t rows, int64_t cols) {
  focal_forward<true>(x, t, param, row_loss, rows, cols);
}
void categorical_focal_crossentropy_backward(const float* x, const float* t, const float* param,
                                             const float* row_weight, float scale, float* dx, int64_t rows,
                                             int64_t cols) {
  focal_backward<true>(x, t, param, row_weight, scale, dx, rows, cols);
}
void categorical_focal_crossentropy_probs_forward(const float* p, const float* t, const float* param, float* row_loss,
                                                  int64_t rows, int64_t cols) {
  focal_forward<false>(p, t, param, row_loss, rows, cols);
}
void categorical_focal_crossentropy_probs_backward(const float* p, const float* t, const float* param,
                                                   const float* row_weight, float scale, float* dp, int64_t rows,
                                                   int64_t cols) {
  focal_backward<false>(p, t, param, row_weight, scale, dp, rows, cols);
}

}  // namespace lanewise::LW_ISA
