# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# qemu.bash - a backup by QEMU's dirty bitmap, to compare with; sourced after bench.bash
#
#	qemu_start SOURCE DEST BLOCKS	a qemu-storage-daemon that has both files, and the bits set
#	qemu_backup			from the command to the job's end and a durable DEST
#	qemu_end			it is gone; $qemu_cpu_s and $qemu_rss_mib of the backup
#
# The guest whose writes set the bits would have to write through QEMU, and mirrorfs would then
# know nothing of them.  So the image is changed through the mount, as for everybody, and the
# bitmap learns of the same blocks in another way: they are written to a node of the same size that
# keeps nothing (null-co), whose bitmap is merged into the image's before the clock starts.
#
# Raw to raw, past the page cache, by io_uring; all else is as QEMU has it.

: "${work:?}" # bench.bash's
qemu_pid=

# qemu_says PATTERN: reads on up to a line like that
qemu_says() {
	local line
	while read -r -t 600 -u "$qemu_out" line; do
		case $line in
		*'"error"'*) fail "qemu-storage-daemon: $line" ;;
		*"$1"*) return 0 ;;
		esac
	done
	fail "qemu-storage-daemon: no $1: $(cat "$work/qemu.err")"
}

# qemu_do COMMAND ARGUMENTS [PATTERN]: waits for the answer, or for a line like PATTERN
qemu_do() {
	echo "{\"execute\": \"$1\", \"arguments\": $2}" >&"$qemu_in"
	qemu_says "${3:-\"return\"}"
}

stop_qemu() {
	[ -z "$qemu_pid" ] || stop_process "$qemu_pid"
	qemu_pid=
}
cleanup_fn stop_qemu

qemu_start() {
	local file=cache.direct=on,file.driver=file,file.aio=io_uring,file.filename
	local socket=$work/qemu.socket nbytes
	nbytes=$(stat -c %s "$1")
	coproc qemu {
		exec qemu-storage-daemon --chardev stdio,id=qmp --monitor chardev=qmp \
			--blockdev "driver=null-co,node-name=bits,size=$nbytes,read-zeroes=on" \
			--blockdev "driver=raw,node-name=from,read-only=on,$file=$1" \
			--blockdev "driver=raw,node-name=to,$file=$2" \
			--nbd-server "addr.type=unix,addr.path=$socket" \
			--export "type=nbd,id=bits,node-name=bits,writable=on" 2>"$work/qemu.err"
	}
	[ -n "${qemu[0]-}" ] || fail "qemu-storage-daemon: $(cat "$work/qemu.err")"
	# bash closes its own when the process has ended, be its last answer read or not
	exec {qemu_out}<&"${qemu[0]}" {qemu_in}>&"${qemu[1]}"
	# shellcheck disable=SC2154 # coproc's
	qemu_pid=$qemu_PID qemu_to=$2
	qemu_says '"QMP"'
	qemu_do qmp_capabilities '{}'
	qemu_do block-dirty-bitmap-add '{"node": "bits", "name": "b", "granularity": 65536}'
	qemu_do block-dirty-bitmap-add '{"node": "from", "name": "b", "granularity": 65536}'
	awk '{ print "write -z -q " $1 " " $2 }' "$3" |
		qemu-io -f raw "nbd+unix:///bits?socket=$socket" >"$work/qemu-io.out" 2>&1 ||
		fail "qemu-io: $(tail -n 3 "$work/qemu-io.out")"
	qemu_do block-dirty-bitmap-merge \
		'{"node": "from", "target": "b", "bitmaps": [{"node": "bits", "name": "b"}]}'
	qemu_ticks=$(cpu_ticks "$qemu_pid")
}

qemu_backup() {
	qemu_do blockdev-backup '{"job-id": "j", "device": "from", "target": "to",
		"sync": "bitmap", "bitmap": "b", "bitmap-mode": "on-success"}' '"BLOCK_JOB_COMPLETED"'
	sync -d "$qemu_to"
}

# shellcheck disable=SC2034 # for who calls
qemu_end() {
	qemu_cpu_s=$(jq -n "($(cpu_ticks "$qemu_pid") - $qemu_ticks) / $(getconf CLK_TCK)")
	qemu_rss_mib=$(awk '/^VmHWM/ { print $2 / 1024 }' "/proc/$qemu_pid/status")
	qemu_do quit '{}'
	exec {qemu_out}<&- {qemu_in}>&-
	wait "$qemu_pid" || fail "qemu-storage-daemon: exit code $?: $(cat "$work/qemu.err")"
	qemu_pid=
}
