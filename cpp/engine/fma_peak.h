// The ceiling that every matrix product is measured by.
#pragma once

namespace lanewise {

// FLOP/s of multiply-adds in registers alone, `threads` threads together, with the active ISA: the best of some
// milliseconds.
double fma_peak(int threads);

}  // namespace lanewise
