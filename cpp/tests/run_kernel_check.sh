#!/usr/bin/env bash
# Builds kernel_check for this machine and, with a cross compiler and an emulator, for AArch64; runs both and compares the
# hashes of every ISA with fused multiply-add. CXX and CROSS_CXX choose the compilers, EXTRA_FLAGS adds to their flags
# (a sanitizer, say); REQUIRE_NEON=1 makes a missing cross compiler or emulator an error instead of a remark.
# OBJECTS=DIRECTORY: a CMake build tree whose objects are checked on this machine, the very code of a wheel, instead of
# ones compiled here (with the plain thread team, where the build has OpenMP's).
# CASES: how many random cases of each kernel (500). Under the emulator NEON has a twentieth of them, and generic, which
# no AArch64 machine falls back to, is left out; EMULATED=all: NEON has them all (half an hour for 10,000) and generic a
# twentieth.
# INTEGERS=all: every size of the products of integers there too, and on generic. ONLY=random: nothing but these,
# ONLY=cases: not even integers and special values, ONLY=training: nothing but a training, ONLY=fixed: a training, and
# kernels at fixed sizes.
# KERNELS="column_sum row_sum": random cases and special values of these alone (and no planted faults, which are of
# others).
# ISA: that instruction set alone is checked; with OBJECTS too, its kernels are compiled here, with EXTRA_FLAGS, and all
# else is of OBJECTS or stands in WORK. OPTIMISE, DRIVER: flags of what is checked (-O2) and of the checks (-O1).
set -euo pipefail
cd "$(dirname "$0")/../.."
CXX="${CXX:-g++}"
CROSS_CXX="${CROSS_CXX:-aarch64-linux-gnu-g++}"
QEMU="${QEMU:-qemu-aarch64}"
work="${WORK:-$(mktemp -d)}"  # WORK=DIRECTORY keeps what was built
ended() {  # checks that still run would write to what is gone
  # shellcheck disable=SC2046
  kill $(jobs -p) 2>/dev/null || :
  [ -n "${WORK:-}" ] || rm -rf "$work"
}
trap ended EXIT

common="-std=c++20 -ffp-contract=off -fno-math-errno -Wall -Wextra -Werror -Wno-restrict -Wno-maybe-uninitialized -Wno-uninitialized -Icpp"
if "$CXX" --version | grep -qi clang; then common="${common/-Wno-restrict -Wno-maybe-uninitialized -Wno-uninitialized/}"; fi
common="$common ${EXTRA_FLAGS:-}"
kernel_flags="-fno-trapping-math -fno-exceptions -fno-rtti"
kernels="$(cd cpp/kernels && printf '%s ' *.cpp | sed 's/\.cpp//g')"

compile() { # compiler, folder, then "isa:flags" ...
  local cxx="$1" out="$2"; shift 2
  mkdir -p "$out"
  local have=""
  for pair in "$@"; do
    local isa="${pair%%:*}" flags="${pair#*:}"
    have="$have -DLW_HAVE_${isa^^}"
    for k in $kernels; do
      [ -n "$objects" ] && [ "$isa" != "${ISA:-}" ] ||
        echo "$cxx $common $optimise $kernel_flags $flags -DLW_ISA=$isa -DLW_ISA_${isa^^} -c cpp/kernels/$k.cpp -o $out/$isa-$k.o"
    done
  done > "$out/jobs"
  if [ -z "$objects" ]; then  # as one file: most of each is headers of the standard library
    printf '#include "%s"\n' dispatch/dispatch.cpp $(cd cpp && echo engine/*.cpp) > "$out/engine.cpp"
    echo "$cxx $common $optimise $have -c $out/engine.cpp -o $out/engine.o"
  fi >> "$out/jobs"
  for f in cpp/tests/*_check.cpp cpp/tests/*cases.cpp; do
    [ -n "$objects" ] && [ -n "${ISA:-}" ] && [ -e "$out/$(basename "$f" .cpp).o" ] ||
      echo "$cxx $common $driver $have -c $f -o $out/$(basename "$f" .cpp).o"
  done >> "$out/jobs"
  xargs -P "$(nproc)" -I{} sh -c '{} || exit 255' < "$out/jobs"
  local static="-static"
  [ -z "${EXTRA_FLAGS:-}" ] || static=""  # sanitizers have no static run time
  [ -z "$objects" ] || static="-fopenmp"
  # shellcheck disable=SC2086
  "$cxx" "$out"/*.o $objects -pthread $static ${EXTRA_FLAGS:-} -o "$out/kernel_check"
}

case "$(uname -m)" in
  x86_64) native=("generic:" "avx2:-mavx2 -mfma"
                  "avx512:-mavx2 -mfma -mavx512f -mavx512dq -mavx512bw -mavx512vl -mprefer-vector-width=512") ;;
  aarch64) native=("generic:" "neon:") ;;
  *) native=("generic:") ;;
esac
for i in "${!native[@]}"; do
  case "${ISA:-${native[$i]%%:*}}" in "${native[$i]%%:*}") ;; *) [ "$i" = 0 ] || unset "native[$i]" ;; esac  # generic is never left out
done
objects=""
if [ -n "${OBJECTS:-}" ]; then
  objects="$(find "$OBJECTS" -path '*/CMakeFiles/kernels_*.o' -o -path '*/CMakeFiles/engine_*.o' | grep -v "kernels_${ISA:-none}\.dir" | tr '\n' ' ')"
  [ -n "$objects" ] || { echo "OBJECTS: no objects of a build under $OBJECTS"; exit 1; }
fi
# The checks themselves are compiled quickly, what they check as the wheel is; under the emulator, where the compiler
# takes longer than the check, with -O1: the contract holds for any.
driver="${DRIVER:--O1}" optimise="${OPTIMISE:--O2}"
compile "$CXX" "$work/native" "${native[@]}"
cases="${CASES:-500}" planted=yes
[ -z "${KERNELS:-}" ] || planted=no
"$work/native/kernel_check" isa="${ISA:-}" cases="$cases" integers="${INTEGERS:-fused}" planted="$planted" check="${ONLY:-all}" \
  > "$work/native.txt" &  # beside what runs under the emulator
native_check=$!
native_done() {
  local good=0
  wait "$native_check" || good=$?
  cat "$work/native.txt"
  return "$good"
}
if [ "$(uname -m)" = aarch64 ]; then
  native_done
elif command -v "$CROSS_CXX" >/dev/null && command -v "$QEMU" >/dev/null; then
  objects="" optimise="-O1"
  compile "$CROSS_CXX" "$work/arm" "generic:" "neon:"
  few=$((cases / 20)) many=$((cases / 20)) generic=""
  [ "${EMULATED:-some}" != all ] || many="$cases"
  emulated() { # isa, cases, check; in place of its shell, which is what `ended` ends
    exec "$QEMU" "$work/arm/kernel_check" isa="$1" cases="$2" integers="${INTEGERS:-some}" check="$3"
  }
  : > "$work/arm-generic.txt"
  if [ "${EMULATED:-some}" = all ]; then
    emulated generic "$few" "${ONLY:-all}" > "$work/arm-generic.txt" &
    generic=$!
  fi
  fixed=""
  if [ -z "${ONLY:-}" ]; then  # on two cores
    emulated neon "$many" fixed > "$work/arm-fixed.txt" &
    fixed=$!
    emulated neon "$many" random > "$work/arm-random.txt" &
  else
    emulated neon "$many" "$ONLY" > "$work/arm.txt" &
  fi
  neon=$!
  native_done
  good=0
  wait "$neon" || good=$?
  if [ -n "$fixed" ]; then
    wait "$fixed" || good=$?
    cat "$work/arm-random.txt" "$work/arm-fixed.txt" > "$work/arm.txt"
  fi
  [ -z "$generic" ] || wait "$generic" || good=$?
  cat "$work/arm.txt" "$work/arm-generic.txt"
  [ "$good" = 0 ]
  fused="$(sed -nE 's/^(avx512|avx2) .*/\1/p;T;q' "$work/native.txt")"
  if [ -n "$fused" ]; then
    hashes() { grep -E "^$1 [0-9a-f]{16} " "$2" | cut -d' ' -f2-; }
    diff <(hashes "$fused" "$work/native.txt") <(hashes neon "$work/arm.txt")
    echo "NEON and $fused: equal hashes of $(hashes neon "$work/arm.txt" | wc -l) kernels"
  else
    echo "this CPU has no ISA with FMA to compare NEON with"
  fi
else
  native_done
  remark="$CROSS_CXX or $QEMU is missing (packages g++-aarch64-linux-gnu and qemu-user)"
  [ "${REQUIRE_NEON:-0}" != 1 ] || { echo "NEON: $remark"; exit 1; }
  echo "NEON left out: $remark"
fi
