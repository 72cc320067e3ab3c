#include "engine/plan.h"

#include "engine/planner.h"

namespace lanewise {

Plan Planner::build() {
  const Graph& graph = *in_.graph;
  gradient_.assign(graph.values().size(), -1);
  needs_gradient_.assign(graph.values().size(), false);
  find_integers();
  for (const Node& node : graph.nodes()) forward(node);
  plan_.predict = list_;

  for (size_t i = 0; i < in_.regularizers.size(); ++i) emit({.kind = Kind::kPenalty, .index = static_cast<int>(i)});
  std::rotate(list_.begin(), list_.begin() + static_cast<long>(plan_.predict.size()), list_.end());
  for (size_t i = 0; i < plan_.activities.size(); ++i)
    emit({.kind = Kind::kActivityPenalty, .in = plan_.activities[i].tensor, .index = static_cast<int>(i)});
  for (const TargetSpec& spec : in_.targets) target(spec);
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
    if (v >= in_.trainable) continue;
    const bool loss_has_one = written_[static_cast<size_t>(v)];  // a gradient
    emit({.kind = Kind::kRegularize,
          .out = grad_of_variable(v),
          .variable = v,
          .index = static_cast<int>(i),
          .accumulate = loss_has_one});
    written_[static_cast<size_t>(v)] = true;
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

int Planner::add_tensor(Tensor t) {
  const int id = static_cast<int>(plan_.tensors.size());
  if (t.storage < 0) t.storage = id;
  plan_.tensors.push_back(t);
  return id;
}

void Planner::target(const TargetSpec& spec) {
  const Tensor shape = plan_.tensors[static_cast<size_t>(tensor_of(spec.value))];
  if (spec.width > 0)
    plan_.target_tensor.push_back(add_tensor({.rows = 1, .cols = spec.width}));
  else
    plan_.target_tensor.push_back(
        add_tensor({.rows = shape.rows, .cols = spec.cols(shape.cols), .labels = spec.labels}));
  plan_.weight_tensor.push_back(add_tensor({.rows = 1, .cols = 1}));
}

void Planner::loss(int i) {
  const LossSpec& spec = in_.losses[static_cast<size_t>(i)];
  const int pred = tensor_of(spec.value);
  plan_.row_loss_tensor.push_back(add_tensor({.rows = plan_.tensors[static_cast<size_t>(pred)].rows, .cols = 1}));
  emit({.kind = Kind::kLoss,
        .in = pred,
        .in2 = plan_.target_tensor[static_cast<size_t>(spec.target)],
        .out = plan_.row_loss_tensor.back(),
        .index = i});
}

void Planner::metric(int i) {
  const MetricSpec& spec = in_.metrics[static_cast<size_t>(i)];
  const int pred = tensor_of(spec.value);
  if (!spec.host && loss_kernel(spec.kernel).counts()) {
    plan_.metric_tensor.push_back(-1);
    return emit({.kind = Kind::kCount,
                 .in = pred,
                 .in2 = plan_.target_tensor[static_cast<size_t>(spec.target)],
                 .in3 = spec.weighted ? plan_.weight_tensor[static_cast<size_t>(spec.target)] : -1,
                 .index = i});
  }
  plan_.metric_tensor.push_back(add_tensor({.rows = plan_.tensors[static_cast<size_t>(pred)].rows, .cols = 1}));
  emit({.kind = Kind::kMetric,
        .in = pred,
        .in2 = plan_.target_tensor[static_cast<size_t>(spec.target)],
        .out = plan_.metric_tensor.back(),
        .index = i});
}

void Planner::loss_backward(int i) {
  const LossSpec& spec = in_.losses[static_cast<size_t>(i)];
  if (!needs(spec.value)) return;
  write_gradient(spec.value, [&](int target) {
    emit({.kind = Kind::kLossBackward,
          .in = tensor_of(spec.value),
          .in2 = plan_.target_tensor[static_cast<size_t>(spec.target)],
          .out = target,
          .index = i});
  });
}

void Planner::apply(const std::vector<bool>& wanted) {
  auto each = [&](auto make) {
    for (int v = 0; v < in_.trainable; ++v)
      if (wanted[static_cast<size_t>(v)]) emit(make(v));
  };
  if (whole_gradients_) {
    each([&](int v) { return Instruction{.kind = Kind::kSquareSums, .in = grad_of_variable(v), .variable = v}; });
    int clips = 0;
    each([&](int v) {
      return Instruction{.kind = Kind::kClip, .out = grad_of_variable(v), .variable = v, .index = clips++};
    });
  }
  each([&](int v) { return Instruction{.kind = Kind::kUpdate, .in = grad_of_variable(v), .variable = v}; });
  for (size_t c = 0; c < in_.constraints.size(); ++c) {
    const int v = in_.constraints[c].variable;
    if (v < in_.trainable && wanted[static_cast<size_t>(v)])
      emit({.kind = Kind::kConstrain, .variable = v, .index = static_cast<int>(c)});
  }
}

Plan make_plan(const PlanInput& input, bool whole_gradients) { return Planner(input, whole_gradients).build(); }

}  // namespace lanewise
