// What each operation of the graph adds to the lists: its forward, and in `backward` its gradient.
#include "engine/planner.h"

namespace lanewise {

void Planner::forward(const Node& node) {
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

void Planner::pass_gradient(int value, int from) {
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

void Planner::weight_gradient(Instruction instruction, int variable) {
  instruction.variable = variable;
  instruction.out = grad_of_variable(variable);
  instruction.accumulate = written_[static_cast<size_t>(variable)];
  written_[static_cast<size_t>(variable)] = true;
  emit(instruction);
}

void Planner::backward(const Node& node) {
  if (node.inputs.empty()) return;
  const int dy = gradient_of(node.output), x_value = node.inputs[0], x = tensor_of(x_value), y = tensor_of(node.output);
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
        write_gradient(x_value, [&](int dx) { emit({.kind = Kind::kSoftmaxBackward, .in = dy, .in2 = y, .out = dx}); });
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

}  // namespace lanewise
