// Elementwise kernels, sums, losses and optimizer steps on NumPy arrays.
#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/parallel.h"
#include "dispatch/dispatch.h"
#include "engine/execute.h"

namespace lanewise {
namespace {

constexpr int64_t kExpCost = 6, kAdamCost = 8;  // what an element costs where it is more than reading and writing it

std::vector<py::ssize_t> shape_of(const ArrayView& v) { return {v.shape, v.shape + v.ndim}; }

// (rows, cols) with the last axis as columns.
struct Rows {
  int64_t rows, cols;
};
Rows rows_of(const ArrayView& v, const char* name) {
  if (v.ndim == 0)
    throw py::value_error(std::string(name) + ": expected at least 1 axis. Received: " + describe_array(v) + ".");
  const int64_t cols = v.shape[v.ndim - 1];
  return {cols ? v.size() / cols : 0, cols};
}

void check_same_shape(const ArrayView& a, const char* a_name, const ArrayView& b, const char* b_name) {
  if (!a.same_shape(b))
    throw py::value_error(std::string(a_name) + ", " + b_name + ": expected the same shape. Received: " +
                          describe_array(a) + " and " + describe_array(b) + ".");
}

void define_activation(py::module_& m, const char* forward, const char* backward, ActivationForward KernelTable::*f,
                       ActivationBackward KernelTable::*b, int64_t cost) {
  m.def(
      forward,
      [f, cost](py::handle x, py::handle out) {
        py::object keep;
        const ArrayView in = contiguous_input(x, "x", keep);
        py::object result = output_array(out, "out", shape_of(in), {x}, true);
        float* y = float32_view(result, "out").floats();
        const auto kernel = kernels().*f;
        const int64_t n = in.size();
        parallel(n, n * cost,
                 [&](int64_t i, int64_t j) { kernel(in.floats() + i, j - i, nullptr, y + i, j - i, 1, j - i); });
        return result;
      },
      py::arg("x"), py::arg("out") = py::none());
  m.def(
      backward,
      [b](py::handle dy, py::handle y, py::handle out) {
        py::object keep_dy, keep_y;
        const ArrayView g = contiguous_input(dy, "dy", keep_dy), v = contiguous_input(y, "y", keep_y);
        check_same_shape(g, "dy", v, "y");
        py::object result = output_array(out, "out", shape_of(g), {dy, y}, true);
        float* dx = float32_view(result, "out").floats();
        const auto kernel = kernels().*b;
        const int64_t n = g.size();
        parallel(n, n, [&](int64_t i, int64_t j) {
          kernel(g.floats() + i, j - i, v.floats() + i, j - i, dx + i, j - i, 1, j - i);
        });
        return result;
      },
      py::arg("dy"), py::arg("y"), py::arg("out") = py::none());
}

py::object softmax_forward(py::handle x, py::handle out) {
  py::object keep;
  const ArrayView in = contiguous_input(x, "x", keep);
  const Rows s = rows_of(in, "x");
  py::object result = output_array(out, "out", shape_of(in), {x}, true);
  float* y = float32_view(result, "out").floats();
  const auto& k = kernels();
  parallel(s.rows, in.size() * kExpCost, [&](int64_t i, int64_t j) {
    k.softmax_forward(in.floats() + i * s.cols, s.cols, y + i * s.cols, s.cols, j - i, s.cols);
  });
  return result;
}

py::object softmax_backward(py::handle dy, py::handle y, py::handle out) {
  py::object keep_dy, keep_y;
  const ArrayView g = contiguous_input(dy, "dy", keep_dy), v = contiguous_input(y, "y", keep_y);
  check_same_shape(g, "dy", v, "y");
  const Rows s = rows_of(g, "dy");
  py::object result = output_array(out, "out", shape_of(g), {dy, y}, true);
  float* dx = float32_view(result, "out").floats();
  const auto& k = kernels();
  parallel(s.rows, g.size(), [&](int64_t i, int64_t j) {
    const int64_t at = i * s.cols;
    k.softmax_backward(g.floats() + at, s.cols, v.floats() + at, s.cols, dx + at, s.cols, j - i, s.cols);
  });
  return result;
}

py::object column_sum(py::handle x, py::handle out) {
  py::object keep;
  const ArrayView in = contiguous_input(x, "x", keep);
  if (in.ndim != 2) throw py::value_error("x: expected 2 axes. Received: " + describe_array(in) + ".");
  const int64_t rows = in.shape[0], cols = in.shape[1];
  py::object result = output_array(out, "out", {cols}, {x});
  float* sums = float32_view(result, "out").floats();
  const auto& k = kernels();
  parallel(panel_count(cols), in.size(), [&](int64_t i, int64_t j) {
    const int64_t begin = i * kPanel, end = std::min(j * kPanel, cols);
    k.column_sum(in.floats() + begin, cols, sums + begin, rows, end - begin);
  });
  return result;
}

py::object row_sum(py::handle x, py::handle out) {
  py::object keep;
  const ArrayView in = contiguous_input(x, "x", keep);
  if (in.ndim != 2) throw py::value_error("x: expected 2 axes. Received: " + describe_array(in) + ".");
  const int64_t rows = in.shape[0], cols = in.shape[1];
  py::object result = output_array(out, "out", {rows}, {x});
  float* sums = float32_view(result, "out").floats();
  const auto& k = kernels();
  parallel(rows, in.size(),
           [&](int64_t i, int64_t j) { k.row_sum(in.floats() + i * cols, cols, sums + i, j - i, cols); });
  return result;
}

// One optimizer step in place: w and the slots change, g does not.
void step(const char* name, const std::map<std::string, double>& hyper, int64_t t, py::handle w, py::handle g,
          const std::vector<std::pair<const char*, py::handle>>& slots) {
  Optimizer optimizer(name, hyper);
  if (t < 1) throw py::value_error("step: expected at least 1 (the first step). Received: " + std::to_string(t) + ".");
  py::object keep;
  const ArrayView weights = updated_array(w, "w", float32_view(w, "w"));
  const ArrayView gradient = contiguous_input(g, "g", keep);
  check_same_shape(weights, "w", gradient, "g");
  check_disjoint(w, "w", g, "g");
  float* base[Optimizer::kMaxSlots] = {};
  for (size_t s = 0; s < slots.size(); ++s) {
    base[s] = updated_array(slots[s].second, slots[s].first, weights).floats();
    check_disjoint(w, "w", slots[s].second, slots[s].first);
    check_disjoint(g, "g", slots[s].second, slots[s].first);
    for (size_t other = 0; other < s; ++other)
      check_disjoint(slots[other].second, slots[other].first, slots[s].second, slots[s].first);
  }
  const OptimizerArgs args = optimizer.arguments(t);
  const auto kernel = optimizer.step_kernel(kernels());
  const int64_t n = weights.size();
  parallel(n, n * (slots.size() == 2 ? kAdamCost : 3), [&](int64_t i, int64_t j) {
    float* at[Optimizer::kMaxSlots];
    for (int s = 0; s < Optimizer::kMaxSlots; ++s) at[s] = base[s] ? base[s] + i : nullptr;
    kernel(weights.floats() + i, gradient.floats() + i, at, j - i, args);
  });
}

}  // namespace

void register_ops(py::module_& m) {
  using T = KernelTable;
  define_activation(m, "relu_forward", "relu_backward", &T::relu_forward, &T::relu_backward, 1);
  define_activation(m, "sigmoid_forward", "sigmoid_backward", &T::sigmoid_forward, &T::sigmoid_backward, kExpCost);
  define_activation(m, "tanh_forward", "tanh_backward", &T::tanh_forward, &T::tanh_backward, kExpCost);
  m.def("softmax_forward", &softmax_forward, py::arg("x"), py::arg("out") = py::none());
  m.def("softmax_backward", &softmax_backward, py::arg("dy"), py::arg("y"), py::arg("out") = py::none());
  m.def("column_sum", &column_sum, py::arg("x"), py::arg("out") = py::none());
  m.def("row_sum", &row_sum, py::arg("x"), py::arg("out") = py::none());
  m.def(
      "sgd_step",
      [](py::handle w, py::handle g, py::handle velocity, double lr, double momentum, bool nesterov) {
        if (momentum != 0 && velocity.is_none())
          throw py::value_error("velocity: expected an array of w's shape where momentum is not 0. Received: None.");
        std::vector<std::pair<const char*, py::handle>> slots;
        if (momentum != 0) slots.push_back({"velocity", velocity});
        step("sgd", {{"learning_rate", lr}, {"momentum", momentum}, {"nesterov", nesterov}}, 1, w, g, slots);
      },
      py::arg("w"), py::arg("g"), py::arg("velocity"), py::arg("learning_rate"), py::arg("momentum"),
      py::arg("nesterov"));
  m.def(
      "adam_step",
      [](py::handle w, py::handle g, py::handle mean, py::handle v, int64_t t, double lr, double b1, double b2,
         double epsilon) {
        step("adam", {{"learning_rate", lr}, {"beta_1", b1}, {"beta_2", b2}, {"epsilon", epsilon}}, t, w, g,
             {{"m", mean}, {"v", v}});
      },
      py::arg("w"), py::arg("g"), py::arg("m"), py::arg("v"), py::arg("step"), py::arg("learning_rate"),
      py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"));
  m.def(
      "rmsprop_step",
      [](py::handle w, py::handle g, py::handle v, double lr, double rho, double epsilon) {
        step("rmsprop", {{"learning_rate", lr}, {"rho", rho}, {"epsilon", epsilon}}, 1, w, g, {{"v", v}});
      },
      py::arg("w"), py::arg("g"), py::arg("v"), py::arg("learning_rate"), py::arg("rho"), py::arg("epsilon"));
}

}  // namespace lanewise
