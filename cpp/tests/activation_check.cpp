// Elementwise activations and prelu against float64. Bounds are in units of u = 2^-24: of the result, and of the input
// that it is made from.
#include <cmath>

#include "engine/activations.h"
#include "tests/check.h"

namespace lanewise {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double normal_cdf(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }
double normal_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); }
double softplus(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
double cut(double x, double low, double high) { return std::fmin(std::fmax(x, low), high); }
constexpr double kRoot = 0.79788456080286536;  // sqrt(2 / pi)
double tanh_argument(double x) { return 2 * kRoot * (x + 0.044715 * x * x * x); }
double tanh_argument_slope(double x) { return 2 * kRoot * (1 + 3 * 0.044715 * x * x); }

struct Case {
  Op op;
  ActivationArgs args;
  double (*f)(double);
  double (*slope)(double);  // in terms of what backward reads
  double bound;             // |result| * bound * u, and |dy| (1 + |x|) * bound * u
};
const Case kCases[] = {
    {Op::kLinear, {}, [](double x) { return x; }, [](double) { return 1.0; }, 1},
    {Op::kRelu, {}, [](double x) { return x > 0 ? x : 0.0; }, [](double y) { return y > 0 ? 1.0 : 0.0; }, 1},
    {Op::kSigmoid, {}, sigmoid, [](double y) { return y * (1 - y); }, 4},
    {Op::kTanh, {}, [](double x) { return std::tanh(x); }, [](double y) { return 1 - y * y; }, 4},
    {Op::kExponential, {}, [](double x) { return std::exp(x); }, [](double y) { return y; }, 4},
    {Op::kSoftplus, {1, 0, 0}, softplus, [](double y) { return -std::expm1(-y); }, 6},
    {Op::kSoftplus,
     {-1, 0, 0},
     [](double x) { return -softplus(-x); },
     [](double y) { return -std::expm1(-std::fabs(y)); },
     6},
    {Op::kSoftsign,
     {},
     [](double x) { return x / (1 + std::fabs(x)); },
     [](double y) { return (1 - std::fabs(y)) * (1 - std::fabs(y)); },
     4},
    {Op::kHardSigmoid,
     {6, 3, 0},
     [](double x) { return cut((x + 3) / 6, 0, 1); },
     [](double y) { return y > 0 && y < 1 ? 1.0 / 6 : 0.0; },
     4},
    {Op::kLeakyRelu,
     {0.25f, 1, 3},
     [](double x) { return x > 1 ? std::fmin(x, 3) : 0.25 * (x - 1); },
     [](double x) { return x > 3   ? 0.0
                           : x > 1 ? 1.0
                                   : 0.25; },
     3},
    {Op::kElu,
     {0.5f, 2, 1.25f},
     [](double x) { return x > 0 ? 1.25 * x : 0.5 * std::expm1(2 * x); },
     [](double x) { return x > 0 ? 1.25 : std::exp(2 * x); },
     6},
    {Op::kGelu,
     {},
     [](double x) { return x * normal_cdf(x); },
     [](double x) { return normal_cdf(x) + x * normal_density(x); },
     5},
    {Op::kGeluTanh,
     {},
     [](double x) { return x * sigmoid(tanh_argument(x)); },
     [](double x) {
       const double s = sigmoid(tanh_argument(x));
       return s + x * s * (1 - s) * tanh_argument_slope(x);
     },
     5},
    {Op::kSilu,
     {},
     [](double x) { return x * sigmoid(x); },
     [](double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); },
     6},
    {Op::kMish,
     {},
     [](double x) { return x * std::tanh(softplus(x)); },
     [](double x) {
       const double w = std::tanh(softplus(x));
       return w + x * (1 - w * w) * sigmoid(x);
     },
     5},
    {Op::kHardSilu,
     {},
     [](double x) { return x * cut((x + 3) / 6, 0, 1); },
     [](double x) { return x <= -3  ? 0.0
                           : x >= 3 ? 1.0
                                    : x / 3 + 0.5; },
     6},
};

void check(const KernelTable& k, const Case& c, std::map<std::string, Hash>& hashes) {
  const ActivationInfo& info = activation_info(c.op);
  const std::string name = op_name(c.op);
  for (int64_t cols : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 513, 1025}) {
    const int64_t rows = 3, ld = cols + 5;
    const Floats x = random_floats(rows * ld, 7), bias = random_floats(cols, 1), dy = random_floats(rows * ld);
    Floats z(x.size(), NAN), y(x.size(), NAN), dx(x.size(), NAN);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < cols; ++j)
        z[static_cast<size_t>(r * ld + j)] = x[static_cast<size_t>(r * ld + j)] + bias[static_cast<size_t>(j)];
    (k.*info.forward)(x.data(), ld, bias.data(), y.data(), ld, rows, cols, c.args);
    const Floats& of = info.of_input ? z : y;
    (k.*info.backward)(dy.data(), ld, of.data(), ld, dx.data(), ld, rows, cols, c.args);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < ld; ++j) {
        const auto i = static_cast<size_t>(r * ld + j);
        if (j >= cols) {
          expect(std::isnan(y[i]) && std::isnan(dx[i]), k.isa, "write beyond a row", cols, y[i], NAN);
          continue;
        }
        const double wanted = c.f(z[i]), slope = c.slope(of[i]) * dy[i];
        expect_within(k.isa, name.c_str(), cols, y[i], wanted, c.bound * kU * std::fabs(wanted));
        const double room = c.bound * kU * std::fabs(dy[i]) * (1 + std::fabs(static_cast<double>(of[i])));
        expect_within(k.isa, (name + "_backward").c_str(), cols, dx[i], slope, room);
      }
      hashes[name + "_forward"].add(&y[static_cast<size_t>(r * ld)], static_cast<size_t>(cols));
      hashes[name + "_backward"].add(&dx[static_cast<size_t>(r * ld)], static_cast<size_t>(cols));
    }
    // without a bias, rows one after another: the same values
    Floats flat(static_cast<size_t>(rows * cols)), out(flat.size());
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(&flat[static_cast<size_t>(r * cols)], &z[static_cast<size_t>(r * ld)],
                  static_cast<size_t>(cols) * sizeof(float));
    (k.*info.forward)(flat.data(), cols, nullptr, out.data(), cols, rows, cols, c.args);
    for (int64_t r = 0; r < rows; ++r)
      expect(std::memcmp(&out[static_cast<size_t>(r * cols)], &y[static_cast<size_t>(r * ld)],
                         static_cast<size_t>(cols) * sizeof(float)) == 0,
             k.isa, "flat and by rows", cols, 0, 0);
  }
}

void check_prelu(const KernelTable& k, std::map<std::string, Hash>& hashes) {
  for (int64_t cols : {1, 2, 7, 16, 17, 33, 97}) {
    const int64_t rows = 5, n = rows * cols;
    const Floats x = random_floats(n), dy = random_floats(n), alpha = random_floats(cols, 1);
    Floats y(x.size()), dx(x.size()), terms(x.size());
    k.prelu_forward(x.data(), alpha.data(), y.data(), rows, cols);
    k.prelu_backward(dy.data(), x.data(), alpha.data(), dx.data(), rows, cols);
    k.prelu_alpha_backward(dy.data(), x.data(), terms.data(), n);
    for (int64_t e = 0; e < n; ++e) {
      const auto i = static_cast<size_t>(e), c = static_cast<size_t>(e % cols);
      expect(y[i] == (x[i] > 0 ? x[i] : alpha[c] * x[i]), k.isa, "prelu", cols, y[i], 0);
      expect(dx[i] == (x[i] > 0 ? dy[i] : alpha[c] * dy[i]), k.isa, "prelu_backward", cols, dx[i], 0);
      expect(terms[i] == (x[i] > 0 ? 0 : dy[i] * x[i]), k.isa, "prelu_alpha_backward", cols, terms[i], 0);
    }
    hashes["prelu_forward"].add(y);
    hashes["prelu_backward"].add(dx);
    hashes["prelu_alpha_backward"].add(terms);
  }
}

}  // namespace

void check_activations(const KernelTable& table, std::map<std::string, Hash>& hashes) {
  for (const Case& c : kCases) check(table, c, hashes);
  check_prelu(table, hashes);
}

}  // namespace lanewise
