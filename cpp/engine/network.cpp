#include "engine/network.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <stdexcept>

#include "dispatch/dispatch.h"
#include "engine/team.h"

namespace lanewise {
namespace {

void collect(const Graph& graph, std::vector<VariablePtr>& variables) {
  for (const auto& node : graph.nodes())
    for (const auto& v : node.variables)
      if (std::find(variables.begin(), variables.end(), v) == variables.end()) variables.push_back(v);
}

// See Network::ids_below.
std::vector<int64_t> ids_below(const Graph& graph, int input) {
  const Value& x = graph.value(input);
  std::vector<int64_t> least;
  for (const Node& node : graph.nodes()) {
    if (node.op != Op::kEmbedding && node.op != Op::kEncode) continue;
    if (graph.integer_input(node.inputs[0]) != input) continue;
    const int64_t rows =
        node.op == Op::kEmbedding ? node.variables[0]->rows() : static_cast<int64_t>(node.get("tokens"));
    const Value& ids = graph.value(node.inputs[0]);
    std::vector<int64_t> elements(static_cast<size_t>(ids.rows() * ids.cols()));
    std::iota(elements.begin(), elements.end(), 0);
    for (int id = node.inputs[0]; id != input;) {
      const Node& move = graph.nodes()[static_cast<size_t>(id)];
      std::vector<int64_t> map;
      for (const Stretch& s : move.stretches)
        for (int64_t e = 0; e < s.count; ++e) map.push_back(s.first + e * s.step);
      if (!map.empty())
        for (int64_t& element : elements) element = map[static_cast<size_t>(element)];
      id = move.inputs[0];
    }
    least.resize(static_cast<size_t>(x.rows() * x.cols()));
    for (int64_t element : elements) {
      int64_t& below = least[static_cast<size_t>(element)];
      below = below == 0 ? rows : std::min(below, rows);
    }
  }
  return least;
}

}  // namespace

Network::Network(std::shared_ptr<const Graph> graph, std::vector<int> outputs, std::vector<LossSpec> losses,
                 std::vector<MetricSpec> metrics, std::vector<VariablePtr> trainable,
                 std::vector<std::pair<VariablePtr, Regularizer>> regularizers,
                 std::vector<std::pair<VariablePtr, Constraint>> constraints, bool fused,
                 const std::vector<TargetSpec>& more_targets, std::vector<VariablePtr> frozen)
    : graph_(std::move(graph)) {
  const int count = static_cast<int>(trainable.size());
  input_ = {
      graph_.get(), std::move(outputs), {}, std::move(losses), std::move(metrics), std::move(trainable), count, {},
      {},           std::move(frozen)};
  std::vector<VariablePtr> named;
  collect(*graph_, named);
  for (const auto& v : input_.variables)
    if (std::find(named.begin(), named.end(), v) == named.end())
      throw std::invalid_argument("trainable: a variable that no operation of the graph uses.");
  collect(*graph_, input_.variables);
  auto index_of = [&](const VariablePtr& variable, const char* argument) {
    const auto at = std::find(input_.variables.begin(), input_.variables.end(), variable);
    if (at == input_.variables.end())
      throw std::invalid_argument(std::string(argument) + ": a variable that no operation of the graph uses.");
    return static_cast<int>(at - input_.variables.begin());
  };
  for (auto& [variable, regularizer] : regularizers) {
    regularizer.variable = index_of(variable, "regularizers");
    input_.regularizers.push_back(regularizer);
  }
  for (auto& [variable, constraint] : constraints) {
    constraint.variable = index_of(variable, "constraints");
    input_.constraints.push_back(constraint);
  }
  for (int v : input_.outputs) graph_->value(v);
  for (auto& loss : input_.losses) {
    graph_->value(loss.value);
    loss.target = static_cast<int>(input_.targets.size());
    if (loss.host) {
      losses_.push_back(nullptr);
      input_.targets.push_back({loss.value, loss.host->target_labels, 1, loss.host->target_width});
      continue;
    }
    losses_.push_back(&loss_kernel(loss.kernel));
    check_params(*losses_.back(), loss.param, graph_->value(loss.value).cols());
    input_.targets.push_back({loss.value, loss.sparse(), losses_.back()->outputs});
    if (losses_.back()->metric()) throw std::invalid_argument("losses: '" + loss.kernel + "' is a metric, not a loss.");
  }
  for (const auto& target : more_targets) {
    graph_->value(target.value);
    input_.targets.push_back(target);
  }
  for (auto& metric : input_.metrics) {
    graph_->value(metric.value);
    const int64_t cols = graph_->value(metric.value).cols();
    metrics_.push_back(metric.host ? nullptr : &loss_kernel(metric.kernel));
    if (!metric.host) check_params(*metrics_.back(), metric.param, cols);
    metric.first_sum = metric_sums_;
    metric_sums_ += metric.host ? 2 : metrics_.back()->sums(metric.param, cols);
    if (metric.target < 0 || metric.target >= static_cast<int>(input_.targets.size()))
      throw std::invalid_argument("metrics: no target has the index " + std::to_string(metric.target) + ".");
    if (metric.host) continue;
    const auto& target = input_.targets[static_cast<size_t>(metric.target)];
    const Value &seen = graph_->value(metric.value), &fitted = graph_->value(target.value);
    if (seen.rows() != fitted.rows() || seen.cols() != fitted.cols() || target.width > 0 ||
        (!target.labels && metrics_.back()->outputs != target.outputs))
      throw std::invalid_argument("metrics: '" + metric.kernel +
                                  "' is given a value of another shape than its target is for.");
    if (metrics_.back()->sparse() != target.labels)
      throw std::invalid_argument("metrics: '" + metric.kernel + "' takes " +
                                  (target.labels ? "float targets" : "integer labels") +
                                  ", but its target has the other kind.");
  }
  for (const auto& loss : input_.losses) calls_host_ |= loss.host != nullptr;
  for (const auto& metric : input_.metrics) calls_host_ |= metric.host != nullptr;
  for (const auto& node : graph_->nodes()) calls_host_ |= node.host != nullptr;
  for (const auto& node : graph_->nodes()) always_random_ |= node.always;
  for (const int input : graph_->inputs()) ids_below_.push_back(lanewise::ids_below(*graph_, input));
  plan_ = make_plan(input_, false);
  whole_plan_ = make_plan(input_, true);
  std::vector<int> taken;
  for (size_t i = 0; i < graph_->inputs().size(); ++i) taken.push_back(input_storage(i));
  for (size_t o = 0; o < input_.outputs.size(); ++o) {
    const int storage = output_tensor(o).storage;
    in_place_.push_back(std::find(taken.begin(), taken.end(), storage) == taken.end());
    taken.push_back(storage);
  }
  lists_[kPredict] = plan_.predict;
  lists_[kEvaluate] = plan_.evaluate;
  lists_[kGradient] = plan_.gradient;
  lists_[kTrain] = plan_.train;
  lists_[kApply] = whole_plan_.apply;
  lists_[kTrainWhole] = whole_plan_.train;
  if (fused) {
    std::vector<int> kept;
    for (int v : input_.outputs) kept.push_back(plan_.value_tensor[static_cast<size_t>(v)]);
    for (Which which : {kPredict, kEvaluate, kTrain, kTrainWhole})
      fuse(plan(which), lists_[which], which == kPredict ? kept : std::vector<int>{});
  }
}

const Network::TeamList& Network::list(Which which, int threads, int64_t batch, int asked) {
  std::lock_guard<ForkMutex<std::mutex>> lock(cache_mutex_);
  const int bits = std::bit_width(static_cast<uint64_t>(batch));
  const auto key = std::make_tuple(static_cast<int>(which), threads, bits, asked);
  auto at = team_lists_.find(key);
  if (at == team_lists_.end()) {  // whole before it is kept: memory may run out on the way
    TeamList team{lists_[which], std::vector<char>(graph_->inputs().size(), 0)};
    const int64_t rows = (int64_t{1} << bits) / 2;
    if (asked > 0) {
      share_products(plan(which), input_, team.instructions, asked, rows);
      team.own = whole_inputs(plan(which), input_, team.instructions, asked);
    }
    team.tails = share_products(plan(which), input_, team.instructions, threads, rows);
    place_barriers(plan(which), input_, team.own, team.instructions, threads);
    at = team_lists_.emplace(key, std::move(team)).first;
  }
  return at->second;
}

double Network::estimated_seconds(Which which, int64_t batch) const {
  double operations = 0;
  for (const auto& i : lists_[which]) operations += flops(plan(which), input_, i, batch);
  const std::string isa = kernels().isa;
  const double lanes = isa == "avx512" ? 16 : isa == "avx2" ? 8 : 4;
  double updated = 0;  // weights, with what an optimizer keeps of each: 24 bytes through L2
  if (which == kTrain || which == kTrainWhole)
    for (int v = 0; v < input_.trainable; ++v)
      updated += static_cast<double>(input_.variables[static_cast<size_t>(v)]->size());
  return operations / (lanes * 12e9) + updated * 0.3e-9 + static_cast<double>(lists_[which].size()) * 0.2e-6;
}

// One thread is the default for small work: more must save at least a tenth of the time after paying for its barriers.
int Network::threads_for(Which which, int64_t batch) {
  const int most = get_num_threads();
  if (most == 1 || always_team()) return most;
  const double alone = estimated_seconds(which, batch), kBarrier = 1.0e-6;  // with the wait for the slower thread
  int best = 1;
  double best_time = alone;
  for (int n = 2; n <= most; ++n) {
    double barriers = 2;
    for (const auto& i : list(which, n, batch).instructions) barriers += i.barrier;
    const double time = alone / n + barriers * kBarrier;
    if (time < best_time * 0.9) best = n, best_time = time;
  }
  return best;
}

int Network::default_threads(int64_t batch_size) { return threads_for(kTrain, batch_size); }

std::unique_ptr<Workspace> Network::take_workspace(Which which, int64_t batch, int threads) {
  {
    std::lock_guard<ForkMutex<std::mutex>> lock(cache_mutex_);
    for (auto at = workspaces_.begin(); at != workspaces_.end(); ++at) {
      if (!(*at)->fits(which, batch, threads)) continue;
      auto found = std::move(*at);
      workspaces_.erase(at);
      return found;
    }
  }
  return std::make_unique<Workspace>(plan(which), input_, lists_[which], which, batch, threads);
}

void Network::return_workspace(std::unique_ptr<Workspace> workspace) {
  constexpr size_t kKept = 8;
  std::lock_guard<ForkMutex<std::mutex>> lock(cache_mutex_);
  for (auto at = workspaces_.begin(); at != workspaces_.end(); ++at) {  // one of a kind of work is enough to train with
    if (workspace->which() == kPredict || (*at)->which() != workspace->which()) continue;
    workspaces_.erase(at);
    break;
  }
  if (workspaces_.size() >= kKept) workspaces_.erase(workspaces_.begin());
  workspaces_.push_back(std::move(workspace));
}

void Network::free_workspaces() {
  std::lock_guard<ForkMutex<std::mutex>> lock(cache_mutex_);
  workspaces_.clear();
}

Run Network::base_run(Which which) const {
  Run run{};
  run.plan = &plan(which);
  run.input = &input_;
  run.table = &kernels();
  run.list = &lists_[which];
  run.losses = losses_.data();
  run.metrics = metrics_.data();
  run.backward = which != kPredict && which != kEvaluate;
  return run;
}

std::vector<std::string> Network::instructions(const std::string& which, int threads) {
  const std::map<std::string, Which> names = {{"predict", kPredict},
                                              {"evaluate", kEvaluate},
                                              {"gradient", kGradient},
                                              {"train", kTrain},
                                              {"train_clipped", kTrainWhole}};
  const auto at = names.find(which);
  if (at == names.end())
    throw std::invalid_argument("which: expected predict, evaluate, gradient, train or train_clipped. Received: '" +
                                which + "'.");
  std::vector<std::string> lines;
  for (const auto& i : list(at->second, threads, 1).instructions) lines.push_back(describe(plan(at->second), i));
  return lines;
}

int64_t Network::memory(int64_t batch_size) {
  return Workspace(plan_, input_, lists_[kTrain], kTrain, batch_size, get_num_threads()).bytes();
}

}  // namespace lanewise
