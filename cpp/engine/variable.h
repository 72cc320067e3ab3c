// A parameter: float32 of rank 1 (flat) or 2 (column panels, see kernels/matmul.h).
#pragma once
#include <vector>

#include "engine/buffer.h"

namespace lanewise {

class Variable {
 public:
  // Throws std::invalid_argument for ranks other than 1 and 2 or sizes below 1.
  explicit Variable(std::vector<int64_t> shape);

  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t size() const { return data_.size(); }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  float* data() { return data_.data(); }
  const float* data() const { return data_.data(); }

  // Between the stored layout (this variable's, its gradients' and its slots') and row-major.
  void to_row_major(const float* stored, float* out) const;
  void from_row_major(const float* in, float* stored) const;

 private:
  std::vector<int64_t> shape_;
  int64_t rows_, cols_;
  Buffer<float> data_;
};

}  // namespace lanewise
