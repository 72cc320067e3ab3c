// Products with a short side: a few rows of A, or sums of a few terms. The chains are those of the tiles.
//
// A tile walks down B in a strip of 128 bytes: with few rows there is too little arithmetic to hide that, and each row
// of a wide B is a page of its own. Here whole stretches of some rows of B are read (matmul_rows), or of C written
// (matmul_outer), in the order of memory; where B is transposed, a block of it turns in registers (matmul_dots).
#pragma once
#include "kernels/matmul_pack.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {

// Rows that share what is read of B: with the 16 registers of AVX2 six of two vectors each, 8x1024x1024 309 -> 218 us.
constexpr int64_t kPassRows = kSmall ? 1 : Vec::kLanes == 8 ? 6 : kThinRows;

constexpr int64_t kNext = 64;     // floats
constexpr int64_t kNarrow = 256;  // floats of a row of B that is so short that columns of vectors cost no page each

// acc (R, V vectors) += sum over g < depth of a[r, g] * b[g, :], V vectors of B wide; ask(b, v) asks for memory when
// vector v of a row at b is read.
template <int R, int V, class Ask>
LW_INLINE void add_rows(int64_t depth, const float* a, int64_t a_row, int64_t a_col, const float* b, int64_t ldb,
                        Vec (&acc)[R][V], Ask ask) {
  for (int64_t g = 0; g < depth; ++g, a += a_col, b += ldb) {
    Vec bv[V];
    LW_UNROLL for (int v = 0; v < V; ++v) {
      ask(b, v);
      bv[v] = Vec::load(b + v * Vec::kLanes);
    }
    LW_UNROLL for (int r = 0; r < R; ++r) {
      const Vec av = Vec::set1(a[r * a_row]);
      LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = fma(av, bv[v], acc[r][v]);
    }
  }
}

// t (R, columns; ldt) = or += sum over g < depth of a[r, g] * b[g, :], element by element an ascending chain: vector by
// vector, the columns that thin_pass leaves.
template <int R>
__attribute__((noinline)) void thin_rest(int64_t depth, const float* a, int64_t a_row, int64_t a_col, const float* b,
                                         int64_t ldb, float* t, int64_t ldt, int64_t columns, bool first) {
  constexpr int L = Vec::kLanes;
  for (int64_t j = 0; j < columns; j += L) {
    const int64_t n = smaller(L, columns - j);
    Vec acc[R];
    by_rows<R>(
        t + j, ldt, [&](int r, const float* c) __attribute__((always_inline)) {
          acc[r] = first ? Vec::zero() : Vec::load_partial(c, n);
        });
    const float *ag = a, *bg = b + j;
    for (int64_t g = 0; g < depth; ++g, ag += a_col, bg += ldb) {
      const Vec bv = Vec::load_partial(bg, n);
      LW_UNROLL for (int r = 0; r < R; ++r) acc[r] = fma(Vec::set1(ag[r * a_row]), bv, acc[r]);
    }
    by_rows<R>(
        t + j, ldt, [&](int r, float* c) __attribute__((always_inline)) { acc[r].store_partial(c, n); });
  }
}

// The same as wide as registers allow, or of a narrow strip (kColumns) by two vectors. What is asked for meanwhile:
// nothing (one row, and ISAs with fewer registers: the next columns), the next columns, what lies `ahead` floats beyond
// B (into L2), or both.
enum class Ask { kNothing, kColumns, kFar, kAll };
template <int R, Ask ask = Ask::kNothing>
void thin_pass(int64_t depth, const float* a, int64_t a_row, int64_t a_col, const float* b, int64_t ldb, float* t,
               int64_t ldt, int64_t columns, bool first, [[maybe_unused]] int64_t ahead = 0) {
  constexpr int L = Vec::kLanes, V = L == 16 && ask != Ask::kColumns ? (R <= 6 ? 4 : 3)
                                     : 2 * R <= kMaxRows[0] * kVecs  ? 2
                                                                     : 1;
  int64_t j = 0;
  for (; j + V * L <= columns; j += V * L) {
    Vec acc[R][V];
    by_rows<R>(
        t + j, ldt, [&](int r, const float* c) __attribute__((always_inline)) {
          LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = first ? Vec::zero() : Vec::load(c + v * L);
        });
    add_rows(
        depth, a, a_row, a_col, b + j, ldb, acc, [&](const float* bg, int v) __attribute__((always_inline)) {
          // One load takes from all rows in turn: no prefetcher follows.
          if (ask == Ask::kAll || ask == Ask::kColumns || R == 1 || L < 16)
            __builtin_prefetch(bg + (V + v) * L + kNext);
          if (ask == Ask::kFar || ask == Ask::kAll) __builtin_prefetch(bg + v * L + ahead, 0, 2);
        });
    by_rows<R>(
        t + j, ldt, [&](int r, float* c) __attribute__((always_inline)) {
          LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v].store(c + v * L);
        });
  }
  if (j < columns) thin_rest<R>(depth, a, a_row, a_col, b + j, ldb, t + j, ldt, columns - j, first);
}

// Of a B from memory. Eight rows, which keep the FMA units busy, gain nothing from the next columns on Intel's cores:
// one thread of an Emerald Rapids 8x4096x4096 4.2 -> 3.9 ms, 16x4096x1024 1.69 -> 1.61; fewer lose 3 to 6 %.
template <int R>
auto far_pass() {
  if constexpr (R == 8 && Vec::kLanes == 16)
    if (core.intel) return &thin_pass<R, Ask::kFar>;
  return &thin_pass<R, Ask::kAll>;
}

// t (rows, columns; ldt) = a (rows, kb) · b (kb, columns), a few rows of B at a time; of a B that comes from memory
// (`far`) the next ones meanwhile, and more of them for many rows of A, in stretches that are still in L2 for the
// second kPassRows of these.
inline void thin_block(int64_t rows, int64_t kb, const float* a, int64_t a_row, int64_t a_col, const float* b,
                       int64_t ldb, float* t, int64_t ldt, int64_t columns, bool far) {
  constexpr int64_t kStretch = 48;
  const int64_t depth = far && rows >= kThinRows && Vec::kLanes >= 16 ? core.far_depth : 8;
  for (int64_t q = 0; q < kb; q += kStretch)
    for_balanced(0, rows, kPassRows, [&](int64_t r0, int64_t some) {
      with_constant<kPassRows>(some, [&](auto r) {
        for (int64_t p = q, end = smaller(q + kStretch, kb); p < end; p += depth)
          (far && r0 == 0 ? far_pass<r>() : thin_pass<r>)(smaller(depth, end - p), a + r0 * a_row + p * a_col, a_row,
                                                          a_col, b + p * ldb, ldb, t + r0 * ldt, ldt, columns, p == 0,
                                                          depth * ldb);
      });
    });
}

// Vectors of columns whose sums, of R rows, wait in registers for a whole block of k; 0 where there are too few
// registers for that to pay.
constexpr int strip_vectors(int R) { return Vec::kLanes < 16 || R < 2 ? 0 : R < 3 ? 8 : 24 / R; }

// t (R, columns; ldt) = a (R, kb) · b (kb, columns), of a B in L2 or L3, whose lines are asked for `ahead` floats
// before they are read, in strips as wide as registers allow. Returns how many columns that were: a few may be left. Of
// few rows, whose chains would leave the FMA units idle there, the last strip rather does again what another has done.
template <int R>
int64_t strip_pass(int64_t kb, const float* a, int64_t a_row, int64_t a_col, const float* b, int64_t ldb, float* t,
                   int64_t ldt, int64_t columns, int64_t ahead) {
  constexpr int L = Vec::kLanes, V = strip_vectors(R);
  constexpr int64_t kWidth = V * L, kLeft = R < 4 ? kWidth / 2 : kWidth;
  if (columns < kWidth) return 0;
  int64_t end = 0;
  while (end + kLeft <= columns) {
    const int64_t j = smaller(end, columns - kWidth);
    end = j + kWidth;
    Vec acc[R][V];
    LW_UNROLL for (int r = 0; r < R; ++r) { LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = Vec::zero(); }
    add_rows(
        kb, a, a_row, a_col, b + j, ldb,
        acc, [&](const float* bg, int v) __attribute__((always_inline)) { __builtin_prefetch(bg + v * L + ahead); });
    by_rows<R>(
        t + j, ldt, [&](int r, float* c) __attribute__((always_inline)) {
          LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v].store(c + v * L);
        });
  }
  return end;
}

// One row of A against kTogether panels of B at once: a single panel gives too few chains to keep the FMA units busy.
// Row p of panel q is at b + q * b_step + p * ldb, its result of kPanel floats at t + q * t_step (= or +=).
constexpr int kTogether = Vec::kLanes >= 4 ? Vec::kLanes / 4 : 1;  // 8 chains
inline void panels_together(int64_t kb, const float* a, int64_t a_col, const float* b, int64_t b_step, int64_t ldb,
                            float* t, int64_t t_step, bool add) {
  constexpr int W = kPanel / Vec::kLanes;
  Vec acc[kTogether][W];
  LW_UNROLL for (int q = 0; q < kTogether; ++q) { LW_UNROLL for (int w = 0; w < W; ++w) acc[q][w] = Vec::zero(); }
  for (int64_t p = 0; p < kb; ++p) {
    const Vec av = Vec::set1(a[p * a_col]);
    LW_UNROLL for (int q = 0; q < kTogether; ++q) {
      LW_UNROLL for (int w = 0; w < W; ++w) acc[q][w] =
          fma(av, Vec::load(b + q * b_step + p * ldb + w * Vec::kLanes), acc[q][w]);
    }
  }
  LW_UNROLL for (int q = 0; q < kTogether; ++q) {
    LW_UNROLL for (int w = 0; w < W; ++w) {
      float* out = t + q * t_step + w * Vec::kLanes;
      (add ? Vec::load(out) + acc[q][w] : acc[q][w]).store(out);
    }
  }
}

// Rows [i0, i1), at most kFarRows of them, and panels [p0, p1) of C, which waits in L1, or in L2
// (core.thin_floats): it is loaded and stored once for some rows of B.
inline void matmul_rows(const Matmul& mm, const MatmulPlan& plan, int64_t i0, int64_t i1, int64_t p0, int64_t p1,
                        float* scratch) {
  const int64_t rows = i1 - i0, strip = plan.group * kPanel;
  float* const total = scratch;
  float* const block = total + rows * strip;
  float* const tile = block + rows * strip;
  const float* const a = mm.a + i0 * mm.a_row;
  for (int64_t g0 = p0; g0 < p1; g0 += plan.group) {
    const int64_t j0 = g0 * kPanel, columns = smaller(smaller(g0 + plan.group, p1) * kPanel, mm.n) - j0;
    for (int64_t k0 = 0; k0 < mm.k; k0 += kBlockK) {
      float* t = k0 == 0 ? total : block;
      if (rows == 1 && mm.b_row <= kNarrow && columns % (kTogether * kPanel) == 0) {
        for (int64_t j = 0; j < columns; j += kTogether * kPanel)
          panels_together(smaller(kBlockK, mm.k - k0), a + k0 * mm.a_col, mm.a_col, mm.b + k0 * mm.b_row + j0 + j,
                          kPanel, mm.b_row, total + j, kPanel, k0 > 0);
        continue;
      }
      const float *const from = a + k0 * mm.a_col, *const b = mm.b + k0 * mm.b_row + j0;
      const int64_t kb = smaller(kBlockK, mm.k - k0);
      bool done = false;
      with_constant<kPassRows>(plan.fetch_b ? 0 : rows, [&](auto r) {
        const int64_t ahead = mm.b_row * (mm.b_row % 256 != 0 ? 4 : core.alias_ahead);
        if constexpr (strip_vectors(r) > 0) {
          const int64_t n = strip_pass<r>(kb, from, mm.a_row, mm.a_col, b, mm.b_row, t, strip, columns, ahead);
          thin_pass<r>(kb, from, mm.a_row, mm.a_col, b + n, mm.b_row, t + n, strip, columns - n, true);
          done = true;
        }
      });
      if (!done) thin_block(rows, kb, from, mm.a_row, mm.a_col, b, mm.b_row, t, strip, columns, plan.fetch_b);
      if (k0 == 0) continue;
      for (int64_t r = 0; r < rows; ++r)
        for_vectors(columns, [&](int64_t j, int64_t n) {
          float* at = total + r * strip + j;
          store(load(at, n) + load(block + r * strip + j, n), at, n);
        });
    }
    if (mm.c != nullptr && mm.c_col != 1) {  // swapped: C is narrow
      for (int64_t j = 0; j < columns; ++j)
        for (int64_t r = 0; r < rows; ++r) mm.c[(i0 + r) * mm.c_row + (j0 + j) * mm.c_col] = total[r * strip + j];
      continue;
    }
    if (mm.c != nullptr) {
      for (int64_t r = 0; r < rows; ++r)
        for_vectors(columns, [&](int64_t j, int64_t n) {
          store(load(total + r * strip + j, n), mm.c + (i0 + r) * mm.c_row + j0 + j, n);
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

// --- a few rows of A, B's columns contiguous ------------------------------------------------------------------------

// Rows of A that share a block of B once it is turned, and how many of them have code of their own: 5 go as 6, 7 as 8.
constexpr int64_t kTurnedRows = kSmall ? 1 : Vec::kLanes >= 16 ? 8 : 4;
constexpr int64_t turned_rows(int64_t rows) { return rows <= 4 ? rows : (rows + 1) / 2 * 2; }

// Which of `rows` rows is number r of R: where there are fewer than R, some are taken twice.
constexpr int64_t turned_row(int64_t r, int64_t R, int64_t rows) {
  const int64_t group = r / 3 * 3;
  return smaller(group, rows - smaller(R - group, 3)) + r % 3;
}

// sums (R, L) += `blocks` times L terms, from term p on, of all rows of A by L columns, the first at b + p; these are
// transposed in registers.
template <int R>
void turned_blocks(const Matmul& mm, int64_t p, int64_t blocks, const float* b, float* sums) {
  constexpr int L = Vec::kLanes, kBases = (R + 2) / 3;
  const int64_t a_row = mm.a_row, a_col = mm.a_col;
  int64_t b_col = mm.b_col;
  const float* base[kBases];  // row r is base[r / 3] + (r % 3) * a_row
  LW_UNROLL for (int g = 0; g < kBases; ++g) base[g] = mm.a + turned_row(3 * g, R, mm.m) * a_row + p * a_col;
  Vec acc[R];
  LW_UNROLL for (int r = 0; r < R; ++r) acc[r] = Vec::load(sums + r * L);
  const auto add = [&](Vec term) __attribute__((always_inline)) {
    LW_UNROLL for (int r = 0; r < R; ++r) {
      acc[r] = fma(Vec::set1(base[r / 3][(r % 3) * a_row]), term, acc[r]);
      if constexpr (L == 16) keep_in_register(acc[r]);
    }
    LW_UNROLL for (int g = 0; g < kBases; ++g) base[g] += a_col;
  };
  b += p;
#if defined(LW_ISA_AVX512)  // half a block turns while the other half is multiplied
  const auto load = [&](int i, Vec& x, Vec& y) __attribute__((always_inline)) {
    const int row = i < 4 ? i : i + 4;
    split_terms(Vec::load(b + row * b_col), Vec::load(b + (row + 4) * b_col), x, y);
  };
  Vec x[8], y[8], w[8];
  LW_UNROLL for (int i = 0; i < 8; ++i) load(i, x[i], y[i]);
  LW_UNROLL for (int step = 0; step < 8; ++step) turn_step(step, x, w);
  for (; blocks > 0; --blocks) {
    b += blocks > 1 ? L : 0;  // the last one is read once more
    asm("" : "+r"(b_col));    // or sixteen pointers go round with the loop, most of them in memory
    Vec next_x[8], next_y[8], other[8];
    LW_UNROLL for (int e = 0; e < 8; ++e) {
      add(w[e]);
      load(e, next_x[e], next_y[e]);
      turn_step(e, y, other);
    }
    LW_UNROLL for (int e = 0; e < 8; ++e) {
      add(other[e]);
      turn_step(e, next_x, w);
      y[e] = next_y[e];
    }
  }
#else
  for (; blocks > 0; --blocks, b += L) {
    Vec v[L];
    load_columns(b, b_col, L, v);
    LW_UNROLL for (int e = 0; e < L; ++e) add(v[e]);
  }
#endif
  LW_UNROLL for (int r = 0; r < R; ++r) acc[r].store(sums + r * L);
}

// lanes (of, L) = all rows of C, as turned_row says, and columns [j, j + columns), at most L of them.
inline void dot_lanes(const Matmul& mm, int64_t of, int64_t j, int64_t columns, float* lanes) {
  constexpr int L = Vec::kLanes, kSome = kSmall ? 1 : 4;
  alignas(64) float sums[kTurnedRows * L], v[L * L];
  for (int64_t r = 0; r < of; ++r) Vec::zero().store(sums + r * L);
  const float* const b = mm.b + j * mm.b_col;
  // Columns a multiple of 4 KB apart lose a line from L1 before a second look at it: a short first step aligns the
  // others. 1x1024x1024 on two threads of a Zen 4: 99 us without, 56 with.
  const int64_t lead = mm.b_col % kPage == 0 ? smaller(floats_before(b, L), mm.k) : 0;
  for (int64_t p = 0, n; p < mm.k; p += n) {
    const int64_t left = kBlockK - p % kBlockK;  // terms of this block of k
    const int64_t whole = columns == L && p >= lead ? smaller(left, mm.k - p) / L : 0;
    if (whole > 0)
      with_constant<kTurnedRows>(of, [&](auto r) {
        if constexpr (r == turned_rows(r)) turned_blocks<r>(mm, p, whole, b, sums);
      });
    // Terms that are no whole block: those left of this block of k, and what the next one has of the same lines.
    const int64_t some = whole > 0 ? 0 : p < lead ? lead : smaller(L, mm.k - p);
    if (some > 0) store_columns(b + p, mm.b_col, columns, p + L <= mm.k ? L : some, v);
    n = whole * L + some;
    for (int64_t r = 0; r < of; r += kSome) {
      const float* a[kSome];
      float* sum[kSome];
      Vec acc[kSome];
      LW_UNROLL for (int i = 0; i < kSome; ++i) {
        const int64_t row = smaller(r + i, of - 1);
        a[i] = mm.a + turned_row(row, of, mm.m) * mm.a_row, sum[i] = sums + row * L;
        acc[i] = Vec::load(sum[i]);
      }
      for (int64_t done = whole * L, end = left, at = p * mm.a_col;; end += kBlockK) {
        for (; done < smaller(n, end); ++done, at += mm.a_col) {  // whole is 0 here
          LW_UNROLL for (int i = 0; i < kSome; ++i) acc[i] = fma(Vec::set1(a[i][at]), Vec::load(v + done * L), acc[i]);
        }
        if (done < end && p + done < mm.k) break;
        if (p + done > kBlockK) {
          LW_UNROLL for (int i = 0; i < kSome; ++i) acc[i] = Vec::load(lanes + (sum[i] - sums)) + acc[i];
        }
        LW_UNROLL for (int i = 0; i < kSome; ++i) {
          acc[i].store(lanes + (sum[i] - sums));
          acc[i] = Vec::zero();
        }
        if (done == n) break;
      }
      LW_UNROLL for (int i = 0; i < kSome; ++i) acc[i].store(sum[i]);
    }
  }
}

inline void matmul_dots(const Matmul& mm, int64_t i0, int64_t i1, int64_t p0, int64_t p1, float* scratch) {
  constexpr int64_t L = Vec::kLanes;
  const int64_t end = smaller(p1 * kPanel, mm.n);
  for (int64_t i = i0; i < i1; i += kTurnedRows) {
    const int64_t rows = smaller(kTurnedRows, i1 - i), of = turned_rows(rows);
    Matmul part = mm;
    part.a += i * mm.a_row, part.m = rows;
    // Rows of A that share L1 sets with each other, and with lines of B, are copied term by term: 8x1024x1024 B^T on
    // one thread of a Zen 4 197 -> 170 us.
    if (rows > 1 && mm.a_row % kPage == 0 && mm.k <= kCopiedTerms && end - p0 * kPanel >= 8 * kPanel) {
      float* const copy = scratch + kDotRows * kPanel;
      for (int64_t r = 0; r < of; ++r)
        for (int64_t p = 0; p < mm.k; ++p) copy[p * of + r] = part.a[turned_row(r, of, rows) * mm.a_row + p * mm.a_col];
      part.a = copy, part.a_row = 1, part.a_col = of, part.m = of;
    }
    for (int64_t j0 = p0 * kPanel; j0 < end; j0 += kPanel) {
      const int64_t width = smaller(kPanel, end - j0);
      float* const t = mm.c == nullptr ? scratch : mm.c + i * mm.c_row + j0 * mm.c_col;
      const int64_t t_row = mm.c == nullptr ? width : mm.c_row, t_col = mm.c == nullptr ? 1 : mm.c_col;
      for (int64_t at = 0; at < width; at += L) {
        alignas(64) float lanes[kTurnedRows * L];
        // Too few columns rather are done with some of those before them, again.
        const int64_t again = L - smaller(L, width - at), before = at + (mm.c == nullptr ? 0 : j0 - p0 * kPanel);
        const int64_t j = again <= before ? at - again : at, columns = smaller(L, width - j);
        dot_lanes(part, of, j0 + j, columns, lanes);
        for (int64_t r = 0; r < of; ++r) {
          float* const row = t + turned_row(r, of, rows) * t_row + j * t_col;
          for (int64_t c = 0; c < columns; ++c) row[c * t_col] = lanes[r * L + c];
        }
      }
      if (mm.c == nullptr) mm.epilogue(mm.context, t, i, j0, rows, width);
    }
  }
}

// --- sums of a few terms --------------------------------------------------------------------------------------------

// In strips of columns so narrow that those of B stay in L1. Where C does not, strips begin with cache lines, and the
// columns before the first line go first in each row: 1024x1024x1 on one thread of a Zen 4, C 16 bytes after a line, 73
// -> 58 us. Many rows read a copy of B whose vectors lie in one line each. Long sums (other cores than Intel's) leave
// strips of 32 or 64 columns, too narrow for passes of 48: 16x4096x256 so took twice as long.
inline void matmul_outer(const Matmul& mm, int64_t i0, int64_t i1, int64_t p0, int64_t p1, float* copy) {
  const int64_t strip = 2 * kThinFloats / mm.k / kPanel * kPanel, end = smaller(p1 * kPanel, mm.n);
  constexpr int64_t kRows = kPassRows, kMuch = 1 << 17;  // floats
  const bool narrow = mm.k > kFewTerms;
  const int64_t most = Vec::kLanes == 16 && mm.n <= 4 * kPanel && !narrow ? 6 : 8;
  const int64_t some = smaller(mm.k > 12 ? most : 4, kRows);
  for (int64_t j = p0 * kPanel, next; j < end; j = next) {
    const int64_t lead = mm.m * mm.n >= kMuch ? floats_before(mm.c + j, kLineFloats) : 0;
    const int64_t line = smaller(j + lead, end);
    next = smaller(j + lead + strip, end);
    const bool copies = mm.k > 8 && !narrow && i1 - i0 >= 8 * some;
    if (copies) pack_b(mm.b + line, mm.b_row, 1, mm.k, next - line, copy, strip);
    for (int64_t i = i0; i < i1; i += some)
      with_constant<kRows>(smaller(some, i1 - i), [&](auto r) {
        const auto pass = Vec::kLanes == 16 && narrow ? &thin_pass<r, Ask::kColumns> : &thin_pass<r, Ask::kNothing>;
        const float* const a = mm.a + i * mm.a_row;
        float* const c = mm.c + i * mm.c_row;
        if (lead > 0) pass(mm.k, a, mm.a_row, mm.a_col, mm.b + j, mm.b_row, c + j, mm.c_row, line - j, true, 0);
        pass(mm.k, a, mm.a_row, mm.a_col, copies ? copy : mm.b + line, copies ? strip : mm.b_row, c + line, mm.c_row,
             next - line, true, 0);
      });
  }
}

}  // namespace lanewise::LW_ISA
