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

// Hyper-parameters of one optimizer step, already in the form that the equation uses.
struct OptimizerArgs {
  float lr;       // learning rate; Adam: lr * sqrt(1 - beta2^t) / (1 - beta1^t)
  float beta1;    // SGD: momentum; Adam: beta_1; RMSprop: momentum
  float beta2;    // Adam: beta_2; RMSprop: rho
  float rate1;    // Adam: 1 - beta_1
  float rate2;    // Adam: 1 - beta_2; RMSprop: 1 - rho; rounded once: 1.0f - beta2 would be 1.3e-5 off at 0.999
  float epsilon;  // Adam: outside the root; RMSprop: inside
  float decay;    // decoupled weight decay, times the learning rate (0: none): w -= decay * w, before the step
  bool nesterov;  // SGD
  bool centered;  // RMSprop
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

struct KernelTable {
  const char* isa;  // "generic", "avx2", "avx512", "neon"
  bool fused;       // true where fma rounds once: these ISAs all give the same bits
#define LW_KERNEL(name, params) void(*name) params;
#include "kernels/kernels.inc"
#undef LW_KERNEL
};

}  // namespace lanewise
