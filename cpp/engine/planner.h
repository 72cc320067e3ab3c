// Builds the unfused lists: forward in graph order, then losses, then each operation's backward in reverse.
// plan.cpp has the lists, plan_operations.cpp what each operation of the graph adds to them.
#pragma once
#include <algorithm>
#include <map>
#include <set>

#include "engine/plan.h"

namespace lanewise {

class Planner {
 public:
  Planner(const PlanInput& input, bool whole_gradients) : in_(input), whole_gradients_(whole_gradients) {}
  Plan build();

 private:
  void emit(Instruction i) { list_.push_back(i); }
  int add_tensor(Tensor t);
  // Of an integer input: its values as float32.
  int tensor_of(int value) const {
    const auto wide = widened_.find(value);
    return wide == widened_.end() ? plan_.value_tensor[static_cast<size_t>(value)] : wide->second;
  }
  int gradient_of(int value) const { return gradient_[static_cast<size_t>(value)]; }
  int grad_of_variable(int v) const { return plan_.gradient_tensor[static_cast<size_t>(v)]; }
  bool needs(int value) const { return needs_gradient_[static_cast<size_t>(value)]; }
  int variable_index(const VariablePtr& v) const {
    return static_cast<int>(std::find(in_.variables.begin(), in_.variables.end(), v) - in_.variables.begin());
  }
  bool trained(int variable) const { return variable < in_.trainable; }

  void target(const TargetSpec& spec);
  void loss(int i);
  void metric(int i);
  void loss_backward(int i);
  void apply(const std::vector<bool>& wanted);

  void forward(const Node& node);
  void find_integers();
  void widen(const Node& node);
  int ids_of(int value);
  bool forward_layer(const Node& node, int x, int y);  // whether a variable of it is trained
  void backward_layer(const Node& node, int dy);
  void norm_forward(const Node& node, int x, int y);
  void norm_backward(const Node& node, int dy);
  void backward(const Node& node);
  void merge_backward(const Node& node, int dy);
  bool host_forward(const Node& node, int x, int y);
  void host_backward(const Node& node, int dy);
  // each(input, offset, blocks) for the inputs of a concatenation: where they lie in each of `blocks` equal stretches
  // of a sample.
  template <class Each>
  void each_part(const Node& node, Each each) const {
    int64_t blocks = 1, offset = 0;
    const auto axis = static_cast<size_t>(node.axis);
    for (size_t i = 0; i < axis; ++i) blocks *= in_.graph->value(node.output).shape[i];
    for (int input : node.inputs) {
      const Value& value = in_.graph->value(input);
      each(input, offset, blocks);
      offset += value.rows() * value.cols() / blocks;
    }
  }
  // Where an operation writes the gradient of a value: a tensor of its own, added to what is there, in graph order.
  template <class Emit>
  void write_gradient(int value, Emit emit_into) {
    const Tensor& shape = plan_.tensors[static_cast<size_t>(tensor_of(value))];
    const int target = add_tensor({.rows = shape.rows, .cols = shape.cols});
    emit_into(target);
    add_gradient(value, target);
  }
  void add_gradient(int value, int tensor);
  // The gradient passes through unchanged (bias, reshape, linear, sums): the same memory.
  void pass_gradient(int value, int from);
  void weight_gradient(Instruction instruction, int variable);
  // A tensor as rows of `cols`: the same memory.
  int view(int tensor, int64_t cols);

  const PlanInput& in_;
  bool whole_gradients_;
  Plan plan_;
  std::vector<Instruction> list_;
  std::vector<int> gradient_;  // tensor of each value's gradient
  std::vector<bool> needs_gradient_, written_;
  std::set<int> shared_;            // memory that is the gradient of several values
  std::map<int, int> activity_of_;  // value -> activity
  std::map<int, int> norm_of_;
  std::vector<bool> integer_;    // values that are int32
  std::map<int, int> widened_;   // integer value -> the same as float32, where somebody reads it so
  std::map<int, int> narrowed_;  // and the other way round
};

}  // namespace lanewise
