// The largest errors of the elementary functions and of the activations and their gradients over all finite float32
// arguments (or every STRIDE-th), against float64 functions. A long check: run_math_sweep.sh runs it in pieces.
//
//   math_sweep [STRIDE [NAME [PIECE PIECES]]]
//
// Errors are in units in the last place (ULP) of the exact value, of 2^-149 where that is subnormal. A gradient that is
// a difference of two terms has the ULP of the larger one: where they cancel, no digit of the difference is promised.
//
// The references have no branches, so that the compiler can take four at a time from the vector library of glibc
// (within 4 ULP of float64, which is 2^-27 of an ULP here); run_math_sweep.sh shows it the declarations.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "kernels/activations.cpp"

using namespace lanewise::LW_ISA;

namespace {

using D = double;
inline D larger(D a, D b) { return a > b ? a : b; }
inline D least(D a, D b) { return a < b ? a : b; }
inline D cut(D x, D low, D high) { return larger(low, least(x, high)); }
inline D tail(D x) { return std::exp(-std::fabs(x)); }
inline D sigmoid64(D x) { return (x < 0 ? tail(x) : 1) / (1 + tail(x)); }
inline D cdf64(D x) { return std::erfc(-x * M_SQRT1_2) / 2; }
inline D density64(D x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); }
inline D softplus64(D x) { return larger(x, 0) + std::log1p(tail(x)); }
inline D mish_factor64(D x) {  // tanh(softplus(x))
  const D e = tail(x), negative = e * (e + 2), positive = 1 + 2 * e;
  return x < 0 ? negative / (negative + 2) : positive / (positive + 2 * e * e);
}
inline D mish_rise64(D x) {  // x times its derivative
  const D e = tail(x), b = x < 0 ? e * (e + 2) + 2 : 1 + 2 * e + 2 * e * e;
  return 4 * x * e * (1 + e) / (b * b) * (x < 0 ? 1 : e);
}
inline D tanh_argument64(D x) { return 2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }
inline D tanh_rise64(D x) {
  return x * sigmoid64(tanh_argument64(x)) * sigmoid64(-tanh_argument64(x)) * 2 * std::sqrt(2 / M_PI) *
         (1 + 3 * 0.044715 * x * x);
}

// One unit in the last place of a finite float32 >= 0 that `size` rounds to.
inline D unit(D size) {
  const D rounded = static_cast<D>(static_cast<float>(size));
  uint64_t bits;
  std::memcpy(&bits, &rounded, 8);
  bits = (bits & 0x7FF0000000000000u) - (uint64_t{23} << 52);
  D u;
  std::memcpy(&u, &bits, 8);
  return rounded < 0x1p-126 ? 0x1p-149 : u;
}

// |got - exact| in units in the last place of exact, or of the larger term where it is the sum of `term` and another.
// An infinity is right where rounding gives one, 1 where the exact value is beyond the largest float, else infinitely
// wrong; so is a NaN (x is finite).
inline D ulps(float got, D exact, D term) {
  const auto rounded = static_cast<float>(exact);
  const D size = larger(std::fabs(exact), term == 0 ? 0 : larger(std::fabs(term), std::fabs(exact - term)));
  const D apart = std::fabs(static_cast<D>(got) - exact) / unit(least(size, 0x1.fffffep127));
  const D overflow = std::fabs(exact) > 0x1.fffffep127 ? 1 : INFINITY;
  const bool infinite = std::fabs(rounded) > 0x1.fffffep127f || std::fabs(got) > 0x1.fffffep127f;
  return got == rounded ? (infinite ? 0 : apart) : infinite ? overflow : got == got ? apart : INFINITY;
}

uint64_t stride = 1, piece = 0, pieces = 1;
const char* wanted = "";

constexpr auto kNoTerm = [](D) { return 0.0; };

// term: the first of two whose sum the result is.
template <class F, class R, class T = decltype(kNoTerm)>
__attribute__((noinline)) void sweep(const char* name, F f, R reference, T term = kNoTerm) {
  if (*wanted && std::strcmp(name, wanted) != 0) return;
  constexpr int L = Vec::kLanes, kBlock = 1024;
  D worst = 0;
  float where = 0, x[kBlock], y[kBlock];
  D exact[kBlock], terms[kBlock], errors[kBlock];
  const uint64_t count = ((uint64_t{1} << 32) + stride - 1) / stride;
  for (uint64_t i = count / pieces * piece, end = piece + 1 == pieces ? count : count / pieces * (piece + 1); i < end;
       i += kBlock) {
    for (int j = 0; j < kBlock; ++j) {
      auto bits = static_cast<uint32_t>((i + static_cast<uint64_t>(j)) * stride);
      bits = (bits & 0x7F800000u) == 0x7F800000u ? 0 : bits;  // finite
      std::memcpy(&x[j], &bits, 4);
    }
    for (int j = 0; j < kBlock; j += L) f(Vec::load(x + j)).store(y + j);
    for (int j = 0; j < kBlock; ++j) exact[j] = reference(static_cast<D>(x[j]));
    for (int j = 0; j < kBlock; ++j) terms[j] = term(static_cast<D>(x[j]));
    D most = 0;
    for (int j = 0; j < kBlock; ++j) errors[j] = ulps(y[j], exact[j], terms[j]);
    for (int j = 0; j < kBlock; ++j) most = larger(errors[j], most);
    if (most > worst) {
      worst = most;
      for (int j = 0; j < kBlock; ++j)
        if (errors[j] == most) where = x[j];
    }
  }
  std::printf("%-14s %8.3f ULP, at %a (%.9g)\n", name, worst, static_cast<D>(where), static_cast<D>(where));
  std::fflush(stdout);
}

Args numbers(float a, float b, float c) { return {Vec::set1(a), Vec::set1(b), Vec::set1(c)}; }

template <class F, class R>
void value(const char* name, R reference, Args args = numbers(0, 0, 0)) {
  sweep(
      name, [=](Vec x) { return F::forward(x, args); }, reference);
}
// The gradient of dy = 1 by the input.
template <class F, class R, class T = decltype(kNoTerm)>
void slope(const char* name, R reference, T term = kNoTerm, Args args = numbers(0, 0, 0)) {
  sweep(
      name, [=](Vec x) { return F::backward(one(), x, args); }, reference, term);
}

constexpr float kSelu = 1.0507009873554805f, kSeluBelow = static_cast<float>(1.6732632423543772 * 1.0507009873554805);

}  // namespace

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

int main(int argc, char** argv) {
  if (argc > 1) stride = std::strtoull(argv[1], nullptr, 10);
  if (argc > 2) wanted = argv[2];
  if (argc > 4) piece = std::strtoull(argv[3], nullptr, 10), pieces = std::strtoull(argv[4], nullptr, 10);
  const auto plain = [](const char* name, auto f, auto reference) { sweep(name, f, reference); };
  plain(
      "exp", [](Vec x) { return exp(x); }, [](D x) { return std::exp(x); });
  plain(
      "log", [](Vec x) { return log(abs(x)); }, [](D x) { return std::log(std::fabs(x)); });
  plain(
      "tanh", [](Vec x) { return tanh(x); }, [](D x) { return std::tanh(x); });
  plain(
      "sigmoid", [](Vec x) { return sigmoid(x); }, [](D x) { return sigmoid64(x); });
  // expm1 is for x <= 88, log1p for x >= 0
  const auto capped = [](Vec x) { return expm1(min(Vec::set1(88.0f), x)); };
  plain("expm1", capped, [](D x) { return std::expm1(least(x, 88)); });
  plain(
      "log1p", [](Vec x) { return log1p_positive(abs(x)); }, [](D x) { return std::log1p(std::fabs(x)); });
  value<Softplus>(
      "softplus", [](D x) { return softplus64(x); }, numbers(1, 0, 0));
  value<Softplus>(
      "log_sigmoid", [](D x) { return -softplus64(-x); }, numbers(-1, 0, 0));
  value<Softsign>("softsign", [](D x) { return x / (1 + std::fabs(x)); });
  value<HardSigmoid>(
      "hard_sigmoid", [](D x) { return cut((x + 3) / 6, 0, 1); }, numbers(6, 3, 0));
  value<HardSilu>("hard_silu", [](D x) { return x * cut((x + 3) / 6, 0, 1); });
  const auto half = [](D) { return 0.5; };
  slope<HardSilu>(
      "hard_silu'", [](D x) { return x <= -3  ? 0
                                     : x >= 3 ? 1
                                              : x / 3 + 0.5; }, half);
  const Args fifth = numbers(0.2f, 0, INFINITY);
  value<LeakyRelu>(
      "leaky_relu", [](D x) { return x > 0 ? x : static_cast<D>(0.2f) * x; }, fifth);
  slope<LeakyRelu>(
      "leaky_relu'", [](D x) { return x > 0 ? 1 : static_cast<D>(0.2f); }, kNoTerm, fifth);
  const Args ones = numbers(1, 1, 1), selu = numbers(kSeluBelow, 1, kSelu);
  value<Elu>(
      "elu", [](D x) { return x > 0 ? x : std::expm1(least(x, 0)); }, ones);
  slope<Elu>(
      "elu'", [](D x) { return std::exp(least(x, 0)); }, kNoTerm, ones);
  const auto selu64 = [](D x) { return x > 0 ? D{kSelu} * x : D{kSeluBelow} * std::expm1(least(x, 0)); };
  value<Elu>("selu", selu64, selu);
  slope<Elu>(
      "selu'", [](D x) { return (x > 0 ? D{kSelu} : D{kSeluBelow}) * std::exp(least(x, 0)); }, kNoTerm, selu);
  value<Gelu>("gelu", [](D x) { return x * cdf64(x); });
  slope<Gelu>(
      "gelu'", [](D x) { return cdf64(x) + x * density64(x); }, [](D x) { return cdf64(x); });
  const auto logistic = [](D x) { return sigmoid64(tanh_argument64(x)); };
  value<GeluTanh>("gelu_tanh", [=](D x) { return x * logistic(x); });
  slope<GeluTanh>(
      "gelu_tanh'", [=](D x) { return logistic(x) + tanh_rise64(cut(x, -1e6, 1e6)); }, logistic);
  value<Silu>("silu", [](D x) { return x * sigmoid64(x); });
  slope<Silu>(
      "silu'", [](D x) { return sigmoid64(x) * (1 + x * sigmoid64(-x)); }, [](D x) { return sigmoid64(x); });
  value<Mish>("mish", [](D x) { return x * mish_factor64(x); });
  slope<Mish>(
      "mish'", [](D x) { return mish_factor64(x) + mish_rise64(x); }, [](D x) { return mish_factor64(x); });
  return 0;
}
