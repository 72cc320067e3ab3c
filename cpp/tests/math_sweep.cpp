// The largest error, in units in the last place, of exp, log, tanh and sigmoid over all float32 arguments (or every
// STRIDE-th), against the C library's float64 functions. A long check: minutes on one core.
//
//   g++ -std=c++20 -O3 -ffp-contract=off -Icpp -DLW_ISA=avx2 -DLW_ISA_AVX2 -mavx2 -mfma cpp/tests/math_sweep.cpp -o
//   math_sweep
//   ./math_sweep [STRIDE]
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "simd/math.h"

using namespace lanewise::LW_ISA;

namespace {

double exp_reference(double x) { return std::exp(x); }
double log_reference(double x) { return std::log(x); }
double tanh_reference(double x) { return std::tanh(x); }
double sigmoid_reference(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

// Distance of `got` from the exact value in units of the last place of the exact value rounded to float32.
double ulps(float got, double exact) {
  const auto rounded = static_cast<float>(exact);
  if (std::isnan(exact)) return std::isnan(got) ? 0 : INFINITY;
  if (std::isinf(rounded) || std::isinf(got))
    return rounded == got ? 0 : std::fabs(exact) > 0x1.fffffep127 ? 1 : INFINITY;
  const float size = std::fabs(rounded);
  const double unit = size < 0x1p-126f ? 0x1p-149 : std::ldexp(1.0, std::ilogb(size) - 23);
  return std::fabs(static_cast<double>(got) - exact) / unit;
}

template <class F>
void sweep(const char* name, F f, double (*reference)(double), uint64_t stride) {
  constexpr int L = Vec::kLanes;
  double worst = 0;
  float where = 0;
  for (uint64_t start = 0; start < (uint64_t{1} << 32); start += L * stride) {
    float x[L], y[L];
    for (int i = 0; i < L; ++i) {
      const auto bits = static_cast<uint32_t>(start + static_cast<uint64_t>(i) * stride);
      std::memcpy(&x[i], &bits, 4);
    }
    f(Vec::load(x)).store(y);
    for (int i = 0; i < L; ++i) {
      const double error = ulps(y[i], reference(static_cast<double>(x[i])));
      if (error > worst) worst = error, where = x[i];
    }
  }
  std::printf("%-8s largest error %.4f ULP, at %a (%.9g)\n", name, worst, static_cast<double>(where),
              static_cast<double>(where));
  std::fflush(stdout);
}

}  // namespace

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

int main(int argc, char** argv) {
  const uint64_t stride = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  std::printf("ISA %s, every %llu. float32 argument\n", TEXT(LW_ISA), static_cast<unsigned long long>(stride));
  sweep(
      "exp", [](Vec x) { return exp(x); }, exp_reference, stride);
  sweep(
      "log", [](Vec x) { return log(x); }, log_reference, stride);
  sweep(
      "tanh", [](Vec x) { return tanh(x); }, tanh_reference, stride);
  sweep(
      "sigmoid", [](Vec x) { return sigmoid(x); }, sigmoid_reference, stride);
  return 0;
}
