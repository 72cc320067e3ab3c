// Random cases of the activations and of what merges arrays. Bounds: a function 2 units in the last place, the rest by
// the roundings of its equation; a gradient that is a difference of two terms, units of the larger term (the table in
// docs/numerics.md).
#include "engine/activations.h"
#include "tests/cases.h"

namespace lanewise {
namespace {

double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double cdf(double x) { return std::erfc(-x * M_SQRT1_2) / 2; }
double density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); }
double softplus(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
double argument(double x) { return 2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }
double times(double x, double s) { return s == 0 ? 0 : x * s; }  // s vanishes faster than any x grows
double gelu_tanh_term(double x) {
  const double s = sigmoid(argument(x)) * sigmoid(-argument(x));
  return times(x * 2 * std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x), s);
}
double mish_factor(double x) {  // tanh(softplus(x))
  const double e = std::exp(-std::fabs(x));
  return x < 0 ? e * (e + 2) / (e * (e + 2) + 2) : (1 + 2 * e) / (1 + 2 * e + 2 * e * e);
}
double mish_term(double x) {  // x times its derivative
  const double e = std::exp(-std::fabs(x)), b = x < 0 ? e * (e + 2) + 2 : 1 + 2 * e + 2 * e * e;
  return times(4 * x, e * (1 + e) / (b * b) * (x < 0 ? 1 : e));
}

// first + second, computed to within so many units in the last place of the larger.
Rounded of_terms(double first, double second, double ulps) {
  const double size = std::max({std::fabs(first), std::fabs(second), std::fabs(first + second)});
  return {first + second, Rounded(size).rounded(2 * ulps).e};
}

using Args = ActivationArgs;
Rounded forward(Op op, Rounded x, const Args& a, double ulps) {
  switch (op) {
    case Op::kRelu:
      return x.v <= 0 ? Rounded(0) : x;
    case Op::kSigmoid:
      return function(sigmoid, x, ulps);
    case Op::kTanh:
      return function([](double v) { return std::tanh(v); }, x, ulps);
    case Op::kExponential:
      return function([](double v) { return std::exp(v); }, x, ulps);
    case Op::kSoftplus:
      return function([&](double v) { return a.a * softplus(a.a * v); }, x, ulps);
    case Op::kSoftsign:
      return x / (1 + abs(x));
    case Op::kHardSigmoid:
      return clamp((x + a.b) / a.a, a.c, 1);
    case Op::kLeakyRelu:
      return x.v > a.b ? Rounded(std::fmin(x.v, a.c)) : a.a * (x - a.b);
    case Op::kElu:
      return x.v > 0 ? a.c * x : a.a * function([](double v) { return std::expm1(v); }, a.b * x, ulps);
    case Op::kGelu:
      return function([](double v) { return times(v, cdf(v)); }, x, ulps);
    case Op::kGeluTanh:
      return function([](double v) { return times(v, sigmoid(argument(v))); }, x, ulps);
    case Op::kSilu:
      return function([](double v) { return times(v, sigmoid(v)); }, x, ulps);
    case Op::kMish:
      return function([](double v) { return times(v, mish_factor(v)); }, x, ulps);
    case Op::kHardSilu:
      return x * clamp((x + 3.0) / 6.0, 0, 1);
    default:
      return x;
  }
}
// f' at what the kernel reads.
Rounded slope(Op op, Rounded of, const Args& a, double ulps) {
  const double x = of.v;
  switch (op) {
    case Op::kRelu:
      return x > 0 ? 1 : 0;
    case Op::kSigmoid:
      return of * (1 - of);
    case Op::kTanh:
      return 1 - of * of;
    case Op::kExponential:
      return of;
    case Op::kSoftplus:
      return -function([](double v) { return std::expm1(v); }, -abs(of), ulps);
    case Op::kSoftsign:
      return (1 - abs(of)) * (1 - abs(of));
    case Op::kLeakyRelu:
      return x > a.b ? (x > a.c ? 0 : 1) : a.a;
    case Op::kElu:
      return x > 0 ? Rounded(a.c) : Rounded(a.a) * a.b * function([](double v) { return std::exp(v); }, a.b * of, ulps);
    case Op::kGelu:
      return of_terms(cdf(x), times(x, density(x)), ulps + 0.5);
    case Op::kGeluTanh:
      return of_terms(sigmoid(argument(x)), gelu_tanh_term(x), ulps + 3);
    case Op::kSilu:
      return of_terms(sigmoid(x), times(x, sigmoid(x) * sigmoid(-x)), ulps + 1);
    case Op::kMish:
      return of_terms(mish_factor(x), mish_term(x), ulps + 3.5);
    case Op::kHardSilu:
      return x <= -3 ? Rounded(0) : x >= 3 ? Rounded(1) : of * Rounded(1.0 / 3).rounded() + 0.5;
    default:
      return 1;
  }
}

Args draw(Cases& t, Op op) {
  switch (op) {
    case Op::kSoftplus:
      return {t.coin() ? 1.0f : -1.0f, 0, 0};
    case Op::kHardSigmoid:
      return {6, 3, t.coin() ? 0.0f : -1.0f};
    case Op::kLeakyRelu:
      return {t.uniform(0, 0.5f), t.coin() ? 0.0f : 0.5f, t.coin() ? INFINITY : 1.5f};
    case Op::kElu:
      return {t.uniform(0.5f, 2), t.uniform(0.5f, 2), t.uniform(0.5f, 2)};
    default:
      return {};
  }
}

void activation(Cases& t, const ActivationInfo& info) {
  const std::string name = op_name(info.op);
  t.of((name + "_forward").c_str(), [&] {
    const int64_t rows = t.few(), cols = t.length();
    const Args args = draw(t, info.op);
    const bool in_place = t.below(4) == 0, biased = t.coin();
    const Values values = info.op == Op::kExponential && t.coin() ? Values::kPlain : Values::kAny;
    const Grid y = in_place ? t.inout(rows, cols, values, true) : t.out(rows, cols, true);
    const Grid x = in_place ? y : t.in(rows, cols, values, true);
    const Grid bias = biased ? t.in(1, cols, Values::kAny) : Grid{};
    Floats z;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) z.push_back(biased ? x(r, c) + bias[c] : x(r, c));
    (t.k.*info.forward)(x.p, x.ld, bias.p, y.p, y.ld, rows, cols, args);
    for (int64_t i = 0; i < rows * cols; ++i)
      t.holds(y(i / cols, i % cols), forward(info.op, z[static_cast<size_t>(i)], args, t.ulps()));
  });
  t.of((name + "_backward").c_str(), [&] {
    const int64_t rows = t.few(), cols = t.length();
    const Args args = draw(t, info.op);
    const bool in_place = t.below(4) == 0;
    const Grid dx = in_place ? t.inout(rows, cols, Values::kAny, true) : t.out(rows, cols, true);
    const Grid dy = in_place ? dx : t.in(rows, cols, Values::kAny, true);
    const Grid of = t.in(rows, cols, Values::kAny, true);
    Floats g;
    for (int64_t i = 0; i < rows * cols; ++i) g.push_back(dy(i / cols, i % cols));
    (t.k.*info.backward)(dy.p, dy.ld, of.p, of.ld, dx.p, dx.ld, rows, cols, args);
    const bool flat = info.op == Op::kRelu || info.op == Op::kLeakyRelu || info.op == Op::kHardSilu;
    for (int64_t i = 0; i < rows * cols; ++i) {
      const Rounded at = of(i / cols, i % cols), up = g[static_cast<size_t>(i)];
      const Rounded by = slope(info.op, at, args, t.ulps());
      const bool none = flat && by.v == 0 && by.e == 0;  // chosen, of any dy
      if (info.op == Op::kHardSigmoid)
        t.holds(dx(i / cols, i % cols), at.v > args.c && at.v < 1 ? up / args.a : 0);
      else
        t.holds(dx(i / cols, i % cols), none ? 0 : up * by);
    }
  });
}

void prelu(Cases& t) {
  const auto shapes = [&](auto&& call) {
    const int64_t rows = t.few(), cols = t.length();
    call(rows, cols, t.in(rows, cols, Values::kAny), t.in(rows, cols, Values::kAny), t.in(1, cols, Values::kAny),
         t.out(rows, cols));
  };
  t.of("prelu_forward", [&] {
    shapes([&](int64_t rows, int64_t cols, Grid x, Grid, Grid alpha, Grid y) {
      t.k.prelu_forward(x.p, alpha.p, y.p, rows, cols);
      for (int64_t i = 0; i < x.size(); ++i) t.equals(y[i], x[i] > 0 ? x[i] : alpha[i % cols] * x[i]);
    });
  });
  t.of("prelu_backward", [&] {
    shapes([&](int64_t rows, int64_t cols, Grid dy, Grid x, Grid alpha, Grid dx) {
      t.k.prelu_backward(dy.p, x.p, alpha.p, dx.p, rows, cols);
      for (int64_t i = 0; i < x.size(); ++i) t.equals(dx[i], x[i] > 0 ? dy[i] : alpha[i % cols] * dy[i]);
    });
  });
  t.of("prelu_alpha_backward", [&] {
    shapes([&](int64_t, int64_t, Grid dy, Grid x, Grid, Grid terms) {
      t.k.prelu_alpha_backward(dy.p, x.p, terms.p, x.size());
      for (int64_t i = 0; i < x.size(); ++i) t.equals(terms[i], x[i] > 0 ? 0 : dy[i] * x[i]);
    });
  });
}

void merging(Cases& t) {
  using T = KernelTable;
  const struct {
    const char* name;
    void (*T::*merge)(const float*, const float*, float*, int64_t);
    float (*f)(float, float);
  } rows[] = {
      {"add_forward", &T::add_forward, [](float a, float b) { return a + b; }},
      {"subtract_forward", &T::subtract_forward, [](float a, float b) { return a - b; }},
      {"multiply_forward", &T::multiply_forward, [](float a, float b) { return a * b; }},
      {"maximum_forward", &T::maximum_forward, [](float a, float b) { return a > b || a != a ? a : b; }},
      {"minimum_forward", &T::minimum_forward, [](float a, float b) { return a < b || a != a ? a : b; }},
      {"divide_forward", &T::divide_forward, [](float a, float b) { return a / b; }},
  };
  for (const auto& row : rows)
    t.of(row.name, [&] {
      const int64_t n = t.length();
      const Grid a = t.in(1, n, Values::kAny), b = t.in(1, n, Values::kAny), y = t.out(1, n);
      (t.k.*row.merge)(a.p, b.p, y.p, n);
      for (int64_t i = 0; i < n; ++i) t.equals(y[i], row.f(a[i], b[i]));
    });
  t.of("maximum_backward", [&] {
    const int64_t n = t.length();
    const Values values = t.coin() ? Values::kWhole : Values::kAny;  // equal ones too
    const Grid dy = t.in(1, n, Values::kAny), a = t.in(1, n, values), b = t.in(1, n, values), da = t.out(1, n);
    t.k.maximum_backward(dy.p, a.p, b.p, da.p, n);
    for (int64_t i = 0; i < n; ++i) t.equals(da[i], a[i] > b[i] ? dy[i] : a[i] < b[i] ? 0 : dy[i] * 0.5f);
  });
  t.of("dot_forward", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const Grid a = t.in(rows, cols, Values::kAny), b = t.in(rows, cols, Values::kAny), y = t.out(1, rows);
    t.k.dot_forward(a.p, b.p, y.p, rows, cols);
    for (int64_t r = 0; r < rows; ++r)
      t.holds(y[r], row_sum(cols, [&](int64_t c) { return Rounded(a(r, c)) * b(r, c); }));
  });
  t.of("dot_backward", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const Grid dy = t.in(1, rows, Values::kAny), b = t.in(rows, cols, Values::kAny), da = t.out(rows, cols);
    t.k.dot_backward(dy.p, b.p, da.p, rows, cols);
    for (int64_t i = 0; i < rows * cols; ++i) t.equals(da[i], dy[i / cols] * b[i]);
  });
}

}  // namespace

void activation_cases(Cases& cases) {
  for (int op = static_cast<int>(Op::kLinear); op <= static_cast<int>(Op::kHardSilu); ++op)
    activation(cases, activation_info(static_cast<Op>(op)));
  prelu(cases);
  merging(cases);
}

}  // namespace lanewise
