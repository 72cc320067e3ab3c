// What each instruction does with one thread's share. Matrix products are in matmul_run.cpp, merging
// instructions in merging.cpp, dropout in noise.cpp, updates in updates.cpp.
#include <algorithm>
#include <cstring>

#include "engine/execute.h"
#include "engine/team.h"

namespace lanewise {

namespace {

void column_sum(const Run& run, const Instruction& i, int thread, float* scratch) {
  const Tensor& dy = run.shape(i.in);
  Range r = share(panel_count(dy.cols), thread, run.threads);
  r = {r.begin * kPanel, std::min(r.end * kPanel, dy.cols)};
  const int64_t n = r.end - r.begin;
  if (n <= 0) return;
  const float* x = run.data(i.in) + r.begin;
  if (!i.update && !i.accumulate)
    return run.table->column_sum(x, dy.cols, run.data(i.out) + r.begin, run.rows(i.in), n);
  run.table->column_sum(x, dy.cols, scratch, run.rows(i.in), n);
  if (i.update)
    update_block(run, i.variable, i.index, r.begin, scratch, n);
  else
    run.table->add_inplace(run.data(i.out) + r.begin, scratch, n);
}

// The sum over the rows of one value a row, weighted where the target has weights, for samples of several rows their
// mean; by the fixed order of weighted_sum.
double sum_of_rows(const Run& run, int tensor, const float* weights) {
  const int64_t rows = run.shape(tensor).rows;
  float sum;
  run.table->weighted_sum(run.data(tensor), weights, &sum, run.batch * rows);
  return static_cast<double>(sum) / static_cast<double>(rows);
}

// sums: [rows, total loss, each loss, then for each metric its sum and what to divide it by], losses times the rows of
// the batch. One thread; batches joined in float64.
void report(const Run& run) {
  const double batch = static_cast<double>(run.batch);
  const PlanInput& input = *run.input;
  double total = 0;
  double* out = run.sums;
  out[0] += batch;
  for (size_t l = 0; l < input.losses.size(); ++l) {
    const LossSpec& spec = input.losses[l];
    const double loss = sum_of_rows(run, run.plan->row_loss_tensor[l], run.weights[spec.target]);
    total += loss * static_cast<double>(spec.weight);
    out[2 + l] += loss;
  }
  for (size_t i = 0; i < input.regularizers.size(); ++i) total += static_cast<double>(run.penalties[i]) * batch;
  for (size_t i = 0; i < run.plan->activities.size(); ++i)  // a sum over the rows as it is
    total += static_cast<double>(run.penalties[input.regularizers.size() + i]);
  out[1] += total;
  out += 2 + input.losses.size();
  for (size_t m = 0; m < input.metrics.size(); ++m) {
    const MetricSpec& spec = input.metrics[m];
    if (run.metrics[m] && run.metrics[m]->counts()) continue;
    double* sums = out + spec.first_sum;
    const float* weights = spec.weighted ? run.weights[spec.target] : nullptr;
    sums[0] += sum_of_rows(run, run.plan->metric_tensor[m], weights);
    float sum = 0;
    if (weights) run.table->weighted_sum(weights, nullptr, &sum, run.batch);
    sums[1] += weights ? static_cast<double>(sum) : batch;
  }
}

// One thread adds up the whole batch; which one does not matter, and the sums of a metric are its own.
void count(const Run& run, const Instruction& i, int thread) {
  if (i.index % run.threads != thread) return;
  const MetricSpec& spec = run.input->metrics[static_cast<size_t>(i.index)];
  const Tensor& shape = run.shape(i.in);
  const float* weights = spec.weighted ? run.weights[spec.target] : nullptr;
  const CountRows rows{run.data(i.in), run.data(i.in2), weights, run.batch * shape.rows, shape.cols, shape.rows};
  run.metrics[i.index]->add(*run.table, spec.param, rows, run.sums + 2 + run.input->losses.size() + spec.first_sum);
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
      return k.linear_forward(at(i.in), cols, run.variable(i.bias).data(), at(i.out), cols, rows, cols, {});
    case Kind::kActivation:
      return activation_forward(k, i.activation)(at(i.in), cols, nullptr, at(i.out), cols, rows, cols, i.args);
    case Kind::kActivationBackward:
      return activation_backward(k, i.activation)(at(i.in), cols, at(i.in2), cols, at(i.out), cols, rows, cols, i.args);
    case Kind::kPrelu:
      return k.prelu_forward(at(i.in), run.variable(i.variable).data(), at(i.out), rows, cols);
    case Kind::kPreluBackward:
      return k.prelu_backward(at(i.in), at(i.in2), run.variable(i.variable).data(), at(i.out), rows, cols);
    case Kind::kPreluTerms:
      return k.prelu_alpha_backward(at(i.in), at(i.in2), at(i.out), rows * cols);
    case Kind::kSoftmax:
      return (i.activation == Op::kLogSoftmax ? k.log_softmax_forward : k.softmax_forward)(at(i.in), cols, at(i.out),
                                                                                           cols, rows, cols);
    case Kind::kSoftmaxBackward:
      return (i.activation == Op::kLogSoftmax ? k.log_softmax_backward : k.softmax_backward)(
          at(i.in), cols, at(i.in2), cols, at(i.out), cols, rows, cols);
    case Kind::kDropout:
    case Kind::kDropoutBackward:
      return execute_noise(run, i, r.begin, r.end);
    case Kind::kNormalize:
      return k.normalize_forward(at(i.in), run.variable(i.variable).data(), run.variable(i.bias).data(), at(i.out),
                                 rows, cols);
    case Kind::kNormalizeBackward:
      return k.normalize_backward(at(i.in), run.variable(i.bias).data(), at(i.out), rows, cols);
    case Kind::kLoss: {
      const float* param = run.input->losses[static_cast<size_t>(i.index)].param.data();
      return run.losses[i.index]->rows(k, at(i.in), at(i.in2), param, at(i.out), rows, cols);
    }
    case Kind::kMetric: {
      const float* param = run.input->metrics[static_cast<size_t>(i.index)].param.data();
      return run.metrics[i.index]->rows(k, at(i.in), at(i.in2), param, at(i.out), rows, cols);
    }
    case Kind::kLossBackward: {
      const LossSpec& spec = run.input->losses[static_cast<size_t>(i.index)];
      const double count = static_cast<double>(run.batch * shape.rows);
      const float scale = static_cast<float>(static_cast<double>(spec.weight) / count);
      const float* weight = run.weights[spec.target];
      if (weight) weight += r.begin;
      return run.losses[i.index]->gradient(k, at(i.in), at(i.in2), spec.param.data(), weight, scale, at(i.out), rows,
                                           cols);
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

}  // namespace

void execute(const Run& run, const Instruction& i, int thread, float* scratch) {
  if (is_host(*run.input, i)) return execute_host(run, i, thread);
  if (is_layer(i.kind)) return execute_layer(run, i, thread);
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
    case Kind::kMerge:
    case Kind::kMaximumBackward:
    case Kind::kPutColumns:
    case Kind::kTakeColumns:
    case Kind::kDot:
    case Kind::kScale:
    case Kind::kScaleRows:
      return execute_merge(run, i, thread);
    case Kind::kCount:
      return count(run, i, thread);
    case Kind::kReport:
      if (thread == 0) report(run);
      return;
    case Kind::kRegularize:
    case Kind::kSquareSums:
    case Kind::kClip:
    case Kind::kUpdate:
    case Kind::kConstrain:
      return execute_update(run, i, thread);
    default:
      return execute_rows(run, i, thread);
  }
}

}  // namespace lanewise
