// Random numbers and column statistics that are the same on every machine: integers from Philox, then only operations
// that IEEE 754 rounds correctly, in float64 and a fixed order.
#pragma once
#include <cstdint>
#include <functional>

#include "engine/source.h"
#include "kernels/kernels.h"

namespace lanewise {

// n values in [0, 1) with 53 random bits each.
void random_uniform(const PhiloxKey& key, int64_t n, double* out);
// n standard normal values between lower and upper (values outside are drawn again).
void random_normal(const PhiloxKey& key, int64_t n, double lower, double upper, double* out);
// A uniform permutation of 0..n-1. `between` is called every few milliseconds; what it throws ends the work.
void permutation(uint64_t seed, uint64_t step, int64_t n, uint32_t* out, const std::function<void()>& between);
// Mean and variance of each column, two-pass, rows in ascending order within 16 chains (the rule of column_sum).
void column_moments(const Source& source, double* mean, double* variance);

}  // namespace lanewise
