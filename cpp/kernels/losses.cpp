// The loops around elementwise losses, and the elementary functions as calls.
#include "kernels/losses.h"

namespace lanewise::LW_ISA {

Vec call_exp(Vec x) { return exp(x); }
Vec call_log(Vec x) { return log(x); }
// log(1 + infinity) is that; its correction would be infinity - infinity.
Vec call_log1p(Vec x) { return select(x < Vec::set1(__builtin_inff()), log1p_positive(x), x); }
Vec call_tanh(Vec x) { return tanh(x); }
Vec call_sigmoid(Vec x) { return sigmoid(x); }

float block_sum(const float* x, int64_t n) {
  return sum16<kRowBlock>(n, [&](int64_t c, int64_t k) { return load16(x + c, k); });
}

void reduce_elements(Elements f, bool mean, const float* p, const float* t, const float* param, float* row_loss,
                     int64_t rows, int64_t cols) {
  if (cols == 1) return f(p, t, param, row_loss, rows);  // the sum of one element is the element
  alignas(64) float e[kRowBlock];
  const float count = static_cast<float>(cols);
  const int64_t together = cols < kRowBlock ? kRowBlock / cols : 1;  // short rows share a call
  for (int64_t r = 0; r < rows; r += together) {
    const int64_t n = smaller(together, rows - r);
    float sum = 0.0f;
    for (int64_t c = 0; c < cols; c += kRowBlock) {
      const int64_t width = smaller(kRowBlock, cols - c);
      f(p + r * cols + c, t + r * cols + c, param, e, n * width);  // more than one row only where width == cols
      for (int64_t i = 0; i < n; ++i) {
        const float part = block_sum(e + i * width, width);
        sum = c == 0 ? part : sum + part;
        row_loss[r + i] = mean ? sum / count : sum;
      }
    }
  }
}

void scale_elements(Elements f, bool mean, const float* p, const float* t, const float* param, const float* row_weight,
                    float scale, float* dpred, int64_t rows, int64_t cols) {
  constexpr int64_t kInL1 = 4096;
  const float count = mean ? static_cast<float>(cols) : 1.0f;
  const int64_t together = cols < kInL1 ? kInL1 / cols : 1;
  for (int64_t r = 0; r < rows; r += together) {
    const int64_t n = smaller(together, rows - r);
    float* d = dpred + r * cols;
    f(p + r * cols, t + r * cols, param, d, n * cols);
    const Vec s = Vec::set1(scale), divisor = Vec::set1(count);
    if (row_weight == nullptr) {
      const Vec k = Vec::set1(scale / count);
      for_vectors(n * cols, [&](int64_t i, int64_t m) { store(load(d + i, m) * k, d + i, m); });
    } else if (cols == 1) {
      for_vectors(n, [&](int64_t i, int64_t m) {
        store(load(d + i, m) * (s * load(row_weight + r + i, m) / divisor), d + i, m);
      });
    } else {
      for (int64_t i = 0; i < n; ++i, d += cols) {
        const Vec k = Vec::set1(scale * row_weight[r + i] / count);
        for_vectors(cols, [&](int64_t c, int64_t m) { store(load(d + c, m) * k, d + c, m); });
      }
    }
  }
}

}  // namespace lanewise::LW_ISA
