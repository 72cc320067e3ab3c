// The register tile: R rows by V vectors of C, and the table of all its shapes.
#pragma once
#include <utility>

#include "kernels/matmul.h"
#include "simd/loops.h"

namespace lanewise::LW_ISA {

// Rows of a tile of kVecs vectors, and of fewer. The first fit in registers beside the vectors of B and one of A:
// AVX-512 14x32, AVX2 6x16, NEON 6x16; the register files hold 32, 16 and 32. With one vector the loads of A are the
// limit, and more rows are code (AVX-512 28x16: 60 KB) without speed. And the terms that tiles of many rows take in a
// round, A read in place, and its rows neighbours: pointers and the count are less of the instructions then, which are
// the limit where a core's other hyperthread is busy. One thread of an Emerald Rapids beside one, before and after the
// second: 512x512x512 2.17 -> 2.07 ms, with AVX2 4.18 -> 3.67; else 1 % and none. And how many rows take their element
// of A as an operand in memory, an instruction less each; more of them would wait for loads.
#if defined(LW_ISA_AVX512)
constexpr int kVecs = 2;
constexpr int kMaxRows[2] = {14, 8}, kRound[2] = {2, 3}, kSpread = 4;
#elif defined(LW_ISA_AVX2)
constexpr int kVecs = 2;
constexpr int kMaxRows[2] = {6, 12}, kRound[2] = {1, 3}, kSpread = 0;
#elif defined(LW_ISA_NEON)
constexpr int kVecs = 4;
constexpr int kMaxRows[2] = {6, 8}, kRound[2] = {1, 1}, kSpread = 0;
#else
constexpr int kVecs = 2;
constexpr int kMaxRows[2] = {4, 4}, kRound[2] = {1, 1}, kSpread = 0;
#endif
constexpr int kManyRows = kMaxRows[0] * 3 / 4 + 1;
static_assert(kRound[1] == 1 || kRound[1] == 3);  // as many as there are runs to ask for
constexpr int64_t kTileColumns = kVecs * Vec::kLanes;
// Tiles that copy B while they read it have so many rows or more, as the first one of most products has: two
// stores a term beside multiply-adds, where a copy before the tile takes all of a core. One thread of an Emerald
// Rapids, before and after (with what copies A, below): 64x512x512 239 -> 211 us, 128x784x512 697 -> 651.
#if defined(LW_ISA_AVX512)
constexpr int kCopyRows = 11;
#elif defined(LW_ISA_AVX2)
constexpr int kCopyRows = 6;
#else
constexpr int kCopyRows = 0;  // there are none
#endif
// Terms of a sum from which on it pays to ask for the block of C, at the start where nothing is asked for meanwhile:
// into L2, for rows of C a power of two apart would drive each other out of L1. 2048^3 on one core: 227 GFLOP/s
// without, 237 into L1, 240 into L2.
constexpr int64_t kFetchAhead = 256;
// How many rows before it is read a row of a row-major B is asked for, where those rows lie further apart than a panel
// or two are wide (no prefetcher of a core follows them): by the last element of each line, for the first may lie in
// the line before. One thread of a Cascade Lake: 10x1000x1000 485 -> 275 us, 24x500x500 165 -> 108, 64x500x500 441 ->
// 305.
constexpr int64_t kRowsAhead = 12;
constexpr int max_rows_of(int vecs) { return kMaxRows[vecs < kVecs]; }

// What a tile asks for while it computes: three runs of memory, one address of one of them each term, in turns. Memory
// then works while the FMA units do; asked for all at once, the lines would fill the queue and the tile wait.
struct Ahead {
  const char* run[3];
  int64_t step;                 // bytes from one address of a run to the next
  float* copy = nullptr;        // of a tile that copies: where it leaves its columns of B, in rows kPanel apart
  const float* rows = nullptr;  // of one that reads A in place: the rows of A that the next one reads
};

// f(r, row r of t) for R rows `ldt` apart, one pointer going from row to row: left to itself GCC works out all
// addresses first, sixty instructions more and most of them spilled. 64x4096x64 on one thread of an Emerald Rapids 236
// -> 224 us, 32x32x32 2 %; and 9 KB of code.
template <int R, class F>
LW_INLINE void by_rows(float* t, int64_t ldt, F f) {
  LW_UNROLL for (int r = 0; r < R; ++r, t += ldt) {
    asm("" : "+r"(t));
    f(r, t);
  }
}

// t (R, V*L; ldt) = or += sum over p of a[r, p] * b[p, :]. Unit: the rows of A are neighbours (a_row == 1), and memory
// that is needed later is asked for (`ahead`). Of the last vector, `tail` lanes exist (Tail false: all). Copy: what is
// read of B is written too.
template <int R, int V, bool Unit, bool Tail, bool Copy = false>
void tile(int64_t kb, const float* a, int64_t a_row, int64_t a_col, const float* b, int64_t ldb, float* t, int64_t ldt,
          int64_t tail, bool add, const Ahead* ahead) {
  constexpr int L = Vec::kLanes;
  Vec acc[R][V];
  LW_UNROLL for (int r = 0; r < R; ++r) { LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = Vec::zero(); }
  if (!Unit && kb >= kFetchAhead) {
    for (int r = 0; r < R; ++r) {
      LW_UNROLL for (int v = 0; v < V; ++v) __builtin_prefetch(t + r * ldt + v * L, 0, 2);
    }
  }
  // Row r is base[r / 3] + (r % 3) * a_row: five pointers and one stride serve 14 rows in one addressing mode each.
  constexpr int kBases = (R + 2) / 3;
  const float* base[kBases];
  LW_UNROLL for (int i = 0; i < kBases; ++i) base[i] = a + 3 * i * a_row;
  const char *now = nullptr, *next = nullptr, *after = nullptr;
  int64_t step = 0, asked = 0;  // bytes of each run, in rounds of three terms
  if constexpr (Unit) now = ahead->run[0], next = ahead->run[1], after = ahead->run[2], step = ahead->step;
  // a_col == 1: matmul_plan copies every other A, or reads its columns; a tile that copies takes either
  constexpr bool kAlong = !Unit && V == kVecs && !Copy;
  float* copy = nullptr;
  if constexpr (Copy) copy = ahead->copy;
  const float* far = b + kRowsAhead * ldb + kLineFloats - 1;
  int64_t far_step = ldb;
  bool asks = ldb > 2 * kPanel;
  int64_t parts = 1;  // of the terms, in which a row after the other is asked for
  constexpr int kTerms = (kAlong || Unit) && R >= kManyRows ? kRound[Unit] : 1;  // each copy weighs in the wheel
  constexpr bool kRowsToo = !Unit && kTerms > 1;
  if constexpr (kRowsToo) {
    if (ahead->rows != nullptr) far = ahead->rows, far_step = R, asks = true, parts = R;
  }
  const auto terms = [&](auto count) __attribute__((always_inline)) {
    constexpr int N = decltype(count)::value;
    if constexpr (kAlong || Copy) {
      if (asks) {
        LW_UNROLL for (int e = 0; e < N; ++e) {
          LW_UNROLL for (int c = 0; c < V * L; c += kLineFloats) __builtin_prefetch(far + e * far_step + c);
        }
        far += N * far_step;
      }
    }
    LW_UNROLL for (int e = 0; e < N; ++e) {
      if constexpr (Unit && N == 3) {
        __builtin_prefetch((e == 0 ? now : e == 1 ? next : after) + asked, 0, 2);
        if (e == 2) {
          asked += step;
          asm("" : "+r"(asked));  // or three pointers are counted up
        }
      } else if constexpr (Unit) {
        __builtin_prefetch(now, 0, 2);
        const char* const later = now + step;
        now = next, next = after, after = later;
      }
      Vec bv[V];
      LW_UNROLL for (int v = 0; v < V; ++v) bv[v] =
          Tail && v == V - 1 ? Vec::load_partial(b + v * L, tail) : Vec::load(b + v * L);
      LW_UNROLL for (int r = 0; r < R; ++r) {
        const float* const at = Unit ? a + r : base[r / 3] + (r % 3) * a_row + (kAlong ? e : 0);
        if (V == 1 || (r % 3 == 0 && r < 3 * kSpread)) {
          LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = fma_spread(at, bv[v], acc[r][v]);
        } else if constexpr (Unit && V == 2) {
          fma_row(at, bv[0], bv[1], acc[r][0], acc[r][1]);
        } else {
          const Vec av = Vec::set1(*at);
          LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = fma(av, bv[v], acc[r][v]);
        }
      }
      if constexpr (Copy) {
        LW_UNROLL for (int v = 0; v < V; ++v) bv[v].store(copy + v * L);
        copy += kPanel;
      }
      b += ldb;
      a += a_col;
      // each term by itself: left to mix three of them, GCC runs out of registers
      if constexpr (Unit && N == 3) asm volatile("" : "+r"(a) : : "memory");
    }
    if constexpr (!Unit) {
      LW_UNROLL for (int i = 0; i < kBases; ++i) base[i] += kAlong ? N : a_col;
    }
  };
  for (int64_t left = kb / kTerms; parts > 0; --parts) {
    const int64_t some = parts == 1 ? left : left / parts;
    left -= some;
    for (int64_t p = some; p > 0; --p) terms(std::integral_constant<int, kTerms>());
    if constexpr (kRowsToo) far += a_row - some * kTerms * R;
  }
  if constexpr (kTerms == 3) now += asked, next += asked, after += asked;
  for (int64_t p = kTerms > 1 ? kb % kTerms : 0; p > 0; --p) terms(std::integral_constant<int, 1>());
  // All of C is read before any of it is written: rows a multiple of 4 KB apart look alike to the store queue, and a
  // load would wait for the store of the row before.
  if (add) {
    by_rows<R>(
        t, ldt, [&](int r, const float* c) __attribute__((always_inline)) {
          LW_UNROLL for (int v = 0; v < V; ++v) acc[r][v] =
              (Tail && v == V - 1 ? Vec::load_partial(c + v * L, tail) : Vec::load(c + v * L)) + acc[r][v];
        });
  }
  by_rows<R>(
      t, ldt, [&](int r, float* c) __attribute__((always_inline)) {
        LW_UNROLL for (int v = 0; v < V; ++v) {
          if (Tail && v == V - 1)
            store(acc[r][v], c + v * L, tail);
          else
            acc[r][v].store(c + v * L);
        }
      });
}

using Tile = void (*)(int64_t, const float*, int64_t, int64_t, const float*, int64_t, float*, int64_t, int64_t, bool,
                      const Ahead*);

template <int V>
struct TileRow {
  Tile by_rows[max_rows_of(V)];
};
template <int V, bool Unit, bool Tail, int... R>
constexpr TileRow<V> tile_row(std::integer_sequence<int, R...>) {
  return {{&tile<R + 1, V, Unit, Tail>...}};
}
template <int V, bool Unit, bool Tail>
constexpr TileRow<V> kTileRow = tile_row<V, Unit, Tail>(std::make_integer_sequence<int, max_rows_of(V)>());

// One vector is always taken as a tail, whose rows are never taken as neighbours, and what is no whole chunk goes
// vector by vector: a mask, four more pointers and a second look at A cost little, each variant as much code as
// another.
LW_INLINE Tile pick_tile(int64_t columns, int64_t rows, bool unit) {
  if (columns <= Vec::kLanes) return kTileRow<1, false, true>.by_rows[rows - 1];
  if constexpr (kVecs > 2)
    if (columns < kTileColumns) return kTileRow<2, false, false>.by_rows[rows - 1];
  return (unit ? kTileRow<kVecs, true, false> : kTileRow<kVecs, false, false>).by_rows[rows - 1];
}

// Rows of a tile when a panel of this width is cut into chunks.
inline int max_rows_for(int64_t width) { return kMaxRows[width < kTileColumns]; }

// Calls f(first row, rows) for rows [i0, i1) in runs of at most max_rows, sizes balanced: 32 = 11 + 11 + 10.
template <class F>
LW_INLINE void for_balanced(int64_t i0, int64_t i1, int64_t max_rows, F f) {
  const int64_t m = i1 - i0, tiles = (m + max_rows - 1) / max_rows;
  int64_t i = i0;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t rows = m / tiles + (t < m % tiles ? 1 : 0);
    f(i, rows);
    i += rows;
  }
}

// One row of tiles across a panel: t (rows, width; ldt). Packed rows may be more than a tile of few columns has.
inline void tile_columns(int64_t rows, int64_t width, int64_t kb, const float* a, int64_t a_row, int64_t a_col,
                         const float* b, int64_t ldb, float* t, int64_t ldt, bool add, const Ahead* ahead) {
  for (int64_t c = 0; c < width;) {
    constexpr int64_t L = Vec::kLanes;
    const int64_t left = width - c, some = kVecs > 2 && left >= 2 * L ? 2 * L : smaller(left, L);
    const int64_t columns = left >= kTileColumns ? kTileColumns : some;
    for (int64_t r = 0, most = max_rows_for(columns); r < rows; r += most)
      pick_tile(columns, smaller(most, rows - r), a_row == 1)(kb, a + r * a_row, a_row, a_col, b + c, ldb,
                                                              t + r * ldt + c, ldt, columns, add, ahead);
    c += columns;
  }
}

// Whether tile_and_copy has a tile of so many rows.
inline bool can_copy(int64_t rows, int64_t width) { return kCopyRows > 0 && rows >= kCopyRows && width == kPanel; }

template <int... R>
LW_INLINE Tile copying_tile(int64_t rows, std::integer_sequence<int, R...>) {
  static constexpr Tile tiles[] = {&tile<kCopyRows + R, kVecs, false, false, true>...};
  return tiles[rows - kCopyRows];
}

// tile_columns of a whole panel, which writes what it reads of B to ahead.copy too, in rows kPanel apart.
inline void tile_and_copy(int64_t rows, int64_t kb, const float* a, int64_t a_row, int64_t a_col, const float* b,
                          int64_t ldb, float* t, int64_t ldt, bool add, Ahead& ahead) {
  if constexpr (kCopyRows > 0) {
    constexpr std::make_integer_sequence<int, kMaxRows[0] - kCopyRows + 1> all;
    const Tile run = copying_tile(rows, all);
    for (int64_t c = 0; c < kPanel; c += kTileColumns, ahead.copy += kTileColumns)
      run(kb, a, a_row, a_col, b + c, ldb, t + c, ldt, kTileColumns, add, &ahead);
  }
}

}  // namespace lanewise::LW_ISA
