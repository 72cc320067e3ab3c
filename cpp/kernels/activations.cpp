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
// Those that are x where x > 0, less S(|x|), S(a) -> 0 for large a; their slope 1 where x > 0, else 0, on the other
// side of S'. S is rounded once, so that a result far below 0 keeps its digits.
LW_INLINE Vec tail_argument(Vec x, float most) { return min(Vec::set1(most), abs(x)); }
LW_INLINE Vec from_tail(Vec x, Vec s) { return max(Vec::set1(-0.0f), x) - s; }
LW_INLINE Vec slope_from_tail(Vec x, Vec s) { return select(x < Vec::zero(), s, one() - s); }
LW_INLINE Vec times(const LongExp& e, Vec s) { return scale(fma(s, e.head, s * e.tail), e.n); }

// x * F(x), F the standard normal distribution: S(a) = a F(-a), S'(a) = F(-a) - a F'(a)
struct Gelu {
  static LW_INLINE Vec forward(Vec x, const Args&) {
    const Vec a = tail_argument(x, 15.0f);
    const Normal at = normal(a);
    const Vec p = at.bell.head * at.head;
    const Vec rest = fma(at.bell.head, at.tail, fma(at.bell.tail, at.head, -fnma(at.bell.head, at.head, p)));
    return from_tail(x, scale(fma(a, p, a * rest), at.bell.n));
  }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args&) {
    const Vec a = tail_argument(x, 15.0f);
    const Normal at = normal(a);
    const Vec s = fnma(Vec::set1(0.398942280f), a, at.head) + at.tail;  // F'(0) = 1 / sqrt(2 pi)
    return dy * slope_from_tail(x, times(at.bell, s));
  }
};
// x * sigmoid(x): S(a) = a e / (1 + e), e = e^-a; S'(a) = (1 - a / (1 + e)) e / (1 + e)
struct Silu {
  static LW_INLINE Vec slope(Vec x, const LongExp& e, Vec rise) {
    const Vec tail = scale(e.head, e.n), d = one() + tail, first = one() / d;
    const Vec inverse = fma(first, fnma(first, tail - (d - one()), fnma(first, d, one())), first);
    return slope_from_tail(x, times(e, inverse * fnma(rise, inverse, one())));
  }
  static LW_INLINE Vec forward(Vec x, const Args&) {
    const Vec a = tail_argument(x, kTail);
    return from_tail(x, times_share(a, long_exp(a, Vec::zero()), one()));
  }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args&) {
    const Vec a = tail_argument(x, kTail);
    return dy * slope(x, long_exp(a, Vec::zero()), a);
  }
};
// The same with e = e^-z, z = 2u, u = sqrt(2 / pi) * (a + 0.044715 a^3): x * (1 + tanh u) / 2; S'(a) has a z'(a) for a.
// z's rounding is put back: it would count as often as z is large. z(11.4) = 124.
struct GeluTanh {
  static LW_INLINE LongExp argument(Vec a) {
    const Vec first = Vec::set1(0x1.988454p+0f), cubic = Vec::set1(0x1.2444f2p-4f);
    const Vec square = a * a, times = cubic * square, sum = first + times, part = sum - first;
    Vec rest = (first - (sum - part)) + (times - part) - fnma(cubic, square, times);
    rest = rest + Vec::set1(-0x1.857936p-25f) + fma(Vec::set1(0x1.49b16ap-29f), square, -(cubic * fnma(a, a, square)));
    const Vec z = sum * a;
    return long_exp(z, fnma(a, rest, fnma(sum, a, z)));
  }
  static LW_INLINE Vec forward(Vec x, const Args&) {
    const Vec a = tail_argument(x, 11.4f);
    return from_tail(x, times_share(a, argument(a), one()));
  }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args&) {
    const Vec a = tail_argument(x, 11.4f);
    return dy * Silu::slope(x, argument(a), a * fma(a * a, Vec::set1(0.214064449f), Vec::set1(1.595769122f)));
  }
};
// x * tanh(log(1 + e^x)): with e = e^-a, S(a) = a z / (m + z), z = e (e + 2), m = 2 for x < 0, else z = e * 2e,
// m = 1 + 2e. dx = dy * (w + x w'), w = (m' + x 4 (1 + e) e''/ b) / b
struct Mish {
  Vec a, e;
  Mask negative;
  LongExp of;
  explicit LW_INLINE Mish(Vec x) : a(tail_argument(x, kTail)), negative(x < Vec::zero()), of(long_exp(a, Vec::zero())) {
    e = scale(of.head, of.n);
  }
  static LW_INLINE Vec forward(Vec x, const Args&) {
    const Mish m(x);
    const Vec two = Vec::set1(2.0f), twice = m.e + m.e, more = m.e + two;
    const Vec k = select(m.negative, more, twice), lost = select(m.negative, m.e - (more - two), Vec::zero());
    const Vec z = m.of.head * k;
    const LongExp of{m.of.n, z, fma(m.of.tail, k, fma(m.of.head, lost, -fnma(m.of.head, k, z)))};
    return from_tail(x, times_share(m.a, of, select(m.negative, two, twice + one())));
  }
  static LW_INLINE Vec backward(Vec dy, Vec x, const Args&) {
    const Mish m(x);
    const Vec two = Vec::set1(2.0f), twice = m.e + m.e, more = m.e + two;
    const Vec bottom = select(m.negative, fma(m.e, more, two), fma(twice, m.e, twice + one()));
    const Vec inverse = one() / bottom, rise = Vec::set1(4.0f) * (one() + m.e) * inverse;
    // x < 0: e times (e + 2 - a rise) / bottom; else (1 + 2e + a rise e^2) / bottom
    const Vec below = times(m.of, fnma(m.a, rise, more)), above = fma(m.a * rise, m.e * m.e, twice + one());
    return dy * (select(m.negative, below, above) * inverse);
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
