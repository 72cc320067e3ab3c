// Copies of A and B in the order in which tiles read them.
#pragma once
#include "kernels/matmul_tile.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {

// Rows (or lines of a row) that are asked for in advance: neighbours may be a page apart, where no prefetcher follows.
// Asking beyond the end does no harm.
constexpr int64_t kAhead = 16;

// v[i] = column i of `rows` rows that start at `in`; rows beyond repeat the last one.
LW_INLINE void load_columns(const float* in, int64_t in_row, int64_t rows, Vec (&v)[Vec::kLanes]) {
  asm("" : "+r"(in_row));  // or sixteen pointers go round with the loop, most of them in memory
  LW_UNROLL for (int r = 0; r < Vec::kLanes; ++r) {
    const float* row = in + smaller(r, rows - 1) * in_row;
    // Into L2: 16 rows a multiple of 4 KB apart would not stay in L1.
    __builtin_prefetch(row + 4 * kLineFloats, 0, 2);
    Vec some = Vec::load(row);
    keep_in_register(some);
    v[r] = some;
  }
  transpose(v);
}

// The same of fewer columns (n) than lanes, into memory: out (n, L). Out of line, for the weight of the wheel.
inline __attribute__((noinline)) void store_columns(const float* in, int64_t in_row, int64_t rows, int64_t n,
                                                    float* out) {
  constexpr int L = Vec::kLanes;
  Vec v[L];
  LW_UNROLL for (int r = 0; r < L; ++r) v[r] = load(in + smaller(r, rows - 1) * in_row, n);
  transpose(v);
  LW_UNROLL for (int e = 0; e < L; ++e) v[e].store(out + e * L);
}

// Elements of which neither rows nor columns are neighbours: out[p * out_row + r] = in[r * in_row + p * in_col].
inline void copy_turned(const float* in, int64_t in_row, int64_t in_col, int64_t rows, int64_t columns, float* out,
                        int64_t out_row) {
  for (int64_t p = 0; p < columns; ++p)
    for (int64_t r = 0; r < rows; ++r) out[p * out_row + r] = in[r * in_row + p * in_col];
}

// A strip of A, rows [0, m) and columns [0, kb), copied tile by tile (for_balanced): each tile as [p][rows], so that
// its rows have unit stride and a column follows the other. Whole vectors are written, the excess of each under the
// next one of the same tile; the last of a tile is cut.
inline void pack_a(const float* a, int64_t a_row, int64_t a_col, int64_t m, int64_t kb, float* out) {
  constexpr int L = Vec::kLanes, kParts = (kMaxRows[0] + L - 1) / L;
  if (a_row == 1) {  // along the rows of the strip: its columns may lie a page apart
    for (int64_t p0 = 0; p0 < kb; p0 += kAhead) {
      const int64_t p1 = smaller(p0 + kAhead, kb);
      for_balanced(0, m, kMaxRows[0], [&](int64_t i, int64_t rows) {
        const float* from = a + p0 * a_col + i;
        float* to = out + i * kBlockK + p0 * rows;
        for (int64_t p = p0; p < p1; ++p, from += a_col, to += rows) {
          __builtin_prefetch(from + kAhead * a_col);
          LW_UNROLL for (int r = 0; r < kParts * L; r += L) {
            const int64_t n = smaller(L, rows - r);
            if (n > 0) store(load(from + r, n), to + r, p + 1 < kb ? L : n);
          }
        }
      });
    }
    return;
  }
  for_balanced(0, m, kMaxRows[0], [&](int64_t i, int64_t rows) {
    const float* from = a + i * a_row;
    float* to = out + i * kBlockK;
    if (a_col != 1) return copy_turned(from, a_row, a_col, rows, kb, to, rows);
    const int parts = static_cast<int>((rows + L - 1) / L);
    int64_t p = 0;
    for (; p + L < kb; p += L) {
      Vec v[kParts][L];
      LW_UNROLL for (int e = 0; e < kParts; ++e) {
        if (e < parts) load_columns(from + e * L * a_row + p, a_row, rows - e * L, v[e]);
      }
      LW_UNROLL for (int c = 0; c < L; ++c) {
        LW_UNROLL for (int e = 0; e < kParts; ++e) {
          if (e < parts) v[e][c].store(to + (p + c) * rows + e * L);
        }
      }
    }
    alignas(64) float last[L * L];  // behind which nothing may be written
    for (int64_t r = 0; r < rows; r += L) {
      const int64_t lanes = smaller(L, rows - r);
      store_columns(from + r * a_row + p, a_row, rows - r, kb - p, last);
      for (int64_t c = 0; c < kb - p; ++c) store(load(last + c * L, lanes), to + (p + c) * rows + r, lanes);
    }
  });
}

// Columns [0, width) of B, rows [0, kb), copied to a row-major panel (kb, width) of rows `ldo` apart. Beyond its width
// whole vectors are written where ldo is larger, of whatever numbers.
inline __attribute__((noinline)) void pack_b(const float* b, int64_t b_row, int64_t b_col, int64_t kb, int64_t width,
                                             float* out, int64_t ldo) {
  constexpr int L = Vec::kLanes;
  const auto room = [&](int64_t j) { return smaller(L, ldo - j); };
  if (b_col == 1) {
    for (int64_t p = 0; p < kb; ++p) {
      for (int64_t j = 0; j < width; j += kLineFloats) __builtin_prefetch(b + (p + kAhead) * b_row + j);
      for_vectors(width, [&](int64_t j, int64_t n) { store(load(b + p * b_row + j, n), out + p * ldo + j, room(j)); });
    }
  } else if (b_row == 1) {
    alignas(64) float some[L * L];
    for (int64_t p = 0; p < kb; p += L) {
      const int64_t n = smaller(L, kb - p);
      for (int64_t j = 0; j < width; j += L) {
        const float* const from = b + j * b_col + p;
        float* const to = out + p * ldo + j;
        if (n == L && room(j) == L) {
          Vec v[L];
          load_columns(from, b_col, width - j, v);
          LW_UNROLL for (int c = 0; c < L; ++c) v[c].store(to + c * ldo);
        } else {
          store_columns(from, b_col, width - j, n, some);
          for (int64_t c = 0; c < n; ++c) store(load(some + c * L, room(j)), to + c * ldo, room(j));
        }
      }
    }
  } else {
    copy_turned(b, b_col, b_row, width, kb, out, ldo);
  }
}

// The same from the panels of B^T (n, k): rows [k0, k0 + kb) and columns [j, j + width) of B, one source panel (32
// neighbouring rows of B) after another. k0 is a multiple of kPanel.
inline void pack_b_transposed(const Matmul& mm, int64_t k0, int64_t kb, int64_t j, int64_t width, float* out) {
  for (int64_t p = k0; p < k0 + kb; p += kPanel) {
    const int64_t source_width = smaller(kPanel, mm.k - p);
    pack_b(mm.b + p * mm.n + j * source_width, 1, source_width, source_width, width, out + (p - k0) * width, width);
  }
}

// Rows [k0, k0 + kb) and columns [j, j + width) of B, wherever it comes from; ldo: of pack_b.
inline void pack_panel(const Matmul& mm, int64_t k0, int64_t kb, int64_t j, int64_t width, float* out, int64_t ldo) {
  if (mm.b_transposed)
    pack_b_transposed(mm, k0, kb, j, width, out);
  else
    pack_b(mm.b + k0 * mm.b_row + j * mm.b_col, mm.b_row, mm.b_col, kb, width, out, ldo);
}

}  // namespace lanewise::LW_ISA
