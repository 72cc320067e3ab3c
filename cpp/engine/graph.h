// A network as a list of operations over typed values and variables: what layers lower to.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/host.h"
#include "engine/variable.h"
#include "kernels/kernels.h"

namespace lanewise {

using VariablePtr = std::shared_ptr<Variable>;

// The closed list of operations. x is (rows, cols): the last axis of a value is its columns, all others are rows.
enum class Op {
  kInput,
  kMatmul,
  kBiasAdd,
  kLinear,  // elementwise activations, as in activations.cpp
  kRelu,
  kSigmoid,
  kTanh,
  kExponential,
  kSoftplus,
  kSoftsign,
  kHardSigmoid,
  kLeakyRelu,
  kElu,
  kGelu,
  kGeluTanh,
  kSilu,
  kMish,
  kHardSilu,  // the last of them
  kPrelu,
  kSoftmax,
  kLogSoftmax,
  kDropout,
  kAlphaDropout,
  kGaussianNoise,
  kGaussianDropout,
  kReshape,
  kNormalize,
  kActivityPenalty,
  // of two values of one shape, element by element
  kAdd,
  kSubtract,
  kMultiply,
  kMaximum,
  kMinimum,
  kDivide,
  // other ways from several values to one
  kConcatenate,
  kDot,
  kScale,
  // written in Python
  kHost,
  // layers whose shapes and gradients are in graph_layers.cpp and plan_layers.cpp
  kBatchNorm,
  kLayerNorm,
  kRmsNorm,
  kUnitNorm,
  kScaleColumns,
  kEmbedding,
  kEncode,
  kAveragePool,
  kMaxPool,
  kRepeat,
  kDiffers,
  kGather
};
inline bool is_layer(Op op) { return op >= Op::kBatchNorm; }

struct Value {
  std::vector<int64_t> shape;  // of one sample
  int64_t rows() const;        // rows that one sample has: the product of all axes but the last
  int64_t cols() const { return shape.empty() ? 1 : shape.back(); }
};

// Elements of a sample one after another in the result: first, first + step, ..., `count` of them.
struct Stretch {
  int64_t first, step, count;
};

struct Node {
  Op op;
  std::vector<int> inputs;
  int output;
  std::vector<VariablePtr> variables;
  float rate = 0;         // dropout and its kin; Gaussian noise: the standard deviation; scale: the factor
  bool always = false;    // dropout and its kin: when predicting too
  float l1 = 0, l2 = 0;   // activity penalty
  int axis = 0;           // concatenate: of a sample
  ActivationArgs args{};  // activations
  std::shared_ptr<Host> host = nullptr;
  std::map<std::string, double> attributes{};
  std::vector<Stretch> stretches{};  // gather
  double get(const std::string& key) const { return attributes.at(key); }
};

class Graph {
 public:
  int input(std::vector<int64_t> shape);
  // Appends an operation, checks shapes, returns the output's id. Throws std::invalid_argument.
  int add(const std::string& op, const std::vector<int>& inputs, const std::vector<VariablePtr>& variables,
          const std::map<std::string, double>& attributes);
  // Appends one that makes a sample of this shape from elements of the input's: element i of it is element map[i].
  int gather(int input, const std::vector<int64_t>& map, std::vector<int64_t> shape);
  // Appends an operation written in Python, whose output has this shape per sample.
  int call_host(int input, const std::vector<VariablePtr>& variables, std::vector<int64_t> shape,
                std::shared_ptr<Host> host);

  const Value& value(int id) const;
  const std::vector<Value>& values() const { return values_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<int>& inputs() const { return inputs_; }
  std::vector<std::string> operations() const;
  // The input of the graph that these integers come from, as they are, reshaped or gathered; -1 where they do not.
  int integer_input(int value) const;

 private:
  // Appends a node whose output has this shape per sample. Throws where that is no shape of one.
  int append(Node node, std::vector<int64_t> shape);
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<int> inputs_;
};

// Shape of a layer's output, and what it insists on; `expect` throws where its first argument is false.
using Expect = std::function<void(bool, const std::string&)>;
std::vector<int64_t> layer_shape(const Graph& graph, const Node& node, const Value& x, const Expect& expect);
// axis0, axis1, ... of the attributes.
std::vector<int64_t> axes_of(const std::map<std::string, double>& attributes);

const char* op_name(Op op);
bool is_merge(Op op);       // elementwise of two values: add, subtract, multiply, maximum, minimum, divide
bool is_activation(Op op);  // elementwise, without variables: linear, relu, sigmoid, ...

}  // namespace lanewise
