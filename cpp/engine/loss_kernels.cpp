#include "engine/loss_kernels.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace lanewise {
namespace {

using T = KernelTable;
constexpr LossKernel kLosses[] = {
    {"mse", &T::mse_forward, &T::mse_backward},
    {"mae", &T::mae_forward, &T::mae_backward},
    {"mape", &T::mape_forward, &T::mape_backward},
    {"msle", &T::msle_forward, &T::msle_backward},
    {"huber", &T::huber_forward, &T::huber_backward},
    {"log_cosh", &T::log_cosh_forward, &T::log_cosh_backward},
    {"poisson", &T::poisson_forward, &T::poisson_backward},
    {"quantile", &T::quantile_forward, &T::quantile_backward},
    {"tweedie", &T::tweedie_forward, &T::tweedie_backward},
    {"gamma", &T::gamma_forward, &T::gamma_backward},
    {"gaussian_nll", &T::gaussian_nll_forward, &T::gaussian_nll_backward, nullptr, nullptr, 2},
    {"kl_divergence", &T::kl_divergence_forward, &T::kl_divergence_backward},
    {"cosine_similarity", &T::cosine_similarity_forward, &T::cosine_similarity_backward},
    {"categorical_hinge", &T::categorical_hinge_forward, &T::categorical_hinge_backward},
    {"hinge", &T::hinge_forward, &T::hinge_backward},
    {"squared_hinge", &T::squared_hinge_forward, &T::squared_hinge_backward},
    {"binary_crossentropy", &T::binary_crossentropy_forward, &T::binary_crossentropy_backward},
    {"binary_focal_crossentropy", &T::binary_focal_crossentropy_forward, &T::binary_focal_crossentropy_backward},
    {"categorical_crossentropy", &T::categorical_crossentropy_forward, &T::categorical_crossentropy_backward},
    {"categorical_focal_crossentropy", &T::categorical_focal_crossentropy_forward,
     &T::categorical_focal_crossentropy_backward},
    {"sparse_categorical_crossentropy", nullptr, nullptr, &T::sparse_categorical_crossentropy_forward,
     &T::sparse_categorical_crossentropy_backward},
    {"binary_crossentropy_probs", &T::binary_crossentropy_probs_forward, &T::binary_crossentropy_probs_backward},
    {"binary_focal_crossentropy_probs", &T::binary_focal_crossentropy_probs_forward,
     &T::binary_focal_crossentropy_probs_backward},
    {"categorical_crossentropy_probs", &T::categorical_crossentropy_probs_forward,
     &T::categorical_crossentropy_probs_backward},
    {"categorical_focal_crossentropy_probs", &T::categorical_focal_crossentropy_probs_forward,
     &T::categorical_focal_crossentropy_probs_backward},
    {"sparse_categorical_crossentropy_probs", nullptr, nullptr, &T::sparse_categorical_crossentropy_probs_forward,
     &T::sparse_categorical_crossentropy_probs_backward},
    {"accuracy", &T::accuracy},
    {"binary_accuracy", &T::binary_accuracy},
    {"categorical_accuracy", &T::categorical_accuracy},
    {"top_k_categorical_accuracy", &T::top_k_categorical_accuracy},
    {"sparse_categorical_accuracy", nullptr, nullptr, &T::sparse_categorical_accuracy},
    {"sparse_top_k_categorical_accuracy", nullptr, nullptr, &T::sparse_top_k_categorical_accuracy},
    {.name = "threshold_counts", .size = &threshold_counts_size, .add = &threshold_counts},
    {.name = "choice_counts", .size = &choice_counts_size, .add = &choice_counts},
    {.name = "moment_sums", .size = &moment_sums_size, .add = &moment_sums},
    {.name = "confusion_counts", .size = &confusion_counts_size, .add = &confusion_counts},
    {.name = "sparse_confusion_counts",
     .size = &confusion_counts_size,
     .add = &sparse_confusion_counts,
     .labels = true},
};

}  // namespace

const LossKernel& loss_kernel(const std::string& name) {
  for (const auto& kernel : kLosses)
    if (name == kernel.name) return kernel;
  std::string known;
  for (const auto& kernel : kLosses) known += std::string(known.empty() ? "" : ", ") + kernel.name;
  throw std::invalid_argument("Unknown loss or metric kernel. Expected one of: " + known + ". Received: '" + name +
                              "'.");
}

void check_params(const LossKernel& kernel, const Params& param, int64_t cols) {
  const std::string name = kernel.name;
  const float first = param[0];
  auto expect = [](bool good, const std::string& expected, const std::string& received) {
    if (!good) throw std::invalid_argument(expected + ". Received: " + received + ".");
  };
  expect(cols % kernel.outputs == 0, "y_pred: expected a mean and a log variance for each target",
         std::to_string(cols) + " columns");
  if (name == "threshold_counts") {
    expect(std::is_sorted(param.begin() + 4, param.end()) && param.size() > 4, "thresholds: expected ascending numbers",
           std::to_string(param.size() - 4) + " in another order");
    expect(first < static_cast<float>(cols), "class_id: expected a column below " + std::to_string(cols),
           std::to_string(static_cast<int64_t>(first)));
  }
  if (name.find("confusion_counts") != std::string::npos)
    expect(first >= 1 && first <= 4096 && param.size() >= 6, "num_classes: expected 1 to 4096",
           std::to_string(static_cast<int64_t>(first)));
  if (name == "huber")
    expect(first > 0 && std::isfinite(first), "delta: expected a finite number > 0", std::to_string(first));
  if (name == "quantile") expect(first > 0 && first < 1, "q: expected a number in (0, 1)", std::to_string(first));
  if (name == "tweedie") expect(first > 1 && first < 2, "power: expected a number in (1, 2)", std::to_string(first));
  if (name.find("crossentropy") != std::string::npos)
    expect(first >= 0 && first <= 1, "label_smoothing: expected a number in [0, 1]", std::to_string(first));
  if (name.rfind("categorical_focal", 0) == 0) {
    const bool fits = param[2] == 1.0f || param[2] == static_cast<float>(cols);
    expect(fits && static_cast<float>(param.size()) >= 3.0f + param[2],
           "alpha: expected one number, or one for each of the " + std::to_string(cols) + " outputs",
           std::to_string(param.size() - 3));
  }
}

std::vector<std::string> loss_names() {
  std::vector<std::string> names;
  for (const auto& kernel : kLosses)
    if (!kernel.metric()) names.push_back(kernel.name);
  return names;
}

}  // namespace lanewise
