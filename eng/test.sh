#!/usr/bin/env bash
# Runs every test and ends with one line: "N passed, N failed" (", N skipped"). Exit status 0 only if nothing failed.
set -euo pipefail
cd "$(dirname "$0")/.."
export CLUSTERLB_PROGRAM="${CLUSTERLB_PROGRAM:-$PWD/artifacts/clusterlb}"

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
status=0

dotnet build -nodeReuse:false ClusterLb.sln -c Release -v quiet -nologo
for project in tests/ClusterLb.Tests tests/ClusterLb.EndToEnd.Tests; do
  echo "== $project"
  dotnet test "$project" -c Release --no-build --nologo --results-directory "$results" \
    --logger "trx;LogFileName=$(basename "$project").trx" --logger "console;verbosity=normal" \
    | tee "$results/$(basename "$project").log" | grep -vE '^ +Passed ' || status=1
  [ -s "$results/$(basename "$project").trx" ] || { echo "$project: the test run ended without a result"; status=1; }
done

# Why each skipped test was skipped.
grep -hoE 'outcome="NotExecuted"' "$results"/*.trx >/dev/null 2>&1 && echo "(reasons of skipped tests stand above)"

# What failed, with its reason, again and last: whoever keeps only the end of this output still learns it.
awk '/^ +Failed /{shown=1; lines=0} /^ +(Passed|Skipped) |^\[xUnit|^Results File|^Test Run/{shown=0} shown && ++lines <= 30' "$results"/*.log

sum() { cat "$results"/*.trx 2>/dev/null | grep -oE '<Counters [^>]*' | grep -oE " $1=\"[0-9]+\"" | grep -oE '[0-9]+' | awk "{s+=\$1} END {print s+0}"; }
total=$(sum total); executed=$(sum executed); passed=$(sum passed); failed=$(( ${executed:-0} - ${passed:-0} ))
skipped=$(( ${total:-0} - ${executed:-0} ))
if [ "$failed" = 0 ] && [ "$status" != 0 ]; then failed=1; fi # a run that died counts as one failure
line="${passed:-0} passed, $failed failed"
[ "$skipped" = 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" = 0 ]
