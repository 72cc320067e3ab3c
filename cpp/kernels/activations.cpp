// Elementwise activations. Each is a struct with its equation and the gradient, in terms of the output y or of the
// input x.
#include "kernels/declare.h"
#include "simd/loops.h"
#include "simd/math.h"

namespace lanewise::LW_ISA {
namespace {

struct Linear {
  static LW_INLINE Vec forward(Vec x) { return x; }
  static LW_INLINE Vec backward(Vec dy, Vec) { return dy; }
};
// y = x > 0 ? x : +0; NaN stays. dx = y > 0 ? dy : +0.
struct Relu {
  static LW_INLINE Vec forward(Vec x) { return select(x <= Vec::zero(), Vec::zero(), x); }
  static LW_INLINE Vec backward(Vec dy, Vec y) { return select(y > Vec::zero(), dy, Vec::zero()); }
};
// dx = dy * y * (1 - y)
struct Sigmoid {
  static LW_INLINE Vec forward(Vec x) { return sigmoid(x); }
  static LW_INLINE Vec backward(Vec dy, Vec y) { return dy * (y * (Vec::set1(1.0f) - y)); }
};
// dx = dy * (1 - y^2)
struct Tanh {
  static LW_INLINE Vec forward(Vec x) { return tanh(x); }
  static LW_INLINE Vec backward(Vec dy, Vec y) { return dy * fnma(y, y, Vec::set1(1.0f)); }
};

template <class F>
LW_INLINE void short_forward(const float* x, int64_t ldx, const float* bias, float* y, int64_t ldy, int64_t rows,
                             int64_t cols, const ActivationArgs&) {
  if (bias == nullptr) {
    if (ldx == cols && ldy == cols) cols *= rows, rows = rows > 0;  // one long row
    for (int64_t r = 0; r < rows; ++r) map_vectors<F>(x + r * ldx, y + r * ldy, cols);
  } else {
    for_matrix(rows, cols, false, [&](int64_t r, int64_t c, int64_t n) {
      store(F::forward(load(x + r * ldx + c, n) + load(bias + c, n)), y + r * ldy + c, n);
    });
  }
}

template <class F>
LW_INLINE void short_backward(const float* dy, int64_t lddy, const float* y, int64_t ldy, float* dx, int64_t lddx,
                              int64_t rows, int64_t cols, const ActivationArgs&) {
  for_matrix(rows, cols, lddy == cols && ldy == cols && lddx == cols, [&](int64_t r, int64_t c, int64_t n) {
    store(F::backward(load(dy + r * lddy + c, n), load(y + r * ldy + c, n)), dx + r * lddx + c, n);
  });
}

// --- those with parameters or a longer equation
// ------------------------------------------------------------------------

struct Args {
  Vec a, b, c;
};
LW_INLINE Vec one() { return Vec::set1(1.0f); }
LW_INLINE Vec clip(Vec x, Vec low, Vec high) {  // NaN stays
  x = select(x < low, low, x);
  return select(x > high, high, x);
}

// e^x; dx = dy * y
struct Exponential {
  static LW_INLINE Vec forward(Vec x, const Args&) { return exp(x); }
  static LW_INLINE Vec backward(Vec dy, Vec y, const Args&) { return dy * y; }
};
// a * log(1 + e^(ax)) for a = 1 or -1; dx = dy * (1 - e^-|y|)
struct Softplus {
  static LW_INLINE Vec forward(Vec x, const Args& v) {
    const Vec s = v.a * x, top = select(s <= Vec::zero(), Vec::zero(), s);
    return v.a * (top + log1p_positive(exp(-abs(s))));
  }
  static LW_INLINE Vec backward(Vec dy, Vec y, const Args&) { return -(dy * expm1(-abs(y))); }
};
// x / (1 + |x|); dx = dy * (1 - |y|)^2
struct Softsign {
  static LW_INLINE Vec forward(Vec x, const Args&) { return x / (one() + abs(x)); }
  static LW_INLINE Vec backward(Vec dy, Vec y, const Args&) {
    const Vec d = one() - abs(y);
    return dy * (d * d);
  }
};
// (x + b) / a, cut to [c, 1]; dx = dy / a between
struct HardSigmoid {
  static LW_INLINE Vec forward(Vec x, const Args& v) { return clip((x + v.b) / v.a, v.c, one()); }
  static LW_INLINE Vec backward(Vec dy, Vec y, const Args& v) {
    return select((y > v.c) & (y < one()), dy / v.a, Vec::zero());
  }
};
// x > b: x, at most c; else a * (x - b) (a = 0: +0). dx = dy up to c, 0 beyond, a * dy below b
struct LeakyRelu {
  static LW_INLINE Vec forward(Vec x, const Args& v) {
    const Vec below = select((v.a == Vec::zero()) & (x <= v.b), Vec::zero(), v.a * (x - v.b));
    return select(x > v.b, select(x > v.c, v.c, x), below);
  }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args& v) {
    return select(x > v.b, select(x > v.c, Vec::zero(), dy), v.a * dy);
  }
};
// x > 0: c * x; else a * (e^(bx) - 1). dx = dy * (c or a * b * e^(bx))
struct Elu {
  static LW_INLINE Vec forward(Vec x, const Args& v) { return select(x > Vec::zero(), v.c * x, v.a * expm1(v.b * x)); }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args& v) {
    return dy * select(x > Vec::zero(), v.c, v.a * v.b * exp(v.b * x));
  }
};
// x * F(x), F the standard normal distribution; dx = dy * (F(x) + x * F'(x))
struct Gelu {
  static LW_INLINE Vec forward(Vec x, const Args&) { return x * normal_cdf(x, normal(x)); }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args&) {
    const Normal at = normal(x);
    return dy * fma(x, at.bell * Vec::set1(0.398942280f), normal_cdf(x, at));  // F'(0) = 1 / sqrt(2 pi)
  }
};
// x * s, s = sigmoid(2 u(x)) = (1 + tanh u) / 2, u = sqrt(2 / pi) * (x + 0.044715 x^3); dx = dy * (s + x s (1 - s) 2
// u'). Beyond |x| = 20 s is 0 or 1.
struct GeluTanh {
  static LW_INLINE Vec twice_u(Vec x, float cubic) { return fma(x * x, Vec::set1(cubic), Vec::set1(1.595769122f)); }
  static LW_INLINE Vec forward(Vec x, const Args&) {
    const Vec near = clip(x, Vec::set1(-20.0f), Vec::set1(20.0f));
    return x * sigmoid(near * twice_u(near, 0.0713548163f));
  }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args&) {
    const Vec near = clip(x, Vec::set1(-20.0f), Vec::set1(20.0f)), s = sigmoid(near * twice_u(near, 0.0713548163f));
    return dy * fma(near * s * (one() - s), twice_u(near, 0.214064449f), s);
  }
};
// x * s, s = sigmoid(x); dx = dy * (s + x s (1 - s))
struct Silu {
  static LW_INLINE Vec forward(Vec x, const Args&) { return x * sigmoid(x); }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args&) {
    const Vec s = sigmoid(x);
    return dy * fma(x * s, one() - s, s);
  }
};
// x * w, w = tanh(log(1 + e^x)) = top / bottom: with e = e^-|x|, top = e (e + 2), bottom = top + 2 for x < 0, else
// top = 1 + 2e, bottom = top + 2e^2. dx = dy * (w + x w'), w' = 4e (1 + e) / bottom^2, times e for x >= 0.
struct Mish {
  Vec e, top, bottom;
  Mask negative;
  explicit LW_INLINE Mish(Vec x) : e(exp(-abs(x))), negative(x < Vec::zero()) {
    const Vec two = Vec::set1(2.0f), twice = e + e;
    top = select(negative, e * (e + two), twice + one());
    bottom = top + select(negative, two, twice * e);
  }
  static LW_INLINE Vec forward(Vec x, const Args&) {
    const Mish m(x);
    return x * (m.top / m.bottom);
  }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args&) {
    const Mish m(x);
    const Vec inverse = one() / m.bottom, rise = Vec::set1(4.0f) * m.e * (one() + m.e);
    const Vec slope = select(m.negative, rise, rise * m.e) * inverse * inverse;
    return dy * fma(x, slope, m.top * inverse);
  }
};
// x * h, h = (x + 3) / 6 cut to [0, 1]; dx = 0, dy * (x / 3 + 1/2), dy
struct HardSilu {
  static LW_INLINE Vec forward(Vec x, const Args&) {
    return x * clip((x + Vec::set1(3.0f)) / Vec::set1(6.0f), Vec::zero(), one());
  }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args&) {
    const Vec three = Vec::set1(3.0f), slope = fma(x, Vec::set1(1.0f / 3.0f), Vec::set1(0.5f));
    return select(x <= -three, Vec::zero(), select(x >= three, dy, dy * slope));
  }
};

// f(row, column, lanes) over (rows, cols) with one copy of f in the object, tails included: f is long.
template <class F>
LW_INLINE void for_matrix_once(int64_t rows, int64_t cols, bool flat, F f) {
  if (flat) cols *= rows, rows = rows > 0;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; c += Vec::kLanes) f(r, c, smaller(Vec::kLanes, cols - c));
}

template <class F>
LW_INLINE void forward(const float* x, int64_t ldx, const float* bias, float* y, int64_t ldy, int64_t rows,
                       int64_t cols, const ActivationArgs& args) {
  const Args v{Vec::set1(args.a), Vec::set1(args.b), Vec::set1(args.c)};
  for_matrix_once(rows, cols, bias == nullptr && ldx == cols && ldy == cols, [&](int64_t r, int64_t c, int64_t n) {
    Vec z = load(x + r * ldx + c, n);
    if (bias != nullptr) z = z + load(bias + c, n);
    store(F::forward(z, v), y + r * ldy + c, n);
  });
}

template <class F>
LW_INLINE void backward(const float* dy, int64_t lddy, const float* of, int64_t ldof, float* dx, int64_t lddx,
                        int64_t rows, int64_t cols, const ActivationArgs& args) {
  const Args v{Vec::set1(args.a), Vec::set1(args.b), Vec::set1(args.c)};
  for_matrix_once(rows, cols, lddy == cols && ldof == cols && lddx == cols, [&](int64_t r, int64_t c, int64_t n) {
    store(F::backward(load(dy + r * lddy + c, n), load(of + r * ldof + c, n), v), dx + r * lddx + c, n);
  });
}

// f(index, alpha, lanes) over a contiguous (rows, cols); one column: the rows are the vector.
template <class F>
LW_INLINE void with_alpha(const float* alpha, int64_t rows, int64_t cols, F f) {
  const bool single = cols == 1;
  for_matrix_once(rows, cols, single, [&](int64_t r, int64_t c, int64_t n) {
    f(r * cols + c, single ? Vec::set1(alpha[0]) : load(alpha + c, n), n);
  });
}

}  // namespace

void linear_forward LW_ACTIVATION_FORWARD { short_forward<Linear>(x, ldx, bias, y, ldy, rows, cols, args); }
void linear_backward LW_ACTIVATION_BACKWARD { short_backward<Linear>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void relu_forward LW_ACTIVATION_FORWARD { short_forward<Relu>(x, ldx, bias, y, ldy, rows, cols, args); }
void relu_backward LW_ACTIVATION_BACKWARD { short_backward<Relu>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void sigmoid_forward LW_ACTIVATION_FORWARD { short_forward<Sigmoid>(x, ldx, bias, y, ldy, rows, cols, args); }
void sigmoid_backward LW_ACTIVATION_BACKWARD {
  short_backward<Sigmoid>(dy, lddy, of, ldof, dx, lddx, rows, cols, args);
}
void tanh_forward LW_ACTIVATION_FORWARD { short_forward<Tanh>(x, ldx, bias, y, ldy, rows, cols, args); }
void tanh_backward LW_ACTIVATION_BACKWARD { short_backward<Tanh>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void exponential_forward LW_ACTIVATION_FORWARD { forward<Exponential>(x, ldx, bias, y, ldy, rows, cols, args); }
void exponential_backward LW_ACTIVATION_BACKWARD {
  backward<Exponential>(dy, lddy, of, ldof, dx, lddx, rows, cols, args);
}
void softplus_forward LW_ACTIVATION_FORWARD { forward<Softplus>(x, ldx, bias, y, ldy, rows, cols, args); }
void softplus_backward LW_ACTIVATION_BACKWARD { backward<Softplus>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void softsign_forward LW_ACTIVATION_FORWARD { forward<Softsign>(x, ldx, bias, y, ldy, rows, cols, args); }
void softsign_backward LW_ACTIVATION_BACKWARD { backward<Softsign>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void hard_sigmoid_forward LW_ACTIVATION_FORWARD { forward<HardSigmoid>(x, ldx, bias, y, ldy, rows, cols, args); }
void hard_sigmoid_backward LW_ACTIVATION_BACKWARD {
  backward<HardSigmoid>(dy, lddy, of, ldof, dx, lddx, rows, cols, args);
}
void leaky_relu_forward LW_ACTIVATION_FORWARD { forward<LeakyRelu>(x, ldx, bias, y, ldy, rows, cols, args); }
void leaky_relu_backward LW_ACTIVATION_BACKWARD { backward<LeakyRelu>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void elu_forward LW_ACTIVATION_FORWARD { forward<Elu>(x, ldx, bias, y, ldy, rows, cols, args); }
void elu_backward LW_ACTIVATION_BACKWARD { backward<Elu>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void gelu_forward LW_ACTIVATION_FORWARD { forward<Gelu>(x, ldx, bias, y, ldy, rows, cols, args); }
void gelu_backward LW_ACTIVATION_BACKWARD { backward<Gelu>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void gelu_tanh_forward LW_ACTIVATION_FORWARD { forward<GeluTanh>(x, ldx, bias, y, ldy, rows, cols, args); }
void gelu_tanh_backward LW_ACTIVATION_BACKWARD { backward<GeluTanh>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void silu_forward LW_ACTIVATION_FORWARD { forward<Silu>(x, ldx, bias, y, ldy, rows, cols, args); }
void silu_backward LW_ACTIVATION_BACKWARD { backward<Silu>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void mish_forward LW_ACTIVATION_FORWARD { forward<Mish>(x, ldx, bias, y, ldy, rows, cols, args); }
void mish_backward LW_ACTIVATION_BACKWARD { backward<Mish>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }
void hard_silu_forward LW_ACTIVATION_FORWARD { forward<HardSilu>(x, ldx, bias, y, ldy, rows, cols, args); }
void hard_silu_backward LW_ACTIVATION_BACKWARD { backward<HardSilu>(dy, lddy, of, ldof, dx, lddx, rows, cols, args); }

void prelu_forward(const float* x, const float* alpha, float* y, int64_t rows, int64_t cols) {
  with_alpha(alpha, rows, cols, [&](int64_t i, Vec a, int64_t n) {
    const Vec v = load(x + i, n);
    store(select(v > Vec::zero(), v, a * v), y + i, n);
  });
}
void prelu_backward(const float* dy, const float* x, const float* alpha, float* dx, int64_t rows, int64_t cols) {
  with_alpha(alpha, rows, cols, [&](int64_t i, Vec a, int64_t n) {
    const Vec g = load(dy + i, n);
    store(select(load(x + i, n) > Vec::zero(), g, a * g), dx + i, n);
  });
}
void prelu_alpha_backward(const float* dy, const float* x, float* terms, int64_t n) {
  for_vectors(n, [&](int64_t i, int64_t lanes) {
    const Vec v = load(x + i, lanes);
    store(select(v > Vec::zero(), Vec::zero(), load(dy + i, lanes) * v), terms + i, lanes);
  });
}

}  // namespace lanewise::LW_ISA
