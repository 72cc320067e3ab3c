// Variables, graphs, optimizers and networks.
#include "bindings/python.h"

#include <pybind11/stl.h>

#include <optional>

#include "bindings/call_data.h"
#include "bindings/lock.h"
#include "engine/network.h"
#include "engine/team.h"

namespace lanewise {
namespace {

using Names = std::map<std::string, double>;

Names numbers(const py::kwargs& kwargs) {
  Names map;
  for (const auto& [key, value] : kwargs) map[py::str(key)] = py::cast<double>(value);
  return map;
}

py::array_t<float> row_major(const Variable& v, const float* stored) {
  auto out = new_array({v.shape().begin(), v.shape().end()});
  v.to_row_major(stored, out.mutable_data());
  return out;
}

// A float32 array of exactly the variable's shape, C-contiguous (copied where it is not).
const float* values_for(const Variable& v, py::handle value, const char* name, py::object& keep) {
  const ArrayView view = contiguous_input(value, name, keep);
  const std::vector<py::ssize_t> wanted(v.shape().begin(), v.shape().end());
  if (view.ndim != static_cast<int>(wanted.size()) || !std::equal(wanted.begin(), wanted.end(), view.shape))
    throw py::value_error(std::string(name) + ": expected an array of the variable's shape " +
                          std::string(py::str(py::tuple(py::cast(wanted)))) + ". Received: " + describe_array(view) +
                          ".");
  return view.floats();
}

void check_batch(int64_t batch_size) {
  if (batch_size < 1)
    throw py::value_error("batch_size: expected at least 1. Received: " + std::to_string(batch_size) + ".");
}

// Lets other threads of Python run during a call, unless it is over before they could (quick).
struct UnlessQuick {
  std::optional<GilReleased> released;
  UnlessQuick(const Network& network, int64_t rows, int64_t batch_size) {
    if (!network.is_quick(rows, batch_size)) released.emplace();
  }
};

py::array_t<double> train(Network& network, const py::sequence& x, const py::sequence& y, const py::object& weight,
                          const py::object& order, int64_t start, int64_t stop, int64_t batch_size,
                          Optimizer& optimizer, uint64_t seed, bool weights_in_order) {
  check_batch(batch_size);
  CallData call(network, x);
  call.pass(network, y, weight, order, start, stop, weights_in_order);
  std::vector<double> sums;
  {
    const UnlessQuick released(network, stop - start, batch_size);
    sums = network.train(call.data, start, stop, batch_size, optimizer, seed);
  }
  return sums_array(sums);
}

// (x, y, sample_weight, order, batch_size): all rows of x, or those of the order, are to be taken in batches.
using BatchesTuple = std::tuple<py::sequence, py::sequence, py::object, py::object, int64_t>;

Batches batches(const Network& network, const BatchesTuple& given, CallData& call) {
  const auto& [x, y, weight, order, batch_size] = given;
  check_batch(batch_size);
  int64_t start = 0, rows = order.is_none() ? call.rows : static_cast<int64_t>(py::len(order));
  call.pass(network, y, weight, order, start, rows);
  return {call.data, rows, batch_size};
}

void train_epochs(Network& network, const BatchesTuple& rows, Optimizer& optimizer, uint64_t seed, uint64_t first,
                  bool shuffle, const std::vector<bool>& validated, const BatchesTuple& held, py::list done) {
  CallData call(network, std::get<0>(rows)), held_call(network, std::get<0>(held));
  const Batches train = batches(network, rows, call), validate = batches(network, held, held_call);
  std::vector<double> sums;
  std::exception_ptr error;
  try {
    const auto epochs = static_cast<int64_t>(validated.size());
    const UnlessQuick released(network, epochs * (train.rows + validate.rows), train.batch_size);
    network.train_epochs(train, optimizer, seed, first, shuffle, validated, validate, sums);
  } catch (...) {
    error = std::current_exception();
  }
  done.append(sums_array(sums));
  if (error) std::rethrow_exception(error);
}

py::array_t<double> evaluate(Network& network, const py::sequence& x, const py::sequence& y, const py::object& weight,
                             int64_t start, int64_t stop, int64_t batch_size, uint64_t seed, int64_t step,
                             const py::object& order, bool weights_in_order) {
  check_batch(batch_size);
  CallData call(network, x);
  const int64_t given = start;
  call.pass(network, y, weight, order, start, stop, weights_in_order);
  step += (given - start) / batch_size;  // the network counts the batches before start
  std::vector<double> sums;
  {
    const UnlessQuick released(network, stop - start, batch_size);
    sums = network.evaluate(call.data, start, stop, batch_size, seed, step);
  }
  return sums_array(sums);
}

std::vector<py::ssize_t> output_shape(const Network& network, size_t o, int64_t rows) {
  const std::vector<int64_t>& sample = network.graph().value(network.input().outputs[o]).shape;
  std::vector<py::ssize_t> shape;
  shape.reserve(1 + sample.size());
  shape.push_back(rows);
  shape.insert(shape.end(), sample.begin(), sample.end());
  return shape;
}

void run_predict(Network& network, std::span<const Source> inputs, int64_t start, int64_t stop,
                 std::span<float* const> out, uint64_t seed, int64_t step) {
  std::optional<GilReleased> release;
  if (stop - start > 4 || network.calls_host()) release.emplace();  // else shorter than a GIL hand-over
  network.predict(inputs, start, stop, out, seed, step);
}

void predict(Network& network, const py::sequence& x, int64_t start, int64_t stop, const py::sequence& out,
             uint64_t seed, int64_t step) {
  CallData call(network, x);
  call.order(py::none(), start, stop);
  call.check_ids(network, start, stop);
  const size_t outputs = network.input().outputs.size();
  if (out.size() != outputs)
    throw py::value_error("out: expected " + std::to_string(outputs) +
                          " arrays. Received: " + std::to_string(out.size()) + ".");
  std::vector<float*> pointers;
  for (size_t o = 0; o < outputs; ++o) {
    const auto shape = output_shape(network, o, call.rows);
    const py::object array = out[o];
    if (array.is_none()) throw py::type_error("out: expected arrays to write into. Received: None.");
    int64_t row = 1;
    for (size_t d = 1; d < shape.size(); ++d) row *= shape[d];
    pointers.push_back(float32_view(output_array(array, "out", shape, {}), "out").floats() + start * row);
  }
  run_predict(network, call.data.inputs, start, stop, pointers, seed, step);
}

// What `predict` returns for a few rows of one float32 input that can be read where they are, under the model's lock,
// in one call: a row of 1000-128-1 takes 5.5 us, of which W's way from L2 is 4.4; checked and locked from Python 8.4.
// None for what is to be looked at first, or too long not to be interrupted.
py::object predict_few(Network& network, ModelLock& lock, const py::object& x, const py::type& returns) {
  auto* const ndarray = reinterpret_cast<PyTypeObject*>(py::detail::npy_api::get().PyArray_Type_);
  if (!PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(returns.ptr()), ndarray))
    throw py::type_error("returns: expected a type of NumPy array. Received: " + std::string(py::repr(returns)) + ".");
  if (Py_TYPE(x.ptr()) != ndarray) return py::none();
  const ModelLock::Reading reading(lock);  // who waits for it lets others change x meanwhile
  const ArrayView v = array_view(x, "x");
  const Value& sample = network.graph().value(network.graph().inputs()[0]);
  const auto& shape = sample.shape;
  if (v.type_num != py::detail::npy_api::NPY_FLOAT_ || !v.native || !v.contiguous() ||
      v.ndim != static_cast<int>(shape.size()) + 1 || !std::equal(shape.begin(), shape.end(), v.shape + 1) ||
      v.shape[0] < 1 || v.shape[0] > kPredictRows)
    return py::none();
  const int64_t rows = v.shape[0], cols = sample.rows() * sample.cols();
  const Source input{v.data, DType::kFloat32, rows, cols, cols * 4, 4};
  check_ids(network, {&input, 1}, nullptr, 0, rows);
  auto out = new_array(output_shape(network, 0, rows), returns);
  float* const target = out.mutable_data();
  run_predict(network, {&input, 1}, 0, rows, {&target, 1}, 0, 0);
  return out;
}

py::list call_network(Network& network, const py::sequence& x, bool training, uint64_t seed, int64_t step) {
  CallData call(network, x);
  call.check_ids(network, 0, call.rows);
  py::list results;
  std::vector<float*> pointers;
  for (size_t o = 0; o < network.input().outputs.size(); ++o) {
    auto array = new_array(output_shape(network, o, call.rows));
    pointers.push_back(array.mutable_data());
    results.append(std::move(array));
  }
  GilReleased release;
  network.call(call.data.inputs, training, seed, step, pointers);
  return results;
}

py::tuple value_and_grad(Network& network, const py::sequence& x, const py::sequence& y, const py::object& weight,
                         bool training, uint64_t seed, int64_t step) {
  CallData call(network, x);
  if (call.rows < 1) throw py::value_error("x: expected at least one row. Received none.");
  int64_t start = 0, rows = call.rows;
  call.pass(network, y, weight, py::none(), start, rows);
  py::list gradients;
  std::vector<float*> pointers;
  for (int v = 0; v < network.input().trainable; ++v) {
    const auto& shape = network.input().variables[static_cast<size_t>(v)]->shape();
    auto array = new_array({shape.begin(), shape.end()});
    pointers.push_back(array.mutable_data());
    gradients.append(std::move(array));
  }
  std::vector<double> sums;
  {
    GilReleased release;
    sums = network.value_and_grad(call.data, training, seed, step, pointers);
  }
  return py::make_tuple(sums_array(sums), gradients);
}

void apply_gradients(Network& network, Optimizer& optimizer, const py::sequence& gradients) {
  const auto& input = network.input();
  if (static_cast<int>(gradients.size()) != input.trainable)
    throw py::value_error("gradients: expected " + std::to_string(input.trainable) +
                          " arrays, one for each trainable variable. Received: " + std::to_string(gradients.size()) +
                          ".");
  std::vector<py::object> keep(gradients.size());
  std::vector<const float*> pointers;
  std::vector<py::object> given;
  for (size_t v = 0; v < gradients.size(); ++v) {
    given.push_back(gradients[v]);
    pointers.push_back(values_for(*input.variables[v], given.back(), "gradients", keep[v]));
  }
  GilReleased release;
  network.apply_gradients(optimizer, pointers);
}

}  // namespace

void register_engine(py::module_& m) {
  m.attr("PREDICT_ROWS") = kPredictRows;
  py::class_<Variable, VariablePtr>(m, "Variable")
      .def("__init__", made_by(+[](const std::vector<int64_t>& shape) { return std::make_shared<Variable>(shape); }),
           is_new_style_constructor(), py::arg("shape"))
      .def_property_readonly("shape", [](const Variable& v) { return py::tuple(py::cast(v.shape())); })
      .def("get", [](const Variable& v) { return row_major(v, v.data()); })
      .def(
          "set",
          [](Variable& v, py::handle value) {
            py::object keep;
            v.from_row_major(values_for(v, value, "value", keep), v.data());
          },
          py::arg("value"));

  register_host(m);
  py::class_<Graph, std::shared_ptr<Graph>>(m, "Graph")
      .def("__init__", made_by(+[] { return std::make_shared<Graph>(); }), is_new_style_constructor())
      .def("input", &Graph::input, py::arg("shape"))
      .def(
          "add",
          [](Graph& g, const std::string& op, const std::vector<int>& inputs, const std::vector<VariablePtr>& variables,
             const py::kwargs& attributes) {
            const FloatEnvironment environment;
            return g.add(op, inputs, variables, numbers(attributes));
          },
          py::arg("op"), py::arg("inputs"), py::arg("variables") = std::vector<VariablePtr>{})
      .def(
          "shape", [](const Graph& g, int value) { return py::tuple(py::cast(g.value(value).shape)); },
          py::arg("value"))
      .def(
          "gather",
          [](Graph& graph, int input, const py::array_t<int64_t, py::array::c_style>& map, std::vector<int64_t> shape) {
            return graph.gather(input, {map.data(), map.data() + map.size()}, std::move(shape));
          },
          py::arg("input"), py::arg("map"), py::arg("shape"))
      .def("call_host", &Graph::call_host, py::arg("input"), py::arg("variables"), py::arg("shape"), py::arg("host"))
      .def("integer_input", &Graph::integer_input, py::arg("value"))
      .def("operations", &Graph::operations);

  py::class_<Optimizer>(m, "Optimizer")
      .def("__init__", made_by(+[](const std::string& name, const py::kwargs& hyper) {
             return std::make_unique<Optimizer>(name, numbers(hyper));
           }),
           is_new_style_constructor(), py::arg("name"))
      .def("set", &Optimizer::set, py::arg("key"), py::arg("value"))
      .def("get", &Optimizer::get, py::arg("key"))
      .def_property("iterations", &Optimizer::iterations, &Optimizer::set_iterations)
      .def("slot_names", &Optimizer::slot_names)
      .def("set_rates", &Optimizer::set_rates, py::arg("first"), py::arg("rates"))
      .def("set_undecayed", &Optimizer::set_undecayed, py::arg("variables"))
      .def(
          "has_slots", [](const Optimizer& o, const VariablePtr& v) { return o.has_slots(v.get()); },
          py::arg("variable"))
      .def(
          "get_slots",
          [](Optimizer& o, const VariablePtr& v) {
            py::list list;
            const auto slots = o.has_slots(v.get()) ? o.slots(v) : o.fresh_slots(*v);  // to look is not to make them
            for (const auto& slot : *slots) list.append(row_major(*v, slot.data()));
            return list;
          },
          py::arg("variable"))
      .def(
          "set_slots",
          [](Optimizer& o, const VariablePtr& v, const py::sequence& values) {
            if (values.size() == 0) return o.drop_slots(v.get());
            const auto slots = o.slots(v);
            if (values.size() != slots->size())
              throw py::value_error("values: expected " + std::to_string(slots->size()) +
                                    " arrays. Received: " + std::to_string(values.size()) + ".");
            std::vector<py::object> keep(values.size()), given;
            std::vector<const float*> pointers;
            for (size_t i = 0; i < values.size(); ++i) {
              given.push_back(values[i]);
              pointers.push_back(values_for(*v, given.back(), "values", keep[i]));
            }
            for (size_t i = 0; i < pointers.size(); ++i) v->from_row_major(pointers[i], (*slots)[i].data());
          },
          py::arg("variable"), py::arg("values"));

  using Kernel = std::variant<std::string, std::shared_ptr<Host>>;
  using LossTuple = std::tuple<Kernel, int, py::object, double>;       // rounded to float32 in the constructor
  using MetricTuple = std::tuple<Kernel, int, py::object, int, bool>;  // the last: weighted
  using TargetTuple = std::tuple<int, bool>;                           // value, labels
  using RegularizerTuple = std::tuple<VariablePtr, double, double>;
  using ConstraintTuple = std::tuple<VariablePtr, std::string, double, double, double>;
  py::class_<Network>(m, "Network", py::dynamic_attr())  // `kept`: what its Hosts call
      .def("__init__",
           made_by(+[](const std::shared_ptr<Graph>& graph, const std::vector<int>& outputs,
                       const std::vector<LossTuple>& losses, const std::vector<MetricTuple>& metrics,
                       const std::vector<VariablePtr>& trainable, const std::vector<RegularizerTuple>& regularizers,
                       const std::vector<ConstraintTuple>& constraints, bool fuse,
                       const std::vector<TargetTuple>& targets, const std::vector<VariablePtr>& frozen) {
             const FloatEnvironment environment;
             const auto f = [](double x) { return static_cast<float>(x); };
             std::vector<LossSpec> loss_specs;
             const auto name_of = [](const Kernel& kernel) {
               const auto* name = std::get_if<std::string>(&kernel);
               return name ? *name : std::string();
             };
             const auto host_of = [](const Kernel& kernel) {
               const auto* host = std::get_if<std::shared_ptr<Host>>(&kernel);
               return host ? *host : nullptr;
             };
             for (const auto& [kernel, value, param, weight] : losses)
               loss_specs.push_back({name_of(kernel), value, params_of(param), f(weight), 0, host_of(kernel)});
             std::vector<MetricSpec> metric_specs;
             for (const auto& [kernel, value, param, target, weighted] : metrics)
               metric_specs.push_back({name_of(kernel), value, params_of(param), target, weighted, host_of(kernel)});
             std::vector<TargetSpec> more;
             for (const auto& [value, labels] : targets) more.push_back({value, labels});
             std::vector<std::pair<VariablePtr, Regularizer>> rules;
             for (const auto& [variable, l1, l2] : regularizers) rules.push_back({variable, {0, f(l1), f(l2)}});
             std::vector<std::pair<VariablePtr, Constraint>> limits;
             for (const auto& [variable, kind, low, high, rate] : constraints) {
               const bool flat = variable->shape().size() == 1;
               Norms norms = Norms::kColumns;
               if (kind == "row_norm" || kind == "last_norm")
                 norms = flat ? Norms::kWhole : Norms::kRows;
               else if (kind == "whole_norm")
                 norms = Norms::kWhole;
               else if (kind != "norm" && kind != "non_neg")
                 throw py::value_error(
                     "constraints: expected 'norm', 'row_norm', 'last_norm', 'whole_norm' or 'non_neg'. Received: '" +
                     kind + "'.");
               if (flat && kind == "row_norm")
                 throw py::value_error("constraints: expected axis 0 or -1 for a variable of one axis. Received: 1.");
               limits.push_back({variable, {0, f(low), f(high), f(rate), kind == "non_neg", norms}});
             }
             // The network keeps a graph of its own, so that nobody adds to it afterwards.
             return std::make_unique<Network>(std::make_shared<const Graph>(*graph), outputs, loss_specs, metric_specs,
                                              trainable, rules, limits, fuse, more, frozen);
           }),
           is_new_style_constructor(), py::arg("graph"), py::arg("outputs"),
           py::arg("losses") = std::vector<LossTuple>{}, py::arg("metrics") = std::vector<MetricTuple>{},
           py::arg("trainable") = std::vector<VariablePtr>{}, py::arg("regularizers") = std::vector<RegularizerTuple>{},
           py::arg("constraints") = std::vector<ConstraintTuple>{}, py::arg("fuse") = true,
           py::arg("targets") = std::vector<TargetTuple>{}, py::arg("frozen") = std::vector<VariablePtr>{})
      .def(
          "check",
          [](const Network& network, const py::sequence& x) {
            const CallData call(network, x);
            call.check_ids(network, 0, call.rows);
          },
          py::arg("x"))
      .def("train", &train, py::arg("x"), py::arg("y"), py::arg("sample_weight"), py::arg("order"), py::arg("start"),
           py::arg("stop"), py::arg("batch_size"), py::arg("optimizer"), py::arg("seed"), py::kw_only(),
           py::arg("weights_in_order") = false)
      .def("train_epochs", &train_epochs, py::arg("rows"), py::arg("optimizer"), py::arg("seed"), py::arg("first"),
           py::arg("shuffle"), py::arg("validated"), py::arg("held"), py::arg("done"))
      .def("evaluate", &evaluate, py::arg("x"), py::arg("y"), py::arg("sample_weight"), py::arg("start"),
           py::arg("stop"), py::arg("batch_size"), py::arg("seed") = 0, py::arg("step") = 0, py::kw_only(),
           py::arg("order") = py::none(), py::arg("weights_in_order") = false)
      .def("predict", &predict, py::arg("x"), py::arg("start"), py::arg("stop"), py::arg("out"), py::arg("seed") = 0,
           py::arg("step") = 0)
      .def(
          "predict_few",
          [](const py::object& network, const py::object& lock) {
            auto& n = py::cast<Network&>(network);  // found once: what a call costs beside its work is what counts here
            auto& l = py::cast<ModelLock&>(lock);
            return py::cpp_function([network, lock, &n, &l](const py::object& x, const py::type& returns) {
              return predict_few(n, l, x, returns);
            });
          },
          py::arg("lock"))
      .def("call", &call_network, py::arg("x"), py::arg("training"), py::arg("seed"), py::arg("step"))
      .def("value_and_grad", &value_and_grad, py::arg("x"), py::arg("y"), py::arg("sample_weight"), py::arg("training"),
           py::arg("seed"), py::arg("step"))
      .def("apply_gradients", &apply_gradients, py::arg("optimizer"), py::arg("gradients"))
      .def(
          "instructions", [](Network& n, const std::string& which) { return n.instructions(which, get_num_threads()); },
          py::arg("which") = "train")
      .def("free_workspaces", &Network::free_workspaces)
      .def("memory", &Network::memory, py::arg("batch_size"))
      .def("default_threads", &Network::default_threads, py::arg("batch_size"));
}

}  // namespace lanewise
