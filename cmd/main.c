/* SPDX-License-Identifier: MIT */
/* The multicall binary: which applet is meant, and what syncbox itself can do. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "applet.h"
#include "arena.h"
#include "exitcode.h"
#include "say.h"

static const struct applet *const applets[] = {
#define APPLET(name) &applet_##name,
#include "applets.def"
#undef APPLET
};
#define APPLETS (sizeof(applets) / sizeof(applets[0]))

/* Their names, side by side: to find one, a start need not touch the pages of all the others. */
static const char names[][16] = {
#define APPLET(name) #name,
#include "applets.def"
#undef APPLET
};

struct opts {
	bool list, dump;
	const char *install_dir;
	char **words; /* APPLET and what follows */
};

enum { OPT_LIST = 256, OPT_INSTALL, OPT_DUMP };

static const struct argp_option options[] = {
	{"list", OPT_LIST, NULL, 0, "Print the names of the applets, one a line", 0},
	{"install", OPT_INSTALL, "DIR", 0,
	 "Make a link to this binary in DIR for every applet but drop-ins", 0},
	{"dump-options", OPT_DUMP, NULL, 0, "Print every option of every applet, for tools", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	switch (key) {
	case OPT_LIST:
		o->list = true;
		return 0;
	case OPT_INSTALL:
		o->install_dir = arg;
		return 0;
	case OPT_DUMP:
		o->dump = true;
		return 0;
	case ARGP_KEY_ARG:
		o->words = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!o->words && !o->list && !o->dump && !o->install_dir)
			argp_error(state, "expected the name of an applet: see --list");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "APPLET [ARG...]\n--list\n--install=DIR\n--dump-options",
	.doc = "Locks and other means to keep shell jobs out of each other's way.\v"
	       "A link to this binary that bears an applet's name runs that applet.",
};

static int run(int argc, char **argv);
static const struct applet applet_syncbox = {
	.name = "syncbox",
	.summary = "synchronisation for shell scripts",
	.argp = &argp,
	.run = run,
};

/*
 * By hand, here and in main(), as this is on the way of every start: the dynamic linker looks a libc
 * function up when it is first called, and without strcmp() and strrchr() a start takes 2% less.
 */
static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static const struct applet *find(const char *name)
{
	for (size_t i = 0; i < APPLETS; i++)
		if (same(names[i], name))
			return applets[i];
	return NULL;
}

static const char *last_component(const char *path)
{
	const char *last = path;
	for (; *path; path++)
		if (*path == '/')
			last = path + 1;
	return last;
}

/* A second name of an option does not have its letter again. */
static bool has_letter(const struct argp_option *table, const struct argp_option *o)
{
	if (o->key <= ' ' || o->key >= 127)
		return false;
	for (; table < o; table++)
		if (table->key == o->key)
			return false;
	return true;
}

/*
 * Tab-separated: applet (and action, as in "mqpipe send"), short option or -, long option, its argument
 * or - (in brackets, if it may be missing), documentation.
 */
static void dump_argp(const char *name, const struct argp *a)
{
	for (const struct argp_option *o = a->options; o && (o->name || o->key || o->doc); o++) {
		if (!o->name)
			continue; /* a heading, or another letter of an option */
		char letter[3] = "-";
		if (has_letter(a->options, o)) {
			letter[1] = (char)o->key;
			letter[2] = '\0';
		}
		bool optional = o->flags & OPTION_ARG_OPTIONAL;
		printf("%s\t%s\t--%s\t%s%s%s\t%s\n", name, letter, o->name, optional ? "[" : "",
		       o->arg ? o->arg : "-", optional ? "]" : "", o->doc ? o->doc : "");
	}
	for (const struct argp_child *c = a->children; c && c->argp; c++)
		dump_argp(name, c->argp);
}

static void dump_applet(const char *of, const struct applet *a)
{
	char name[64];
	snprintf(name, sizeof(name), "%s%s%s", of, *of ? " " : "", a->name);
	printf("%s\t\t\t\t%s\n", name, a->summary);
	dump_argp(name, a->argp);
	if (!a->drop_in) { /* argp adds these to every parser */
		printf("%s\t-?\t--help\t-\tShow the options\n", name);
		printf("%s\t-\t--usage\t-\tShow a short usage message\n", name);
		printf("%s\t-V\t--version\t-\tShow the version\n", name);
	}
	for (const struct applet *const *action = a->actions; action && *action; action++)
		dump_applet(name, *action);
}

static void dump(void)
{
	dump_applet("", &applet_syncbox);
	for (size_t i = 0; i < APPLETS; i++)
		dump_applet("", applets[i]);
}

static int install(const char *dir)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		die(EXIT_SYSTEM, "cannot find this binary through /proc/self/exe: %s: mount /proc",
		    strerror(errno));
	self[n] = '\0';
	for (size_t i = 0; i < APPLETS; i++) {
		char link[PATH_MAX + 64];
		char old[PATH_MAX];
		if (applets[i]->drop_in)
			continue; /* it would hide the one it stands in for */
		snprintf(link, sizeof(link), "%s/%s", dir, applets[i]->name);
		if (!symlink(self, link))
			continue;
		int err = errno;
		n = err == EEXIST ? readlink(link, old, sizeof(old) - 1) : -1;
		if (n >= 0)
			old[n] = '\0';
		if (n < 0 || strcmp(old, self) != 0)
			die(exit_status_of(-err), "cannot make the link %s: %s", quote(link),
			    strerror(err));
	}
	return EXIT_DONE;
}

static int run_applet(const struct applet *a, int argc, char **argv)
{
	/* getopt prefixes its messages with this; a path would only be in the way. */
	argv[0] = (char *)a->name;
	say_as(a->name);
	return a->run(argc, argv);
}

static int run(int argc, char **argv)
{
	struct opts o = {0};
	error_t err = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	if (o.list)
		for (size_t i = 0; i < APPLETS; i++)
			puts(applets[i]->name);
	if (o.dump)
		dump();
	if (o.install_dir)
		return install(o.install_dir);
	if (!o.words || o.list || o.dump)
		return EXIT_DONE;
	const struct applet *a = find(o.words[0]);
	if (!a)
		die(EXIT_NOT_FOUND, "no applet %s: see syncbox --list", quote(o.words[0]));
	return run_applet(a, argc - (int)(o.words - argv), o.words);
}

/*
 * Were descriptor 0, 1 or 2 closed, the next file opened would take its number, and messages would
 * go into it. /dev/null fills the gap, opened the wrong way round so that using it still fails.
 */
static bool filled[3];

bool was_closed(int fd)
{
	return fd >= 0 && fd <= 2 && filled[fd];
}

static void fill_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		filled[fd] = true;
		/* All below are open by now, so this is the number it gets. */
		if (open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
			_exit(EXIT_SYSTEM); /* there may be nobody to tell why */
	}
}

/*
 * Results that could not be written are no results. --help and --version leave through here too. A
 * destructor, as atexit(3) would cost page faults at every start.
 */
__attribute__((destructor)) static void check_stdout(void)
{
	say_tame_kept();
	if (!fflush(stdout) && !ferror(stdout))
		return;
	unwritable();
	_exit(EXIT_IO);
}

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "syncbox %s\n", VERSION);
}

int main(int argc, char **argv)
{
	static char syncbox[] = "syncbox";
	static char *no_words[] = {syncbox, NULL};
	_Alignas(ARENA_ALIGN) unsigned char first[ARENA];
	arena_begin(first);
	fill_standard_descriptors();
	if (argc < 1) { /* the kernel allows it */
		argc = 1;
		argv = no_words;
	}
	say_keep_odd(argc, argv);
	argp_err_exit_status = EXIT_BAD_USAGE;
	argp_program_version_hook = print_version;
	const struct applet *a = find(last_component(argv[0]));
	if (!a && argc > 1 && argv[1][0] != '-') { /* the common way in, without a second parser */
		a = find(argv[1]);
		if (a) {
			argc--;
			argv++;
		}
	}
	/* And not return: `first` is in use. */
	exit(run_applet(a ? a : &applet_syncbox, argc, argv));
}
