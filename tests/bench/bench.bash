# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../lib.sh
# bench.bash - what the benchmarks share, on top of tests/lib.sh; sourced
#
# A benchmark compares *cases* (no snapshot, an idle one, ...) in *rows* (4 KiB writes on a disk,
# ...) by *metrics* (p99_us, ...).  It measures in rounds.  A round has every case once, right
# after one another, in an order that rotates; what is compared is the ratio to the case `base` in
# the same round.  So a machine that others use too, or whose speed drifts, harms all cases alike;
# and the median over the rounds leaves out the one that something else came into.
#
#	metric p99_us us "99th percentile of a write"
#	in_rounds measure none snapshot		# measure CASE, which calls:
#	sample "4k d1" "$case" p99_us 120
#	report none				# ratios to this case
#
# tests/bench/run sets the environment (RESULTS, ROUNDS, STORES, QUICK, BASE).

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

requires_fuse
requires fio jq taskset

: "${RESULTS:=$BUILD/bench}"
: "${ROUNDS:=5}"
: "${STORES:=disk tmpfs}"
: "${QUICK:=}"
: "${BASE:=}"
bench_dir=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
bench=${test_name%.bash}
round=0
notes=()
metrics=()      # in the order of the tables
metric_units=() # likewise
metric_texts=()
read -r load_before _ </proc/loadavg
: >"$work/samples"

# pick NORMAL QUICK: what a smoke run does less of
pick() {
	if [ -n "$QUICK" ]; then echo "$2"; else echo "$1"; fi
}

say() {
	echo "$bench: $*" >&2
}

# note TEXT...: what a reader of the figures must know; said at once, and in the results
note() {
	notes+=("$*")
	say "$*"
}

# --- measuring

# metric NAME UNIT TEXT
metric() {
	metrics+=("$1")
	metric_units+=("$2")
	metric_texts+=("$3")
}

# sample ROW CASE METRIC VALUE
sample() {
	[[ $4 =~ ^[0-9.eE+-]+$ ]] || fail "$3 of $2, $1: '$4' is no number"
	printf '{"row":"%s","case":"%s","metric":"%s","round":%d,"value":%s}\n' "$1" "$2" "$3" \
		"$round" "$4" >>"$work/samples"
}

# in_rounds FUNCTION CASE...: FUNCTION is called with a case
in_rounds() {
	local function=$1 i ncases=$(($# - 1))
	shift
	for ((round = 1; round <= ROUNDS; round++)); do
		for ((i = 0; i < ncases; i++)); do
			set -- "${@:2}" "$1"
			say "round $round of $ROUNDS: ${*: -1}"
			"$function" "${*: -1}"
		done
		set -- "${@:2}" "$1" # the next round begins with another one
	done
}

# run_fio OPTION...: one or more jobs; its account is in $work/fio.json afterwards
run_fio() {
	fio --output="$work/fio.json" --output-format=json --ioengine=libaio --direct=1 \
		--fallocate=none --randseed="$((SEED + round))" --name=job "$@" ||
		fail "fio $*: $(cat "$work/fio.json")"
}

# fio_says FILTER: of that account, before which there may be lines of complaint
fio_says() {
	sed -n '/^{/,$p' "$work/fio.json" | jq -r "$1"
}

# write_all FILE NBYTES [FIO-OPTION...]: each byte of it once, none of them zero, so that all
# blocks are dirty
write_all() {
	run_fio --filename="$1" --size="$2" --rw=write --bs=1m --iodepth=4 --refill_buffers "${@:3}"
}

# cpu_ticks PID: of all its threads, also of those that have come and gone
cpu_ticks() {
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"
}

# cpu_us_since TICKS PID
cpu_us_since() {
	echo $((($(cpu_ticks "$2") - $1) * 1000000 / $(getconf CLK_TCK)))
}

# on_cpu0 PID COMMAND...: while PID is there, too
on_cpu0() {
	local pid=$1 cpus
	shift
	cpus=$(taskset -cp "$pid" | sed 's/.*: //')
	taskset -acp 0 "$pid" >"$work/taskset"
	"$@"
	taskset -acp "$cpus" "$pid" >"$work/taskset"
}

# clocked COMMAND...: $took and $cpu_s tell what it took; what it says is in $work/timed.out
clocked() {
	local TIMEFORMAT='%R %U %S' code=0 user system
	{ time "$@" >"$work/timed.out" 2>"$work/timed.err" || code=$?; } 2>"$work/timed"
	[ $code = 0 ] || fail "exit code $code: $*: $(cat "$work/timed.err")"
	read -r took user system <"$work/timed"
	cpu_s=$(jq -n "$user + $system")
}

# timed ROW CASE COMMAND...: samples of seconds and cpu_s; the seconds also in $took
timed() {
	clocked "${@:3}"
	sample "$1" "$2" seconds "$took"
	sample "$1" "$2" cpu_s "$cpu_s"
}

# peak COMMAND...: with what its largest process had in memory, in KiB, in $work/peak
peak() {
	env time -q -f %M -o "$work/peak" "$@"
}

# durably COMMAND... FILE: with FILE on the disk in the end
durably() {
	"$@" && sync -d "${*: -1}"
}

# forget FILE: by the page cache; on tmpfs there is nothing else
forget() {
	dd of="$1" oflag=nocache conv=notrunc,fdatasync count=0 status=none
}

# hold MOUNT: makes a snapshot named bench
hold() {
	"$MIRRORCTL" snapshot create "$1" bench >"$work/snapshot.out"
}

# let_go MOUNT: of that, with $preserved_mib that it had; one that broke is worth a note
let_go() {
	local reason
	"$MIRRORCTL" snapshot list --json "$1" | jq '.snapshots[] | select(.name == "bench")' \
		>"$work/snapshot.json"
	# shellcheck disable=SC2034 # for who calls
	preserved_mib=$(jq '.preserved_bytes / 1048576' "$work/snapshot.json")
	reason=$(jq -r 'select(.broken).reason' "$work/snapshot.json")
	[ -z "$reason" ] || note "round $round: a snapshot broke: $reason"
	"$MIRRORCTL" snapshot delete "$1" bench >"$work/snapshot.out"
	settle
}

# What was just deleted or copied is still being worked on by the kernel.
settle() {
	sleep "$(pick 1 0)"
}

# --- where to measure: on a disk, and in memory, where what a request costs the CPU shows

# use_store disk|tmpfs NBYTES: a scratch directory in $dir; fails, with a note, if there is no room
use_store() {
	local base=$work room
	[ "$1" != tmpfs ] || base=/dev/shm
	room=$(df --output=avail -B1 "$base" 2>/dev/null | tail -n 1)
	if [ "${room:-0}" -lt "$2" ]; then
		note "$1: left out, $base has less than $(($2 >> 20)) MiB free"
		return 1
	fi
	dir=$(mktemp -d "$base/$bench.XXXXXX")
	cleanup_fn rm -rf "$dir"
	setfattr -n user.test -v x "$dir" 2>/dev/null || {
		note "$1: left out, $base has no user xattrs"
		return 1
	}
	store_dirs[$1]=$dir
}

declare -A store_dirs=()

# --- what they were measured on

store_json() { # STORE
	local source fstype rotational=null
	read -r source fstype < <(df --output=source,fstype "${store_dirs[$1]}" | tail -n 1)
	if [ -b "$source" ]; then
		rotational=$(lsblk -ndo ROTA "$source" 2>/dev/null | tr -dc 01)
	fi
	jq -nc --arg name "$1" --arg source "$source" --arg filesystem "$fstype" \
		--argjson rotational "${rotational:-null}" '$ARGS.named'
}

revision() {
	git -C "$TOP" describe --always --dirty 2>/dev/null || echo unknown
}

# machine_json: one object
machine_json() {
	local load_after
	read -r load_after _ </proc/loadavg
	jq -n --arg date "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
		--arg kernel "$(uname -sr)" \
		--arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
		--argjson cpus "$(nproc)" \
		--argjson memory_mib "$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)" \
		--arg version "$("$MIRRORFS" -V | tr '\n' ' ')" \
		--arg revision "$(revision)" \
		--arg base "$BASE" \
		--arg cflags "$(sed -n 's/^CFLAGS = //p' "$TOP/config.mk" 2>/dev/null)" \
		--arg fio "$(fio --version)" \
		--argjson load_before "$load_before" --argjson load_after "$load_after" \
		--argjson stores "$(for name in "${!store_dirs[@]}"; do store_json "$name"; done |
			jq -sc 'sort_by(.name)')" '$ARGS.named'
}

# --- telling

# results BASE CASE...: all of it as one document
results() {
	local base=$1
	shift
	jq -s --arg bench "$bench" --arg base "$base" --argjson rounds "$ROUNDS" \
		--arg quick "$QUICK" --argjson machine "$(machine_json)" \
		--argjson cases "$(jq -nc '$ARGS.positional' --args -- "$@")" \
		--argjson notes "$(jq -nc '$ARGS.positional' --args -- "${notes[@]}")" \
		--argjson metrics "$(for i in "${!metrics[@]}"; do
			jq -nc '$ARGS.positional' --args -- "${metrics[i]}" "${metric_units[i]}" \
				"${metric_texts[i]}"
		done | jq -sc .)" \
		-f "$bench_dir/summary.jq" "$work/samples"
}

# report BASE CASE...: tables to stdout; BENCH.json and BENCH.svg to $RESULTS.  Ratios are to
# case BASE ("" for none)
report() {
	local results=$RESULTS/$bench.json metric
	mkdir -p "$RESULTS"
	results "$@" >results.json
	mv results.json "$results"
	for metric in $(measured_in "$results"); do
		echo
		jq -r --arg metric "$metric" -f "$bench_dir/table.jq" "$results" |
			awk -F '\t' -f "$bench_dir/table.awk"
	done
	echo
	jq -r -f "$bench_dir/machine.jq" "$results"
	plot "$results" "$RESULTS/$bench.svg"
	echo "see $RESULTS/$bench.*"
}

measured_in() { # RESULTS-FILE: the names of metrics
	jq -r '.metrics[].name' "$1"
}

plot() { # RESULTS-FILE SVG-FILE
	local metric
	command -v gnuplot >/dev/null || {
		say "no plot: gnuplot is missing (./bootstrap --bench installs it)"
		return 0
	}
	for metric in $(measured_in "$1"); do
		jq -r --arg metric "$metric" -f "$bench_dir/plot.jq" "$1" >"plot.$metric"
	done
	# it warns where all rounds are one
	gnuplot -e "bench = '$bench'; out = 'plot.svg'; metrics = '$(measured_in "$1" | xargs)'" \
		-e "cases = '$(jq -r '.cases | join(" ")' "$1")'" \
		"$bench_dir/plot.gnuplot" 2>plot.err || fail "gnuplot: $(cat plot.err)"
	mv plot.svg "$2"
}
