// Elementary functions on Vec, built from correctly rounded operations only, in a fixed order: the same bits on every
// ISA with fma. Coefficients are minimax fits (relative error below 2^-30) made for these ranges. The largest errors
// over all 2^32 arguments are in cpp/tests/math_sweep.txt.
#pragma once
#include "simd/vec.h"

namespace lanewise::LW_ISA {

// log 2 in two parts: the upper one has 9 significant bits, so that n * upper is exact for every exponent n.
constexpr float kLn2Upper = 0.693359375f, kLn2Lower = -2.12194440e-4f;

// e^x = 2^n * e^r, n = round(x / log 2), |r| <= log(2)/2: n and p = e^r - 1.
struct ExpParts {
  Vec n, p;
};
LW_LONG ExpParts exp_parts(Vec x) {
  const Vec n = round(x * Vec::set1(1.44269504f));
  const Vec r = fnma(n, Vec::set1(kLn2Lower), fnma(n, Vec::set1(kLn2Upper), x));
  Vec q = Vec::set1(0x1.9f0816p-13f);
  q = fma(q, r, Vec::set1(0x1.6d8db2p-10f));
  q = fma(q, r, Vec::set1(0x1.111272p-7f));
  q = fma(q, r, Vec::set1(0x1.55548ep-5f));
  q = fma(q, r, Vec::set1(0x1.555554p-3f));
  q = fma(q, r, Vec::set1(0.5f));
  return {n, fma(r * r, q, r)};
}

// Where 2^n is 0 or infinite: what lies beyond gives the same.
LW_INLINE Vec exp_range(Vec x) { return max(Vec::set1(-104.0f), min(Vec::set1(89.0f), x)); }

// Subnormal results round once, overflow gives infinity, NaN stays NaN.
LW_LONG Vec exp(Vec x) {
  const ExpParts e = exp_parts(exp_range(x));
  return scale(Vec::set1(1.0f) + e.p, e.n);
}

// e^x - 1 = 2^n p + (2^n - 1) for x <= 88.
LW_LONG Vec expm1(Vec x) {
  const ExpParts e = exp_parts(exp_range(x));
  const Vec power = scale(Vec::set1(1.0f), e.n);
  return fma(power, e.p, power - Vec::set1(1.0f));
}

// log x = e * log 2 + log(1 + r), 1 + r in [sqrt(1/2), sqrt 2). x = 0: -inf; x < 0: NaN; inf and NaN stay.
LW_LONG Vec log(Vec x) {
  const Mask tiny = x < Vec::set1(0x1p-126f);
  const Vec scaled = select(tiny, x * Vec::set1(0x1p23f), x);
  const VecI i = bits(scaled);
  const VecI exponent = (i - VecI::set1(0x3F3504F3)) >> 23;
  const Vec r = from_bits(i - (exponent << 23)) - Vec::set1(1.0f);
  const Vec e = to_float(exponent) - select(tiny, Vec::set1(23.0f), Vec::zero());
  Vec p = Vec::set1(0x1.1462aep-4f);
  p = fma(p, r, Vec::set1(-0x1.de4f84p-4f));
  p = fma(p, r, Vec::set1(0x1.e6f626p-4f));
  p = fma(p, r, Vec::set1(-0x1.fc1f72p-4f));
  p = fma(p, r, Vec::set1(0x1.2336e0p-3f));
  p = fma(p, r, Vec::set1(-0x1.555c5ap-3f));
  p = fma(p, r, Vec::set1(0x1.99a4bcp-3f));
  p = fma(p, r, Vec::set1(-0x1.000006p-2f));
  p = fma(p, r, Vec::set1(0x1.555548p-2f));
  const Vec z = r * r;
  Vec y = p * r * z;
  y = fma(e, Vec::set1(kLn2Lower), y);
  y = fma(Vec::set1(-0.5f), z, y);
  y = fma(e, Vec::set1(kLn2Upper), r + y);
  const Vec infinity = from_bits(VecI::set1(0x7F800000));
  y = select(x < infinity, y, x);  // +inf and NaN
  y = select(x == Vec::zero(), -infinity, y);
  return select(x < Vec::zero(), from_bits(VecI::set1(0x7FC00000)), y);
}

// log(1 + x) for x >= 0: the rounding error of 1 + x is put back to first order.
LW_LONG Vec log1p_positive(Vec x) {
  const Vec u = Vec::set1(1.0f) + x;
  return log(u) + (x - (u - Vec::set1(1.0f))) / u;
}

LW_INLINE Vec copy_sign(Vec magnitude, Vec sign) {
  const VecI top = VecI::set1(INT32_MIN);
  return from_bits((bits(magnitude) & VecI::set1(INT32_MAX)) | (bits(sign) & top));
}

// x + x^3 P(x^2) below 0.6, else 1 - 2 / (e^2|x| + 1) with x's sign.
LW_LONG Vec tanh(Vec x) {
  const Vec a = abs(x), z = x * x;
  Vec p = Vec::set1(0x1.229280p-9f);
  p = fma(p, z, Vec::set1(-0x1.0e6e10p-7f));
  p = fma(p, z, Vec::set1(0x1.6402a8p-6f));
  p = fma(p, z, Vec::set1(-0x1.b9f8aep-5f));
  p = fma(p, z, Vec::set1(0x1.111096p-3f));
  p = fma(p, z, Vec::set1(-0x1.555554p-2f));
  const Vec near = fma(p * z, x, x);
  const Vec far = Vec::set1(1.0f) - Vec::set1(2.0f) / (exp(a + a) + Vec::set1(1.0f));
  return copy_sign(select(a < Vec::set1(0.6f), near, far), x);  // tanh(-0) = -0
}

// 1 / (1 + e^-x); for x < 0 as e^x / (1 + e^x), so that small results keep their digits. The quotient q is corrected
// once by its residual, in which the rounding error of 1 + e counts too: without that the error reaches 2.3 ULP.
LW_LONG Vec sigmoid(Vec x) {
  const Vec e = exp(-abs(x)), top = select(x < Vec::zero(), e, Vec::set1(1.0f));
  const Vec d = Vec::set1(1.0f) + e, lost = e - (d - Vec::set1(1.0f)), inverse = Vec::set1(1.0f) / d;
  const Vec q = top * inverse;
  return fma(fnma(q, lost, fnma(q, d, top)), inverse, q);
}

// e^(excess - x) = 2^n (head + tail) for 0 <= x <= kTail and a small excess: for results that round once, where e^-x
// alone may be subnormal. Beyond kTail, e^-x times any of its factors here is 0.
constexpr float kTail = 130.0f;
struct LongExp {
  Vec n, head, tail;
};
LW_LONG LongExp long_exp(Vec x, Vec excess) {
  const ExpParts e = exp_parts(-x);
  const Vec one = Vec::set1(1.0f), head = one + e.p;
  return {e.n, head, fma(head, excess, e.p - (head - one))};
}

// a * z / (m + z), z = 2^n (head + tail), m >= z / 2; the quotient with its residual, one rounding at the end.
LW_LONG Vec times_share(Vec a, const LongExp& z, Vec m) {
  const Vec rounded = scale(z.head, z.n), d = m + rounded, lost = rounded - (d - m);
  const Vec inverse = Vec::set1(1.0f) / d, q = z.head * inverse;
  const Vec rest = fnma(q, d, z.head) + fnma(q, lost, z.tail);
  return scale(fma(a, q, a * inverse * rest), z.n);
}

// The standard normal distribution at -a: bell = e^(-a^2 / 2), its density times sqrt(2 pi), and what of the
// probability lies beyond, bell * (head + tail). That factor, half the scaled complementary error function of a / sqrt
// 2, is t P(t), t = 1 / (1 + 0.3 a), P a minimax fit for a <= 15 (relative error 2^-28); t's rounding counts 0.89
// + 1.77 t times.
struct Normal {
  LongExp bell;
  Vec head, tail;
};
LW_LONG Normal normal(Vec a) {
  const Vec one = Vec::set1(1.0f), half = a * Vec::set1(0.5f);
  const Vec square = a * half, c = Vec::set1(0.3f), d = fma(c, a, one), t = one / d;
  const Vec lost = fma(t, fnma(c, a, d - one), fnma(t, d, one));  // t's relative error
  Vec p = Vec::set1(-0x1.51fc52p-6f);
  p = fma(p, t, Vec::set1(0x1.cca9cp-4f));
  p = fma(p, t, Vec::set1(-0x1.d38912p-3f));
  p = fma(p, t, Vec::set1(0x1.88fccep-3f));
  p = fma(p, t, Vec::set1(-0x1.45afd6p-4f));
  p = fma(p, t, Vec::set1(0x1.8a1092p-4f));
  p = fma(p, t, Vec::set1(0x1.41026p-4f));
  p = fma(p, t, Vec::set1(0x1.c38a88p-4f));
  const Vec second = Vec::set1(0x1.e9c398p-4f), part = fma(p, t, second);  // the last two roundings are put back
  const Vec first = Vec::set1(0x1.ea3cap-4f), sum = fma(part, t, first), head = sum * t;
  const Vec short_of = fma(t, fnma(p, t, part - second), fnma(part, t, sum - first));
  const Vec counts = fma(Vec::set1(1.77f), t, Vec::set1(0.89f)) * lost;
  const Vec tail = fma(head, counts, -fnma(sum, t, head) - t * short_of);
  return {long_exp(square, fnma(a, half, square)), head, tail};
}

// A standard normal number from a random word: the inverse of its distribution at the word, to within 2e-6. With u the
// lower 31 bits as a number in (0, 1/2] and t = sqrt(-2 log u): |z| = t + P(s - 0.43), s = 1 / (1 + t / 2), P a minimax
// fit for t <= 6.8; the upper bit gives the sign.
LW_LONG Vec normal_of_word(VecI word) {
  const Vec whole = to_float(word & VecI::set1(INT32_MAX));
  const Vec u = fma(whole, Vec::set1(0x1p-32f), Vec::set1(0x1p-33f));
  const Vec t = sqrt(Vec::set1(-2.0f) * log(u)), one = Vec::set1(1.0f);
  const Vec s = one / fma(t, Vec::set1(0.5f), one) - Vec::set1(0.43f);
  Vec p = Vec::set1(-0x1.2848c0p+1f);
  p = fma(p, s, Vec::set1(-0x1.9aae42p+1f));
  p = fma(p, s, Vec::set1(-0x1.189c20p+0f));
  p = fma(p, s, Vec::set1(-0x1.7e6ad2p+0f));
  p = fma(p, s, Vec::set1(-0x1.be23c4p-1f));
  p = fma(p, s, Vec::set1(-0x1.cf7256p+0f));
  p = fma(p, s, Vec::set1(-0x1.88acd8p-1f));
  return copy_sign(t + p, from_bits(word));
}

}  // namespace lanewise::LW_ISA
