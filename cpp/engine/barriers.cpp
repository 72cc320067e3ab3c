// The barrier pass: what each instruction reads and writes, how threads share it, and where they must wait.
#include <algorithm>
#include <map>

#include "engine/execute.h"
#include "kernels/matmul.h"

namespace lanewise {
namespace {

// How the threads of a team share a resource: equal partitions give each thread the same part of it.
enum : int64_t { kAll = 0, kRowsOf = 1, kColumnsOf = 2, kFlat = 3, kVariableRowsOf = 4, kOwn = 5, kSamples = 6 };
int64_t partition(int64_t how, int64_t size) { return how + 8 * size; }

struct Access {
  int64_t resource;
  int64_t partition;
  bool write;
};
// kStep: whether this step may be done. Who may find that it may not writes it, who changes what lasts reads it.
constexpr int64_t kVariables = int64_t{1} << 40, kSquareSumBuffer = int64_t{1} << 41, kStep = int64_t{1} << 42;

std::vector<Access> accesses(const Plan& plan, const PlanInput& input, const Instruction& i, int threads) {
  std::vector<Access> list;
  auto shape = [&](int t) { return plan.tensors[static_cast<size_t>(t)]; };
  auto tensor = [&](int t, int64_t part, bool write) {
    if (t >= 0) list.push_back({shape(t).storage, part, write});
  };
  auto variable = [&](int v, int64_t part, bool write) {
    if (v >= 0) list.push_back({kVariables + v, part, write});
  };
  auto columns = [&](int64_t n) { return partition(kColumnsOf, n); };
  const bool looks = is_host(input, i) || i.kind == Kind::kEmbedding || i.kind == Kind::kEncode;
  if (looks || i.update || i.kind == Kind::kUpdate || i.kind == Kind::kSquareSums)
    list.push_back({kStep, looks ? int64_t{kOwn} : int64_t{kAll}, looks});
  if (is_host(input, i)) {  // thread 0 sees everything
    tensor(i.in, kAll, false);
    tensor(i.in2, kAll, false);
    tensor(i.out, kAll, true);
    if (i.kind == Kind::kLossBackward)
      tensor(plan.weight_tensor[static_cast<size_t>(input.losses[static_cast<size_t>(i.index)].target)], kAll, false);
    if (i.kind == Kind::kHost)
      for (size_t v = 0; v < input.variables.size(); ++v) variable(static_cast<int>(v), kAll, false);
    return list;
  }
  switch (i.kind) {
    case Kind::kMatmul:
    case Kind::kDense: {
      const int64_t n = shape(i.out).cols, rows = partition(kRowsOf, shape(i.out).rows);
      tensor(i.in, i.by_columns ? int64_t{kAll} : rows, false);
      tensor(i.out, i.by_columns ? columns(n) : rows, true);
      tensor(i.keep, i.by_columns ? columns(n) : rows, true);
      variable(i.variable, i.by_columns ? columns(n) : int64_t{kAll}, false);
      variable(i.bias, i.by_columns ? columns(n) : int64_t{kAll}, false);
      break;
    }
    case Kind::kMatmulDx: {
      const int64_t k = shape(i.out).cols, rows = partition(kRowsOf, shape(i.out).rows);
      tensor(i.in, i.by_columns ? int64_t{kAll} : rows, false);
      tensor(i.in2, i.by_columns ? columns(k) : rows, false);
      tensor(i.out, i.by_columns ? columns(k) : rows, true);
      variable(i.variable, i.by_columns ? partition(kVariableRowsOf, k) : int64_t{kAll}, false);
      break;
    }
    case Kind::kMatmulDw: {
      const int64_t n = shape(i.in2).cols, k = shape(i.in).cols;
      const int64_t part = i.by_columns ? columns(n) : partition(kVariableRowsOf, k);
      tensor(i.in, i.by_columns ? int64_t{kAll} : columns(k), false);
      tensor(i.in2, i.by_columns ? columns(n) : int64_t{kAll}, false);
      if (i.update)
        variable(i.variable, part, true);
      else
        tensor(i.out, part, true);
      break;
    }
    case Kind::kColumnSum:
      tensor(i.in, columns(shape(i.in).cols), false);
      if (i.update)
        variable(i.variable, columns(shape(i.in).cols), true);
      else
        tensor(i.out, columns(shape(i.in).cols), true);
      break;
    case Kind::kRegularize:
    case Kind::kClip:
    case Kind::kUpdate: {
      const int64_t part = partition(kFlat, input.variables[static_cast<size_t>(i.variable)]->size());
      tensor(i.kind == Kind::kUpdate ? i.in : i.out, part, i.kind != Kind::kUpdate);
      variable(i.variable, part, i.kind == Kind::kUpdate);
      if (i.kind == Kind::kClip) list.push_back({kSquareSumBuffer, kAll, false});
      break;
    }
    case Kind::kSquareSums:
      tensor(i.in, kAll, true);  // where gradients are accumulated
      list.push_back({kSquareSumBuffer, kOwn, true});
      break;
    case Kind::kConstrain: {
      const Variable& v = *input.variables[static_cast<size_t>(i.variable)];
      const bool by_columns = input.constraints[static_cast<size_t>(i.index)].norms == Norms::kColumns;
      variable(i.variable, v.shape().size() == 2 && by_columns ? columns(v.cols()) : int64_t{kAll}, true);
      break;
    }
    case Kind::kBatchNorm:
    case Kind::kBatchNormBackward: {
      const Norm& norm = plan.norms[static_cast<size_t>(i.index)];
      const int64_t part = columns(shape(i.in).cols);
      const bool forward = i.kind == Kind::kBatchNorm;
      tensor(i.in, part, false);
      tensor(i.in2, part, forward);
      tensor(i.in3, part, forward);
      tensor(i.out, part, true);
      for (int v : {norm.gamma, norm.beta}) variable(v, part, false);
      if (!forward)
        for (int t : {norm.sum_dy, norm.sum_dyx}) tensor(t, part, false);
      tensor(i.keep, part, forward);
      break;
    }
    case Kind::kRowNorm:
    case Kind::kRowNormBackward: {
      const bool forward = i.kind == Kind::kRowNorm;
      const int64_t rows = partition(kRowsOf, shape(i.in).rows);
      tensor(i.in, rows, false);
      tensor(i.in2, rows, forward);
      tensor(i.in3, rows, forward);
      tensor(i.out, rows, true);
      variable(i.variable, kAll, false);
      variable(i.bias, kAll, false);
      break;
    }
    case Kind::kColumnDot: {
      const int64_t part = columns(shape(i.in).cols);
      tensor(i.in, part, false);
      tensor(i.in2, part, false);
      tensor(i.out, part, true);
      break;
    }
    case Kind::kEmbeddingDw: {
      const int64_t d = shape(i.in).cols;
      const bool by_columns = splits_columns(d, threads);
      tensor(i.in, by_columns ? columns(d) : int64_t{kAll}, false);
      tensor(i.in2, kAll, false);
      tensor(i.out,
             by_columns ? columns(d)
                        : partition(kVariableRowsOf, input.variables[static_cast<size_t>(i.variable)]->rows()),
             true);
      break;
    }
    case Kind::kEmbedding:
    case Kind::kEncode:
    case Kind::kWiden:
    case Kind::kNarrow:
    case Kind::kRowsSum:
    case Kind::kRowsRepeat:
    case Kind::kMaxPool:
    case Kind::kMaxPoolBackward:
    case Kind::kDiffers:
    case Kind::kGather:
    case Kind::kGatherBackward: {
      auto samples = [&](int t) { return t >= 0 && shape(t).rows == 1 ? partition(kRowsOf, 1) : int64_t{kSamples}; };
      for (int t : {i.in, i.in2, i.in3}) tensor(t, samples(t), false);
      tensor(i.out, samples(i.out), true);
      variable(i.variable, kAll, false);
      break;
    }
    case Kind::kActivityPenalty:
      tensor(i.in, kAll, false);
      break;
    case Kind::kPutColumns:
    case Kind::kTakeColumns: {
      const int64_t part = partition(kRowsOf, i.blocks);
      tensor(i.in, part, false);
      tensor(i.out, part, true);
      break;
    }
    case Kind::kPenalty:
      variable(input.regularizers[static_cast<size_t>(i.index)].variable, kAll, false);
      break;
    case Kind::kCount:
      tensor(i.in, kAll, false);
      tensor(i.in2, kAll, false);
      tensor(i.in3, kAll, false);
      break;
    case Kind::kReport:
      for (int t : plan.row_loss_tensor) tensor(t, kAll, false);
      for (int t : plan.metric_tensor) tensor(t, kAll, false);
      for (int t : plan.weight_tensor) tensor(t, kAll, false);
      break;
    default: {  // elementwise: rows of the tensor that is written
      const int64_t rows = partition(kRowsOf, shape(i.out).rows);
      tensor(i.in, rows, false);
      tensor(i.in2, rows, false);
      tensor(i.in3, rows, false);
      tensor(i.out, rows, true);
      variable(i.variable, kAll, false);
      variable(i.bias, kAll, false);
      break;
    }
  }
  if (i.tails >= 0)  // any thread may read and write any part
    for (Access& a : list) a.partition = kAll;
  return list;
}

bool conflict(const Access& a, const Access& b) {  // of one resource
  return (a.write || b.write) && (a.partition != b.partition || a.partition == kAll);
}

}  // namespace

bool splits_columns(int64_t n, int threads) {
  if (n == 1) return false;
  const int64_t panels = panel_count(n), each = (panels + threads - 1) / threads;
  return each * threads * 4 <= panels * 5;  // at most a quarter more than an even share
}

// Of a forward product or dX, a thread that takes columns reads the whole of X or dY, (rows, k), of which the others
// wrote the most; one that takes rows reads the whole of W, (k, n), which the others have stepped. dW goes by columns:
// W with its moments stays with a thread. 64-64-1, batch 1024, on two threads of a Zen 4: 133 -> 126 us, 209 -> 196 in
// minutes when its cores are far apart.
int share_products(const Plan& plan, const PlanInput& input, std::vector<Instruction>& list, int threads,
                   int64_t batch) {
  int with_tails = 0;
  for (auto& i : list) {
    if (!is_product(i.kind)) continue;
    const Tensor& out = plan.tensors[static_cast<size_t>(i.kind == Kind::kMatmulDw ? i.in2 : i.out)];
    const int64_t rows = batch * out.rows;
    const bool rather_rows = i.kind != Kind::kMatmulDw && out.cols < rows;
    i.by_columns = !rather_rows && splits_columns(out.cols, threads);
    i.tails = has_tails(plan, input, i, batch, threads) ? with_tails++ : -1;
  }
  return with_tails;
}

std::vector<char> whole_inputs(const Plan& plan, const PlanInput& input, const std::vector<Instruction>& list,
                               int threads) {
  enum : char { kWhole = 1, kShared = 2 };     // read whole by a kernel; written by threads that share it
  std::vector<char> how(plan.tensors.size());  // by storage
  for (const auto& i : list) {
    for (const Access& a : accesses(plan, input, i, threads)) {
      if (a.resource >= kVariables) continue;
      char& found = how[static_cast<size_t>(a.resource)];
      if (a.partition == kAll && !is_host(input, i)) found |= kWhole;
      if (a.write || threads == 1) found |= kShared;
    }
  }
  std::vector<char> whole;
  for (int v : input.graph->inputs()) {
    const Tensor& tensor = plan.tensors[static_cast<size_t>(plan.value_tensor[static_cast<size_t>(v)])];
    whole.push_back(how[static_cast<size_t>(tensor.storage)] == kWhole);
  }
  return whole;
}

void place_barriers(const Plan& plan, const PlanInput& input, const std::vector<char>& own,
                    std::vector<Instruction>& list, int threads) {
  for (auto& instruction : list) instruction.barrier = false;
  if (threads == 1) return;
  // Since the last barrier, by resource; at first the gathered batch, which each thread wrote by samples, and
  // statistics that moved after the last one.
  std::map<int64_t, std::vector<Access>> pending;
  const auto add = [&](const Access& a) {
    auto& before = pending[a.resource];
    const auto same = [&](const Access& b) { return a.partition == b.partition && a.write == b.write; };
    if (std::none_of(before.begin(), before.end(), same)) before.push_back(a);
  };
  add({kStep, kOwn, true});
  auto gathered = [&](int t) {
    const Tensor& tensor = plan.tensors[static_cast<size_t>(t)];
    const bool one_row = tensor.rows == 1;  // else a share of the rows need not be one of whole samples
    add({tensor.storage, one_row ? partition(kRowsOf, 1) : int64_t{kSamples}, true});
  };
  for (size_t i = 0; i < own.size(); ++i)
    if (!own[i]) gathered(plan.value_tensor[static_cast<size_t>(input.graph->inputs()[i])]);
  for (int t : plan.target_tensor) gathered(t);
  for (int t : plan.weight_tensor) gathered(t);
  for (const Norm& norm : plan.norms)
    for (int v : {norm.mean, norm.variance})
      if (v >= 0) add({kVariables + v, kOwn, true});
  for (auto& instruction : list) {
    const std::vector<Access> now = accesses(plan, input, instruction, threads);
    for (const auto& a : now)
      for (const auto& b : pending[a.resource]) instruction.barrier |= conflict(a, b);
    if (instruction.barrier) pending.clear();
    for (const auto& a : now) add(a);
  }
}

}  // namespace lanewise
