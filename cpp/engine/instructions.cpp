// What each instruction does with one thread's share. Matrix products are in matmul_run.cpp.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/execute.h"
#include "engine/team.h"

namespace lanewise {

ActivationForward activation_forward(const KernelTable& t, Op op) {
  switch (op) {
    case Op::kRelu:
      return t.relu_forward;
    case Op::kSigmoid:
      return t.sigmoid_forward;
    case Op::kTanh:
      return t.tanh_forward;
    default:
      return t.linear_forward;
  }
}

ActivationBackward activation_backward(const KernelTable& t, Op op) {
  switch (op) {
    case Op::kRelu:
      return t.relu_backward;
    case Op::kSigmoid:
      return t.sigmoid_backward;
    case Op::kTanh:
      return t.tanh_backward;
    default:
      return t.linear_backward;
  }
}

void update_block(const Run& run, int v, int regularizer, int64_t first, float* g, int64_t n) {
  float* w = run.variable(v).data() + first;
  if (regularizer >= 0) {
    const Regularizer& r = run.input->regularizers[static_cast<size_t>(regularizer)];
    run.table->l1l2_backward(w, r.l1, r.l2, g, n);
  }
  if (run.clipvalue > 0) run.table->clip_inplace(g, run.clipvalue, n);
  float* slots[Optimizer::kMaxSlots];
  for (int s = 0; s < Optimizer::kMaxSlots; ++s) {
    float* base = run.slots[v * Optimizer::kMaxSlots + s];
    slots[s] = base ? base + first : nullptr;
  }
  run.update(w, g, slots, n, run.arguments);
}

namespace {

int64_t norm_chunks(const Run& run, int v) { return (run.variable(v).size() + kNormChunk - 1) / kNormChunk; }

int64_t first_norm_chunk(const Run& run, int v) {
  int64_t n = 0;
  for (int u = 0; u < v; ++u) n += norm_chunks(run, u);
  return n;
}

double square_sum(const Run& run, int v) {
  double total = 0;
  const float* partial = run.square_sums + first_norm_chunk(run, v);
  for (int64_t c = 0; c < norm_chunks(run, v); ++c) total += static_cast<double>(partial[c]);
  return total;
}

// Keras: a gradient longer than the limit is scaled down to it, by its own norm or by the norm of all of them.
void clip(const Run& run, const Instruction& i, int thread) {
  double total = 0;
  if (run.clipnorm > 0) {
    total = square_sum(run, i.variable);
  } else {
    for (const auto& other : *run.list)
      if (other.kind == Kind::kSquareSums) total += square_sum(run, other.variable);
  }
  const double limit = run.clipnorm > 0 ? run.clipnorm : run.global_clipnorm, norm = std::sqrt(total);
  if (!(norm > limit)) return;
  const Range r = share(run.variable(i.variable).size(), thread, run.threads);
  run.table->scale_inplace(run.data(i.out) + r.begin, static_cast<float>(limit / norm), r.end - r.begin);
}

void column_sum(const Run& run, const Instruction& i, int thread, float* scratch) {
  const Tensor& dy = run.shape(i.in);
  Range r = share(panel_count(dy.cols), thread, run.threads);
  r = {r.begin * kPanel, std::min(r.end * kPanel, dy.cols)};
  const int64_t n = r.end - r.begin;
  if (n <= 0) return;
  const float* x = run.data(i.in) + r.begin;
  if (!i.update && !i.accumulate)
    return run.table->column_sum(x, dy.cols, run.data(i.out) + r.begin, run.batch * dy.rows, n);
  run.table->column_sum(x, dy.cols, scratch, run.batch * dy.rows, n);
  if (i.update)
    update_block(run, i.variable, i.index, r.begin, scratch, n);
  else
    run.table->add_inplace(run.data(i.out) + r.begin, scratch, n);
}

// sums: [rows, total loss, each loss, each metric], each times the rows of the batch. One thread; loss sums by the
// fixed order of weighted_sum, batches joined in float64.
void report(const Run& run) {
  const double batch = static_cast<double>(run.batch);
  double total = 0;
  double* out = run.sums;
  out[0] += batch;
  float sum;
  for (size_t l = 0; l < run.input->losses.size(); ++l) {
    const int t = run.plan->row_loss_tensor[l];
    const int64_t rows = run.shape(t).rows;
    run.table->weighted_sum(run.data(t), run.sample_weight, &sum, run.batch * rows);
    const double loss = static_cast<double>(sum) / static_cast<double>(rows);
    total += loss * static_cast<double>(run.input->losses[l].weight);
    out[2 + l] += loss;
  }
  for (size_t i = 0; i < run.input->regularizers.size(); ++i) total += static_cast<double>(run.penalties[i]) * batch;
  for (size_t i = 0; i < run.plan->activities.size(); ++i)  // a sum over the rows as it is
    total += static_cast<double>(run.penalties[run.input->regularizers.size() + i]);
  out[1] += total;
  for (size_t m = 0; m < run.input->metrics.size(); ++m) {
    const int t = run.plan->metric_tensor[m];
    const int64_t rows = run.shape(t).rows;
    run.table->weighted_sum(run.data(t), nullptr, &sum, run.batch * rows);
    out[2 + run.input->losses.size() + m] += static_cast<double>(sum) / static_cast<double>(rows);
  }
}

void dropout(const Run& run, const Instruction& i, Range rows) {
  const int64_t cols = run.shape(i.out).cols, first = rows.begin * cols, n = (rows.end - rows.begin) * cols;
  const float* x = run.data(i.in) + first;
  float* y = run.data(i.out) + first;
  if (!run.training || i.rate == 0) {
    std::memcpy(y, x, static_cast<size_t>(n) * sizeof(float));
    return;
  }
  const PhiloxKey key{run.seed, static_cast<uint64_t>(run.step), kStreamDropout, static_cast<uint32_t>(i.index)};
  const auto threshold = static_cast<uint32_t>(static_cast<double>(i.rate) * 4294967296.0);
  run.table->dropout_apply(x, y, first, n, threshold, 1.0f / (1.0f - i.rate), key);
}

// Elementwise along rows: the thread's rows of the tensor that is written.
void execute_rows(const Run& run, const Instruction& i, int thread) {
  const KernelTable& k = *run.table;
  const Tensor& shape = run.shape(i.out);
  const Range r = share(run.batch * shape.rows, thread, run.threads);
  const int64_t rows = r.end - r.begin;
  if (rows <= 0) return;
  auto at = [&](int t) { return run.data(t) + r.begin * run.shape(t).cols; };
  const int64_t cols = i.in >= 0 ? run.shape(i.in).cols : shape.cols;
  switch (i.kind) {
    case Kind::kBiasAdd:
      return k.linear_forward(at(i.in), cols, run.variable(i.bias).data(), at(i.out), cols, rows, cols);
    case Kind::kActivation:
      return activation_forward(k, i.activation)(at(i.in), cols, nullptr, at(i.out), cols, rows, cols);
    case Kind::kActivationBackward:
      return activation_backward(k, i.activation)(at(i.in), cols, at(i.in2), cols, at(i.out), cols, rows, cols);
    case Kind::kSoftmax:
      return k.softmax_forward(at(i.in), cols, at(i.out), cols, rows, cols);
    case Kind::kSoftmaxBackward:
      return k.softmax_backward(at(i.in), cols, at(i.in2), cols, at(i.out), cols, rows, cols);
    case Kind::kDropout:
    case Kind::kDropoutBackward:
      return dropout(run, i, r);
    case Kind::kNormalize:
      return k.normalize_forward(at(i.in), run.variable(i.variable).data(), run.variable(i.bias).data(), at(i.out),
                                 rows, cols);
    case Kind::kNormalizeBackward:
      return k.normalize_backward(at(i.in), run.variable(i.bias).data(), at(i.out), rows, cols);
    case Kind::kAdd:
      return k.add_inplace(at(i.out), at(i.in), rows * cols);
    case Kind::kLoss: {
      const float param = run.input->losses[static_cast<size_t>(i.index)].param;
      return run.losses[i.index]->rows(k, at(i.in), at(i.in2), param, at(i.out), rows, cols);
    }
    case Kind::kMetric: {
      const float param = run.input->metrics[static_cast<size_t>(i.index)].param;
      return run.metrics[i.index]->rows(k, at(i.in), at(i.in2), param, at(i.out), rows, cols);
    }
    case Kind::kLossBackward: {
      const LossSpec& spec = run.input->losses[static_cast<size_t>(i.index)];
      const double count = static_cast<double>(run.batch * shape.rows);
      const float scale = static_cast<float>(static_cast<double>(spec.weight) / count);
      const float* weight = run.sample_weight ? run.sample_weight + r.begin : nullptr;
      return run.losses[i.index]->gradient(k, at(i.in), at(i.in2), spec.param, weight, scale, at(i.out), rows, cols);
    }
    case Kind::kActivityBackward: {
      const Activity& a = run.plan->activities[static_cast<size_t>(i.index)];
      const float batch = static_cast<float>(run.batch);
      return k.l1l2_backward(at(i.in2), a.l1 / batch, a.l2 / batch, at(i.out), rows * shape.cols);
    }
    default:
      return;
  }
}

// scale = (rate * clip(norm) + (1 - rate) * norm) / (norm + 1e-7), as Keras
float norm_scale(const Constraint& c, float square_sum) {
  const float norm = std::sqrt(square_sum);
  const float kept = norm < c.min_norm ? c.min_norm : norm > c.max_norm ? c.max_norm : norm;
  return (c.rate * kept + (1.0f - c.rate) * norm) / (1e-7f + norm);
}

void constrain(const Run& run, const Instruction& i, int thread) {
  const Constraint& c = run.input->constraints[static_cast<size_t>(i.index)];
  Variable& w = run.variable(i.variable);
  const KernelTable& k = *run.table;
  if (w.shape().size() == 1) {
    if (thread != 0) return;
    if (c.non_negative) return k.relu_forward(w.data(), w.size(), nullptr, w.data(), w.size(), 1, w.size());
    float sum;
    k.sum_squares(w.data(), &sum, w.size());
    return k.scale_inplace(w.data(), norm_scale(c, sum), w.size());
  }
  const Range panels = share(panel_count(w.cols()), thread, run.threads);
  for (int64_t p = panels.begin; p < panels.end; ++p) {
    const int64_t width = std::min(kPanel, w.cols() - p * kPanel), n = w.rows() * width;
    float* panel = w.data() + p * kPanel * w.rows();
    if (c.non_negative) {
      k.relu_forward(panel, n, nullptr, panel, n, 1, n);
      continue;
    }
    float scale[kPanel];
    k.column_square_sum(panel, width, scale, w.rows(), width);
    for (int64_t j = 0; j < width; ++j) scale[j] = norm_scale(c, scale[j]);
    k.scale_columns(panel, scale, w.rows(), width);
  }
}

}  // namespace

void execute(const Run& run, const Instruction& i, int thread, float* scratch) {
  switch (i.kind) {
    case Kind::kMatmul:
    case Kind::kDense:
      return execute_dense(run, i, thread, scratch);
    case Kind::kMatmulDx:
      return execute_dx(run, i, thread, scratch);
    case Kind::kMatmulDw:
      return execute_dw(run, i, thread, scratch);
    case Kind::kColumnSum:
      return column_sum(run, i, thread, scratch);
    case Kind::kPenalty:
      if (thread == 0) {
        const Regularizer& r = run.input->regularizers[static_cast<size_t>(i.index)];
        Variable& w = run.variable(r.variable);
        run.table->l1l2_forward(w.data(), r.l1, r.l2, run.penalties + i.index, w.size());
      }
      return;
    case Kind::kActivityPenalty:
      if (thread == 0) {
        const Activity& a = run.plan->activities[static_cast<size_t>(i.index)];
        const Tensor& y = run.shape(i.in);
        run.table->l1l2_forward(run.data(i.in), a.l1, a.l2,
                                run.penalties + run.input->regularizers.size() + static_cast<size_t>(i.index),
                                run.batch * y.rows * y.cols);
      }
      return;
    case Kind::kConstrain:
      return constrain(run, i, thread);
    case Kind::kReport:
      if (thread == 0) report(run);
      return;
    case Kind::kRegularize: {
      const Regularizer& reg = run.input->regularizers[static_cast<size_t>(i.index)];
      const Range r = share(run.variable(i.variable).size(), thread, run.threads);
      return run.table->l1l2_backward(run.variable(i.variable).data() + r.begin, reg.l1, reg.l2,
                                      run.data(i.out) + r.begin, r.end - r.begin);
    }
    case Kind::kSquareSums: {
      const int64_t size = run.variable(i.variable).size(), first = first_norm_chunk(run, i.variable);
      for (int64_t c = thread; c < norm_chunks(run, i.variable); c += run.threads)
        run.table->sum_squares(run.data(i.in) + c * kNormChunk, run.square_sums + first + c,
                               std::min(kNormChunk, size - c * kNormChunk));
      return;
    }
    case Kind::kClip:
      return clip(run, i, thread);
    case Kind::kUpdate: {
      const Range r = share(run.variable(i.variable).size(), thread, run.threads);
      return update_block(run, i.variable, -1, r.begin, run.data(i.in) + r.begin, r.end - r.begin);
    }
    default:
      return execute_rows(run, i, thread);
  }
}

}  // namespace lanewise
