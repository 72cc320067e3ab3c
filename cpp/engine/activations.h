// The elementwise activations: their kernels, what their gradient reads, what they are given.
#pragma once
#include "engine/graph.h"
#include "kernels/kernels.h"

namespace lanewise {

using ActivationForward = void(*) LW_ACTIVATION_FORWARD;
using ActivationBackward = void(*) LW_ACTIVATION_BACKWARD;

struct ActivationInfo {
  Op op;
  ActivationForward KernelTable::*forward;
  ActivationBackward KernelTable::*backward;
  bool of_input = false;          // backward reads the input x; otherwise the output y
  const char* arguments[3] = {};  // names of a, b and c of ActivationArgs
};

// The row of an activation. std::invalid_argument where is_activation(op) is false.
const ActivationInfo& activation_info(Op op);
// By name; null where there is none.
const ActivationInfo* find_activation(const std::string& name);
ActivationForward activation_forward(const KernelTable& table, Op op);
ActivationBackward activation_backward(const KernelTable& table, Op op);

}  // namespace lanewise
