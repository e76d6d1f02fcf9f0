# SPDX-License-Identifier: GPL-2.0-or-later
# summary.jq - from samples {row, case, metric, round, value} to the results of a benchmark
#
# A case measured several times in one round counts there with the median of them.

def median: sort | if length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;

# in the order in which they first came
def order(f): reduce .[] as $s ([]; if index([$s | f]) then . else . + [$s | f] end);

# of one row, metric and case: {"round": value}
def by_round: group_by(.round) | map({ key: "\(.[0].round)", value: map(.value) | median }) |
	from_entries;

def spread: { median: median, min: min, max: max };

# pair by pair: each round's value to the base's in the same round
def ratios($to): [keys[] as $round | select($to[$round] // 0 > 0) | .[$round] / $to[$round]];

. as $samples |
{
	bench: $bench,
	machine: $machine,
	rounds: $rounds,
	quick: ($quick != ""),
	base: (if $base == "" then null else $base end),
	cases: $cases,
	metrics: [$metrics[] | { name: .[0], unit: .[1], text: .[2] } |
		select(.name as $name | any($samples[]; .metric == $name))],
	notes: $notes,
	rows: [
		($samples | order(.row))[] as $row |
		($metrics | map(.[0]))[] as $metric |
		[$samples[] | select(.row == $row and .metric == $metric)] as $here |
		select($here | length > 0) |
		([$here[] | select(.case == $base)] | by_round) as $to |
		{
			row: $row,
			metric: $metric,
			cases: [
				$cases[] as $case |
				([$here[] | select(.case == $case)] | by_round) as $values |
				select($values | length > 0) |
				($values | ratios($to)) as $ratios |
				{ case: $case } + ($values | map(.) | spread) +
				(if $case != $base and ($ratios | length) > 0
					then { ratio: ($ratios | spread) } else {} end) +
				{ values: $values }
			]
		}
	]
}
