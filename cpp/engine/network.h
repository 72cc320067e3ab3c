// A compiled network: training, evaluation, prediction and gradients over batch sources. Floor 4's front door.
#pragma once
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <tuple>

#include "engine/fork_mutex.h"
#include "engine/execute.h"
#include "engine/pace.h"
#include "engine/source.h"
#include "engine/team.h"
#include "engine/workspace.h"

namespace lanewise {

// The arrays of one call: every input, every target, perhaps weights, and which rows in which order.
struct Data {
  std::vector<Source> inputs, targets;
  std::vector<const float*> weights;  // of the samples, for each target, null where there are none
  const uint32_t* order = nullptr;    // null: rows as they stand
  int64_t weights_from = -1;  // weights are those of order[weights_from], order[weights_from + 1] ...; < 0: of rows
};

// Data with the rows that count, in batches.
struct Batches {
  Data data;
  int64_t rows = 0, batch_size = 1;
};

// Rows that one thread takes through the whole network at a time when predicting. What is random then is numbered from
// the start of such a chunk, so whoever predicts slice by slice takes multiples of it.
constexpr int64_t kPredictRows = 256;

class Network {
 public:
  // Loss i is fitted to target i; more_targets come after those, for metrics.
  Network(std::shared_ptr<const Graph> graph, std::vector<int> outputs, std::vector<LossSpec> losses,
          std::vector<MetricSpec> metrics, std::vector<VariablePtr> trainable,
          std::vector<std::pair<VariablePtr, Regularizer>> regularizers,
          std::vector<std::pair<VariablePtr, Constraint>> constraints, bool fused,
          const std::vector<TargetSpec>& more_targets = {}, std::vector<VariablePtr> frozen = {});

  // Trains on rows order[start, stop) in batches; the last one may be partial. Returns sums over the rows:
  // [rows, total loss, each loss, then for each metric its sum and what to divide it by].
  std::vector<double> train(const Data& data, int64_t start, int64_t stop, int64_t batch_size, Optimizer& optimizer,
                            uint64_t seed);
  // Whole epochs, number `first` of the stream of orders and those after it, all rows of `rows`, each in an order of
  // its own (or as they stand), one for each entry of `validated`: where that is true, `held` is evaluated after it.
  // Appends the sums of each epoch to `found`, followed by those of its evaluation, zeros where there is none.
  void train_epochs(const Batches& rows, Optimizer& optimizer, uint64_t seed, uint64_t first, bool shuffle,
                    const std::vector<bool>& validated, const Batches& held, std::vector<double>& found);
  // seed, step: of what is random when predicting too.
  std::vector<double> evaluate(const Data& data, int64_t start, int64_t stop, int64_t batch_size, uint64_t seed = 0,
                               int64_t step = 0);
  // Rows [start, stop) of each output into out[i], which points at row `start`. Many threads may call it at once.
  void predict(std::span<const Source> inputs, int64_t start, int64_t stop, std::span<float* const> out,
               uint64_t seed = 0, int64_t step = 0);
  // All rows as one batch; training: dropout is on.
  void call(std::span<const Source> inputs, bool training, uint64_t seed, int64_t step, std::span<float* const> out);
  // All rows as one batch; gradients row-major, in the order of the trainable variables.
  std::vector<double> value_and_grad(const Data& data, bool training, uint64_t seed, int64_t step,
                                     const std::vector<float*>& gradients);
  void apply_gradients(Optimizer& optimizer, const std::vector<const float*>& gradients);

  std::vector<std::string> instructions(const std::string& which, int threads);
  // For each element of a sample of an input: rows of the smallest table that it is looked up in, 0 where it is no id.
  // Empty where there are no ids.
  const std::vector<int64_t>& ids_below(size_t input) const { return ids_below_[input]; }
  int64_t memory(int64_t batch_size);
  void free_workspaces();  // those that are kept for the next call
  int default_threads(int64_t batch_size);
  // Whether so many rows are trained on in less time than two threads of Python take to hand over the GIL.
  bool is_quick(int64_t rows, int64_t batch_size) const {
    const auto steps = static_cast<double>((rows + batch_size - 1) / batch_size);
    return !calls_host_ && steps * estimated_seconds(kTrain, batch_size) < 20e-6;
  }

  const Graph& graph() const { return *graph_; }
  const PlanInput& input() const { return input_; }
  bool calls_host() const { return calls_host_; }
  std::vector<double> new_sums() const {
    return std::vector<double>(2 + losses_.size() + static_cast<size_t>(metric_sums_), 0.0);
  }
  // Readers (predict, get) share it; whoever changes weights holds it alone.
  ForkMutex<std::shared_mutex>& mutex() { return mutex_; }

 private:
  using List = std::vector<Instruction>;
  enum Which { kPredict, kEvaluate, kGradient, kApply, kTrain, kTrainWhole, kLists };

  const Tensor& tensor_of(int value) const {
    return plan_.tensors[static_cast<size_t>(plan_.value_tensor[static_cast<size_t>(value)])];
  }
  // Of the gradient of a trainable variable.
  static int gradient_storage(const Plan& plan, int v) {
    return plan.tensors[static_cast<size_t>(plan.gradient_tensor[static_cast<size_t>(v)])].storage;
  }
  // Whether a call in training mode changes variables.
  bool moves() const {
    return std::any_of(plan_.norms.begin(), plan_.norms.end(), [](const Norm& n) { return n.mean >= 0 && !n.frozen; });
  }
  bool integer_input(size_t i) const { return tensor_of(graph_->inputs()[i]).labels; }
  int input_storage(size_t i) const { return tensor_of(graph_->inputs()[i]).storage; }
  const Tensor& output_tensor(size_t o) const { return tensor_of(input_.outputs[o]); }
  // As so many threads run it. own: inputs that each of them gathers for itself, those that every thread of a team of
  // `asked` reads whole (0: none): threads that come out fewer than were asked for go by the same ones.
  struct TeamList {
    List instructions;
    std::vector<char> own;  // of each input
    int tails = 0;          // products that have them
  };
  // batch: of how many rows, roughly: it decides how products are shared.
  const TeamList& list(Which which, int threads, int64_t batch, int asked);
  const TeamList& list(Which which, int threads, int64_t batch) { return list(which, threads, batch, threads); }
  double estimated_seconds(Which which, int64_t batch) const;
  int threads_for(Which which, int64_t batch);
  std::unique_ptr<Workspace> take_workspace(Which which, int64_t batch, int threads);
  void return_workspace(std::unique_ptr<Workspace> workspace);
  Run base_run(Which which) const;
  const Plan& plan(Which which) const { return which == kTrainWhole || which == kApply ? whole_plan_ : plan_; }
  // Gives the workspace back to its caller, who may read what the last batch left in it.
  std::unique_ptr<Workspace> run_batches(Which which, Run& run, const Data& data, int64_t start, int64_t stop,
                                         int64_t batch_size, const TeamShare& team, Optimizer* optimizer);
  void predict_rows(std::span<const Source> inputs, int64_t start, int64_t stop, const Run& settings,
                    std::span<float* const> out);
  struct Updates {  // what a run's pointers point at
    std::vector<float*> slots;
    std::vector<Optimizer::Slots> kept;
    std::vector<char> undecayed;
    Buffer<float> square_sums;
    std::vector<int64_t> first_chunk;
  };
  void prepare_updates(Run& run, Optimizer& optimizer, Updates& updates);

  std::shared_ptr<const Graph> graph_;
  PlanInput input_;
  std::vector<std::vector<int64_t>> ids_below_;  // of each input
  std::vector<char> in_place_;  // of each output: a prediction is written where it goes, as no input is there
  std::vector<const LossKernel*> losses_, metrics_;
  int64_t metric_sums_ = 0;  // of all metrics
  Plan plan_, whole_plan_;   // whole: with clipping by norm
  List lists_[kLists];       // fused or not
  ForkMutex<std::mutex> cache_mutex_;
  std::map<std::tuple<int, int, int, int>, TeamList> team_lists_;  // (which, threads, bits of the batch, asked)
  std::vector<std::unique_ptr<Workspace>> workspaces_;
  std::map<std::pair<int, int64_t>, Pace> paces_;  // (which, batch size); under mutex_, held alone
  bool calls_host_ = false;                        // some operation, loss or metric is written in Python
  bool always_random_ = false;                     // some noise is there when predicting too
  ForkMutex<std::shared_mutex> mutex_;
  ForkMutex<std::mutex> pace_mutex_;
  std::array<Pace, 64> predict_paces_;  // by the bits of the number of rows; seconds of a row; under pace_mutex_
};

}  // namespace lanewise
