#!/usr/bin/env bash
# ./dev gpu VERB: weft on a machine with a GPU, with CUDA 13, cuDNN, CMake, ninja and Python, and nothing else installed.
# Each verb but carry is under 8 minutes on 16 cores. WEFT_JOBS sets how many things run at once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${WEFT_GPU_FOLDER:-build/gpu}
jobs=${WEFT_JOBS:-$(nproc)}

say() { printf '== %s\n' "$*"; }
die() { printf 'gpu: %s\n' "$*" >&2; exit 1; }

collect() { # FOLDER HEADER…: their libraries' headers
  local folder=$1 header place
  mkdir -p "$folder"
  for header in "${@:2}"; do
    for place in "${WEFT_HEADERS:-/usr/include}" /usr/include/eigen3 /usr/include; do
      [ -e "$place/$header" ] || continue
      cp -rL "$place/${header%%/*}" "$folder/"
      break
    done
    [ -e "$folder/$header" ] || [ "$header" = nlohmann/json.hpp ] || die "no $header on this machine"
  done
}

carry() {
  collect build/carry/include Eigen/Core doctest/doctest.h nlohmann/json.hpp
  local names=(build/carry/include/*)
  say "build/carry/include: ${names[*]##*/}, $(du -sm build/carry | cut -f1) MB; git ignores it"
}

# The build as such a machine makes it, on one that has more: in a namespace of mounts whose /usr lacks those packages.
rehearse() { # [CMake option…]
  [ "$(id -u)" = 0 ] && command -v dpkg unshare >/dev/null || die "rehearse: needs root, dpkg and unshare"
  rm -rf build/rehearse "$folder/CMakeCache.txt"
  collect build/rehearse/include Eigen/Core doctest/doctest.h
  mkdir build/rehearse/layer
  export WEFT_HEADERS="$PWD/build/rehearse/include"
  # shellcheck disable=SC2016
  unshare --mount bash -euo pipefail -c '
    layer=build/rehearse/layer
    mount -t tmpfs tmpfs "$layer"
    mkdir "$layer/upper" "$layer/work"
    mount -t overlay overlay -o "lowerdir=/usr,upperdir=$layer/upper,workdir=$layer/work" /usr
    for package in libdnnl-dev libeigen3-dev doctest-dev nlohmann-json3-dev libcli11-dev libpng-dev libjpeg62-turbo-dev; do
      dpkg -L "$package" 2>/dev/null | while read -r path; do [ -d "$path" ] || rm -f "$path"; done
    done
    exec cmake/gpu.sh build "$@"' rehearse "$@"
  ctest --test-dir "$folder" -L cuda -j "$jobs" --output-on-failure --no-tests=error
}

card() { nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo 'no GPU'; }

# cuDNN and NCCL may have come with Python's packages instead of the toolkit.
python_libraries() {
  python3 - <<'PYTHON' 2>/dev/null || true
import importlib.util
for name in ("cudnn", "nccl"):
    try:
        spec = importlib.util.find_spec("nvidia." + name)
    except ImportError:
        spec = None
    for place in (spec.submodule_search_locations or []) if spec else []:
        print(place)
PYTHON
}

build() { # [CMake option…]
  command -v nvcc >/dev/null || die "build: no nvcc on this machine"
  mkdir -p build
  local prefixes capability
  prefixes=$(python_libraries | paste -sd ';')
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .) || true
  [ -z "${WEFT_HEADERS:-}" ] && [ -d build/carry/include ] && export WEFT_HEADERS="$PWD/build/carry/include"
  cmake --preset cuda -B "$folder" -DCMAKE_CUDA_ARCHITECTURES="${capability:-90}-real" -DWEFT_WERROR=OFF \
    -DWEFT_BENCH=ON -DWEFT_INSTALL=OFF -DWEFT_BASELINE_ONLY=ON ${prefixes:+"-DCMAKE_PREFIX_PATH=$prefixes"} "$@" >build/gpu.configure.log 2>&1 ||
    { cat build/gpu.configure.log >&2; die "configuring failed"; }
  grep -E '^-- weft' build/gpu.configure.log
  cmake --build "$folder" -j "$jobs" || die "building failed"
  python3 cmake/kernel_table.py "$folder" | tail -1
}

built() { [ -x "$folder/tests/weft_tests" ] || die "$1: ./dev gpu build comes first"; }

count() { # TEXT-OF-SED FILE: the sum of the numbers it extracts
  sed -nE "s/$1/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

run_tests() { # [regex]
  built test
  local log="$folder/Testing/Temporary/LastTest.log" failed=0
  # A tenth of the processes at once: they share one card.
  WEFT_DEVICE=cuda WEFT_REQUIRE_CUDA=1 ctest --test-dir "$folder" -j "$((jobs < 8 ? jobs : 8))" --output-on-failure \
    --no-tests=error -E '^(build|isa|package|examples|libraries)/' ${1:+-R "$1"} || failed=1
  say "$(card); $(date -u +%F)"
  grep -h '^one card:' "$log" | sed 's/^one card/parallel on one card/' || say "no test of parallel/ on one card has run"
  printf 'cases: %d run, %d passed; skipped for want of CUDA or of further cards: %d\n' "$(count '.*test cases: *([0-9]+).*' "$log")" \
    "$(count '.*test cases: *[0-9]+ \| *([0-9]+) passed.*' "$log")" "$(count '^SKIPPED: ([0-9]+) .*' "$log")"
  [ -n "${1:-}" ] || two_processes || failed=1
  [ -n "${1:-}" ] || demo || failed=1
  [ $failed = 0 ] || die "test: failed"
}

two_processes() { # the same training in two processes: the same bits
  local sums=()
  while [ ${#sums[@]} -lt 2 ]; do
    sums+=("$(WEFT_DEVICE=cuda WEFT_REQUIRE_CUDA=1 "$folder/tests/weft_tests" --test-case='two runs of a training*' |
      grep '^one card' || true)")
  done
  if [ -z "${sums[0]}" ] || [ "${sums[0]}" != "${sums[1]}" ]; then
    printf '%s\n' "two processes differ:" "${sums[@]}"
    return 1
  fi
  say "two processes: the same bits"
}

demo() { # on the two heads where weft::data and they are there, else on generated shapes
  if [ -x "$folder/examples/segmentation/brain" ]; then
    "$folder/examples/segmentation/brain" | tail -3
  else
    "$folder/examples/shapes" 200 cuda:0 | tail -1
  fi
}

# What a tool reports, a line each; not its summaries, nor what it says of a program that ended by itself or by the clock.
findings() { # LOG
  grep -hE '^=========( Error:| Warning:)? [^ ]' "$1" | grep -vE \
    '^========= (COMPUTE-SANITIZER|(ERROR|RACECHECK) SUMMARY|Target application|Error: process didn.t terminate)' || true
}

# Kernels by one tool; what it finds, or why it did not run.
sanitize_by() { # TOOL
  local tool=$1 log="$folder/sanitize.$1.log" shard pids=() status=0 pid
  for shard in 0 1 2 3; do
    timeout "${WEFT_SANITIZE_SECONDS:-420}" compute-sanitizer --tool "$tool" --error-exitcode 86 --print-limit 20 \
      env WEFT_DEVICE=cuda WEFT_REQUIRE_CUDA=1 "$folder/tests/weft_tests" --source-file='*tests/ops/*' \
      --first=$((shard * shard_size + 1)) --last=$(((shard + 1) * shard_size)) >"$log.$shard" 2>&1 &
    pids+=($!)
  done
  local unfinished=0 bad=0 found
  for pid in "${pids[@]}"; do
    wait "$pid" && status=0 || status=$?
    case "$status" in 0) ;; 124) unfinished=$((unfinished + 1)) ;; *) bad=$((bad + 1)) ;; esac
  done
  cat "$log".? >"$log"
  found=$(findings "$log" | wc -l)
  if grep -qiE 'device not supported|unable to find injection|failed to (initialize|create)|no attachable process' "$log"; then
    printf '%-10s not run: %s\n' "$tool" "$(grep -iE 'not supported|injection|failed to|attachable' "$log" | head -1)"
  elif [ $bad -gt 0 ] || [ "$found" -gt 0 ] ||
    [ "$(grep -cE '(ERROR|RACECHECK) SUMMARY' "$log")" -lt $((4 - unfinished)) ]; then
    findings "$log" | head -5
    tail -30 "$log"
    printf '%-10s FAILED: %d findings, %d of 4 parts failed, %d unfinished; %s has it all\n' "$tool" "$found" $bad \
      $unfinished "$log"
    return 1
  else
    [ $unfinished = 0 ] || printf '%-10s unfinished: %d of 4 parts stopped by the clock, without a finding until then\n' \
      "$tool" $unfinished
    [ $unfinished = 4 ] || printf '%-10s%s\n' "$tool" \
      "$(grep -hE 'ERROR SUMMARY|RACECHECK SUMMARY' "$log" | sort | uniq -c | tr -s ' =' ' ' | paste -sd ';')"
  fi
}

sanitize() {
  built sanitize
  local tool pids=() pid failed=0 shard_size
  say "compute-sanitizer over the tests of kernels; $(card); $(date -u +%F)"
  command -v compute-sanitizer >/dev/null || { say "not run: no compute-sanitizer on this machine"; return 0; }
  shard_size=$(WEFT_DEVICE=cuda "$folder/tests/weft_tests" --source-file='*tests/ops/*' --count 2>/dev/null |
    sed -nE 's/.*: *([0-9]+)$/\1/p' | tail -1)
  shard_size=$(((${shard_size:-4000} + 3) / 4))
  for tool in memcheck racecheck initcheck synccheck; do
    sanitize_by "$tool" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  return $failed
}

bench() { # [option…]
  built bench
  say "$(card); $(date -u +%F); nvcc $(nvcc --version | sed -nE 's/.*release ([0-9.]+).*/\1/p')"
  WEFT_BENCH_PYTHON=${WEFT_BENCH_PYTHON:-$(command -v python3)} "$folder/tests/bench/gpu/gpu" "$@"
}

case "${1:-}" in
  carry) carry ;;
  build) build "${@:2}" ;;
  rehearse) rehearse "${@:2}" ;;
  test) run_tests "${2:-}" ;;
  sanitize) sanitize ;;
  bench) bench "${@:2}" ;;
  *) die "usage: ./dev gpu carry | build [CMake option…] | rehearse | test [regex] | sanitize | bench [option…]" ;;
esac
