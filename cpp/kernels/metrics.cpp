// Accuracies by row: comparisons and counts, exact on every ISA, so plain loops serve.
#include "kernels/declare.h"

namespace lanewise::LW_ISA {
namespace {

// The first of the largest elements.
int64_t argmax(const float* x, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i)
    if (x[i] > x[best]) best = i;
  return best;
}

}  // namespace

void binary_accuracy(const float* pred, const float* target, float threshold, float* row_value, int64_t rows,
                     int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, pred += cols, target += cols) {
    int64_t right = 0;
    for (int64_t c = 0; c < cols; ++c) right += (pred[c] > threshold ? 1.0f : 0.0f) == target[c];
    row_value[r] = static_cast<float>(right) / static_cast<float>(cols);
  }
}

void categorical_accuracy(const float* pred, const float* target, float, float* row_value, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, pred += cols, target += cols)
    row_value[r] = argmax(pred, cols) == argmax(target, cols) ? 1.0f : 0.0f;
}

void sparse_categorical_accuracy(const float* pred, const int32_t* label, float, float* row_value, int64_t rows,
                                 int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, pred += cols) row_value[r] = argmax(pred, cols) == label[r] ? 1.0f : 0.0f;
}

}  // namespace lanewise::LW_ISA
