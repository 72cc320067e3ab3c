// Dropout and normalisation.
#include "kernels/declare.h"
#include "simd/loops.h"
#include "simd/philox.h"

namespace lanewise::LW_ISA {

// y[e] = word(e) >= threshold ? x[e] * scale : 0, for elements first .. first + n of the node's array.
void dropout_apply(const float* x, float* y, int64_t first, int64_t n, uint32_t threshold, float scale, PhiloxKey key) {
  int64_t i = 0;
  while (i < n) {
    uint32_t words[kPhiloxWords];
    const int64_t e = first + i, begin = e / kPhiloxWords * kPhiloxWords;
    philox_words(key, static_cast<uint32_t>(begin / 4), words);
    const int64_t end = smaller(n, begin + kPhiloxWords - first);
    for (; i < end; ++i) y[i] = words[first + i - begin] >= threshold ? x[i] * scale : 0.0f;
  }
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
