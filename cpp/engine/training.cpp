// Running batches: training, evaluation, gradients.
#include <algorithm>

#include "engine/network.h"
#include "engine/random.h"

namespace lanewise {

// Floats of a batch up to which every thread gathers for itself what it reads whole: both copies stay in L2, where half
// of one would have to come from another core (figures in cpp/README.md).
constexpr int64_t kOwnFloats = 1 << 17;

std::unique_ptr<Workspace> Network::run_batches(Which which, Run& run, const Data& data, int64_t start, int64_t stop,
                                                int64_t batch_size, const TeamShare& team, Optimizer* optimizer) {
  batch_size = std::min(batch_size, stop - start);
  auto workspace = take_workspace(which, batch_size, team.count());
  float** const tensors = workspace->tensors();
  run.tensors = tensors;
  std::vector<float> penalties(input_.regularizers.size() + plan_.activities.size());
  run.penalties = penalties.data();
  const Plan& p = plan(which);
  const int64_t steps = batch_size ? (stop - start + batch_size - 1) / batch_size : 0;
  std::vector<StepArgs> arguments;
  if (optimizer) arguments = optimizer->arguments(optimizer->iterations() + 1, steps);

  struct Feed {
    const Source* source;
    int tensor;
    const uint32_t* order;
    int64_t from;
    int64_t classes = 0;  // of labels
  };
  std::vector<Feed> feeds;  // inputs first
  size_t largest = 0;
  int64_t inputs = 0;  // floats of all, a sample
  for (size_t i = 0; i < data.inputs.size(); ++i) {
    feeds.push_back({&data.inputs[i], p.value_tensor[static_cast<size_t>(graph_->inputs()[i])], data.order, 0});
    inputs += data.inputs[i].cols;
    if (data.inputs[i].cols > data.inputs[largest].cols) largest = i;
  }
  for (size_t i = 0; i < data.targets.size(); ++i) {
    const int64_t classes = graph_->value(input_.targets[i].value).cols();
    feeds.push_back({&data.targets[i], p.target_tensor[i], data.order, 0, classes});
  }
  std::vector<Source> weights(data.weights.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = {reinterpret_cast<const char*>(data.weights[i]), DType::kFloat32, stop, 1, 4, 4};
    const bool of_rows = data.weights_from < 0;
    if (data.weights[i])
      feeds.push_back(
          {&weights[i], p.weight_tensor[i], of_rows ? data.order : nullptr, of_rows ? 0 : data.weights_from});
  }
  std::vector<float*> weights_of(input_.targets.size(), nullptr);
  for (size_t i = 0; i < weights.size(); ++i)
    if (data.weights[i]) weights_of[i] = tensors[p.tensors[static_cast<size_t>(p.weight_tensor[i])].storage];
  run.weights = weights_of.data();

  // Lists for every team size that could come out of the region, before it opens.
  std::vector<const TeamList*> lists;
  size_t most_tails = 0;
  const int own_for = batch_size * inputs <= kOwnFloats ? team.count() : 0;
  for (int n = 1; n <= team.count(); ++n) {
    lists.push_back(&list(which, n, batch_size, own_for));
    most_tails = std::max(most_tails, static_cast<size_t>(lists.back()->tails * n));
  }
  std::vector<Tail> tails(most_tails);
  std::vector<std::pair<int, int64_t>> own;
  for (size_t i = 0; i < data.inputs.size(); ++i)
    if (lists.back()->own[i]) own.emplace_back(input_storage(i), batch_size * data.inputs[i].cols);
  workspace->separate(own, team.count());
  Barrier barrier;
  Failure failure;
  run.failure = &failure;
  run_team(team.count(), [&](int thread, int threads) {
    const TeamList& list = *lists[static_cast<size_t>(threads - 1)];
    Run mine = run;
    mine.threads = threads;
    mine.tensors = workspace->tensors(thread);
    double square_norm = 0;
    mine.square_norm = &square_norm;
    mine.tails = tails.data();
    const auto rows_of = [&](size_t feed, int64_t batch) {
      return feed < list.own.size() && list.own[feed] ? Range{0, batch} : share(batch, thread, threads);
    };
    const Source& x = data.inputs[largest];
    Upcoming upcoming{x.data, data.order, x.row_stride, x.cols * x.col_stride, 0, 0, 0};
    if (optimizer && 0 < x.col_stride && x.col_stride <= 8) mine.upcoming = &upcoming;
    for (int64_t s = 0; s < steps; ++s) {
      const int64_t first = start + s * batch_size;
      mine.batch = std::min(batch_size, stop - first);
      mine.round = static_cast<uint32_t>(s + 1);
      if (optimizer) mine.arguments = arguments[static_cast<size_t>(s)];
      for (size_t f = 0; f < feeds.size(); ++f) {
        const Feed& feed = feeds[f];
        const Tensor& shape = p.tensors[static_cast<size_t>(feed.tensor)];
        const Range rows = rows_of(f, mine.batch);
        float* out = mine.tensors[shape.storage] + rows.begin * feed.source->cols;
        gather(*feed.source, feed.order, first - feed.from, rows.begin, rows.end, out, shape.labels);
        if (!shape.labels || feed.classes == 0) continue;
        auto* labels = reinterpret_cast<int32_t*>(out);
        for (int64_t e = 0; e < (rows.end - rows.begin) * feed.source->cols; ++e)
          labels[e] = failure.within(labels[e], feed.classes, mine.step);
      }
      const int64_t next = first + mine.batch;
      const Range soon = rows_of(largest, std::min(batch_size, stop - next));
      upcoming.row = next + soon.begin, upcoming.end = next + soon.end, upcoming.offset = 0;
      for (const auto& instruction : list.instructions) {
        if (instruction.barrier) barrier.wait(threads);
        execute(mine, instruction, thread, workspace->scratch(thread));
      }
      barrier.wait(threads);
      if (failure.step.load() == mine.step) break;  // not any(): a faster thread may have failed in the next one
      if (mine.moving) move_statistics(mine, thread);
      if (thread == 0) failure.called.clear();
      ++mine.step;
    }
  });
  run.failure = nullptr;
  if (optimizer) optimizer->set_iterations(optimizer->iterations() + (failure.any() ? failure.step - run.step : steps));
  failure.raise(optimizer != nullptr);
  return workspace;
}

void Network::prepare_updates(Run& run, Optimizer& optimizer, Updates& updates) {
  const FloatEnvironment environment;
  updates.slots.assign(input_.variables.size() * Optimizer::kMaxSlots, nullptr);
  updates.undecayed.assign(input_.variables.size(), 0);
  updates.first_chunk.assign(1, 0);
  for (int v = 0; v < input_.trainable; ++v) {
    const auto i = static_cast<size_t>(v);
    const auto& variable = input_.variables[i];
    updates.kept.push_back(optimizer.copy_slot_pointers(variable, &updates.slots[i * Optimizer::kMaxSlots]));
    updates.undecayed[i] = !optimizer.decays(variable.get());
    updates.first_chunk.push_back(updates.first_chunk.back() + (variable->size() + kNormChunk - 1) / kNormChunk);
  }
  updates.square_sums = Buffer<float>(updates.first_chunk.back());
  run.slots = updates.slots.data();
  run.undecayed = updates.undecayed.data();
  run.square_sums = updates.square_sums.data();
  run.first_chunk = updates.first_chunk.data();
  run.update = optimizer.step_kernel(*run.table);
  run.clipvalue = static_cast<float>(optimizer.get("clipvalue"));
  run.clipnorm = static_cast<float>(optimizer.get("clipnorm"));
  run.global_clipnorm = static_cast<float>(optimizer.get("global_clipnorm"));
}

std::vector<double> Network::train(const Data& data, int64_t start, int64_t stop, int64_t batch_size,
                                   Optimizer& optimizer, uint64_t seed) {
  std::unique_lock<ForkMutex<std::shared_mutex>> lock(mutex_);
  const Which which = optimizer.needs_whole_gradients() ? kTrainWhole : kTrain;
  Run run = base_run(which);
  Updates updates;
  prepare_updates(run, optimizer, updates);
  std::vector<double> sums = new_sums();
  run.sums = sums.data();
  run.training = run.moving = true;
  run.seed = seed;
  // Small networks are not worth a team; the others run as they are measured to run best, in stretches short enough to
  // notice when the machine gets busy. The bits do not depend on it.
  constexpr double kTooSmall = 6e-6, kLarge = 2e-3;
  constexpr int64_t kMany = 4;  // steps among which a partial batch does not count
  batch_size = std::min(batch_size, stop - start);
  const double alone = estimated_seconds(which, batch_size);
  const int most = get_num_threads();
  const bool measured = most > 1 && !always_team() && alone >= kTooSmall;
  Pace& pace = paces_[{which, batch_size}];
  if (alone > kLarge) pace.start_with_team();
  for (int64_t at = start; at < stop;) {
    const TeamShare share(always_team() || (measured && pace.team()) ? most : 1);
    const int64_t whole = (stop - at) / batch_size;
    int64_t steps = whole;
    if (measured) steps = static_cast<int64_t>(std::min(pace.steps(alone), static_cast<double>(whole)));
    const int64_t end = steps < whole || (0 < whole && whole < kMany) ? at + steps * batch_size : stop;
    run.step = optimizer.iterations();
    const Stopwatch watch(measured ? static_cast<double>(steps) * alone : 0);
    return_workspace(run_batches(which, run, data, at, end, batch_size, share, &optimizer));
    if (measured && whole > 0)
      watch.record(pace, share.count() > 1, static_cast<double>(end - at) / static_cast<double>(batch_size));
    at = end;
  }
  return sums;
}

std::vector<double> Network::evaluate(const Data& data, int64_t start, int64_t stop, int64_t batch_size, uint64_t seed,
                                      int64_t step) {
  std::shared_lock<ForkMutex<std::shared_mutex>> lock(mutex_);
  Run run = base_run(kEvaluate);
  run.seed = seed;
  run.step = step + start / batch_size;
  std::vector<double> sums = new_sums();
  run.sums = sums.data();
  // A forward pass is too short to pay for its barriers on a busy machine unless the batch is large.
  constexpr double kWorthATeam = 200e-6;
  const bool alone = estimated_seconds(kEvaluate, batch_size) < kWorthATeam && !always_team();
  const int threads = alone ? 1 : threads_for(kEvaluate, batch_size);
  return_workspace(run_batches(kEvaluate, run, data, start, stop, batch_size, TeamShare(threads), nullptr));
  return sums;
}

void Network::train_epochs(const Batches& rows, Optimizer& optimizer, uint64_t seed, uint64_t first, bool shuffle,
                           const std::vector<bool>& validated, const Batches& held, std::vector<double>& found) {
  Data data = rows.data;
  std::vector<uint32_t> order(static_cast<size_t>(shuffle ? rows.rows : 0));
  for (size_t epoch = 0; epoch < validated.size(); ++epoch) {
    if (shuffle) {
      permutation(seed, first + epoch, rows.rows, order.data(), [] {});
      if (rows.data.order)
        for (uint32_t& row : order) row = rows.data.order[row];
      data.order = order.data();
    }
    std::vector<double> sums = train(data, 0, rows.rows, rows.batch_size, optimizer, seed);
    const auto held_sums = validated[epoch] ? evaluate(held.data, 0, held.rows, held.batch_size) : new_sums();
    sums.insert(sums.end(), held_sums.begin(), held_sums.end());
    found.insert(found.end(), sums.begin(), sums.end());
  }
}

std::vector<double> Network::value_and_grad(const Data& data, bool training, uint64_t seed, int64_t step,
                                            const std::vector<float*>& gradients) {
  std::shared_lock<ForkMutex<std::shared_mutex>> lock(mutex_);
  Run run = base_run(kGradient);
  std::vector<double> sums = new_sums();
  run.sums = sums.data();
  run.training = training;
  run.seed = seed;
  run.step = step;
  const int64_t rows = data.inputs[0].rows;
  auto workspace = run_batches(kGradient, run, data, 0, rows, rows, TeamShare(threads_for(kGradient, rows)), nullptr);
  for (int v = 0; v < input_.trainable; ++v) {
    const Variable& variable = *input_.variables[static_cast<size_t>(v)];
    const float* stored = workspace->own(gradient_storage(plan_, v));
    if (stored)
      variable.to_row_major(stored, gradients[static_cast<size_t>(v)]);
    else
      std::fill_n(gradients[static_cast<size_t>(v)], variable.size(), 0.0f);
  }
  return_workspace(std::move(workspace));
  return sums;
}

void Network::apply_gradients(Optimizer& optimizer, const std::vector<const float*>& gradients) {
  std::unique_lock<ForkMutex<std::shared_mutex>> lock(mutex_);
  Run run = base_run(kApply);
  Updates updates;
  prepare_updates(run, optimizer, updates);
  auto workspace = take_workspace(kApply, 0, 1);
  run.tensors = workspace->tensors();
  run.threads = 1;
  run.arguments = optimizer.arguments(optimizer.iterations() + 1, 1)[0];
  Failure none;
  run.failure = &none;
  double square_norm = 0;
  run.square_norm = &square_norm;
  const bool by_norm = optimizer.needs_whole_gradients();
  for (int v = 0; v < input_.trainable; ++v) {
    if (float* stored = workspace->own(gradient_storage(whole_plan_, v)))
      input_.variables[static_cast<size_t>(v)]->from_row_major(gradients[static_cast<size_t>(v)], stored);
  }
  const FloatEnvironment environment;
  for (const auto& i : list(kApply, 1, 1).instructions)
    if (by_norm || (i.kind != Kind::kSquareSums && i.kind != Kind::kClip)) execute(run, i, 0, workspace->scratch(0));
  optimizer.set_iterations(optimizer.iterations() + 1);
  return_workspace(std::move(workspace));
}

}  // namespace lanewise
