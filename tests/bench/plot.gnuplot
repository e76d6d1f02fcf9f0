# SPDX-License-Identifier: GPL-2.0-or-later
# plot.gnuplot - draws the files plot.METRIC that plot.jq made, one below the other
#
# Set before: bench; metrics and cases (names); out (the file).  Points are medians, the lines
# reach from the lowest round to the highest.

nrows = 0
do for [metric in metrics] {
	stats "plot.".metric skip 1 using 0 name "S" nooutput
	nrows = S_records > nrows ? S_records : nrows
}
many = nrows > 8 # names of rows need another direction then
set terminal svg size (many ? 360 + 60 * nrows : 1000), (many ? 440 : 320) * words(metrics) \
	font "sans,12" background "white"
set output out
if (many) { set xtics rotate by -35 }
set logscale y
set grid ytics mytics linetype 1 linecolor "gray80", linetype 1 linecolor "gray90"
set key outside right top reverse Left
set lmargin 12
set rmargin 24
set xtics scale 0

# a case has its colour and its place in all plots
nth(name) = sum [i = 1:words(cases)] (word(cases, i) eq name ? i : 0)
place(name) = (nth(name) - (words(cases) + 1) / 2.0) / (words(cases) + 1)
name_in(file, i) = system(sprintf("head -n 1 %s | cut -d '\"' -f %d", file, 2 * i))

set multiplot layout words(metrics), 1 title bench
do for [metric in metrics] {
	file = "plot." . metric
	stats file skip 1 using 0 name "S" nooutput
	set title name_in(file, 1) noenhanced
	set xrange [-0.5:S_records - 0.5]
	plot file skip 1 using 0:(NaN):xtic(1) with points notitle, \
		for [i = 2:S_columns:3] name = name_in(file, i) file skip 1 \
		using ($0 + place(name)):i:i+1:i+2 with yerrorbars title name noenhanced \
		linewidth 2 pointtype 7 pointsize 0.7 linecolor nth(name)
}
unset multiplot
