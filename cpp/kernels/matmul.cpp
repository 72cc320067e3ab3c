// C = A·B by register tiles, C handed to an epilogue tile by tile.
//
//   block q of k:  t[i,j] = fma(a[i,p], b[p,j], t) for p = 512q, 512q+1, ... ascending, from zero
//   c[i,j] = block 0 + block 1 + ... in ascending order
//
// n == 1 has its own rule (16 virtual lanes along k, see gemv below). Nothing here depends on m, on how rows and
// panels are shared out, or on the tile's shape: every element of C is the same chain in every case.
#include "kernels/declare.h"
#include "kernels/matmul_pack.h"
#include "kernels/matmul_thin.h"
#include "kernels/matmul_tile.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {
namespace {

// Rows of A that lie a multiple of this apart (floats) fall into one or two sets of L1, which keeps no more of them
// than it has ways: 8 at least. Eight chains are what two FMA units of four cycles need.
constexpr int64_t kAliased = 512;
constexpr int kAliasedRows = 8;

// y = A·x where B is one column. In each block of 512, element p joins lane p mod 16 by fused multiply-add; the fixed
// tree joins the lanes; blocks are added in order. A's rows contiguous: lanes lie along k.
void gemv_rows(const float* a, int64_t a_row, const float* x, int64_t k, int64_t rows, float* y) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* ar = a + r * a_row;
    float total = 0.0f;
    for (int64_t k0 = 0; k0 < k; k0 += kBlockK) {
      const int64_t kb = smaller(kBlockK, k - k0);
      Vec16 acc = Vec16::zero();
      int64_t p = 0;
      for (; p + 16 <= kb; p += 16) {
        const Vec16 av = Vec16::load(ar + k0 + p), xv = Vec16::load(x + k0 + p);
        LW_UNROLL for (int i = 0; i < Vec16::kParts; ++i) acc.part[i] = fma(av.part[i], xv.part[i], acc.part[i]);
      }
      if (p < kb) {
        const Vec16 av = Vec16::load_partial(ar + k0 + p, kb - p), xv = Vec16::load_partial(x + k0 + p, kb - p);
        LW_UNROLL for (int i = 0; i < Vec16::kParts; ++i) acc.part[i] = fma(av.part[i], xv.part[i], acc.part[i]);
      }
      total = k0 == 0 ? acc.sum() : total + acc.sum();
    }
    y[r] = total;
  }
}

// The same where A's columns are contiguous (a_row == 1): lanes lie along the rows, the 16 chains are 16 vectors.
void gemv_columns(const float* a, int64_t a_col, const float* x, int64_t k, int64_t rows, float* y) {
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
      LW_UNROLL for (int half = 8; half >= 1; half /= 2) {
        LW_UNROLL for (int i = 0; i < 8; ++i) if (i < half) acc[i] = acc[i] + acc[i + half];
      }
      total = k0 == 0 ? acc[0] : total + acc[0];
    }
    total.store_partial(y + r, n);
  }
}

void gemv(const Matmul& mm, int64_t i0, int64_t i1, float* scratch) {
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

}  // namespace

// Loops: column groups of kGroup panels > row blocks > blocks of k > strips of a few tiles of A (packed, if it has to
// be) > panels (of B, packed, if it has to be, for the first strip) > tiles. With one block of k, a tile goes straight
// from registers through L1 to the epilogue; with more, tiles wait in scratch until the last block has been added.
void matmul_block(const Matmul& mm, int64_t i0, int64_t i1, int64_t p0, int64_t p1, float* scratch) {
  if (i0 >= i1 || p0 >= p1) return;
  if (mm.n == 1) return gemv(mm, i0, i1, scratch);
  const MatmulPlan plan = matmul_plan(mm);
  if (plan.thin) return matmul_thin(mm, plan, i0, i1, p0, p1, scratch);
  float* const tiles = scratch;
  float* const packed_b = tiles + plan.tile_floats;
  float* const packed_a = packed_b + plan.b_floats;
  const int64_t blocks = mm.k == 0 ? 1 : (mm.k + kBlockK - 1) / kBlockK;
  const int64_t last_width = mm.n - (panel_count(mm.n) - 1) * kPanel;
  auto width_of = [&](int64_t p) { return p + 1 == panel_count(mm.n) ? last_width : kPanel; };

  for (int64_t g0 = p0; g0 < p1; g0 += plan.group) {
    const int64_t g1 = smaller(g0 + plan.group, p1);
    for (int64_t r0 = i0; r0 < i1; r0 += plan.rows) {
      const int64_t r1 = smaller(r0 + plan.rows, i1);
      for (int64_t q = 0; q < blocks; ++q) {
        const int64_t k0 = q * kBlockK, kb = smaller(kBlockK, mm.k - k0);
        const bool last = q + 1 == blocks;
        for_balanced(r0, r1, plan.strip, [&](int64_t s0, int64_t strip) {
          const int64_t s1 = s0 + strip;
          if (plan.pack_a) pack_a(mm.a + s0 * mm.a_row + k0 * mm.a_col, mm.a_row, mm.a_col, s1 - s0, kb, packed_a);
          int64_t p = g0;
          if (s1 - s0 == 1 && mm.b_panels && !plan.pack_b && !plan.pack_a && mm.c == nullptr) {
            const int64_t full = smaller(g1, mm.n / kPanel), step = blocks == 1 ? kPanel : plan.rows * kPanel;
            for (; p + kTogether <= full; p += kTogether) {
              float* t = blocks == 1 ? tiles : tiles + (p - g0) * step + (s0 - r0) * kPanel;
              panels_together(kb, mm.a + s0 * mm.a_row + k0 * mm.a_col, mm.a_col, mm.b + (p * mm.k + k0) * kPanel,
                              mm.k * kPanel, t, step, q > 0);
              for (int64_t e = 0; last && e < kTogether; ++e)
                mm.epilogue(mm.context, t + e * step, s0, (p + e) * kPanel, 1, kPanel);
            }
          }
          for (; p < g1; ++p) {
            const int64_t width = width_of(p);
            const float* b;
            int64_t ldb;
            if (plan.pack_b) {
              float* const packed = packed_b + (p - g0) * kPanel * kBlockK;
              if (s0 == r0) pack_panel(mm, k0, kb, p * kPanel, width, packed);
              b = packed, ldb = width;
            } else if (mm.b_panels) {
              b = mm.b + p * kPanel * mm.k + k0 * width, ldb = width;
            } else {
              b = mm.b + k0 * mm.b_row + p * kPanel, ldb = mm.b_row;
            }
            int max_rows = plan.pack_a ? kMaxRows[0] : max_rows_for(width);
            if (!plan.pack_a && mm.a_row % kAliased == 0 && width <= Vec::kLanes) max_rows = kAliasedRows;
            for_balanced(s0, s1, max_rows, [&](int64_t i, int64_t rows) {
              float* t = mm.c != nullptr ? mm.c + i * mm.ldc + p * kPanel
                         : blocks == 1   ? tiles
                                         : tiles + ((p - g0) * plan.rows * kPanel) + (i - r0) * width;
              const int64_t ldt = mm.c != nullptr ? mm.ldc : width;
              const float* a = plan.pack_a ? packed_a + (i - s0) * kBlockK : mm.a + i * mm.a_row + k0 * mm.a_col;
              const int64_t a_row = plan.pack_a ? 1 : mm.a_row;
              const int64_t a_col = plan.pack_a ? rows : mm.a_col;
              tile_columns(rows, width, kb, a, a_row, a_col, b, ldb, t, ldt, q > 0);
              if (last && mm.c == nullptr) mm.epilogue(mm.context, t, i, p * kPanel, rows, width);
            });
          }
        });
      }
    }
  }
}

}  // namespace lanewise::LW_ISA
