// A plain function on as many threads as its work deserves.
#pragma once

#include "bindings/gil.h"
#include "engine/team.h"

namespace lanewise {

// Work, in elements read and written, below which one thread is faster than opening a region (1 to 2 us).
constexpr int64_t kParallelElements = 1 << 18;

// body(begin, end) over `total` units on as many threads as `elements` of work deserve. The GIL is released for long
// work only: giving it up costs more than a small kernel.
template <class Body>
void parallel(int64_t total, int64_t elements, Body body) {
  if (elements < kParallelElements) {
    const FloatEnvironment environment;
    return body(int64_t{0}, total);
  }
  GilReleased release;
  const TeamShare team(get_num_threads());
  run_team(team.count(), [&](int thread, int threads) {
    const Range r = share(total, thread, threads);
    if (r.begin < r.end) body(r.begin, r.end);
  });
}

}  // namespace lanewise
