#include "engine/random.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/team.h"
#include "engine/philox.h"

namespace lanewise {
namespace {

// log(x) for normal x > 0: x = 2^e * f with f in [sqrt(1/2), sqrt(2)), log f = 2 atanh((f - 1) / (f + 1)) by its
// series.
double log_exact(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  int64_t e = static_cast<int64_t>(bits >> 52) - 1023;
  bits = (bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
  double f;
  std::memcpy(&f, &bits, sizeof f);
  if (f > 1.4142135623730951) f *= 0.5, e += 1;
  const double s = (f - 1.0) / (f + 1.0), z = s * s;
  double sum = 0.0;
  for (int n = 21; n >= 1; n -= 2) sum = sum * z + 1.0 / n;
  return static_cast<double>(e) * 0.6931471805599453 + 2.0 * s * sum;
}

double horner(const double* c, int n, double x) {
  double sum = c[n - 1];
  for (int i = n - 2; i >= 0; --i) sum = sum * x + c[i];
  return sum;
}

// The inverse of the standard normal distribution function for 0 < p < 1, about 1e-16 relative.
// M. J. Wichura, Algorithm AS 241 (PPND16), Applied Statistics 37 (1988) 477-484.
double normal_quantile(double p) {
  static const double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                             1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                             3.3430575583588128105e4, 2.5090809287301226727e3};
  static const double b[] = {1.0,
                             4.2313330701600911252e1,
                             6.8718700749205790830e2,
                             5.3941960214247511077e3,
                             2.1213794301586595867e4,
                             3.9307895800092710610e4,
                             2.8729085735721942674e4,
                             5.2264952788528545610e3};
  static const double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                             3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                             2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static const double d[] = {1.0,
                             2.05319162663775882187e0,
                             1.67638483018380384940e0,
                             6.89767334985100004550e-1,
                             1.48103976427480074590e-1,
                             1.51986665636164571966e-2,
                             5.47593808499534494600e-4,
                             1.05075007164441684324e-9};
  static const double e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                             2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                             2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static const double f[] = {1.0,
                             5.99832206555887937690e-1,
                             1.36929880922735805310e-1,
                             1.48753612908506148525e-2,
                             7.86869131145613259100e-4,
                             1.84631831751005468180e-5,
                             1.42151175831644588870e-7,
                             2.04426310338993978564e-15};
  const double q = p - 0.5;
  if (std::fabs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * horner(a, 8, r) / horner(b, 8, r);
  }
  const double r = std::sqrt(-log_exact(q < 0 ? p : 1.0 - p));
  const double x =
      r <= 5.0 ? horner(c, 8, r - 1.6) / horner(d, 8, r - 1.6) : horner(e, 8, r - 5.0) / horner(f, 8, r - 5.0);
  return q < 0 ? -x : x;
}

// Two words make one number: 53 bits on the grid of 2^-53.
double unit(uint32_t high, uint32_t low) {
  const uint64_t bits = (uint64_t{high} << 21) | (low >> 11);
  return static_cast<double>(bits) * (1.0 / 9007199254740992.0);
}

}  // namespace

void random_uniform(const PhiloxKey& key, int64_t n, double* out) {
  const FloatEnvironment environment;
  uint32_t w[4] = {};
  for (int64_t i = 0; i < n; ++i) {
    if (i % 2 == 0) philox_block(key, static_cast<uint32_t>(i / 2), w);
    out[i] = i % 2 == 0 ? unit(w[0], w[1]) : unit(w[2], w[3]);
  }
}

// A value outside the limits is drawn again from the element's own spare stream (the top bit of the stream number,
// blocks numbered by element, steps by attempt), so that no element depends on another.
void random_normal(const PhiloxKey& key, int64_t n, double lower, double upper, double* out) {
  const FloatEnvironment environment;
  random_uniform(key, n, out);
  for (int64_t i = 0; i < n; ++i) {
    double u = out[i], x = 0;
    for (uint64_t attempt = 1;; ++attempt) {
      if (u > 0) {
        x = normal_quantile(u);
        if (x >= lower && x <= upper) break;
      }
      const PhiloxKey spare{key.seed, key.step + (attempt << 40), key.stream | 0x8000u, key.node};
      uint32_t w[4] = {};
      philox_block(spare, static_cast<uint32_t>(i), w);
      u = unit(w[0], w[1]);
    }
    out[i] = x;
  }
}

// Fisher and Yates: element i changes places with one of 0..i, drawn from 64 bits by multiplication (bias below 2^-32).
void permutation(uint64_t seed, uint64_t step, int64_t n, uint32_t* out, const std::function<void()>& between) {
  constexpr int64_t kStretch = int64_t{1} << 18;  // draws: 10 ms where every one misses the caches
  const PhiloxKey key{seed, step, 1, 0};
  uint32_t w[4] = {};
  for (int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<uint32_t>(i);
    if ((i + 1) % (8 * kStretch) == 0) between();  // memory fresh from the system comes a page at a time
  }
  for (int64_t i = n - 1; i > 0; --i) {
    const int64_t draw = n - 1 - i;
    if (draw % 2 == 0) philox_block(key, static_cast<uint32_t>(draw / 2), w);
    const uint64_t word = draw % 2 == 0 ? (uint64_t{w[0]} << 32) | w[1] : (uint64_t{w[2]} << 32) | w[3];
    const auto j = static_cast<int64_t>((static_cast<unsigned __int128>(word) * static_cast<uint64_t>(i + 1)) >> 64);
    std::swap(out[i], out[j]);
    if (draw % kStretch == kStretch - 1) between();
  }
}

namespace {

// Sum over rows of f(value, column): row r joins chain r mod 16, the chains are joined 8, 4, 2, 1 apart.
template <class F>
void column_chains(const Source& s, std::vector<double>& row, F f, double* out) {
  const auto cols = static_cast<size_t>(s.cols);
  std::vector<double> chains(16 * cols, 0.0);
  for (int64_t r = 0; r < s.rows; ++r) {
    gather(s, nullptr, 0, r, r + 1, row.data());
    double* chain = &chains[static_cast<size_t>(r % 16) * cols];
    for (size_t c = 0; c < cols; ++c) chain[c] += f(row[c], c);
  }
  for (size_t half = 8; half >= 1; half /= 2)
    for (size_t i = 0; i < half; ++i)
      for (size_t c = 0; c < cols; ++c) chains[i * cols + c] += chains[(i + half) * cols + c];
  std::copy_n(chains.begin(), cols, out);
}

}  // namespace

void column_moments(const Source& s, double* mean, double* variance) {
  const FloatEnvironment environment;
  std::vector<double> row(static_cast<size_t>(s.cols));
  const auto n = static_cast<double>(s.rows);
  column_chains(
      s, row, [](double x, size_t) { return x; }, mean);
  for (int64_t c = 0; c < s.cols; ++c) mean[c] /= n;
  column_chains(
      s, row,
      [&](double x, size_t c) {
        const double d = x - mean[c];
        return d * d;
      },
      variance);
  for (int64_t c = 0; c < s.cols; ++c) variance[c] /= n;
}

}  // namespace lanewise
