# SPDX-License-Identifier: GPL-2.0-or-later
# plot.jq - one metric of the results as a block of data for gnuplot: each line a row, and of
# each case median, min and max; the first line has names, the second is what the y axis shows

def quoted: "\"\(.)\"";

. as $all |
($all.metrics[] | select(.name == $metric)) as $about |
[$all.rows[] | select(.metric == $metric)] as $rows |
[$all.cases[] | select(. as $case | any($rows[].cases[]; .case == $case))] as $cases |
([$about.text + ", " + $about.unit | quoted] + [$cases[] | quoted | ., ., .] | join(" ")),
($rows[] | . as $row | [.row | quoted] + [$cases[] as $case |
	first($row.cases[] | select(.case == $case)) // { median: "NaN", min: "NaN", max: "NaN" } |
	.median, .min, .max | tostring] | join(" "))
