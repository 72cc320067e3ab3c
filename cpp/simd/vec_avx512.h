// Vec on AVX-512 F+DQ+BW+VL: 16 lanes, predicate registers for tails.
#pragma once
#include <immintrin.h>

namespace lanewise::LW_ISA {

struct Mask {
  __mmask16 m;
};
LW_INLINE Mask operator&(Mask a, Mask b) { return {static_cast<__mmask16>(a.m & b.m)}; }
LW_INLINE Mask operator|(Mask a, Mask b) { return {static_cast<__mmask16>(a.m | b.m)}; }
LW_INLINE Mask operator~(Mask a) { return {static_cast<__mmask16>(~a.m)}; }

LW_INLINE __mmask16 lane_mask(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }

struct Vec {
  static constexpr int kLanes = 16;
  __m512 v;
  static LW_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static LW_INLINE Vec load_partial(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(lane_mask(n), p)}; }
  static LW_INLINE Vec set1(float x) { return {_mm512_set1_ps(x)}; }
  static LW_INLINE Vec zero() { return {_mm512_setzero_ps()}; }
  LW_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  LW_INLINE void store_partial(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, lane_mask(n), v); }
};
LW_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
LW_INLINE Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
LW_INLINE Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
LW_INLINE Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
LW_INLINE Vec operator-(Vec a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
LW_INLINE Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
LW_INLINE Vec abs(Vec a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v)}; }
LW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
LW_INLINE void ask_to_write(const float* p) { asm volatile("prefetchw %0" : : "m"(*p)); }
LW_INLINE Vec fma_spread(const float* a, Vec b, Vec c) {
  LW_SHOW(a);
  asm("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(c.v) : "m"(*a), "v"(b.v));
  return c;
}
LW_INLINE Vec fnma(Vec a, Vec b, Vec c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
LW_INLINE Mask operator<(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
LW_INLINE Mask operator<=(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
LW_INLINE Mask operator>(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
LW_INLINE Mask operator>=(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
LW_INLINE Mask operator==(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
LW_INLINE Mask is_nan(Vec a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
LW_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
LW_INLINE Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
LW_INLINE Vec round(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
LW_INLINE Vec scale(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }
LW_INLINE Vec select(Mask m, Vec a, Vec b) { return {_mm512_mask_blend_ps(m.m, b.v, a.v)}; }

struct VecI {
  __m512i v;
  static LW_INLINE VecI set1(int32_t x) { return {_mm512_set1_epi32(x)}; }
  static LW_INLINE VecI load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
  LW_INLINE void store(int32_t* p) const { _mm512_storeu_si512(p, v); }
};
LW_INLINE VecI operator+(VecI a, VecI b) { return {_mm512_add_epi32(a.v, b.v)}; }
LW_INLINE VecI operator-(VecI a, VecI b) { return {_mm512_sub_epi32(a.v, b.v)}; }
LW_INLINE VecI operator&(VecI a, VecI b) { return {_mm512_and_si512(a.v, b.v)}; }
LW_INLINE VecI operator|(VecI a, VecI b) { return {_mm512_or_si512(a.v, b.v)}; }
LW_INLINE VecI operator^(VecI a, VecI b) { return {_mm512_xor_si512(a.v, b.v)}; }
LW_INLINE VecI operator<<(VecI a, int s) { return {_mm512_sll_epi32(a.v, _mm_cvtsi32_si128(s))}; }
LW_INLINE VecI operator>>(VecI a, int s) { return {_mm512_sra_epi32(a.v, _mm_cvtsi32_si128(s))}; }
LW_INLINE VecI shift_right_logical(VecI a, int s) { return {_mm512_srl_epi32(a.v, _mm_cvtsi32_si128(s))}; }
LW_INLINE Mask operator==(VecI a, VecI b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
LW_INLINE Mask operator>(VecI a, VecI b) { return {_mm512_cmpgt_epi32_mask(a.v, b.v)}; }
LW_INLINE VecI select(Mask m, VecI a, VecI b) { return {_mm512_mask_blend_epi32(m.m, b.v, a.v)}; }
LW_INLINE VecI operator*(VecI a, VecI b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
LW_INLINE VecI multiply_high(VecI a, VecI b) {
  const __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(a.v, b.v), 32);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a.v, 32), _mm512_srli_epi64(b.v, 32));
  return {_mm512_mask_blend_epi32(0xAAAA, even, odd)};
}
LW_INLINE void transpose4(VecI (&v)[4]) {
  const __m512i a = _mm512_unpacklo_epi32(v[0].v, v[1].v), b = _mm512_unpacklo_epi32(v[2].v, v[3].v);
  const __m512i c = _mm512_unpackhi_epi32(v[0].v, v[1].v), d = _mm512_unpackhi_epi32(v[2].v, v[3].v);
  v[0] = {_mm512_unpacklo_epi64(a, b)}, v[1] = {_mm512_unpackhi_epi64(a, b)};
  v[2] = {_mm512_unpacklo_epi64(c, d)}, v[3] = {_mm512_unpackhi_epi64(c, d)};
}
LW_INLINE VecI to_int(Vec a) { return {_mm512_cvt_roundps_epi32(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
LW_INLINE Vec to_float(VecI a) { return {_mm512_cvtepi32_ps(a.v)}; }
LW_INLINE VecI bits(Vec a) { return {_mm512_castps_si512(a.v)}; }
LW_INLINE Vec from_bits(VecI a) { return {_mm512_castsi512_ps(a.v)}; }
LW_INLINE float tree_sum(Vec a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
LW_INLINE void transpose_groups(Vec (&v)[16]) {
  LW_UNROLL for (int i = 0; i < 4; ++i) {
    const __m512 a = _mm512_shuffle_f32x4(v[i].v, v[i + 4].v, 0x88);
    const __m512 b = _mm512_shuffle_f32x4(v[i + 8].v, v[i + 12].v, 0x88);
    const __m512 c = _mm512_shuffle_f32x4(v[i].v, v[i + 4].v, 0xDD);
    const __m512 d = _mm512_shuffle_f32x4(v[i + 8].v, v[i + 12].v, 0xDD);
    v[i].v = _mm512_shuffle_f32x4(a, b, 0x88), v[i + 8].v = _mm512_shuffle_f32x4(a, b, 0xDD);
    v[i + 4].v = _mm512_shuffle_f32x4(c, d, 0x88), v[i + 12].v = _mm512_shuffle_f32x4(c, d, 0xDD);
  }
}

// transpose, cut into steps that multiply-adds can stand between (shuffles of 512 bits and these have ports of their
// own, but only side by side in the code do they run side by side), and into halves: x and y take eight terms each of
// rows r and r + 4; from z[0..3] of rows 0 to 7 and z[4..7] of rows 8 to 15, eight steps make w[e] = term e of all.
LW_INLINE void keep_in_register(Vec& a);
LW_INLINE void split_terms(Vec u, Vec v, Vec& x, Vec& y) {
  x.v = _mm512_shuffle_f32x4(u.v, v.v, 0x44), y.v = _mm512_shuffle_f32x4(u.v, v.v, 0xEE);
  keep_in_register(x), keep_in_register(y);
}
LW_INLINE void turn_step(int step, Vec (&z)[8], Vec (&w)[8]) {
  const auto low = [](Vec a, Vec b) {
    return Vec{_mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a.v), _mm512_castps_pd(b.v)))};
  };
  const auto high = [](Vec a, Vec b) {
    return Vec{_mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a.v), _mm512_castps_pd(b.v)))};
  };
  Vec* const q = z + step % 2 * 4;
  if (step < 2) {
    const Vec a{_mm512_unpacklo_ps(q[0].v, q[1].v)}, b{_mm512_unpacklo_ps(q[2].v, q[3].v)};
    q[1].v = _mm512_unpackhi_ps(q[0].v, q[1].v), q[3].v = _mm512_unpackhi_ps(q[2].v, q[3].v), q[0] = a, q[2] = b;
  } else if (step < 4) {
    const Vec a = low(q[0], q[2]), b = high(q[0], q[2]), c = low(q[1], q[3]), d = high(q[1], q[3]);
    q[0] = a, q[1] = b, q[2] = c, q[3] = d;
  } else {
    const int i = step - 4;
    w[i].v = _mm512_shuffle_f32x4(z[i].v, z[4 + i].v, 0x88),
    w[4 + i].v = _mm512_shuffle_f32x4(z[i].v, z[4 + i].v, 0xDD);
    return keep_in_register(w[i]), keep_in_register(w[4 + i]);
  }
  LW_UNROLL for (int i = 0; i < 4; ++i) keep_in_register(q[i]);
}

}  // namespace lanewise::LW_ISA
