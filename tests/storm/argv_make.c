/* SPDX-License-Identifier: MIT */
/*
 * Command lines of every applet: its options, from --dump-options, with values that their kind may have or may not, in every
 * spelling (-xVALUE, -x VALUE, --long=VALUE, --lo VALUE, -abc, twice, without what must follow), then words that might be
 * objects, commands, numbers or nothing of the kind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argv.h"

enum { APPLETS = 128, OPTIONS = 64 };

struct option {
	char letter;
	char name[32], arg[24]; /* arg "-": none; in brackets: it may be missing */
};

static struct applet {
	char name[32];
	struct option options[OPTIONS];
	size_t count;
} applets[APPLETS];
static size_t applet_count;

/* ---- chance ---- */

static uint64_t state;

static uint64_t next(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15); /* splitmix64 */
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t draw(size_t n)
{
	return (size_t)(next() % n);
}

static bool chance(unsigned percent)
{
	return draw(100) < percent;
}

/* ---- words ---- */

struct kind {
	const char *names; /* of metavariables, each with a blank round it */
	const char *values[16];
};

static const struct kind kinds[] = {
	{" DURATION SECONDS ", {"0", "1ms", "0.002", "5ms", ".001s", "1", "inf", "0.0000001d"}},
	{" NUMBER ", {"0", "1", "7", "75", "255", "99"}},
	{" N K ", {"0", "1", "2", "3", "4", "16", "1000", "32767", "2147483647"}},
	{" BYTES SIZES ", {"1", "16", "64", "128", "64,128", "1K", "8192", "8193"}},
	{" MODE ", {"600", "0666", "644", "0", "777"}},
	{" SEM NAME QUEUE ", {"a", "b", "sysv:a", "posix:/b", "pool:a", "pool:./p", "sysv:0x7a"}},
	{" LOCK ", {"l", "ofd:l", "ofd:l@0+1", "fcntl:m@5", "flock:n", "d", "9"}},
	{" FILE ", {"f", "d/f", "f.json", "l", "/dev/null", "-"}},
	{" DIR ", {"d", "d/e", "new", "."}},
	{" FD PID ", {"0", "1", "2", "3", "9", "1023"}},
	{" TYPE ", {"1", "5", "-3", "^2", "0"}},
	{" STRING ", {"\\n", "--", "\\x00", ",", "ab", "\\t\\0"}},
	{" SIGNAL ", {"TERM", "SIGUSR1", "2", "kill", "cont", "0"}},
	{" WHAT ", {"command", "tree", "child", "lock"}},
	{" WHERE ", {"same", "cross", "none", "same,cross"}},
	{" WHEN ", {"always", "never", "auto"}},
	{" POLICY ", {"refuse", "truncate", "skip", "spill"}},
	{" STYLE ", {"fifo", "pipe", "fds"}},
	{" LINE ", {"true", "exit 3", "false", ":"}},
	{" VAR ", {"EVFD", "X", "x1"}},
	{" OFFSET ", {"0", "1", "100", "9223372036854775807"}},
};

static const char *const odd[] = {
	"",
	" ",
	"-",
	"--",
	"-1",
	"+1",
	"0x10",
	"1e3",
	"nan",
	"99999999999999999999",
	"18446744073709551615",
	"1.",
	".",
	"..",
	"/",
	"//",
	"a/b",
	"x:y",
	":",
	"@",
	"l@",
	"ofd:@0",
	"ofd:l@1+18446744073709551615",
	"sysv:",
	"sysv:id=",
	"sysv:id=999",
	"sysv:0x",
	"posix:",
	"pool:",
	"pool:/",
	"pool:/nosuch/p",
	"jobserver:",
	"jobserver:fifo:",
	"jobserver:3,4",
	"fd:",
	"fd:7",
	"pid:1:2",
	"%s%n%s",
	"\033[31mred\a",
	"a\nb",
	"\r",
	"\377\376",
	"\302\233",
	"'",
	"\"",
	"\\",
	"$(x)",
	"*",
	"/nosuch/x",
	"/dev/full",
	"/proc/self/mem",
	"d",
	"{}",
	"inf",
	"1ms",
};

static const char *const operands[] = {
	"a",   "b",  "sysv:a", "posix:/b", "pool:a", "pool:./p", "l",       "ofd:l@2+3", "fcntl:m",
	"d",   "0",  "1",      "3",        "9",      "true",     "false",   "nosuch",    "lock",
	"sem", "mq", "shm",    "event",    "pool",   "pipe",     "eventfd", "mmap",      "fd:3",
	"msg", "-",  "--",     "/",        "EV",     "EV2",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void add(struct vector *v, const char *word)
{
	if (v->count == ARGV_WORDS)
		return;
	v->words[v->count] = strdup(word);
	if (!v->words[v->count++])
		abort();
}

static void add_long(struct vector *v)
{
	size_t n = (size_t)1 << draw(15);
	char *s = malloc(n + 1);
	if (!s)
		abort();
	memset(s, chance(50) ? 'a' : '/', n);
	s[n] = '\0';
	add(v, s);
	free(s);
}

/* What stands for the metavariable ARG, or might be taken for it. In BUF. */
static const char *value(const char *arg, char buf[256])
{
	char key[32];
	snprintf(key, sizeof(key), " %s ", *arg == '[' ? arg + 1 : arg);
	char *end = strchr(key, ']');
	if (end)
		memcpy(end, " ", 2);
	for (size_t i = 0; i < COUNT(kinds) && chance(85); i++) {
		if (!strstr(kinds[i].names, key))
			continue;
		size_t n = 0;
		while (n < COUNT(kinds[i].values) && kinds[i].values[n])
			n++;
		return kinds[i].values[draw(n)];
	}
	switch (draw(4)) {
	case 0: /* any bytes */
		for (size_t n = draw(12), i = 0; i <= n; i++)
			buf[i] = i == n ? '\0' : (char)(1 + draw(255));
		return buf;
	case 1:
		return operands[draw(COUNT(operands))];
	default:
		return odd[draw(COUNT(odd))];
	}
}

/* ---- options ---- */

static void add_option(struct vector *v, const struct applet *a)
{
	char word[512];
	char buf[256];
	const struct option *o = &a->options[draw(a->count)];
	bool takes = o->arg[0] != '-';
	bool may_miss = o->arg[0] == '[';
	const char *with = takes ? value(o->arg, buf) : "";
	if (takes && strstr(o->arg, "LINE"))
		v->shell = true;
	if (o->letter != '-' && chance(50)) {
		/* Some letters in front, as in -nqE5. */
		size_t n = 0;
		word[n++] = '-';
		while (chance(25) && n < 6) {
			const struct option *more = &a->options[draw(a->count)];
			if (more->letter != '-' && (more->arg[0] == '-' || chance(5)))
				word[n++] = more->letter;
		}
		word[n++] = o->letter;
		bool joined = takes && (may_miss || chance(50));
		snprintf(word + n, sizeof(word) - n, "%s", joined ? with : "");
		add(v, word);
		if (takes && !joined && !chance(3))
			add(v, with);
		return;
	}
	/* An abbreviation may mean several, or none. */
	int len = (int)strlen(o->name);
	if (chance(25))
		len = 3 + (int)draw((size_t)len - 2);
	bool joined = takes ? may_miss || chance(60) : chance(3);
	snprintf(word, sizeof(word), "%.*s%s%s", len, o->name, joined ? "=" : "",
		 joined ? with : "");
	add(v, word);
	if (takes && !joined && !chance(3))
		add(v, with);
}

static bool has(const struct applet *a, const char *name)
{
	for (size_t i = 0; i < a->count; i++)
		if (!strcmp(a->options[i].name, name))
			return true;
	return false;
}

/* Not to wait, as a rule: that takes time. */
static void add_haste(struct vector *v, const struct applet *a)
{
	if (has(a, "--nonblock") && chance(85))
		add(v, chance(70) ? "-n" : "-w1ms");
	if (has(a, "--empty") && chance(90))
		add(v, "-e");
	if (!strcmp(a->name, "ipcbench")) {
		const char *const little[] = {"-n2", "-s64", "-r1", "-t1ms"};
		for (size_t i = 0; i < COUNT(little); i++)
			add(v, little[i]);
	}
}

/* ---- operands ---- */

static void add_command(struct vector *v)
{
	switch (draw(8)) {
	case 0:
		add(v, "sh");
		add(v, "-c");
		add(v, "exit 3");
		return;
	case 1:
		add(v, "false");
		return;
	case 2:
		add(v, "nosuch");
		return;
	case 3:
		add(v, "/");
		return;
	default:
		add(v, "true");
	}
}

static void add_operand(struct vector *v, const char *arg)
{
	char buf[256];
	if (chance(3))
		add_long(v);
	else
		add(v, value(arg, buf));
}

static bool is_one_of(const char *name, const char *list)
{
	char key[48];
	snprintf(key, sizeof(key), " %s ", name);
	return strstr(list, key);
}

/* As the manual has them. */
static void add_right_operands(struct vector *v, const struct applet *a)
{
	if (!strncmp(a->name, "mqpipe", 6)) {
		add_operand(v, "QUEUE");
		if (is_one_of(a->name, " mqpipe move  mqpipe send "))
			add_operand(v, "QUEUE");
		if (!strcmp(a->name, "mqpipe work")) {
			add(v, "--");
			add_command(v);
		}
	} else if (!strncmp(a->name, "evfd", 4)) {
		add(v, chance(80) ? "EV" : "EV2");
		if (is_one_of(a->name, " evfd add  evfd latch "))
			add_operand(v, "N");
		if (is_one_of(a->name, " evfd exec  evfd loop "))
			add(v, "--");
		if (is_one_of(a->name, " evfd exec  evfd loop  evfd run "))
			add_command(v);
	} else if (is_one_of(a->name, " syncls  syncrm ")) {
		const char *const types[] = {"lock",  "sem",  "mq",       "shm",
					     "event", "pool", "jobserver"};
		add(v, types[draw(COUNT(types))]);
		if (chance(70))
			add_operand(v, chance(50) ? "SEM" : "LOCK");
	} else if (!strcmp(a->name, "ipcbench")) {
		const char *const some[] = {"pipe",     "fifo",  "eventfd",
					    "posix-mq", "flock", "signal"};
		add(v, some[draw(COUNT(some))]);
	} else {
		if (!is_one_of(a->name, " jobpool "))
			add_operand(v, is_one_of(a->name, " lockrun flock ") ? "LOCK" : "SEM");
		if (!is_one_of(a->name, " sempost ") && chance(80))
			add_command(v);
	}
}

static void add_words(struct vector *v, const struct applet *a)
{
	size_t n = chance(60) ? 0 : draw(5);
	while (n--)
		add_option(v, a);
	if (chance(5))
		add(v, "--");
	if (chance(70)) {
		add_right_operands(v, a);
		n = chance(85) ? 0 : draw(4);
	} else {
		n = draw(4);
	}
	while (n--)
		add_operand(v, "any");
	if (chance(10))
		add_option(v, a);
}

void argv_make(struct vector *v, uint64_t seed)
{
	*v = (struct vector){0};
	state = seed * 0x2545f4914f6cdd1d;
	next();
	const struct applet *a = &applets[draw(applet_count)];
	/* It is the slowest by far. */
	if (!strcmp(a->name, "ipcbench") && chance(80))
		a = &applets[draw(applet_count)];
	char first[32];
	snprintf(first, sizeof(first), "%s", a->name);
	char *action = strchr(first, ' ');
	if (action)
		*action++ = '\0';
	add(v, first);
	if (action)
		add(v, chance(98) ? action : odd[draw(COUNT(odd))]);
	add_haste(v, a);
	size_t n = chance(40) ? 1 : draw(6);
	while (n--)
		add_option(v, a);
	add_words(v, a);
}

void argv_free(struct vector *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->words[i]);
}

/* ---- what there is ---- */

size_t argv_applets(void)
{
	return applet_count;
}

const char *argv_applet(size_t i)
{
	return applets[i].name;
}

static struct applet *applet_of(const char *name)
{
	for (size_t i = 0; i < applet_count; i++)
		if (!strcmp(applets[i].name, name))
			return &applets[i];
	if (applet_count == APPLETS)
		abort();
	snprintf(applets[applet_count].name, sizeof(applets[0].name), "%s", name);
	return &applets[applet_count++];
}

bool argv_learn(const char *path)
{
	char line[1024];
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		char name[32];
		char letter[8];
		struct option o;
		if (sscanf(line, "%31[^\t]\t%7[^\t]\t%31[^\t]\t%23[^\t]", name, letter, o.name,
			   o.arg) != 4)
			continue; /* what the applet is */
		struct applet *a = applet_of(name);
		o.letter = letter[1] ? letter[1] : '-';
		if (a->count < OPTIONS)
			a->options[a->count++] = o;
	}
	if (f)
		fclose(f);
	return applet_count > 0;
}
