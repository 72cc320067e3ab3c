// Softmax along rows.
#include "kernels/declare.h"
#include "kernels/softmax.h"

namespace lanewise::LW_ISA {

// y[c] = exp(x[c] - max) / sum. May run in place.
void softmax_forward(const float* x, int64_t ldx, float* y, int64_t ldy, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* xr = x + r * ldx;
    float* yr = y + r * ldy;
    const Vec sum = Vec::set1(row_exp(xr, cols, row_max(xr, cols), yr));
    for_vectors(cols, [&](int64_t c, int64_t n) { store(load(yr + c, n) / sum, yr + c, n); });
  }
}

// y[c] = (x[c] - max) - log(sum). May run in place.
void log_softmax_forward(const float* x, int64_t ldx, float* y, int64_t ldy, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* xr = x + r * ldx;
    float* yr = y + r * ldy;
    const float top = row_max(xr, cols);
    const Vec t = Vec::set1(top), log_sum = Vec::set1(log_of(row_exp(xr, cols, top, nullptr)));
    for_vectors(cols, [&](int64_t c, int64_t n) { store((load(xr + c, n) - t) - log_sum, yr + c, n); });
  }
}

// dx[c] = dy[c] - exp(y[c]) * sum(dy).
void log_softmax_backward(const float* dy, int64_t lddy, const float* y, int64_t ldy, float* dx, int64_t lddx,
                          int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    const float *gr = dy + r * lddy, *yr = y + r * ldy;
    float* out = dx + r * lddx;
    const Vec sum = Vec::set1(sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) { return load16(gr + c, n); }));
    for_vectors(cols,
                [&](int64_t c, int64_t n) { store(fnma(exp(load(yr + c, n)), sum, load(gr + c, n)), out + c, n); });
  }
}

// dx[c] = y[c] * (dy[c] - sum(dy * y)).
void softmax_backward(const float* dy, int64_t lddy, const float* y, int64_t ldy, float* dx, int64_t lddx, int64_t rows,
                      int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    const float *gr = dy + r * lddy, *yr = y + r * ldy;
    float* out = dx + r * lddx;
    const Vec dot = Vec::set1(sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
      return map16([](Vec g, Vec v) { return g * v; }, load16(gr + c, n), load16(yr + c, n));
    }));
    for_vectors(cols, [&](int64_t c, int64_t n) { store(load(yr + c, n) * (load(gr + c, n) - dot), out + c, n); });
  }
}

}  // namespace lanewise::LW_ISA
