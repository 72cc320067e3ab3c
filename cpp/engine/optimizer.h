// Hyper-parameters, slots and step count of an optimizer; the equations are kernels/optimizers.cpp.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/fork_mutex.h"
#include "engine/graph.h"
#include "kernels/kernels.h"

namespace lanewise {

using OptimizerStep = void (*)(float*, const float*, float* const*, int64_t, const OptimizerArgs&);

// What one batch does to the weights: the equation's arguments, and what stands around the equation.
struct StepArgs {
  OptimizerArgs equation;
  bool update;     // false: this batch's gradients are only accumulated
  float share;     // 1 / how many batches of gradients are averaged
  float momentum;  // of the moving average of the weights: average = momentum * average + rate * w
  float rate;      // 1 - momentum
  bool overwrite;  // the weights become their average
};

struct Equation;

// Any thread may read and set hyper-parameters while another one trains. Slots belong to the training that runs: a
// variable is trained by one network at a time.
class Optimizer {
 public:
  // In the array of pointers that a step gets: the equation's slots, then these two where they are used.
  static constexpr int kAverage = 3, kAccumulator = 4, kMaxSlots = 5;

  Optimizer(const std::string& name, const std::map<std::string, double>& hyper);

  void set(const std::string& key, double value);
  double get(const std::string& key) const;
  int64_t iterations() const { return iterations_; }
  void set_iterations(int64_t n);
  // Learning rates of the batches first, first + 1, ... (counted from 0), instead of "learning_rate"; empty: no more.
  void set_rates(int64_t first, std::vector<double> rates);
  // The variables that weight decay leaves alone.
  void set_undecayed(std::vector<VariablePtr> variables);
  bool decays(const Variable* variable) const;
  // The equation's, then "average" and "gradient_accumulator" where they are used.
  std::vector<std::string> slot_names() const;

  // The slots of a variable in its stored layout, by slot_names, made on first use: zero; an "accumulator" begins at
  // initial_accumulator_value, an "average" as the variable is.
  using Slots = std::shared_ptr<std::vector<Buffer<float>>>;
  Slots slots(const VariablePtr& variable);
  Slots fresh_slots(const Variable& variable) const;  // as they begin; the optimizer keeps none
  bool has_slots(const Variable* variable) const;
  void drop_slots(const Variable* variable);  // they begin anew
  // Returns what keeps them there, should they be dropped meanwhile: two models may share an optimizer.
  Slots copy_slot_pointers(const VariablePtr& variable, float** out);

  OptimizerStep step_kernel(const KernelTable& table) const;
  // Of `count` batches from t = 1, 2, ... on.
  std::vector<StepArgs> arguments(int64_t t, int64_t count) const;
  // A rule that needs whole gradients before the first update: clipping by norm.
  bool needs_whole_gradients() const { return get("clipnorm") > 0 || get("global_clipnorm") > 0; }

 private:
  struct State {
    VariablePtr keep;
    Slots slots;
  };
  double value(const std::string& key) const;  // these two under mutex_
  std::vector<std::string> names() const;
  Slots fresh(const Variable& variable) const;

  const Equation* equation_;
  mutable ForkMutex<std::mutex> mutex_;
  std::map<std::string, double> hyper_;
  int64_t first_rate_ = 0;
  std::vector<double> rates_;
  std::vector<VariablePtr> undecayed_;
  std::unordered_map<const Variable*, State> state_;
  std::atomic<int64_t> iterations_{0};
};

}  // namespace lanewise
