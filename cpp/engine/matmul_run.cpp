// The three products of a dense layer, with what happens to each finished block of the result.
//
//   forward  Y (B, n) = act(X (B, k) · W (k, n) + b)
//   dX (B, k) = dY (B, n) · W^T, times act'(X) where the activation below is fused
//   dW (k, n) = X^T · dY, stored, or handed to the optimizer block by block
#include <algorithm>
#include <cstring>

#include "engine/execute.h"
#include "engine/tails.h"

namespace lanewise {
namespace {

// --- epilogues: t (rows, cols) contiguous in L1, the block of the result at (i, j) ---------------------------------

struct ForwardContext {
  ActivationForward activation, linear;
  const ActivationArgs* args;
  const float* bias;
  float* keep;  // where the sum goes before the activation, or null
  float* out;
  int64_t ld;
};
void forward_epilogue(const void* context, float* t, int64_t i, int64_t j, int64_t rows, int64_t cols) {
  const auto& c = *static_cast<const ForwardContext*>(context);
  if (cols == 1 && c.ld == 1) {  // one output unit: the rows are the vector
    if (c.bias)
      for (int64_t r = 0; r < rows; ++r) t[r] += *c.bias;
    if (c.keep) c.linear(t, rows, nullptr, c.keep + i, rows, 1, rows, {});
    return c.activation(t, rows, nullptr, c.out + i, rows, 1, rows, *c.args);
  }
  const float* bias = c.bias ? c.bias + j : nullptr;
  const int64_t at = i * c.ld + j;
  if (c.keep) {
    c.linear(t, cols, bias, c.keep + at, c.ld, rows, cols, {});
    return c.activation(c.keep + at, c.ld, nullptr, c.out + at, c.ld, rows, cols, *c.args);
  }
  c.activation(t, cols, bias, c.out + at, c.ld, rows, cols, *c.args);
}

struct BackwardContext {
  ActivationBackward activation;
  const ActivationArgs* args;
  const float* of;
  float* out;
  int64_t ld;
};
void backward_epilogue(const void* context, float* t, int64_t i, int64_t j, int64_t rows, int64_t cols) {
  const auto& c = *static_cast<const BackwardContext*>(context);
  const int64_t at = i * c.ld + j;
  if (c.of) return c.activation(t, cols, c.of + at, c.ld, c.out + at, c.ld, rows, cols, *c.args);
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(c.out + at + r * c.ld, t + r * cols, static_cast<size_t>(cols) * sizeof(float));
}

struct GradientContext {
  const Run* run;
  const Instruction* instruction;
  float* out;    // whole gradient in the variable's layout, where there is no update
  int64_t rows;  // of the variable
};
// A block of a panel is contiguous in the variable, in its gradient and in its slots.
void gradient_epilogue(const void* context, float* t, int64_t i, int64_t j, int64_t rows, int64_t cols) {
  const auto& c = *static_cast<const GradientContext*>(context);
  const int64_t first = j * c.rows + i * cols, n = rows * cols;
  if (c.instruction->update) return update_block(*c.run, c.instruction->variable, c.instruction->index, first, t, n);
  if (c.instruction->accumulate) return c.run->table->add_inplace(c.out + first, t, n);
  std::memcpy(c.out + first, t, static_cast<size_t>(n) * sizeof(float));
}

Matmul product(const Plan& plan, const PlanInput& input, const Instruction& i, int64_t batch) {
  auto shape = [&](int t) -> const Tensor& { return plan.tensors[static_cast<size_t>(t)]; };
  const Variable& w = *input.variables[static_cast<size_t>(i.variable)];
  Matmul mm{};
  const int64_t rows = batch * shape(i.in).rows, k = w.rows(), n = w.cols();
  switch (i.kind) {
    case Kind::kMatmulDx:
      mm.m = rows, mm.n = k, mm.k = n;
      mm.a_row = n, mm.a_col = 1;
      mm.b = w.data();
      if (k == 1 || n <= kPanel) {  // W is row-major as it stands
        mm.b_row = 1, mm.b_col = n;
      } else {
        mm.b_panels = mm.b_transposed = true;
      }
      break;
    case Kind::kMatmulDw:
      mm.m = k, mm.n = n, mm.k = rows;
      mm.a_row = 1, mm.a_col = k;
      mm.b_row = n, mm.b_col = 1;
      break;
    default:
      mm.m = rows, mm.n = n, mm.k = k;
      mm.a_row = k, mm.a_col = 1;
      mm.b = w.data();
      mm.b_panels = true;
      mm.b_row = 1;
      break;
  }
  return mm;
}

Sharing sharing(const Instruction& i) { return {i.by_columns, i.kind == Kind::kMatmulDw}; }
Sharing sharing(const Run& run, const Instruction& i) {
  Sharing how = sharing(i);
  if (i.tails >= 0) how.tails = run.tails + i.tails * run.threads, how.round = run.round;
  return how;
}

// Whether other cores have read, in the step before, where a product's result goes: where threads share columns,
// products that follow read whole rows. Only Intel's cores gain by asking for it (figures in cpp/README.md).
bool read_elsewhere(const Run& run, const Instruction& i) { return core.intel && i.by_columns && run.threads > 1; }

// Of the result.
Rect share_of(const Matmul& mm, const Sharing& how, int thread, int threads) {
  Rect all{0, mm.m, 0, panel_count(mm.n)};
  if (how.by_columns) {
    const Range p = share(all.p1, thread, threads);
    all.p0 = p.begin, all.p1 = p.end;
  } else {
    const Range r = share(how.row_panels ? panel_count(mm.m) : mm.m, thread, threads);
    const int64_t unit = how.row_panels ? kPanel : 1;
    all.i0 = r.begin * unit, all.i1 = std::min(r.end * unit, mm.m);
  }
  return all;
}

}  // namespace

Cut::Cut(const Matmul& mm, const MatmulPlan& plan, const Rect& share) : first(share) {
  // Chunks of rows read B anew, and copy it; chunks of panels read A anew, and copy it: what is less. Rows in whole
  // tiles of AVX-512 and AVX2, if there are that many. Chunks of 60 us of a fast core, but two at least and eight at
  // most.
  constexpr double kChunkFlops = 1.2e7;
  constexpr int64_t kRows = 14, kMoreRows = 42, kPanels = 1, kCopiedPanels = 4, kFewest = 3, kMost = 6;
  const int64_t rows = share.i1 - share.i0, panels = share.p1 - share.p0;
  if (rows <= 0 || panels <= 0) return;
  by_rows = rows >= panels * kPanel;
  // a B that L2 does not hold beside the rest, copied block by block of k: one more copy takes 3 % of 1024^3
  if (by_rows && plan.pack_b && mm.k > kBlockK && mm.k * panels * kPanel >= 2 * kFetchFloats) return;
  const int64_t tail = (by_rows ? rows : panels) * 3 / 8;
  const double each = 2.0 * static_cast<double>(mm.k * kPanel) * static_cast<double>(by_rows ? panels : rows);
  const int64_t wanted =
      std::min(std::max(static_cast<int64_t>(kChunkFlops / each), (tail + kMost - 1) / kMost), tail / kFewest);
  const int64_t unit = by_rows ? (wanted >= kMoreRows ? kMoreRows : kRows) : plan.pack_a ? kCopiedPanels : kPanels;
  size = (wanted + unit / 2) / unit * unit;
  if (size == 0 || tail < 2 * size) return;
  chunks = tail / size;
  (by_rows ? first.i1 : first.p1) -= chunks * size;
}

bool has_tails(const Matmul& mm, const Sharing& how, int threads) {
  // In less, what a chunk moves from core to core takes what it wins: 128^3 and a step of 1000-128-1 (2 and 4 million
  // operations a thread) 0 to 2 % slower with tails, 256^3 (17) 3 to 10 % faster.
  constexpr double kEnough = 8e6;
  const double flops = 2.0 * static_cast<double>(mm.m) * static_cast<double>(mm.n) * static_cast<double>(mm.k);
  if (threads == 1 || flops < kEnough * threads) return false;
  const MatmulPlan plan = matmul_plan(mm);
  return plan.way == Way::kTiles && Cut(mm, plan, share_of(mm, how, 0, threads)).chunks > 0;
}

bool has_tails(const Plan& plan, const PlanInput& input, const Instruction& i, int64_t batch, int threads) {
  return has_tails(product(plan, input, i, batch), sharing(i), threads);
}

void run_share(const KernelTable& table, const Matmul& mm, const Sharing& how, int thread, int threads,
               float* scratch) {
  const auto run = [&](const Rect& r) { table.matmul_block(mm, r.i0, r.i1, r.p0, r.p1, scratch); };
  const Rect own = share_of(mm, how, thread, threads);
  if (how.tails == nullptr) return run(own);
  constexpr int kNeighbours = 8;  // to look at more costs more than they have, in a large team
  const uint32_t begun = Tail::now();
  const MatmulPlan plan = matmul_plan(mm);
  const Cut mine(mm, plan, own);
  run(mine.first);
  // Every chunk costs memory that is read anew: one who is in time takes all of its tail at once.
  int64_t some = how.tails[0].is_late(how.round, begun, Tail::now()) ? 1 : mine.chunks;
  for (int t = 0; t < std::min(threads, kNeighbours); ++t, some = 1) {
    const int owner = (thread + t) % threads;
    const Cut cut = t == 0 ? mine : Cut(mm, plan, share_of(mm, how, owner, threads));
    for (int64_t c; (c = how.tails[owner].take(how.round, some, cut.chunks)) < cut.chunks;)
      run(cut.between(c, std::min(c + some, cut.chunks)));
  }
}

void execute_dense(const Run& run, const Instruction& i, int thread, float* scratch) {
  Matmul mm = product(*run.plan, *run.input, i, run.batch);
  const ForwardContext context{activation_forward(*run.table, i.activation),
                               run.table->linear_forward,
                               &i.args,
                               i.bias >= 0 ? run.variable(i.bias).data() : nullptr,
                               i.keep >= 0 ? run.data(i.keep) : nullptr,
                               run.data(i.out),
                               mm.n};
  mm.a = run.data(i.in);
  mm.epilogue = forward_epilogue;
  mm.result = read_elsewhere(run, i) ? context.out : nullptr;
  mm.context = &context;
  run_share(*run.table, mm, sharing(run, i), thread, run.threads, scratch);
}

void execute_dx(const Run& run, const Instruction& i, int thread, float* scratch) {
  Matmul mm = product(*run.plan, *run.input, i, run.batch);
  const bool fused = i.activation != Op::kLinear;
  const BackwardContext context{activation_backward(*run.table, i.activation), &i.args,
                                fused ? run.data(i.in2) : nullptr, run.data(i.out), mm.n};
  mm.a = run.data(i.in);
  mm.epilogue = backward_epilogue;
  mm.result = read_elsewhere(run, i) ? context.out : nullptr;
  mm.context = &context;
  run_share(*run.table, mm, sharing(run, i), thread, run.threads, scratch);
}

void execute_dw(const Run& run, const Instruction& i, int thread, float* scratch) {
  Matmul mm = product(*run.plan, *run.input, i, run.batch);
  const GradientContext context{&run, &i, i.update ? nullptr : run.data(i.out), mm.m};
  mm.a = run.data(i.in);
  mm.b = run.data(i.in2);
  mm.epilogue = gradient_epilogue;
  const Variable& w = run.variable(i.variable);
  if (i.update && w.size() >= kFetchFloats && mm.k >= kFewTerms) {
    mm.beside[0] = w.data();
    for (int s = 0; s < 2; ++s) mm.beside[1 + s] = run.slots[i.variable * Optimizer::kMaxSlots + s];
  }
  mm.upcoming = run.upcoming;
  mm.context = &context;
  run_share(*run.table, mm, sharing(run, i), thread, run.threads, scratch);
}

int64_t scratch_floats(const Plan& plan, const PlanInput& input, const Instruction& i, int64_t batch) {
  if (is_product(i.kind)) return matmul_scratch(product(plan, input, i, batch));
  if (i.kind == Kind::kColumnSum) return plan.tensors[static_cast<size_t>(i.in)].cols;
  return 0;
}

double flops(const Plan& plan, const PlanInput& input, const Instruction& i, int64_t batch) {
  if (!is_product(i.kind)) return 0;
  const Matmul mm = product(plan, input, i, batch);
  return 2.0 * static_cast<double>(mm.m) * static_cast<double>(mm.n) * static_cast<double>(mm.k);
}

}  // namespace lanewise
