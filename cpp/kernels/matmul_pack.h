// Copies of A and B in the order in which tiles read them.
#pragma once
#include "kernels/matmul_tile.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {

// Rows (or lines of a row) that are asked for in advance: neighbours may be a page apart, where no prefetcher follows.
// Asking beyond the end does no harm.
constexpr int64_t kAhead = 16;

// v[i] = column i of `rows` rows that start at `in`, n columns of them; rows beyond repeat the last one.
LW_INLINE void load_columns(const float* in, int64_t in_row, int64_t rows, int64_t n, Vec (&v)[Vec::kLanes]) {
  asm("" : "+r"(in_row));  // or sixteen pointers go round with the loop, most of them in memory
  if (n == Vec::kLanes) {
    LW_UNROLL for (int r = 0; r < Vec::kLanes; ++r) {
      const float* row = in + smaller(r, rows - 1) * in_row;
      // Into L2: 16 rows a multiple of 4 KB apart would not stay in L1.
      __builtin_prefetch(row + 4 * kLineFloats, 0, 2);
      Vec some = Vec::load(row);
      keep_in_register(some);
      v[r] = some;
    }
  } else {
    LW_UNROLL for (int r = 0; r < Vec::kLanes; ++r) v[r] = Vec::load_partial(in + smaller(r, rows - 1) * in_row, n);
  }
  transpose(v);
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
        for (int64_t r = 0; r < rows; r += L) {
          const int64_t n = smaller(L, rows - r);
          const float* from = a + p0 * a_col + i + r;
          float* to = out + i * kBlockK + p0 * rows + r;
          for (int64_t p = p0; p < p1; ++p, from += a_col, to += rows) {
            __builtin_prefetch(from + kAhead * a_col);
            store(load(from, n), to, p + 1 < kb ? L : n);
          }
        }
      });
    }
    return;
  }
  for_balanced(0, m, kMaxRows[0], [&](int64_t i, int64_t rows) {
    const float* from = a + i * a_row;
    float* to = out + i * kBlockK;
    if (a_col != 1) {
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t p = 0; p < kb; ++p) to[p * rows + r] = from[r * a_row + p * a_col];
      return;
    }
    const int parts = static_cast<int>((rows + L - 1) / L);
    for (int64_t p = 0; p < kb; p += L) {
      const int64_t n = smaller(L, kb - p);
      Vec v[kParts][L];
      LW_UNROLL for (int e = 0; e < kParts; ++e) {
        if (e < parts) load_columns(from + e * L * a_row + p, a_row, rows - e * L, n, v[e]);
      }
      if (p + L < kb) {  // from registers
        LW_UNROLL for (int c = 0; c < L; ++c) {
          LW_UNROLL for (int e = 0; e < kParts; ++e) {
            if (e < parts) v[e][c].store(to + (p + c) * rows + e * L);
          }
        }
        continue;
      }
      LW_UNROLL for (int c = 0; c < L; ++c) {  // no loop looks into v, or all of it would lie in memory
        LW_UNROLL for (int e = 0; e < kParts; ++e) {
          if (c < n && e < parts)
            store(v[e][c], to + (p + c) * rows + e * L, p + c + 1 < kb ? int64_t{L} : smaller(L, rows - e * L));
        }
      }
    }
  });
}

// Columns [0, width) of B, rows [0, kb), copied to a row-major panel (kb, width) of rows `ldo` apart. Beyond its width
// whole vectors are written where ldo is larger, of whatever numbers.
inline void pack_b(const float* b, int64_t b_row, int64_t b_col, int64_t kb, int64_t width, float* out, int64_t ldo) {
  constexpr int L = Vec::kLanes;
  const auto room = [&](int64_t j) { return smaller(L, ldo - j); };
  if (b_col == 1) {
    for (int64_t p = 0; p < kb; ++p) {
      for (int64_t j = 0; j < width; j += kLineFloats) __builtin_prefetch(b + (p + kAhead) * b_row + j);
      for_vectors(width, [&](int64_t j, int64_t n) { store(load(b + p * b_row + j, n), out + p * ldo + j, room(j)); });
    }
  } else if (b_row == 1) {
    for (int64_t p = 0; p < kb; p += L) {
      const int64_t n = smaller(L, kb - p);
      // By each_vector GCC 12 makes the branch above slower: 32x31x1000 on one thread 23.5 -> 26.7 us.
      for (int64_t j = 0; j < width; j += L) {
        const float* const from = b + j * b_col + p;
        float* const to = out + p * ldo + j;
        const int64_t lanes = room(j);
        if (n == L && lanes == L) {
          Vec v[L];
          load_columns(from, b_col, width - j, L, v);
          LW_UNROLL for (int c = 0; c < L; ++c) v[c].store(to + c * ldo);
        } else {
          Vec v[L];
          load_columns(from, b_col, width - j, n, v);
          for (int64_t c = 0; c < n; ++c) store(v[c], to + c * ldo, lanes);
        }
      }
    }
  } else {
    for (int64_t p = 0; p < kb; ++p)
      for (int64_t j = 0; j < width; ++j) out[p * ldo + j] = b[p * b_row + j * b_col];
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
