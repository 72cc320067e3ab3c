// Instructions in words: what `Network.instructions` shows.

#include <algorithm>
#include <string_view>

#include "engine/plan.h"

namespace lanewise {
namespace {

// Of the kinds, in order: one text, as an array of texts costs a relocation each.
constexpr std::string_view kNames =
    "matmul dense bias_add activation softmax prelu dropout normalize merge put_columns dot scale host penalty "
    "activity_penalty loss loss_backward metric count report activation_backward softmax_backward "
    "prelu_backward prelu_terms dropout_backward normalize_backward matmul_dx matmul_dw column_sum "
    "maximum_backward take_columns scale_rows activity_backward host_backward host_gradient regularize "
    "square_sums clip update constrain batch_norm batch_norm_backward row_norm row_norm_backward column_dot "
    "scale_columns embedding embedding_dw encode widen narrow rows_sum rows_repeat max_pool max_pool_backward "
    "differs gather gather_backward";
static_assert(std::count(kNames.begin(), kNames.end(), ' ') == static_cast<int>(Kind::kGatherBackward));

std::string kind_name(Kind kind) {
  std::string_view rest = kNames;
  for (int before = static_cast<int>(kind); before > 0; --before) rest.remove_prefix(rest.find(' ') + 1);
  return std::string(rest.substr(0, rest.find(' ')));
}

}  // namespace

std::string describe(const Plan& plan, const Instruction& i) {
  std::string text;
  const auto number = [&](const char* before, int64_t n) { text += before + std::to_string(n); };
  auto tensor = [&](int t) {
    const Tensor& s = plan.tensors[static_cast<size_t>(t)];
    if (s.gradient_of >= 0) return number(" dw", s.gradient_of);
    number(" t", t);
    if (s.rows == 1)
      text += "(";
    else
      number("(", s.rows), text += "*";
    number("B, ", s.cols);
    text += ")";
  };
  if (i.barrier) text += "| ";
  const std::string kind = kind_name(i.kind), name = op_name(i.activation);
  text += i.kind == Kind::kMerge ? name : kind;
  if (i.in >= 0) tensor(i.in);
  if (i.in2 >= 0) tensor(i.in2);
  if (i.in3 >= 0) tensor(i.in3);
  if (i.variable >= 0) number(" w", i.variable);
  if (i.bias >= 0) number(" w", i.bias);
  if (i.kind == Kind::kPutColumns || i.kind == Kind::kTakeColumns) number(" at ", i.first);
  if (i.activation != Op::kLinear && i.kind != Kind::kMerge && kind.rfind(name, 0) != 0) text += " " + name;
  if (i.accumulate) text += " accumulate";
  if (i.update) text += " + update";
  if (i.out >= 0 && !i.update) {
    text += " ->";
    tensor(i.out);
    if (i.keep >= 0) tensor(i.keep);
  }
  return text;
}

}  // namespace lanewise
