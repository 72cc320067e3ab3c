// The memory of one call: the tensors that a list names, for one batch size, and scratch for each thread.
#pragma once
#include <algorithm>

#include "engine/execute.h"

namespace lanewise {

// Floats of so many and what fills their last cache line.
inline int64_t whole_lines(int64_t floats) { return checked_sum(floats, 15) / 16 * 16; }

class Workspace {
 public:
  Workspace(const Plan& plan, const PlanInput& input, const std::vector<Instruction>& list, int which, int64_t batch,
            int threads)
      : which_(which), batch_(batch), threads_(threads) {
    std::vector<int64_t> floats(plan.tensors.size(), 0);
    auto need = [&](int t) {
      if (t < 0) return;
      const Tensor& tensor = plan.tensors[static_cast<size_t>(t)];
      const int64_t size = tensor.gradient_of >= 0
                               ? input.variables[static_cast<size_t>(tensor.gradient_of)]->size()
                               : checked_product(checked_product(tensor.fixed ? 1 : batch, tensor.rows), tensor.cols);
      int64_t& have = floats[static_cast<size_t>(tensor.storage)];
      have = std::max(have, std::max<int64_t>(size, 1));
    };
    for (int v : input.graph->inputs()) need(plan.value_tensor[static_cast<size_t>(v)]);
    for (int v : input.outputs) need(plan.value_tensor[static_cast<size_t>(v)]);
    bool targets = false;
    for (const auto& i : list) {
      need(i.in);
      need(i.in2);
      need(i.in3);
      need(i.keep);
      if (!i.update) need(i.out);
      scratch_floats_ = std::max(scratch_floats_, scratch_floats(plan, input, i, batch));
      targets |= i.kind == Kind::kReport;
    }
    if (targets) {
      for (int t : plan.target_tensor) need(t);
      for (int t : plan.weight_tensor) need(t);
    }
    scratch_floats_ = checked_sum(scratch_floats_, 31) / 16 * 16;  // threads on cache lines of their own
    int64_t total = 0;
    for (int64_t n : floats) total = checked_sum(total, whole_lines(n));
    memory_ = Buffer<float>(total);
    scratch_ = Buffer<float>(checked_product(scratch_floats_, threads));
    float* at = memory_.data();
    for (int64_t n : floats) {
      own_.push_back(n ? at : nullptr);
      at += whole_lines(n);
    }
    tensors_ = own_;
  }

  bool fits(int which, int64_t batch, int threads) const {
    return which == which_ && batch == batch_ && threads <= threads_;
  }
  int which() const { return which_; }
  // By storage. tensors() may be pointed at the caller's arrays for a call; own() is this workspace's memory, null for
  // what the list does not use.
  float** tensors() { return tensors_.data(); }
  float* own(int storage) const { return own_[static_cast<size_t>(storage)]; }
  void reset() { tensors_ = own_; }
  // Gives each thread but the first memory of its own for these storages, (storage, floats), and for no others: the
  // workspace may have served a larger team, or one that shared them.
  void separate(const std::vector<std::pair<int, int64_t>>& storages_and_floats, int threads) {
    int64_t each = 0;
    for (const auto& [storage, floats] : storages_and_floats) each = checked_sum(each, whole_lines(floats));
    if (separate_.size() < each * (threads - 1)) separate_ = Buffer<float>(checked_product(each, threads - 1));
    float* at = separate_.data();
    tables_.clear();
    if (storages_and_floats.empty()) return;
    tables_.assign(static_cast<size_t>(threads - 1), tensors_);
    for (auto& table : tables_)
      for (const auto& [storage, floats] : storages_and_floats) {
        table[static_cast<size_t>(storage)] = at;
        at += whole_lines(floats);
      }
  }
  float** tensors(int thread) {
    return thread == 0 || tables_.empty() ? tensors() : tables_[static_cast<size_t>(thread - 1)].data();
  }
  float* scratch(int thread) const { return scratch_.data() + thread * scratch_floats_; }
  int64_t bytes() const {
    return (memory_.size() + scratch_.size() + separate_.size()) * static_cast<int64_t>(sizeof(float));
  }

 private:
  int which_;
  int64_t batch_;
  int threads_;
  int64_t scratch_floats_ = 0;
  Buffer<float> memory_, scratch_, separate_;
  std::vector<float*> own_, tensors_;
  std::vector<std::vector<float*>> tables_;
};

}  // namespace lanewise
