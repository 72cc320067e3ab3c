#include "engine/variable.h"

#include <algorithm>

#include "kernels/matmul.h"

namespace lanewise {

Variable::Variable(std::vector<int64_t> shape) : shape_(std::move(shape)) {
  if (shape_.empty() || shape_.size() > 2) throw std::invalid_argument("A variable has one or two axes.");
  for (int64_t d : shape_)
    if (d < 1)
      throw std::invalid_argument("Every axis of a variable is at least 1. Received: " + std::to_string(d) + ".");
  rows_ = shape_.size() == 2 ? shape_[0] : 1;
  cols_ = shape_.back();
  data_ = Buffer<float>::zeros(checked_product(rows_, cols_));
}

void Variable::to_row_major(const float* stored, float* out) const {
  for (int64_t j = 0; j < cols_; j += kPanel) {
    const int64_t width = std::min(kPanel, cols_ - j);
    for (int64_t i = 0; i < rows_; ++i) std::copy_n(stored + j * rows_ + i * width, width, out + i * cols_ + j);
  }
}

void Variable::from_row_major(const float* in, float* stored) const {
  for (int64_t j = 0; j < cols_; j += kPanel) {
    const int64_t width = std::min(kPanel, cols_ - j);
    for (int64_t i = 0; i < rows_; ++i) std::copy_n(in + i * cols_ + j, width, stored + j * rows_ + i * width);
  }
}

}  // namespace lanewise
