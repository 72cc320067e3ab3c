// Metrics that are more than the mean of one value a row: sums in float64 over comparisons and plain arithmetic, taken
// by one thread in the order of the rows. Nothing here depends on the ISA, so it is compiled once.
#pragma once
#include <vector>

#include "kernels/kernels.h"

namespace lanewise {

// The rows of a batch: predictions (rows, cols), targets (float like the predictions, or one int32 a row), and weights,
// one for every `rows_per_weight` rows, or null.
struct CountRows {
  const float* pred;
  const void* target;
  const float* weight;
  int64_t rows, cols, rows_per_weight;

  double weight_of(int64_t r) const { return weight ? static_cast<double>(weight[r / rows_per_weight]) : 1.0; }
  const float* pred_row(int64_t r) const { return pred + r * cols; }
  const float* target_row(int64_t r) const { return static_cast<const float*>(target) + r * cols; }
  int32_t label(int64_t r) const { return static_cast<const int32_t*>(target)[r]; }
};

// How many sums for predictions of `cols` columns, and adding a batch to them.
using CountSize = int64_t (*)(const std::vector<float>& param, int64_t cols);
using CountAdd = void (*)(const KernelTable& table, const std::vector<float>& param, const CountRows& rows,
                          double* sums);

// How many elements of each kind lie between which thresholds. param: class (-1: all), k (0: all elements; else those
// that are not among a row's k largest count as -1e10), 1 for logits, 1 for counts of each column, then T thresholds in
// ascending order. Sums: for each column (or once) T + 1 weights of positive targets (not 0), then T + 1 of the others;
// entry b is of elements greater than exactly b thresholds.
int64_t threshold_counts_size(const std::vector<float>& param, int64_t cols);
void threshold_counts(const KernelTable&, const std::vector<float>& param, const CountRows& rows, double* sums);

// For F scores. param: threshold, 1 where there is one (else the largest elements of a row are chosen, if they are not
// 0). Sums for each column: true positives, false positives, false negatives, targets.
int64_t choice_counts_size(const std::vector<float>& param, int64_t cols);
void choice_counts(const KernelTable&, const std::vector<float>& param, const CountRows& rows, double* sums);

// For R2. Sums for each column: weights, targets, squares of targets, squared errors; then the number of elements.
int64_t moment_sums_size(const std::vector<float>& param, int64_t cols);
void moment_sums(const KernelTable&, const std::vector<float>& param, const CountRows& rows, double* sums);

// Sums [true class, predicted class] of n classes. param: n; how predictions give a class (0: they are numbers of
// classes, 1: the largest of the row, 2: element >= threshold); the threshold; whether targets are one-hot rows; the
// class that does not count, 1 where there is one. Classes outside 0 .. n - 1 do not count.
int64_t confusion_counts_size(const std::vector<float>& param, int64_t cols);
void confusion_counts(const KernelTable&, const std::vector<float>& param, const CountRows& rows, double* sums);
void sparse_confusion_counts(const KernelTable&, const std::vector<float>& param, const CountRows& rows, double* sums);

}  // namespace lanewise
