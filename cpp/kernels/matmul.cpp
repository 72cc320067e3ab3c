// C = A·B by register tiles, C handed to an epilogue tile by tile.
//
//   block q of k:  t[i,j] = fma(a[i,p], b[p,j], t) for p = 512q, 512q+1, ... ascending, from zero
//   c[i,j] = block 0 + block 1 + ... in ascending order
//
// n == 1 has its own rule (16 virtual lanes along k, matmul_column.h). Nothing here depends on m, on how rows and
// panels are shared out, or on the tile's shape: every element of C is the same chain in every case.
#include "kernels/declare.h"
#include "kernels/matmul_column.h"
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
constexpr int64_t kLine = 4 * kLineFloats;  // bytes

// Three runs for the tile of rows [i, i + rows) of panel p, of which `done` of the strip's m rows are behind it: the
// arrays beside C, at the tile's own place; else rows that are read after this product, a line a term; else what the
// next panel takes from B, a share of it for each tile.
LW_INLINE void runs_ahead(const Matmul& mm, const MatmulPlan& plan, int64_t k0, int64_t kb, int64_t p, int64_t width,
                          int64_t i, int64_t rows, int64_t done, int64_t m, Ahead& ahead) {
  if (mm.beside[0] != nullptr) {
    for (int s = 0; s < 3; ++s) {
      const float* const array = mm.beside[s] != nullptr ? mm.beside[s] : mm.beside[0];
      ahead.run[s] = reinterpret_cast<const char*>(array + p * kPanel * mm.m + i * width);
    }
    ahead.step = rows * width * 4 * 3 / kb;
    return;
  }
  if (mm.upcoming != nullptr && mm.upcoming->row < mm.upcoming->end) {
    Upcoming& u = *mm.upcoming;
    const int64_t row = u.order != nullptr ? static_cast<int64_t>(u.order[u.row]) : u.row;
    for (int64_t s = 0; s < 3; ++s) ahead.run[s] = u.data + row * u.stride + u.offset + s * kLine;
    ahead.step = 3 * kLine;
    u.offset += kb * kLine;
    if (u.offset >= u.bytes) u.offset = 0, ++u.row;
    return;
  }
  if (!plan.fetch_b || (p + 2) * kPanel > mm.n) return;
  if (mm.b_transposed) {  // source panels of 32 terms of B each, a run of 4 KB in each: three of them a tile
    const int64_t runs = kb / kPanel, first = done * 3 / kMaxRows[0] % (runs > 0 ? runs : 1);
    if (runs == 0) return;
    for (int64_t s = 0; s < 3; ++s) {
      const int64_t run = smaller(first + s, runs - 1);
      ahead.run[s] = reinterpret_cast<const char*>(mm.b + (k0 + run * kPanel) * mm.n + (p + 1) * kPanel * kPanel);
    }
    ahead.step = kPanel * kPanel * 4 * 3 / kb;
    return;
  }
  const int64_t bytes = kb * kPanel * 4;
  const char* const next = reinterpret_cast<const char*>(mm.b + (p + 1) * kPanel * mm.k + k0 * kPanel);
  for (int64_t s = 0; s < 3; ++s) ahead.run[s] = next + bytes * (3 * done + s * rows) / (3 * m);
  ahead.step = bytes * rows / m / kb;
}

// Lines of a tile's result, rows `ld` apart.
LW_INLINE void ask_for_result(const float* result, int64_t ld, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r, result += ld)
    for (int64_t j = 0; j < width; j += kLineFloats) ask_to_write(result + j);
}

// Loops: column groups of kGroup panels > row blocks > blocks of k > strips of a few tiles of A (packed, if it has to
// be) > panels (of B, packed, if it has to be, for the first strip) > tiles. With one block of k, a tile goes straight
// from registers through L1 to the epilogue; with more, tiles wait in scratch until the last block has been added.
void matmul_tiles(const Matmul& mm, const MatmulPlan& plan, int64_t i0, int64_t i1, int64_t p0, int64_t p1,
                  float* scratch) {
  float* const tiles = scratch;
  float* const packed_b = tiles + plan.tile_floats;
  float* const packed_a = packed_b + plan.b_floats;
  const int64_t blocks = mm.k == 0 ? 1 : (mm.k + kBlockK - 1) / kBlockK;
  const int64_t last_width = mm.n - (panel_count(mm.n) - 1) * kPanel;
  const bool copies = plan.pack_b && mm.b_col == 1 && !mm.b_transposed;  // row by row
  const bool fetches = plan.fetch_b || mm.beside[0] != nullptr || mm.upcoming != nullptr;
  const bool padded = plan.pad_b && Vec::kLanes == kLineFloats;
  // Whether the first panel's tiles ask for the rows of A that the next one reads.
  const bool streams_a = !plan.pack_a && mm.m * mm.k >= kFetchFloats && (plan.pack_b || mm.b_panels);
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
          const bool once = strip == r1 - r0;  // no later strip reads the copied panels: one place, in L2, serves all
          if (plan.pack_a) pack_a(mm.a + s0 * mm.a_row + k0 * mm.a_col, mm.a_row, mm.a_col, s1 - s0, kb, packed_a);
          int64_t p = g0;
          if (s1 - s0 == 1 && mm.b_panels && !plan.pack_b && !plan.pack_a && mm.c == nullptr) {
            const int64_t full = smaller(g1, mm.n / kPanel), step = blocks == 1 ? kPanel : plan.rows * kPanel;
            for (; p + kTogether <= full; p += kTogether) {
              float* t = blocks == 1 ? tiles : tiles + (p - g0) * step + (s0 - r0) * kPanel;
              panels_together(kb, mm.a + s0 * mm.a_row + k0 * mm.a_col, mm.a_col, mm.b + (p * mm.k + k0) * kPanel,
                              mm.k * kPanel, kPanel, t, step, q > 0);
              for (int64_t e = 0; last && e < kTogether; ++e)
                mm.epilogue(mm.context, t + e * step, s0, (p + e) * kPanel, 1, kPanel);
            }
          }
          for (; p < g1; ++p) {
            const int64_t width = width_of(p);
            const int64_t across = padded ? kPanel : width;  // of a tile
            const float* b;
            float* copy = nullptr;  // of this panel
            int64_t copied = -1;    // the row of A at which it is made
            int64_t ldb;
            if (plan.pack_b) {
              copy = packed_b + (once ? 0 : p - g0) * kPanel * kBlockK;
              if (s0 == r0) copied = s0;
              b = copy, ldb = across;
            } else if (mm.b_panels) {
              b = mm.b + p * kPanel * mm.k + k0 * width, ldb = width;
            } else {
              b = mm.b + k0 * mm.b_row + p * kPanel, ldb = mm.b_row;
            }
            int max_rows = plan.pack_a ? kMaxRows[0] : max_rows_for(across);
            if (!plan.pack_a && mm.a_row % (padded ? 2 * kAliased : kAliased) == 0 &&
                (padded || width <= Vec::kLanes) && max_rows > kAliasedRows)
              max_rows = kAliasedRows;
            int64_t number = 0;
            for_balanced(s0, s1, max_rows, [&](int64_t i, int64_t rows) {
              float* t = mm.c != nullptr ? mm.c + i * mm.c_row + p * kPanel
                         : blocks == 1   ? tiles
                                         : tiles + ((p - g0) * plan.rows * kPanel) + (i - r0) * width;
              const int64_t ldt = mm.c != nullptr ? mm.c_row : width;
              const float* a = plan.pack_a ? packed_a + (i - s0) * kBlockK : mm.a + i * mm.a_row + k0 * mm.a_col;
              const int64_t a_row = plan.pack_a ? 1 : mm.a_row;
              const int64_t a_col = plan.pack_a ? rows : mm.a_col;
              // Its rows of C, and those below; then what the next panel of B will be copied from, in three tiles,
              // and, of several strips, where to, in two, or, in later ones, its copy.
              const char* run = reinterpret_cast<const char*>(t);
              Ahead ahead{{run, run + kLine, run + 4 * (width - 1)}, mm.c != nullptr ? 4 * ldt : 0};
              if (fetches) {
                runs_ahead(mm, plan, k0, kb, p, width, i, rows, i - s0, s1 - s0, ahead);
              } else if (copies && s0 == r0 && p + 1 < g1 && number > 0 && number <= 3) {
                run = reinterpret_cast<const char*>(mm.b + k0 * mm.b_row + (p + 1) * kPanel) + (number - 1) * kLine;
                ahead = {{run, run + 4 * mm.b_row, run + 8 * mm.b_row}, 12 * mm.b_row};
              } else if (const int64_t part = number - (copies && s0 == r0 ? 4 : 1);
                         plan.pack_b && !once && p + 1 < g1 && part >= 0 && part < 2) {
                run = reinterpret_cast<const char*>(b + kPanel * kBlockK) + part * kb * kLine;
                ahead = {{run, run + kLine, run + 2 * kLine}, 3 * kLine};
              }
              if (last && mm.result != nullptr) ask_for_result(mm.result + i * mm.n + p * kPanel, mm.n, rows, width);
              if (streams_a && p == g0) ahead.rows = a + rows * a_row;
              ++number;
              if (i == copied) {  // its first tile makes the copy while it reads B, if it is one that can
                if (copies && can_copy(rows, width)) {
                  ahead.copy = copy;
                  tile_and_copy(rows, kb, a, a_row, a_col, mm.b + k0 * mm.b_row + p * kPanel, mm.b_row, t, ldt, q > 0,
                                ahead);
                  if (last && mm.c == nullptr) mm.epilogue(mm.context, t, i, p * kPanel, rows, width);
                  return;
                }
                pack_panel(mm, k0, kb, p * kPanel, width, copy, across);
              }
              if (padded) {
                alignas(64) float wide[kMaxRows[0] * kPanel];
                tile_columns(rows, kPanel, kb, a, a_row, a_col, b, ldb, wide, kPanel, false, &ahead);
                for (int64_t r = 0; r < rows; ++r)
                  for_vectors(width, [&](int64_t j, int64_t n) {
                    const Vec sum = load(wide + r * kPanel + j, n);
                    store(q > 0 ? load(t + r * ldt + j, n) + sum : sum, t + r * ldt + j, n);
                  });
              } else {
                tile_columns(rows, width, kb, a, a_row, a_col, b, ldb, t, ldt, q > 0, &ahead);
              }
              if (last && mm.c == nullptr) mm.epilogue(mm.context, t, i, p * kPanel, rows, width);
            });
          }
        });
      }
    }
  }
}

}  // namespace

void matmul_block(const Matmul& mm, int64_t i0, int64_t i1, int64_t p0, int64_t p1, float* scratch) {
  if (i0 >= i1 || p0 >= p1) return;
  const MatmulPlan plan = matmul_plan(mm);
  switch (plan.way) {
    case Way::kColumn:
      return matmul_column(mm, i0, i1, scratch);
    case Way::kOuter:
      return matmul_outer(mm, i0, i1, p0, p1, scratch);
    case Way::kRows:
      return matmul_rows(mm, plan, i0, i1, p0, p1, scratch);
    case Way::kDots:
      return matmul_dots(mm, i0, i1, p0, p1, scratch);
    case Way::kTiles:
      return matmul_tiles(mm, plan, i0, i1, p0, p1, scratch);
  }
}

}  // namespace lanewise::LW_ISA
