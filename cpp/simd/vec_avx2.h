// Vec on AVX2 + FMA: 8 lanes; tails through maskload/maskstore.
#pragma once
#include <immintrin.h>

namespace lanewise::LW_ISA {

struct Mask {
  __m256 m;  // all ones or all zeros in each lane
};
LW_INLINE Mask operator&(Mask a, Mask b) { return {_mm256_and_ps(a.m, b.m)}; }
LW_INLINE Mask operator|(Mask a, Mask b) { return {_mm256_or_ps(a.m, b.m)}; }
LW_INLINE Mask operator~(Mask a) { return {_mm256_xor_ps(a.m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))}; }

LW_INLINE __m256i lane_mask(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

struct Vec {
  static constexpr int kLanes = 8;
  __m256 v;
  static LW_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static LW_INLINE Vec load_partial(const float* p, int64_t n) { return {_mm256_maskload_ps(p, lane_mask(n))}; }
  static LW_INLINE Vec set1(float x) { return {_mm256_set1_ps(x)}; }
  static LW_INLINE Vec zero() { return {_mm256_setzero_ps()}; }
  LW_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
  LW_INLINE void store_partial(float* p, int64_t n) const { _mm256_maskstore_ps(p, lane_mask(n), v); }
};
LW_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
LW_INLINE Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
LW_INLINE Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
LW_INLINE Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
LW_INLINE Vec operator-(Vec a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
LW_INLINE Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
LW_INLINE Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
LW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
LW_INLINE Vec fnma(Vec a, Vec b, Vec c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
LW_INLINE Mask operator<(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
LW_INLINE Mask operator<=(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
LW_INLINE Mask operator>(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
LW_INLINE Mask operator>=(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
LW_INLINE Mask operator==(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
LW_INLINE Mask is_nan(Vec a) { return {_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)}; }
LW_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
LW_INLINE Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
LW_INLINE Vec round(Vec a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
LW_INLINE Vec select(Mask m, Vec a, Vec b) { return {_mm256_blendv_ps(b.v, a.v, m.m)}; }

struct VecI {
  __m256i v;
  static LW_INLINE VecI set1(int32_t x) { return {_mm256_set1_epi32(x)}; }
  static LW_INLINE VecI load(const int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  LW_INLINE void store(int32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
};
LW_INLINE VecI operator+(VecI a, VecI b) { return {_mm256_add_epi32(a.v, b.v)}; }
LW_INLINE VecI operator-(VecI a, VecI b) { return {_mm256_sub_epi32(a.v, b.v)}; }
LW_INLINE VecI operator&(VecI a, VecI b) { return {_mm256_and_si256(a.v, b.v)}; }
LW_INLINE VecI operator|(VecI a, VecI b) { return {_mm256_or_si256(a.v, b.v)}; }
LW_INLINE VecI operator^(VecI a, VecI b) { return {_mm256_xor_si256(a.v, b.v)}; }
LW_INLINE VecI operator<<(VecI a, int s) { return {_mm256_sll_epi32(a.v, _mm_cvtsi32_si128(s))}; }
LW_INLINE VecI operator>>(VecI a, int s) { return {_mm256_sra_epi32(a.v, _mm_cvtsi32_si128(s))}; }
LW_INLINE VecI shift_right_logical(VecI a, int s) { return {_mm256_srl_epi32(a.v, _mm_cvtsi32_si128(s))}; }
LW_INLINE Mask operator==(VecI a, VecI b) { return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v))}; }
LW_INLINE Mask operator>(VecI a, VecI b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(a.v, b.v))}; }
LW_INLINE VecI select(Mask m, VecI a, VecI b) { return {_mm256_blendv_epi8(b.v, a.v, _mm256_castps_si256(m.m))}; }
LW_INLINE VecI operator*(VecI a, VecI b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
LW_INLINE VecI multiply_high(VecI a, VecI b) {
  const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(a.v, b.v), 32);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), _mm256_srli_epi64(b.v, 32));
  return {_mm256_blend_epi32(even, odd, 0xAA)};
}
LW_INLINE void transpose4(VecI (&v)[4]) {
  const __m256i a = _mm256_unpacklo_epi32(v[0].v, v[1].v), b = _mm256_unpacklo_epi32(v[2].v, v[3].v);
  const __m256i c = _mm256_unpackhi_epi32(v[0].v, v[1].v), d = _mm256_unpackhi_epi32(v[2].v, v[3].v);
  v[0] = {_mm256_unpacklo_epi64(a, b)}, v[1] = {_mm256_unpackhi_epi64(a, b)};
  v[2] = {_mm256_unpacklo_epi64(c, d)}, v[3] = {_mm256_unpackhi_epi64(c, d)};
}
LW_INLINE VecI to_int(Vec a) { return {_mm256_cvtps_epi32(a.v)}; }
LW_INLINE Vec to_float(VecI a) { return {_mm256_cvtepi32_ps(a.v)}; }
LW_INLINE VecI bits(Vec a) { return {_mm256_castps_si256(a.v)}; }
LW_INLINE Vec from_bits(VecI a) { return {_mm256_castsi256_ps(a.v)}; }
LW_INLINE float tree_sum(Vec a) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
LW_INLINE void transpose_groups(Vec (&v)[8]) {
  LW_UNROLL for (int i = 0; i < 4; ++i) {
    const __m256 a = v[i].v, b = v[i + 4].v;
    v[i].v = _mm256_permute2f128_ps(a, b, 0x20), v[i + 4].v = _mm256_permute2f128_ps(a, b, 0x31);
  }
}

}  // namespace lanewise::LW_ISA
