// Hyper-parameters, slots and step count of an optimizer; the equations are kernels/optimizers.cpp.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/graph.h"
#include "kernels/kernels.h"

namespace lanewise {

using OptimizerStep = void (*)(float*, const float*, float* const*, int64_t, const OptimizerArgs&);

// Any thread may read and set hyper-parameters while another one trains. Slots belong to the training that runs: a
// variable is trained by one network at a time.
class Optimizer {
 public:
  static constexpr int kMaxSlots = 3;

  Optimizer(const std::string& name, const std::map<std::string, double>& hyper);

  void set(const std::string& key, double value);
  double get(const std::string& key) const;
  int64_t iterations() const { return iterations_; }
  void set_iterations(int64_t n);
  std::vector<std::string> slot_names() const;

  // The slots of a variable in its stored layout, made (zero) on first use.
  std::vector<Buffer<float>>& slots(const VariablePtr& variable);
  void copy_slot_pointers(const VariablePtr& variable, float** out);

  OptimizerStep step_kernel(const KernelTable& table) const;
  OptimizerArgs arguments(int64_t t) const;  // of step t = 1, 2, ...
  // A rule that needs whole gradients before the first update: clipping by norm.
  bool needs_whole_gradients() const { return get("clipnorm") > 0 || get("global_clipnorm") > 0; }

 private:
  struct State {
    VariablePtr keep;
    std::vector<Buffer<float>> slots;
  };
  enum class Kind { kSgd, kAdam, kRmsprop } kind_;
  double value(const std::string& key) const;  // these two under mutex_
  std::vector<std::string> names() const;

  mutable std::mutex mutex_;
  std::map<std::string, double> hyper_;
  std::unordered_map<const Variable*, State> state_;
  std::atomic<int64_t> iterations_{0};
};

}  // namespace lanewise
