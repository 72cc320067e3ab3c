// From a gradient to new weights: regularizers, clipping, the optimizer's step, constraints.
#include <algorithm>
#include <cmath>

#include "engine/execute.h"
#include "engine/team.h"

namespace lanewise {
namespace {

double square_sum(const Run& run, int v) {
  double total = 0;
  for (int64_t c = run.first_chunk[v]; c < run.first_chunk[v + 1]; ++c)
    total += static_cast<double>(run.square_sums[c]);
  return total;
}

bool by_norm(const Run& run) { return run.clipnorm > 0 || run.global_clipnorm > 0; }

// Where gradients are accumulated: elements [first, first + n) of variable v join those of the batches before, or, in a
// batch that updates, g becomes the mean of all.
void accumulate(const Run& run, int v, int64_t first, float* g, int64_t n) {
  float* sum = run.slots[v * Optimizer::kMaxSlots + Optimizer::kAccumulator];
  if (!sum) return;
  sum += first;
  if (!run.arguments.update) return run.table->add_inplace(sum, g, n);
  run.table->add_inplace(g, sum, n);
  run.table->scale_inplace(g, run.arguments.share, n);
  std::fill_n(sum, n, 0.0f);
}

// Keras: a gradient longer than the limit is scaled down to it, by its own norm or by the norm of all of them.
void clip(const Run& run, const Instruction& i, int thread) {
  double total = run.clipnorm > 0 ? square_sum(run, i.variable) : 0;
  if (run.clipnorm <= 0) {
    if (i.index == 0) {
      for (const auto& other : *run.list)
        if (other.kind == Kind::kSquareSums) total += square_sum(run, other.variable);
      *run.square_norm = total;
    }
    total = *run.square_norm;
  }
  const double limit = run.clipnorm > 0 ? run.clipnorm : run.global_clipnorm, norm = std::sqrt(total);
  if (!(norm > limit)) return;
  const Range r = share(run.variable(i.variable).size(), thread, run.threads);
  run.table->scale_inplace(run.data(i.out) + r.begin, static_cast<float>(limit / norm), r.end - r.begin);
}

// scale = (rate * clip(norm) + (1 - rate) * norm) / (norm + 1e-7), as Keras
float norm_scale(const Constraint& c, float square_sum) {
  const float norm = std::sqrt(square_sum);
  const float kept = norm < c.min_norm ? c.min_norm : norm > c.max_norm ? c.max_norm : norm;
  return (c.rate * kept + (1.0f - c.rate) * norm) / (1e-7f + norm);
}

// The weights of a row lie in all panels: sums of squares of its parts are added panel by panel.
void constrain_rows(const Run& run, const Constraint& c, Variable& w, int thread) {
  const KernelTable& k = *run.table;
  const Range rows = share(w.rows(), thread, run.threads);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    auto each = [&](auto part) {
      for (int64_t at = 0; at < w.cols(); at += kPanel) {
        const int64_t width = std::min(kPanel, w.cols() - at);
        part(w.data() + at * w.rows() + r * width, width);
      }
    };
    double total = 0;
    each([&](const float* x, int64_t n) {
      float sum;
      k.sum_squares(x, &sum, n);
      total += static_cast<double>(sum);
    });
    const float scale = norm_scale(c, static_cast<float>(total));
    each([&](float* x, int64_t n) { k.scale_inplace(x, scale, n); });
  }
}

void constrain(const Run& run, const Instruction& i, int thread) {
  const Constraint& c = run.input->constraints[static_cast<size_t>(i.index)];
  Variable& w = run.variable(i.variable);
  const KernelTable& k = *run.table;
  if (w.shape().size() == 2 && c.norms == Norms::kRows && !c.non_negative) return constrain_rows(run, c, w, thread);
  if (w.shape().size() == 1 || (c.norms == Norms::kWhole && !c.non_negative)) {
    if (thread != 0) return;
    if (c.non_negative) return k.relu_forward(w.data(), w.size(), nullptr, w.data(), w.size(), 1, w.size(), {});
    float sum;
    k.sum_squares(w.data(), &sum, w.size());
    return k.scale_inplace(w.data(), norm_scale(c, sum), w.size());
  }
  const Range panels = share(panel_count(w.cols()), thread, run.threads);
  for (int64_t p = panels.begin; p < panels.end; ++p) {
    const int64_t width = std::min(kPanel, w.cols() - p * kPanel), n = w.rows() * width;
    float* panel = w.data() + p * kPanel * w.rows();
    if (c.non_negative) {
      k.relu_forward(panel, n, nullptr, panel, n, 1, n, {});
      continue;
    }
    float scale[kPanel];
    k.column_dot(panel, panel, width, scale, w.rows(), width);
    for (int64_t j = 0; j < width; ++j) scale[j] = norm_scale(c, scale[j]);
    k.scale_columns(panel, scale, nullptr, panel, w.rows(), width);
  }
}

}  // namespace

void update_block(const Run& run, int v, int regularizer, int64_t first, float* g, int64_t n) {
  if (run.failure->any()) return;
  const KernelTable& k = *run.table;
  const StepArgs& step = run.arguments;
  float* w = run.variable(v).data() + first;
  if (regularizer >= 0) {
    const Regularizer& r = run.input->regularizers[static_cast<size_t>(regularizer)];
    k.l1l2_backward(w, r.l1, r.l2, g, n);
  }
  float* slots[Optimizer::kMaxSlots];
  for (int s = 0; s < Optimizer::kMaxSlots; ++s) {
    float* base = run.slots[v * Optimizer::kMaxSlots + s];
    slots[s] = base ? base + first : nullptr;
  }
  if (!by_norm(run)) accumulate(run, v, first, g, n);
  if (step.update) {
    if (run.clipvalue > 0) k.clip_inplace(g, run.clipvalue, n);
    if (run.undecayed[v]) {
      OptimizerArgs undecayed = step.equation;
      undecayed.decay = 0;
      run.update(w, g, slots, n, undecayed);
    } else {
      run.update(w, g, slots, n, step.equation);
    }
  }
  if (float* average = slots[Optimizer::kAverage]) {
    k.average_step(w, average, step.momentum, step.rate, n);
    if (step.overwrite) std::copy_n(average, n, w);
  }
}

void execute_update(const Run& run, const Instruction& i, int thread) {
  if (run.failure->any()) return;
  switch (i.kind) {
    case Kind::kRegularize: {
      const Regularizer& reg = run.input->regularizers[static_cast<size_t>(i.index)];
      const Range r = share(run.variable(i.variable).size(), thread, run.threads);
      float* g = run.data(i.out) + r.begin;
      if (!i.accumulate) std::fill_n(g, r.end - r.begin, 0.0f);
      return run.table->l1l2_backward(run.variable(i.variable).data() + r.begin, reg.l1, reg.l2, g, r.end - r.begin);
    }
    case Kind::kSquareSums: {
      const int64_t size = run.variable(i.variable).size(), first = run.first_chunk[i.variable];
      for (int64_t c = thread; c * kNormChunk < size; c += run.threads) {
        const int64_t at = c * kNormChunk, n = std::min(kNormChunk, size - at);
        accumulate(run, i.variable, at, run.data(i.in) + at, n);
        run.table->sum_squares(run.data(i.in) + at, run.square_sums + first + c, n);
      }
      return;
    }
    case Kind::kClip:
      return clip(run, i, thread);
    case Kind::kUpdate: {
      const Range r = share(run.variable(i.variable).size(), thread, run.threads);
      return update_block(run, i.variable, -1, r.begin, run.data(i.in) + r.begin, r.end - r.begin);
    }
    case Kind::kConstrain:
      return constrain(run, i, thread);
    default:
      return;
  }
}

}  // namespace lanewise
