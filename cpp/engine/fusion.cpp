// The fusion pass: reads an instruction list and proves what it does from it alone.
#include <algorithm>

#include "engine/plan.h"

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
    n += same(i.in) + same(i.in2) + same(i.in3) + (same(i.out) && i.kind == Kind::kActivityBackward) +
         (same(i.keep) && i.kind == Kind::kBatchNormBackward);
  return n;
}

// The one instruction that reads a tensor as its main input, or -1 where it has other readers.
int only_reader(const Plan& plan, const List& list, int tensor, const std::vector<int>& kept) {
  if (readers(plan, list, tensor, kept) != 1) return -1;
  for (size_t i = 0; i < list.size(); ++i)
    if (list[i].in == tensor) return static_cast<int>(i);
  return -1;
}

// The activation that follows a sum, where all others who read the sum are its gradient: -1 where somebody else does.
int activation_of(const Plan& plan, const List& list, int tensor, const std::vector<int>& kept) {
  int found = -1, gradients = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].kind == Kind::kActivation && list[i].in == tensor) found = static_cast<int>(i);
    gradients += list[i].kind == Kind::kActivationBackward && list[i].in2 == tensor;
  }
  return readers(plan, list, tensor, kept) == 1 + gradients ? found : -1;
}

void erase(List& list, int index) { list.erase(list.begin() + index); }

// matmul -> bias_add -> activation becomes dense, which keeps the sum where the activation's gradient is in its terms.
void fuse_dense(const Plan& plan, List& list, const std::vector<int>& kept) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].kind != Kind::kMatmul) continue;
    list[i].kind = Kind::kDense;
    for (;;) {
      int next = only_reader(plan, list, list[i].out, kept);
      const bool alone = next >= 0;
      if (!alone) next = activation_of(plan, list, list[i].out, kept);
      if (next < 0) break;
      const Instruction& reader = list[static_cast<size_t>(next)];
      const bool bias = reader.kind == Kind::kBiasAdd && list[i].bias < 0 && list[i].activation == Op::kLinear;
      const bool activation = reader.kind == Kind::kActivation && list[i].activation == Op::kLinear;
      if (!bias && !activation) break;
      if (bias)
        list[i].bias = reader.bias;
      else
        list[i].activation = reader.activation, list[i].args = reader.args;
      if (!alone) list[i].keep = list[i].out;
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
    list[i].args = reader.args;
    list[i].in2 = reader.in2;
    list[i].out = reader.out;
    erase(list, next);
  }
}

// A batch norm and the activation behind it, or its backward and the gradient of the activation below, share columns.
void fuse_batch_norms(const Plan& plan, List& list, const std::vector<int>& kept) {
  for (size_t i = 0; i < list.size(); ++i) {
    const bool forward = list[i].kind == Kind::kBatchNorm;
    if (!forward && list[i].kind != Kind::kBatchNormBackward) continue;
    int next = only_reader(plan, list, list[i].out, kept);
    const bool alone = next >= 0;
    if (!alone && forward) next = activation_of(plan, list, list[i].out, kept);
    if (next < 0) continue;
    const Instruction& reader = list[static_cast<size_t>(next)];
    if (reader.kind != (forward ? Kind::kActivation : Kind::kActivationBackward)) continue;
    if (!alone) list[i].keep = list[i].out;
    if (!forward) list[i].keep = reader.in2;
    list[i].activation = reader.activation;
    list[i].args = reader.args;
    list[i].out = reader.out;
    erase(list, next);
  }
}

// matmul_dw or column_sum -> (regularize) -> update becomes one instruction that steps each finished block, so that the
// gradient is never written. Needs: one use of the variable, nobody who reads its old value later, and nothing written
// in Python later, whose error would find a step half done.
void fuse_updates(List& list) {
  for (size_t i = 0; i < list.size(); ++i) {
    Instruction& gradient = list[i];
    if (gradient.kind != Kind::kMatmulDw && gradient.kind != Kind::kColumnSum) continue;
    int update = -1, regularize = -1;
    bool free = !gradient.accumulate;
    for (size_t j = 0; j < list.size(); ++j) {
      const Instruction& other = list[j];
      if (j == i) continue;
      free &= j < i || (other.kind != Kind::kHostBackward && other.kind != Kind::kHostGradient);
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

}  // namespace

void fuse(const Plan& plan, std::vector<Instruction>& list, const std::vector<int>& kept) {
  fuse_dense(plan, list, kept);
  fuse_activation_gradient(plan, list, kept);
  fuse_batch_norms(plan, list, kept);
  fuse_updates(list);
}

}  // namespace lanewise
