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

float share_of(int64_t right, int64_t n) { return static_cast<float>(right) / static_cast<float>(n); }

// Whether fewer than k elements are larger than the one at `at` (no element is larger than NaN, which is never among
// the k). k is a whole number that float32 holds.
float among_largest(const float* x, int64_t n, int64_t at, float k) {
  if (at < 0 || at >= n || x[at] != x[at]) return 0.0f;
  int64_t larger = 0;
  for (int64_t i = 0; i < n; ++i) larger += x[i] > x[at];
  return static_cast<float>(larger) < k ? 1.0f : 0.0f;
}

}  // namespace

void accuracy(const float* pred, const float* target, const float*, float* row_value, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, pred += cols, target += cols) {
    int64_t right = 0;
    for (int64_t c = 0; c < cols; ++c) right += pred[c] == target[c];
    row_value[r] = share_of(right, cols);
  }
}

void binary_accuracy(const float* pred, const float* target, const float* param, float* row_value, int64_t rows,
                     int64_t cols) {
  const float threshold = param[0];
  for (int64_t r = 0; r < rows; ++r, pred += cols, target += cols) {
    int64_t right = 0;
    for (int64_t c = 0; c < cols; ++c) right += (pred[c] > threshold ? 1.0f : 0.0f) == target[c];
    row_value[r] = share_of(right, cols);
  }
}

void categorical_accuracy(const float* pred, const float* target, const float*, float* row_value, int64_t rows,
                          int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, pred += cols, target += cols)
    row_value[r] = argmax(pred, cols) == argmax(target, cols) ? 1.0f : 0.0f;
}

void sparse_categorical_accuracy(const float* pred, const int32_t* label, const float*, float* row_value, int64_t rows,
                                 int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, pred += cols) row_value[r] = argmax(pred, cols) == label[r] ? 1.0f : 0.0f;
}

void top_k_categorical_accuracy(const float* pred, const float* target, const float* param, float* row_value,
                                int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, pred += cols, target += cols)
    row_value[r] = among_largest(pred, cols, argmax(target, cols), param[0]);
}

void sparse_top_k_categorical_accuracy(const float* pred, const int32_t* label, const float* param, float* row_value,
                                       int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, pred += cols) row_value[r] = among_largest(pred, cols, label[r], param[0]);
}

}  // namespace lanewise::LW_ISA
