// Calls out of the instruction list.
#include "engine/host.h"

#include <algorithm>
#include <stdexcept>

#include "engine/execute.h"
#include "engine/planner.h"

namespace lanewise {

int Graph::call_host(int input, const std::vector<VariablePtr>& variables, std::vector<int64_t> shape,
                     std::shared_ptr<Host> host) {
  value(input);
  Node node{Op::kHost, {input}, -1, variables};
  node.host = std::move(host);
  return append(std::move(node), std::move(shape));
}

// Forward, then in the backward pass the gradient of x and that of each trained variable, one instruction each: so
// everybody else sees what is written and by whom.
bool Planner::host_forward(const Node& node, int x, int y) {
  emit({.kind = Kind::kHost, .in = x, .out = y, .index = node.output});
  return std::any_of(node.variables.begin(), node.variables.end(),
                     [&](const VariablePtr& v) { return trained(variable_index(v)); });
}

void Planner::host_backward(const Node& node, int dy) {
  const int x = node.inputs[0];
  if (needs(x))
    write_gradient(x, [&](int dx) { emit({.kind = Kind::kHostBackward, .in = dy, .out = dx, .index = node.output}); });
  else
    emit({.kind = Kind::kHostBackward, .in = dy, .index = node.output});
  for (size_t k = 0; k < node.variables.size(); ++k) {
    const int v = variable_index(node.variables[k]);
    if (trained(v))
      weight_gradient({.kind = Kind::kHostGradient, .index = node.output, .first = static_cast<int64_t>(k)}, v);
  }
}

namespace {

HostArray of_value(const Run& run, int value, int tensor) {
  HostArray array{run.data(tensor), {run.batch}};
  for (int64_t d : run.input->graph->value(value).shape) array.shape.push_back(d);
  return array;
}

HostArray of_variable(const Variable& variable, std::vector<float>& memory) {
  memory.resize(static_cast<size_t>(variable.size()));
  return {memory.data(), {variable.shape().begin(), variable.shape().end()}};
}

void call(const Run& run, const Instruction& i) {
  using Stage = Host::Stage;
  const PlanInput& in = *run.input;
  if (i.kind == Kind::kLoss || i.kind == Kind::kLossBackward || i.kind == Kind::kMetric) {
    const bool metric = i.kind == Kind::kMetric;
    const size_t at = static_cast<size_t>(i.index);
    Host& host = metric ? *in.metrics[at].host : *in.losses[at].host;
    const int value = metric ? in.metrics[at].value : in.losses[at].value;
    const int target = metric ? in.metrics[at].target : in.losses[at].target;
    const Tensor& wanted = run.shape(i.in2);
    std::vector<HostArray> arrays{of_value(run, value, i.in),
                                  {run.data(i.in2), {run.batch, wanted.rows * wanted.cols}, wanted.labels}};
    if (i.kind != Kind::kLossBackward) {
      arrays.push_back({run.data(i.out), {run.batch, run.shape(i.out).rows}});
      return host.call(Stage::kRows, arrays, run.training, !metric && run.backward);
    }
    arrays.push_back({run.weights[target], {run.batch}});
    arrays.push_back(of_value(run, value, i.out));
    const double mean = static_cast<double>(in.losses[at].weight) / static_cast<double>(run.batch);
    return host.call(Stage::kSlope, arrays, run.training, mean);
  }
  const Node& node = in.graph->nodes()[static_cast<size_t>(i.index)];
  std::vector<std::vector<float>> memory(node.variables.size() + 1);
  if (i.kind == Kind::kHost) {
    std::vector<HostArray> arrays{of_value(run, node.inputs[0], i.in)};
    for (size_t k = 0; k < node.variables.size(); ++k) {
      arrays.push_back(of_variable(*node.variables[k], memory[k]));
      node.variables[k]->to_row_major(node.variables[k]->data(), memory[k].data());
    }
    arrays.push_back(of_value(run, node.output, i.out));
    if (run.training) run.failure->called.push_back(nullptr);  // a call that fails leaves nothing behind
    node.host->call(Stage::kForward, arrays, run.training, run.backward);
    if (run.training) run.failure->called.back() = node.host.get();
    return;
  }
  if (i.kind == Kind::kHostBackward) {
    HostArray dx{nullptr, {}};
    if (i.out >= 0) dx = of_value(run, node.inputs[0], i.out);
    return node.host->call(Stage::kBackward, {of_value(run, node.output, i.in), dx}, run.training, 0);
  }
  const Variable& variable = run.variable(i.variable);
  const HostArray gradient = of_variable(variable, memory[0]);
  node.host->call(Stage::kGradient, {gradient}, run.training, static_cast<double>(i.first));
  std::vector<float> stored(static_cast<size_t>(variable.size()));
  variable.from_row_major(memory[0].data(), stored.data());
  if (i.accumulate)
    run.table->add_inplace(run.data(i.out), stored.data(), variable.size());
  else
    std::copy(stored.begin(), stored.end(), run.data(i.out));
}

}  // namespace

void execute_host(const Run& run, const Instruction& i, int thread) {
  if (thread != 0 || run.failure->any()) return;
  try {
    call(run, i);
  } catch (...) {
    run.failure->error = std::current_exception();
    run.failure->at(run.step);
  }
}

bool is_host(const PlanInput& input, const Instruction& i) {
  switch (i.kind) {
    case Kind::kHost:
    case Kind::kHostBackward:
    case Kind::kHostGradient:
      return true;
    case Kind::kLoss:
    case Kind::kLossBackward:
      return input.losses[static_cast<size_t>(i.index)].host != nullptr;
    case Kind::kMetric:
      return input.metrics[static_cast<size_t>(i.index)].host != nullptr;
    default:
      return false;
  }
}

}  // namespace lanewise
