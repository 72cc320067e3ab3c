// The largest errors of the elementary functions and of the activations and their gradients over all float32 arguments
// (or every STRIDE-th), against the C library's float64 functions; as the table of docs/numerics.md. A long check:
// minutes on one core with stride 1.
//
//   g++ -std=c++20 -O3 -ffp-contract=off -Icpp -DLW_ISA=avx2 -DLW_ISA_AVX2 -mavx2 -mfma cpp/tests/math_sweep.cpp -o
//   math_sweep
//   ./math_sweep [STRIDE [PART OF A NAME]]
//
// Errors are in units in the last place (ULP) of the exact value, of 2^-149 where that is subnormal. A gradient that is
// a difference of two terms has the ULP of the larger one: where they cancel, no digit of the difference is promised.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "kernels/activations.cpp"

using namespace lanewise::LW_ISA;

namespace {

using Reference = double (*)(double);

double sigmoid64(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double cdf64(double x) { return std::erfc(-x * M_SQRT1_2) / 2; }
double density64(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); }
double softplus64(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
double mish_factor64(double x) {  // tanh(softplus(x))
  const double e = std::exp(-std::fabs(x));
  return x < 0 ? e * (e + 2) / (e * (e + 2) + 2) : (1 + 2 * e) / (1 + 2 * e + 2 * e * e);
}
double mish_rise64(double x) {  // x times its derivative
  const double e = std::exp(-std::fabs(x)), b = x < 0 ? e * (e + 2) + 2 : 1 + 2 * e + 2 * e * e;
  return 4 * x * e * (1 + e) / (b * b) * (x < 0 ? 1 : e);
}
double tanh_argument64(double x) { return 2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }
double tanh_rise64(double x) {
  return x * sigmoid64(tanh_argument64(x)) * sigmoid64(-tanh_argument64(x)) * 2 * std::sqrt(2 / M_PI) *
         (1 + 3 * 0.044715 * x * x);
}
double cut64(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

double unit(double exact) {
  const double size = std::fabs(static_cast<double>(static_cast<float>(exact)));
  return size < 0x1p-126 ? 0x1p-149 : std::ldexp(1.0, std::ilogb(size) - 23);
}

// |got - exact| in units in the last place of exact, or of the larger term where it is the sum of `term` and another.
double ulps(float got, double exact, double term) {
  const auto rounded = static_cast<float>(exact);
  if (std::isnan(exact)) return std::isnan(got) ? 0 : INFINITY;
  if (std::isinf(rounded) || std::isinf(got))
    return rounded == got ? 0 : std::fabs(exact) > 0x1.fffffep127 ? 1 : INFINITY;
  return std::fabs(static_cast<double>(got) - exact) /
         unit(std::fmax(std::fabs(exact), term == 0 ? 0 : std::fmax(std::fabs(term), std::fabs(exact - term))));
}

uint64_t stride = 1;
const char* wanted = nullptr;

// term: the first of two whose sum the result is; null: the result is one.
template <class F>
void sweep(const char* name, F f, Reference reference, Reference term = nullptr) {
  if (wanted && !std::strstr(name, wanted)) return;
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
      const double wide = static_cast<double>(x[i]);
      if (!std::isfinite(wide)) continue;
      const double error = ulps(y[i], reference(wide), term ? term(wide) : 0);
      if (error > worst) worst = error, where = x[i];
    }
  }
  std::printf("%-22s %8.3f ULP, at %a (%.9g)\n", name, worst, static_cast<double>(where), static_cast<double>(where));
  std::fflush(stdout);
}

Args numbers(float a, float b, float c) { return {Vec::set1(a), Vec::set1(b), Vec::set1(c)}; }

// Forward, and the gradient of dy = 1 by the input.
template <class F>
void activation(const char* name, Reference value, Reference slope, Reference term, Args args = numbers(0, 0, 0)) {
  char gradient[64];
  std::snprintf(gradient, sizeof gradient, "%s'", name);
  sweep(
      name, [=](Vec x) { return F::forward(x, args); }, value);
  if (slope)
    sweep(
        gradient, [=](Vec x) { return F::backward(one(), x, args); }, slope, term);
}

constexpr float kSelu = 1.0507009873554805f, kSeluBelow = static_cast<float>(1.6732632423543772 * 1.0507009873554805);

}  // namespace

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

int main(int argc, char** argv) {
  if (argc > 1) stride = std::strtoull(argv[1], nullptr, 10);
  if (argc > 2) wanted = argv[2];
  std::printf("ISA %s, every %llu. float32 argument\n", TEXT(LW_ISA), static_cast<unsigned long long>(stride));
  using D = double;
  sweep(
      "exp", [](Vec x) { return exp(x); }, [](D x) { return std::exp(x); });
  sweep(
      "log", [](Vec x) { return log(x); }, [](D x) { return std::log(x); });
  sweep(
      "tanh", [](Vec x) { return tanh(x); }, [](D x) { return std::tanh(x); });
  sweep(
      "sigmoid", [](Vec x) { return sigmoid(x); }, sigmoid64);
  sweep(
      "expm1, x <= 88", [](Vec x) { return expm1(min(Vec::set1(88.0f), x)); },
      [](D x) { return std::expm1(std::fmin(x, 88)); });
  sweep(
      "log1p, x >= 0", [](Vec x) { return log1p_positive(abs(x)); }, [](D x) { return std::log1p(std::fabs(x)); });
  activation<Softplus>("softplus", softplus64, nullptr, nullptr, numbers(1, 0, 0));
  activation<Softplus>(
      "log_sigmoid", [](D x) { return -softplus64(-x); }, nullptr, nullptr, numbers(-1, 0, 0));
  activation<Softsign>(
      "softsign", [](D x) { return x / (1 + std::fabs(x)); }, nullptr, nullptr);
  activation<HardSigmoid>(
      "hard_sigmoid", [](D x) { return cut64((x + 3) / 6, 0, 1); }, nullptr, nullptr, numbers(6, 3, 0));
  activation<HardSilu>(
      "hard_silu", [](D x) { return x * cut64((x + 3) / 6, 0, 1); },
      [](D x) { return x <= -3  ? 0
                       : x >= 3 ? 1
                                : x / 3 + 0.5; }, [](D) { return 0.5; });
  activation<LeakyRelu>(
      "leaky_relu", [](D x) { return x > 0 ? x : static_cast<D>(0.2f) * x; },
      [](D x) { return x > 0 ? 1 : static_cast<D>(0.2f); }, nullptr, numbers(0.2f, 0, INFINITY));
  activation<Elu>(
      "elu", [](D x) { return x > 0 ? x : std::expm1(x); }, [](D x) { return x > 0 ? 1 : std::exp(x); }, nullptr,
      numbers(1, 1, 1));
  activation<Elu>(
      "selu", [](D x) { return x > 0 ? static_cast<D>(kSelu) * x : static_cast<D>(kSeluBelow) * std::expm1(x); },
      [](D x) { return x > 0 ? static_cast<D>(kSelu) : static_cast<D>(kSeluBelow) * std::exp(x); }, nullptr,
      numbers(kSeluBelow, 1, kSelu));
  activation<Gelu>(
      "gelu", [](D x) { return x * cdf64(x); }, [](D x) { return cdf64(x) + x * density64(x); }, cdf64);
  activation<GeluTanh>(
      "gelu_tanh", [](D x) { return x * sigmoid64(tanh_argument64(x)); },
      [](D x) { return sigmoid64(tanh_argument64(x)) + tanh_rise64(x); },
      [](D x) { return sigmoid64(tanh_argument64(x)); });
  activation<Silu>(
      "silu", [](D x) { return x * sigmoid64(x); }, [](D x) { return sigmoid64(x) * (1 + x * sigmoid64(-x)); },
      sigmoid64);
  activation<Mish>(
      "mish", [](D x) { return x * mish_factor64(x); }, [](D x) { return mish_factor64(x) + mish_rise64(x); },
      mish_factor64);
  return 0;
}
