// Floor 1: Vec, the one vector type. Every kernel is written against this contract once; one back end per ISA fulfils
// it.
//
// The build compiles kernels/*.cpp once per ISA with LW_ISA set to generic, avx2, avx512 or neon. Everything below
// lives in namespace lanewise::LW_ISA, so that no inline function compiled under one ISA's flags can be picked by the
// linker for another.
//
// Contract (L = Vec::kLanes; all operations lane by lane, IEEE 754 round-to-nearest-even):
//   Vec::load(p)  Vec::store(p)                       L floats, any alignment
//   Vec::load_partial(p, n)  store_partial(p, n)      first n lanes (0 <= n <= L); the rest load as +0 and are not
//                                                     touched: no byte outside p[0, n) is read or written
//   Vec::set1(x)  Vec::zero()
//   a + b, a - b, a * b, a / b, -a, sqrt(a), abs(a)
//   fma(a, b, c) = a*b + c with one rounding (generic: two), fnma(a, b, c) = c - a*b with one
//   fma_row(p, x, y, c, d)  c = fma(set1(*p), x, c), d = fma(set1(*p), y, d), on AVX-512 and AVX2 in three instructions
//                           that leave the sums where they were: free to choose, GCC moves sums about and runs out of
//                           registers
//   fma_spread(p, b, c) = fma(set1(*p), b, c), on AVX-512 in one instruction that no compiler makes two of
//   ask_to_write(p)  on AVX-512: the line of p will be written to, and no other core is to keep it (of the compiler's
//                    own a prefetch that writes needs another flag, and reads without a word where it is missing)
//   a < b, a <= b, a > b, a >= b, a == b              Mask; false where a lane is NaN
//   is_nan(a)                                         Mask
//   m & n, m | n, ~m                                  Mask
//   select(m, a, b)                                   m ? a : b
//   VecI: int32 lanes: set1, load, store, + - & | ^ , << >> by a constant (>> arithmetic), shift_right_logical,
//         ==, >, (signed) -> Mask; select(m, a, b); a * b modulo 2^32, multiply_high(a, b): the upper half of the
//         unsigned 64-bit product; transpose4(v): the 4x4 matrix that v[0..3] hold in each group of four lanes
//   transpose_groups(v)   group j of v[4i + e] <-> group i of v[4j + e], for Vec v[L] of L/4 groups of four lanes
//   to_int(a)      round to nearest even, |a| < 2^31       to_float(i)
//   bits(a) -> VecI, from_bits(i) -> Vec
//   tree_sum(a)    of a's L lanes: those L/2 apart are added, then those L/4 apart, ..., 1 apart
//   max(a, b) = a > b ? a : b, min(a, b) = a < b ? a : b: the second operand where either is NaN or both are zero
//   round(a)       to the nearest whole number, ties to even, |a| < 2^22
//   scale(a, n) = a * 2^n with one rounding, for whole n, |n| <= 252; NaN where a or n is NaN
#pragma once
#include <cstdint>
#include <cstring>

#ifndef LW_ISA
#error "compile kernels with -DLW_ISA=<generic|avx2|avx512|neon>"
#endif

#define LW_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define LW_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LW_UNROLL _Pragma("GCC unroll 32")
#endif
// What is inlined where speed counts and stands once in the code of the fallback, which is small, not fast.
#if defined(LW_ISA_GENERIC)
#define LW_LONG inline __attribute__((noinline))
#else
#define LW_LONG LW_INLINE
#endif

// What inline assembly reads of an array is shown to a sanitizer, which does not see it.
#if defined(__SANITIZE_ADDRESS__)
#define LW_SHOW(p) (void)*static_cast<const volatile float*>(p)
#else
#define LW_SHOW(p) (void)0
#endif

#if defined(LW_ISA_AVX512)
#include "simd/vec_avx512.h"
#elif defined(LW_ISA_AVX2)
#include "simd/vec_avx2.h"
#elif defined(LW_ISA_NEON)
#include "simd/vec_neon.h"
#else
#include "simd/vec_generic.h"
#endif

namespace lanewise::LW_ISA {

#if defined(LW_ISA_GENERIC)
constexpr bool kSmall = true;  // loops stand once in the code, tails included
#else
constexpr bool kSmall = false;
#endif

LW_INLINE void fma_row(const float* p, Vec x, Vec y, Vec& c, Vec& d) {
#if defined(LW_ISA_AVX512) || defined(LW_ISA_AVX2)
  LW_SHOW(p);
  Vec a;
  asm("vbroadcastss %3, %2\n\tvfmadd231ps %2, %4, %0\n\tvfmadd231ps %2, %5, %1"
      : "+&v"(c.v), "+v"(d.v), "=&v"(a.v)
      : "m"(*p), "v"(x.v), "v"(y.v));
#else
  const Vec a = Vec::set1(*p);
  c = fma(a, x, c), d = fma(a, y, d);
#endif
}
#if !defined(LW_ISA_AVX512)
LW_INLINE void ask_to_write(const float*) {}
LW_INLINE Vec fma_spread(const float* p, Vec b, Vec c) { return fma(Vec::set1(*p), b, c); }

// In two steps, 2^(n/2) each: where the first has not rounded, the second rounds once.
LW_LONG Vec scale(Vec a, Vec n) {
  const VecI whole = to_int(n), half = whole >> 1, bias = VecI::set1(127);
  return a * from_bits((half + bias) << 23) * from_bits((whole - half + bias) << 23);
}
#endif

// What was loaded into a is not loaded again, as a compiler likes to do instead of keeping it in a register, and what
// is kept so stays in the order of the code.
LW_INLINE void keep_in_register(Vec& a) {
#if defined(__x86_64__)
  asm volatile("" : "+v"(a.v));
#elif defined(__aarch64__)
  asm volatile("" : "+w"(a.v));
#else
  (void)a;
#endif
}

// Lane j of v[i] <-> lane i of v[j]: the 4x4 matrices within the groups of four lanes, then the matrix of the groups.
LW_INLINE void transpose(Vec (&v)[Vec::kLanes]) {
  LW_UNROLL for (int q = 0; q < Vec::kLanes; q += 4) {
    VecI t[4] = {bits(v[q]), bits(v[q + 1]), bits(v[q + 2]), bits(v[q + 3])};
    transpose4(t);
    LW_UNROLL for (int e = 0; e < 4; ++e) v[q + e] = from_bits(t[e]);
  }
  transpose_groups(v);
}

// Sixteen virtual lanes, the unit of every fixed-order sum: on each ISA element e of a run belongs to lane e mod 16.
struct Vec16 {
  static constexpr int kParts = 16 / Vec::kLanes;
  Vec part[kParts];

  static LW_INLINE Vec16 zero() {
    Vec16 r;
    LW_UNROLL for (int i = 0; i < kParts; ++i) r.part[i] = Vec::zero();
    return r;
  }
  static LW_INLINE Vec16 load(const float* p) {
    Vec16 r;
    LW_UNROLL for (int i = 0; i < kParts; ++i) r.part[i] = Vec::load(p + i * Vec::kLanes);
    return r;
  }
  // First n of 16 (0 <= n <= 16); the rest are +0.
  static LW_INLINE Vec16 load_partial(const float* p, int64_t n) {
    Vec16 r;
    LW_UNROLL for (int i = 0; i < kParts; ++i) {
      int64_t left = n - i * Vec::kLanes;
      r.part[i] = left <= 0             ? Vec::zero()
                  : left >= Vec::kLanes ? Vec::load(p + i * Vec::kLanes)
                                        : Vec::load_partial(p + i * Vec::kLanes, left);
    }
    return r;
  }
  LW_INLINE void store(float* p) const {
    LW_UNROLL for (int i = 0; i < kParts; ++i) part[i].store(p + i * Vec::kLanes);
  }
  // The fixed tree: lanes 8 apart, then 4, 2, 1: ((l0+l8)+(l4+l12)) + ... ; the same additions on every ISA.
  LW_LONG float sum() const {
    Vec v[kParts];
    LW_UNROLL for (int i = 0; i < kParts; ++i) v[i] = part[i];
    LW_UNROLL for (int half = kParts / 2; half >= 1; half /= 2) {
      LW_UNROLL for (int i = 0; i < half; ++i) v[i] = v[i] + v[i + half];
    }
    return tree_sum(v[0]);
  }
};

}  // namespace lanewise::LW_ISA
