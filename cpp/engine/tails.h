// The end of each thread's share of a product, for whoever comes first. Equal shares end together only on cores that
// are equally fast, and few are: another program runs on one of them, or on its other hyperthread, a thread of the team
// still wakes up, or some cores are smaller ones. On two cores of a virtual Emerald Rapids one half of 512x512x512
// takes 1.1 to 1.5 times as long as the other. Who computes what changes no bit.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>

#include "engine/team.h"
#include "kernels/matmul.h"

namespace lanewise {

// Rows [i0, i1) and panels [p0, p1) of a result.
struct Rect {
  int64_t i0, i1, p0, p1;
};

// A share, cut into what its owner does first and equal chunks behind that: of rows, or of panels.
struct Cut {
  Rect first;
  bool by_rows = false;
  int64_t size = 0, chunks = 0;

  Cut(const Matmul& mm, const MatmulPlan& plan, const Rect& share);
  Rect between(int64_t c, int64_t end) const {  // chunks [c, end)
    Rect r = first;
    if (by_rows)
      r.i0 = first.i1 + c * size, r.i1 = first.i1 + end * size;
    else
      r.p0 = first.p1 + c * size, r.p1 = first.p1 + end * size;
    return r;
  }
};

// Of one thread's share of one product. Upper halves of words are the round that they are of, so that nobody has to
// begin a round; rounds count from 1.
struct alignas(64) Tail {
  std::atomic<uint64_t> next{0};      // chunk
  std::atomic<uint64_t> earliest{0};  // of thread 0's: the time at which the first of the team came to its tail

  // The first of at most `some` chunks for the caller alone; `chunks` where all are taken.
  int64_t take(uint32_t round, int64_t some, int64_t chunks) {
    uint64_t seen = next.load(std::memory_order_relaxed);
    for (;;) {
      const int64_t chunk = seen >> 32 == round ? static_cast<int64_t>(seen & UINT32_MAX) : 0;
      if (chunk >= chunks) return chunks;
      const auto end = static_cast<uint64_t>(chunk + some);
      if (next.compare_exchange_weak(seen, uint64_t{round} << 32 | end, std::memory_order_relaxed)) return chunk;
    }
  }
  // Whether another thread came to its tail long before `now`, for one who began at `begun`.
  bool is_late(uint32_t round, uint32_t begun, uint32_t now) {
    uint64_t seen = earliest.load(std::memory_order_relaxed);
    while (seen >> 32 != round)
      if (earliest.compare_exchange_weak(seen, uint64_t{round} << 32 | now, std::memory_order_relaxed)) return false;
    const auto after = static_cast<int32_t>(now - static_cast<uint32_t>(seen));
    return 20 * static_cast<double>(after) > static_cast<double>(now - begun);
  }
  static uint32_t now() {  // about microseconds
    return static_cast<uint32_t>(std::chrono::steady_clock::now().time_since_epoch().count() >> 10);
  }
};

// How a team shares a product: column panels, or rows, of a variable (row_panels) whole groups of kPanel; tails: of
// each thread, null where every thread keeps its share.
struct Sharing {
  bool by_columns, row_panels = false;
  Tail* tails = nullptr;
  uint32_t round = 1;
};

// Whether the product is so large that tails pay, and a share has chunks.
bool has_tails(const Matmul& mm, const Sharing& how, int threads);

}  // namespace lanewise
