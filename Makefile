# SPDX-License-Identifier: GPL-2.0-or-later
#
# mirrorfs: build, test, install.  `make help` lists the targets.
#
# One Makefile, not recursive.  All that is made goes under $(BUILD), so that builds
# with other compilers or flags live side by side in one tree:
#
#	make CC=clang BUILD=/tmp/clang check-unit
#
# Useful on the command line: BUILD, CC, CFLAGS, WERROR=-Werror, DEBUG=1 (invariants
# are checked at run time), SANITIZE=address,undefined, V=1 (show the commands),
# TESTS="tests/mount/x.sh" (only these), and prefix and DESTDIR for install.

BUILD ?= build
BOOTSTRAP ?= ./bootstrap
V ?= 0
# what is done, in short instead of the whole command: "  CC  fs/main.c"
say = $(if $(filter 1,$(V)),,@printf '  %-4s %s\n' $(1) '$(2)';)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# make splits names at spaces, wherever they come from.
ifneq ($(words $(CURDIR)),1)
$(error $(CURDIR): the path of the sources must not have spaces)
endif

# `make clean` removes $(BUILD), so it must not hold the sources.
ifneq ($(filter $(patsubst %//,%/,$(abspath $(BUILD))/)%,$(CURDIR)/),)
$(error BUILD=$(BUILD): the source tree is in there; choose a directory of its own)
endif

# --- configuration

# These run without config.mk; check, demo and bench first install what configure needs.
no_config = help bootstrap configure check demo bench deb clean distclean format
ifneq ($(filter-out $(no_config),$(or $(MAKECMDGOALS),all)),)
include config.mk
endif

configure: configure.ac
	@command -v autoconf >/dev/null || { \
		echo "autoconf is missing: ./bootstrap --build installs what is needed" >&2; exit 1; }
	$(call say,GEN,$@)autoheader && autoconf && touch $@

# --no-create: config.mk and config.h are left to the next rule
config.status: configure
	@if test -x $@; then ./$@ --recheck; else ./configure --no-create; fi

# config.h keeps its time if it did not change; config.mk is always written, and stands
# for both.
config.mk: config.mk.in config.status
	@./config.status
	@touch $@

# only after somebody removed it
config.h: | config.mk
	@./config.status $@

# --- flags

warnings = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wwrite-strings -Wformat=2 -Wvla -Wundef

all_cppflags = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DMIRRORFS_DEBUG=$(DEBUG) -I. $(CPPFLAGS)
all_cflags = -std=gnu11 -pthread -fPIE -fstack-protector-strong $(warnings) $(WERROR) $(CFLAGS)
all_ldflags = -pthread -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(CFLAGS) $(LDFLAGS)

ifneq ($(SANITIZE),)
sanitizer = -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g
all_cflags += $(sanitizer)
all_ldflags += $(sanitizer)
else ifneq ($(filter -O1 -O2 -O3 -Os -Og -O,$(lastword $(filter -O%,$(CFLAGS)))),)
# without optimisation glibc only warns that this does nothing
all_cppflags += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif

# Headers of libraries are not ours to warn about.
system_headers = $(patsubst -I%,-isystem%,$(1))
core_cflags := $(call system_headers,$(XXHASH_CFLAGS) $(ZSTD_CFLAGS))
fs_cflags := $(call system_headers,$(FUSE_CFLAGS))
tools_cflags := $(call system_headers,$(JANSSON_CFLAGS) $(ATTR_CFLAGS) $(URING_CFLAGS))
test_cflags := $(fs_cflags) $(tools_cflags) $(call system_headers,$(CHECK_CFLAGS))

core_libs = $(XXHASH_LIBS) $(ZSTD_LIBS) $(LIBS)
# glibc loads libgcc_s for the first pthread_cancel, and aborts if it can't any more
fs_libs = $(FUSE_LIBS) $(core_libs) -Wl,--no-as-needed -lgcc_s
tools_libs = $(JANSSON_LIBS) $(ATTR_LIBS) $(URING_LIBS) $(core_libs)
test_libs = $(CHECK_LIBS) $(FUSE_LIBS) $(tools_libs)

# --- sources

core_src := $(wildcard bitmapfile/*.c)
fs_src := $(wildcard fs/*.c)
tools_src := $(wildcard tools/*.c)
unit_src := $(wildcard tests/unit/test_*.c)
helper_src := $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c))
client_src := $(wildcard tests/clients/*.c)
fuzz_src := $(wildcard tests/fuzz/*.c)
# it is there without liburing, and then nobody looks at it
bench_src := $(if $(filter no,$(HAVE_URING)),,$(wildcard tests/bench/*.c))
c_src := $(core_src) $(fs_src) $(tools_src) $(unit_src) $(helper_src) $(client_src) $(fuzz_src) \
	$(bench_src)
headers := $(wildcard bitmapfile/*.h fs/*.h tools/*.h tests/*/*.h)
scripts := bootstrap .ci/run tests/run tests/torture tests/mutants/run tests/bench/run tests/fuzz/run \
	tests/guest/init tests/powercut/phases \
	$(wildcard tests/*.sh tests/*/*.sh tests/*/*.bash tests/*/*.job tools/completion/*.bash) \
	$(addprefix tools/debian/,build postinst postrm)
zsh_scripts := $(wildcard tests/*/*.zsh tools/completion/_*)
mutants := $(wildcard tests/mutants/*.patch)
pages := $(wildcard man/*.[578])
schemas := $(wildcard tools/schema/*.json)
units := $(wildcard tools/systemd/*.in tools/systemd/*.timer)
bash_completion := $(wildcard tools/completion/*.bash)
zsh_completion := $(wildcard tools/completion/_*)

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
programs := $(BUILD)/mirrorfs $(BUILD)/mirrorctl
unit_programs := $(unit_src:%.c=$(BUILD)/%)
client_programs := $(client_src:%.c=$(BUILD)/%)
bench_programs := $(bench_src:%.c=$(BUILD)/%)

# --- build

.PHONY: all
all: $(programs) ## build mirrorfs and mirrorctl (the default)

$(BUILD)/mirrorfs: $(call objects,$(fs_src)) $(BUILD)/libbitmapfile.a
	$(call say,LD,$@)$(CC) $(all_ldflags) -o $@ $^ $(fs_libs)

$(BUILD)/mirrorctl: $(call objects,$(tools_src)) $(BUILD)/libbitmapfile.a
	$(call say,LD,$@)$(CC) $(all_ldflags) -o $@ $^ $(tools_libs)

# libfs.a and libtools.a are for unit tests, which take from them what they use.
$(BUILD)/libbitmapfile.a: $(call objects,$(core_src))
$(BUILD)/libfs.a: $(call objects,$(filter-out fs/main.c,$(fs_src)))
$(BUILD)/libtools.a: $(call objects,$(filter-out tools/mirrorctl.c,$(tools_src)))
$(BUILD)/libhelpers.a: $(call objects,$(helper_src))
libraries := $(addprefix $(BUILD)/,libhelpers.a libtools.a libfs.a libbitmapfile.a)

# removed first, because ar never takes out the object of a source that is gone
$(libraries):
	$(call say,AR,$@)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^

# Only fs/ is given the way to FUSE's headers: bitmapfile/ is to do without.
$(BUILD)/fs/%.o: part_cflags = $(fs_cflags)
$(BUILD)/tools/%.o: part_cflags = $(tools_cflags)
$(BUILD)/tests/%.o: part_cflags = $(test_cflags)

compile = $(CC) $(all_cppflags) $(core_cflags) $(part_cflags) $(all_cflags)

# Makefile and config.mk hold the flags.
$(BUILD)/%.o: %.c Makefile config.mk | config.h
	$(call say,CC,$<)mkdir -p $(@D) && $(compile) -MMD -MP -c -o $@ $<

-include $(patsubst %.o,%.d,$(call objects,$(c_src)))

# --- tests

# TESTS may ask for less than everything: then only that is built.
ifneq ($(filter-out unit tests/unit/%,$(or $(TESTS),all)),)
wanted_programs = all tests $(bench_programs)
endif
wanted_units = $(if $(filter-out tests/unit/%,$(or $(TESTS),all)),$(unit_programs), \
	$(patsubst %,$(BUILD)/%,$(TESTS:.c=)))

.PHONY: tests unit-tests
tests: unit-tests $(client_programs) ## build the test programs

ifeq ($(HAVE_CHECK),no)
unit-tests:
	@echo "unit tests need the library check, which configure did not find:" >&2
	@echo "'make check' installs it, or ./bootstrap, after which ./configure is due again" >&2
	@exit 1
else
unit-tests: $(wanted_units)
endif

# Tests of faults count allocations, and make them fail: tests/unit/faultmem.h
faultmem_ldflags = $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc reallocarray strdup \
	fdopendir emalloc erealloc)
comma := ,
faultmem_tests = test_faults test_snapshot_broken test_snapshot_tree test_stream_faults
$(addprefix $(BUILD)/tests/unit/,$(faultmem_tests)): unit_ldflags = $(faultmem_ldflags)
$(BUILD)/tests/unit/test_stream_faults: unit_ldflags += -Wl,--wrap=read,--wrap=write

$(unit_programs): %: %.o $(libraries)
	$(call say,LD,$@)$(CC) $(all_ldflags) $(unit_ldflags) -o $@ $^ $(test_libs)

$(client_programs): %: %.o $(BUILD)/libbitmapfile.a
	$(call say,LD,$@)$(CC) $(all_ldflags) -o $@ $^ $(core_libs)

$(bench_programs): %: %.o
	$(call say,LD,$@)$(CC) $(all_ldflags) -o $@ $^ $(URING_LIBS)

# CUTS, SEED and more: see the top of the script.  check runs it with a few cuts.
.PHONY: powercut
powercut: all $(client_programs) ## cut the power of a machine, hundreds of times (CUTS=N)
	@BUILD='$(abspath $(BUILD))' TOP='$(CURDIR)' CUTS='$(or $(CUTS),300)' \
		tests/powercut/powercut.sh

# Everything that runs tests comes down to this, with TESTS and perhaps another BUILD.
.PHONY: run-tests
run-tests: unit-tests $(wanted_programs)
	@BUILD='$(abspath $(BUILD))' SANITIZE='$(SANITIZE)' tests/run $(TESTS)

# A second make, which configures only now, when all that it looks for is installed.
# A configuration from before the library check was installed is looked at again.
.PHONY: check demo run-demo
check: bootstrap ## install what is missing, build, run all tests
	@if grep -qs '^HAVE_CHECK = no' config.mk; then touch configure; fi
	@$(MAKE) --no-print-directory run-tests

demo: ## install what is missing for it, build, show what mirrorfs does
	@$(BOOTSTRAP) --demo
	@$(MAKE) --no-print-directory run-demo

run-demo: all
	@BUILD='$(abspath $(BUILD))' TOP='$(CURDIR)' MIRRORFS='$(abspath $(BUILD)/mirrorfs)' \
		MIRRORCTL='$(abspath $(BUILD)/mirrorctl)' tests/demo.sh

# ROUNDS, BASE, STORES, ...: see tests/bench/run.  Nothing of it is ever asserted.
# A configuration from before liburing was installed is looked at again.
.PHONY: bench run-bench
bench: ## measure; tables, JSON, plots (all; or BENCH="latency gate")
	@$(BOOTSTRAP) --bench
	@if grep -qs '^HAVE_URING = no' config.mk; then touch configure; fi
	@$(MAKE) --no-print-directory run-bench

run-bench: all $(bench_programs)
	@BUILD='$(abspath $(BUILD))' tests/bench/run $(BENCH)

.PHONY: bootstrap
bootstrap: ## install the packages that are missing (asks sudo, if need be)
	@$(BOOTSTRAP)

.PHONY: check-unit check-mount check-asan check-tsan coverage
check-unit: ## run the unit tests
	@$(MAKE) --no-print-directory run-tests TESTS='$(or $(TESTS),unit)'

check-mount: ## run the tests of a mounted filesystem
	@$(MAKE) --no-print-directory run-tests TESTS='$(or $(TESTS),mount)'

# No -Werror below: under sanitizers gcc warns of what is not there.
# clang, because gcc's UBSan writes to stderr whatever log_path says, and the stderr of
# a daemon goes nowhere.  (gcc 12 also misplaces what is aligned to 64 bytes, like the
# gate, when it looks for uses of the stack after return.)
ASAN_CC ?= clang
check-asan: ## all tests under AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory run-tests BUILD='$(BUILD)/asan' CC='$(ASAN_CC)' WERROR= DEBUG=1 \
		SANITIZE=address,undefined TESTS='$(or $(TESTS),unit mount cli crash qemu)'

# It has nothing to say of a test that runs one thread, and takes long for it.
threaded_tests = bits_threads gate image moves node powercut publish save_races snapshot \
	snapshot_broken stream_faults tools_copy tracker_threads workers

# Some kernels spread mappings wider than ThreadSanitizer can stand; hence setarch.
check-tsan: ## unit tests that run threads under ThreadSanitizer
	@$$(setarch -R true 2>/dev/null && echo setarch -R) \
	$(MAKE) --no-print-directory run-tests BUILD='$(BUILD)/tsan' WERROR= DEBUG=1 \
		SANITIZE=thread TESTS='$(or $(TESTS),$(addprefix tests/unit/test_,$(threaded_tests)))'

# Of one mistake at a time; see HACKING.md.  Some of it is in check.
.PHONY: mutants
mutants: | config.h ## do the tests notice mistakes?  (all; or MUTANTS="NAME...")
	@tests/mutants/run $(MUTANTS)

# clang's libFuzzer, with sanitizers; begins with the golden files.  What it finds is
# written next to its corpus, below $(BUILD)/fuzz.
.PHONY: fuzz run-fuzz
fuzz: ## give the stream reader hostile bytes for FUZZ_SECONDS=60
	@$(MAKE) --no-print-directory run-fuzz BUILD='$(BUILD)/fuzz' CC=clang WERROR= DEBUG=1 \
		SANITIZE=address,undefined,fuzzer-no-link

fuzz_programs := $(fuzz_src:%.c=$(BUILD)/%)
$(fuzz_programs): %: %.o $(libraries)
	$(call say,LD,$@)$(CC) $(all_ldflags) -fsanitize=fuzzer -o $@ $^ $(tools_libs)

run-fuzz: $(fuzz_programs)
	@tests/fuzz/run '$(BUILD)' $(or $(FUZZ_SECONDS),60) $(fuzz_programs)

.PHONY: torture
torture: all tests ## random tests, with many kills, for TORTURE=60 minutes
	@BUILD='$(abspath $(BUILD))' tests/torture $(TORTURE)

# Tests that become another user can't write their counts, complain of that and fail: what
# passes is check's to tell, here it is only counted what was reached.
cov = $(BUILD)/coverage
coverage: ## run all tests and say which lines they reach
	@if test -d $(cov); then find $(cov) -name '*.gcda' -delete; fi
	-@$(MAKE) --no-print-directory run-tests BUILD='$(cov)' WERROR= \
		CFLAGS='-O0 -g --coverage -fprofile-update=atomic'
	@lcov --quiet --capture --directory $(cov) --base-directory . --no-external \
		--output-file $(cov)/all.info
	@lcov --quiet --remove $(cov)/all.info '*/tests/*' --output-file $(cov)/mirrorfs.info
	@genhtml --quiet --output-directory $(cov)/html $(cov)/mirrorfs.info
	@lcov --list $(cov)/mirrorfs.info
	@echo "see $(cov)/html/index.html"

# --- lint

.PHONY: lint lint-c lint-scripts lint-pages lint-rules
lint: lint-c lint-scripts lint-pages lint-rules ## look for faults without running anything

# What clang-tidy writes to stderr is how many warnings of system headers it left out;
# it is shown only together with a failure.
tidy = clang-tidy --quiet "$$0" -- $(all_cppflags) $(core_cflags) $(test_cflags) -std=gnu11
lint-c: config.h
	@printf '%s\n' $(c_src) | xargs -P "$$(nproc)" -n 1 sh -c \
		'out=$$($(tidy) 2>&1) || { printf "%s\n" "$$out"; exit 1; }'

# Not asked: sourced files that only a variable names, code that only a trap reaches,
# whether in "a && b || c" c is meant for both, and reading what the pipe's end writes.
lint-scripts:
	@shellcheck -x -P SCRIPTDIR -e SC1090,SC1091,SC2015,SC2094,SC2317 $(scripts)
	@for file in $(zsh_scripts); do zsh -n $$file || exit; done

# An example that is wrapped reads as two commands: 78 columns less the indentation are left for one.
wrapped = /^\.Dl / { line = substr($$0, 5); gsub(/\\(\(..|.)/, "x", line) } \
	/^\.Dl / && length(line) > 67 { bad = 1; print FILENAME ":" FNR \
		": a .Dl of more than 67 characters is wrapped: make it a .Bd -literal" } \
	END { exit bad }
lint-pages:
	@$(if $(pages),mandoc -T lint -W warning $(pages))
	@$(if $(pages),awk '$(wrapped)' $(pages) >&2)

# What the layers must not know of each other, as HACKING.md has it.
in_core = include.*(<fuse|"fs/|"tools/|getopt\.h|syslog\.h)|\<(f?printf|perror|fopen) ?\(
in_fs = include.*"tools/
in_tools = include.*"fs/([^c]|c[^o]|co[^n]|con[^t])
ifdefs = \# *(ifn?def|(el)?if.*defined).*(HAVE_|MIRRORFS_DEBUG)

# deny(WHAT, WHY, FILES): no line of FILES matches WHAT
deny = @! grep -nE -e '$(1)' /dev/null $(3) || { echo '^ lint: $(strip $(2))' >&2; exit 1; }
lint-rules:
	@for file in $(c_src) $(headers) $(scripts) $(zsh_scripts) $(mutants) $(pages) $(schemas) \
		tests/cli/schema_check.py Makefile configure.ac config.mk.in \
		.gitignore .editorconfig .clang-format .clang-tidy; do \
		head -n 3 $$file | grep -q SPDX-License-Identifier: || { \
		echo "lint: $$file: no SPDX line at its top" >&2; exit 1; }; done
	@for file in $(mutants); do patch -p1 --dry-run --fuzz=0 -s -f <$$file || { \
		echo "lint: $$file: doesn't apply any more: make the mistake again" >&2; exit 1; }; done
	$(call deny,$(in_core), bitmapfile/ does without FUSE and getopt and stdio and logging, \
		$(core_src) $(filter bitmapfile/%,$(headers)))
	$(call deny,$(in_fs), fs/ includes nothing of tools/, $(wildcard fs/*.[ch]))
	$(call deny,$(in_tools), tools/ includes nothing of fs/ but control.h, $(wildcard tools/*.[ch]))
	$(call deny,$(ifdefs), HAVE_ macros and MIRRORFS_DEBUG are always defined: use #if, \
		$(c_src) $(headers))

.PHONY: format
format: ## lay out the C sources as .clang-format says
	clang-format -i $(c_src) $(headers)

# --- install

# What units are made of, where they name paths of ours.
unit = sed -e 's,@bindir@,$(bindir),g' -e 's,@sysconfdir@,$(sysconfdir),g'

INSTALL ?= install
dest_bin = $(DESTDIR)$(bindir)
dest_man = $(DESTDIR)$(mandir)
dest_unit = $(DESTDIR)$(unitdir)
dest_bash = $(DESTDIR)$(bashcompletiondir)
dest_zsh = $(DESTDIR)$(zshcompletiondir)
dest_schema = $(DESTDIR)$(datadir)/mirrorfs/schema

# A file of bash's completion is named as the program that it is for.
.PHONY: install uninstall
install: all ## install programs, man pages, completion, schemas, units (prefix, DESTDIR)
	$(INSTALL) -d '$(dest_bin)' $(patsubst %,'$(dest_man)/man%',5 7 8) '$(dest_schema)'
	$(INSTALL) -m 755 $(programs) '$(dest_bin)'
	for page in $(pages); do \
		$(INSTALL) -m 644 $$page '$(dest_man)/man'$${page##*.} || exit; done
	$(INSTALL) -m 644 $(schemas) '$(dest_schema)'
	$(if $(bashcompletiondir),$(INSTALL) -d '$(dest_bash)')
	for file in $(if $(bashcompletiondir),$(notdir $(bash_completion:.bash=))); do \
		$(INSTALL) -m 644 tools/completion/$$file.bash '$(dest_bash)'/$$file || exit; done
	$(if $(zshcompletiondir),$(INSTALL) -d '$(dest_zsh)')
	$(if $(zshcompletiondir),$(INSTALL) -m 644 $(zsh_completion) '$(dest_zsh)')
	$(if $(unitdir),$(INSTALL) -d '$(dest_unit)')
	for file in $(if $(unitdir),$(units)); do \
		name=$${file##*/}; \
		$(unit) $$file | $(INSTALL) -m 644 /dev/stdin '$(dest_unit)'/$${name%.in} || exit; done

uninstall: ## remove what install installed
	for program in $(notdir $(programs)); do rm -f '$(dest_bin)'/$$program || exit; done
	for page in $(notdir $(pages)); do \
		rm -f '$(dest_man)/man'$${page##*.}/$$page || exit; done
	for file in $(if $(bashcompletiondir),$(notdir $(bash_completion:.bash=))); do \
		rm -f '$(dest_bash)'/$$file || exit; done
	for file in $(if $(zshcompletiondir),$(notdir $(zsh_completion))); do \
		rm -f '$(dest_zsh)'/$$file || exit; done
	for schema in $(notdir $(schemas)); do rm -f '$(dest_schema)'/$$schema || exit; done
	for dir in '$(dest_schema)' '$(dir $(dest_schema))'; do \
		if test -d "$$dir"; then rmdir --ignore-fail-on-non-empty "$$dir" || exit; fi; done
	for file in $(if $(unitdir),$(notdir $(units:.in=))); do \
		rm -f '$(dest_unit)'/$$file || exit; done

# Of what git tracks, in a tree and with a configuration of its own.
.PHONY: deb
deb: ## build a Debian package, in build/deb/
	@tools/debian/build '$(BUILD)/deb'

# --- clean

.PHONY: clean distclean
clean: ## remove what was built
	rm -rf '$(BUILD)'

distclean: clean ## remove what configure made, too
	rm -rf configure 'configure~' config.h config.h.in 'config.h.in~' config.mk config.status \
		config.log autom4te.cache

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
