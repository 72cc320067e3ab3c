// Elementwise kernels, sums, losses and optimizer steps on NumPy arrays.
#include "bindings/python.h"

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

py::object elementwise_forward(ActivationForward kernel, const ActivationArgs& args, int64_t cost, py::handle x,
                               py::handle out) {
  py::object keep;
  const ArrayView in = contiguous_input(x, "x", keep);
  py::object result = output_array(out, "out", shape_of(in), {x}, true);
  float* y = float32_view(result, "out").floats();
  const int64_t n = in.size();
  parallel(n, n * cost,
           [&](int64_t i, int64_t j) { kernel(in.floats() + i, j - i, nullptr, y + i, j - i, 1, j - i, args); });
  return result;
}

// of: the output y or the input x, as the activation has it.
py::object elementwise_backward(ActivationBackward kernel, const ActivationArgs& args, int64_t cost, py::handle dy,
                                py::handle of, const char* of_name, py::handle out) {
  py::object keep_dy, keep_of;
  const ArrayView g = contiguous_input(dy, "dy", keep_dy), v = contiguous_input(of, of_name, keep_of);
  check_same_shape(g, "dy", v, of_name);
  py::object result = output_array(out, "out", shape_of(g), {dy, of}, true);
  float* dx = float32_view(result, "out").floats();
  const int64_t n = g.size();
  parallel(n, n * cost, [&](int64_t i, int64_t j) {
    kernel(g.floats() + i, j - i, v.floats() + i, j - i, dx + i, j - i, 1, j - i, args);
  });
  return result;
}

constexpr const char* kForward = "The activation of x. out: of x's shape, where it goes; it may be x.";
constexpr const char* kBackward = "The gradient by x, given that by y and y = forward(x). out: where it goes.";

void define_activation(py::module_& m, const char* forward, const char* backward, ActivationForward KernelTable::*f,
                       ActivationBackward KernelTable::*b, int64_t cost) {
  m.def(
      forward, [f, cost](py::handle x, py::handle out) { return elementwise_forward(kernels().*f, {}, cost, x, out); },
      py::arg("x"), py::arg("out") = py::none(), kForward);
  m.def(
      backward,
      [b](py::handle dy, py::handle y, py::handle out) {
        return elementwise_backward(kernels().*b, {}, 1, dy, y, "y", out);
      },
      py::arg("dy"), py::arg("y"), py::arg("out") = py::none(), kBackward);
}

// Those that are found by name, with up to three numbers.
const ActivationInfo& activation_named(const std::string& name) {
  const ActivationInfo* info = find_activation(name);
  if (info == nullptr) throw py::value_error("name: no activation is called '" + name + "'.");
  return *info;
}
ActivationArgs activation_args(double a, double b, double c) {
  if (std::isnan(a) || std::isnan(b) || std::isnan(c))
    throw py::value_error("a, b, c: expected numbers. Received: nan.");
  return {static_cast<float>(a), static_cast<float>(b), static_cast<float>(c)};
}
py::object activation_forward_named(const std::string& name, py::handle x, double a, double b, double c,
                                    py::handle out) {
  const FloatEnvironment environment;
  const auto kernel = activation_forward(kernels(), activation_named(name).op);
  return elementwise_forward(kernel, activation_args(a, b, c), kExpCost, x, out);
}
py::object activation_backward_named(const std::string& name, py::handle dy, py::handle of, double a, double b,
                                     double c, py::handle out) {
  const FloatEnvironment environment;
  const ActivationInfo& info = activation_named(name);
  const auto kernel = activation_backward(kernels(), info.op);
  return elementwise_backward(kernel, activation_args(a, b, c), kExpCost, dy, of, info.of_input ? "x" : "y", out);
}

// Softmax or its logarithm.
py::object along_rows_forward(void (*KernelTable::*f)(const float*, int64_t, float*, int64_t, int64_t, int64_t),
                              py::handle x, py::handle out) {
  py::object keep;
  const ArrayView in = contiguous_input(x, "x", keep);
  const Rows s = rows_of(in, "x");
  py::object result = output_array(out, "out", shape_of(in), {x}, true);
  float* y = float32_view(result, "out").floats();
  const auto kernel = kernels().*f;
  parallel(s.rows, in.size() * kExpCost, [&](int64_t i, int64_t j) {
    kernel(in.floats() + i * s.cols, s.cols, y + i * s.cols, s.cols, j - i, s.cols);
  });
  return result;
}

py::object along_rows_backward(void (*KernelTable::*b)(const float*, int64_t, const float*, int64_t, float*, int64_t,
                                                       int64_t, int64_t),
                               py::handle dy, py::handle y, py::handle out) {
  py::object keep_dy, keep_y;
  const ArrayView g = contiguous_input(dy, "dy", keep_dy), v = contiguous_input(y, "y", keep_y);
  check_same_shape(g, "dy", v, "y");
  const Rows s = rows_of(g, "dy");
  py::object result = output_array(out, "out", shape_of(g), {dy, y}, true);
  float* dx = float32_view(result, "out").floats();
  const auto kernel = kernels().*b;
  parallel(s.rows, g.size(), [&](int64_t i, int64_t j) {
    const int64_t at = i * s.cols;
    kernel(g.floats() + at, s.cols, v.floats() + at, s.cols, dx + at, s.cols, j - i, s.cols);
  });
  return result;
}

// x, dy: (..., n) with alpha (n,), or any shape with alpha (1,).
struct PreluArguments {
  py::object keep_x, keep_alpha;
  ArrayView x, alpha;
  int64_t rows, cols;
  PreluArguments(py::handle given_x, py::handle given_alpha)
      : x(contiguous_input(given_x, "x", keep_x)), alpha(contiguous_input(given_alpha, "alpha", keep_alpha)) {
    cols = alpha.size();
    if (alpha.ndim != 1 || x.ndim == 0 || (cols != 1 && cols != x.shape[x.ndim - 1]))
      throw py::value_error("alpha: expected shape (1,), or as many elements as x has columns. Received: " +
                            describe_array(alpha) + " with x: " + describe_array(x) + ".");
    rows = cols ? x.size() / cols : 0;
  }
};
py::object prelu_forward(py::handle x, py::handle alpha, py::handle out) {
  const PreluArguments a(x, alpha);
  py::object result = output_array(out, "out", shape_of(a.x), {x, alpha}, false);
  float* y = float32_view(result, "out").floats();
  const auto& k = kernels();
  parallel(a.rows, a.x.size(), [&](int64_t i, int64_t j) {
    k.prelu_forward(a.x.floats() + i * a.cols, a.alpha.floats(), y + i * a.cols, j - i, a.cols);
  });
  return result;
}
py::object prelu_backward(py::handle dy, py::handle x, py::handle alpha, py::handle out) {
  const PreluArguments a(x, alpha);
  py::object keep;
  const ArrayView g = contiguous_input(dy, "dy", keep);
  check_same_shape(g, "dy", a.x, "x");
  py::object result = output_array(out, "out", shape_of(g), {dy, x, alpha}, false);
  float* dx = float32_view(result, "out").floats();
  const auto& k = kernels();
  parallel(a.rows, a.x.size(), [&](int64_t i, int64_t j) {
    const int64_t at = i * a.cols;
    k.prelu_backward(g.floats() + at, a.x.floats() + at, a.alpha.floats(), dx + at, j - i, a.cols);
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

// Kept from one call of a thread to the next: it takes longer to make than a small array to step. The caller owns it
// too: a call may come within another, from Python that an array's class brings.
std::shared_ptr<const Optimizer> optimizer_for(const std::string& name, const py::kwargs& hyper) {
  struct Made {
    std::string name;
    std::map<std::string, double> values;
    std::shared_ptr<const Optimizer> optimizer;
  };
  static thread_local Made last;
  std::map<std::string, double> values;
  for (const auto& [key, value] : hyper) values[py::str(key)] = py::cast<double>(value) + 0.0;  // no -0, equal to 0
  if (!last.optimizer || last.name != name || last.values != values)
    last = {name, values, std::make_shared<const Optimizer>(name, values)};
  return last.optimizer;
}

// One optimizer step in place: w and the slots change, g does not. slots: the equation's, by name and in its order.
void optimizer_step(const std::string& name, int64_t t, py::handle w, py::handle g, const py::dict& slots,
                    const py::kwargs& hyper) {
  const std::shared_ptr<const Optimizer> kept = optimizer_for(name, hyper);
  const Optimizer& optimizer = *kept;
  if (t < 1) throw py::value_error("step: expected at least 1 (the first step). Received: " + std::to_string(t) + ".");
  py::object keep;
  const ArrayView weights = updated_array(w, "w", float32_view(w, "w"));
  const ArrayView gradient = contiguous_input(g, "g", keep);
  check_same_shape(weights, "w", gradient, "g");
  check_disjoint(w, "w", g, "g");
  float* base[Optimizer::kMaxSlots] = {};
  const std::vector<std::string> names = optimizer.slot_names();
  std::vector<py::object> arrays;
  for (const std::string& slot : names) {
    const size_t s = arrays.size();
    arrays.push_back(slots.contains(slot) ? py::object(slots[py::str(slot)]) : py::none());
    if (arrays[s].is_none()) throw py::value_error(slot + ": expected an array of w's shape. Received: None.");
    base[s] = updated_array(arrays[s], slot.c_str(), weights).floats();
    check_disjoint(w, "w", arrays[s], slot.c_str());
    check_disjoint(g, "g", arrays[s], slot.c_str());
    for (size_t other = 0; other < s; ++other)
      check_disjoint(arrays[other], names[other].c_str(), arrays[s], slot.c_str());
  }
  const OptimizerArgs args = optimizer.arguments(t, 1)[0].equation;
  const auto kernel = optimizer.step_kernel(kernels());
  const int64_t n = weights.size();
  parallel(n, n * (names.size() >= 2 ? kAdamCost : 3), [&](int64_t i, int64_t j) {
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
  m.def("activation_forward", &activation_forward_named, py::arg("name"), py::arg("x"), py::arg("a") = 0.0,
        py::arg("b") = 0.0, py::arg("c") = 0.0, py::arg("out") = py::none());
  m.def("activation_backward", &activation_backward_named, py::arg("name"), py::arg("dy"), py::arg("of"),
        py::arg("a") = 0.0, py::arg("b") = 0.0, py::arg("c") = 0.0, py::arg("out") = py::none());
  const auto along_rows = [&](const char* forward, const char* backward, auto f, auto b) {
    m.def(
        forward, [f](py::handle x, py::handle out) { return along_rows_forward(f, x, out); }, py::arg("x"),
        py::arg("out") = py::none(), kForward);
    m.def(
        backward, [b](py::handle dy, py::handle y, py::handle out) { return along_rows_backward(b, dy, y, out); },
        py::arg("dy"), py::arg("y"), py::arg("out") = py::none(), kBackward);
  };
  along_rows("softmax_forward", "softmax_backward", &T::softmax_forward, &T::softmax_backward);
  along_rows("log_softmax_forward", "log_softmax_backward", &T::log_softmax_forward, &T::log_softmax_backward);
  m.def("prelu_forward", &prelu_forward, py::arg("x"), py::arg("alpha"), py::arg("out") = py::none(),
        "x where x > 0, else alpha * x; alpha has one element, or one for each column of x.");
  m.def("prelu_backward", &prelu_backward, py::arg("dy"), py::arg("x"), py::arg("alpha"), py::arg("out") = py::none(),
        "dy where x > 0, else alpha * dy.");
  m.def("column_sum", &column_sum, py::arg("x"), py::arg("out") = py::none(),
        "Sums down the rows of a matrix. out: (columns,), where they go.");
  m.def("row_sum", &row_sum, py::arg("x"), py::arg("out") = py::none(),
        "Sums along the rows of a matrix. out: (rows,), where they go.");
  m.def("optimizer_step", &optimizer_step, py::arg("name"), py::arg("step"), py::arg("w"), py::arg("g"),
        py::arg("slots"));
}

}  // namespace lanewise
