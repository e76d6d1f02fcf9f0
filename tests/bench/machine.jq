# SPDX-License-Identifier: GPL-2.0-or-later
# machine.jq - what the results were measured on, and what a reader must know besides

(.notes[] | "note: \(.)"),
(.machine |
"on \(.kernel), \(.cpus) x \(.cpu), \(.memory_mib) MiB, load \(.load_before) before and \(.load_after) after;",
"\(.stores | map("\(.name): \(.filesystem) on \(.source)") | join(", ")); \(.fio);",
"\(.version)at \(.revision), built with \(.cflags)\(if .base == "" then "" else "; base: \(.base)" end)")
