// What a matrix product is given. Baseline-safe: plain types, no vector code.
#pragma once
#include <cstdint>

namespace lanewise {

// Column panels: B and every kernel variable W (k, n) are cut into panels of kPanel columns. A variable stores each
// panel as a row-major matrix of its own (ld = width of the panel, 32 except for the last), one after another: k*n
// floats without padding. So a thread's columns are contiguous, no power-of-two row stride exists, and a block of
// rows of a panel is one contiguous run, over which an optimizer step is a flat loop.
constexpr int64_t kPanel = 32;
// k is cut at multiples of this (the numeric contract: within a block one ascending chain of fused multiply-adds from
// zero; block results added in ascending order).
constexpr int64_t kBlockK = 512;
// Rows of a tile handed to an epilogue at most.
constexpr int64_t kTileRows = 32;

// Receives a finished block T (rows, cols) of C whose first element is C[i, j]. cols <= kPanel and ldt == the
// panel's width (for n == 1: cols == 1 and ldt == 1, rows up to kGemvRows), so T is contiguous.
using Epilogue = void (*)(const void* context, float* t, int64_t i, int64_t j, int64_t rows, int64_t cols);
constexpr int64_t kGemvRows = 256;
// Rows of A up to which a wide row-major B is read row by row, and floats of C that wait in L1 meanwhile.
constexpr int64_t kThinRows = 8, kThinFloats = 4096;

struct Matmul {
  int64_t m, n, k;
  const float* a;  // element (i, p) at a[i*a_row + p*a_col]
  int64_t a_row, a_col;
  const float* b;  // b_panels: stored in column panels as above; else element (p, j) at b[p*b_row + j*b_col]
  int64_t b_row, b_col;
  bool b_panels;
  bool b_transposed;  // with b_panels: the panels are those of B^T, of shape (n, k)
  Epilogue epilogue;
  const void* context;
  // Where C goes as it is, C[i, j] at c[i*ldc + j]: tiles write there and the epilogue is not called. Else null.
  float* c;
  int64_t ldc;
};

static inline int64_t panel_count(int64_t n) { return (n + kPanel - 1) / kPanel; }

// What matmul_block does with its scratch; a function of the sizes alone (and cheap: it is worked out in every call).
struct MatmulPlan {
  bool thin;  // see matmul_thin.h
  bool pack_a, pack_b;
  int64_t group;  // panels in a column group
  int64_t rows;   // rows in a row block
  int64_t strip;  // rows of A that are packed together
  int64_t tile_floats, b_floats, a_floats;
};

static inline MatmulPlan matmul_plan(const Matmul& mm) {
  constexpr int64_t kGroup = 32, kRows = 2048, kStrip = 168;  // 168 = 12*14 = 28*6: whole tiles on every ISA
  const int64_t panels = panel_count(mm.n);
  MatmulPlan plan;
  plan.group = panels < kGroup ? panels : kGroup;
  plan.rows = mm.m < kRows ? mm.m : kRows;
  // A is copied where its rows and columns both have strides, and where enough panels read it again to pay for it.
  plan.pack_a = (mm.a_row != 1 && mm.a_col != 1) ||
                (mm.m >= 32 && panels >= 8 && mm.k >= 64 && (panels >= 24 || mm.a_row % 512 == 0));
  // B is copied where its columns have a stride, and where a power-of-two row stride (those rows fall into the same
  // L1 sets) or sheer size would cost more over the rows of A.
  plan.pack_b =
      mm.b_transposed ||
      (!mm.b_panels && (mm.b_col != 1 || (mm.m >= 64 && mm.k >= 64 && (mm.b_row % 256 == 0 || mm.b_row > 1024))));
  plan.thin = mm.m <= kThinRows && mm.k > 0 && panels > 1 && !mm.b_panels && !plan.pack_b;
  if (plan.thin) {
    const int64_t strip = kThinFloats / (mm.m > 0 ? mm.m : 1) / kPanel;
    plan.group = panels < strip ? panels : strip;
    plan.pack_a = false;
    plan.strip = plan.b_floats = plan.a_floats = 0;
    plan.tile_floats = 2 * mm.m * plan.group * kPanel + kThinRows * kPanel;
    return plan;
  }
  plan.strip = plan.pack_a ? kStrip : plan.rows;
  plan.tile_floats = mm.c != nullptr ? 0 : mm.k <= kBlockK ? kTileRows * kPanel : plan.group * plan.rows * kPanel;
  plan.b_floats = plan.pack_b ? plan.group * kPanel * kBlockK : 0;
  plan.a_floats = plan.pack_a ? kStrip * kBlockK : 0;
  return plan;
}

// Floats of scratch that one thread needs for matmul_block, for this product and for any with fewer rows of A or of B
// (the last batch of an epoch): a thin product takes more than a thicker one.
static inline int64_t matmul_scratch(const Matmul& mm) {
  if (mm.n == 1) return kGemvRows + 2 * mm.k;
  const MatmulPlan plan = matmul_plan(mm);
  const int64_t own = plan.tile_floats + plan.b_floats + plan.a_floats;
  const int64_t thin = mm.b_panels ? 0 : 2 * kThinFloats + kThinRows * kPanel;
  return own > thin ? own : thin;
}

}  // namespace lanewise
