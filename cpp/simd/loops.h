// Loops and tails, written once: a kernel is a lambda over vectors.
#pragma once
#include <utility>

#include "simd/vec.h"

namespace lanewise::LW_ISA {

LW_INLINE constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The first n lanes of p; a constant n == kLanes (the body of every loop below) is a plain load.
LW_LONG Vec load(const float* p, int64_t n) { return n == Vec::kLanes ? Vec::load(p) : Vec::load_partial(p, n); }
LW_LONG void store(Vec v, float* p, int64_t n) {
  if (n == Vec::kLanes)
    v.store(p);
  else
    v.store_partial(p, n);
}

// f(std::integral_constant<int, n>) for an n of 1 to N that is known only when it runs.
template <int N, class F>
LW_INLINE void with_constant(int64_t n, F f) {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    ((n == I + 1 ? f(std::integral_constant<int, I + 1>()) : void()), ...);
  }
  (std::make_integer_sequence<int, N>());
}

// f(i, lanes) for vectors that cover [0, n), f standing once in the code: for a long f, or one that few wait for.
template <class F>
LW_INLINE void each_vector(int64_t n, F f) {
  for (int64_t i = 0; i < n; i += Vec::kLanes) f(i, smaller(n - i, Vec::kLanes));
}
// The same with a body of its own for whole vectors.
template <class F>
LW_INLINE void for_vectors(int64_t n, F f) {
  if (kSmall) return each_vector(n, f);
  int64_t i = 0;
  for (; i + Vec::kLanes <= n; i += Vec::kLanes) f(i, int64_t{Vec::kLanes});
  if (i < n) f(i, n - i);
}

// y[i] = f(x[i]) for i in [0, n), x and y the same array or apart. Four vectors are loaded before the first is stored,
// so that the compiler may interleave the four chains of operations of a long F::forward. (An array of four would live
// on the stack.)
template <class F>
LW_INLINE void map_vectors(const float* x, float* y, int64_t n) {
  const auto f = [](Vec v) __attribute__((always_inline)) { return F::forward(v); };
  constexpr int64_t L = Vec::kLanes;
  int64_t i = 0;
  for (; !kSmall && i + 4 * L <= n; i += 4 * L) {
    const Vec a = f(Vec::load(x + i)), b = f(Vec::load(x + i + L));
    const Vec c = f(Vec::load(x + i + 2 * L)), d = f(Vec::load(x + i + 3 * L));
    a.store(y + i), b.store(y + i + L), c.store(y + i + 2 * L), d.store(y + i + 3 * L);
  }
  for_vectors(n - i, [&](int64_t j, int64_t lanes) { store(f(load(x + i + j, lanes)), y + i + j, lanes); });
}

// f(row, column, lanes) for vectors that cover (rows, cols). flat: the rows follow one another in every array, so that
// they are one long row.
template <class F>
LW_INLINE void for_matrix(int64_t rows, int64_t cols, bool flat, F f) {
  if (flat) cols *= rows, rows = rows > 0;
  for (int64_t r = 0; r < rows; ++r) for_vectors(cols, [&](int64_t c, int64_t n) { f(r, c, n); });
}

// --- sixteen virtual lanes -----------------------------------------------------------------------------------------

template <class F, class... A>
LW_INLINE Vec16 map16(F f, const A&... a) {
  Vec16 r;
  LW_UNROLL for (int i = 0; i < Vec16::kParts; ++i) r.part[i] = f(a.part[i]...);
  return r;
}
LW_INLINE Vec16 operator+(const Vec16& a, const Vec16& b) {
  return map16([](Vec x, Vec y) { return x + y; }, a, b);
}
// The tree of Vec16::sum over sixteen vectors: chains that lie side by side, not along lanes.
LW_LONG Vec fixed_tree(Vec (&v)[16]) {
  LW_UNROLL for (int half = 8; half >= 1; half /= 2) {
    LW_UNROLL for (int i = 0; i < 8; ++i) if (i < half) v[i] = v[i] + v[i + half];
  }
  return v[0];
}
LW_LONG Vec16 load16(const float* p, int64_t n) { return n == 16 ? Vec16::load(p) : Vec16::load_partial(p, n); }
LW_LONG void store16(const Vec16& v, float* p, int64_t n) {
  LW_UNROLL for (int i = 0; i < Vec16::kParts; ++i) {
    const int64_t left = n - i * Vec::kLanes;
    if (left >= Vec::kLanes)
      v.part[i].store(p + i * Vec::kLanes);
    else if (left > 0)
      v.part[i].store_partial(p + i * Vec::kLanes, left);
  }
}
// The first n lanes of v, the rest of other (of +0).
constexpr float kLane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
LW_LONG Vec first_lanes(Vec v, int64_t n, Vec other) {
  return n == Vec::kLanes ? v : select(Vec::load(kLane) < Vec::set1(static_cast<float>(n)), v, other);
}
LW_LONG Vec16 first_lanes(const Vec16& v, int64_t n) {
  const Vec count = Vec::set1(static_cast<float>(n));
  return map16([&](Vec x, Vec lane) { return select(lane < count, x, Vec::zero()); }, v, Vec16::load(kLane));
}

// The sum of f over [0, n) in blocks: within a block element e joins lane e mod 16, the fixed tree joins the lanes,
// blocks are added in order. f(i, lanes) gives the Vec16 of elements [i, i + lanes); what lies beyond does not count.
template <int64_t Block, class F>
LW_INLINE float sum16(int64_t n, F f) {
  float total = 0.0f;
  for (int64_t b = 0; b < n; b += Block) {
    const int64_t end = smaller(n, b + Block);
    Vec16 acc = Vec16::zero();
    int64_t i = b;
    for (; i + (kSmall ? 1 : 16) <= end; i += 16) {
      const int64_t n = kSmall ? smaller(16, end - i) : 16;
      acc = acc + (kSmall ? first_lanes(f(i, n), n) : f(i, n));
    }
    if (!kSmall && i < end) acc = acc + first_lanes(f(i, end - i), end - i);
    const float sum = acc.sum();
    total = b == 0 ? sum : total + sum;
  }
  return total;
}
constexpr int64_t kRowBlock = 512;      // sums along rows
constexpr int64_t kColumnChunk = 1024;  // sums down rows

}  // namespace lanewise::LW_ISA
