#include "engine/network.h"

#include <algorithm>
#include <stdexcept>

#include "dispatch/dispatch.h"
#include "engine/team.h"

namespace lanewise {
namespace {

constexpr int64_t kPredictRows = 256;  // rows that one thread takes through the whole network at a time

void collect(const Graph& graph, std::vector<VariablePtr>& variables) {
  for (const auto& node : graph.nodes())
    for (const auto& v : node.variables)
      if (std::find(variables.begin(), variables.end(), v) == variables.end()) variables.push_back(v);
}

}  // namespace

Network::Network(std::shared_ptr<const Graph> graph, std::vector<int> outputs, std::vector<LossSpec> losses,
                 std::vector<MetricSpec> metrics, std::vector<VariablePtr> trainable,
                 std::vector<std::pair<VariablePtr, Regularizer>> regularizers, bool fused)
    : graph_(std::move(graph)) {
  const int count = static_cast<int>(trainable.size());
  input_ = {graph_.get(), std::move(outputs), std::move(losses), std::move(metrics), std::move(trainable), count, {}};
  std::vector<VariablePtr> named;
  collect(*graph_, named);
  for (const auto& v : input_.variables)
    if (std::find(named.begin(), named.end(), v) == named.end())
      throw std::invalid_argument("trainable: a variable that no operation of the graph uses.");
  collect(*graph_, input_.variables);
  for (auto& [variable, regularizer] : regularizers) {
    const auto at = std::find(input_.variables.begin(), input_.variables.end(), variable);
    if (at == input_.variables.end())
      throw std::invalid_argument("regularizers: a variable that no operation of the graph uses.");
    regularizer.variable = static_cast<int>(at - input_.variables.begin());
    input_.regularizers.push_back(regularizer);
  }
  for (int v : input_.outputs) graph_->value(v);
  for (const auto& loss : input_.losses) {
    graph_->value(loss.value);
    losses_.push_back(&loss_kernel(loss.kernel));
    if (losses_.back()->metric()) throw std::invalid_argument("losses: '" + loss.kernel + "' is a metric, not a loss.");
  }
  for (const auto& metric : input_.metrics) {
    graph_->value(metric.value);
    metrics_.push_back(&loss_kernel(metric.kernel));
    if (metric.target < 0 || metric.target >= static_cast<int>(input_.losses.size()))
      throw std::invalid_argument("metrics: no target has the index " + std::to_string(metric.target) + ".");
    const auto& loss = input_.losses[static_cast<size_t>(metric.target)];
    if (metrics_.back()->sparse() != loss.sparse())
      throw std::invalid_argument("metrics: '" + metric.kernel + "' takes " +
                                  (loss.sparse() ? "float targets" : "integer labels") + ", but the loss '" +
                                  loss.kernel + "' does not.");
  }
  plan_ = make_plan(input_, false);
  whole_plan_ = make_plan(input_, true);
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
      fuse(lists_[which], which == kPredict ? kept : std::vector<int>{});
  }
}

const Network::List& Network::list(Which which, int threads) {
  std::lock_guard<std::mutex> lock(cache_mutex_);
  auto [at, fresh] = with_barriers_.try_emplace({which, threads}, lists_[which]);
  if (fresh) place_barriers(plan(which), input_, at->second, threads);
  return at->second;
}

// One thread is the default for small work: more must save at least a tenth of the time after paying for its barriers.
int Network::threads_for(Which which, int64_t batch) {
  const int most = get_num_threads();
  if (most == 1) return 1;
  double operations = 0;
  for (const auto& i : lists_[which]) operations += flops(plan(which), input_, i, batch);
  const double lanes = kernels().isa == std::string("avx512") ? 16 : kernels().isa == std::string("avx2") ? 8 : 4;
  const double alone = operations / (lanes * 12e9) * 1e6 + static_cast<double>(lists_[which].size()) * 0.2;  // us
  const double kBarrier = 1.0;  // us, with the wait for the slower thread
  int best = 1;
  double best_time = alone;
  for (int n = 2; n <= most; ++n) {
    double barriers = 2;
    for (const auto& i : list(which, n)) barriers += i.barrier;
    const double time = alone / n + barriers * kBarrier;
    if (time < best_time * 0.9) best = n, best_time = time;
  }
  return best;
}

int Network::default_threads(int64_t batch_size) { return threads_for(kTrain, batch_size); }

std::unique_ptr<Workspace> Network::take_workspace(Which which, int64_t batch, int threads) {
  {
    std::lock_guard<std::mutex> lock(cache_mutex_);
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
  std::lock_guard<std::mutex> lock(cache_mutex_);
  for (auto at = workspaces_.begin(); at != workspaces_.end(); ++at) {  // one of a kind of work is enough to train with
    if (workspace->which() == kPredict || (*at)->which() != workspace->which()) continue;
    workspaces_.erase(at);
    break;
  }
  if (workspaces_.size() >= kKept) workspaces_.erase(workspaces_.begin());
  workspaces_.push_back(std::move(workspace));
}

Run Network::base_run(Which which) const {
  Run run{};
  run.plan = &plan(which);
  run.input = &input_;
  run.table = &kernels();
  run.losses = losses_;
  run.metrics = metrics_;
  return run;
}

std::unique_ptr<Workspace> Network::run_batches(Which which, Run& run, const Data& data, int64_t start, int64_t stop,
                                                int64_t batch_size, Optimizer* optimizer) {
  batch_size = std::min(batch_size, stop - start);
  const TeamShare team(threads_for(which, batch_size));
  auto workspace = take_workspace(which, batch_size, team.count());
  float** const tensors = workspace->tensors();
  run.tensors = tensors;
  std::vector<float> penalties(input_.regularizers.size());
  run.penalties = penalties.data();
  const Plan& p = plan(which);
  const int64_t steps = batch_size ? (stop - start + batch_size - 1) / batch_size : 0;
  std::vector<OptimizerArgs> arguments;
  for (int64_t s = 0; optimizer && s < steps; ++s)
    arguments.push_back(optimizer->arguments(optimizer->iterations() + s + 1));

  struct Feed {
    const Source* source;
    int tensor;
  };
  std::vector<Feed> feeds;
  for (size_t i = 0; i < data.inputs.size(); ++i)
    feeds.push_back({&data.inputs[i], p.value_tensor[static_cast<size_t>(graph_->inputs()[i])]});
  for (size_t i = 0; i < data.targets.size(); ++i) feeds.push_back({&data.targets[i], p.target_tensor[i]});
  const Source weights{reinterpret_cast<const char*>(data.sample_weight), DType::kFloat32, stop, 1, 4, 4};
  if (data.sample_weight) feeds.push_back({&weights, p.weight_tensor});

  // Lists for every team size that could come out of the region, before it opens.
  std::vector<const List*> lists;
  for (int n = 1; n <= team.count(); ++n) lists.push_back(&list(which, n));
  Barrier barrier;
  run_team(team.count(), [&](int thread, int threads) {
    Run mine = run;
    mine.threads = threads;
    if (data.sample_weight) mine.sample_weight = tensors[p.tensors[static_cast<size_t>(p.weight_tensor)].storage];
    for (int64_t s = 0; s < steps; ++s) {
      const int64_t first = start + s * batch_size;
      mine.batch = std::min(batch_size, stop - first);
      if (optimizer) mine.arguments = arguments[static_cast<size_t>(s)];
      for (const Feed& feed : feeds) {
        const Tensor& shape = p.tensors[static_cast<size_t>(feed.tensor)];
        const Range rows = share(mine.batch, thread, threads);
        float* out = tensors[shape.storage] + rows.begin * feed.source->cols;
        if (shape.labels)
          gather(*feed.source, data.order, first, rows.begin, rows.end, reinterpret_cast<int32_t*>(out));
        else
          gather(*feed.source, data.order, first, rows.begin, rows.end, out);
      }
      for (const auto& instruction : *lists[static_cast<size_t>(threads - 1)]) {
        if (instruction.barrier) barrier.wait(threads);
        execute(mine, instruction, thread, workspace->scratch(thread));
      }
      barrier.wait(threads);
      ++mine.step;
    }
  });
  if (optimizer) optimizer->set_iterations(optimizer->iterations() + steps);
  return workspace;
}

void Network::prepare_updates(Run& run, Optimizer& optimizer, std::vector<float*>& slots, Buffer<float>& square_sums) {
  slots.assign(input_.variables.size() * Optimizer::kMaxSlots, nullptr);
  int64_t chunks = 0;
  for (int v = 0; v < input_.trainable; ++v) {
    const auto& variable = input_.variables[static_cast<size_t>(v)];
    optimizer.copy_slot_pointers(variable, &slots[static_cast<size_t>(v) * Optimizer::kMaxSlots]);
    chunks += (variable->size() + kNormChunk - 1) / kNormChunk;
  }
  square_sums = Buffer<float>(chunks);
  run.slots = slots.data();
  run.square_sums = square_sums.data();
  run.update = optimizer.step_kernel(*run.table);
  run.clipvalue = static_cast<float>(optimizer.get("clipvalue"));
  run.clipnorm = static_cast<float>(optimizer.get("clipnorm"));
  run.global_clipnorm = static_cast<float>(optimizer.get("global_clipnorm"));
}

std::vector<double> Network::train(const Data& data, int64_t start, int64_t stop, int64_t batch_size,
                                   Optimizer& optimizer, uint64_t seed) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  const Which which = optimizer.needs_whole_gradients() ? kTrainWhole : kTrain;
  Run run = base_run(which);
  std::vector<float*> slots;
  Buffer<float> square_sums;
  prepare_updates(run, optimizer, slots, square_sums);
  std::vector<double> sums = new_sums();
  run.sums = sums.data();
  run.training = true;
  run.seed = seed;
  run.step = optimizer.iterations();
  return_workspace(run_batches(which, run, data, start, stop, batch_size, &optimizer));
  return sums;
}

std::vector<double> Network::evaluate(const Data& data, int64_t start, int64_t stop, int64_t batch_size) {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  Run run = base_run(kEvaluate);
  std::vector<double> sums = new_sums();
  run.sums = sums.data();
  return_workspace(run_batches(kEvaluate, run, data, start, stop, batch_size, nullptr));
  return sums;
}

// Every row's result is its own, so the threads take rows, not columns: no barriers, and each thread's activations stay
// in its cache. Inputs that are float32 and contiguous are read, and outputs written, where they are.
void Network::predict_rows(Which which, const std::vector<Source>& inputs, int64_t start, int64_t stop,
                           const Run& settings, const std::vector<float*>& out) {
  const int64_t rows = stop - start;
  double operations = 0;
  for (const auto& i : lists_[which]) operations += flops(plan_, input_, i, rows);
  const TeamShare team(operations < 2e7 || rows < 2 ? 1 : get_num_threads());
  const int64_t chunk = std::min(kPredictRows, (rows + team.count() - 1) / team.count());
  const int64_t chunks = chunk ? (rows + chunk - 1) / chunk : 0;
  const List& instructions = list(which, 1);
  std::vector<std::unique_ptr<Workspace>> workspaces;
  for (int t = 0; t < team.count(); ++t) workspaces.push_back(take_workspace(which, chunk, 1));

  run_team(team.count(), [&](int thread, int threads) {
    Run run = settings;
    run.threads = 1;
    Workspace& workspace = *workspaces[static_cast<size_t>(thread)];
    float** tensors = workspace.tensors();
    run.tensors = tensors;
    const Range mine = share(chunks, thread, threads);
    for (int64_t c = mine.begin; c < mine.end; ++c) {
      const int64_t first = start + c * chunk;
      run.batch = std::min(chunk, stop - first);
      for (size_t i = 0; i < inputs.size(); ++i) {
        const int storage = input_storage(i);
        const Source& source = inputs[i];
        if (source.contiguous()) {
          tensors[storage] = reinterpret_cast<float*>(const_cast<char*>(source.data)) + first * source.cols;
        } else {
          tensors[storage] = workspace.own(storage);
          gather(source, nullptr, first, 0, run.batch, tensors[storage]);
        }
      }
      std::vector<bool> direct(out.size(), false);
      auto target = [&](size_t o) { return out[o] + (first - start) * output_tensor(o).rows * output_tensor(o).cols; };
      for (size_t o = 0; o < out.size(); ++o) {
        const int storage = output_tensor(o).storage;
        bool own = workspace.own(storage) != nullptr;
        for (size_t i = 0; i < inputs.size(); ++i) own &= storage != input_storage(i);
        for (size_t other = 0; other < o; ++other) own &= output_tensor(other).storage != storage;
        direct[o] = own;
        if (own) tensors[storage] = target(o);
      }
      for (const auto& instruction : instructions) execute(run, instruction, 0, workspace.scratch(0));
      for (size_t o = 0; o < out.size(); ++o)
        if (!direct[o])
          std::memcpy(target(o), tensors[output_tensor(o).storage],
                      static_cast<size_t>(run.batch * output_tensor(o).rows * output_tensor(o).cols) * sizeof(float));
    }
  });
  for (auto& workspace : workspaces) return_workspace(std::move(workspace));
}

void Network::predict(const std::vector<Source>& inputs, int64_t start, int64_t stop, const std::vector<float*>& out) {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  predict_rows(kPredict, inputs, start, stop, base_run(kPredict), out);
}

void Network::call(const std::vector<Source>& inputs, bool training, uint64_t seed, int64_t step,
                   const std::vector<float*>& out) {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  Run run = base_run(kPredict);
  run.training = training;
  run.seed = seed;
  run.step = step;
  const int64_t rows = inputs[0].rows;
  if (!training) return predict_rows(kPredict, inputs, 0, rows, run, out);
  // Dropout's words are numbered from the first row of the batch: one chunk, so that the numbering is the batch's own.
  auto workspace = take_workspace(kPredict, rows, 1);
  run.tensors = workspace->tensors();
  run.threads = 1;
  run.batch = rows;
  const FloatEnvironment environment;
  workspace->reset();
  for (size_t i = 0; i < inputs.size(); ++i) gather(inputs[i], nullptr, 0, 0, rows, workspace->own(input_storage(i)));
  for (const auto& instruction : list(kPredict, 1)) execute(run, instruction, 0, workspace->scratch(0));
  for (size_t o = 0; o < out.size(); ++o) {
    const Tensor& t = output_tensor(o);
    std::memcpy(out[o], workspace->own(t.storage), static_cast<size_t>(rows * t.rows * t.cols) * sizeof(float));
  }
  return_workspace(std::move(workspace));
}

std::vector<double> Network::value_and_grad(const Data& data, bool training, uint64_t seed, int64_t step,
                                            const std::vector<float*>& gradients) {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  Run run = base_run(kGradient);
  std::vector<double> sums = new_sums();
  run.sums = sums.data();
  run.training = training;
  run.seed = seed;
  run.step = step;
  const int64_t rows = data.inputs[0].rows;
  auto workspace = run_batches(kGradient, run, data, 0, rows, rows, nullptr);
  for (int v = 0; v < input_.trainable; ++v) {
    const Variable& variable = *input_.variables[static_cast<size_t>(v)];
    const int storage = plan_.tensors[static_cast<size_t>(plan_.gradient_tensor[static_cast<size_t>(v)])].storage;
    const float* stored = workspace->own(storage);
    if (stored)
      variable.to_row_major(stored, gradients[static_cast<size_t>(v)]);
    else
      std::fill_n(gradients[static_cast<size_t>(v)], variable.size(), 0.0f);
  }
  return_workspace(std::move(workspace));
  return sums;
}

void Network::apply_gradients(Optimizer& optimizer, const std::vector<const float*>& gradients) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  Run run = base_run(kApply);
  std::vector<float*> slots;
  Buffer<float> square_sums;
  prepare_updates(run, optimizer, slots, square_sums);
  auto workspace = take_workspace(kApply, 0, 1);
  run.tensors = workspace->tensors();
  run.threads = 1;
  run.arguments = optimizer.arguments(optimizer.iterations() + 1);
  const bool by_norm = optimizer.needs_whole_gradients();
  for (int v = 0; v < input_.trainable; ++v) {
    const int storage =
        whole_plan_.tensors[static_cast<size_t>(whole_plan_.gradient_tensor[static_cast<size_t>(v)])].storage;
    if (float* stored = workspace->own(storage))
      input_.variables[static_cast<size_t>(v)]->from_row_major(gradients[static_cast<size_t>(v)], stored);
  }
  const FloatEnvironment environment;
  for (const auto& i : list(kApply, 1))
    if (by_norm || i.kind == Kind::kUpdate) execute(run, i, 0, workspace->scratch(0));
  optimizer.set_iterations(optimizer.iterations() + 1);
  return_workspace(std::move(workspace));
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
  for (const auto& i : list(at->second, threads)) lines.push_back(describe(plan(at->second), i));
  return lines;
}

int64_t Network::memory(int64_t batch_size) {
  return Workspace(plan_, input_, lists_[kTrain], kTrain, batch_size, get_num_threads()).bytes();
}

}  // namespace lanewise
