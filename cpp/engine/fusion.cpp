// The fusion pass: reads an instruction list and proves what it does from it alone. Who reads what is indexed once, so
// that a list of n instructions takes time in proportion to n.
#include <algorithm>

#include "engine/plan.h"

namespace lanewise {
namespace {

using List = std::vector<Instruction>;

class Fusion {
 public:
  Fusion(const Plan& plan, List& list, const std::vector<int>& kept)
      : plan_(plan), list_(list), kept_(plan.tensors.size()), reads_(plan.tensors.size()), gone_(list.size()) {
    for (int t : kept) ++kept_[storage(t)];
    for (size_t i = 0; i < list.size(); ++i) each_read(i, [&](size_t s) { reads_[s].push_back(i); });
  }
  ~Fusion() {
    size_t n = 0;
    for (size_t i = 0; i < list_.size(); ++i)
      if (!gone_[i]) list_[n++] = list_[i];
    list_.resize(n);
  }
  void dense();
  void activation_gradients();
  void batch_norms();
  void updates();

 private:
  static constexpr size_t kNone = SIZE_MAX;

  size_t storage(int tensor) const { return static_cast<size_t>(plan_.tensors[static_cast<size_t>(tensor)].storage); }
  // The memory that an instruction reads, once for each operand.
  template <class Each>
  void each_read(size_t at, Each each) const {
    const Instruction& i = list_[at];
    for (int t : {i.in, i.in2, i.in3, i.kind == Kind::kActivityBackward ? i.out : -1,
                  i.kind == Kind::kBatchNormBackward ? i.keep : -1})
      if (t >= 0) each(storage(t));
  }
  void remove(size_t at) {
    each_read(at, [&](size_t s) { reads_[s].erase(std::find(reads_[s].begin(), reads_[s].end(), at)); });
    gone_[at] = true;
  }
  // Who reads the memory of a tensor, under its own name or reshaped.
  size_t readers(int tensor) const { return kept_[storage(tensor)] + reads_[storage(tensor)].size(); }

  // The one instruction that reads a tensor as its main input, or kNone where it has other readers.
  size_t only_reader(int tensor) const {
    const std::vector<size_t>& reads = reads_[storage(tensor)];
    return readers(tensor) == 1 && !reads.empty() && list_[reads[0]].in == tensor ? reads[0] : kNone;
  }

  // The activation that follows a sum, where all others who read the sum are its gradient: kNone where somebody else
  // does.
  size_t activation_of(int tensor) const {
    size_t found = kNone, others = readers(tensor) - 1;
    for (size_t i : reads_[storage(tensor)]) {
      if (list_[i].kind == Kind::kActivation && list_[i].in == tensor) found = i;
      others -= list_[i].kind == Kind::kActivationBackward && list_[i].in2 == tensor;
    }
    return others == 0 ? found : kNone;
  }

  const Plan& plan_;
  List& list_;
  std::vector<size_t> kept_;                // by storage: how often it is asked for after the list has run
  std::vector<std::vector<size_t>> reads_;  // by storage: the instructions that read it
  std::vector<bool> gone_;                  // instructions that are part of another one
};

// matmul -> bias_add -> activation becomes dense, which keeps the sum where the activation's gradient is in its terms.
void Fusion::dense() {
  for (size_t i = 0; i < list_.size(); ++i) {
    Instruction& product = list_[i];
    if (product.kind != Kind::kMatmul) continue;
    product.kind = Kind::kDense;
    for (;;) {
      size_t next = only_reader(product.out);
      const bool alone = next != kNone;
      if (!alone) next = activation_of(product.out);
      if (next == kNone) break;
      const Instruction& reader = list_[next];
      const bool bias = reader.kind == Kind::kBiasAdd && product.bias < 0 && product.activation == Op::kLinear;
      const bool activation = reader.kind == Kind::kActivation && product.activation == Op::kLinear;
      if (!bias && !activation) break;
      if (bias)
        product.bias = reader.bias;
      else
        product.activation = reader.activation, product.args = reader.args;
      if (!alone) product.keep = product.out;
      product.out = reader.out;
      remove(next);
    }
  }
}

// matmul_dx -> activation_backward becomes one matmul whose epilogue multiplies by the derivative.
void Fusion::activation_gradients() {
  for (size_t i = 0; i < list_.size(); ++i) {
    Instruction& product = list_[i];
    if (product.kind != Kind::kMatmulDx) continue;
    const size_t next = only_reader(product.out);
    if (next == kNone || list_[next].kind != Kind::kActivationBackward) continue;
    const Instruction& reader = list_[next];
    product.activation = reader.activation;
    product.args = reader.args;
    product.in2 = reader.in2;
    product.out = reader.out;
    remove(next);
    reads_[storage(product.in2)].push_back(i);
  }
}

// A batch norm and the activation behind it, or its backward and the gradient of the activation below, share columns.
void Fusion::batch_norms() {
  for (size_t i = 0; i < list_.size(); ++i) {
    Instruction& norm = list_[i];
    const bool forward = norm.kind == Kind::kBatchNorm;
    if (!forward && norm.kind != Kind::kBatchNormBackward) continue;
    size_t next = only_reader(norm.out);
    const bool alone = next != kNone;
    if (!alone && forward) next = activation_of(norm.out);
    if (next == kNone) continue;
    const Instruction& reader = list_[next];
    if (reader.kind != (forward ? Kind::kActivation : Kind::kActivationBackward)) continue;
    if (!alone) norm.keep = norm.out;
    if (!forward) {
      norm.keep = reader.in2;
      reads_[storage(norm.keep)].push_back(i);
    }
    norm.activation = reader.activation;
    norm.args = reader.args;
    norm.out = reader.out;
    remove(next);
  }
}

// matmul_dw or column_sum -> (regularize) -> update becomes one instruction that steps each finished block, so that the
// gradient is never written. Needs: one use of the variable, nobody who reads its old value later, and nothing written
// in Python later, whose error would find a step half done.
void Fusion::updates() {
  std::vector<std::vector<size_t>> named(plan_.tensors.size());  // by tensor: who reads or writes it
  std::vector<size_t> last_use;                                  // by variable: who reads it last
  size_t last_host = 0;
  for (size_t i = 0; i < list_.size(); ++i) {
    if (gone_[i]) continue;
    const Instruction& one = list_[i];
    for (int t : {one.in, one.in2, one.out})
      if (t >= 0) named[static_cast<size_t>(t)].push_back(i);
    if (one.kind == Kind::kHostBackward || one.kind == Kind::kHostGradient) last_host = i;
    if (one.kind == Kind::kUpdate || one.kind == Kind::kRegularize || one.kind == Kind::kConstrain) continue;
    for (int v : {one.variable, one.bias}) {
      if (v < 0) continue;
      if (last_use.size() <= static_cast<size_t>(v)) last_use.resize(static_cast<size_t>(v) + 1);
      last_use[static_cast<size_t>(v)] = i;
    }
  }
  for (size_t i = last_host; i < list_.size(); ++i) {
    Instruction& gradient = list_[i];
    const bool sums = gradient.kind == Kind::kMatmulDw || gradient.kind == Kind::kColumnSum;
    if (gone_[i] || !sums || gradient.variable < 0) continue;
    size_t update = kNone, regularize = kNone;
    bool free = !gradient.accumulate && last_use[static_cast<size_t>(gradient.variable)] <= i;
    for (size_t j : named[static_cast<size_t>(gradient.out)]) {
      if (j == i) continue;
      if (list_[j].kind == Kind::kUpdate)
        update = j;
      else if (list_[j].kind == Kind::kRegularize && regularize == kNone)
        regularize = j;
      else
        free = false;  // accumulated into, or clipped by norm
    }
    if (!free || update == kNone) continue;
    gradient.update = true;
    gone_[update] = true;
    if (regularize == kNone) continue;
    gradient.index = list_[regularize].index;
    gone_[regularize] = true;
  }
}

}  // namespace

void fuse(const Plan& plan, std::vector<Instruction>& list, const std::vector<int>& kept) {
  Fusion fusion(plan, list, kept);
  fusion.dense();
  fusion.activation_gradients();
  fusion.batch_norms();
  fusion.updates();
}

}  // namespace lanewise
