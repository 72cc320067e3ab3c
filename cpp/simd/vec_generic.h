// Vec on any CPU: 4 lanes in the compiler's own vector types, which become whatever the baseline has (SSE2 on x86-64).
// fma rounds twice here: this back end keeps the tolerances of the numeric contract, not its bits.
#pragma once

namespace lanewise::LW_ISA {

using Floats = float __attribute__((vector_size(16)));
using Ints = int32_t __attribute__((vector_size(16)));
using Words = uint32_t __attribute__((vector_size(16)));

struct Mask {
  Ints m;  // -1 or 0
};

struct Vec {
  static constexpr int kLanes = 4;
  Floats v;
  static LW_INLINE Vec load(const float* p) {
    Vec r;
    std::memcpy(&r.v, p, sizeof r.v);
    return r;
  }
  static LW_LONG Vec load_partial(const float* p, int64_t n) {
    Vec r = zero();
    for (int64_t i = 0; i < n; ++i) r.v[i] = p[i];
    return r;
  }
  static LW_INLINE Vec set1(float x) { return {Floats{x, x, x, x}}; }
  static LW_INLINE Vec zero() { return set1(0.0f); }
  LW_INLINE void store(float* p) const { std::memcpy(p, &v, sizeof v); }
  LW_LONG void store_partial(float* p, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) p[i] = v[i];
  }
};

struct VecI {
  Ints v;
  static LW_INLINE VecI set1(int32_t x) { return {Ints{x, x, x, x}}; }
  static LW_INLINE VecI load(const int32_t* p) {
    VecI r;
    std::memcpy(&r.v, p, sizeof r.v);
    return r;
  }
  LW_INLINE void store(int32_t* p) const { std::memcpy(p, &v, sizeof v); }
};

LW_INLINE VecI bits(Vec a) { return {(Ints)a.v}; }
LW_INLINE Vec from_bits(VecI a) { return {(Floats)a.v}; }

LW_INLINE Mask operator&(Mask a, Mask b) { return {a.m & b.m}; }
LW_INLINE Mask operator|(Mask a, Mask b) { return {a.m | b.m}; }
LW_INLINE Mask operator~(Mask a) { return {~a.m}; }
LW_INLINE VecI select(Mask m, VecI a, VecI b) { return {(a.v & m.m) | (b.v & ~m.m)}; }
LW_INLINE Vec select(Mask m, Vec a, Vec b) { return from_bits(select(m, bits(a), bits(b))); }

LW_INLINE Vec operator+(Vec a, Vec b) { return {a.v + b.v}; }
LW_INLINE Vec operator-(Vec a, Vec b) { return {a.v - b.v}; }
LW_INLINE Vec operator*(Vec a, Vec b) { return {a.v * b.v}; }
LW_INLINE Vec operator/(Vec a, Vec b) { return {a.v / b.v}; }
LW_INLINE Vec operator-(Vec a) { return from_bits({bits(a).v ^ INT32_MIN}); }
LW_INLINE Vec abs(Vec a) { return from_bits({bits(a).v & INT32_MAX}); }
LW_LONG Vec sqrt(Vec a) {
  LW_UNROLL for (int i = 0; i < 4; ++i) a.v[i] = __builtin_sqrtf(a.v[i]);
  return a;
}
LW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
// One rounding after all: residuals and range reductions need it, and no hot loop is made of it.
LW_LONG Vec fnma(Vec a, Vec b, Vec c) {
  LW_UNROLL for (int i = 0; i < 4; ++i) {
    const double product = static_cast<double>(a.v[i]) * static_cast<double>(b.v[i]);
    c.v[i] = static_cast<float>(static_cast<double>(c.v[i]) - product);
  }
  return c;
}
LW_INLINE Mask operator<(Vec a, Vec b) { return {a.v < b.v}; }
LW_INLINE Mask operator<=(Vec a, Vec b) { return {a.v <= b.v}; }
LW_INLINE Mask operator>(Vec a, Vec b) { return {a.v > b.v}; }
LW_INLINE Mask operator>=(Vec a, Vec b) { return {a.v >= b.v}; }
LW_INLINE Mask operator==(Vec a, Vec b) { return {a.v == b.v}; }
LW_INLINE Mask is_nan(Vec a) { return {a.v != a.v}; }
LW_INLINE Vec max(Vec a, Vec b) { return select(a > b, a, b); }
LW_INLINE Vec min(Vec a, Vec b) { return select(a < b, a, b); }

LW_INLINE VecI operator+(VecI a, VecI b) { return {(Ints)((Words)a.v + (Words)b.v)}; }
LW_INLINE VecI operator-(VecI a, VecI b) { return {(Ints)((Words)a.v - (Words)b.v)}; }
LW_INLINE VecI operator*(VecI a, VecI b) { return {(Ints)((Words)a.v * (Words)b.v)}; }
LW_INLINE VecI operator&(VecI a, VecI b) { return {a.v & b.v}; }
LW_INLINE VecI operator|(VecI a, VecI b) { return {a.v | b.v}; }
LW_INLINE VecI operator^(VecI a, VecI b) { return {a.v ^ b.v}; }
LW_INLINE VecI operator<<(VecI a, int s) { return {(Ints)((Words)a.v << s)}; }
LW_INLINE VecI operator>>(VecI a, int s) { return {a.v >> s}; }
LW_INLINE VecI shift_right_logical(VecI a, int s) { return {(Ints)((Words)a.v >> s)}; }
LW_INLINE Mask operator==(VecI a, VecI b) { return {a.v == b.v}; }
LW_INLINE Mask operator>(VecI a, VecI b) { return {a.v > b.v}; }
LW_LONG VecI multiply_high(VecI a, VecI b) {
  const Words x = (Words)a.v, y = (Words)b.v;
  LW_UNROLL for (int i = 0; i < 4; ++i) a.v[i] = static_cast<int32_t>(uint64_t{x[i]} * y[i] >> 32);
  return a;
}
LW_LONG void transpose4(VecI (&v)[4]) {
  const Ints a = __builtin_shufflevector(v[0].v, v[1].v, 0, 4, 1, 5),
             b = __builtin_shufflevector(v[2].v, v[3].v, 0, 4, 1, 5);
  const Ints c = __builtin_shufflevector(v[0].v, v[1].v, 2, 6, 3, 7),
             d = __builtin_shufflevector(v[2].v, v[3].v, 2, 6, 3, 7);
  v[0] = {__builtin_shufflevector(a, b, 0, 1, 4, 5)}, v[1] = {__builtin_shufflevector(a, b, 2, 3, 6, 7)};
  v[2] = {__builtin_shufflevector(c, d, 0, 1, 4, 5)}, v[3] = {__builtin_shufflevector(c, d, 2, 3, 6, 7)};
}
LW_INLINE float tree_sum(Vec a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
LW_INLINE void transpose_groups(Vec (&)[4]) {}  // one group

// Round to nearest even by the 1.5 * 2^23 trick, exact for |a| < 2^22; larger values are already integers.
LW_LONG Vec round(Vec a) {
  const Vec shift = Vec::set1(12582912.0f);
  return select(abs(a) < Vec::set1(4194304.0f), (a + shift) - shift, a);
}
LW_LONG VecI to_int(Vec a) {
  const Mask fits = abs(a) < Vec::set1(2147483648.0f);
  const Vec whole = select(fits, round(a), Vec::zero());
  return select(fits, {__builtin_convertvector(whole.v, Ints)}, VecI::set1(INT32_MIN));
}
LW_INLINE Vec to_float(VecI a) { return {__builtin_convertvector(a.v, Floats)}; }

}  // namespace lanewise::LW_ISA
