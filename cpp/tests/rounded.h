// An exact value (float64) with a bound of the error that float32 makes in it, and what else float32 may make of it.
//
// Running error analysis (Wilkinson; Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section 3.3):
// an operation hands on the bounds of its operands and adds its own rounding. A fused multiply-add is written as a
// product and a sum; that allows one rounding more than it makes, as the generic ISA needs. tests/reference.py has the
// same.
//
// Beside the bound stand the kinds that a result may have: finite, NaN, an infinity of either sign. A special operand
// has one kind, and so has what an equation makes of it. Where a finite value and its bound reach beyond float32, the
// infinity of that sign is added, and the finite value stays: a sum may be fused with the product that overflows. So a
// NaN may come of finite operands only where the equation has inf - inf or 0 * inf of what overflows.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/check.h"

namespace lanewise {

constexpr double kMost = 0x1.fffffep127;  // the largest float

enum Kind : unsigned { kFinite = 1, kNan = 2, kPlus = 4, kMinus = 8 };
inline unsigned kind_of(double x) { return x != x ? kNan : std::isfinite(x) ? kFinite : x > 0 ? kPlus : kMinus; }

struct Rounded {
  double v, e;   // value, bound of |float32 result - v| where it is finite; of one kind that is not, v is that
  unsigned may;  // kinds
  Rounded(double value = 0, double error = 0) : v(value), e(error), may(kFinite) {
    if (!(std::fabs(v) + e <= kMost)) may = kind_of(v), reach();
  }
  Rounded(double value, double error, unsigned kinds) : v(value), e(error), may(kinds) {}
  static Rounded only(unsigned kinds) {
    Rounded r = kinds == kPlus ? INFINITY : kinds == kMinus ? -INFINITY : NAN;
    r.may = kinds;
    return r;
  }
  // A finite value of finite operands, rounded once.
  [[gnu::always_inline]] static Rounded once(double value, double error) {
    const double size = std::fabs(value) + error, more = kU * size + 0x1p-150;
    if (size + more <= kMost) return {value, error + more, kFinite};
    return {value, error + more};
  }
  // `n` roundings of this value; a subnormal result is off by half a unit of 2^-149 at most.
  Rounded rounded(double n = 1) const {
    Rounded r = *this;
    const double size = std::fabs(v) + e, more = n * (kU * size + 0x1p-150);
    r.e = e + more;
    if (!(size + more <= kMost)) r.reach();
    return r;
  }
  // The same with other kinds than finite; where it is not finite itself, those alone.
  Rounded with(unsigned kinds) const {
    if (!finite()) return only(may | kinds);
    Rounded r = *this;
    r.may |= kinds;
    return r;
  }
  bool finite() const { return may & kFinite; }
  bool infinite() const { return may & (kPlus | kMinus); }
  bool above() const { return (may & kPlus) || (finite() && v + e > 0); }
  bool below() const { return (may & kMinus) || (finite() && v - e < 0); }
  bool zero() const { return finite() && std::fabs(v) <= e; }
  double low() const { return may & kMinus ? -INFINITY : finite() ? v - e : v; }
  double high() const { return may & kPlus ? INFINITY : finite() ? v + e : v; }

 private:
  void reach() {
    if (!finite()) return void(e = 0);
    if (e != e) e = INFINITY;
    may |= (v + e > kMost ? kPlus : 0u) | (v - e < -kMost ? kMinus : 0u);
  }
};

// One or the other: the finite value of the first, if it has one, with a bound that holds for the second's too.
inline Rounded either(Rounded x, Rounded y) {
  if (!y.finite()) return x.with(y.may);
  if (!x.finite()) return y.with(x.may);
  return Rounded(x.v, std::max(x.e, std::fabs(y.v - x.v) + y.e)).with(x.may | y.may);
}

inline unsigned opposite(unsigned may) {
  return (may & (kFinite | kNan)) | (may & kPlus ? kMinus : 0u) | (may & kMinus ? kPlus : 0u);
}
// Beside what finite operands overflow to: the kinds of a sum, and of a product by an infinite x.
inline unsigned kinds_of_sum(unsigned a, unsigned b) {
  const bool none = (a & kPlus && b & kMinus) || (a & kMinus && b & kPlus);
  const auto of = [&](unsigned kind) { return (a & kind && b & (kind | kFinite)) || (b & kind && a & kFinite); };
  return ((a | b | (none ? kNan : 0u)) & kNan) | (of(kPlus) ? kPlus : 0u) | (of(kMinus) ? kMinus : 0u) |
         (a & b & kFinite);
}
inline unsigned kinds_of_infinite(const Rounded& x, const Rounded& y) {
  const unsigned of = x.may & (kPlus | kMinus);
  return (y.above() ? of : 0u) | (y.below() ? opposite(of) : 0u) | (of && y.zero() ? kNan : 0u);
}

inline Rounded operator-(const Rounded& a) { return {-a.v, a.e, a.may == kFinite ? kFinite : opposite(a.may)}; }
inline double product_error(const Rounded& a, const Rounded& b) {
  return std::fabs(a.v) * b.e + std::fabs(b.v) * a.e + a.e * b.e;
}
[[gnu::noinline]] inline Rounded sum_of_kinds(const Rounded& a, const Rounded& b) {
  const unsigned may = kinds_of_sum(a.may, b.may);
  return may & kFinite ? Rounded::once(a.v + b.v, a.e + b.e).with(may) : Rounded::only(may);
}
[[gnu::noinline]] inline Rounded product_of_kinds(const Rounded& a, const Rounded& b) {
  const unsigned may = ((a.may | b.may) & kNan) | kinds_of_infinite(a, b) | kinds_of_infinite(b, a);
  return a.finite() && b.finite() ? Rounded::once(a.v * b.v, product_error(a, b)).with(may) : Rounded::only(may);
}
// Of finite operands these are in line: the cases take most of their time here.
[[gnu::always_inline]] inline Rounded operator+(const Rounded& a, const Rounded& b) {
  if ((a.may | b.may) == kFinite) return Rounded::once(a.v + b.v, a.e + b.e);
  return sum_of_kinds(a, b);
}
[[gnu::always_inline]] inline Rounded operator-(const Rounded& a, const Rounded& b) {
  if ((a.may | b.may) == kFinite) return Rounded::once(a.v - b.v, a.e + b.e);
  return sum_of_kinds(a, -b);
}
[[gnu::always_inline]] inline Rounded operator*(const Rounded& a, const Rounded& b) {
  if ((a.may | b.may) == kFinite) return Rounded::once(a.v * b.v, product_error(a, b));
  return product_of_kinds(a, b);
}
inline Rounded operator/(const Rounded& a, const Rounded& b) {
  const double size = std::fabs(b.v), error = (std::fabs(a.v) * b.e + size * a.e) / (size * (size - b.e));
  if ((a.may | b.may) == kFinite && b.e < size) return Rounded::once(a.v / b.v, error);
  unsigned may = (a.may | b.may) & kNan;
  if ((a.infinite() && b.infinite()) || (a.zero() && b.zero())) may |= kNan;
  const bool up = b.e > 0 ? b.above() || b.zero() : !std::signbit(b.v), down = b.e > 0 ? b.below() || b.zero() : !up;
  if (b.finite()) may |= (up ? a.may : 0u) & ~kFinite, may |= (down ? opposite(a.may) : 0u) & ~kFinite;
  if (a.finite() && b.zero()) {
    if (a.above()) may |= (up ? kPlus : 0u) | (down ? kMinus : 0u);
    if (a.below()) may |= (up ? kMinus : 0u) | (down ? kPlus : 0u);
  }
  Rounded r = Rounded::only(may);
  if (a.finite() && b.finite() && !(b.zero() && b.e == 0))
    r = b.e >= size ? Rounded(0, INFINITY).with(may) : Rounded::once(a.v / b.v, error).with(may);
  return a.finite() && b.infinite() ? either(r, 0) : r;
}
inline Rounded abs(Rounded a) {
  Rounded r = a;
  r.v = std::fabs(a.v);
  if (a.may & kMinus) r.may = (a.may & ~kMinus) | kPlus;
  return r;
}
inline Rounded sqrt(Rounded a) {
  const unsigned may = (a.may & (kPlus | kNan)) | (a.may & kMinus || (a.finite() && a.v < 0) ? kNan : 0u);
  if (!a.finite() || a.v + a.e < 0) return Rounded::only(may);
  const double root = std::sqrt(std::max(a.v, 0.0)), sum = root + std::sqrt(std::max(a.v - a.e, 0.0));
  return Rounded(root, std::min(sum > 0 ? a.e / sum : INFINITY, std::sqrt(a.e))).rounded().with(may);
}
// A monotonic function that float32 computes to within so many units in the last place (one is 2u of the result).
template <class F>
Rounded function(F f, Rounded x, double ulps = 2) {
  Rounded r = Rounded::only(x.may & kNan);
  if (x.finite()) {
    const double value = f(x.v), up = x.e > 0 ? f(x.v + x.e) : value, down = x.e > 0 ? f(x.v - x.e) : value;
    const double error = x.e > 0 ? std::max(std::fabs(up - value), std::fabs(down - value)) : 0;
    if (std::isfinite(value))
      r = Rounded(value, std::isnan(up) || std::isnan(down) ? INFINITY : error).rounded(2 * ulps).with(r.may);
    else  // at the edge of where it is finite there is no bound
      r = (std::isfinite(up)     ? Rounded(up, INFINITY)
           : std::isfinite(down) ? Rounded(down, INFINITY)
                                 : Rounded(value))
              .with(r.may | kind_of(value));
  }
  if (x.may & kPlus) r = either(r, Rounded(f(INFINITY)).rounded(2 * ulps));
  if (x.may & kMinus) r = either(r, Rounded(f(-INFINITY)).rounded(2 * ulps));
  return r;
}

// a < b ? x : y, either where the bounds leave both open; of a NaN y.
inline Rounded less(Rounded a, Rounded b, Rounded x, Rounded y) {
  if (a.may == kNan || b.may == kNan) return y;
  const bool open = (a.may | b.may) & kNan;
  if (a.high() < b.low()) return open ? either(x, y) : x;
  if (a.low() >= b.high()) return y;
  return either(x, y);
}
// a <= b ? x : y.
inline Rounded at_most(Rounded a, Rounded b, Rounded x, Rounded y) {
  if (a.may == kNan || b.may == kNan) return y;
  const bool open = (a.may | b.may) & kNan;
  if (a.high() <= b.low()) return open ? either(x, y) : x;
  if (a.low() > b.high()) return y;
  return either(x, y);
}
// NaN of a NaN.
inline Rounded larger(const Rounded& a, const Rounded& b) {
  if ((a.may | b.may) == kFinite) return {std::max(a.v, b.v), std::max(a.e, b.e), kFinite};
  const unsigned may = ((a.may | b.may) & (kNan | kPlus)) | (a.may & b.may & kMinus);
  Rounded r = Rounded::only(may);
  if (a.finite() && b.finite()) r = Rounded(std::max(a.v, b.v), std::max(a.e, b.e)).with(may);
  if (a.finite() && b.may & kMinus) r = either(r, a);
  if (b.finite() && a.may & kMinus) r = either(r, b);
  return r;
}
inline Rounded clamp(Rounded x, double low, double high) {
  Rounded r = Rounded::only(x.may & kNan);
  if (x.finite()) {
    const double v = std::clamp(x.v, low, high), up = std::clamp(x.v + x.e, low, high),
                 down = std::clamp(x.v - x.e, low, high);
    r = Rounded(v, std::max(up - v, v - down)).with(r.may);
  }
  if (x.may & kPlus) r = either(r, high);
  return x.may & kMinus ? either(r, low) : r;
}

// A sum in any order: the terms that float32 adds, and what their partial sums may overflow to.
struct Sum {
  double value = 0, error = 0, size = 0, up = 0, down = 0;  // up, down: of the terms of either sign
  unsigned may = kFinite;
  void add(const Rounded& x) {
    if (x.finite()) {
      value += x.v, error += x.e, size += std::fabs(x.v) + x.e;
      up += std::max(x.e + x.v, 0.0), down += std::max(x.e - x.v, 0.0);
    }
    if (x.may != kFinite) may = kinds_of_sum(may, x.may);
  }
  Rounded rounded(double gamma, double least = 0) const {
    unsigned kinds = may;
    const double most = kMost / (1 + gamma);
    if (!(size <= most)) {
      const unsigned over = (up > most ? kPlus : 0u) | (down > most ? kMinus : 0u);
      kinds = kinds_of_sum(kinds, kFinite | over);
      if (over == (kPlus | kMinus)) kinds |= kNan;
    }
    return kinds & kFinite ? Rounded(value, error + gamma * size + least).with(kinds) : Rounded::only(kinds);
  }
};

// The sum in blocks: a block has 16 chains and a tree of four additions; blocks are added in order.
template <class F>
Rounded sum(int64_t n, int64_t block, F f) {
  const auto of = [](int64_t a, int64_t b) { return static_cast<double>((a + b - 1) / b); };
  const double additions = of(std::min(n, block), 16) + 4 + of(n, block), gamma = additions * kU / (1 - additions * kU);
  Sum all;
  for (int64_t i = 0; i < n; ++i) all.add(f(i));
  return all.rounded(gamma);
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
