#!/usr/bin/env bash
# The largest errors of the elementary functions, activations and gradients over every float32 number: 20 minutes on one
# core for avx2, whose bits are those of every instruction set with fused multiply-add; `generic` over every 16th number.
# The last result is cpp/tests/math_sweep.txt. NAMES="gelu' mish": these alone. RUN is put before each piece of half a
# minute or less (nice, say).
set -euo pipefail
cd "$(dirname "$0")/../.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

sweep() { # ISA, its flags, stride
  # __FAST_MATH__ shows the compiler glibc's vector functions; the flags that it usually stands for stay off.
  # shellcheck disable=SC2086
  g++ -std=c++20 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -D__FAST_MATH__ -Icpp \
    -DLW_ISA="$1" -DLW_ISA_"${1^^}" $2 cpp/tests/math_sweep.cpp -o "$work/$1"
  echo "$1, every $3. float32 number" | sed "s/every 1. /every /"
  for name in ${NAMES:-$("$work/$1" 100000007 | cut -d' ' -f1)}; do
    for piece in 0 1 2 3 4 5 6 7; do ${RUN:-} "$work/$1" "$3" "$name" "$piece" 8; done | sort -k2 -g | tail -1
  done
}
sweep avx2 "-mavx2 -mfma" 1
sweep generic "" 16
