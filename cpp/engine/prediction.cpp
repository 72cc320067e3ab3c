// Predicting: rows through the forward list.
#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <optional>

#include "engine/network.h"

namespace lanewise {
namespace {

// Operations of a call: below the first a team is never faster (16 us on one thread of 250 GFLOP/s; the threads of a
// team are there after 2 us if they ran just before, and 50 if they sleep), above the second (4 ms) always; between
// them the two are measured.
constexpr double kAlone = 4e6, kTeam = 1e9;

}  // namespace

// Every row's result is its own, so the threads take rows, not columns: no barriers, and each thread's activations stay
// in its cache. Inputs that are float32 and contiguous are read, and outputs written, where they are.
void Network::predict_rows(std::span<const Source> inputs, int64_t start, int64_t stop, const Run& settings,
                           std::span<float* const> out) {
  const int64_t rows = stop - start;
  Pace* pace = nullptr;
  bool in_team = rows > 1 && get_num_threads() > 1 && !calls_host_ && !always_random_;
  double operations = 0;
  const List& instructions = lists_[kPredict];  // as they are: of one thread, without barriers
  for (size_t i = 0; in_team && i < instructions.size(); ++i) operations += flops(plan_, input_, instructions[i], rows);
  in_team &= operations >= kAlone;
  if (in_team && operations < kTeam) {
    pace = &predict_paces_[static_cast<size_t>(std::bit_width(static_cast<uint64_t>(rows)))];
    const std::lock_guard<ForkMutex<std::mutex>> lock(pace_mutex_);
    in_team = pace->team();
  }
  const std::optional<Stopwatch> watch = pace ? std::optional<Stopwatch>(0) : std::nullopt;
  const TeamShare team(in_team ? get_num_threads() : 1);
  const int64_t chunk = std::min(kPredictRows, (rows + team.count() - 1) / team.count());
  const int64_t chunks = chunk ? (rows + chunk - 1) / chunk : 0;
  auto own = take_workspace(kPredict, chunk, 1);
  std::vector<std::unique_ptr<Workspace>> others;
  for (int t = 1; t < team.count(); ++t) others.push_back(take_workspace(kPredict, chunk, 1));

  Failure failure;
  std::atomic<int64_t> next{0};  // chunk: a core that is slower takes fewer
  const auto body = [&](int thread, int) {
    Run run = settings;
    run.failure = &failure;
    run.threads = 1;
    Workspace& workspace = thread == 0 ? *own : *others[static_cast<size_t>(thread - 1)];
    float** tensors = workspace.tensors();
    run.tensors = tensors;
    for (int64_t c; !failure.any() && (c = next.fetch_add(1, std::memory_order_relaxed)) < chunks;) {
      const int64_t first = start + c * chunk;
      run.batch = std::min(chunk, stop - first);
      run.step = settings.step + first / kPredictRows;  // of one thread: each chunk has words of its own
      for (size_t i = 0; i < inputs.size(); ++i) {
        const int storage = input_storage(i);
        const Source& source = inputs[i];
        const bool ids = integer_input(i);
        if (source.contiguous(ids ? DType::kInt32 : DType::kFloat32)) {
          tensors[storage] = reinterpret_cast<float*>(const_cast<char*>(source.data)) + first * source.cols;
        } else {
          tensors[storage] = workspace.own(storage);
          gather(source, nullptr, first, 0, run.batch, tensors[storage], ids);
        }
      }
      auto target = [&](size_t o) { return out[o] + (first - start) * output_tensor(o).rows * output_tensor(o).cols; };
      for (size_t o = 0; o < out.size(); ++o)
        if (in_place_[o]) tensors[output_tensor(o).storage] = target(o);
      for (const auto& instruction : instructions) execute(run, instruction, 0, workspace.scratch(0));
      for (size_t o = 0; o < out.size(); ++o)
        if (!in_place_[o])
          std::memcpy(target(o), tensors[output_tensor(o).storage],
                      static_cast<size_t>(run.batch * output_tensor(o).rows * output_tensor(o).cols) * sizeof(float));
    }
  };
  run_team(team.count(), std::ref(body));  // a function of its own would be allocated
  return_workspace(std::move(own));
  for (auto& workspace : others) return_workspace(std::move(workspace));
  failure.raise();
  if (pace) {
    const std::lock_guard<ForkMutex<std::mutex>> lock(pace_mutex_);
    watch->record(*pace, team.count() > 1, static_cast<double>(rows));
  }
}

void Network::predict(std::span<const Source> inputs, int64_t start, int64_t stop, std::span<float* const> out,
                      uint64_t seed, int64_t step) {
  std::shared_lock<ForkMutex<std::shared_mutex>> lock(mutex_);
  Run run = base_run(kPredict);
  run.seed = seed;
  run.step = step;
  predict_rows(inputs, start, stop, run, out);
}

void Network::call(std::span<const Source> inputs, bool training, uint64_t seed, int64_t step,
                   std::span<float* const> out) {
  std::shared_lock<ForkMutex<std::shared_mutex>> reading(mutex_, std::defer_lock);
  std::unique_lock<ForkMutex<std::shared_mutex>> writing(mutex_, std::defer_lock);
  if (training && moves())
    writing.lock();
  else
    reading.lock();
  Run run = base_run(kPredict);
  run.training = run.moving = training;
  run.seed = seed;
  run.step = step;
  const int64_t rows = inputs[0].rows;
  if (!training) return predict_rows(inputs, 0, rows, run, out);
  // Dropout's words are numbered from the first row of the batch: one chunk, so that the numbering is the batch's own.
  auto workspace = take_workspace(kPredict, rows, 1);
  run.tensors = workspace->tensors();
  run.threads = 1;
  run.batch = rows;
  Failure failure;
  run.failure = &failure;
  const FloatEnvironment environment;
  workspace->reset();
  for (size_t i = 0; i < inputs.size(); ++i)
    gather(inputs[i], nullptr, 0, 0, rows, workspace->own(input_storage(i)), integer_input(i));
  for (const auto& instruction : lists_[kPredict]) {
    execute(run, instruction, 0, workspace->scratch(0));
    if (failure.any()) break;
  }
  if (!failure.any()) move_statistics(run, 0);
  for (size_t o = 0; o < out.size(); ++o) {
    const Tensor& t = output_tensor(o);
    std::memcpy(out[o], workspace->own(t.storage), static_cast<size_t>(rows * t.rows * t.cols) * sizeof(float));
  }
  return_workspace(std::move(workspace));
  failure.raise();
}

}  // namespace lanewise
