// A graph compiled into instruction lists. An instruction is one operation over whole-batch tensors that every thread
// of the team runs on its share; barriers stand only where one thread would read or overwrite what another wrote.
#pragma once
#include <string>
#include <vector>

#include "engine/graph.h"
#include "engine/loss_kernels.h"
#include "kernels/kernels.h"

namespace lanewise {

enum class Kind {
  // forward
  kMatmul,
  kDense,
  kBiasAdd,
  kActivation,
  kSoftmax,
  kPrelu,
  kDropout,
  kNormalize,
  kMerge,
  kPutColumns,
  kDot,
  kScale,
  kHost,
  // losses, metrics, reports
  kPenalty,
  kActivityPenalty,
  kLoss,
  kLossBackward,
  kMetric,
  kCount,
  kReport,
  // backward
  kActivationBackward,
  kSoftmaxBackward,
  kPreluBackward,
  kPreluTerms,
  kDropoutBackward,
  kNormalizeBackward,
  kMatmulDx,
  kMatmulDw,
  kColumnSum,
  kMaximumBackward,
  kTakeColumns,
  kScaleRows,
  kActivityBackward,
  kHostBackward,
  kHostGradient,
  // whole gradients and updates
  kRegularize,
  kSquareSums,
  kClip,
  kUpdate,
  kConstrain,
  // layers (execute_layer)
  kBatchNorm,
  kBatchNormBackward,
  kRowNorm,
  kRowNormBackward,
  kColumnDot,
  kScaleColumns,
  kEmbedding,
  kEmbeddingDw,
  kEncode,
  kWiden,
  kNarrow,
  kRowsSum,
  kRowsRepeat,
  kMaxPool,
  kMaxPoolBackward,
  kDiffers,
  kGather,
  kGatherBackward,
};
inline bool is_product(Kind kind) {
  return kind == Kind::kMatmul || kind == Kind::kDense || kind == Kind::kMatmulDx || kind == Kind::kMatmulDw;
}
inline bool is_layer(Kind kind) { return kind >= Kind::kBatchNorm; }

struct Instruction {
  Kind kind;
  int in = -1, in2 = -1, in3 = -1, out = -1;  // tensors
  int variable = -1, bias = -1;               // variables
  Op activation = Op::kLinear;  // kDense, kActivation, kActivationBackward, kMatmulDx (its fused gradient), kMerge;
                                // kSoftmax, kDropout and their backwards: which of their kin
  ActivationArgs args{};        // of that activation
  int keep = -1;                // kDense, kBatchNorm: where goes what the activation is of, if that is read;
                                // kBatchNormBackward: what its activation's gradient is in terms of
  int index = -1;  // which loss, metric, regularizer, norm, kClip of a list; the node of a host call or of random
                   // words
  int64_t first = 0, blocks = 1;  // kPutColumns, kTakeColumns: where in each of the stretches of a sample
  float rate = 0;
  bool always = false;      // kDropout: when predicting too
  bool accumulate = false;  // kMatmulDw, kColumnSum, kRegularize: add to what is there
  bool update = false;      // kMatmulDw, kColumnSum: hand the gradient to the optimizer, block by block
  // For a given number of threads, and of rows in a batch:
  bool by_columns = false;  // kMatmul, kDense, kMatmulDx, kMatmulDw: threads share columns of the result, else rows
  int tails = -1;           // the same: which of those that let others do the end of a thread's share
  bool barrier = false;     // wait for the team first
};

// What an instruction reads or writes. rows * batch by cols, or a whole gradient of a variable in its stored layout.
struct Tensor {
  int64_t rows = 1, cols = 1;
  bool labels = false;  // int32
  bool fixed = false;   // sums over the batch: its rows do not grow with it
  int gradient_of = -1;
  int storage = -1;  // the tensor whose memory it shares (a reshape); its own index otherwise
};

// What the caller hands in beside the inputs: rows like a value (or with one column for each `outputs` of its), or one
// label for each of its rows.
struct TargetSpec {
  int value;
  bool labels;
  int64_t outputs = 1;
  int64_t width = 0;  // floats of a sample where it is not like the value
  int64_t cols(int64_t value_cols) const { return labels ? 1 : value_cols / outputs; }
};

struct LossSpec {
  std::string kernel;
  int value;  // prediction or logits
  Params param;
  float weight;  // in the total
  int target = 0;
  std::shared_ptr<Host> host = nullptr;  // instead of the kernel
  bool sparse() const { return kernel.rfind("sparse_", 0) == 0; }
};

struct MetricSpec {
  std::string kernel;
  int value;
  Params param;
  int target;
  bool weighted = false;  // by the sample weights of its target
  std::shared_ptr<Host> host = nullptr;
  int64_t first_sum = 0;  // where its sums begin, after those of the losses
};

struct Regularizer {
  int variable;
  float l1, l2;
};

// After each update: every column or row of a kernel, or the whole of a variable, is scaled to the norm
// rate * clip(norm, min, max) + (1 - rate) * norm, or negative elements become 0.
enum class Norms { kColumns, kRows, kWhole };
struct Constraint {
  int variable;
  float min_norm, max_norm, rate;
  bool non_negative;
  Norms norms = Norms::kColumns;  // of a kernel; a bias has one, that of the whole
};

// A penalty l1 * sum |y| + l2 * sum y^2 on a value, divided by the rows of the batch.
struct Activity {
  int tensor;
  float l1, l2;
};

// A normalisation: its variables, and the tensors that its instructions share.
struct Norm {
  int gamma, beta, mean, variance;  // mean, variance: those that move, of a batch norm
  float epsilon, momentum, rate;    // rate = 1 - momentum
  RowNorm how;
  bool frozen;    // a batch norm that is not trained uses its moving statistics
  int stats;      // batch norm (2, n) fixed: mean and variance; row norm (rows, 1): what a row was multiplied by
  int xhat = -1;  // where there is a backward
  int sum_dy = -1, sum_dyx = -1;
};

struct PlanInput {
  const Graph* graph;
  std::vector<int> outputs;
  std::vector<TargetSpec> targets;
  std::vector<LossSpec> losses;
  std::vector<MetricSpec> metrics;
  std::vector<VariablePtr> variables;  // all that the graph names; the trainable ones first
  int trainable;
  std::vector<Regularizer> regularizers;
  std::vector<Constraint> constraints;
  std::vector<VariablePtr> frozen;  // moving means of batch norms that are not trained
};

// Tensors and the four unfused lists. The unfused lists always run and are the reference.
struct Plan {
  std::vector<Tensor> tensors;
  std::vector<int> value_tensor;     // of each value of the graph (a reshape shares its input's)
  std::vector<int> target_tensor;    // of each target
  std::vector<int> weight_tensor;    // sample weights of each target
  std::vector<int> row_loss_tensor;  // of each loss
  std::vector<int> metric_tensor;    // of each metric
  std::vector<int> gradient_tensor;  // of each trainable variable
  std::vector<Activity> activities;  // in graph order
  std::vector<Norm> norms;           // in graph order
  std::vector<Instruction> predict, evaluate, gradient, apply, train;  // train = gradient, then apply
};

// whole_gradients: clip by norm between gradients and updates.
Plan make_plan(const PlanInput& input, bool whole_gradients);

// The fusion pass: merges instructions where it can prove that nobody else needs what lay between (one reader of the
// tensor, one use of the variable, no rule that needs whole gradients). Values do not change, to the bit. `kept` are
// tensors that somebody outside the list reads.
void fuse(const Plan& plan, std::vector<Instruction>& list, const std::vector<int>& kept);

// How a team of this size shares each product of a batch of about this size; how many of them have tails.
int share_products(const Plan& plan, const PlanInput& input, std::vector<Instruction>& list, int threads,
                   int64_t batch);
// Of each input of the graph, whether the threads of a team all read the whole of it and nobody writes it, so that each
// may as well gather it for itself.
std::vector<char> whole_inputs(const Plan& plan, const PlanInput& input, const std::vector<Instruction>& list,
                               int threads);
// Marks the instructions that must wait, for a team of this size whose threads have inputs of their `own`.
void place_barriers(const Plan& plan, const PlanInput& input, const std::vector<char>& own,
                    std::vector<Instruction>& list, int threads);

// Whether a result with n columns can be shared out by column panels: not where that would leave threads idle.
bool splits_columns(int64_t n, int threads);

std::string describe(const Plan& plan, const Instruction& instruction);

}  // namespace lanewise
