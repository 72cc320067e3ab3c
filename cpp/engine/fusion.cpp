// The fusion pass and the barrier pass: both read an instruction list and prove what they do from it alone.
#include <algorithm>

#include "engine/plan.h"
#include "kernels/matmul.h"

namespace lanewise {
namespace {

using List = std::vector<Instruction>;

// Who reads the memory of a tensor, under its own name or reshaped.
int readers(const Plan& plan, const List& list, int tensor, const std::vector<int>& kept) {
  auto same = [&](int t) {
    return t >= 0 && plan.tensors[static_cast<size_t>(t)].storage == plan.tensors[static_cast<size_t>(tensor)].storage;
  };
  int n = static_cast<int>(std::count_if(kept.begin(), kept.end(), same));
  for (const auto& i : list)
    n += same(i.in) + same(i.in2) + (same(i.out) && (i.kind == Kind::kAdd || i.kind == Kind::kActivityBackward));
  return n;
}

// The one instruction that reads a tensor as its main input, or -1 where it has other readers.
int only_reader(const Plan& plan, const List& list, int tensor, const std::vector<int>& kept) {
  if (readers(plan, list, tensor, kept) != 1) return -1;
  for (size_t i = 0; i < list.size(); ++i)
    if (list[i].in == tensor) return static_cast<int>(i);
  return -1;
}

void erase(List& list, int index) { list.erase(list.begin() + index); }

// matmul -> bias_add -> activation becomes dense.
void fuse_dense(const Plan& plan, List& list, const std::vector<int>& kept) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].kind != Kind::kMatmul) continue;
    list[i].kind = Kind::kDense;
    for (;;) {
      const int next = only_reader(plan, list, list[i].out, kept);
      if (next < 0) break;
      const Instruction& reader = list[static_cast<size_t>(next)];
      const bool bias = reader.kind == Kind::kBiasAdd && list[i].bias < 0 && list[i].activation == Op::kLinear;
      const bool activation = reader.kind == Kind::kActivation && list[i].activation == Op::kLinear;
      if (!bias && !activation) break;
      if (bias)
        list[i].bias = reader.bias;
      else
        list[i].activation = reader.activation;
      list[i].out = reader.out;
      erase(list, next);
    }
  }
}

// matmul_dx -> activation_backward becomes one matmul whose epilogue multiplies by the derivative.
void fuse_activation_gradient(const Plan& plan, List& list, const std::vector<int>& kept) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].kind != Kind::kMatmulDx) continue;
    const int next = only_reader(plan, list, list[i].out, kept);
    if (next < 0 || list[static_cast<size_t>(next)].kind != Kind::kActivationBackward) continue;
    const Instruction& reader = list[static_cast<size_t>(next)];
    list[i].activation = reader.activation;
    list[i].in2 = reader.in2;
    list[i].out = reader.out;
    erase(list, next);
  }
}

// matmul_dw or column_sum -> (regularize) -> update becomes one instruction that steps each finished block, so that the
// gradient is never written. Needs: one use of the variable, and nobody who reads its old value later.
void fuse_updates(List& list) {
  for (size_t i = 0; i < list.size(); ++i) {
    Instruction& gradient = list[i];
    if (gradient.kind != Kind::kMatmulDw && gradient.kind != Kind::kColumnSum) continue;
    int update = -1, regularize = -1;
    bool free = !gradient.accumulate;
    for (size_t j = 0; j < list.size(); ++j) {
      const Instruction& other = list[j];
      if (j == i) continue;
      if (other.kind == Kind::kUpdate && other.in == gradient.out) {
        update = static_cast<int>(j);
      } else if (other.kind == Kind::kRegularize && other.out == gradient.out && regularize < 0) {
        regularize = static_cast<int>(j);
      } else if (other.in == gradient.out || other.in2 == gradient.out || other.out == gradient.out) {
        free = false;  // accumulated into, or clipped by norm
      } else if (j > i && other.kind != Kind::kConstrain &&
                 (other.variable == gradient.variable || other.bias == gradient.variable)) {
        free = false;  // read after this point
      }
    }
    if (!free || update < 0) continue;
    gradient.update = true;
    if (regularize >= 0) gradient.index = list[static_cast<size_t>(regularize)].index;
    for (int dead : {std::max(update, regularize), std::min(update, regularize)})
      if (dead >= 0) erase(list, dead);
  }
}

// --- barriers ----------------------------------------------------------------------------------------------------

// How the threads of a team share a resource: equal partitions give each thread the same part of it.
enum : int64_t { kAll = 0, kRowsOf = 1, kColumnsOf = 2, kFlat = 3, kVariableRowsOf = 4, kOwn = 5, kSamples = 6 };
int64_t partition(int64_t how, int64_t size) { return how + 8 * size; }

struct Access {
  int64_t resource;
  int64_t partition;
  bool write;
};
constexpr int64_t kVariables = 1 << 20, kSquareSumBuffer = 1 << 21;

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
  switch (i.kind) {
    case Kind::kMatmul:
    case Kind::kDense: {
      const int64_t n = shape(i.out).cols, rows = partition(kRowsOf, shape(i.out).rows);
      const bool by_columns = splits_columns(n, threads);
      tensor(i.in, by_columns ? int64_t{kAll} : rows, false);
      tensor(i.out, by_columns ? columns(n) : rows, true);
      variable(i.variable, by_columns ? columns(n) : int64_t{kAll}, false);
      variable(i.bias, by_columns ? columns(n) : int64_t{kAll}, false);
      break;
    }
    case Kind::kMatmulDx: {
      const int64_t k = shape(i.out).cols, rows = partition(kRowsOf, shape(i.out).rows);
      const bool by_columns = splits_columns(k, threads);
      tensor(i.in, by_columns ? int64_t{kAll} : rows, false);
      tensor(i.in2, by_columns ? columns(k) : rows, false);
      tensor(i.out, by_columns ? columns(k) : rows, true);
      variable(i.variable, by_columns ? partition(kVariableRowsOf, k) : int64_t{kAll}, false);
      break;
    }
    case Kind::kMatmulDw: {
      const int64_t n = shape(i.in2).cols, k = shape(i.in).cols;
      const bool by_columns = splits_columns(n, threads);
      const int64_t part = by_columns ? columns(n) : partition(kVariableRowsOf, k);
      tensor(i.in, by_columns ? int64_t{kAll} : columns(k), false);
      tensor(i.in2, by_columns ? columns(n) : int64_t{kAll}, false);
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
      tensor(i.in, kAll, false);
      list.push_back({kSquareSumBuffer, kOwn, true});
      break;
    case Kind::kConstrain: {
      const Variable& v = *input.variables[static_cast<size_t>(i.variable)];
      variable(i.variable, v.shape().size() == 2 ? columns(v.cols()) : int64_t{kAll}, true);
      break;
    }
    case Kind::kActivityPenalty:
      tensor(i.in, kAll, false);
      break;
    case Kind::kPenalty:
      variable(input.regularizers[static_cast<size_t>(i.index)].variable, kAll, false);
      break;
    case Kind::kReport:
      for (int t : plan.row_loss_tensor) tensor(t, kAll, false);
      for (int t : plan.metric_tensor) tensor(t, kAll, false);
      break;
    default: {  // elementwise: rows of the tensor that is written
      const int64_t rows = partition(kRowsOf, shape(i.out).rows);
      tensor(i.in, rows, false);
      tensor(i.in2, rows, false);
      tensor(i.out, rows, true);
      variable(i.variable, kAll, false);
      variable(i.bias, kAll, false);
      break;
    }
  }
  return list;
}

bool conflict(const Access& a, const Access& b) {
  if (a.resource != b.resource || !(a.write || b.write)) return false;
  return a.partition != b.partition || a.partition == kAll;
}

}  // namespace

bool splits_columns(int64_t n, int threads) {
  if (n == 1) return false;
  const int64_t panels = panel_count(n), each = (panels + threads - 1) / threads;
  return each * threads * 4 <= panels * 5;  // at most a quarter more than an even share
}

void fuse(const Plan& plan, std::vector<Instruction>& list, const std::vector<int>& kept) {
  fuse_dense(plan, list, kept);
  fuse_activation_gradient(plan, list, kept);
  fuse_updates(list);
}

void place_barriers(const Plan& plan, const PlanInput& input, std::vector<Instruction>& list, int threads) {
  std::vector<Access>
      pending;  // since the last barrier; at first the gathered batch, which each thread wrote by samples
  auto gathered = [&](int t) {
    const Tensor& tensor = plan.tensors[static_cast<size_t>(t)];
    const bool one_row = tensor.rows == 1;  // else a share of the rows need not be one of whole samples
    pending.push_back({tensor.storage, one_row ? partition(kRowsOf, 1) : int64_t{kSamples}, true});
  };
  for (int v : input.graph->inputs()) gathered(plan.value_tensor[static_cast<size_t>(v)]);
  for (int t : plan.target_tensor) gathered(t);
  if (plan.weight_tensor >= 0) gathered(plan.weight_tensor);
  for (auto& instruction : list) {
    std::vector<Access> now = accesses(plan, input, instruction, threads);
    if (instruction.kind == Kind::kReport && plan.weight_tensor >= 0) now.push_back({plan.weight_tensor, kAll, false});
    instruction.barrier = false;
    for (const auto& a : now)
      for (const auto& b : pending) instruction.barrier |= threads > 1 && conflict(a, b);
    if (instruction.barrier) pending.clear();
    pending.insert(pending.end(), now.begin(), now.end());
  }
}

}  // namespace lanewise
