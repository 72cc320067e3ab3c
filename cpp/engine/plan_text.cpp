// Instructions in words: what `Network.instructions` shows.

#include "engine/plan.h"

namespace lanewise {
namespace {

const char* layer_kind_name(Kind kind) {
  constexpr const char* kNames[] = {"batch_norm",
                                    "batch_norm_backward",
                                    "row_norm",
                                    "row_norm_backward",
                                    "column_dot",
                                    "scale_columns",
                                    "embedding",
                                    "embedding_dw",
                                    "encode",
                                    "widen",
                                    "narrow",
                                    "rows_sum",
                                    "rows_repeat",
                                    "max_pool",
                                    "max_pool_backward",
                                    "differs",
                                    "gather",
                                    "gather_backward"};  // in order
  return is_layer(kind) ? kNames[static_cast<int>(kind) - static_cast<int>(Kind::kBatchNorm)] : "?";
}

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kMatmul:
      return "matmul";
    case Kind::kDense:
      return "dense";
    case Kind::kBiasAdd:
      return "bias_add";
    case Kind::kActivation:
      return "activation";
    case Kind::kSoftmax:
      return "softmax";
    case Kind::kPrelu:
      return "prelu";
    case Kind::kPreluBackward:
      return "prelu_backward";
    case Kind::kPreluTerms:
      return "prelu_terms";
    case Kind::kDropout:
      return "dropout";
    case Kind::kNormalize:
      return "normalize";
    case Kind::kPenalty:
      return "penalty";
    case Kind::kLoss:
      return "loss";
    case Kind::kLossBackward:
      return "loss_backward";
    case Kind::kCount:
      return "count";
    case Kind::kMetric:
      return "metric";
    case Kind::kReport:
      return "report";
    case Kind::kActivationBackward:
      return "activation_backward";
    case Kind::kSoftmaxBackward:
      return "softmax_backward";
    case Kind::kDropoutBackward:
      return "dropout_backward";
    case Kind::kNormalizeBackward:
      return "normalize_backward";
    case Kind::kMatmulDx:
      return "matmul_dx";
    case Kind::kMatmulDw:
      return "matmul_dw";
    case Kind::kColumnSum:
      return "column_sum";
    case Kind::kMerge:
      return "merge";
    case Kind::kPutColumns:
      return "put_columns";
    case Kind::kDot:
      return "dot";
    case Kind::kScale:
      return "scale";
    case Kind::kMaximumBackward:
      return "maximum_backward";
    case Kind::kTakeColumns:
      return "take_columns";
    case Kind::kScaleRows:
      return "scale_rows";
    case Kind::kRegularize:
      return "regularize";
    case Kind::kSquareSums:
      return "square_sums";
    case Kind::kClip:
      return "clip";
    case Kind::kUpdate:
      return "update";
    case Kind::kConstrain:
      return "constrain";
    case Kind::kActivityPenalty:
      return "activity_penalty";
    case Kind::kActivityBackward:
      return "activity_backward";
    case Kind::kHost:
      return "host";
    case Kind::kHostBackward:
      return "host_backward";
    case Kind::kHostGradient:
      return "host_gradient";
    default:
      return layer_kind_name(kind);
  }
  return "?";
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
  text += i.kind == Kind::kMerge ? op_name(i.activation) : kind_name(i.kind);
  if (i.in >= 0) tensor(i.in);
  if (i.in2 >= 0) tensor(i.in2);
  if (i.in3 >= 0) tensor(i.in3);
  if (i.variable >= 0) number(" w", i.variable);
  if (i.bias >= 0) number(" w", i.bias);
  if (i.kind == Kind::kPutColumns || i.kind == Kind::kTakeColumns) number(" at ", i.first);
  const std::string name = op_name(i.activation);
  if (i.activation != Op::kLinear && i.kind != Kind::kMerge && std::string(kind_name(i.kind)).rfind(name, 0) != 0)
    text += " " + name;
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
