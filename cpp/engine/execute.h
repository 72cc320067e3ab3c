// Running instructions: what one thread of the team does for one instruction of one batch.
#pragma once
#include <atomic>
#include <exception>

#include "engine/activations.h"
#include "engine/loss_kernels.h"
#include "engine/optimizer.h"
#include "engine/plan.h"
#include "engine/tails.h"

namespace lanewise {

enum Stream : uint32_t { kStreamWeights = 0, kStreamShuffle = 1, kStreamDropout = 2 };

// Elements that one partial sum of a squared norm covers.
constexpr int64_t kNormChunk = 16384;

// What ends a call early: an error of what is written in Python, or an id or a label that another thread changed after
// it was checked. The step that it happened in is the last one in every thread of the team, and nothing of it lasts:
// whatever updates stands behind a barrier (kStep in barriers.cpp) and looks here first.
struct Failure {
  static constexpr int64_t kNone = INT64_MIN;
  std::exception_ptr error;          // of Python; thread 0 alone writes it, as the next
  std::vector<Host*> called;         // layers of Python that have run in this step, in training mode
  std::atomic<int64_t> step{kNone};  // of that batch, as Run::step counts them
  bool any() const { return step.load(std::memory_order_acquire) != kNone; }
  void at(int64_t now) { step.store(now, std::memory_order_release); }
  // An id or a label where it is read for use, once: outside its table it counts as 0.
  int32_t within(int32_t id, int64_t limit, int64_t now) {
    if (0 <= id && id < limit) [[likely]]
      return id;
    at(now);
    return 0;
  }
  void raise(bool training = false) const;  // if there was any
};

// One batch on its way through a list, as one thread of the team sees it; nothing here is owned.
struct Run {
  const Plan* plan;
  const PlanInput* input;
  const KernelTable* table;
  const std::vector<Instruction>* list;  // that is being run
  const LossKernel* const* losses;       // by index, as in input
  const LossKernel* const* metrics;
  float* const* tensors;  // by storage
  float* const* weights;  // sample weights of this batch for each target, null where there are none
  int64_t batch;
  int threads;
  bool training;
  bool backward;        // the list has a backward pass
  bool moving = false;  // batch norms move their statistics
  uint64_t seed;
  int64_t step;
  // updates
  OptimizerStep update = nullptr;
  StepArgs arguments{};
  float* const* slots = nullptr;    // Optimizer::kMaxSlots for each variable
  const char* undecayed = nullptr;  // of each variable: whether weight decay leaves it alone
  float clipvalue = 0, clipnorm = 0, global_clipnorm = 0;
  float* square_sums = nullptr;          // partial sums, chunk after chunk, variable after variable
  const int64_t* first_chunk = nullptr;  // of each variable, where its chunks begin, and where the last ones end
  double* square_norm = nullptr;         // this thread's: of all gradients of the step, from the first kClip on
  float* penalties = nullptr;            // of each regularizer, then of each activity
  double* sums = nullptr;                // see Network::train
  Failure* failure = nullptr;
  Upcoming* upcoming = nullptr;  // what this thread will gather for the next batch
  Tail* tails = nullptr;         // of each product that has them, of each thread
  uint32_t round = 0;            // of the tails: batches from the first of this run, which is 1

  const Tensor& shape(int t) const { return plan->tensors[static_cast<size_t>(t)]; }
  int64_t rows(int t) const { return shape(t).fixed ? shape(t).rows : batch * shape(t).rows; }
  float* data(int t) const { return tensors[shape(t).storage]; }
  Variable& variable(int v) const { return *input->variables[static_cast<size_t>(v)]; }
};

void execute(const Run& run, const Instruction& instruction, int thread, float* scratch);

// Several values into one and back (merging.cpp).
void execute_merge(const Run& run, const Instruction& instruction, int thread);

// Operations written in Python (host.cpp).
void execute_host(const Run& run, const Instruction& instruction, int thread);
bool is_host(const PlanInput& input, const Instruction& instruction);

// Normalisation, embedding, pooling and the like (layers.cpp).
void execute_layer(const Run& run, const Instruction& instruction, int thread);
// After a batch that trained and did not fail: the moving statistics of batch norms take in those of the batch, in
// graph order, a thread those of the columns that it has in the list.
void move_statistics(const Run& run, int thread);

// One thread's part of a product, and what others leave of theirs (matmul_run.cpp, as the next two).
void run_share(const KernelTable& table, const Matmul& mm, const Sharing& how, int thread, int threads, float* scratch);
bool has_tails(const Plan& plan, const PlanInput& input, const Instruction& instruction, int64_t batch, int threads);
// The three matrix products of a dense layer.
void execute_dense(const Run& run, const Instruction& instruction, int thread, float* scratch);
void execute_dx(const Run& run, const Instruction& instruction, int thread, float* scratch);
void execute_dw(const Run& run, const Instruction& instruction, int thread, float* scratch);

// Steps n elements of a variable from element `first` on, with their finished gradient: regularizer (index, -1: none),
// clip by value, optimizer. g is overwritten.
void update_block(const Run& run, int variable, int regularizer, int64_t first, float* g, int64_t n);

// Gradients made whole, clipped, applied and constrained (updates.cpp).
void execute_update(const Run& run, const Instruction& instruction, int thread);

// Floats of scratch a thread needs, and floating-point operations, for a batch of this size.
int64_t scratch_floats(const Plan& plan, const PlanInput& input, const Instruction& instruction, int64_t batch);
double flops(const Plan& plan, const PlanInput& input, const Instruction& instruction, int64_t batch);

// Dropout and its kin, forward and backward, for these rows (noise.cpp).
void execute_noise(const Run& run, const Instruction& instruction, int64_t begin, int64_t end);

}  // namespace lanewise
