// Dropout, alpha dropout, Gaussian dropout and Gaussian noise: random while training, otherwise the identity. The
// gradient makes the same random words again, so that no mask is kept.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/execute.h"

namespace lanewise {
namespace {

// What selu saturates to, -1.0507... * 1.6732...: alpha dropout puts it in place of what it drops (Klambauer et al.
// 2017).
constexpr double kSaturation = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717;

}  // namespace

void execute_noise(const Run& run, const Instruction& i, int64_t begin, int64_t end) {
  const int64_t cols = run.shape(i.out).cols, first = begin * cols, n = (end - begin) * cols;
  const float* x = run.data(i.in) + first;
  float* y = run.data(i.out) + first;
  if (!(run.training || i.always) || i.rate == 0) {
    std::memcpy(y, x, static_cast<size_t>(n) * sizeof(float));
    return;
  }
  const KernelTable& k = *run.table;
  const PhiloxKey key{run.seed, static_cast<uint64_t>(run.step), kStreamDropout, static_cast<uint32_t>(i.index)};
  const double rate = static_cast<double>(i.rate);
  const auto threshold = static_cast<uint32_t>(std::min(rate * 4294967296.0, 4294967295.0));
  switch (i.activation) {
    case Op::kGaussianNoise:
      return k.gaussian_apply(x, y, first, n, i.rate, 0.0f, key);
    case Op::kGaussianDropout:  // times a normal number of mean 1 and variance rate / (1 - rate): backward as forward
      return k.gaussian_apply(x, y, first, n, 0.0f, static_cast<float>(std::sqrt(rate / (1.0 - rate))), key);
    case Op::kAlphaDropout: {  // then a * . + b, so that mean 0 and variance 1 stay
      const double a = 1.0 / std::sqrt((1.0 - rate) * (1.0 + rate * kSaturation * kSaturation));
      const double b = -a * kSaturation * rate;
      const bool forward = i.kind == Kind::kDropout;
      return k.alpha_dropout_apply(x, y, first, n, threshold, static_cast<float>(a),
                                   forward ? static_cast<float>(b) : 0.0f,
                                   forward ? static_cast<float>(a * kSaturation + b) : 0.0f, key);
    }
    default:
      if (rate == 1) return std::fill_n(y, n, 0.0f), void();
      return k.dropout_apply(x, y, first, n, threshold, 1.0f / (1.0f - i.rate), key);
  }
}

}  // namespace lanewise
