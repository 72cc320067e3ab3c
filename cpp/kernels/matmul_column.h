// y = A·x where B is one column: 16 virtual lanes along k.
#pragma once
#include "kernels/matmul.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {

// In each block of 512, element p joins lane p mod 16 by fused multiply-add; the fixed tree joins the lanes; blocks are
// added in order. A's rows contiguous: lanes lie along k. acc[r] = the lanes of row r after a block. `ahead`: how much
// further on memory is asked for: the rows that come next where rows are short (4096x1x128 33 -> 31 us on one core of a
// Zen 4), else a few lines of the same ones, which that core's prefetcher follows by itself (1024x1x1024 on two 45 ->
// 34).
template <int R>
LW_INLINE void column_lanes(const float* a, int64_t a_row, const float* x, int64_t kb, int64_t ahead, Vec16 (&acc)[R]) {
  LW_UNROLL for (int r = 0; r < R; ++r) acc[r] = Vec16::zero();
  const auto step = [&](int64_t p, int64_t n) {
    const Vec16 xv = load16(x + p, n);
    LW_UNROLL for (int r = 0; r < R; ++r) {
      __builtin_prefetch(a + r * a_row + p + ahead);
      acc[r] = map16([](Vec u, Vec v, Vec sum) { return fma(u, v, sum); }, load16(a + r * a_row + p, n), xv, acc[r]);
    }
  };
  int64_t p = 0;
  for (; p + 16 <= kb; p += 16) step(p, 16);
  if (p < kb) step(p, kb - p);
}

constexpr int64_t kShortRow = 256;         // floats
constexpr int64_t kStretch = 8 * kBlockK;  // of a row, read before the next rows are: 1024x1x1024 37 -> 33 us

// The fixed tree for kLanes rows at once: lanes (kLanes, 16) in memory, transposed, so that each addition serves a row
// a lane. Row by row the tree took two thirds of the time of 4096x1x128.
LW_INLINE Vec join_lanes(const float* lanes) {
  constexpr int L = Vec::kLanes;
  Vec v[16];
  LW_UNROLL for (int q = 0; q < Vec16::kParts; ++q) {
    Vec part[L];
    LW_UNROLL for (int r = 0; r < L; ++r) part[r] = Vec::load(lanes + r * 16 + q * L);
    transpose(part);
    LW_UNROLL for (int c = 0; c < L; ++c) v[q * L + c] = part[c];
  }
  return fixed_tree(v);
}

inline void gemv_rows(const float* a, int64_t a_row, const float* x, int64_t k, int64_t rows, float* y) {
  constexpr int L = Vec::kLanes, kTogetherRows = L >= 8 ? 4 : 2;
  const int64_t ahead = k <= kShortRow ? kTogetherRows * a_row : 64;
  int64_t r = 0;
  for (; r + L <= rows; r += L) {
    Vec total = Vec::zero();
    for (int64_t s = 0; s < k; s += kStretch) {
      float lanes[kStretch / kBlockK][L * 16];
      const int64_t end = smaller(s + kStretch, k);
      for (int e = 0; e < L; e += kTogetherRows)
        for (int64_t k0 = s; k0 < end; k0 += kBlockK) {
          Vec16 acc[kTogetherRows];
          column_lanes(a + (r + e) * a_row + k0, a_row, x + k0, smaller(kBlockK, k - k0), ahead, acc);
          LW_UNROLL for (int i = 0; i < kTogetherRows; ++i) acc[i].store(lanes[(k0 - s) / kBlockK] + (e + i) * 16);
        }
      for (int64_t k0 = s; k0 < end; k0 += kBlockK) {
        const Vec sums = join_lanes(lanes[(k0 - s) / kBlockK]);
        total = k0 == 0 ? sums : total + sums;
      }
    }
    total.store(y + r);
  }
  for (; r < rows; ++r) {
    float total = 0.0f;
    for (int64_t k0 = 0; k0 < k; k0 += kBlockK) {
      Vec16 acc[1];
      column_lanes(a + r * a_row + k0, a_row, x + k0, smaller(kBlockK, k - k0), ahead, acc);
      total = k0 == 0 ? acc[0].sum() : total + acc[0].sum();
    }
    y[r] = total;
  }
}

// The same where A's columns are contiguous (a_row == 1): lanes lie along the rows, the 16 chains are 16 vectors.
inline void gemv_columns(const float* a, int64_t a_col, const float* x, int64_t k, int64_t rows, float* y) {
  for (int64_t r = 0; r < rows; r += Vec::kLanes) {
    const int64_t n = smaller(Vec::kLanes, rows - r);
    Vec total = Vec::zero();
    for (int64_t k0 = 0; k0 < k; k0 += kBlockK) {
      const int64_t kb = smaller(kBlockK, k - k0);
      Vec acc[16];
      LW_UNROLL for (int i = 0; i < 16; ++i) acc[i] = Vec::zero();
      int64_t p = 0;
      for (; p + 16 <= kb; p += 16) {
        const float* ap = a + (k0 + p) * a_col + r;
        const float* xp = x + k0 + p;
        if (n == Vec::kLanes) {
          LW_UNROLL for (int i = 0; i < 16; ++i) acc[i] = fma(Vec::load(ap + i * a_col), Vec::set1(xp[i]), acc[i]);
        } else {
          LW_UNROLL for (int i = 0; i < 16; ++i) acc[i] =
              fma(Vec::load_partial(ap + i * a_col, n), Vec::set1(xp[i]), acc[i]);
        }
      }
      if (p < kb) {
        const float* ap = a + (k0 + p) * a_col + r;
        for (int i = 0; i < 16; ++i) {  // lanes past the end add 0*0, as the padded lanes of gemv_rows do
          const bool in = p + i < kb;
          const Vec av = in ? Vec::load_partial(ap + i * a_col, n) : Vec::zero();
          acc[i] = fma(av, Vec::set1(in ? x[k0 + p + i] : 0.0f), acc[i]);
        }
      }
      const Vec sums = fixed_tree(acc);
      total = k0 == 0 ? sums : total + sums;
    }
    total.store_partial(y + r, n);
  }
}

inline void matmul_column(const Matmul& mm, int64_t i0, int64_t i1, float* scratch) {
  float* y = scratch;
  float* spare = scratch + kGemvRows;
  const float* x = mm.b;
  if (!mm.b_panels && mm.b_row != 1) {
    for (int64_t p = 0; p < mm.k; ++p) spare[p] = mm.b[p * mm.b_row];
    x = spare;
    spare += mm.k;
  }
  for (int64_t i = i0; i < i1; i += kGemvRows) {
    const int64_t rows = smaller(kGemvRows, i1 - i);
    const float* a = mm.a + i * mm.a_row;
    if (mm.k == 0) {
      for (int64_t r = 0; r < rows; ++r) y[r] = 0.0f;
    } else if (mm.a_col == 1) {
      gemv_rows(a, mm.a_row, x, mm.k, rows, y);
    } else if (mm.a_row == 1) {
      gemv_columns(a, mm.a_col, x, mm.k, rows, y);
    } else {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t p = 0; p < mm.k; ++p) spare[p] = a[r * mm.a_row + p * mm.a_col];
        gemv_rows(spare, mm.k, x, mm.k, 1, y + r);
      }
    }
    mm.epilogue(mm.context, y, i, 0, rows, 1);
  }
}

}  // namespace lanewise::LW_ISA
