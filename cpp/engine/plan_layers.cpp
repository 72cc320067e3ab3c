// What normalisation, embedding, pooling and the like add to the lists; and inputs that are integers.
#include <stdexcept>

#include "engine/planner.h"

namespace lanewise {
namespace {

bool takes_integers(Op op) { return op == Op::kEmbedding || op == Op::kEncode; }

// Of each element of the result, in order: which element of the sample it is.
std::vector<int64_t> permutation(const std::vector<int64_t>& shape, const std::vector<int64_t>& axes) {
  std::vector<int64_t> strides(shape.size(), 1), at(shape.size(), 0), map;
  for (size_t i = shape.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * shape[i];
  int64_t total = strides[0] * shape[0];
  for (; total > 0; --total) {
    int64_t element = 0;
    for (size_t i = 0; i < axes.size(); ++i) element += at[i] * strides[static_cast<size_t>(axes[i] - 1)];
    map.push_back(element);
    for (size_t i = axes.size(); i-- > 0;) {
      if (++at[i] < shape[static_cast<size_t>(axes[i] - 1)]) break;
      at[i] = 0;
    }
  }
  return map;
}

}  // namespace

// An input is int32 where an embedding or an encoding reads it; everybody else reads a float32 copy.
void Planner::find_integers() {
  const Graph& graph = *in_.graph;
  integer_.assign(graph.values().size(), false);
  for (const Node& node : graph.nodes())
    if (takes_integers(node.op)) integer_[static_cast<size_t>(graph.integer_input(node.inputs[0]))] = true;
  for (const Node& node : graph.nodes())
    if (node.op == Op::kReshape && integer_[static_cast<size_t>(node.inputs[0])])
      integer_[static_cast<size_t>(node.output)] = true;
  for (int output : in_.outputs)
    if (integer_[static_cast<size_t>(output)])
      throw std::invalid_argument("outputs: an input of integers cannot be an output as well.");
}

void Planner::widen(const Node& node) {
  if (takes_integers(node.op) || node.op == Op::kReshape) return;
  for (int value : node.inputs) {
    if (!integer_[static_cast<size_t>(value)] || widened_.count(value)) continue;
    const Tensor shape = plan_.tensors[static_cast<size_t>(plan_.value_tensor[static_cast<size_t>(value)])];
    const int wide = add_tensor({.rows = shape.rows, .cols = shape.cols});
    emit({.kind = Kind::kWiden, .in = plan_.value_tensor[static_cast<size_t>(value)], .out = wide});
    widened_[value] = wide;
  }
}

bool Planner::forward_layer(const Node& node, int x, int y) {
  const int ids = node.inputs.empty() ? -1 : plan_.value_tensor[static_cast<size_t>(node.inputs[0])];
  const Tensor shape = plan_.tensors[static_cast<size_t>(x)];
  switch (node.op) {
    case Op::kBatchNorm:
    case Op::kLayerNorm:
    case Op::kRmsNorm:
    case Op::kUnitNorm:
      norm_forward(node, x, y);
      break;
    case Op::kScaleColumns:
      emit({.kind = Kind::kScaleColumns,
            .in = x,
            .out = y,
            .variable = variable_index(node.variables[0]),
            .bias = variable_index(node.variables[1])});
      break;
    case Op::kEmbedding:
      emit({.kind = Kind::kEmbedding, .in = ids, .out = y, .variable = variable_index(node.variables[0])});
      break;
    case Op::kEncode:
      emit({.kind = Kind::kEncode, .in = ids, .out = y, .index = static_cast<int>(node.get("mode"))});
      break;
    case Op::kAveragePool:
      emit({.kind = Kind::kRowsSum, .in = x, .out = y, .rate = 1.0f / static_cast<float>(shape.rows)});
      break;
    case Op::kMaxPool:
      emit({.kind = Kind::kMaxPool, .in = x, .out = y});
      break;
    case Op::kRepeat:
      emit({.kind = Kind::kRowsRepeat, .in = x, .out = y, .rate = 1.0f});
      break;
    case Op::kPermute:
      permutation_of_[node.output] = static_cast<int>(plan_.permutations.size());
      plan_.permutations.push_back(permutation(in_.graph->value(node.inputs[0]).shape, axes_of(node.attributes)));
      emit({.kind = Kind::kPermute, .in = x, .out = y, .index = permutation_of_[node.output]});
      break;
    default:
      break;
  }
  for (const auto& v : node.variables)
    if (trained(variable_index(v))) return true;
  return false;
}

void Planner::backward_layer(const Node& node, int dy) {
  const int value = node.inputs[0], x = tensor_of(value);
  if (node.op == Op::kEmbedding) {
    const int table = variable_index(node.variables[0]), ids = plan_.value_tensor[static_cast<size_t>(value)];
    if (trained(table)) weight_gradient({.kind = Kind::kEmbeddingDw, .in = dy, .in2 = ids}, table);
    return;
  }
  if (node.op == Op::kBatchNorm || node.op == Op::kLayerNorm || node.op == Op::kRmsNorm || node.op == Op::kUnitNorm)
    return norm_backward(node, dy);
  if (!needs(value)) return;
  write_gradient(value, [&](int dx) {
    const float inverse = 1.0f / static_cast<float>(plan_.tensors[static_cast<size_t>(dx)].rows);
    switch (node.op) {
      case Op::kScaleColumns:
        return emit({.kind = Kind::kScaleColumns, .in = dy, .out = dx, .variable = variable_index(node.variables[0])});
      case Op::kAveragePool:
        return emit({.kind = Kind::kRowsRepeat, .in = dy, .out = dx, .rate = inverse});
      case Op::kMaxPool:
        return emit({.kind = Kind::kMaxPoolBackward, .in = dy, .in2 = x, .in3 = tensor_of(node.output), .out = dx});
      case Op::kRepeat:
        return emit({.kind = Kind::kRowsSum, .in = dy, .out = dx, .rate = 1.0f});
      case Op::kPermute:
        return emit({.kind = Kind::kPermuteBackward, .in = dy, .out = dx, .index = permutation_of_.at(node.output)});
      default:
        return;
    }
  });
}

void Planner::norm_forward(const Node& node, int x, int y) {
  const Tensor shape = plan_.tensors[static_cast<size_t>(x)];
  const bool batch = node.op == Op::kBatchNorm;
  Norm norm{};
  auto variable = [&](size_t i) { return i < node.variables.size() ? variable_index(node.variables[i]) : -1; };
  norm.gamma = variable(0), norm.beta = variable(1), norm.mean = variable(2), norm.variance = variable(3);
  norm.epsilon = static_cast<float>(node.get("epsilon"));
  norm.how = {norm.epsilon, node.op == Op::kLayerNorm, node.op == Op::kUnitNorm};
  if (batch) {
    norm.momentum = static_cast<float>(node.get("momentum"));
    norm.rate = static_cast<float>(1.0 - node.get("momentum"));
    norm.frozen = std::find(in_.frozen.begin(), in_.frozen.end(), node.variables[2]) != in_.frozen.end();
  }
  norm.stats =
      batch ? add_tensor({.rows = 2, .cols = shape.cols, .fixed = true}) : add_tensor({.rows = shape.rows, .cols = 1});
  norm_of_[node.output] = static_cast<int>(plan_.norms.size());
  plan_.norms.push_back(norm);
  emit({.kind = batch ? Kind::kBatchNorm : Kind::kRowNorm,
        .in = x,
        .in3 = norm.stats,
        .out = y,
        .variable = norm.gamma,
        .bias = norm.beta,
        .index = norm_of_[node.output]});
}

// xhat, the normalised value, is kept by a forward that has a backward. gamma's gradient is the sum of dy * xhat,
// beta's the sum of dy: the sums that a batch norm's dx needs as well. Row norms sum first, since their dx still needs
// gamma.
void Planner::norm_backward(const Node& node, int dy) {
  const int index = norm_of_.at(node.output);
  Norm& norm = plan_.norms[static_cast<size_t>(index)];
  const bool batch = node.op == Op::kBatchNorm;
  const Tensor shape = plan_.tensors[static_cast<size_t>(dy)];
  norm.xhat = tensor_of(node.output);
  if (norm.gamma >= 0) {
    norm.xhat = add_tensor({.rows = shape.rows, .cols = shape.cols});
    for (Instruction& i : list_)
      if ((i.kind == Kind::kBatchNorm || i.kind == Kind::kRowNorm) && i.index == index) i.in2 = norm.xhat;
  }
  auto sum = [&](Kind kind, int in2) {
    const int t = add_tensor({.cols = shape.cols, .fixed = true});
    emit({.kind = kind, .in = dy, .in2 = in2, .out = t});
    return t;
  };
  const bool gamma = norm.gamma >= 0 && trained(norm.gamma), beta = norm.beta >= 0 && trained(norm.beta);
  const bool wanted = needs(node.inputs[0]), both = batch && wanted && !norm.frozen;
  if (beta || both) norm.sum_dy = sum(Kind::kColumnSum, -1);
  if (gamma || both) norm.sum_dyx = sum(Kind::kColumnDot, norm.xhat);
  auto weights = [&](int v, int t) { weight_gradient({.kind = Kind::kColumnSum, .in = t}, v); };
  if (beta) weights(norm.beta, norm.sum_dy);
  if (gamma && !batch) weights(norm.gamma, norm.sum_dyx);
  if (wanted)
    write_gradient(node.inputs[0], [&](int dx) {
      emit({.kind = batch ? Kind::kBatchNormBackward : Kind::kRowNormBackward,
            .in = dy,
            .in2 = norm.xhat,
            .in3 = norm.stats,
            .out = dx,
            .variable = norm.gamma,
            .index = index});
    });
  if (gamma && batch) weights(norm.gamma, norm.sum_dyx);
}

}  // namespace lanewise
