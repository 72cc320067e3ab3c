// Vec on AArch64 NEON: 4 lanes; tails through a small buffer.
#pragma once
#include <arm_neon.h>

namespace lanewise::LW_ISA {

struct Mask {
  uint32x4_t m;
};
LW_INLINE Mask operator&(Mask a, Mask b) { return {vandq_u32(a.m, b.m)}; }
LW_INLINE Mask operator|(Mask a, Mask b) { return {vorrq_u32(a.m, b.m)}; }
LW_INLINE Mask operator~(Mask a) { return {vmvnq_u32(a.m)}; }

struct Vec {
  static constexpr int kLanes = 4;
  float32x4_t v;
  static LW_INLINE Vec load(const float* p) { return {vld1q_f32(p)}; }
  static LW_INLINE Vec load_partial(const float* p, int64_t n) {
    float t[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int64_t i = 0; i < n; ++i) t[i] = p[i];
    return {vld1q_f32(t)};
  }
  static LW_INLINE Vec set1(float x) { return {vdupq_n_f32(x)}; }
  static LW_INLINE Vec zero() { return {vdupq_n_f32(0.0f)}; }
  LW_INLINE void store(float* p) const { vst1q_f32(p, v); }
  LW_INLINE void store_partial(float* p, int64_t n) const {
    float t[4];
    vst1q_f32(t, v);
    for (int64_t i = 0; i < n; ++i) p[i] = t[i];
  }
};
LW_INLINE Vec operator+(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
LW_INLINE Vec operator-(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
LW_INLINE Vec operator*(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
LW_INLINE Vec operator/(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
LW_INLINE Vec operator-(Vec a) { return {vnegq_f32(a.v)}; }
LW_INLINE Vec sqrt(Vec a) { return {vsqrtq_f32(a.v)}; }
LW_INLINE Vec abs(Vec a) { return {vabsq_f32(a.v)}; }
LW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
LW_INLINE Vec fnma(Vec a, Vec b, Vec c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
LW_INLINE Mask operator<(Vec a, Vec b) { return {vcltq_f32(a.v, b.v)}; }
LW_INLINE Mask operator<=(Vec a, Vec b) { return {vcleq_f32(a.v, b.v)}; }
LW_INLINE Mask operator>(Vec a, Vec b) { return {vcgtq_f32(a.v, b.v)}; }
LW_INLINE Mask operator>=(Vec a, Vec b) { return {vcgeq_f32(a.v, b.v)}; }
LW_INLINE Mask operator==(Vec a, Vec b) { return {vceqq_f32(a.v, b.v)}; }
LW_INLINE Mask is_nan(Vec a) { return {vmvnq_u32(vceqq_f32(a.v, a.v))}; }
LW_INLINE Vec select(Mask m, Vec a, Vec b) { return {vbslq_f32(m.m, a.v, b.v)}; }
LW_INLINE Vec max(Vec a, Vec b) { return select(a > b, a, b); }
LW_INLINE Vec min(Vec a, Vec b) { return select(a < b, a, b); }
LW_INLINE Vec round(Vec a) { return {vrndnq_f32(a.v)}; }

struct VecI {
  int32x4_t v;
  static LW_INLINE VecI set1(int32_t x) { return {vdupq_n_s32(x)}; }
  static LW_INLINE VecI load(const int32_t* p) { return {vld1q_s32(p)}; }
  LW_INLINE void store(int32_t* p) const { vst1q_s32(p, v); }
};
LW_INLINE VecI operator+(VecI a, VecI b) { return {vaddq_s32(a.v, b.v)}; }
LW_INLINE VecI operator-(VecI a, VecI b) { return {vsubq_s32(a.v, b.v)}; }
LW_INLINE VecI operator&(VecI a, VecI b) { return {vandq_s32(a.v, b.v)}; }
LW_INLINE VecI operator|(VecI a, VecI b) { return {vorrq_s32(a.v, b.v)}; }
LW_INLINE VecI operator^(VecI a, VecI b) { return {veorq_s32(a.v, b.v)}; }
LW_INLINE VecI operator<<(VecI a, int s) { return {vshlq_s32(a.v, vdupq_n_s32(s))}; }
LW_INLINE VecI operator>>(VecI a, int s) { return {vshlq_s32(a.v, vdupq_n_s32(-s))}; }
LW_INLINE VecI shift_right_logical(VecI a, int s) {
  return {vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a.v), vdupq_n_s32(-s)))};
}
LW_INLINE Mask operator==(VecI a, VecI b) { return {vceqq_s32(a.v, b.v)}; }
LW_INLINE Mask operator>(VecI a, VecI b) { return {vcgtq_s32(a.v, b.v)}; }
LW_INLINE VecI select(Mask m, VecI a, VecI b) { return {vbslq_s32(m.m, a.v, b.v)}; }
LW_INLINE VecI operator*(VecI a, VecI b) { return {vmulq_s32(a.v, b.v)}; }
LW_INLINE VecI multiply_high(VecI a, VecI b) {
  const uint32x4_t x = vreinterpretq_u32_s32(a.v), y = vreinterpretq_u32_s32(b.v);
  const uint64x2_t low = vmull_u32(vget_low_u32(x), vget_low_u32(y)), high = vmull_high_u32(x, y);
  return {vreinterpretq_s32_u32(vuzp2q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high)))};
}
LW_INLINE void transpose4(VecI (&v)[4]) {
  const int32x4_t a = vzip1q_s32(v[0].v, v[2].v), b = vzip1q_s32(v[1].v, v[3].v);
  const int32x4_t c = vzip2q_s32(v[0].v, v[2].v), d = vzip2q_s32(v[1].v, v[3].v);
  v[0] = {vzip1q_s32(a, b)}, v[1] = {vzip2q_s32(a, b)}, v[2] = {vzip1q_s32(c, d)}, v[3] = {vzip2q_s32(c, d)};
}
LW_INLINE VecI to_int(Vec a) { return {vcvtnq_s32_f32(a.v)}; }
LW_INLINE Vec to_float(VecI a) { return {vcvtq_f32_s32(a.v)}; }
LW_INLINE VecI bits(Vec a) { return {vreinterpretq_s32_f32(a.v)}; }
LW_INLINE Vec from_bits(VecI a) { return {vreinterpretq_f32_s32(a.v)}; }
LW_INLINE float tree_sum(Vec a) {
  const float32x2_t two = vadd_f32(vget_low_f32(a.v), vget_high_f32(a.v));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
LW_INLINE void transpose_groups(Vec (&)[4]) {}  // one group

}  // namespace lanewise::LW_ISA
