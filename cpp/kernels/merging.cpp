// Two arrays into one, element by element or row by row.
#include "kernels/declare.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {
namespace {

template <class F>
LW_INLINE void merge(const float* a, const float* b, float* y, int64_t n, F f) {
  for_vectors(n, [&](int64_t i, int64_t lanes) { store(f(load(a + i, lanes), load(b + i, lanes)), y + i, lanes); });
}

}  // namespace

void add_forward(const float* a, const float* b, float* y, int64_t n) {
  merge(a, b, y, n, [](Vec u, Vec v) { return u + v; });
}
void subtract_forward(const float* a, const float* b, float* y, int64_t n) {
  merge(a, b, y, n, [](Vec u, Vec v) { return u - v; });
}
void multiply_forward(const float* a, const float* b, float* y, int64_t n) {
  merge(a, b, y, n, [](Vec u, Vec v) { return u * v; });
}
// y = a > b or NaN ? a : b
void maximum_forward(const float* a, const float* b, float* y, int64_t n) {
  merge(a, b, y, n, [](Vec u, Vec v) { return select((u > v) | is_nan(u), u, v); });
}
// y = a < b or NaN ? a : b
void minimum_forward(const float* a, const float* b, float* y, int64_t n) {
  merge(a, b, y, n, [](Vec u, Vec v) { return select((u < v) | is_nan(u), u, v); });
}
void divide_forward(const float* a, const float* b, float* y, int64_t n) {
  merge(a, b, y, n, [](Vec u, Vec v) { return u / v; });
}
// da = a > b ? dy : a < b ? +0 : dy / 2
void maximum_backward(const float* dy, const float* a, const float* b, float* da, int64_t n) {
  for_vectors(n, [&](int64_t i, int64_t lanes) {
    const Vec u = load(a + i, lanes), v = load(b + i, lanes), g = load(dy + i, lanes);
    store(select(u > v, g, select(u < v, Vec::zero(), g * Vec::set1(0.5f))), da + i, lanes);
  });
}

// y[r] = sum_c a[r,c] * b[r,c]
void dot_forward(const float* a, const float* b, float* y, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, a += cols, b += cols)
    y[r] = sum16<kRowBlock>(cols, [&](int64_t c, int64_t n) {
      return map16([](Vec u, Vec v) { return u * v; }, load16(a + c, n), load16(b + c, n));
    });
}
// da[r,c] = dy[r] * b[r,c]
void dot_backward(const float* dy, const float* b, float* da, int64_t rows, int64_t cols) {
  for_matrix(rows, cols, false, [&](int64_t r, int64_t c, int64_t n) {
    store(Vec::set1(dy[r]) * load(b + r * cols + c, n), da + r * cols + c, n);
  });
}

}  // namespace lanewise::LW_ISA
