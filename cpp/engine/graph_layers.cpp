// Shapes of the operations that layers other than dense ones lower to.
#include <cmath>

#include "engine/graph.h"

namespace lanewise {
namespace {

bool whole(double x) { return x >= 1 && x == std::floor(x) && x < 0x1p53; }

}  // namespace

std::vector<int64_t> axes_of(const std::map<std::string, double>& attributes) {
  std::vector<int64_t> axes;
  for (;;) {
    const auto at = attributes.find("axis" + std::to_string(axes.size()));
    if (at == attributes.end() || !whole(at->second)) return axes;
    axes.push_back(static_cast<int64_t>(at->second));
  }
}

std::vector<int64_t> layer_shape(const Graph& graph, const Node& node, const Value& x, const Expect& expect) {
  std::vector<int64_t> shape = x.shape;
  auto attribute = [&](const char* key, auto allowed, const std::string& what) {
    const auto at = node.attributes.find(key);
    expect(at != node.attributes.end() && allowed(at->second), std::string(key) + " " + what);
    return at->second;
  };
  auto not_negative = [](double v) { return v >= 0 && std::isfinite(v); };
  auto ids = [&] {
    expect(graph.integer_input(node.inputs[0]) >= 0, "integers that come from an input of the model, maybe reshaped");
  };
  if (node.op != Op::kEmbedding)
    for (const auto& v : node.variables)
      expect(v->shape().size() == 1 && v->cols() == x.cols(), "variables of shape (" + std::to_string(x.cols()) + ",)");
  switch (node.op) {
    case Op::kBatchNorm:
      attribute(
          "momentum", [](double v) { return v >= 0 && v <= 1; }, "in [0, 1]");
      [[fallthrough]];
    case Op::kLayerNorm:
    case Op::kRmsNorm:
    case Op::kUnitNorm:
      attribute("epsilon", not_negative, "of at least 0");
      break;
    case Op::kEmbedding: {
      ids();
      expect(node.variables[0]->shape().size() == 2, "a table of two axes");
      shape.push_back(node.variables[0]->cols());
      break;
    }
    case Op::kEncode: {  // one_hot: a row of `tokens` for each id; otherwise one for all ids of a row
      ids();
      const auto tokens = static_cast<int64_t>(attribute("tokens", whole, "of at least 1"));
      const double mode = attribute(
          "mode", [](double v) { return v == 0 || v == 1 || v == 2; }, "0, 1 or 2");
      if (mode != 0 || shape.back() == 1)
        shape.back() = tokens;
      else
        shape.push_back(tokens);
      break;
    }
    case Op::kAveragePool:
    case Op::kMaxPool:
      expect(shape.size() == 2, "a value of shape (time, channels)");
      shape.erase(shape.begin());
      break;
    case Op::kRepeat:
      expect(shape.size() == 1, "a value of one axis");
      shape.insert(shape.begin(), static_cast<int64_t>(attribute("times", whole, "of at least 1")));
      break;
    case Op::kDiffers:
      expect(!shape.empty(), "a value with an axis");
      attribute(
          "other", [](double) { return true; }, "to compare with");
      shape.back() = 1;
      break;
    default:
      break;
  }
  return shape;
}

}  // namespace lanewise
