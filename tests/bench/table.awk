# SPDX-License-Identifier: GPL-2.0-or-later
# table.awk - lays out what table.jq gives

NR == 1 { print; next }
{
	for (i = 1; i <= NF; i++) {
		cell[NR, i] = $i
		if (length($i) > width[i])
			width[i] = length($i)
	}
	if (NF > columns)
		columns = NF
}
END {
	for (line = 2; line <= NR; line++) {
		printf "  %-*s", width[1], cell[line, 1]
		for (i = 2; i <= columns; i++)
			printf "  %*s", width[i], cell[line, i]
		print ""
	}
}
