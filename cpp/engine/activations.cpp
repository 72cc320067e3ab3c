#include "engine/activations.h"

#include <stdexcept>

namespace lanewise {
namespace {

using T = KernelTable;
constexpr ActivationInfo kActivations[] = {
    {Op::kLinear, &T::linear_forward, &T::linear_backward},
    {Op::kRelu, &T::relu_forward, &T::relu_backward},
    {Op::kSigmoid, &T::sigmoid_forward, &T::sigmoid_backward},
    {Op::kTanh, &T::tanh_forward, &T::tanh_backward},
    {Op::kExponential, &T::exponential_forward, &T::exponential_backward},
    {Op::kSoftplus, &T::softplus_forward, &T::softplus_backward, false, {"sign"}},
    {Op::kSoftsign, &T::softsign_forward, &T::softsign_backward},
    {Op::kHardSigmoid, &T::hard_sigmoid_forward, &T::hard_sigmoid_backward, false, {"width", "shift", "least"}},
    {Op::kLeakyRelu, &T::leaky_relu_forward, &T::leaky_relu_backward, true, {"slope", "threshold", "most"}},
    {Op::kElu, &T::elu_forward, &T::elu_backward, true, {"alpha", "rate", "scale"}},
    {Op::kGelu, &T::gelu_forward, &T::gelu_backward, true},
    {Op::kGeluTanh, &T::gelu_tanh_forward, &T::gelu_tanh_backward, true},
    {Op::kSilu, &T::silu_forward, &T::silu_backward, true},
    {Op::kMish, &T::mish_forward, &T::mish_backward, true},
    {Op::kHardSilu, &T::hard_silu_forward, &T::hard_silu_backward, true},
};
constexpr auto kFirst = static_cast<size_t>(Op::kLinear);
constexpr bool in_order() {
  for (size_t i = 0; i < std::size(kActivations); ++i)
    if (static_cast<size_t>(kActivations[i].op) != kFirst + i) return false;
  return kActivations[std::size(kActivations) - 1].op == Op::kHardSilu;
}
static_assert(in_order(), "one row for each activation, in the order of Op");

}  // namespace

bool is_activation(Op op) { return op >= Op::kLinear && op <= Op::kHardSilu; }

const ActivationInfo& activation_info(Op op) {
  if (!is_activation(op)) throw std::invalid_argument("no activation");
  return kActivations[static_cast<size_t>(op) - kFirst];
}

const ActivationInfo* find_activation(const std::string& name) {
  for (const auto& info : kActivations)
    if (name == op_name(info.op)) return &info;
  return nullptr;
}

ActivationForward activation_forward(const KernelTable& table, Op op) { return table.*activation_info(op).forward; }
ActivationBackward activation_backward(const KernelTable& table, Op op) { return table.*activation_info(op).backward; }

}  // namespace lanewise
