#!/usr/bin/env bash
# Runs the benchmarks and leaves their reports in bench/results/<processor>/. Arguments go to BenchmarkDotNet (--filter '*Lookup*').
set -euo pipefail
cd "$(dirname "$0")/.."

processor=$(sed -nE 's/^model name\s*: *(.*)$/\1/p' /proc/cpuinfo | head -n 1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/-$//')
results="bench/results/${processor:-unknown}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ $# -gt 0 ] || set -- --filter '*'
dotnet run --project bench/ClusterLb.Benchmarks -c Release -- --artifacts "$work" --exporters github "$@"
mkdir -p "$results"
for report in "$work"/results/*-report-github.md; do
  name=$(basename "$report" -report-github.md)
  cp "$report" "$results/${name##*.}.md"
done
if [ "$*" = "--filter *" ]; then
  dotnet run --project bench/ClusterLb.Benchmarks -c Release --no-build -- packets-beside-changes | tee "$results/PacketsBesideChanges.md"
fi
ls -l "$results"
