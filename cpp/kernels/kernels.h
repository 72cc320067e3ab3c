// The kernel table: one slot for each row of kernels.inc. Plain types only, so that baseline code (dispatch,
// engine, bindings) and every ISA's objects can include it.
#pragma once
#include <cstdint>

#include "kernels/matmul.h"

namespace lanewise {

// What keys a stream of random words: see engine/philox.h. Element e of a node at a step in a stream of a seed
// always gets the same word, whoever asks and in whatever order.
struct PhiloxKey {
  uint64_t seed;
  uint64_t step;
  uint32_t stream;
  uint32_t node;
};

// Hyper-parameters of one optimizer step, already in the form that the equation uses. "rates" are 1 - beta, rounded
// once: 1.0f - beta would be 1.3e-5 off at 0.999.
struct OptimizerArgs {
  float lr;       // learning rate; Adam, Adamax: with the bias corrections; Nadam: of the gradient
  float beta1;    // SGD, RMSprop: momentum; Lion: beta_1
  float beta2;    // Adamax, Lion: beta_2; RMSprop, Adadelta: rho
  float rate1;    // Adam and its kin, Lion: 1 - beta_1
  float rate2;    // Adam, Nadam, Lion: 1 - beta_2; RMSprop, Adadelta: 1 - rho
  float epsilon;  // Adam and its kin: outside the root; RMSprop, Adagrad, Adadelta: inside
  float decay;    // decoupled weight decay, times the learning rate (0: none): w -= decay * w, before the step
  float lr_mean;  // Nadam: learning rate of the mean gradient
  float scale;    // Nadam: 1 / sqrt(1 - beta_2^t)
  float power;    // Ftrl: what the accumulator is raised to, >= 0
  float l1, l2, shrinkage;  // Ftrl: penalties; l2 with beta / lr, both it and the shrinkage doubled
  bool nesterov;            // SGD
  bool centered;            // RMSprop
};

// What an activation is given beside its input; each says what a, b and c are to it.
struct ActivationArgs {
  float a = 0, b = 0, c = 0;
};
// The parameters that all elementwise activations share (kernels.inc says what they mean).
#define LW_ACTIVATION_FORWARD                                                                         \
  (const float* x, int64_t ldx, const float* bias, float* y, int64_t ldy, int64_t rows, int64_t cols, \
   const ActivationArgs& args)
#define LW_ACTIVATION_BACKWARD                                                                                        \
  (const float* dy, int64_t lddy, const float* of, int64_t ldof, float* dx, int64_t lddx, int64_t rows, int64_t cols, \
   const ActivationArgs& args)

// Which statistics of a row it is normalised by: the mean is subtracted or not, and the rest is divided by the root of
// its mean square plus epsilon, or (unit) by its length, at least epsilon.
struct RowNorm {
  float epsilon;
  bool center;
  bool unit;
};

struct KernelTable {
  const char* isa;  // "generic", "avx2", "avx512", "neon"
  bool fused;       // true where fma rounds once: these ISAs all give the same bits
#define LW_KERNEL(name, params) void(*name) params;
#include "kernels/kernels.inc"
#undef LW_KERNEL
};

}  // namespace lanewise
