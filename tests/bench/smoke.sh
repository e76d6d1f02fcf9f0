#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the benchmarks run, and their results have what is promised; what they say is not asserted
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"

requires_fuse
requires fio jq qemu-img

export STORES=disk ROUNDS=1 RESULTS=$work/results
"$TOP/tests/bench/run" --quick >tables 2>progress || fail "exit code $?: $(cat tables progress)"

# has FILE WHAT FILTER: the filter must say true
has() {
	jq -e "$3" "results/$1.json" >/dev/null || fail "$1: $2: $(cat "results/$1.json")"
}

# measured FILE METRIC CASE...: in the first row
measured() {
	local file=$1 metric=$2 case
	shift 2
	for case; do
		has "$file" "no $metric of $case" "first(.rows[] | select(.metric == \"$metric\")) |
			.cases[] | select(.case == \"$case\") |
			.median >= .min and .median <= .max and (.values | length) == 1"
	done
	assert_contains "$(cat tables)" "$file: $(jq -r --arg metric "$metric" \
		'.metrics[] | select(.name == $metric).text' "results/$file.json")" "tables"
}

# shellcheck disable=SC2016 # jq's own variables
for name in latency gate reading; do
	has $name "rounds" '.bench == "'$name'" and .rounds == 1 and .quick'
	has $name "machine" '.machine | .kernel and .cpu and .cpus > 0 and .stores[0].filesystem and
		(.version | test("mirrorfs .*libfuse "))'
	has $name "ratios" '.base as $base |
		any(.rows[].cases[]; .ratio) and all(.rows[].cases[] | select(.case == $base); .ratio | not)'
	has $name "notes" '.notes == []'
	! command -v gnuplot >/dev/null || grep -q '</svg>' results/$name.svg || fail "$name: no plot"
done
for metric in p50_us p99_us max_us kiops cpu_us; do
	measured latency $metric none first steady sync
done
measured gate gate_ms snapshot sync
measured gate names_ms snapshot sync
measured gate write_max_ms idle snapshot sync
measured reading seconds sync cp cp-snapshot qemu-img
