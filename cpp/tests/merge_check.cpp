// Merging kernels: exact where there is one operation, the row products by their bound.
#include "tests/check.h"

namespace lanewise {

void check_merging(const KernelTable& k, std::map<std::string, Hash>& hashes) {
  const struct {
    const char* name;
    void (*merge)(const float*, const float*, float*, int64_t);
    float (*f)(float, float);
  } cases[] = {
      {"add_forward", k.add_forward, [](float u, float v) { return u + v; }},
      {"subtract_forward", k.subtract_forward, [](float u, float v) { return u - v; }},
      {"multiply_forward", k.multiply_forward, [](float u, float v) { return u * v; }},
      {"maximum_forward", k.maximum_forward, [](float u, float v) { return u > v || std::isnan(u) ? u : v; }},
      {"minimum_forward", k.minimum_forward, [](float u, float v) { return u < v || std::isnan(u) ? u : v; }},
      {"divide_forward", k.divide_forward, [](float u, float v) { return u / v; }},
  };
  for (int64_t n : kSizes) {
    Floats a = random_floats(n), b = random_floats(n), y(a.size()), da(a.size());
    const Floats dy = random_floats(n);
    if (n > 2) b[1] = a[1], a[2] = NAN;
    for (const auto& c : cases) {
      c.merge(a.data(), b.data(), y.data(), n);
      for (size_t i = 0; i < y.size(); ++i) {
        const float wanted = c.f(a[i], b[i]);
        expect(y[i] == wanted || (std::isnan(y[i]) && std::isnan(wanted)), k.isa, c.name, n, y[i], wanted);
      }
      if (n > 2) y[2] = 0;  // the bits of a NaN are no promise
      hashes[c.name].add(y);
    }
    if (n > 2) a[2] = 1;
    k.maximum_backward(dy.data(), a.data(), b.data(), da.data(), n);
    for (size_t i = 0; i < da.size(); ++i) {
      const float wanted = a[i] > b[i] ? dy[i] : a[i] < b[i] ? 0 : dy[i] / 2;
      expect(da[i] == wanted, k.isa, "maximum_backward", n, da[i], wanted);
    }
    hashes["maximum_backward"].add(da);

    const int64_t rows = 3;
    const Floats u = random_floats(rows * n), v = random_floats(rows * n);
    Floats dot(static_cast<size_t>(rows)), back(u.size());
    k.dot_forward(u.data(), v.data(), dot.data(), rows, n);
    k.dot_backward(dot.data(), v.data(), back.data(), rows, n);
    for (int64_t r = 0; r < rows; ++r) {
      const float got = dot[static_cast<size_t>(r)];
      double sum = 0, mass = 0;
      for (int64_t c = 0; c < n; ++c) {
        const auto i = static_cast<size_t>(r * n + c);
        sum += static_cast<double>(u[i]) * v[i], mass += std::fabs(static_cast<double>(u[i]) * v[i]);
        expect(back[i] == got * v[i], k.isa, "dot_backward", n, back[i], got * v[i]);
      }
      expect_within(k.isa, "dot_forward", n, got, sum, mass * kU * (static_cast<double>(n) / 16 + 12));
    }
    hashes["dot_forward"].add(dot);
    hashes["dot_backward"].add(back);
  }
}

}  // namespace lanewise
