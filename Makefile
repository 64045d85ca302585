# SPDX-License-Identifier: MIT
# make, check, coverage, valgrind, install, static, lint, bench, storm, demo, clean; see README.md.
# Applets and backends are listed in cmd/applets.def and libsync/backends.def, not here.

VERSION := 0.1.0
SOVERSION := 1

include config.mk

# One tree of files per way to build: build/, build/static/, build/sanitize/.
B := build
ifdef STATIC
B := build/static
CC = $(STATIC_CC)
CFLAGS = $(STATIC_CFLAGS)
LDFLAGS = $(STATIC_LDFLAGS)
endif
complete := -Wl,-z,defs
ifdef SANITIZE
B := build/sanitize
# What clang's sanitizers need comes with the program.
complete :=
HARDENING = # the sanitizers' own checks see more
CFLAGS += -O1 -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS += -fsanitize=$(SANITIZE)
endif

WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef
ifdef WERROR
WARNINGS += -Werror
endif
CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DVERSION='"$(VERSION)"' -Ilibsync
# V=1 shows whole commands.
ifndef V
say = @echo '  $(1) $@';
endif
compile = $(CC) -std=gnu11 $(CPPFLAGS) $(WARNINGS) $(CFLAGS) -fvisibility=hidden -MMD -MP

applets := $(shell sed -n 's/^APPLET(\(.*\))/\1/p' cmd/applets.def)
# Those that bear the name of a command of others; DROPINS=yes installs them under it.
dropins := $(patsubst cmd/%.c,%,$(shell grep -l '\.drop_in = true' cmd/*.c))
cmd_src := $(wildcard cmd/*.c)
folder_src := $(wildcard cmd/*/*.c)
lib_src := $(wildcard libsync/*.c)
cmd_obj := $(cmd_src:%.c=$(B)/obj/%.o)
folder_obj := $(folder_src:%.c=$(B)/obj/%.o)
lib_obj := $(lib_src:%.c=$(B)/obj/%.o)
pic_obj := $(lib_src:%.c=$(B)/pic/%.o)
man_src := $(wildcard man/*.scd)
pages := $(man_src:man/%.scd=$(B)/man/%)
unit_src := $(wildcard tests/lib/*.c)
units := $(unit_src:tests/lib/%.c=$(B)/tests/%)
fuzzed := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/*.c))
faulty := $(B)/fault/syncbox
starved := $(B)/starved/syncbox
links := $(applets:%=$(B)/bin/%)
bin := $(B)/bin/syncbox $(links)
so := $(B)/lib/libsync.so.$(SOVERSION)

.PHONY: all bin check units coverage valgrind install static lint lint-format bench storm demo clean completions
.DELETE_ON_ERROR:

ifdef STATIC
all: bin
else
all: bin $(so) $(B)/lib/libsync.so $(B)/lib/libsync.a $(pages)
endif
bin: $(bin)

# --- programs and libraries ---

# Where argp comes from is found out once per build tree.
needs_argp := $(filter-out clean lint,$(or $(MAKECMDGOALS),all))
ifneq ($(needs_argp),)
-include $(B)/argp.mk
endif
$(B)/argp.mk: build-aux/find-argp config.mk
	@mkdir -p $(@D)
	@CC='$(CC)' CFLAGS='$(CFLAGS)' LDFLAGS='$(LDFLAGS)' build-aux/find-argp $(B)/argp '$(ARGP_LIBS)' >$@

$(B)/obj/cmd/%.o: cmd/%.c $(B)/argp.mk
	@mkdir -p $(@D)
	$(call say,CC)$(compile) -Icmd $(ARGP_CPPFLAGS) -c $< -o $@

$(B)/obj/libsync/%.o: libsync/%.c
	@mkdir -p $(@D)
	$(call say,CC)$(compile) -c $< -o $@

$(B)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(compile) -fPIC -c $< -o $@

# The library goes in statically: a private .so costs a tenth of a millisecond at every start.
$(B)/bin/syncbox: $(cmd_obj) $(lib_obj) $(folder_obj) build-aux/hot.ld
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(LAYOUT) $(ARGP_FOUND) -lpthread -o $@

$(links): | $(B)/bin/syncbox
	$(call say,LN)ln -sf syncbox $@

$(so): $(pic_obj) libsync/libsync.map
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(@F) $(complete) \
		-Wl,--version-script=libsync/libsync.map $(pic_obj) -lpthread -o $@

$(B)/lib/libsync.so: $(so)
	$(call say,LN)ln -sf $(<F) $@

$(B)/lib/libsync.a: $(pic_obj)
	@mkdir -p $(@D)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $^

$(B)/man/%: man/%.scd
	@mkdir -p $(@D)
	@command -v scdoc >/dev/null || { echo 'scdoc is missing: apt-get install scdoc (Alpine: apk add scdoc)' >&2; exit 1; }
	$(call say,MAN)scdoc <$< >$@

completions: bin
	BIN=$(B)/bin/syncbox completions/gen.sh completions

# --- tests ---

$(B)/tests/%: tests/lib/%.c $(lib_obj)
	@mkdir -p $(@D)
	$(call say,CC)$(compile) -Itests/lib $< $(lib_obj) $(LDFLAGS) -lpthread -o $@

# A syncbox whose ipcbench has facilities that do it wrong.
$(faulty): tests/fault/ipcbench.c $(cmd_obj) $(lib_obj) $(folder_obj)
	@mkdir -p $(@D)
	$(call say,LD)$(compile) -Icmd/ipcbench $(filter %.c %.o,$^) $(LDFLAGS) $(ARGP_FOUND) -lpthread -o $@

# One whose allocations fail when they are told to.
$(starved): tests/fault/starved.c $(filter-out %/arena.o,$(cmd_obj)) $(lib_obj) $(folder_obj)
	@mkdir -p $(@D)
	$(call say,LD)$(compile) -Icmd $(filter %.c %.o,$^) $(LDFLAGS) $(ARGP_FOUND) -lpthread -o $@

# The fuzzers' harnesses, to go through their corpus; tests/storm/run-fuzz makes those with an engine.
$(B)/fuzz/libsync.a: $(lib_obj)
	@mkdir -p $(@D)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $^

$(B)/fuzz/%: tests/fuzz/%.c $(B)/fuzz/libsync.a
	@mkdir -p $(@D)
	$(call say,CC)$(compile) -Icmd -Icmd/mqpipe $(ARGP_CPPFLAGS) $< $(B)/fuzz/libsync.a $(LDFLAGS) -lpthread -o $@

units: $(units) $(faulty) $(starved) $(fuzzed)

# env runs a test whatever it is written in. PROVE_FLAGS=-v shows each claim; SKIP="layers docs" leaves some out.
check: all units
	@BUILD='$(abspath $(B))' CC='$(CC)' SANITIZE='$(SANITIZE)' STATIC='$(STATIC)' \
		HARDENED='$(findstring -fstack-protector,$(CFLAGS))' prove -j8 $(PROVE_FLAGS) -e $(or $(EXEC),env) $(or $(TESTS),$(filter-out $(SKIP:%=tests/%.t),$(wildcard tests/*.t)) $(units))

storm: all units
	BUILD='$(abspath $(B))' tests/storm/run $(or $(MINUTES),0)

valgrind: all units
	BUILD='$(abspath $(B))' tests/storm/valgrind

# Whoever the test runs a program as, it is to leave its figures; and say nothing where it cannot.
instrumented := B=build/coverage CFLAGS='-O0 -g --coverage -fprofile-update=atomic' LDFLAGS=--coverage
# Without storm-fault: what is stopped while it writes its figures holds a lock that whoever ends then waits for.
coverage:
	$(MAKE) $(instrumented) all units
	rm -rf build/coverage/figures
	find build/coverage -name '*.gcda' -exec rm {} +
	find build/coverage -type d -exec chmod a+rwx {} +
	-umask 0; GCOV_ERROR_FILE=/dev/null $(MAKE) $(instrumented) EXEC=build-aux/coverage-run SKIP=storm-fault check
	build-aux/coverage build/coverage

bench: all
	$(MAKE) static
	tests/bench/run

demo: bin
	BUILD='$(abspath $(B))' tests/demo.sh

static:
	$(MAKE) STATIC=1 all

lint:
	build-aux/lint

# --- installation ---

# What would hide, or overwrite, a command of the system.
hidden := $(if $(filter yes,$(DROPINS)),,$(dropins))

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) \
		$(DESTDIR)$(BASHCOMPDIR) $(DESTDIR)$(ZSHCOMPDIR) $(DESTDIR)$(FISHCOMPDIR) \
		$(addprefix $(DESTDIR)$(MANDIR)/man,$(sort $(subst .,,$(suffix $(pages)))))
	install -m 755 $(B)/bin/syncbox $(DESTDIR)$(BINDIR)/
	install -m 755 $(so) $(DESTDIR)$(LIBDIR)/
	ln -sf $(notdir $(so)) $(DESTDIR)$(LIBDIR)/libsync.so
	install -m 644 $(B)/lib/libsync.a $(DESTDIR)$(LIBDIR)/
	sed 's|@PREFIX@|$(PREFIX)|;s|@INCLUDEDIR@|$(INCLUDEDIR)|;s|@LIBDIR@|$(LIBDIR)|;s|@VERSION@|$(VERSION)|' \
		libsync/libsync.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/libsync.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/libsync.pc
	install -m 644 libsync/libsync.h $(DESTDIR)$(INCLUDEDIR)/
	for p in $(filter-out $(hidden:%=$(B)/man/%.1),$(pages)); do \
		install -m 644 $$p $(DESTDIR)$(MANDIR)/man$${p##*.}/ || exit 1; done
	for a in $(hidden); do install -m 644 $(B)/man/$$a.1 $(DESTDIR)$(MANDIR)/man1/syncbox-$$a.1 || exit 1; done
	install -m 644 completions/syncbox.bash $(DESTDIR)$(BASHCOMPDIR)/syncbox
	install -m 644 completions/_syncbox $(DESTDIR)$(ZSHCOMPDIR)/
	install -m 644 completions/syncbox.fish $(DESTDIR)$(FISHCOMPDIR)/
	for a in $(filter-out $(hidden),$(applets)); do \
		ln -sf syncbox $(DESTDIR)$(BINDIR)/$$a && \
		ln -sf syncbox $(DESTDIR)$(BASHCOMPDIR)/$$a && \
		ln -sf syncbox.fish $(DESTDIR)$(FISHCOMPDIR)/$$a.fish || exit 1; done

clean:
	rm -rf build

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d $(B)/pic/*/*.d $(B)/tests/*.d $(B)/fuzz/*.d $(B)/fault/*.d $(B)/starved/*.d)
