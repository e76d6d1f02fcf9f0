#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A few mistakes, others with each seed, and the unit tests notice them.  `make mutants` has
# all of them.
# timeout: 900
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires patch tar
[ -f "$TOP/config.mk" ] || skip "not configured: $TOP"

"$TOP/tests/mutants/run" --some 8
