// What the FMA units give at best: independent chains in registers, as many as the matmul tile has accumulators.
#include "kernels/declare.h"
#include "kernels/matmul_tile.h"

namespace lanewise::LW_ISA {

// x_i = a * x_i + b, with |a| < 1: the values tend to b / (1 - a), no overflow and no subnormals.
void fma_chains(const float* values, int64_t passes, float* sum, int64_t* flops) {
  constexpr int kChains = kMaxRows[0] * kVecs;
  Vec x[kChains];
  const Vec a = Vec::set1(values[0]), b = Vec::set1(values[1]);
  LW_UNROLL for (int i = 0; i < kChains; ++i) x[i] = Vec::set1(static_cast<float>(i));
  for (int64_t p = 0; p < passes; ++p) {
    LW_UNROLL for (int i = 0; i < kChains; ++i) x[i] = fma(a, x[i], b);
  }
  Vec total = Vec::zero();
  LW_UNROLL for (int i = 0; i < kChains; ++i) total = total + x[i];
  float lanes[Vec::kLanes];
  total.store(lanes);
  *sum = lanes[0];
  *flops = passes * kChains * Vec::kLanes * 2;
}

}  // namespace lanewise::LW_ISA
