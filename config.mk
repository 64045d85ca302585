# SPDX-License-Identifier: MIT
# What a packager may want to change; everything can also be given on make's command line.

CC = cc
CFLAGS = -O2 -g -fno-pie -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables $(HARDENING)
# What costs a start nothing (0.4% of its instructions, no system call). Not -z relro, which is a system call and a page
# that is copied, and without -z now leaves the table open that matters; not -z now, which looks up each function of libc
# that we may never call: twice the instructions; not PIE, which relocates every table of options.
HARDENING = -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# No PIE, no relro, one segment less, nothing unused: 8% of a start. A distribution may want its own
# flags here.
LDFLAGS = -no-pie -Wl,--gc-sections -Wl,-z,norelro -Wl,-z,noseparate-code
# What a start touches lies together: six page faults less. For GNU ld; empty where another linker minds.
LAYOUT = -Wl,-T,build-aux/hot.ld

PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
MANDIR = $(PREFIX)/share/man
BASHCOMPDIR = $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR = $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR = $(PREFIX)/share/fish/vendor_completions.d

# Empty: found out (libc's argp, else -largp, else one made from the packaged gnulib).
ARGP_LIBS =

# For `make static`: the C compiler of a libc that starts fast.
STATIC_CC = musl-gcc
STATIC_CFLAGS = -Os -fno-pie -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables
STATIC_LDFLAGS = -static -no-pie -Wl,--gc-sections -Wl,-z,norelro -Wl,-z,noseparate-code \
	-Wl,--build-id=none -s
