#include "engine/fma_peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "dispatch/dispatch.h"
#include "engine/team.h"

namespace lanewise {

double fma_peak(int threads) {
  constexpr int kRepeats = 16;
  using Clock = std::chrono::steady_clock;
  const KernelTable& table = kernels();
  const float values[2] = {0.5f, 1.0f};
  const auto measure = [&](int64_t passes) {  // FLOP/s of the calling thread
    float sum = 0;
    int64_t flops = 0;
    const auto begun = Clock::now();
    table.fma_chains(values, passes, &sum, &flops);
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    return sum > 0 ? static_cast<double>(flops) / seconds : 0.0;
  };
  int64_t passes = 1 << 10, flops = 0;
  float sum = 0;
  table.fma_chains(values, 1, &sum, &flops);
  while (static_cast<double>(passes * flops) < 5e-4 * measure(passes)) passes *= 2;  // half a millisecond

  const TeamShare share(threads);
  double best = 0;
  std::vector<double> rates(static_cast<size_t>(share.count()));
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    std::fill(rates.begin(), rates.end(), 0.0);
    Barrier together;
    run_team(share.count(), [&](int thread, int team) {
      together.wait(team);
      rates[static_cast<size_t>(thread)] = measure(passes);
    });
    double sum_of_rates = 0;
    for (double rate : rates) sum_of_rates += rate;
    best = std::max(best, sum_of_rates);
  }
  return best;
}

}  // namespace lanewise
