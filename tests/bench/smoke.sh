#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the benchmarks run, and their results have what is promised; what they say is not asserted
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"

requires_fuse
requires fio jq qemu-img qemu-io qemu-storage-daemon rsync

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

limit=$BUILD/tests/bench/limit
[ -x "$limit" ] || limit=

# What isn't here has been left out; what is has been measured.
expected='test("^(bdsync|blocksync-fast): left out, it isn.t installed")'
[ -n "$limit" ] || expected="$expected"' or . == "limit: left out, it isn'"'t built"'"'
# throughput goes on without a peer that isn't installed
expected="$expected"' or test("left out, there is no")'
[ "$(id -u)" = 0 ] || expected="$expected"' or test("^xfs: left out")'

# shellcheck disable=SC2016 # jq's own variables
for name in latency throughput gate reading sync ends proof sizes; do
	has $name "rounds" '.bench == "'$name'" and .rounds == 1 and .quick'
	has $name "machine" '.machine | .kernel and .cpu and .cpus > 0 and .stores[0].filesystem and
		(.version | test("mirrorfs .*libfuse "))'
	has $name "ratios" '.base as $base |
		any(.rows[].cases[]; .ratio) and all(.rows[].cases[] | select(.case == $base); .ratio | not)'
	has $name "notes" "all(.notes[]; $expected)"
	! command -v gnuplot >/dev/null || grep -q '</svg>' results/$name.svg || fail "$name: no plot"
done
for metric in p50_us p99_us max_us kiops cpu_us; do
	measured latency $metric none first steady sync
done
measured throughput kiops bare mirrorfs
measured throughput mib_s bare mirrorfs
measured throughput p99_us bare mirrorfs
measured throughput cpu_us mirrorfs
measured throughput first_write_us bare mirrorfs
measured throughput first_write_max_us bare mirrorfs
if command -v qemu-storage-daemon >/dev/null; then
	measured throughput kiops qsd-qcow2
	measured throughput cpu_us qsd-qcow2
fi
measured gate gate_ms snapshot sync
measured gate names_ms snapshot sync
measured gate write_max_ms idle snapshot sync
measured reading seconds sync cp cp-snapshot qemu-img

for metric in seconds cpu_s rss_mib mib_copied; do
	measured sync $metric ${limit:+limit} in-place staged qemu rsync cp
done
# shellcheck disable=SC2016 # likewise
has sync "as much copied as changed" '[.rows[] | select(.metric == "mib_copied") |
	(.cases[] | select(.case == "qemu").median) as $changed |
	.cases[] | select(.case | IN("limit", "in-place", "staged")).median == $changed] | all'
measured ends seconds ${limit:+limit} in-place staged rsync cp qemu-img
has ends "idle rows" '[.rows[].row] | index("idle 1") and index("idle 20")'
measured proof mib_s read scrub verify verify-deep
for metric in seconds gate_ms rss_mib; do
	measured sizes $metric 1x64K 10x64K 1x1M 1x1G
done

# --- what is called the limit does copy what it is told, and nothing else

[ -n "$limit" ] || exit 0
random_file from $(((1 << 20) + 1000))
truncate -s $(((1 << 20) + 1000)) to
cp to wanted
patch_wanted() { # OFFSET NBYTES
	dd if=from of=wanted iflag=skip_bytes,count_bytes oflag=seek_bytes skip="$1" seek="$1" \
		count="$2" conv=notrunc status=none
}
patch_wanted 65536 131072
patch_wanted $((1 << 20)) 1000
for cached in yes no; do
	[ $cached = yes ] || dd of=from oflag=nocache conv=notrunc,fdatasync count=0 status=none
	printf '%s\n' '65536 65536' '131072 65536' '1048576 1000' >blocks
	assert_eq "$("$limit" --json from to <blocks | jq .bytes_copied)" 132072
	assert_same_file to wanted
	truncate -s 0 to
	truncate -s $(((1 << 20) + 1000)) to
done
"$limit" --data from to
assert_same_file from to
assert_fails "$limit" from to < <(echo 1048576 4096)
assert_contains "$stderr" "limit: read 'stdin': "
truncate -s 4096 short
assert_fails "$limit" --data from short
assert_one_line "$stderr"
