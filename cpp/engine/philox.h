// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): random words as a
// function of a key and a counter, so that element e of a stream has the same word whoever asks, in whatever order.
// philox_block is plain C++ for any code; kernels/layers.cpp makes the same words in vectors.
//
// Key: the seed. Counter: {element / 4, node + 65536 * stream, step low, step high}; the word is number element % 4.
// So nodes and streams are below 65,536, and a node has at most 2^34 elements.
#pragma once
#include <cstdint>

#include "kernels/kernels.h"

namespace lanewise {

static inline void philox_block(const PhiloxKey& key, uint32_t block, uint32_t out[4]) {
  uint32_t k0 = static_cast<uint32_t>(key.seed), k1 = static_cast<uint32_t>(key.seed >> 32);
  uint32_t c0 = block, c1 = (key.node & 0xFFFFu) | (key.stream << 16), c2 = static_cast<uint32_t>(key.step),
           c3 = static_cast<uint32_t>(key.step >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0, p1 = uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

}  // namespace lanewise
