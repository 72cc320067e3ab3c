// What normalisation, embedding, pooling and the like add to the lists; and inputs that are integers.
#include <stdexcept>

#include "engine/planner.h"

namespace lanewise {
namespace {

bool takes_integers(Op op) { return op == Op::kEmbedding || op == Op::kEncode; }
bool moves_integers(Op op) { return op == Op::kReshape || op == Op::kGather; }

// average_pool: of the sum over so many rows; 1 with the attribute `sum`.
float pool_rate(const Node& node, int64_t rows) {
  return node.attributes.count("sum") ? 1.0f : 1.0f / static_cast<float>(rows);
}

}  // namespace

// An input is int32 where an embedding or an encoding reads it; everybody else reads a float32 copy. But if only some
// of its elements are ids, and the others are read too, it is float32, and the ids are the copy.
void Planner::find_integers() {
  const Graph& graph = *in_.graph;
  std::vector<bool> others(graph.values().size()), parts(graph.values().size());
  integer_.assign(graph.values().size(), false);
  for (const Node& node : graph.nodes()) {
    for (int value : node.inputs) {
      const int input = graph.integer_input(value);
      if (input < 0) continue;
      if (takes_integers(node.op)) integer_[static_cast<size_t>(input)] = true;
      if (node.op == Op::kGather) parts[static_cast<size_t>(input)] = true;
      if (!takes_integers(node.op) && !moves_integers(node.op)) others[static_cast<size_t>(input)] = true;
    }
  }
  for (int output : in_.outputs)
    if (const int input = graph.integer_input(output); input >= 0) others[static_cast<size_t>(input)] = true;
  for (int input : graph.inputs())
    if (others[static_cast<size_t>(input)] && parts[static_cast<size_t>(input)])
      integer_[static_cast<size_t>(input)] = false;
  for (const Node& node : graph.nodes())
    if (moves_integers(node.op) && integer_[static_cast<size_t>(node.inputs[0])])
      integer_[static_cast<size_t>(node.output)] = true;
  for (int output : in_.outputs)
    if (integer_[static_cast<size_t>(output)])
      throw std::invalid_argument("outputs: an input of integers cannot be an output as well.");
}

void Planner::widen(const Node& node) {
  if (takes_integers(node.op) || moves_integers(node.op)) return;
  for (int value : node.inputs) {
    if (!integer_[static_cast<size_t>(value)] || widened_.count(value)) continue;
    const Tensor shape = plan_.tensors[static_cast<size_t>(plan_.value_tensor[static_cast<size_t>(value)])];
    const int wide = add_tensor({.rows = shape.rows, .cols = shape.cols});
    emit({.kind = Kind::kWiden, .in = plan_.value_tensor[static_cast<size_t>(value)], .out = wide});
    widened_[value] = wide;
  }
}

int Planner::ids_of(int value) {
  if (integer_[static_cast<size_t>(value)]) return plan_.value_tensor[static_cast<size_t>(value)];
  const auto [entry, fresh] = narrowed_.insert({value, -1});
  if (fresh) {
    const Tensor shape = plan_.tensors[static_cast<size_t>(tensor_of(value))];
    entry->second = add_tensor({.rows = shape.rows, .cols = shape.cols, .labels = true});
    emit({.kind = Kind::kNarrow, .in = tensor_of(value), .out = entry->second});
  }
  return entry->second;
}

bool Planner::forward_layer(const Node& node, int x, int y) {
  const int value = node.inputs[0];
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
      emit({.kind = Kind::kEmbedding, .in = ids_of(value), .out = y, .variable = variable_index(node.variables[0])});
      break;
    case Op::kEncode:
      emit({.kind = Kind::kEncode, .in = ids_of(value), .out = y, .index = static_cast<int>(node.get("mode"))});
      break;
    case Op::kAveragePool:
      emit({.kind = Kind::kRowsSum, .in = x, .out = y, .rate = pool_rate(node, shape.rows)});
      break;
    case Op::kMaxPool:
      emit({.kind = Kind::kMaxPool, .in = x, .out = y});
      break;
    case Op::kRepeat:
      emit({.kind = Kind::kRowsRepeat, .in = x, .out = y, .rate = 1.0f});
      break;
    case Op::kDiffers:
      emit({.kind = Kind::kDiffers, .in = x, .out = y, .rate = static_cast<float>(node.get("other"))});
      return false;
    case Op::kGather:
      emit({.kind = Kind::kGather,
            .in = integer_[static_cast<size_t>(value)] ? ids_of(value) : x,
            .out = y,
            .index = node.output});
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
    const int table = variable_index(node.variables[0]), ids = ids_of(value);
    if (trained(table)) weight_gradient({.kind = Kind::kEmbeddingDw, .in = dy, .in2 = ids}, table);
    return;
  }
  if (node.op == Op::kBatchNorm || node.op == Op::kLayerNorm || node.op == Op::kRmsNorm || node.op == Op::kUnitNorm)
    return norm_backward(node, dy);
  if (!needs(value)) return;
  write_gradient(value, [&](int dx) {
    const float rate = pool_rate(node, plan_.tensors[static_cast<size_t>(dx)].rows);
    switch (node.op) {
      case Op::kScaleColumns:
        return emit({.kind = Kind::kScaleColumns, .in = dy, .out = dx, .variable = variable_index(node.variables[0])});
      case Op::kAveragePool:
        return emit({.kind = Kind::kRowsRepeat, .in = dy, .out = dx, .rate = rate});
      case Op::kMaxPool:
        return emit({.kind = Kind::kMaxPoolBackward, .in = dy, .in2 = x, .in3 = tensor_of(node.output), .out = dx});
      case Op::kRepeat:
        return emit({.kind = Kind::kRowsSum, .in = dy, .out = dx, .rate = 1.0f});
      case Op::kGather:
        return emit({.kind = Kind::kGatherBackward, .in = dy, .out = dx, .index = node.output});
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
