# SPDX-License-Identifier: GPL-2.0-or-later
# table.jq - one metric of the results, as lines of cells between tabs: a title, a head, rows

def round_to($n): . * $n | round / $n;
def short: if . == null then "-" elif . >= 100 then round elif . >= 10 then round_to(10)
	else round_to(1000) end | tostring;

. as $all |
($all.metrics[] | select(.name == $metric)) as $about |
[$all.rows[] | select(.metric == $metric)] as $rows |
[$all.cases[] | select(. as $case | any($rows[].cases[]; .case == $case))] as $cases |
"\($all.bench): \($about.text), \($about.unit), median of \($all.rounds) round\(
	if $all.rounds == 1 then "" else "s" end)\(
	if any($rows[].cases[]; .ratio) then "; in brackets the ratio to \"\($all.base)\"" else "" end)",
([""] + $cases | join("\t")),
($rows[] | . as $row | [.row] + [$cases[] as $case |
	first($row.cases[] | select(.case == $case)) // null |
	if . == null then "-" else (.median | short) +
		(if .ratio then " (\(.ratio.median | round_to(100)))" else "" end) end] | join("\t"))
