// An exact value (float64) with a bound of the error that float32 makes in it.
//
// Running error analysis (Wilkinson; Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section 3.3):
// an operation hands on the bounds of its operands and adds its own rounding. A fused multiply-add is written as a
// product and a sum; that allows one rounding more than it makes, as the generic ISA needs. tests/reference.py has the
// same.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/check.h"

namespace lanewise {

struct Rounded {
  double v, e;  // value, bound of |float32 result - v|
  Rounded(double value = 0, double error = 0) : v(value), e(error) {}
  // `n` roundings of this value; a subnormal result is off by half a unit of 2^-149 at most.
  Rounded rounded(double n = 1) const { return {v, e + n * (kU * (std::fabs(v) + e) + 0x1p-150)}; }
};

inline Rounded operator-(Rounded a) { return {-a.v, a.e}; }
inline Rounded operator+(Rounded a, Rounded b) { return Rounded(a.v + b.v, a.e + b.e).rounded(); }
inline Rounded operator-(Rounded a, Rounded b) { return a + -b; }
inline Rounded operator*(Rounded a, Rounded b) {
  return Rounded(a.v * b.v, std::fabs(a.v) * b.e + std::fabs(b.v) * a.e + a.e * b.e).rounded();
}
inline Rounded operator/(Rounded a, Rounded b) {
  const double size = std::fabs(b.v);
  if (b.e >= size) return {a.v / b.v, INFINITY};
  return Rounded(a.v / b.v, (std::fabs(a.v) * b.e + size * a.e) / (size * (size - b.e))).rounded();
}
inline Rounded abs(Rounded a) { return {std::fabs(a.v), a.e}; }
inline Rounded sqrt(Rounded a) {
  const double root = std::sqrt(a.v), sum = root + std::sqrt(std::max(a.v - a.e, 0.0));
  return Rounded(root, std::min(sum > 0 ? a.e / sum : INFINITY, std::sqrt(a.e))).rounded();
}
// A monotonic function that float32 computes to within so many units in the last place (one is 2u of the result).
template <class F>
Rounded function(F f, Rounded x, double ulps = 2) {
  const double value = f(x.v);
  return Rounded(value, std::max(std::fabs(f(x.v + x.e) - value), std::fabs(f(x.v - x.e) - value))).rounded(2 * ulps);
}

// a < b ? x : y, where the bounds leave both open the one with a bound that holds for the other too.
inline Rounded less(Rounded a, Rounded b, Rounded x, Rounded y) {
  if (a.v + a.e < b.v - b.e) return x;
  if (a.v - a.e >= b.v + b.e) return y;
  return {x.v, std::max(x.e, std::fabs(y.v - x.v) + y.e)};
}
inline Rounded larger(Rounded a, Rounded b) { return {std::max(a.v, b.v), std::max(a.e, b.e)}; }
inline Rounded clamp(Rounded x, double low, double high) { return {std::clamp(x.v, low, high), x.e}; }

// The sum in blocks: a block has 16 chains and a tree of four additions; blocks are added in order.
template <class F>
Rounded sum(int64_t n, int64_t block, F f) {
  const auto of = [](int64_t a, int64_t b) { return static_cast<double>((a + b - 1) / b); };
  const double additions = of(std::min(n, block), 16) + 4 + of(n, block), gamma = additions * kU / (1 - additions * kU);
  double value = 0, error = 0, size = 0;
  for (int64_t i = 0; i < n; ++i) {
    const Rounded x = f(i);
    value += x.v, error += x.e, size += std::fabs(x.v) + x.e;
  }
  return {value, error + gamma * size};
}
template <class F>
Rounded row_sum(int64_t n, F f) {
  return sum(n, 512, f);
}
template <class F>
Rounded column_sum(int64_t n, F f) {
  return sum(n, 1024, f);
}

}  // namespace lanewise
