// A few rows of A against a wide, row-major B.
//
// A tile walks down B in a strip of 128 bytes: with few rows there is too little arithmetic to hide that, and each row
// of a wide B is a page of its own. Here whole stretches of some rows of B are read, in the order of memory, and the
// block of C waits in L1: it is loaded and stored once for kDepth rows of B. The chains are those of the tiles.
#pragma once
#include "kernels/matmul_tile.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {

// t (R, columns; ldt) = or += sum over p < G of a[r, p] * b[p, :], element by element an ascending chain.
template <int R, int V, int G>
LW_INLINE void thin_pass(const float* a, int64_t a_row, int64_t a_col, const float* b, int64_t ldb, float* t,
                         int64_t ldt, int64_t columns, bool first) {
  constexpr int L = Vec::kLanes;
  int64_t j = 0;
  for (; j + V * L <= columns; j += V * L) {
    Vec acc[R][V];
    LW_UNROLL for (int r = 0; r < R; ++r) {
      LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = first ? Vec::zero() : Vec::load(t + r * ldt + j + v * L);
    }
    LW_UNROLL for (int g = 0; g < G; ++g) {
      Vec bv[V];
      LW_UNROLL for (int v = 0; v < V; ++v) bv[v] = Vec::load(b + g * ldb + j + v * L);
      LW_UNROLL for (int r = 0; r < R; ++r) {
        const Vec av = Vec::set1(a[r * a_row + g * a_col]);
        LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = fma(av, bv[v], acc[r][v]);
      }
    }
    LW_UNROLL for (int r = 0; r < R; ++r) {
      LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v].store(t + r * ldt + j + v * L);
    }
  }
  for (; j < columns; j += L) {
    const int64_t n = smaller(L, columns - j);
    for (int r = 0; r < R; ++r) {
      Vec acc = first ? Vec::zero() : load(t + r * ldt + j, n);
      for (int g = 0; g < G; ++g) acc = fma(Vec::set1(a[r * a_row + g * a_col]), load(b + g * ldb + j, n), acc);
      store(acc, t + r * ldt + j, n);
    }
  }
}

// t (R, columns; ldt) = a (R, kb) · b (kb, columns).
template <int R>
void thin_block(int64_t kb, const float* a, int64_t a_row, int64_t a_col, const float* b, int64_t ldb, float* t,
                int64_t ldt, int64_t columns) {
  constexpr int kDepth = 8, V = R <= kThinRows / 2 ? 2 : 1;
  int64_t p = 0;
  for (; p + kDepth <= kb; p += kDepth)
    thin_pass<R, V, kDepth>(a + p * a_col, a_row, a_col, b + p * ldb, ldb, t, ldt, columns, p == 0);
  for (; p < kb; ++p) thin_pass<R, V, 1>(a + p * a_col, a_row, a_col, b + p * ldb, ldb, t, ldt, columns, p == 0);
}

using ThinBlock = void (*)(int64_t, const float*, int64_t, int64_t, const float*, int64_t, float*, int64_t, int64_t);
template <int... R>
constexpr auto thin_blocks(std::integer_sequence<int, R...>) {
  struct Blocks {
    ThinBlock by_rows[sizeof...(R)];
  };
  return Blocks{{&thin_block<R + 1>...}};
}
constexpr auto kThinBlocks = thin_blocks(std::make_integer_sequence<int, int{kThinRows}>());

// One row of A against kTogether panels of B at once: a single panel gives too few chains to keep the FMA units busy.
// Panel q is at b + q * b_step, its result of kPanel floats at t + q * t_step (= or +=).
constexpr int kTogether = Vec::kLanes >= 4 ? Vec::kLanes / 4 : 1;  // 8 chains
inline void panels_together(int64_t kb, const float* a, int64_t a_col, const float* b, int64_t b_step, float* t,
                            int64_t t_step, bool add) {
  constexpr int W = kPanel / Vec::kLanes;
  Vec acc[kTogether][W];
  LW_UNROLL for (int q = 0; q < kTogether; ++q) { LW_UNROLL for (int w = 0; w < W; ++w) acc[q][w] = Vec::zero(); }
  for (int64_t p = 0; p < kb; ++p) {
    const Vec av = Vec::set1(a[p * a_col]);
    LW_UNROLL for (int q = 0; q < kTogether; ++q) {
      LW_UNROLL for (int w = 0; w < W; ++w) acc[q][w] =
          fma(av, Vec::load(b + q * b_step + p * kPanel + w * Vec::kLanes), acc[q][w]);
    }
  }
  LW_UNROLL for (int q = 0; q < kTogether; ++q) {
    LW_UNROLL for (int w = 0; w < W; ++w) {
      float* out = t + q * t_step + w * Vec::kLanes;
      (add ? Vec::load(out) + acc[q][w] : acc[q][w]).store(out);
    }
  }
}

// Rows [i0, i1), at most kThinRows of them, and panels [p0, p1) of C.
inline void matmul_thin(const Matmul& mm, const MatmulPlan& plan, int64_t i0, int64_t i1, int64_t p0, int64_t p1,
                        float* scratch) {
  const int64_t rows = i1 - i0, strip = plan.group * kPanel;
  float* const total = scratch;
  float* const block = total + rows * strip;
  float* const tile = block + rows * strip;
  const ThinBlock run = kThinBlocks.by_rows[rows - 1];
  for (int64_t g0 = p0; g0 < p1; g0 += plan.group) {
    const int64_t j0 = g0 * kPanel, columns = smaller(smaller(g0 + plan.group, p1) * kPanel, mm.n) - j0;
    for (int64_t k0 = 0; k0 < mm.k; k0 += kBlockK) {
      float* t = k0 == 0 ? total : block;
      run(smaller(kBlockK, mm.k - k0), mm.a + i0 * mm.a_row + k0 * mm.a_col, mm.a_row, mm.a_col,
          mm.b + k0 * mm.b_row + j0, mm.b_row, t, strip, columns);
      if (k0 == 0) continue;
      for (int64_t r = 0; r < rows; ++r)
        for_vectors(columns, [&](int64_t j, int64_t n) {
          float* at = total + r * strip + j;
          store(load(at, n) + load(block + r * strip + j, n), at, n);
        });
    }
    if (mm.c != nullptr) {
      for (int64_t r = 0; r < rows; ++r)
        for_vectors(columns, [&](int64_t j, int64_t n) {
          store(load(total + r * strip + j, n), mm.c + (i0 + r) * mm.ldc + j0 + j, n);
        });
      continue;
    }
    for (int64_t j = 0; j < columns; j += kPanel) {
      const int64_t width = smaller(kPanel, columns - j);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < width; ++c) tile[r * width + c] = total[r * strip + j + c];
      mm.epilogue(mm.context, tile, i0, j0 + j, rows, width);
    }
  }
}

}  // namespace lanewise::LW_ISA
