// What the checks without Python share: random input, hashes, failures.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <map>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace lanewise {

using Floats = std::vector<float>;

inline int g_failures = 0;
inline uint64_t g_state = 1;

// Values in [-scale, scale), the same everywhere: a linear congruential generator's upper bits.
inline float draw(float scale) {
  g_state = g_state * 6364136223846793005ull + 1442695040888963407ull;
  const auto word = static_cast<int32_t>(g_state >> 40) - (1 << 23);
  return static_cast<float>(word) * (1.0f / 8388608.0f) * scale;
}
inline Floats random_floats(int64_t n, float scale = 2.0f) {
  Floats v(static_cast<size_t>(n));
  for (float& x : v) x = draw(scale);
  return v;
}
inline Floats random_probabilities(int64_t n) {
  Floats v = random_floats(n, 0.49f);
  for (float& x : v) x += 0.5f;
  return v;
}
inline const std::vector<int64_t> kSizes = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 513, 1025};
struct Hash {
  uint64_t value = 14695981039346656037ull;
  void add(const float* p, size_t n) {
    for (size_t i = 0; i < n; ++i) {
      uint32_t bits;
      std::memcpy(&bits, p + i, 4);
      for (int b = 0; b < 4; ++b) value = (value ^ ((bits >> (8 * b)) & 0xFF)) * 1099511628211ull;
    }
  }
  void add(const Floats& v) { add(v.data(), v.size()); }
};

inline void expect(bool good, const char* isa, const char* what, int64_t size, double got, double wanted) {
  if (good) return;
  if (++g_failures <= 20)
    std::printf("FAIL %s %s size %lld: got %.9g, expected %.9g\n", isa, what, static_cast<long long>(size), got,
                wanted);
}

inline void expect_within(const char* isa, const char* what, int64_t size, double got, double wanted, double bound) {
  expect(std::fabs(got - wanted) <= bound, isa, what, size, got, wanted);
}

constexpr double kU = 1.0 / 16777216.0;  // 2^-24

// Elementwise activations and prelu against float64 (activation_check.cpp); adds the hashes of the results.
void check_activations(const KernelTable& table, std::map<std::string, Hash>& hashes);

// Matrix products of every way on the active ISA (product_check.cpp). Returns the hash of the results.
Hash check_products(const KernelTable& table);

// What threads take of each other's shares of a product (tail_check.cpp).
void check_tails(const KernelTable& table);

// Losses and accuracies (loss_check.cpp); adds the hash of each kernel's results.
void check_losses(const KernelTable& table, std::map<std::string, Hash>& hashes);
// Several arrays into one and back (merge_check.cpp); the same.
void check_merging(const KernelTable& table, std::map<std::string, Hash>& hashes);

// Ten steps of every optimizer, on arrays of these sizes (optimizer_check.cpp). Returns the hash of each kernel.
std::map<std::string, Hash> check_optimizers(const KernelTable& table, const std::vector<int64_t>& sizes);

// Normalisations, scales and pooling on the active ISA (layer_check.cpp). Returns the hash of the results.
Hash check_layers(const KernelTable& table);

// `count` random cases of every kernel, from number `first` on, on the active ISA (case_check.cpp), and that the checks
// of them can fail.
void check_cases(const KernelTable& table, int64_t first, int64_t count);
void check_planted_faults(const KernelTable& table);
// Special values in every lane (special_cases.cpp).
void check_specials(const KernelTable& table);
// Products of integers, exact at every size: a choice of sizes, or all of 1 to 33 and the edges of blocks
// (product_cases.cpp).
void check_integers(const KernelTable& table, bool everything);

// The choice between one thread and the team, on machines made up (pace_check.cpp).
void check_pace();
// Scratch of every product and of what a smaller last batch makes of it (scratch_check.cpp).
void check_scratch();

// A small training with everything on, fused and unfused at 1, 2, 3 and 7 threads, on the active ISA
// (training_check.cpp). Returns the hash of weights, predictions and sums that all of them must give.
uint64_t check_training(const KernelTable& table);

}  // namespace lanewise
