// Losses for yes and no: p a logit or a probability, t the target. Meanings are Keras's.
#include "kernels/losses.h"

namespace lanewise::LW_ISA {
namespace {

// t * (1 - s) + s / 2
struct Smoothing {
  Vec factor, shift;
  LW_INLINE explicit Smoothing(const float* param)
      : factor(one() - Vec::set1(param[0])), shift(half() * Vec::set1(param[0])) {}
  LW_INLINE Vec smooth(Vec t) const { return fma(t, factor, shift); }
};

// max(x, 0) - x * y + log(1 + e^-|x|); derivative sigmoid(x) - y
struct BinaryCrossentropy : Smoothing {
  using Smoothing::Smoothing;
  LW_INLINE Vec loss(Vec x, Vec t) const {
    const Vec top = select(x <= Vec::zero(), Vec::zero(), x);
    return fnma(x, smooth(t), top) + log1p_positive(exp(-abs(x)));
  }
  LW_INLINE Vec gradient(Vec x, Vec t) const { return sigmoid(x) - smooth(t); }
};

LW_INLINE Vec clip_probability(Vec p) { return clip(p, kEpsilon, 1.0f - kEpsilon); }
LW_INLINE Mask unclipped_probability(Vec p) { return unclipped(p, kEpsilon, 1.0f - kEpsilon); }
// -(y log p + (1 - y) log(1 - p)) with p clipped; derivative (1 - y) / (1 - p) - y / p, 0 where it was clipped
struct BinaryCrossentropyProbs : Smoothing {
  using Smoothing::Smoothing;
  LW_INLINE Vec loss(Vec p, Vec t) const {
    const Vec q = clip_probability(p), y = smooth(t);
    return -fma(y, call_log(q), (one() - y) * call_log(one() - q));
  }
  LW_INLINE Vec gradient(Vec p, Vec t) const {
    const Vec y = smooth(t), g = (one() - y) / (one() - p) - y / p;
    return select(unclipped_probability(p), g, Vec::zero());
  }
};

// w u^g B with B the cross-entropy, u = y (1 - p) + (1 - y) p how wrong p is, w = y a1 + (1 - y) a0 the weight of the
// class. Derivative w (g u^(g - 1) (1 - 2 y) B + u^g B'); by a logit, the first term times p (1 - p). param: smoothing,
// gamma, a1, a0.
template <class Crossentropy, bool Logits>
struct Focal : Crossentropy {
  Vec gamma, a1, a0;
  LW_INLINE explicit Focal(const float* param)
      : Crossentropy(param), gamma(Vec::set1(param[1])), a1(Vec::set1(param[2])), a0(Vec::set1(param[3])) {}
  LW_INLINE Vec weight(Vec y) const { return fma(y, a1, (one() - y) * a0); }
  static LW_INLINE Vec yes(Vec p) { return Logits ? call_sigmoid(p) : p; }
  static LW_INLINE Vec no(Vec p) { return Logits ? call_sigmoid(-p) : one() - p; }
  static LW_INLINE Vec wrong(Vec p, Vec y) { return fma(y, no(p), (one() - y) * yes(p)); }
  LW_INLINE Vec loss(Vec p, Vec t) const {
    const Vec y = this->smooth(t);
    return weight(y) * power(wrong(p, y), gamma) * Crossentropy::loss(p, t);
  }
  LW_INLINE Vec gradient(Vec p, Vec t) const {
    const Vec y = this->smooth(t), u = wrong(p, y);
    Vec slope = gamma * power(u, gamma - one()) * (one() - (y + y)) * Crossentropy::loss(p, t);
    if (Logits) slope = slope * yes(p) * no(p);
    return weight(y) * fma(power(u, gamma), Crossentropy::gradient(p, t), slope);
  }
};

// 1 - y p with y = -1 for a target of 0, else the target (so labels are 0 and 1, or -1 and 1)
struct Margin : Plain {
  using Plain::Plain;
  static LW_INLINE Vec label(Vec t) { return select(t == Vec::zero(), -one(), t); }
  static LW_INLINE Vec margin(Vec p, Vec t) {
    const Vec m = fnma(label(t), p, one());
    return select(m <= Vec::zero(), Vec::zero(), m);
  }
};
// max(1 - y p, 0); the derivative at the edge is 0
struct Hinge : Margin {
  using Margin::Margin;
  LW_INLINE Vec loss(Vec p, Vec t) const { return margin(p, t); }
  LW_INLINE Vec gradient(Vec p, Vec t) const { return select(margin(p, t) == Vec::zero(), Vec::zero(), -label(t)); }
};
// the same squared
struct SquaredHinge : Margin {
  using Margin::Margin;
  LW_INLINE Vec loss(Vec p, Vec t) const {
    const Vec m = margin(p, t);
    return m * m;
  }
  LW_INLINE Vec gradient(Vec p, Vec t) const { return Vec::set1(-2.0f) * label(t) * margin(p, t); }
};

using FocalLogits = Focal<BinaryCrossentropy, true>;
using FocalProbs = Focal<BinaryCrossentropyProbs, false>;

}  // namespace

LW_ROW_LOSS(binary_crossentropy_forward, binary_crossentropy_backward, BinaryCrossentropy, true)
LW_ROW_LOSS(binary_crossentropy_probs_forward, binary_crossentropy_probs_backward, BinaryCrossentropyProbs, true)
LW_ROW_LOSS(binary_focal_crossentropy_forward, binary_focal_crossentropy_backward, FocalLogits, true)
LW_ROW_LOSS(binary_focal_crossentropy_probs_forward, binary_focal_crossentropy_probs_backward, FocalProbs, true)
LW_ROW_LOSS(hinge_forward, hinge_backward, Hinge, true)
LW_ROW_LOSS(squared_hinge_forward, squared_hinge_backward, SquaredHinge, true)

}  // namespace lanewise::LW_ISA
