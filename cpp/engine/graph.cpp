#include "engine/graph.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "engine/activations.h"

namespace lanewise {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 40;  // of a sample

struct OpInfo {
  Op op;
  const char* name;
  int variables;
  int inputs = 1;  // 0: one or more
};
constexpr OpInfo kOps[] = {
    {Op::kInput, "input", 0},
    {Op::kMatmul, "matmul", 1},
    {Op::kBiasAdd, "bias_add", 1},
    {Op::kLinear, "linear", 0},
    {Op::kRelu, "relu", 0},
    {Op::kSigmoid, "sigmoid", 0},
    {Op::kTanh, "tanh", 0},
    {Op::kExponential, "exponential", 0},
    {Op::kSoftplus, "softplus", 0},
    {Op::kSoftsign, "softsign", 0},
    {Op::kHardSigmoid, "hard_sigmoid", 0},
    {Op::kLeakyRelu, "leaky_relu", 0},
    {Op::kElu, "elu", 0},
    {Op::kGelu, "gelu", 0},
    {Op::kGeluTanh, "gelu_tanh", 0},
    {Op::kSilu, "silu", 0},
    {Op::kMish, "mish", 0},
    {Op::kHardSilu, "hard_silu", 0},
    {Op::kPrelu, "prelu", 1},
    {Op::kLogSoftmax, "log_softmax", 0},
    {Op::kAlphaDropout, "alpha_dropout", 0},
    {Op::kGaussianNoise, "gaussian_noise", 0},
    {Op::kGaussianDropout, "gaussian_dropout", 0},
    {Op::kSoftmax, "softmax", 0},
    {Op::kDropout, "dropout", 0},
    {Op::kReshape, "reshape", 0},
    {Op::kNormalize, "normalize", 2},
    {Op::kActivityPenalty, "activity_penalty", 0},
    {Op::kAdd, "add", 0, 2},
    {Op::kSubtract, "subtract", 0, 2},
    {Op::kMultiply, "multiply", 0, 2},
    {Op::kMaximum, "maximum", 0, 2},
    {Op::kMinimum, "minimum", 0, 2},
    {Op::kDivide, "divide", 0, 2},
    {Op::kConcatenate, "concatenate", 0, 0},
    {Op::kDot, "dot", 0, 2},
    {Op::kScale, "scale", 0},
    {Op::kHost, "host", 0},
    {Op::kBatchNorm, "batch_norm", 4},
    {Op::kLayerNorm, "layer_norm", 2},
    {Op::kRmsNorm, "rms_norm", 2},
    {Op::kUnitNorm, "unit_norm", 0},
    {Op::kScaleColumns, "scale_columns", 2},
    {Op::kEmbedding, "embedding", 1},
    {Op::kEncode, "encode", 0},
    {Op::kAveragePool, "average_pool", 0},
    {Op::kMaxPool, "max_pool", 0},
    {Op::kRepeat, "repeat", 0},
    {Op::kDiffers, "differs", 0},
    {Op::kGather, "gather", 0},
};

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

// Whether `add` makes it; the others have functions of their own.
bool is_named(Op op) { return op != Op::kInput && op != Op::kHost && op != Op::kGather; }

bool is_noise(Op op) {
  return op == Op::kDropout || op == Op::kAlphaDropout || op == Op::kGaussianNoise || op == Op::kGaussianDropout;
}
const char* noise_attribute(Op op) { return op == Op::kGaussianNoise ? "stddev" : "rate"; }

bool has_argument(Op op, const std::string& name) {
  if (is_activation(op))
    for (const char* argument : activation_info(op).arguments)
      if (argument != nullptr && name == argument) return true;
  return false;
}

}  // namespace

const char* op_name(Op op) {
  for (const auto& info : kOps)
    if (info.op == op) return info.name;
  return "?";
}

bool is_merge(Op op) {
  return op == Op::kAdd || op == Op::kSubtract || op == Op::kMultiply || op == Op::kMaximum || op == Op::kMinimum ||
         op == Op::kDivide;
}

int64_t Value::rows() const {
  int64_t n = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) n = checked_product(n, shape[i]);
  return n;
}

int Graph::append(Node node, std::vector<int64_t> shape) {
  int64_t elements = 1;
  for (int64_t d : shape) {
    if (d < 1) throw std::invalid_argument("shape: expected axes of at least 1. Received: " + shape_text(shape) + ".");
    elements = checked_product(elements, d);
  }
  if (elements > kMostElements)  // what no machine holds, so that sums of sizes cannot wrap
    throw std::invalid_argument("shape: expected at most 2^40 elements of a sample. Received: " + shape_text(shape) +
                                ".");
  node.output = static_cast<int>(values_.size());
  nodes_.push_back(std::move(node));
  values_.push_back({std::move(shape)});
  return nodes_.back().output;
}

int Graph::input(std::vector<int64_t> shape) {
  inputs_.push_back(append({Op::kInput, {}, -1, {}}, std::move(shape)));
  return inputs_.back();
}

const Value& Graph::value(int id) const {
  if (id < 0 || id >= static_cast<int>(values_.size()))
    throw std::invalid_argument("No value has the id " + std::to_string(id) + ".");
  return values_[static_cast<size_t>(id)];
}

int Graph::add(const std::string& name, const std::vector<int>& inputs, const std::vector<VariablePtr>& variables,
               const std::map<std::string, double>& attributes) {
  const OpInfo* info = nullptr;
  for (const auto& candidate : kOps)
    if (is_named(candidate.op) && name == candidate.name) info = &candidate;
  if (info == nullptr) {
    std::string known;
    for (const auto& candidate : kOps)
      if (is_named(candidate.op)) known += std::string(known.empty() ? "" : ", ") + candidate.name;
    throw std::invalid_argument("Unknown operation. Expected one of: " + known + ". Received: '" + name + "'.");
  }
  if (inputs.empty() || (info->inputs > 0 && static_cast<int>(inputs.size()) != info->inputs))
    throw std::invalid_argument("Operation '" + name + "' takes " +
                                (info->inputs == 0   ? "one or more inputs"
                                 : info->inputs == 1 ? "one input"
                                                     : "two inputs") +
                                ". Received: " + std::to_string(inputs.size()) + ".");
  if (static_cast<int>(variables.size()) != info->variables)
    throw std::invalid_argument("Operation '" + name + "' takes " + std::to_string(info->variables) +
                                " variables. Received: " + std::to_string(variables.size()) + ".");
  const Value& x = value(inputs[0]);
  Node node{info->op, inputs, -1, variables};
  std::vector<int64_t> shape = x.shape;
  auto need = [&](bool good, const std::string& expected) {
    if (!good)
      throw std::invalid_argument("Operation '" + name + "' on a value of shape " + shape_text(x.shape) +
                                  ": expected " + expected + ".");
  };
  node.attributes = attributes;
  if (is_layer(info->op)) shape = layer_shape(*this, node, x, need);
  for (const auto& attribute : attributes)
    need(is_layer(info->op) || (info->op == Op::kReshape && attribute.first.rfind("axis", 0) == 0) ||
             (is_noise(info->op) && (attribute.first == noise_attribute(info->op) || attribute.first == "always")) ||
             has_argument(info->op, attribute.first) ||
             (info->op == Op::kActivityPenalty && (attribute.first == "l1" || attribute.first == "l2")) ||
             (info->op == Op::kConcatenate && attribute.first == "axis") ||
             (info->op == Op::kScale && attribute.first == "factor"),
         "no attribute '" + attribute.first + "'");
  switch (info->op) {
    case Op::kMatmul: {
      const auto& w = *variables[0];
      need(!shape.empty() && w.shape().size() == 2 && w.rows() == x.cols(),
           "a kernel of shape (" + std::to_string(x.cols()) + ", n), got " + shape_text(w.shape()));
      shape.back() = w.cols();
      break;
    }
    case Op::kBiasAdd:
    case Op::kNormalize:
      for (const auto& v : variables)
        need(v->shape().size() == 1 && v->cols() == x.cols(),
             "a variable of shape (" + std::to_string(x.cols()) + ",), got " + shape_text(v->shape()));
      break;
    case Op::kPrelu: {
      const auto& a = *variables[0];
      need(a.shape().size() == 1 && (a.size() == 1 || a.size() == x.cols() || a.size() == x.rows() * x.cols()),
           "one alpha, one for each column or one for each element of a sample, got " + shape_text(a.shape()));
      break;
    }
    case Op::kGaussianNoise: {
      const auto deviation = attributes.find("stddev");
      need(deviation != attributes.end() && deviation->second >= 0 &&
               std::isfinite(static_cast<float>(deviation->second)),
           "a finite stddev of at least 0");
      node.rate = static_cast<float>(deviation->second);
      break;
    }
    case Op::kDropout:
    case Op::kAlphaDropout:
    case Op::kGaussianDropout: {
      const auto rate = attributes.find("rate");
      need(rate != attributes.end() && rate->second >= 0 &&
               (static_cast<float>(rate->second) < 1 || (node.op == Op::kDropout && rate->second == 1)),
           "a rate in [0, 1), dropout in [0, 1]");
      node.rate = static_cast<float>(rate->second);
      break;
    }
    case Op::kActivityPenalty:
      for (const auto& [key, amount] : attributes) {
        need(amount >= 0, key + " of at least 0");
        (key == "l1" ? node.l1 : node.l2) = static_cast<float>(amount);
      }
      break;
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
    case Op::kMaximum:
    case Op::kMinimum:
    case Op::kDivide:
    case Op::kDot:
      need(value(inputs[1]).shape == shape, "two values of one shape, got " + shape_text(value(inputs[1]).shape));
      if (info->op == Op::kDot) {
        need(!shape.empty(), "values with an axis to multiply along");
        shape.back() = 1;
      }
      break;
    case Op::kConcatenate: {
      const auto axis = attributes.find("axis");
      const double at = axis == attributes.end() ? -1 : axis->second;
      need(at >= 0 && at < static_cast<double>(shape.size()), "an axis of the sample");
      node.axis = static_cast<int>(at);
      const auto along = static_cast<size_t>(node.axis);
      shape[along] = 0;
      for (int input : inputs) {
        std::vector<int64_t> rest = value(input).shape;
        const int64_t length = rest.size() == shape.size() ? rest[along] : 0;
        if (length) rest[along] = shape[along];
        need(rest == shape, "values that differ in axis " + std::to_string(node.axis) + " only, got " +
                                shape_text(value(input).shape));
        shape[along] += length;
      }
      break;
    }
    case Op::kScale: {
      const auto factor = attributes.find("factor");
      need(factor != attributes.end() && std::isfinite(static_cast<float>(factor->second)), "a finite factor");
      node.rate = static_cast<float>(factor->second);
      break;
    }
    case Op::kReshape:
      shape = attributes.empty() ? std::vector<int64_t>{checked_product(x.rows(), x.cols())} : axes_of(attributes);
      need(checked_product(Value{shape}.rows(), Value{shape}.cols()) == checked_product(x.rows(), x.cols()),
           "as many elements as " + shape_text(shape) + " has");
      break;
    default:
      if (is_activation(info->op)) {
        float* const numbers[] = {&node.args.a, &node.args.b, &node.args.c};
        for (size_t i = 0; i < 3; ++i) {
          const char* argument = activation_info(info->op).arguments[i];
          if (argument == nullptr) continue;
          const auto given = attributes.find(argument);
          need(given != attributes.end() && !std::isnan(given->second), "a number " + std::string(argument));
          *numbers[i] = static_cast<float>(given->second);
        }
      }
      break;
  }
  if (is_noise(info->op)) node.always = attributes.count("always") && attributes.at("always") != 0;
  return append(std::move(node), std::move(shape));
}

int Graph::gather(int input, const std::vector<int64_t>& map, std::vector<int64_t> shape) {
  const Value x = value(input);
  const int64_t elements = checked_product(x.rows(), x.cols());
  const auto fits = [&](int64_t e) { return e >= 0 && e < elements; };
  if (static_cast<int64_t>(map.size()) != checked_product(Value{shape}.rows(), Value{shape}.cols()) ||
      !std::all_of(map.begin(), map.end(), fits))
    throw std::invalid_argument("map: expected one of the " + std::to_string(elements) +
                                " elements of a sample for each element of " + shape_text(shape) + ".");
  Node node{Op::kGather, {input}, -1, {}};
  for (size_t i = 0; i < map.size();) {
    Stretch stretch{map[i], 1, 1};
    if (i + 1 < map.size()) stretch.step = map[i + 1] - map[i];
    for (++i; i < map.size() && map[i] == map[i - 1] + stretch.step; ++i) ++stretch.count;
    node.stretches.push_back(stretch);
  }
  return append(std::move(node), std::move(shape));
}

int Graph::integer_input(int id) const {
  auto op = [&] { return nodes_[static_cast<size_t>(id)].op; };
  while (id >= 0 && (op() == Op::kReshape || op() == Op::kGather)) id = nodes_[static_cast<size_t>(id)].inputs[0];
  return id >= 0 && op() == Op::kInput ? id : -1;
}

std::vector<std::string> Graph::operations() const {
  std::vector<std::string> lines;
  for (const auto& node : nodes_) {
    std::string line = "%" + std::to_string(node.output) + " = " + op_name(node.op);
    for (int input : node.inputs) line += " %" + std::to_string(input);
    for (const auto& v : node.variables) line += " " + shape_text(v->shape());
    if (is_noise(node.op)) line += std::string(" ") + noise_attribute(node.op) + "=" + std::to_string(node.rate);
    lines.push_back(line + " -> " + shape_text(value(node.output).shape));
  }
  return lines;
}

}  // namespace lanewise
