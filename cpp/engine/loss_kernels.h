// Losses and metrics by name: which slots of the kernel table they are. One row a loss; the bindings use it as well.
#pragma once
#include <string>
#include <vector>

#include "engine/counts.h"

namespace lanewise {

// The parameters of a loss or metric, in the order that its kernel reads; at least kLeastParams of them, so that a
// kernel never reads beyond.
using Params = std::vector<float>;
constexpr size_t kLeastParams = 4;

template <class Target>
using RowKernel = void (*)(const float*, const Target*, const float*, float*, int64_t, int64_t);
template <class Target>
using GradientKernel = void (*)(const float*, const Target*, const float*, const float*, float, float*, int64_t,
                                int64_t);

// Exactly one of the two target types is set, or for a metric of other sums than those of row values `add`; a metric
// has no backward.
struct LossKernel {
  const char* name;
  RowKernel<float> KernelTable::*forward = nullptr;
  GradientKernel<float> KernelTable::*backward = nullptr;
  RowKernel<int32_t> KernelTable::*sparse_forward = nullptr;
  GradientKernel<int32_t> KernelTable::*sparse_backward = nullptr;
  int64_t outputs = 1;  // columns of the prediction for each of the target
  CountSize size = nullptr;
  CountAdd add = nullptr;
  bool labels = false;  // where `add` is set: targets are labels
  bool sparse() const { return sparse_forward != nullptr || labels; }
  bool counts() const { return add != nullptr; }
  int64_t target_cols(int64_t cols) const { return sparse() ? 1 : cols / outputs; }
  // How many sums a metric has: the sum of weight * value and that of the weights, or those of a count.
  int64_t sums(const Params& param, int64_t cols) const { return counts() ? size(param, cols) : 2; }
  bool metric() const { return backward == nullptr && sparse_backward == nullptr; }

  void rows(const KernelTable& t, const float* pred, const void* target, const float* param, float* out, int64_t rows,
            int64_t cols) const {
    if (sparse())
      (t.*sparse_forward)(pred, static_cast<const int32_t*>(target), param, out, rows, cols);
    else
      (t.*forward)(pred, static_cast<const float*>(target), param, out, rows, cols);
  }
  void gradient(const KernelTable& t, const float* pred, const void* target, const float* param, const float* weight,
                float scale, float* out, int64_t rows, int64_t cols) const {
    if (sparse())
      (t.*sparse_backward)(pred, static_cast<const int32_t*>(target), param, weight, scale, out, rows, cols);
    else
      (t.*backward)(pred, static_cast<const float*>(target), param, weight, scale, out, rows, cols);
  }
};

// Throws std::invalid_argument for an unknown name.
const LossKernel& loss_kernel(const std::string& name);
// Throws std::invalid_argument where the kernel cannot run on predictions of this many columns with these parameters.
void check_params(const LossKernel& kernel, const Params& param, int64_t cols);
std::vector<std::string> loss_names();  // losses only, no metrics

}  // namespace lanewise
