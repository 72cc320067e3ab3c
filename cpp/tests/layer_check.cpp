// Batch and row normalisation, column moments, scales, pooling: forward against float64, backward against differences
// of the float64 forward.
#include <algorithm>

#include "check.h"

namespace lanewise {
namespace {

using Doubles = std::vector<double>;
constexpr float kEpsilon = 1e-3f;

Doubles wide(const Floats& v) { return {v.begin(), v.end()}; }

// Rows by the statistics of `group` (columns: stride cols, rows: stride 1), y = xhat * gamma[c] + beta[c].
Doubles batch_norm(const Doubles& x, const Doubles& gamma, const Doubles& beta, int64_t rows, int64_t cols) {
  Doubles y(x.size());
  for (int64_t c = 0; c < cols; ++c) {
    double mean = 0, variance = 0;
    for (int64_t r = 0; r < rows; ++r) mean += x[static_cast<size_t>(r * cols + c)] / static_cast<double>(rows);
    for (int64_t r = 0; r < rows; ++r)
      variance += std::pow(x[static_cast<size_t>(r * cols + c)] - mean, 2) / static_cast<double>(rows);
    for (int64_t r = 0; r < rows; ++r) {
      const auto i = static_cast<size_t>(r * cols + c), j = static_cast<size_t>(c);
      y[i] = (x[i] - mean) / std::sqrt(variance + static_cast<double>(kEpsilon)) * gamma[j] + beta[j];
    }
  }
  return y;
}

Doubles row_norm(const Doubles& x, const Doubles& gamma, const Doubles& beta, RowNorm how, int64_t rows, int64_t cols) {
  Doubles y(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, squares = 0;
    for (int64_t c = 0; how.center && c < cols; ++c)
      mean += x[static_cast<size_t>(r * cols + c)] / static_cast<double>(cols);
    for (int64_t c = 0; c < cols; ++c) squares += std::pow(x[static_cast<size_t>(r * cols + c)] - mean, 2);
    const double norm = how.unit ? std::sqrt(squares)
                                 : std::sqrt(squares / static_cast<double>(cols) + static_cast<double>(how.epsilon));
    for (int64_t c = 0; c < cols; ++c) {
      const auto i = static_cast<size_t>(r * cols + c), j = static_cast<size_t>(c);
      y[i] = (x[i] - mean) / norm;
      if (!how.unit) y[i] = y[i] * gamma[j] + beta[j];
    }
  }
  return y;
}

struct LayerChecker {
  const KernelTable& k;
  Hash hash{};

  // dx against central differences of sum(dy * forward(x)) in a few elements.
  template <class Forward>
  void differences(const char* what, const Floats& x, const Floats& dy, const Floats& dx, Forward forward) {
    double size = 0;
    for (float v : dx) size = std::max(size, static_cast<double>(std::fabs(v)));
    for (size_t i = 0; i < x.size(); i += 1 + x.size() / 7) {
      double slope = 0;
      const double h = 1e-5;
      for (double sign : {1.0, -1.0}) {
        Doubles moved = wide(x);
        moved[i] += sign * h;
        const Doubles y = forward(moved);
        for (size_t e = 0; e < y.size(); ++e) slope += sign * static_cast<double>(dy[e]) * y[e] / (2 * h);
      }
      expect_within(k.isa, what, static_cast<int64_t>(x.size()), static_cast<double>(dx[i]), slope, 1e-4 * (size + 1));
    }
  }

  void near(const char* what, const Floats& got, const Doubles& wanted, double bound) {
    for (size_t i = 0; i < got.size(); ++i)
      expect_within(k.isa, what, static_cast<int64_t>(got.size()), static_cast<double>(got[i]), wanted[i],
                    bound * (1 + std::fabs(wanted[i])));
    hash.add(got);
  }

  void batch(int64_t rows, int64_t cols) {
    Floats x = random_floats(rows * cols), dy = random_floats(rows * cols);
    const Floats gamma = random_floats(cols), beta = random_floats(cols);
    const auto n = static_cast<size_t>(cols);
    for (size_t i = 0; i < x.size(); ++i)
      if (i % n % 5 == 3) x[i] += 50;  // columns far from 0
    Floats mean(n), variance(n), xhat(x.size()), y(x.size()), dx(x.size()), sum(n), dot(n);
    k.column_moments(x.data(), cols, mean.data(), variance.data(), rows, cols);
    k.batch_norm_forward(x.data(), mean.data(), variance.data(), gamma.data(), beta.data(), kEpsilon, xhat.data(),
                         y.data(), cols, rows, cols);
    const auto forward = [&](const Doubles& v) { return batch_norm(v, wide(gamma), wide(beta), rows, cols); };
    near("batch_norm_forward", y, forward(wide(x)), rows == 1 ? 1e-4 : 2e-5);
    k.column_sum(dy.data(), cols, sum.data(), rows, cols);
    k.column_dot(dy.data(), xhat.data(), cols, dot.data(), rows, cols);
    Doubles products(n, 0.0);
    for (size_t i = 0; i < x.size(); ++i) products[i % n] += static_cast<double>(dy[i]) * static_cast<double>(xhat[i]);
    near("column_dot", dot, products, 1e-6 * static_cast<double>(rows));
    k.batch_norm_backward(dy.data(), xhat.data(), gamma.data(), variance.data(), sum.data(), dot.data(),
                          static_cast<float>(rows), kEpsilon, dx.data(), cols, rows, cols);
    if (rows * cols < 3000) differences("batch_norm_backward", x, dy, dx, forward);
    hash.add(dx);
    k.batch_norm_backward(dy.data(), xhat.data(), gamma.data(), variance.data(), nullptr, nullptr, 0, kEpsilon,
                          dx.data(), cols, rows, cols);
    Doubles given(x.size());
    for (size_t i = 0; i < x.size(); ++i)
      given[i] = static_cast<double>(dy[i]) * static_cast<double>(gamma[i % n]) /
                 std::sqrt(static_cast<double>(variance[i % n]) + static_cast<double>(kEpsilon));
    near("batch_norm_backward, given statistics", dx, given, 1e-6);
    k.mix_inplace(mean.data(), variance.data(), 0.75f, 0.25f, cols);
    hash.add(mean);
    k.scale_columns(x.data(), gamma.data(), beta.data(), y.data(), rows, cols);
    for (size_t i = 0; i < x.size(); ++i)
      given[i] = static_cast<double>(x[i]) * static_cast<double>(gamma[i % n]) + static_cast<double>(beta[i % n]);
    near("scale_columns", y, given, 1e-6);
  }

  // x: (random numbers + offset) * size.
  void row(int64_t rows, int64_t cols, RowNorm how, float size = 1, float offset = 0) {
    Floats x = random_floats(rows * cols), dy = random_floats(rows * cols);
    for (float& v : x) v = (v + offset) * size;
    const Floats gamma = random_floats(cols), beta = random_floats(cols);
    const float* g = how.unit ? nullptr : gamma.data();
    Floats xhat(x.size()), y(x.size()), dx(x.size()), inverse(static_cast<size_t>(rows));
    k.row_norm_forward(x.data(), g, beta.data(), how, xhat.data(), inverse.data(), y.data(), rows, cols);
    const auto forward = [&](const Doubles& v) { return row_norm(v, wide(gamma), wide(beta), how, rows, cols); };
    near("row_norm_forward", y, forward(wide(x)), cols == 1 ? 1e-4 : 2e-5);
    k.row_norm_backward(dy.data(), xhat.data(), g, inverse.data(), how, dx.data(), rows, cols);
    if (cols > 2 && size == 1) differences("row_norm_backward", x, dy, dx, forward);
    hash.add(dx);
    hash.add(inverse);
  }

  void pool(int64_t rows, int64_t cols) {
    Floats x = random_floats(rows * cols), dy = random_floats(cols), y(static_cast<size_t>(cols)), dx(x.size());
    for (int64_t c = 0; c < cols; c += 3) x[static_cast<size_t>((rows - 1) * cols + c)] = x[static_cast<size_t>(c)];
    k.max_pool_forward(x.data(), y.data(), rows, cols);
    k.max_pool_backward(dy.data(), x.data(), y.data(), dx.data(), rows, cols);
    for (int64_t c = 0; c < cols; ++c) {
      double best = -10, count = 0;
      for (int64_t r = 0; r < rows; ++r)
        best = std::max(best, static_cast<double>(x[static_cast<size_t>(r * cols + c)]));
      for (int64_t r = 0; r < rows; ++r) count += static_cast<double>(x[static_cast<size_t>(r * cols + c)]) == best;
      expect(static_cast<double>(y[static_cast<size_t>(c)]) == best, k.isa, "max_pool_forward", cols, 0, best);
      for (int64_t r = 0; r < rows; ++r) {
        const auto i = static_cast<size_t>(r * cols + c);
        const double wanted =
            static_cast<double>(x[i]) == best ? static_cast<double>(dy[static_cast<size_t>(c)]) / count : 0;
        expect_within(k.isa, "max_pool_backward", cols, static_cast<double>(dx[i]), wanted, 1e-6);
      }
    }
    hash.add(y);
    hash.add(dx);
  }
};

}  // namespace

Hash check_layers(const KernelTable& table) {
  LayerChecker checker{table};
  for (int64_t cols : {1, 2, 7, 16, 17, 33, 97, 530}) {
    for (int64_t rows : {1, 15, 16, 33, 1030}) checker.batch(rows, cols);
    for (RowNorm how : {RowNorm{kEpsilon, true, false}, RowNorm{kEpsilon, false, false}, RowNorm{1e-12f, false, true}})
      checker.row(3, cols, how);
    checker.row(2, cols, {kEpsilon, true, false}, 1, 100);
    for (float size : {1e30f, 1e-25f}) checker.row(2, cols, {0, cols > 1, false}, size, 100);
    checker.pool(5, cols);
  }
  return checker.hash;
}

}  // namespace lanewise
