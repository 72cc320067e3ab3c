#include "engine/plan.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <stdexcept>

namespace lanewise {
namespace {

// Builds the unfused lists: forward in graph order, then losses, then each operation's backward in reverse.
class Planner {
 public:
  Planner(const PlanInput& input, bool whole_gradients) : in_(input), whole_gradients_(whole_gradients) {}

  Plan build() {
    const Graph& graph = *in_.graph;
    gradient_.assign(graph.values().size(), -1);
    needs_gradient_.assign(graph.values().size(), false);
    for (const Node& node : graph.nodes()) forward(node);
    plan_.predict = list_;

    for (size_t i = 0; i < in_.regularizers.size(); ++i) emit({.kind = Kind::kPenalty, .index = static_cast<int>(i)});
    std::rotate(list_.begin(), list_.begin() + static_cast<long>(plan_.predict.size()), list_.end());
    for (size_t i = 0; i < plan_.activities.size(); ++i)
      emit({.kind = Kind::kActivityPenalty, .in = plan_.activities[i].tensor, .index = static_cast<int>(i)});
    for (size_t i = 0; i < in_.losses.size(); ++i) loss(static_cast<int>(i));
    for (size_t i = 0; i < in_.metrics.size(); ++i) metric(static_cast<int>(i));
    plan_.evaluate = list_;
    plan_.evaluate.push_back({.kind = Kind::kReport});

    for (int v = 0; v < in_.trainable; ++v) {
      plan_.gradient_tensor.push_back(add_tensor({.gradient_of = v}));
      written_.push_back(false);
    }
    for (size_t i = 0; i < in_.losses.size(); ++i) loss_backward(static_cast<int>(i));
    for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node)
      if (gradient_of(node->output) >= 0) backward(*node);
    for (size_t i = 0; i < in_.regularizers.size(); ++i) {
      const int v = in_.regularizers[i].variable;
      if (v < in_.trainable && written_[static_cast<size_t>(v)])
        emit({.kind = Kind::kRegularize, .out = grad_of_variable(v), .variable = v, .index = static_cast<int>(i)});
    }
    emit({.kind = Kind::kReport});
    plan_.gradient = list_;

    apply(written_);  // training updates what it has gradients of
    plan_.train = list_;
    list_.clear();
    apply(std::vector<bool>(written_.size(), true));
    plan_.apply = list_;
    return std::move(plan_);
  }

 private:
  void emit(Instruction i) { list_.push_back(i); }
  int add_tensor(Tensor t) {
    const int id = static_cast<int>(plan_.tensors.size());
    if (t.storage < 0) t.storage = id;
    plan_.tensors.push_back(t);
    return id;
  }
  int tensor_of(int value) const { return plan_.value_tensor[static_cast<size_t>(value)]; }
  int gradient_of(int value) const { return gradient_[static_cast<size_t>(value)]; }
  int grad_of_variable(int v) const { return plan_.gradient_tensor[static_cast<size_t>(v)]; }
  bool needs(int value) const { return needs_gradient_[static_cast<size_t>(value)]; }
  int variable_index(const VariablePtr& v) const {
    return static_cast<int>(std::find(in_.variables.begin(), in_.variables.end(), v) - in_.variables.begin());
  }
  bool trained(int variable) const { return variable < in_.trainable; }

  void forward(const Node& node) {
    const Value& value = in_.graph->value(node.output);
    const int x = node.inputs.empty() ? -1 : tensor_of(node.inputs[0]);
    bool needs_gradient = !node.inputs.empty() && needs(node.inputs[0]);
    int y;
    if (node.op == Op::kLinear || node.op == Op::kActivityPenalty) {
      y = x;
    } else {
      Tensor t{.rows = value.rows(), .cols = value.cols()};
      if (node.op == Op::kReshape) t.storage = plan_.tensors[static_cast<size_t>(x)].storage;
      y = add_tensor(t);
    }
    plan_.value_tensor.push_back(y);
    std::vector<int> variables;
    for (const auto& v : node.variables) variables.push_back(variable_index(v));
    switch (node.op) {
      case Op::kMatmul:
        emit({.kind = Kind::kMatmul, .in = x, .out = y, .variable = variables[0]});
        needs_gradient |= trained(variables[0]);
        break;
      case Op::kBiasAdd:
        emit({.kind = Kind::kBiasAdd, .in = x, .out = y, .bias = variables[0]});
        needs_gradient |= trained(variables[0]);
        break;
      case Op::kRelu:
      case Op::kSigmoid:
      case Op::kTanh:
        emit({.kind = Kind::kActivation, .in = x, .out = y, .activation = node.op});
        break;
      case Op::kSoftmax:
        emit({.kind = Kind::kSoftmax, .in = x, .out = y});
        break;
      case Op::kDropout:
        emit({.kind = Kind::kDropout, .in = x, .out = y, .index = node.output, .rate = node.rate});
        break;
      case Op::kNormalize:
        emit({.kind = Kind::kNormalize, .in = x, .out = y, .variable = variables[0], .bias = variables[1]});
        break;
      case Op::kActivityPenalty:
        activity_of_[node.output] = static_cast<int>(plan_.activities.size());
        plan_.activities.push_back({y, node.l1, node.l2});
        break;
      default:
        break;
    }
    needs_gradient_[static_cast<size_t>(node.output)] = needs_gradient;
  }

  void loss(int i) {
    const LossSpec& spec = in_.losses[static_cast<size_t>(i)];
    const int pred = tensor_of(spec.value);
    const Tensor shape = plan_.tensors[static_cast<size_t>(pred)];
    plan_.target_tensor.push_back(
        add_tensor({.rows = shape.rows, .cols = spec.sparse() ? 1 : shape.cols, .labels = spec.sparse()}));
    plan_.row_loss_tensor.push_back(add_tensor({.rows = shape.rows, .cols = 1}));
    if (plan_.weight_tensor < 0) plan_.weight_tensor = add_tensor({.rows = 1, .cols = 1});
    emit({.kind = Kind::kLoss,
          .in = pred,
          .in2 = plan_.target_tensor.back(),
          .out = plan_.row_loss_tensor.back(),
          .index = i});
  }

  void metric(int i) {
    const MetricSpec& spec = in_.metrics[static_cast<size_t>(i)];
    const int pred = tensor_of(spec.value);
    plan_.metric_tensor.push_back(add_tensor({.rows = plan_.tensors[static_cast<size_t>(pred)].rows, .cols = 1}));
    emit({.kind = Kind::kMetric,
          .in = pred,
          .in2 = plan_.target_tensor[static_cast<size_t>(spec.target)],
          .out = plan_.metric_tensor.back(),
          .index = i});
  }

  // Where an operation writes the gradient of a value: its tensor the first time, afterwards a spare one that is then
  // added to it, in graph order.
  template <class Emit>
  void write_gradient(int value, Emit emit_into) {
    const Tensor& shape = plan_.tensors[static_cast<size_t>(tensor_of(value))];
    const int target = add_tensor({.rows = shape.rows, .cols = shape.cols});
    emit_into(target);
    int& gradient = gradient_[static_cast<size_t>(value)];
    if (gradient < 0)
      gradient = target;
    else
      emit({.kind = Kind::kAdd, .in = target, .out = gradient});
  }
  // The gradient passes through unchanged (bias, reshape, linear): the same memory.
  void pass_gradient(int value, int from) {
    const Tensor shape = plan_.tensors[static_cast<size_t>(tensor_of(value))];
    const Tensor source = plan_.tensors[static_cast<size_t>(from)];
    const int view = source.rows == shape.rows && source.cols == shape.cols
                         ? from
                         : add_tensor({.rows = shape.rows, .cols = shape.cols, .storage = source.storage});
    int& gradient = gradient_[static_cast<size_t>(value)];
    if (gradient < 0)
      gradient = view;
    else
      emit({.kind = Kind::kAdd, .in = view, .out = gradient});
  }

  void loss_backward(int i) {
    const LossSpec& spec = in_.losses[static_cast<size_t>(i)];
    if (!needs(spec.value)) return;
    write_gradient(spec.value, [&](int target) {
      emit({.kind = Kind::kLossBackward,
            .in = tensor_of(spec.value),
            .in2 = plan_.target_tensor[static_cast<size_t>(i)],
            .out = target,
            .index = i});
    });
  }

  void weight_gradient(Instruction instruction, int variable) {
    instruction.variable = variable;
    instruction.out = grad_of_variable(variable);
    instruction.accumulate = written_[static_cast<size_t>(variable)];
    written_[static_cast<size_t>(variable)] = true;
    emit(instruction);
  }

  void backward(const Node& node) {
    if (node.inputs.empty()) return;
    const int dy = gradient_of(node.output), x_value = node.inputs[0], x = tensor_of(x_value),
              y = tensor_of(node.output);
    const bool wanted = needs(x_value);
    switch (node.op) {
      case Op::kMatmul: {  // dX before dW: dX still needs the weights that dW's update will change
        const int w = variable_index(node.variables[0]);
        if (wanted)
          write_gradient(x_value, [&](int dx) { emit({.kind = Kind::kMatmulDx, .in = dy, .out = dx, .variable = w}); });
        if (trained(w)) weight_gradient({.kind = Kind::kMatmulDw, .in = x, .in2 = dy}, w);
        break;
      }
      case Op::kBiasAdd: {
        const int b = variable_index(node.variables[0]);
        if (trained(b)) weight_gradient({.kind = Kind::kColumnSum, .in = dy}, b);
        if (wanted) pass_gradient(x_value, dy);
        break;
      }
      case Op::kActivityPenalty:
        emit({.kind = Kind::kActivityBackward, .in2 = y, .out = dy, .index = activity_of_.at(node.output)});
        if (wanted) pass_gradient(x_value, dy);
        break;
      case Op::kReshape:
      case Op::kLinear:
        if (wanted) pass_gradient(x_value, dy);
        break;
      case Op::kRelu:
      case Op::kSigmoid:
      case Op::kTanh:
        if (wanted)
          write_gradient(x_value, [&](int dx) {
            emit({.kind = Kind::kActivationBackward, .in = dy, .in2 = y, .out = dx, .activation = node.op});
          });
        break;
      case Op::kSoftmax:
        if (wanted)
          write_gradient(x_value,
                         [&](int dx) { emit({.kind = Kind::kSoftmaxBackward, .in = dy, .in2 = y, .out = dx}); });
        break;
      case Op::kDropout:
        if (wanted)
          write_gradient(x_value, [&](int dx) {
            emit({.kind = Kind::kDropoutBackward, .in = dy, .out = dx, .index = node.output, .rate = node.rate});
          });
        break;
      case Op::kNormalize:
        if (wanted)
          write_gradient(x_value, [&](int dx) {
            emit({.kind = Kind::kNormalizeBackward, .in = dy, .out = dx, .bias = variable_index(node.variables[1])});
          });
        break;
      case Op::kInput:
        break;
    }
  }

  void apply(const std::vector<bool>& wanted) {
    auto each = [&](auto make) {
      for (int v = 0; v < in_.trainable; ++v)
        if (wanted[static_cast<size_t>(v)]) emit(make(v));
    };
    if (whole_gradients_) {
      each([&](int v) { return Instruction{.kind = Kind::kSquareSums, .in = grad_of_variable(v), .variable = v}; });
      each([&](int v) { return Instruction{.kind = Kind::kClip, .out = grad_of_variable(v), .variable = v}; });
    }
    each([&](int v) { return Instruction{.kind = Kind::kUpdate, .in = grad_of_variable(v), .variable = v}; });
    for (size_t c = 0; c < in_.constraints.size(); ++c) {
      const int v = in_.constraints[c].variable;
      if (v < in_.trainable && wanted[static_cast<size_t>(v)])
        emit({.kind = Kind::kConstrain, .variable = v, .index = static_cast<int>(c)});
    }
  }

  const PlanInput& in_;
  bool whole_gradients_;
  Plan plan_;
  std::vector<Instruction> list_;
  std::vector<int> gradient_;  // tensor of each value's gradient
  std::vector<bool> needs_gradient_, written_;
  std::map<int, int> activity_of_;  // value -> activity
};

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kMatmul:
      return "matmul";
    case Kind::kDense:
      return "dense";
    case Kind::kBiasAdd:
      return "bias_add";
    case Kind::kActivation:
      return "activation";
    case Kind::kSoftmax:
      return "softmax";
    case Kind::kDropout:
      return "dropout";
    case Kind::kNormalize:
      return "normalize";
    case Kind::kPenalty:
      return "penalty";
    case Kind::kLoss:
      return "loss";
    case Kind::kLossBackward:
      return "loss_backward";
    case Kind::kMetric:
      return "metric";
    case Kind::kReport:
      return "report";
    case Kind::kActivationBackward:
      return "activation_backward";
    case Kind::kSoftmaxBackward:
      return "softmax_backward";
    case Kind::kDropoutBackward:
      return "dropout_backward";
    case Kind::kNormalizeBackward:
      return "normalize_backward";
    case Kind::kMatmulDx:
      return "matmul_dx";
    case Kind::kMatmulDw:
      return "matmul_dw";
    case Kind::kColumnSum:
      return "column_sum";
    case Kind::kAdd:
      return "add";
    case Kind::kRegularize:
      return "regularize";
    case Kind::kSquareSums:
      return "square_sums";
    case Kind::kClip:
      return "clip";
    case Kind::kUpdate:
      return "update";
    case Kind::kConstrain:
      return "constrain";
    case Kind::kActivityPenalty:
      return "activity_penalty";
    case Kind::kActivityBackward:
      return "activity_backward";
  }
  return "?";
}

}  // namespace

Plan make_plan(const PlanInput& input, bool whole_gradients) { return Planner(input, whole_gradients).build(); }

std::string describe(const Plan& plan, const Instruction& i) {
  std::ostringstream text;
  auto tensor = [&](int t) {
    const Tensor& s = plan.tensors[static_cast<size_t>(t)];
    if (s.gradient_of >= 0)
      text << " dw" << s.gradient_of;
    else
      text << " t" << t << "(" << (s.rows == 1 ? "" : std::to_string(s.rows) + "*") << "B, " << s.cols << ")";
  };
  if (i.barrier) text << "| ";
  text << kind_name(i.kind);
  if (i.in >= 0) tensor(i.in);
  if (i.in2 >= 0) tensor(i.in2);
  if (i.variable >= 0) text << " w" << i.variable;
  if (i.bias >= 0) text << " w" << i.bias;
  if (i.activation != Op::kLinear) text << " " << op_name(i.activation);
  if (i.accumulate) text << " accumulate";
  if (i.update) text << " + update";
  if (i.out >= 0 && !i.update) {
    text << " ->";
    tensor(i.out);
  }
  return text.str();
}

}  // namespace lanewise
