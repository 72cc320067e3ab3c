// Losses and metrics on NumPy arrays.
#include "bindings/arrays.h"
#include "bindings/parallel.h"
#include "dispatch/dispatch.h"
#include "engine/loss_kernels.h"

namespace lanewise {
namespace {

// Predictions and targets of a loss, checked: y_pred (n, c) or (n,); y_true what the kernel takes for c columns ((n,)
// and (n, 1) are the same thing), or n integer labels below c.
struct LossArguments {
  py::object keep_pred, keep_true;
  ArrayView pred{};
  std::vector<int32_t> labels;
  const void* target = nullptr;
  int64_t rows = 0, cols = 1, target_cols = 1;

  LossArguments(const LossKernel& kernel, const Params& param, py::handle y_true, py::handle y_pred) {
    pred = contiguous_input(y_pred, "y_pred", keep_pred);
    if (pred.ndim < 1 || pred.ndim > 2)
      throw py::value_error("y_pred: expected shape (n, outputs) or (n,). Received: " + describe_array(pred) + ".");
    rows = pred.shape[0];
    cols = pred.ndim == 2 ? pred.shape[1] : 1;
    if (cols < 1)
      throw py::value_error("y_pred: expected at least one output. Received: " + describe_array(pred) + ".");
    check_params(kernel, param, cols);
    const ArrayView truth = array_view(y_true, "y_true");
    target_cols = kernel.target_cols(cols);
    const bool fits =
        truth.ndim >= 1 && truth.ndim <= 2 && truth.shape[0] == rows && truth.size() == rows * target_cols;
    if (!fits)
      throw py::value_error("y_true: expected " + std::to_string(target_cols) + " value(s) for each of the " +
                            std::to_string(rows) + " rows of y_pred. Received: " + describe_array(truth) + ".");
    if (!kernel.sparse()) {
      target = contiguous_input(y_true, "y_true", keep_true).floats();
      return;
    }
    if (truth.type_num < 1 || truth.type_num > 10)
      throw py::type_error("y_true: expected integer labels. Received: " + describe_array(truth) + ".");
    const Source source = source_view(y_true, "y_true", 1, keep_true);
    labels.resize(static_cast<size_t>(rows));
    double bad = 0;
    if (!gather_labels(source, nullptr, 0, 0, rows, cols, labels.data(), &bad))
      throw py::value_error("y_true: expected labels from 0 to " + std::to_string(cols - 1) + " (y_pred has " +
                            std::to_string(cols) + " outputs). Received: " + label_text(bad) + ".");
    target = labels.data();
  }
  const void* row_target(const LossKernel& kernel, int64_t r) const {
    if (kernel.sparse()) return static_cast<const int32_t*>(target) + r;
    return static_cast<const float*>(target) + r * target_cols;
  }
};

void check_rowwise(const LossKernel& kernel) {
  if (kernel.counts())
    throw py::value_error(std::string("name: expected a kernel with a value for each row. Received '") + kernel.name +
                          "'.");
}

py::object loss_forward(const std::string& name, py::handle y_true, py::handle y_pred, py::handle given,
                        py::handle out) {
  const FloatEnvironment environment;
  const LossKernel& kernel = loss_kernel(name);
  check_rowwise(kernel);
  const Params param = params_of(given);
  const LossArguments a(kernel, param, y_true, y_pred);
  py::object result = output_array(out, "out", {a.rows}, {y_true, y_pred});
  float* rows = float32_view(result, "out").floats();
  const auto& table = kernels();
  parallel(a.rows, a.rows * a.cols, [&](int64_t i, int64_t j) {
    kernel.rows(table, a.pred.floats() + i * a.cols, a.row_target(kernel, i), param.data(), rows + i, j - i, a.cols);
  });
  return result;
}

py::object loss_backward(const std::string& name, py::handle y_true, py::handle y_pred, py::handle given,
                         py::handle out) {
  const FloatEnvironment environment;
  const LossKernel& kernel = loss_kernel(name);
  if (kernel.metric()) throw py::value_error("name: expected a loss. Received the metric '" + name + "'.");
  const Params param = params_of(given);
  const LossArguments a(kernel, param, y_true, y_pred);
  py::object result = output_array(out, "out", {a.pred.shape, a.pred.shape + a.pred.ndim}, {y_true, y_pred});
  float* gradient = float32_view(result, "out").floats();
  const auto& table = kernels();
  const float scale = static_cast<float>(1.0 / static_cast<double>(a.rows ? a.rows : 1));
  parallel(a.rows, a.rows * a.cols, [&](int64_t i, int64_t j) {
    kernel.gradient(table, a.pred.floats() + i * a.cols, a.row_target(kernel, i), param.data(), nullptr, scale,
                    gradient + i * a.cols, j - i, a.cols);
  });
  return result;
}

// The sums of a metric over rows, as the engine's report adds them up.
py::object metric_sums(const std::string& name, py::handle y_true, py::handle y_pred, py::handle given,
                       py::handle sample_weight) {
  const FloatEnvironment environment;
  const LossKernel& kernel = loss_kernel(name);
  const Params param = params_of(given);
  const LossArguments a(kernel, param, y_true, y_pred);
  py::object keep;
  const float* weights = nullptr;
  if (!sample_weight.is_none()) {
    const ArrayView w = contiguous_input(sample_weight, "sample_weight", keep);
    if (w.ndim != 1 || w.shape[0] != a.rows)
      throw py::value_error("sample_weight: expected shape (" + std::to_string(a.rows) +
                            ",). Received: " + describe_array(w) + ".");
    weights = w.floats();
  }
  py::array_t<double> result(kernel.sums(param, a.cols));
  double* sums = result.mutable_data();
  std::fill_n(sums, result.size(), 0.0);
  const auto& table = kernels();
  if (kernel.counts()) {
    kernel.add(table, param, {a.pred.floats(), a.target, weights, a.rows, a.cols, 1}, sums);
    return result;
  }
  constexpr int64_t kChunk = 1024;
  float values[kChunk], sum;
  for (int64_t r = 0; r < a.rows; r += kChunk) {
    const int64_t n = std::min(kChunk, a.rows - r);
    kernel.rows(table, a.pred.floats() + r * a.cols, a.row_target(kernel, r), param.data(), values, n, a.cols);
    table.weighted_sum(values, weights ? weights + r : nullptr, &sum, n);
    sums[0] += static_cast<double>(sum);
    if (weights) table.weighted_sum(weights + r, nullptr, &sum, n);
    sums[1] += weights ? static_cast<double>(sum) : static_cast<double>(n);
  }
  return result;
}

}  // namespace

std::vector<float> params_of(py::handle given) {
  std::vector<float> values;
  if (py::isinstance<py::sequence>(given)) {
    for (py::handle value : py::reinterpret_borrow<py::sequence>(given))
      values.push_back(static_cast<float>(py::cast<double>(value)));
  } else {
    values.push_back(static_cast<float>(py::cast<double>(given)));
  }
  values.resize(std::max(values.size(), kLeastParams));
  return values;
}

void register_loss_ops(py::module_& m) {
  m.def("loss_forward", &loss_forward, py::arg("name"), py::arg("y_true"), py::arg("y_pred"), py::arg("param") = 0.0,
        py::arg("out") = py::none());
  m.def("metric_sums", &metric_sums, py::arg("name"), py::arg("y_true"), py::arg("y_pred"), py::arg("param") = 0.0,
        py::arg("sample_weight") = py::none());
  m.def("loss_backward", &loss_backward, py::arg("name"), py::arg("y_true"), py::arg("y_pred"), py::arg("param") = 0.0,
        py::arg("out") = py::none());
}

}  // namespace lanewise
