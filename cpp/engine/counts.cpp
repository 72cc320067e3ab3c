#include "engine/counts.h"

#include <algorithm>
#include <cmath>

namespace lanewise {
namespace {

constexpr size_t kFirstThreshold = 4;
constexpr float kNotChosen = -1e10f;  // Keras's value for what is not among the k largest

// The last of a row's k largest elements; of equal ones those to the left come first.
struct Last {
  float value;
  int64_t column;
  bool before_or_at(float v, int64_t c) const { return v > value || (v == value && c <= column); }
};
Last last_of_largest(const float* x, int64_t cols, int64_t k) {
  Last last{INFINITY, -1};
  for (int64_t i = 0; i < k; ++i) {
    int64_t best = -1;
    for (int64_t c = 0; c < cols; ++c) {
      const bool left = x[c] < last.value || (x[c] == last.value && c > last.column);
      if (left && (best < 0 || x[c] > x[best])) best = c;
    }
    if (best < 0) break;  // fewer than k that are numbers
    last = {x[best], best};
  }
  return last;
}

int64_t argmax(const float* x, int64_t n) { return std::max_element(x, x + n) - x; }

}  // namespace

int64_t threshold_counts_size(const std::vector<float>& param, int64_t cols) {
  const auto thresholds = static_cast<int64_t>(param.size() - kFirstThreshold);
  return 2 * (thresholds + 1) * (param[3] != 0 ? cols : 1);
}

void threshold_counts(const KernelTable& table, const std::vector<float>& param, const CountRows& rows, double* sums) {
  const float *first = param.data() + kFirstThreshold, *last = param.data() + param.size();
  const auto only = static_cast<int64_t>(param[0]), k = static_cast<int64_t>(param[1]);
  const int64_t each = 2 * (last - first + 1), begin = only < 0 ? 0 : only, end = only < 0 ? rows.cols : only + 1;
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float *p = rows.pred_row(r), *t = rows.target_row(r);
    const double w = rows.weight_of(r);
    Last limit{-INFINITY, rows.cols};
    if (k > 0 && k < rows.cols) limit = last_of_largest(p, rows.cols, k);
    for (int64_t c = begin; c < end; ++c) {
      float value = k > 0 && !limit.before_or_at(p[c], c) ? kNotChosen : p[c];
      if (param[2] != 0) table.sigmoid_forward(&value, 1, nullptr, &value, 1, 1, 1, ActivationArgs{});
      const int64_t above = std::lower_bound(first, last, value) - first;  // NaN: none
      double* counts = sums + (param[3] != 0 ? each * c : 0) + (t[c] != 0 ? 0 : each / 2);
      counts[above] += w;
    }
  }
}

int64_t choice_counts_size(const std::vector<float>&, int64_t cols) { return 4 * cols; }

void choice_counts(const KernelTable&, const std::vector<float>& param, const CountRows& rows, double* sums) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float *p = rows.pred_row(r), *t = rows.target_row(r);
    const double w = rows.weight_of(r);
    const float top = p[argmax(p, rows.cols)];
    for (int64_t c = 0; c < rows.cols; ++c) {
      const bool chosen = param[1] != 0 ? p[c] > param[0] : p[c] >= top && std::fabs(p[c]) > 1e-9f;
      const double y = w * static_cast<double>(t[c]);
      double* s = sums + 4 * c;
      s[0] += chosen ? y : 0.0;
      s[1] += chosen ? w - y : 0.0;
      s[2] += chosen ? 0.0 : y;
      s[3] += y;
    }
  }
}

int64_t moment_sums_size(const std::vector<float>&, int64_t cols) { return 4 * cols + 1; }

void moment_sums(const KernelTable&, const std::vector<float>&, const CountRows& rows, double* sums) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float *p = rows.pred_row(r), *t = rows.target_row(r);
    const double w = rows.weight_of(r);
    for (int64_t c = 0; c < rows.cols; ++c) {
      const auto y = static_cast<double>(t[c]);
      const double error = y - static_cast<double>(p[c]);
      double* s = sums + 4 * c;
      s[0] += w, s[1] += w * y, s[2] += w * y * y, s[3] += w * error * error;
    }
  }
  sums[4 * rows.cols] += static_cast<double>(rows.rows * rows.cols);
}

int64_t confusion_counts_size(const std::vector<float>& param, int64_t) {
  return static_cast<int64_t>(param[0]) * static_cast<int64_t>(param[0]);
}

namespace {

template <bool Labels>
void count_confusion(const std::vector<float>& param, const CountRows& rows, double* sums) {
  const auto n = static_cast<int64_t>(param[0]);
  const bool rowwise = param[1] == 1;
  auto whole = [](float x) { return std::fabs(x) < 1e9f ? static_cast<int64_t>(x) : int64_t{-1}; };  // cut, as a cast
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float* p = rows.pred_row(r);
    for (int64_t c = 0; c < (rowwise ? 1 : rows.cols); ++c) {
      const int64_t predicted = rowwise ? argmax(p, rows.cols) : param[1] == 2 ? p[c] >= param[2] : whole(p[c]);
      int64_t truth;
      if constexpr (Labels)
        truth = rows.label(r);
      else
        truth = param[3] != 0 ? argmax(rows.target_row(r), rows.cols) : whole(rows.target_row(r)[c]);
      if (param[5] != 0 && truth == static_cast<int64_t>(param[4])) continue;
      if (truth < 0 || truth >= n || predicted < 0 || predicted >= n) continue;
      sums[truth * n + predicted] += rows.weight_of(r);
    }
  }
}

}  // namespace

void confusion_counts(const KernelTable&, const std::vector<float>& param, const CountRows& rows, double* sums) {
  count_confusion<false>(param, rows, sums);
}
void sparse_confusion_counts(const KernelTable&, const std::vector<float>& param, const CountRows& rows, double* sums) {
  count_confusion<true>(param, rows, sums);
}

}  // namespace lanewise
