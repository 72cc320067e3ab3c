// Normalisation, embedding, pooling and the like: what each instruction does with one thread's share.
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "engine/execute.h"
#include "engine/source.h"
#include "engine/team.h"

namespace lanewise {
namespace {

constexpr int64_t kColumnsAtATime = 64;  // of a batch norm: a few passes over some rows of them stay in L1 or L2

Range columns_of(const Run& run, int64_t cols, int thread) {
  const Range p = share(panel_count(cols), thread, run.threads);
  return {p.begin * kPanel, std::min(p.end * kPanel, cols)};
}

// f(first column, how many) over the thread's columns.
template <class F>
void for_columns(const Run& run, int64_t cols, int thread, F f) {
  const Range r = columns_of(run, cols, thread);
  for (int64_t c = r.begin; c < r.end; c += kColumnsAtATime) f(c, std::min(kColumnsAtATime, r.end - c));
}

bool own_statistics(const Run& run, const Norm& norm) { return run.training && !norm.frozen; }

// Mean and variance that a batch norm divides by, from column c on.
std::pair<float*, float*> statistics(const Run& run, const Norm& norm, int64_t c) {
  if (!own_statistics(run, norm)) return {run.variable(norm.mean).data() + c, run.variable(norm.variance).data() + c};
  float* stats = run.data(norm.stats) + c;
  return {stats, stats + run.shape(norm.stats).cols};
}

void batch_norm(const Run& run, const Instruction& i, int thread) {
  const Norm& norm = run.plan->norms[static_cast<size_t>(i.index)];
  const KernelTable& k = *run.table;
  const int64_t ld = run.shape(i.in).cols, rows = run.rows(i.in);
  for_columns(run, ld, thread, [&](int64_t c, int64_t n) {
    const auto [mean, variance] = statistics(run, norm, c);
    const float* x = run.data(i.in) + c;
    float* y = run.data(i.keep >= 0 ? i.keep : i.out) + c;
    if (own_statistics(run, norm)) k.column_moments(x, ld, mean, variance, rows, n);
    k.batch_norm_forward(x, mean, variance, run.variable(norm.gamma).data() + c, run.variable(norm.beta).data() + c,
                         norm.epsilon, i.in2 >= 0 ? run.data(i.in2) + c : nullptr, y, ld, rows, n);
    if (i.activation != Op::kLinear)
      activation_forward(k, i.activation)(y, ld, nullptr, run.data(i.out) + c, ld, rows, n, i.args);
  });
}

void batch_norm_backward(const Run& run, const Instruction& i, int thread) {
  const Norm& norm = run.plan->norms[static_cast<size_t>(i.index)];
  const KernelTable& k = *run.table;
  const int64_t ld = run.shape(i.in).cols, rows = run.rows(i.in);
  const bool own = own_statistics(run, norm);
  for_columns(run, ld, thread, [&](int64_t c, int64_t n) {
    float* dx = run.data(i.out) + c;
    k.batch_norm_backward(run.data(i.in) + c, run.data(i.in2) + c, run.variable(norm.gamma).data() + c,
                          statistics(run, norm, c).second, own ? run.data(norm.sum_dy) + c : nullptr,
                          own ? run.data(norm.sum_dyx) + c : nullptr, static_cast<float>(rows), norm.epsilon, dx, ld,
                          rows, n);
    if (i.activation != Op::kLinear)
      activation_backward(k, i.activation)(dx, ld, run.data(i.keep) + c, ld, dx, ld, rows, n, i.args);
  });
}

void row_norm(const Run& run, const Instruction& i, int thread) {
  const Norm& norm = run.plan->norms[static_cast<size_t>(i.index)];
  const int64_t cols = run.shape(i.in).cols;
  const Range r = share(run.rows(i.in), thread, run.threads);
  auto at = [&](int t) { return run.data(t) + r.begin * cols; };
  auto weights = [&](int v) { return v >= 0 ? run.variable(v).data() : nullptr; };
  if (i.kind == Kind::kRowNorm)
    run.table->row_norm_forward(at(i.in), weights(norm.gamma), weights(norm.beta), norm.how,
                                i.in2 >= 0 ? at(i.in2) : nullptr, run.data(i.in3) + r.begin, at(i.out), r.end - r.begin,
                                cols);
  else
    run.table->row_norm_backward(at(i.in), at(i.in2), weights(norm.gamma), run.data(i.in3) + r.begin, norm.how,
                                 at(i.out), r.end - r.begin, cols);
}

const int32_t* integers(const Run& run, int t) { return reinterpret_cast<const int32_t*>(run.data(t)); }
// Read once: never again after it was compared.
int32_t id_below(const Run& run, const int32_t* ids, int64_t element, int64_t limit) {
  return run.failure->within(*static_cast<const volatile int32_t*>(ids + element), limit, run.step);
}

// A row of the table is a stretch of each of its column panels.
void embedding(const Run& run, const Instruction& i, int thread) {
  const Variable& table = run.variable(i.variable);
  const Range samples = share(run.batch, thread, run.threads);
  const int64_t each = run.shape(i.out).rows, d = table.cols(), rows = table.rows();
  const int32_t* ids = integers(run, i.in);
  const float* weights = table.data();
  float* y = run.data(i.out);
  for (int64_t r = samples.begin * each; r < samples.end * each; ++r) {
    const int64_t id = id_below(run, ids, r, rows);
    for (int64_t j = 0; j < d; j += kPanel) {
      const int64_t width = std::min(kPanel, d - j);
      std::memcpy(y + r * d + j, weights + j * rows + id * width, static_cast<size_t>(width) * sizeof(float));
    }
  }
}

// dTable[id] = the sum of dy over the rows with this id, ascending. A thread owns columns, or rows of the table.
void embedding_dw(const Run& run, const Instruction& i, int thread) {
  const Variable& table = run.variable(i.variable);
  const int64_t d = table.cols(), panels = panel_count(d), rows = run.rows(i.in);
  const bool by_columns = splits_columns(d, run.threads);
  const Range p = by_columns ? share(panels, thread, run.threads) : Range{0, panels};
  Range ids = by_columns ? Range{0, table.rows()} : share(panel_count(table.rows()), thread, run.threads);
  if (!by_columns) ids = {std::min(ids.begin * kPanel, table.rows()), std::min(ids.end * kPanel, table.rows())};
  const int32_t* id = integers(run, i.in2);
  for (int64_t panel = p.begin; panel < p.end; ++panel) {
    const int64_t j = panel * kPanel, width = std::min(kPanel, d - j);
    float* gradient = run.data(i.out) + j * table.rows();
    if (!i.accumulate)
      std::memset(gradient + ids.begin * width, 0, static_cast<size_t>((ids.end - ids.begin) * width) * sizeof(float));
    for (int64_t r = 0; r < rows; ++r)
      if (id[r] >= ids.begin && id[r] < ids.end)
        run.table->add_inplace(gradient + id[r] * width, run.data(i.in) + r * d + j, width);
  }
}

// One row of `tokens` for each group of ids: a 1 for each, or how often it occurs.
void encode(const Run& run, const Instruction& i, int thread) {
  const Range samples = share(run.batch, thread, run.threads);
  const int64_t rows = run.shape(i.out).rows, tokens = run.shape(i.out).cols;
  const int64_t group = run.shape(i.in).rows * run.shape(i.in).cols / rows;
  const bool counts = i.index == 2;
  const int32_t* ids = integers(run, i.in);
  for (int64_t r = samples.begin * rows; r < samples.end * rows; ++r) {
    float* y = run.data(i.out) + r * tokens;
    std::fill_n(y, tokens, 0.0f);
    for (int64_t g = r * group; g < (r + 1) * group; ++g) {
      float& at = y[id_below(run, ids, g, tokens)];
      at = counts ? at + 1.0f : 1.0f;
    }
  }
}

void widen(const Run& run, const Instruction& i, int thread) {
  const int64_t each = run.shape(i.in).rows * run.shape(i.in).cols;
  const Range samples = share(run.batch, thread, run.threads);
  for (int64_t e = samples.begin * each; e < samples.end * each; ++e)
    run.data(i.out)[e] = static_cast<float>(integers(run, i.in)[e]);
}

void narrow(const Run& run, const Instruction& i, int thread) {
  const int64_t each = run.shape(i.in).rows * run.shape(i.in).cols;
  const Range samples = share(run.batch, thread, run.threads);
  auto* ids = reinterpret_cast<int32_t*>(run.data(i.out));
  for (int64_t e = samples.begin * each; e < samples.end * each; ++e) ids[e] = id_of(run.data(i.in)[e]);
}

// y[r] = 1 where one of the elements of row r is another number than the value (or NaN), else 0.
void differs(const Run& run, const Instruction& i, int thread) {
  const int64_t rows = run.shape(i.out).rows, cols = run.shape(i.in).cols;
  const Range samples = share(run.batch, thread, run.threads);
  for (int64_t r = samples.begin * rows; r < samples.end * rows; ++r) {
    const float* x = run.data(i.in) + r * cols;
    run.data(i.out)[r] = std::all_of(x, x + cols, [&](float v) { return v == i.rate; }) ? 0.0f : 1.0f;
  }
}

const std::vector<Stretch>& stretches(const Run& run, const Instruction& i) {
  return run.input->graph->nodes()[static_cast<size_t>(i.index)].stretches;
}

// Whole samples: between (time, channels) and (channels,), and elements that go to other places.
void along_samples(const Run& run, const Instruction& i, int thread) {
  const KernelTable& k = *run.table;
  const Tensor &from = run.shape(i.in), &to = run.shape(i.out);
  const int64_t in_size = from.rows * from.cols, out_size = to.rows * to.cols;
  const Range samples = share(run.batch, thread, run.threads);
  for (int64_t s = samples.begin; s < samples.end; ++s) {
    const float* x = run.data(i.in) + s * in_size;
    float* y = run.data(i.out) + s * out_size;
    switch (i.kind) {
      case Kind::kRowsSum:
        k.column_sum(x, from.cols, y, from.rows, from.cols);
        if (i.rate != 1.0f) k.scale_inplace(y, i.rate, out_size);
        break;
      case Kind::kRowsRepeat:
        std::memcpy(y, x, static_cast<size_t>(in_size) * sizeof(float));
        if (i.rate != 1.0f) k.scale_inplace(y, i.rate, in_size);
        for (int64_t r = 1; r < to.rows; ++r)
          std::memcpy(y + r * in_size, y, static_cast<size_t>(in_size) * sizeof(float));
        break;
      case Kind::kMaxPool:
        k.max_pool_forward(x, y, from.rows, from.cols);
        break;
      case Kind::kMaxPoolBackward:
        k.max_pool_backward(x, run.data(i.in2) + s * out_size, run.data(i.in3) + s * in_size, y, to.rows, to.cols);
        break;
      case Kind::kGather:
        for (const Stretch& s : stretches(run, i)) {
          if (s.step == 1)
            std::memcpy(y, x + s.first, static_cast<size_t>(s.count) * sizeof(float));
          else
            for (int64_t e = 0; e < s.count; ++e) std::memcpy(y + e, x + s.first + e * s.step, sizeof(float));
          y += s.count;
        }
        break;
      default:  // dx[first + e * step] += dy[e], in order
        std::fill_n(y, out_size, 0.0f);
        for (const Stretch& s : stretches(run, i)) {
          if (s.step == 1)
            k.add_inplace(y + s.first, x, s.count);
          else
            for (int64_t e = 0; e < s.count; ++e) y[s.first + e * s.step] += x[e];
          x += s.count;
        }
        break;
    }
  }
}

}  // namespace

void Failure::raise(bool training) const {
  if (!any()) return;
  for (auto host = called.rbegin(); host != called.rend(); ++host)
    if (*host) (*host)->call(Host::Stage::kUndo, {}, true, 0);
  if (error) std::rethrow_exception(error);
  throw std::invalid_argument(
      std::string("x, y: expected arrays that nobody changes during the call. Received an id or a label that had been "
                  "checked and was another one, outside its table, when it was used.") +
      (training ? " Training stopped before step " + std::to_string(step + 1) + "." : ""));
}

void move_statistics(const Run& run, int thread) {
  for (const Norm& norm : run.plan->norms) {
    if (norm.mean < 0 || norm.frozen) continue;
    const auto [mean, variance] = statistics(run, norm, 0);
    const Range r = columns_of(run, run.shape(norm.stats).cols, thread);
    for (const auto& [v, of_batch] : {std::pair{norm.mean, mean}, {norm.variance, variance}})
      run.table->mix_inplace(run.variable(v).data() + r.begin, of_batch + r.begin, norm.momentum, norm.rate,
                             r.end - r.begin);
  }
}

void execute_layer(const Run& run, const Instruction& i, int thread) {
  switch (i.kind) {
    case Kind::kBatchNorm:
      return batch_norm(run, i, thread);
    case Kind::kBatchNormBackward:
      return batch_norm_backward(run, i, thread);
    case Kind::kRowNorm:
    case Kind::kRowNormBackward:
      return row_norm(run, i, thread);
    case Kind::kColumnDot: {
      const int64_t ld = run.shape(i.in).cols;
      const Range r = columns_of(run, ld, thread);
      if (r.end > r.begin)
        run.table->column_dot(run.data(i.in) + r.begin, run.data(i.in2) + r.begin, ld, run.data(i.out) + r.begin,
                              run.rows(i.in), r.end - r.begin);
      return;
    }
    case Kind::kScaleColumns: {
      const int64_t cols = run.shape(i.in).cols;
      const Range r = share(run.rows(i.in), thread, run.threads);
      return run.table->scale_columns(run.data(i.in) + r.begin * cols, run.variable(i.variable).data(),
                                      i.bias >= 0 ? run.variable(i.bias).data() : nullptr,
                                      run.data(i.out) + r.begin * cols, r.end - r.begin, cols);
    }
    case Kind::kEmbedding:
      return embedding(run, i, thread);
    case Kind::kEmbeddingDw:
      return embedding_dw(run, i, thread);
    case Kind::kEncode:
      return encode(run, i, thread);
    case Kind::kWiden:
      return widen(run, i, thread);
    case Kind::kNarrow:
      return narrow(run, i, thread);
    case Kind::kDiffers:
      return differs(run, i, thread);
    default:
      return along_samples(run, i, thread);
  }
}

}  // namespace lanewise
