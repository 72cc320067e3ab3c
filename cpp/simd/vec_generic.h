// Vec on any CPU: 4 lanes of plain C++, which the compiler maps to whatever the baseline has (SSE2 on x86-64).
// fma rounds twice here: this back end keeps the tolerances of the numeric contract, not its bits.
#pragma once

namespace lanewise::LW_ISA {

struct Mask {
  int32_t m[4];  // -1 or 0
};

struct Vec {
  static constexpr int kLanes = 4;
  float v[4];
  static LW_INLINE Vec load(const float* p) {
    Vec r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  static LW_INLINE Vec load_partial(const float* p, int64_t n) {
    Vec r = zero();
    for (int64_t i = 0; i < n; ++i) r.v[i] = p[i];
    return r;
  }
  static LW_INLINE Vec set1(float x) { return {{x, x, x, x}}; }
  static LW_INLINE Vec zero() { return set1(0.0f); }
  LW_INLINE void store(float* p) const { std::memcpy(p, v, sizeof v); }
  LW_INLINE void store_partial(float* p, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) p[i] = v[i];
  }
};

struct VecI {
  int32_t v[4];
  static LW_INLINE VecI set1(int32_t x) { return {{x, x, x, x}}; }
  static LW_INLINE VecI load(const int32_t* p) {
    VecI r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  LW_INLINE void store(int32_t* p) const { std::memcpy(p, v, sizeof v); }
};

// One lane-by-lane loop for every operation below.
template <class R, class F>
LW_INLINE R lanes(F f) {
  R r;
  LW_UNROLL for (int i = 0; i < 4; ++i) {
    if constexpr (requires { r.v; })
      r.v[i] = f(i);
    else
      r.m[i] = f(i);
  }
  return r;
}
LW_INLINE int32_t wrap(uint32_t x) { return static_cast<int32_t>(x); }
LW_INLINE uint32_t word(int32_t x) { return static_cast<uint32_t>(x); }

LW_INLINE Mask operator&(Mask a, Mask b) {
  return lanes<Mask>([&](int i) { return a.m[i] & b.m[i]; });
}
LW_INLINE Mask operator|(Mask a, Mask b) {
  return lanes<Mask>([&](int i) { return a.m[i] | b.m[i]; });
}
LW_INLINE Mask operator~(Mask a) {
  return lanes<Mask>([&](int i) { return ~a.m[i]; });
}

LW_INLINE Vec operator+(Vec a, Vec b) {
  return lanes<Vec>([&](int i) { return a.v[i] + b.v[i]; });
}
LW_INLINE Vec operator-(Vec a, Vec b) {
  return lanes<Vec>([&](int i) { return a.v[i] - b.v[i]; });
}
LW_INLINE Vec operator*(Vec a, Vec b) {
  return lanes<Vec>([&](int i) { return a.v[i] * b.v[i]; });
}
LW_INLINE Vec operator/(Vec a, Vec b) {
  return lanes<Vec>([&](int i) { return a.v[i] / b.v[i]; });
}
LW_INLINE Vec operator-(Vec a) {
  return lanes<Vec>([&](int i) { return -a.v[i]; });
}
LW_INLINE Vec sqrt(Vec a) {
  return lanes<Vec>([&](int i) { return __builtin_sqrtf(a.v[i]); });
}
LW_INLINE Vec abs(Vec a) {
  return lanes<Vec>([&](int i) { return __builtin_fabsf(a.v[i]); });
}
LW_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return lanes<Vec>([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
// One rounding after all: residuals and range reductions need it, and no hot loop is made of it.
LW_INLINE Vec fnma(Vec a, Vec b, Vec c) {
  return lanes<Vec>([&](int i) {
    return static_cast<float>(static_cast<double>(c.v[i]) - static_cast<double>(a.v[i]) * static_cast<double>(b.v[i]));
  });
}
LW_INLINE Mask operator<(Vec a, Vec b) {
  return lanes<Mask>([&](int i) { return -(a.v[i] < b.v[i]); });
}
LW_INLINE Mask operator<=(Vec a, Vec b) {
  return lanes<Mask>([&](int i) { return -(a.v[i] <= b.v[i]); });
}
LW_INLINE Mask operator>(Vec a, Vec b) {
  return lanes<Mask>([&](int i) { return -(a.v[i] > b.v[i]); });
}
LW_INLINE Mask operator>=(Vec a, Vec b) {
  return lanes<Mask>([&](int i) { return -(a.v[i] >= b.v[i]); });
}
LW_INLINE Mask operator==(Vec a, Vec b) {
  return lanes<Mask>([&](int i) { return -(a.v[i] == b.v[i]); });
}
LW_INLINE Mask is_nan(Vec a) {
  return lanes<Mask>([&](int i) { return -(a.v[i] != a.v[i]); });
}
LW_INLINE Vec select(Mask m, Vec a, Vec b) {
  return lanes<Vec>([&](int i) { return m.m[i] ? a.v[i] : b.v[i]; });
}

LW_INLINE VecI operator+(VecI a, VecI b) {
  return lanes<VecI>([&](int i) { return wrap(word(a.v[i]) + word(b.v[i])); });
}
LW_INLINE VecI operator-(VecI a, VecI b) {
  return lanes<VecI>([&](int i) { return wrap(word(a.v[i]) - word(b.v[i])); });
}
LW_INLINE VecI operator&(VecI a, VecI b) {
  return lanes<VecI>([&](int i) { return a.v[i] & b.v[i]; });
}
LW_INLINE VecI operator|(VecI a, VecI b) {
  return lanes<VecI>([&](int i) { return a.v[i] | b.v[i]; });
}
LW_INLINE VecI operator^(VecI a, VecI b) {
  return lanes<VecI>([&](int i) { return a.v[i] ^ b.v[i]; });
}
LW_INLINE VecI operator<<(VecI a, int s) {
  return lanes<VecI>([&](int i) { return wrap(word(a.v[i]) << s); });
}
LW_INLINE VecI operator>>(VecI a, int s) {
  return lanes<VecI>([&](int i) { return a.v[i] >> s; });
}
LW_INLINE VecI shift_right_logical(VecI a, int s) {
  return lanes<VecI>([&](int i) { return wrap(word(a.v[i]) >> s); });
}
LW_INLINE Mask operator==(VecI a, VecI b) {
  return lanes<Mask>([&](int i) { return -(a.v[i] == b.v[i]); });
}
LW_INLINE Mask operator>(VecI a, VecI b) {
  return lanes<Mask>([&](int i) { return -(a.v[i] > b.v[i]); });
}
LW_INLINE Vec max(Vec a, Vec b) { return select(a > b, a, b); }
LW_INLINE Vec min(Vec a, Vec b) { return select(a < b, a, b); }
LW_INLINE VecI select(Mask m, VecI a, VecI b) {
  return lanes<VecI>([&](int i) { return m.m[i] ? a.v[i] : b.v[i]; });
}
LW_INLINE VecI operator*(VecI a, VecI b) {
  return lanes<VecI>([&](int i) { return wrap(word(a.v[i]) * word(b.v[i])); });
}
LW_INLINE VecI multiply_high(VecI a, VecI b) {
  return lanes<VecI>([&](int i) { return wrap(static_cast<uint32_t>(uint64_t{word(a.v[i])} * word(b.v[i]) >> 32)); });
}
LW_INLINE void transpose4(VecI (&v)[4]) {
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < i; ++j) {
      const int32_t keep = v[i].v[j];
      v[i].v[j] = v[j].v[i];
      v[j].v[i] = keep;
    }
}
// Round to nearest even by the 1.5 * 2^23 trick, exact for |a| < 2^22; larger values are already integers.
LW_INLINE float round(float x) { return __builtin_fabsf(x) < 4194304.0f ? (x + 12582912.0f) - 12582912.0f : x; }
LW_INLINE Vec round(Vec a) {
  return lanes<Vec>([&](int i) { return round(a.v[i]); });
}
LW_INLINE VecI to_int(Vec a) {
  return lanes<VecI>([&](int i) {
    const float x = round(a.v[i]);
    return __builtin_fabsf(x) < 2147483648.0f ? static_cast<int32_t>(x) : INT32_MIN;
  });
}
LW_INLINE Vec to_float(VecI a) {
  return lanes<Vec>([&](int i) { return static_cast<float>(a.v[i]); });
}
LW_INLINE VecI bits(Vec a) {
  VecI r;
  std::memcpy(r.v, a.v, sizeof r.v);
  return r;
}
LW_INLINE Vec from_bits(VecI a) {
  Vec r;
  std::memcpy(r.v, a.v, sizeof r.v);
  return r;
}
LW_INLINE void transpose_groups(Vec (&)[4]) {}  // one group

}  // namespace lanewise::LW_ISA
