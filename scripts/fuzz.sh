#!/bin/sh
# Runs fuzz targets, seeded with the recorded cases: scripts/fuzz.sh BUILD_DIR SECONDS_EACH [TARGET...]
# With 0 seconds it runs a fixed number of inputs from a fixed seed and an empty corpus: the same ones every time.
# What is found lies in BUILD_DIR/found; what raised the coverage stays in BUILD_DIR/corpus for the next time.
set -eu
build=$1 seconds=$2
shift 2
[ $# -gt 0 ] || set -- mge_fbs mge_fbs_v2 npy inputs
cases=tests/golden/cases
for target in "$@"; do
  corpus=$build/corpus/$target limit="-max_total_time=$seconds"
  if [ "$seconds" = 0 ]; then
    corpus=$build/corpus-fixed/$target limit="-runs=20000 -seed=1"
    rm -rf "$corpus"
  fi
  seeds=$build/seeds/$target
  mkdir -p "$corpus" "$build/found"
  if [ ! -d "$seeds" ]; then
    mkdir -p "$seeds"
    case $target in
      mge_fbs) find $cases -name '*.mge' ! -name '*_v2*' -size -17k ;;
      mge_fbs_v2) find $cases -name '*_v2*.mge' -size -17k ;;
      npy) find $cases -name '*.npy' -size -3k ;;
      inputs) find tests/fuzz/seeds/inputs -type f ;;
    esac | while read -r f; do cp "$f" "$seeds/$(echo "${f#"$cases"/}" | tr / _)"; done
    for f in tests/fuzz/regressions/"$target"/*; do [ ! -f "$f" ] || cp "$f" "$seeds/"; done
  fi
  case $target in
    mge_*) most=32768 ;;
    *) most=4096 ;;
  esac
  echo "== fuzz_$target: ${limit#-}, $(ls "$seeds" | wc -l) seeds"
  # Values may take 64 KiB: whoever asks for 64 MiB at once ignores the limit.
  "$build/tests/fuzz/fuzz_$target" $limit -max_len=$most -timeout=25 -malloc_limit_mb=64 \
    -rss_limit_mb=2048 -detect_leaks=1 -artifact_prefix="$build/found/${target}_" -print_final_stats=1 -verbosity=1 \
    "$corpus" "$seeds" > "$build/fuzz_$target.log" 2>&1 || {
    echo "fuzz_$target found something:"
    grep -E "^SUMMARY|ERROR|runtime error|Test unit written|what\(\)" "$build/fuzz_$target.log" | head -20
    exit 1
  }
  grep -E "Done|stat::number_of_executed_units|stat::peak_rss_mb" "$build/fuzz_$target.log"
  grep -E "cov:" "$build/fuzz_$target.log" | tail -1
done
