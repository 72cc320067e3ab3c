// What each operation of the graph adds to the lists: its forward, and in `backward` its gradient.
#include "engine/activations.h"
#include "engine/planner.h"

namespace lanewise {

void Planner::forward(const Node& node) {
  const Value& value = in_.graph->value(node.output);
  widen(node);
  const int x = node.inputs.empty() ? -1 : tensor_of(node.inputs[0]);
  const int x2 = node.inputs.size() > 1 ? tensor_of(node.inputs[1]) : -1;
  bool needs_gradient = false;
  for (int input : node.inputs) needs_gradient |= needs(input);
  int y;
  if (node.op == Op::kLinear || node.op == Op::kActivityPenalty) {
    y = x;
  } else {
    Tensor t{.rows = value.rows(), .cols = value.cols()};
    t.labels = integer_[static_cast<size_t>(node.output)];
    if (node.op == Op::kReshape)
      t.storage =
          plan_.tensors[static_cast<size_t>(t.labels ? plan_.value_tensor[static_cast<size_t>(node.inputs[0])] : x)]
              .storage;
    y = add_tensor(t);
  }
  plan_.value_tensor.push_back(y);
  std::vector<int> variables;
  for (const auto& v : node.variables) variables.push_back(variable_index(v));
  if (is_layer(node.op)) needs_gradient |= forward_layer(node, x, y);
  switch (node.op) {
    case Op::kMatmul:
      emit({.kind = Kind::kMatmul, .in = x, .out = y, .variable = variables[0]});
      needs_gradient |= trained(variables[0]);
      break;
    case Op::kBiasAdd:
      emit({.kind = Kind::kBiasAdd, .in = x, .out = y, .bias = variables[0]});
      needs_gradient |= trained(variables[0]);
      break;
    case Op::kPrelu: {
      const int64_t cols = node.variables[0]->size();
      emit({.kind = Kind::kPrelu, .in = view(x, cols), .out = view(y, cols), .variable = variables[0]});
      needs_gradient |= trained(variables[0]);
      break;
    }
    case Op::kSoftmax:
    case Op::kLogSoftmax:
      emit({.kind = Kind::kSoftmax, .in = x, .out = y, .activation = node.op});
      break;
    case Op::kDropout:
    case Op::kAlphaDropout:
    case Op::kGaussianNoise:
    case Op::kGaussianDropout:
      emit({.kind = Kind::kDropout,
            .in = x,
            .out = y,
            .activation = node.op,
            .index = node.output,
            .rate = node.rate,
            .always = node.always});
      break;
    case Op::kNormalize:
      emit({.kind = Kind::kNormalize, .in = x, .out = y, .variable = variables[0], .bias = variables[1]});
      break;
    case Op::kActivityPenalty:
      activity_of_[node.output] = static_cast<int>(plan_.activities.size());
      plan_.activities.push_back({y, node.l1, node.l2});
      break;
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
    case Op::kMaximum:
    case Op::kMinimum:
    case Op::kDivide:
      emit({.kind = Kind::kMerge, .in = x, .in2 = x2, .out = y, .activation = node.op});
      break;
    case Op::kConcatenate:
      each_part(node, [&](int input, int64_t offset, int64_t blocks) {
        emit({.kind = Kind::kPutColumns, .in = tensor_of(input), .out = y, .first = offset, .blocks = blocks});
      });
      break;
    case Op::kDot:
      emit({.kind = Kind::kDot, .in = x, .in2 = x2, .out = y});
      break;
    case Op::kScale:
      emit({.kind = Kind::kScale, .in = x, .out = y, .rate = node.rate});
      break;
    case Op::kHost:
      needs_gradient |= host_forward(node, x, y);
      break;
    default:
      if (is_activation(node.op) && y != x)
        emit({.kind = Kind::kActivation, .in = x, .out = y, .activation = node.op, .args = node.args});
      break;
  }
  const bool ends = node.op == Op::kDiffers || (node.host != nullptr && node.host->ends_gradient);
  needs_gradient_[static_cast<size_t>(node.output)] = needs_gradient && !ends;
}

// Sums go into memory of their own: what is added may be the gradient of another value too.
void Planner::add_gradient(int value, int tensor) {
  const Tensor shape = plan_.tensors[static_cast<size_t>(tensor)];
  int& gradient = gradient_[static_cast<size_t>(value)];
  if (gradient < 0) {
    gradient = tensor;
    return;
  }
  const int sum = add_tensor({.rows = shape.rows, .cols = shape.cols});
  emit({.kind = Kind::kMerge, .in = gradient, .in2 = tensor, .out = sum, .activation = Op::kAdd});
  gradient = sum;
}

void Planner::pass_gradient(int value, int from) {
  const Tensor shape = plan_.tensors[static_cast<size_t>(tensor_of(value))];
  const Tensor source = plan_.tensors[static_cast<size_t>(from)];
  const bool same = source.rows == shape.rows && source.cols == shape.cols;
  add_gradient(value, same ? from : add_tensor({.rows = shape.rows, .cols = shape.cols, .storage = source.storage}));
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
  int dy = gradient_of(node.output);
  const int x_value = node.inputs[0], x = tensor_of(x_value), y = tensor_of(node.output);
  const bool wanted = needs(x_value);
  if (is_layer(node.op)) return backward_layer(node, dy);
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
      if (!wanted) break;
      if (shared_.count(plan_.tensors[static_cast<size_t>(dy)].storage)) {
        const int own = add_tensor(
            {.rows = plan_.tensors[static_cast<size_t>(dy)].rows, .cols = plan_.tensors[static_cast<size_t>(dy)].cols});
        emit({.kind = Kind::kActivation, .in = dy, .out = own});
        dy = own;
      }
      emit({.kind = Kind::kActivityBackward, .in2 = y, .out = dy, .index = activity_of_.at(node.output)});
      pass_gradient(x_value, dy);
      break;
    case Op::kReshape:
    case Op::kLinear:
      if (wanted) pass_gradient(x_value, dy);
      break;
    case Op::kPrelu: {  // dX before the step that changes alpha
      const int a = variable_index(node.variables[0]);
      const int64_t cols = node.variables[0]->size();
      const int dy_rows = view(dy, cols), x_rows = view(x, cols);
      if (wanted)
        write_gradient(x_value, [&](int dx) {
          emit({.kind = Kind::kPreluBackward, .in = dy_rows, .in2 = x_rows, .out = view(dx, cols), .variable = a});
        });
      if (trained(a)) {
        const int terms = add_tensor({.rows = plan_.tensors[static_cast<size_t>(x_rows)].rows, .cols = cols});
        emit({.kind = Kind::kPreluTerms, .in = dy_rows, .in2 = x_rows, .out = terms});
        weight_gradient({.kind = Kind::kColumnSum, .in = terms}, a);
      }
      break;
    }
    case Op::kSoftmax:
    case Op::kLogSoftmax:
      if (wanted)
        write_gradient(x_value, [&](int dx) {
          emit({.kind = Kind::kSoftmaxBackward, .in = dy, .in2 = y, .out = dx, .activation = node.op});
        });
      break;
    case Op::kGaussianNoise:
      if (wanted) pass_gradient(x_value, dy);
      break;
    case Op::kDropout:
    case Op::kAlphaDropout:
    case Op::kGaussianDropout:
      if (wanted)
        write_gradient(x_value, [&](int dx) {
          emit({.kind = Kind::kDropoutBackward,
                .in = dy,
                .out = dx,
                .activation = node.op,
                .index = node.output,
                .rate = node.rate,
                .always = node.always});
        });
      break;
    case Op::kNormalize:
      if (wanted)
        write_gradient(x_value, [&](int dx) {
          emit({.kind = Kind::kNormalizeBackward, .in = dy, .out = dx, .bias = variable_index(node.variables[1])});
        });
      break;
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
    case Op::kMaximum:
    case Op::kMinimum:
    case Op::kDivide:
    case Op::kDot:
      merge_backward(node, dy);
      break;
    case Op::kConcatenate:
      each_part(node, [&](int input, int64_t offset, int64_t blocks) {
        if (needs(input))
          write_gradient(input, [&](int dx) {
            emit({.kind = Kind::kTakeColumns, .in = dy, .out = dx, .first = offset, .blocks = blocks});
          });
      });
      break;
    case Op::kScale:
      if (wanted)
        write_gradient(x_value, [&](int dx) { emit({.kind = Kind::kScale, .in = dy, .out = dx, .rate = node.rate}); });
      break;
    case Op::kHost:
      host_backward(node, dy);
      break;
    default:
      if (is_activation(node.op) && wanted)
        write_gradient(x_value, [&](int dx) {
          const int of = activation_info(node.op).of_input ? x : y;
          emit({.kind = Kind::kActivationBackward,
                .in = dy,
                .in2 = of,
                .out = dx,
                .activation = node.op,
                .args = node.args});
        });
      break;
  }
}

// d(a + b) = da + db; d(a - b) = da - db; d(a b) = b da + a db; d(a / b) = (da - a / b db) / b; d(a . b) likewise, row
// by row; the larger (smaller) of two takes the gradient, equal ones half of it each.
void Planner::merge_backward(const Node& node, int dy) {
  for (size_t i = 0; i < 2; ++i) {
    const int value = node.inputs[i], own = tensor_of(value), other = tensor_of(node.inputs[1 - i]);
    if (!needs(value)) continue;
    if (node.op == Op::kAdd || (node.op == Op::kSubtract && i == 0)) {
      shared_.insert(plan_.tensors[static_cast<size_t>(dy)].storage);
      pass_gradient(value, dy);
      continue;
    }
    write_gradient(value, [&](int dx) {
      if (node.op == Op::kSubtract)
        emit({.kind = Kind::kScale, .in = dy, .out = dx, .rate = -1.0f});
      else if (node.op == Op::kMultiply)
        emit({.kind = Kind::kMerge, .in = dy, .in2 = other, .out = dx, .activation = Op::kMultiply});
      else if (node.op == Op::kDot)
        emit({.kind = Kind::kScaleRows, .in = dy, .in2 = other, .out = dx});
      else if (node.op == Op::kDivide && i == 0)
        emit({.kind = Kind::kMerge, .in = dy, .in2 = other, .out = dx, .activation = Op::kDivide});
      else if (node.op == Op::kDivide) {
        auto step = [&](Op op, int a, int b, int out) {
          emit({.kind = Kind::kMerge, .in = a, .in2 = b, .out = out, .activation = op});
          return out;
        };
        const Tensor shape{.rows = plan_.tensors[static_cast<size_t>(dx)].rows,
                           .cols = plan_.tensors[static_cast<size_t>(dx)].cols};
        const int times = step(Op::kMultiply, dy, tensor_of(node.output), add_tensor(shape));
        const int over = step(Op::kDivide, times, own, add_tensor(shape));
        emit({.kind = Kind::kScale, .in = over, .out = dx, .rate = -1.0f});
      } else if (node.op == Op::kMaximum)
        emit({.kind = Kind::kMaximumBackward, .in = dy, .in2 = own, .in3 = other, .out = dx});
      else
        emit({.kind = Kind::kMaximumBackward, .in = dy, .in2 = other, .in3 = own, .out = dx});
    });
  }
}

int Planner::view(int tensor, int64_t cols) {
  const Tensor from = plan_.tensors[static_cast<size_t>(tensor)];
  if (from.cols == cols) return tensor;
  return add_tensor({.rows = from.rows * from.cols / cols, .cols = cols, .storage = from.storage});
}

}  // namespace lanewise
