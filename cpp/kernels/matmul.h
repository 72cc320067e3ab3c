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
// Rows of A up to which a product is thin, and floats of B, half of those that wait in L1 where sums are short.
constexpr int64_t kThinRows = 8, kThinFloats = 4096;
// Rows of A up to which it is where B is large, the floats of a B that comes from memory, and those of a row of B that
// is a page of its own.
constexpr int64_t kFarRows = 32, kFarFloats = 1 << 22, kPage = 1024;
// Rows of A up to which B is transposed in registers: more are served faster by a copy of B. On two threads of a Zen 4
// 8x1024x1024 B^T takes 165 to 245 us by tiles, as memory lies, and 108 so; 1024x8x1024, swapped, 150 and 101.
constexpr int64_t kDotRows = kThinRows;
// Terms of a sum up to which C is written row by row.
constexpr int64_t kShortSum = 16;  // of any width; wide ones: see matmul_plan
// Terms up to which C is most of what moves: it is walked row after row, in tiles too, and threads share rows.
constexpr int64_t kFewTerms = 64;

// Floats of a variable that do not stay in L2 from one step to the next.
constexpr int64_t kFetchFloats = 1 << 18;

// Rows of memory that will be read soon, in the order in which they will: row r lies at data + (order ? order[r] : r) *
// stride. Tiles ask for the next few lines while they compute, and leave here what comes after them.
struct Upcoming {
  const char* data;
  const uint32_t* order;
  int64_t stride, bytes;     // from row to row, and of one row
  int64_t row, end, offset;  // rows [row, end), the first of them from byte `offset` on
};

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
  // Where C goes as it is, C[i, j] at c[i*c_row + j*c_col]: results are written there and the epilogue is not called.
  // Else null. c_col is 1 but for a product that is_swapped allows.
  float* c;
  int64_t c_row, c_col;
  // Arrays in the layout of a variable C (m, n) that the epilogue reads and writes: asked for while their tile is
  // computed. Null where there are fewer, or where they stay in L2 anyway.
  const float* beside[3];
  // Where the epilogue leaves what it makes of C, in rows of n floats, if other cores have read what was there: each
  // tile asks for its own before its last terms. Else null.
  const float* result;
  // What is asked for where there is nothing beside C, or null.
  Upcoming* upcoming;
};

// Floats from p on before those that begin a run of this many (a power of two): of a cache line, or of a vector.
constexpr int64_t kLineFloats = 16;
static inline int64_t floats_before(const float* p, int64_t run) {
  return -static_cast<int64_t>(reinterpret_cast<uintptr_t>(p) / sizeof(float)) & (run - 1);
}

static inline int64_t panel_count(int64_t n) { return (n + kPanel - 1) / kPanel; }

// The ways to a product; the chains are the same in all but the first, which has its own rule.
enum class Way {
  kColumn,  // n == 1 (matmul_column.h)
  kOuter,   // a few terms: C is written in the order of memory (matmul_thin.h)
  kRows,    // a few rows of A, B row-major: B is read in the order of memory (matmul_thin.h)
  kDots,    // a few rows of A, B's columns contiguous: transposed in registers (matmul_thin.h)
  kTiles,   // the others (matmul.cpp)
};

// What the ways and plans go by beside sizes, as measured on cores of a kind. Examples are of one thread, m x n x k.
struct Core {
  // Intel's: two FMA units of 512 bits, two loads a cycle, and those that lie in two cache lines hold multiply-adds up,
  // so that a row-major B is copied sooner and A only with it. Cascade Lake, without and with: 1000x1000x1000 53 and
  // 109 GFLOP/s, 64x1000x1000 40 and 77.
  bool intel;
  int64_t copy_rows;  // rows of A from which on a B of distant rows is copied
  // The same of a B of 2 MB and more whose rows share L1 sets. One thread of an Emerald Rapids, with 48 and 24:
  // 24x1024x1024 587 -> 489 us, 32x4096x1024 4.0 -> 3.1 ms; but 32x512x512, whose B L2 holds, 125 -> 134.
  int64_t copy_far_rows;
  // Floats of a C of few rows that waits in L1 or L2. One thread of an Emerald Rapids, 4,096, 8,192, 16,384 and 32,768:
  // 16x4096x1024 2.1, 1.81, 1.71, 1.67 ms, 8x4096x4096 4.9, 4.6, 4.3, 4.1.
  int64_t thin_floats;
  int64_t memory_floats;  // of a B that comes from memory. 8x2048x2048, of 16 MB, as from L3 5.8 -> 3.6 ms on a
                          // Cascade Lake; 6x3000x3000, of 36, so 5.1 -> 8.3 ms
  int64_t far_rows;       // rows of A that meet a large B in the order of memory, if its rows share no L1 sets: on a
                          // Cascade Lake tiles win from 21 on: 32x1048x3000 4.5 -> 3.6 ms, 24x3000x1000 3.4 -> 3.0; but
                          // 32x2048x2048, whose rows do, 6.5 -> 7.7
  int64_t far_depth;      // rows of such a B at a time: on a Cascade Lake 8x4096x4096 with 24 13.3 ms, with 16 10.5
  int64_t alias_ahead;    // rows that B is asked for in advance where they share L1 sets, and lose each other's lines:
                          // it pays on a Cascade Lake all the same: 8x1024x1024 1,210 -> 420 us, 4x1024x1024 370 -> 250
  int64_t outer_terms[2];  // terms up to which Way::kOuter writes a wide C: up to 256 rows of A, beyond
  int64_t outer_columns;   // from which on C is wide. One thread of an Emerald Rapids, with 256 and 128: 1000x128x32 60
                           // -> 51 us, 1000x224x24 91 -> 74, 200x128x32 11.7 -> 10.5
};
constexpr Core kZen4{false, 64, 64, kThinFloats, kFarFloats, kFarRows, 24, 0, {256, 128}, 256};
constexpr Core kCascadeLake{
    true, 48, 24, 8 * kThinFloats, kFarFloats / 2 * 3, 20, 16, 8, {kFewTerms - 1, kFewTerms - 1}, 128};
extern Core core;  // dispatch.cpp knows: Intel's cores are of the second kind, all others of the first

constexpr int64_t kGroup = 32;  // panels in a column group at most

// What matmul_block does with its scratch; a function of the sizes alone (and cheap: it is worked out in every call).
struct MatmulPlan {
  Way way;
  bool pack_a, pack_b;
  bool pad_b;     // and with vectors of 16 lanes as wide as a panel
  bool fetch_b;   // what the next panel, or pass of a thin product, takes from B is asked for in advance
  int64_t group;  // panels in a column group
  int64_t rows;   // rows in a row block
  int64_t strip;  // rows that meet all panels before the next ones do (and are packed together)
  int64_t tile_floats, b_floats, a_floats;
};

constexpr int64_t kStrip = 168;  // rows of A that are packed together: 3*14 = 7*6, times 4

// Of scratch where B is transposed in registers: a panel of C, and a copy of A if its sums are no longer than this.
constexpr int64_t kCopiedTerms = 1 << 13;
static inline int64_t dot_floats(const Matmul& mm) {
  return kDotRows * (kPanel + (mm.m > 1 && mm.k <= kCopiedTerms ? mm.k : 0));
}

static inline MatmulPlan matmul_plan(const Matmul& mm) {
  constexpr int64_t kRows = 2048, kOrderedStrip = 42;  // 3*14 = 7*6
  const int64_t panels = panel_count(mm.n);
  MatmulPlan plan{};
  plan.group = panels < kGroup ? panels : kGroup;
  plan.rows = mm.m < kRows ? mm.m : kRows;
  // B is copied where its columns have a stride, and where a power-of-two row stride (those rows fall into the same
  // L1 sets) or sheer size would cost more over the rows of A.
  const bool read_again = panels >= 8 && mm.a_row % 512 == 0;  // rows of A that share L1 sets
  const bool far = mm.b_row % 256 == 0 && mm.k * mm.n >= 2 * kFetchFloats;
  const bool far_apart = mm.m >= (far ? core.copy_far_rows : core.copy_rows) && mm.k >= 64 &&
                         (mm.b_row % 256 == 0 || mm.b_row > 1024 || (core.intel && (read_again || mm.m >= 256)));
  // Beside an epilogue that streams other arrays through L1, fewer sets are enough to lose B: 1000-128-1's dW with Adam
  // (b_row 128) took 5 us of 112 longer, more or less as memory happened to lie.
  const bool crowded = mm.c == nullptr && mm.m >= 256 && mm.k >= 16 && mm.b_row % 64 == 0;
  plan.pack_b = mm.b_transposed || (!mm.b_panels && (mm.b_col != 1 || far_apart || crowded));
  if (mm.n == 1) {
    plan.way = Way::kColumn;
    plan.tile_floats = kGemvRows + 2 * mm.k;
    return plan;
  }
  // Narrow rows of B are one stretch of memory as it is: 9x80x52469 on one thread of a Zen 4 817 us by tiles, 1170 so.
  // 16x4096x1024 by tiles 2.2 ms, so 1.4; on one thread 32x3000x1048 45 GFLOP/s and 89, 12x2500x1000 16, 104.
  const bool from_memory = mm.k * mm.n >= core.memory_floats;
  const bool large = mm.k * mm.n >= (mm.b_row > kPage ? kFarFloats / 2 : kFarFloats / 4 * 3);
  const int64_t most = mm.b_row % 256 != 0 ? core.far_rows : kFarRows;
  const bool more = mm.m > kThinRows && mm.m <= most && large && mm.n >= 4 * kPanel;
  const bool few = (mm.m <= kThinRows || more) && panels > 1 && mm.k > 0 && !mm.b_panels;
  if (few && mm.m <= kDotRows && mm.b_row == 1 && mm.b_col != 1) {
    plan.way = Way::kDots;
    plan.tile_floats = dot_floats(mm);
    return plan;
  }
  if (few && !plan.pack_b) {
    plan.way = Way::kRows;
    plan.fetch_b = from_memory || more;
    const int64_t strip = core.thin_floats / (mm.m > 0 ? mm.m : 1) / kPanel;
    plan.group = panels < strip ? panels : strip;
    plan.tile_floats = (2 * mm.m * plan.group + kFarRows) * kPanel;
    return plan;
  }
  const int64_t wide = core.outer_terms[mm.m > 256];
  const bool short_sum = mm.k <= kShortSum || (mm.k <= wide && mm.n >= core.outer_columns && mm.n >= 4 * mm.k);
  if (mm.c != nullptr && mm.k > 0 && short_sum && panels > 1 && mm.b_col == 1 && !mm.b_panels) {
    plan.way = Way::kOuter;
    plan.tile_floats = 2 * kThinFloats;
    return plan;
  }
  plan.way = Way::kTiles;
  // A panel narrower than a tile of 32 columns is met vector by vector, by tiles of 8 rows: on Intel's cores rather
  // copied, as wide as a tile. One thread of a Cascade Lake: 2000x30x500 (m x n x k) 36 -> 69 GFLOP/s, 3000x30x200
  // A^T 35 -> 58, 32x31x1000 39 -> 47; 24x24x64 21 -> 17.
  plan.pad_b = core.intel && panels == 1 && mm.n > kLineFloats && mm.n < kPanel && mm.m >= 24 && mm.k >= 64 &&
               mm.m * mm.k >= 8192 && !mm.b_transposed && !mm.b_panels;
  plan.pack_b = plan.pack_b || plan.pad_b;
  // A is copied where its rows and columns both have strides, and where enough panels read it again to pay for it. On
  // Intel's cores a transposed one sooner, one thread of a Cascade Lake in place and copied: 4096x1024x256 A^T 31 and
  // 60 GFLOP/s, 784x512x128 A^T 69 and 98, a step of 784-512-512-10 5.2 and 4.5 ms; 200x300x100 A^T 61 and 45.
  const bool columns_again =
      core.intel && mm.a_row == 1 && (panels >= 8 || (panels >= 4 && mm.m * mm.k >= kFetchFloats));
  const bool rows_again = (panels >= 24 || read_again) && (!core.intel || plan.pack_b || mm.b_panels);
  plan.pack_a = (mm.a_row != 1 && mm.a_col != 1) || (mm.m >= 32 && mm.k >= 64 && (columns_again || rows_again));
  // Where B stays in L1, strips of a few tiles write the rows of C in their order: 1000x300x17 in 28 instead of 38 us.
  const bool in_order = mm.c != nullptr && mm.k <= kFewTerms && mm.k * mm.n <= 2 * kThinFloats;
  // Of a larger A, which some panels read in place, strips stay in L2 from one to the next: 2000x100x300 on one thread
  // of an Emerald Rapids 905 -> 825 us, 2000x100x700 2.2 -> 2.0 ms.
  const bool again = panels > 1 && panels <= 8;
  const int64_t in_l2 = kFetchFloats / 2 / (mm.k < kBlockK ? mm.k + 1 : kBlockK);
  plan.strip = again && in_l2 < plan.rows ? in_l2 : plan.rows;
  if (in_order) plan.strip = kOrderedStrip;
  if (plan.pack_a) plan.strip = kStrip;
  plan.fetch_b = mm.b_panels && mm.m >= 64 && mm.k >= kFewTerms && mm.k * mm.n >= kFetchFloats;
  plan.tile_floats = mm.c != nullptr ? 0 : mm.k <= kBlockK ? kTileRows * kPanel : plan.group * plan.rows * kPanel;
  plan.b_floats = plan.pack_b ? plan.group * kPanel * kBlockK : 0;
  plan.a_floats = plan.pack_a ? kStrip * kBlockK : 0;
  return plan;
}

// Whether C^T = B^T·A^T is the faster way to the same bits: a few columns of B, rows of A contiguous (which are turned)
// or its columns (which are read as rows), C not handed on. One column counts as one of a wider product: a product of
// one column has bits of its own, and is not to be asked of. Five to eight columns pay from some hundred terms on:
// 300x8x64 on a Zen 4 6.2 us by tiles and 7.0 so, 300x8x128 11.4 and 10.2.
static inline bool is_swapped(const Matmul& mm) {
  return mm.c != nullptr && mm.n <= kDotRows && mm.m > kPanel && mm.k >= (mm.n <= 4 ? 16 : 96) &&
         (mm.a_col == 1) != (mm.a_row == 1) && !mm.b_panels;
}
static inline Matmul swapped(const Matmul& mm) {
  Matmul t = mm;
  t.m = mm.n, t.n = mm.m;
  t.a = mm.b, t.a_row = mm.b_col, t.a_col = mm.b_row;
  t.b = mm.a, t.b_row = mm.a_col, t.b_col = mm.a_row;
  t.c_row = mm.c_col, t.c_col = mm.c_row;
  return t;
}

// Floats of scratch that one thread needs for matmul_block, for this product and for any with fewer rows of A or of B
// (the last batch of an epoch), which may go another way: a thin product takes more than a thicker one, and one whose B
// is no longer far goes by tiles, a whole group of panels of them, and of as many rows with a copy of A.
static inline int64_t matmul_scratch(const Matmul& mm) {
  const MatmulPlan plan = matmul_plan(mm);
  const int64_t own = plan.tile_floats + plan.b_floats + plan.a_floats;
  const int64_t copy = plan.way == Way::kRows && mm.m >= kFarRows ? kStrip * kBlockK : 0;
  const int64_t dots = mm.b_row == 1 && mm.b_col != 1 ? dot_floats(mm) : 0, tiles = kFarRows * kGroup * kPanel + copy;
  const int64_t all = panel_count(mm.n) * kPanel * kFarRows, most = all < core.thin_floats ? all : core.thin_floats;
  const int64_t thin = 2 * most + kFarRows * kPanel, rows = tiles > thin ? tiles : thin;
  const int64_t other = mm.b_panels || mm.n == 1 ? 0 : dots > rows ? dots : rows;
  return own > other ? own : other;
}

}  // namespace lanewise
