#include "engine/loss_kernels.h"

#include <stdexcept>

namespace lanewise {
namespace {

using T = KernelTable;
constexpr LossKernel kLosses[] = {
    {"mse", &T::mse_forward, &T::mse_backward},
    {"mae", &T::mae_forward, &T::mae_backward},
    {"huber", &T::huber_forward, &T::huber_backward},
    {"binary_crossentropy", &T::binary_crossentropy_forward, &T::binary_crossentropy_backward},
    {"categorical_crossentropy", &T::categorical_crossentropy_forward, &T::categorical_crossentropy_backward},
    {"sparse_categorical_crossentropy", nullptr, nullptr, &T::sparse_categorical_crossentropy_forward,
     &T::sparse_categorical_crossentropy_backward},
    {"binary_crossentropy_probs", &T::binary_crossentropy_probs_forward, &T::binary_crossentropy_probs_backward},
    {"categorical_crossentropy_probs", &T::categorical_crossentropy_probs_forward,
     &T::categorical_crossentropy_probs_backward},
    {"sparse_categorical_crossentropy_probs", nullptr, nullptr, &T::sparse_categorical_crossentropy_probs_forward,
     &T::sparse_categorical_crossentropy_probs_backward},
    {"binary_accuracy", &T::binary_accuracy},
    {"categorical_accuracy", &T::categorical_accuracy},
    {"sparse_categorical_accuracy", nullptr, nullptr, &T::sparse_categorical_accuracy},
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

std::vector<std::string> loss_names() {
  std::vector<std::string> names;
  for (const auto& kernel : kLosses)
    if (!kernel.metric()) names.push_back(kernel.name);
  return names;
}

}  // namespace lanewise
