// Elementwise activations. Each is a struct with its equation and its derivative in terms of the output.
#include "kernels/declare.h"
#include "simd/loops.h"
#include "simd/math.h"

namespace lanewise::LW_ISA {
namespace {

struct Linear {
  static LW_INLINE Vec forward(Vec x) { return x; }
  static LW_INLINE Vec backward(Vec dy, Vec) { return dy; }
};
// y = x > 0 ? x : +0; NaN stays. dx = y > 0 ? dy : +0.
struct Relu {
  static LW_INLINE Vec forward(Vec x) { return select(x <= Vec::zero(), Vec::zero(), x); }
  static LW_INLINE Vec backward(Vec dy, Vec y) { return select(y > Vec::zero(), dy, Vec::zero()); }
};
// dx = dy * y * (1 - y)
struct Sigmoid {
  static LW_INLINE Vec forward(Vec x) { return sigmoid(x); }
  static LW_INLINE Vec backward(Vec dy, Vec y) { return dy * (y * (Vec::set1(1.0f) - y)); }
};
// dx = dy * (1 - y^2)
struct Tanh {
  static LW_INLINE Vec forward(Vec x) { return tanh(x); }
  static LW_INLINE Vec backward(Vec dy, Vec y) { return dy * fnma(y, y, Vec::set1(1.0f)); }
};

template <class F>
LW_INLINE void forward(const float* x, int64_t ldx, const float* bias, float* y, int64_t ldy, int64_t rows,
                       int64_t cols) {
  if (bias == nullptr) {
    if (ldx == cols && ldy == cols) cols *= rows, rows = rows > 0;  // one long row
    for (int64_t r = 0; r < rows; ++r) map_vectors<F>(x + r * ldx, y + r * ldy, cols);
  } else {
    for_matrix(rows, cols, false, [&](int64_t r, int64_t c, int64_t n) {
      store(F::forward(load(x + r * ldx + c, n) + load(bias + c, n)), y + r * ldy + c, n);
    });
  }
}

template <class F>
LW_INLINE void backward(const float* dy, int64_t lddy, const float* y, int64_t ldy, float* dx, int64_t lddx,
                        int64_t rows, int64_t cols) {
  for_matrix(rows, cols, lddy == cols && ldy == cols && lddx == cols, [&](int64_t r, int64_t c, int64_t n) {
    store(F::backward(load(dy + r * lddy + c, n), load(y + r * ldy + c, n)), dx + r * lddx + c, n);
  });
}

}  // namespace

void linear_forward(const float* x, int64_t ldx, const float* bias, float* y, int64_t ldy, int64_t rows, int64_t cols) {
  forward<Linear>(x, ldx, bias, y, ldy, rows, cols);
}
void linear_backward(const float* dy, int64_t lddy, const float* y, int64_t ldy, float* dx, int64_t lddx, int64_t rows,
                     int64_t cols) {
  backward<Linear>(dy, lddy, y, ldy, dx, lddx, rows, cols);
}
void relu_forward(const float* x, int64_t ldx, const float* bias, float* y, int64_t ldy, int64_t rows, int64_t cols) {
  forward<Relu>(x, ldx, bias, y, ldy, rows, cols);
}
void relu_backward(const float* dy, int64_t lddy, const float* y, int64_t ldy, float* dx, int64_t lddx, int64_t rows,
                   int64_t cols) {
  backward<Relu>(dy, lddy, y, ldy, dx, lddx, rows, cols);
}
void sigmoid_forward(const float* x, int64_t ldx, const float* bias, float* y, int64_t ldy, int64_t rows,
                     int64_t cols) {
  forward<Sigmoid>(x, ldx, bias, y, ldy, rows, cols);
}
void sigmoid_backward(const float* dy, int64_t lddy, const float* y, int64_t ldy, float* dx, int64_t lddx, int64_t rows,
                      int64_t cols) {
  backward<Sigmoid>(dy, lddy, y, ldy, dx, lddx, rows, cols);
}
void tanh_forward(const float* x, int64_t ldx, const float* bias, float* y, int64_t ldy, int64_t rows, int64_t cols) {
  forward<Tanh>(x, ldx, bias, y, ldy, rows, cols);
}
void tanh_backward(const float* dy, int64_t lddy, const float* y, int64_t ldy, float* dx, int64_t lddx, int64_t rows,
                   int64_t cols) {
  backward<Tanh>(dy, lddy, y, ldy, dx, lddx, rows, cols);
}

}  // namespace lanewise::LW_ISA
