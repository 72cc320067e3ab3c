// Losses: values against float64, gradients against float64 central differences of the same. Accuracies: exact.
#include <algorithm>

#include "engine/loss_kernels.h"
#include "tests/check.h"

namespace lanewise {
namespace {

constexpr double kEps = 1e-7;

// A row of predictions (in float64, so that it can be moved a little), its target and label.
struct Row {
  const double* p;
  const float* t;
  int label;
  int64_t cols;
  const Params& param;

  double log_sum_exp() const {
    double top = *std::max_element(p, p + cols), sum = 0;
    for (int64_t c = 0; c < cols; ++c) sum += std::exp(p[c] - top);
    return top + std::log(sum);
  }
  double total() const {
    double sum = 0;
    for (int64_t c = 0; c < cols; ++c) sum += p[c];
    return sum;
  }
  // What the logarithm of a class's probability is short of p[c], or log p[c]: once a row, not once a class.
  double log_scale(bool probs) const { return probs ? std::log(total()) : log_sum_exp(); }
  double log_class(int64_t c, bool probs, double scale) const { return (probs ? std::log(p[c]) : p[c]) - scale; }
};

double focal(const Row& row, double p, double y) {
  const double bce = -(y * std::log(p) + (1 - y) * std::log(1 - p));
  const double wrong = y * (1 - p) + (1 - y) * p, weight = y * row.param[2] + (1 - y) * row.param[3];
  return weight * std::pow(wrong, row.param[1]) * bce;
}
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// The losses that are a mean over the columns, by kernel.
using Formula = double (*)(double p, double t, const Row& row);
const std::map<std::string, Formula>& formulas() {
  using R = const Row&;
  static const std::map<std::string, Formula> all = {
      {"mse", [](double p, double t, R) { return (p - t) * (p - t); }},
      {"mae", [](double p, double t, R) { return std::fabs(p - t); }},
      {"mape", [](double p, double t, R) { return 100 * std::fabs(p - t) / std::max(std::fabs(t), kEps); }},
      {"msle", [](double p, double t,
                  R) { return std::pow(std::log1p(std::max(p, kEps)) - std::log1p(std::max(t, kEps)), 2); }},
      {"huber",
       [](double p, double t, R row) {
         const double e = std::fabs(p - t), a = row.param[0];
         return e <= a ? 0.5 * e * e : a * (e - 0.5 * a);
       }},
      {"log_cosh", [](double p, double t, R) { return std::log(std::cosh(p - t)); }},
      {"poisson", [](double p, double t, R) { return p - t * std::log(p + kEps); }},
      {"quantile",
       [](double p, double t, R row) { return std::max(row.param[0] * (t - p), (row.param[0] - 1.0) * (t - p)); }},
      {"tweedie",
       [](double p, double t, R row) {
         const double a = row.param[0];
         return t * std::pow(p, 1 - a) / (a - 1) + std::pow(p, 2 - a) / (2 - a);
       }},
      {"gamma", [](double p, double t, R) { return t / p + std::log(p); }},
      {"kl_divergence", [](double p, double t, R row) { return static_cast<double>(row.cols) * t * std::log(t / p); }},
      {"hinge", [](double p, double t, R) { return std::max(1 - t * p, 0.0); }},
      {"squared_hinge", [](double p, double t, R) { return std::pow(std::max(1 - t * p, 0.0), 2); }},
      {"binary_crossentropy",
       [](double p, double t, R) { return std::log1p(std::exp(-std::fabs(p))) + std::max(p, 0.0) - p * t; }},
      {"binary_crossentropy_probs",
       [](double p, double t, R) { return -(t * std::log(p) + (1 - t) * std::log(1 - p)); }},
      {"binary_focal_crossentropy", [](double p, double t, R row) { return focal(row, logistic(p), t); }},
      {"binary_focal_crossentropy_probs", [](double p, double t, R row) { return focal(row, p, t); }},
  };
  return all;
}

double reference(const std::string& kernel, const Row& row) {
  const bool probs = kernel.size() > 6 && kernel.substr(kernel.size() - 6) == "_probs";
  const std::string name = probs ? kernel.substr(0, kernel.size() - 6) : kernel;
  const double b = row.param[1];
  if (name == "sparse_categorical_crossentropy") return -row.log_class(row.label, probs, row.log_scale(probs));
  if (name == "categorical_crossentropy" || name == "categorical_focal_crossentropy") {
    const double scale = row.log_scale(probs);
    double sum = 0;
    for (int64_t c = 0; c < row.cols; ++c) {
      const double log_q = row.log_class(c, probs, scale),
                   focus = name == "categorical_crossentropy" ? 1 : row.param[3];
      sum -= focus * (focus == 1 ? 1 : std::pow(1 - std::exp(log_q), b)) * row.t[c] * log_q;
    }
    return sum;
  }
  if (name == "cosine_similarity") {
    double pt = 0, pp = 0, tt = 0;
    for (int64_t c = 0; c < row.cols; ++c)
      pt += row.p[c] * row.t[c], pp += row.p[c] * row.p[c], tt += static_cast<double>(row.t[c]) * row.t[c];
    return -pt / std::sqrt(pp) / std::sqrt(tt);
  }
  if (name == "categorical_hinge") {
    double pos = 0, neg = -1e30;
    for (int64_t c = 0; c < row.cols; ++c)
      pos += row.p[c] * row.t[c], neg = std::max(neg, (1.0 - static_cast<double>(row.t[c])) * row.p[c]);
    return std::max(neg - pos + 1, 0.0);
  }
  if (name == "gaussian_nll") {
    const int64_t d = row.cols / 2;
    double sum = 0;
    for (int64_t c = 0; c < d; ++c)
      sum += 0.5 * (row.p[d + c] + (row.t[c] - row.p[c]) * (row.t[c] - row.p[c]) * std::exp(-row.p[d + c]));
    return sum / static_cast<double>(d);
  }
  const Formula f = formulas().at(kernel);
  double sum = 0;
  for (int64_t c = 0; c < row.cols; ++c) sum += f(row.p[c], row.t[c], row);
  return sum / static_cast<double>(row.cols);
}

Params parameters(const std::string& name) {
  Params param(kLeastParams, 0.0f);
  if (name == "huber") param[0] = 0.5f;
  if (name == "quantile") param[0] = 0.75f;
  if (name == "tweedie") param[0] = 1.5f;
  if (name.find("focal") != std::string::npos) param = {0.0f, 2.0f, 1.0f, 0.5f};
  return param;
}

bool at_kink(const std::string& name, double p, double t) {
  if (name == "mae" || name == "mape" || name == "quantile") return std::fabs(p - t) < 1e-4;
  if (name == "hinge" || name == "squared_hinge") return std::fabs(1 - p * t) < 1e-4;
  return false;
}

void check_loss(const KernelTable& k, const LossKernel& kernel, int64_t cols, Hash& values, Hash& gradients) {
  const std::string name = kernel.name;
  const bool probs = name.find("probs") != std::string::npos, positive = name == "tweedie" || name == "gamma" ||
                                                                         name == "poisson" || name == "kl_divergence" ||
                                                                         name == "msle";
  const int64_t rows = 5, width = kernel.target_cols(cols);
  const Floats p = probs || positive ? random_probabilities(rows * cols) : random_floats(rows * cols, 3);
  const Floats t = random_probabilities(rows * width), weight = random_probabilities(rows);
  std::vector<int32_t> labels;
  for (int64_t r = 0; r < rows; ++r) labels.push_back(static_cast<int32_t>((r * 7) % cols));
  const void* target = kernel.sparse() ? static_cast<const void*>(labels.data()) : t.data();
  const Params param = parameters(name);
  Floats loss(static_cast<size_t>(rows), NAN), gradient(p.size(), NAN);
  kernel.rows(k, p.data(), target, param.data(), loss.data(), rows, cols);
  kernel.gradient(k, p.data(), target, param.data(), weight.data(), 0.25f, gradient.data(), rows, cols);
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<double> x(p.begin() + r * cols, p.begin() + (r + 1) * cols);
    const Row row{x.data(), &t[static_cast<size_t>(r * width)], labels[static_cast<size_t>(r)], cols, param};
    const double wanted = reference(name, row);
    double scale = std::fabs(wanted) + 4;
    if (name.rfind("categorical", 0) == 0 || name == "kl_divergence") scale += static_cast<double>(cols) * 8;
    expect_within(k.isa, kernel.name, cols, loss[static_cast<size_t>(r)], wanted,
                  scale * kU * (static_cast<double>(cols) / 16 + 16));
    for (int64_t c = 0; c < std::min<int64_t>(cols, 20); ++c) {
      const double h = 1e-5, keep = x[static_cast<size_t>(c)];
      if (at_kink(name, keep, t[static_cast<size_t>(r * width + std::min(c, width - 1))])) continue;
      double side[2];
      for (int s = 0; s < 2; ++s) {
        x[static_cast<size_t>(c)] = keep + (s ? h : -h);
        side[s] = reference(name, row);
      }
      x[static_cast<size_t>(c)] = keep;
      const double slope = (side[1] - side[0]) / (2 * h) * 0.25 * weight[static_cast<size_t>(r)];
      expect_within(k.isa, (name + " gradient").c_str(), cols, gradient[static_cast<size_t>(r * cols + c)], slope,
                    1e-5 * (1 + std::fabs(slope)) + (cols > 97 ? 2e-5 : 0));
    }
  }
  values.add(loss);
  gradients.add(gradient);
}

void check_accuracies(const KernelTable& k, int64_t cols, std::map<std::string, Hash>& hashes) {
  const int64_t rows = 9;
  const float param[kLeastParams] = {0.5f}, top[kLeastParams] = {static_cast<float>((cols + 1) / 2)};
  const Floats p = random_probabilities(rows * cols);
  Floats t = random_probabilities(rows * cols), out(static_cast<size_t>(rows));
  k.categorical_accuracy(p.data(), t.data(), param, out.data(), rows, cols);
  hashes["categorical_accuracy"].add(out);
  std::vector<int32_t> labels(static_cast<size_t>(rows));
  for (int64_t r = 0; r < rows; ++r)
    labels[static_cast<size_t>(r)] =
        static_cast<int32_t>(std::max_element(t.begin() + r * cols, t.begin() + (r + 1) * cols) - t.begin() - r * cols);
  k.sparse_categorical_accuracy(p.data(), labels.data(), param, out.data(), rows, cols);
  hashes["sparse_categorical_accuracy"].add(out);
  Floats again(out.size());
  k.top_k_categorical_accuracy(p.data(), t.data(), top, out.data(), rows, cols);
  k.sparse_top_k_categorical_accuracy(p.data(), labels.data(), top, again.data(), rows, cols);
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = &p[static_cast<size_t>(r * cols)];
    const float at = row[labels[static_cast<size_t>(r)]];
    const auto larger = std::count_if(row, row + cols, [&](float x) { return x > at; });
    const float wanted = static_cast<float>(larger) < top[0] ? 1.0f : 0.0f;
    expect(out[static_cast<size_t>(r)] == wanted && again[static_cast<size_t>(r)] == wanted, k.isa, "top_k", cols,
           out[static_cast<size_t>(r)], wanted);
  }
  hashes["top_k_categorical_accuracy"].add(out);
  hashes["sparse_top_k_categorical_accuracy"].add(again);
  for (float& v : t) v = v > 0.5f ? 1.0f : 0.0f;
  Floats rounded = p;
  for (float& v : rounded) v = v > 0.5f ? 1.0f : 0.0f;
  k.binary_accuracy(p.data(), t.data(), param, out.data(), rows, cols);
  k.accuracy(rounded.data(), t.data(), param, again.data(), rows, cols);
  for (int64_t r = 0; r < rows; ++r) {
    int right = 0;
    for (int64_t c = 0; c < cols; ++c)
      right += (p[static_cast<size_t>(r * cols + c)] > 0.5f) == (t[static_cast<size_t>(r * cols + c)] > 0.5f);
    const float wanted = static_cast<float>(right) / static_cast<float>(cols);
    expect(out[static_cast<size_t>(r)] == wanted && again[static_cast<size_t>(r)] == wanted, k.isa, "binary_accuracy",
           cols, out[static_cast<size_t>(r)], wanted);
  }
  hashes["binary_accuracy"].add(out);
  hashes["accuracy"].add(again);
}

}  // namespace

void check_losses(const KernelTable& table, std::map<std::string, Hash>& hashes) {
  for (const std::string& name : loss_names()) {
    const LossKernel& kernel = loss_kernel(name);
    for (int64_t cols : kSizes) {
      if (name.find("probs") != std::string::npos && cols > 97) continue;
      // A single probability would be clipped.
      if (name.find("categorical") != std::string::npos && name.find("probs") != std::string::npos && cols == 1)
        continue;
      check_loss(table, kernel, cols * kernel.outputs, hashes[name + "_forward"], hashes[name + "_backward"]);
    }
  }
  for (int64_t cols : kSizes) check_accuracies(table, cols, hashes);
}

}  // namespace lanewise
