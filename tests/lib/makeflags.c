/* SPDX-License-Identifier: MIT */
/*
 * MAKEFLAGS in every form: a table of what make, ninja and others write, and tens of thousands of odd
 * texts, always the same. The parser is compiled in here: it is not of the library.
 */
#include <stdlib.h>
#include <string.h>

#include "../../cmd/makeflags.c"
#include "../../cmd/parse.c"

#include "tap.h"

static const struct {
	const char *flags, *text;
	enum makeflags_server server;
	const char *auth;
	unsigned jobs;
	bool dry_run;
} table[] = {
	{NULL, "unset", MAKEFLAGS_NONE, "", 0, false},
	{"", "empty", MAKEFLAGS_NONE, "", 0, false},
	{"k", "letters alone", MAKEFLAGS_NONE, "", 0, false},
	{"n", "make -n", MAKEFLAGS_NONE, "", 0, true},
	{"kn -j3 --jobserver-auth=3,4", "make -kn -j3", MAKEFLAGS_NAMED, "3,4", 3, true},
	{" -j3 --jobserver-auth=3,4", "make -j3: a blank in front", MAKEFLAGS_NAMED, "3,4", 3,
	 false},
	{"-j3 --jobserver-auth=3,4", "no blank in front, as others write it", MAKEFLAGS_NAMED,
	 "3,4", 3, false},
	{" n -j3 --jobserver-auth=3,4", "an n that is not in front", MAKEFLAGS_NAMED, "3,4", 3,
	 false},
	{"k=n -j2 --jobserver-auth=3,4", "a variable in front is no letters", MAKEFLAGS_NAMED,
	 "3,4", 2, false},
	{"w -j --jobserver-auth=5,6", "-j without a number", MAKEFLAGS_NAMED, "5,6", 0, false},
	{" --jobserver-fds=7,8 -j", "make before 4.2", MAKEFLAGS_NAMED, "7,8", 0, false},
	{" --jobserver-auth=1,2 --jobserver-auth=3,4", "the last one counts", MAKEFLAGS_NAMED,
	 "3,4", 0, false},
	{" --jobserver-auth=3,4 --jobserver-auth=-2,-2", "make 4.4: not for this line",
	 MAKEFLAGS_DISABLED, "-2,-2", 0, false},
	{" --jobserver-auth=-2,-2 --jobserver-auth=3,4", "and again for the next", MAKEFLAGS_NAMED,
	 "3,4", 0, false},
	{" --jobserver-fds=3,4 --jobserver-auth=fifo:/tmp/f", "both: the last one counts",
	 MAKEFLAGS_NAMED, "fifo:/tmp/f", 0, false},
	{" -j3 --jobserver-auth=fifo:/tmp/GMfifo1", "a FIFO", MAKEFLAGS_NAMED, "fifo:/tmp/GMfifo1",
	 3, false},
	{" --jobserver-auth=fifo:/a\\ b/GMfifo1", "a FIFO with a blank in its path",
	 MAKEFLAGS_NAMED, "fifo:/a b/GMfifo1", 0, false},
	{" --jobserver-auth=fifo:/a\\\\b", "and with a backslash", MAKEFLAGS_NAMED, "fifo:/a\\b", 0,
	 false},
	{" -j3 --jobserver-auth=fifo:/f -- FOO=a\\ --jobserver-auth=fifo:/EVIL\\ b",
	 "what looks like one in a variable", MAKEFLAGS_NAMED, "fifo:/f", 3, false},
	{" -- A=1 --jobserver-auth=3,4", "behind -- there are variables", MAKEFLAGS_NONE, "", 0,
	 false},
	{" A=x\\ --jobserver-auth=3,4", "nor is an escaped blank the end of a word", MAKEFLAGS_NONE,
	 "", 0, false},
	{" --jobserver-auth=fifo:", "a FIFO without a path", MAKEFLAGS_UNKNOWN, "fifo:", 0, false},
	{" --jobserver-auth=", "nothing", MAKEFLAGS_UNKNOWN, "", 0, false},
	{" --jobserver-auth=sem:x", "a semaphore, as on Windows", MAKEFLAGS_UNKNOWN, "sem:x", 0,
	 false},
	{" --jobserver-auth=3", "one descriptor", MAKEFLAGS_UNKNOWN, "3", 0, false},
	{" --jobserver-auth=3,", "one and a comma", MAKEFLAGS_UNKNOWN, "3,", 0, false},
	{" --jobserver-auth=,4", "a comma and one", MAKEFLAGS_UNKNOWN, ",4", 0, false},
	{" --jobserver-auth=3,4,5", "three", MAKEFLAGS_UNKNOWN, "3,4,5", 0, false},
	{" --jobserver-auth=0x3,4", "hexadecimal", MAKEFLAGS_UNKNOWN, "0x3,4", 0, false},
	{" --jobserver-auth=+3,4", "a plus", MAKEFLAGS_UNKNOWN, "+3,4", 0, false},
	{" --jobserver-auth=3,99999999999", "a number beyond all", MAKEFLAGS_UNKNOWN,
	 "3,99999999999", 0, false},
	{" --jobserver-auth=3,-1", "one negative", MAKEFLAGS_DISABLED, "3,-1", 0, false},
	{" --jobserver-auth", "the word alone", MAKEFLAGS_NONE, "", 0, false},
	{" x--jobserver-auth=3,4", "not at the beginning of a word", MAKEFLAGS_NONE, "", 0, false},
	{"\t-j2\t--jobserver-auth=3,4\t", "tabs", MAKEFLAGS_NAMED, "3,4", 2, false},
	{" -j2 --jobserver-auth=3,4\\", "a backslash at the end", MAKEFLAGS_UNKNOWN, "3,4\\", 2,
	 false},
};

static void forms(void)
{
	static struct makeflags m;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		makeflags_parse(table[i].flags, &m);
		ok(m.server == table[i].server && !strcmp(m.auth, table[i].auth) &&
			   m.jobs == table[i].jobs && m.dry_run == table[i].dry_run,
		   "%s", table[i].text);
	}
}

static void too_long(void)
{
	static struct makeflags m;
	static char flags[10000];
	char *at = stpcpy(flags, " -j3 --jobserver-auth=fifo:/");
	memset(at, 'x', sizeof(flags) - (size_t)(at - flags) - 1);
	makeflags_parse(flags, &m);
	ok(m.server == MAKEFLAGS_UNKNOWN && m.jobs == 3, "a path that no path can be is not cut");
}

static const struct {
	const char *flags, *words, *made, *text;
} edits[] = {
	{NULL, "-j3 X", " -j3 X", "made from nothing"},
	{"", "X", " X", "from what is empty"},
	{"k", "X", "k X", "letters stay in front"},
	{"kw -j8 -l4 --jobserver-auth=3,4 -- A=b\\ -j9", "-j3 X", "kw -l4 -j3 X -- A=b\\ -j9",
	 "-j and the jobserver go, variables stay behind --"},
	{" -j --jobserver-fds=3,4 --jobserver-auth=fifo:/a\\ b -I/x", "X", " -I/x X",
	 "each of several goes"},
	{"-kj8", "X", " -kj8 X", "what is not make's own way to write it stays"},
	{"\\-j3", "--jobserver-auth=-2,-2", " --jobserver-auth=-2,-2",
	 "an option in front, with a backslash"},
};

static void replaced(void)
{
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		char *made = makeflags_with(edits[i].flags, edits[i].words);
		if (!ok(made && !strcmp(made, edits[i].made), "%s", edits[i].text))
			printf("# made '%s'\n", made);
		free(made);
	}
}

/* ---- odd texts ---- */

static unsigned draw(unsigned n)
{
	static unsigned long long state = 20240229;
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(state >> 33) % n;
}

static const char *const pieces[] = {
	" ",
	" ",
	" ",
	"\t",
	"\n",
	"\\",
	"\\ ",
	"\\\\",
	"--",
	" -- ",
	"-",
	"j",
	"-j",
	"-j3",
	"-j99999999999",
	"--jobserver-auth=",
	"--jobserver-fds=",
	" --jobserver-auth=",
	" --jobserver-auth=3,4",
	"fifo:",
	"/tmp/x",
	"3,4",
	"-2,-2",
	"3",
	",",
	"0",
	"2147483647",
	"2147483648",
	"18446744073709551616",
	"n",
	"k",
	"A=b",
	"=",
	"\377",
	"\001",
	"%s%n",
	"x",
};

static void make_odd(char *out, size_t size)
{
	size_t n = 0;
	for (unsigned left = draw(14); left; left--) {
		const char *piece = pieces[draw(sizeof(pieces) / sizeof(pieces[0]))];
		for (unsigned times = draw(40) ? 1 : 400; times && n + strlen(piece) + 1 < size;
		     times--) {
			memcpy(out + n, piece, strlen(piece));
			n += strlen(piece);
		}
	}
	out[n] = '\0';
}

/* Two numbers, and nothing else; or a path. */
static bool is_reachable(const struct makeflags *m)
{
	if (!strncmp(m->auth, "fifo:", 5))
		return m->auth[5];
	const char *comma = strchr(m->auth, ',');
	return comma && comma > m->auth && comma[1] &&
	       strspn(m->auth, "0123456789") == (size_t)(comma - m->auth) &&
	       !comma[1 + strspn(comma + 1, "0123456789")];
}

/* What we have written must be what is read, whatever else is there. */
static bool comes_back(const char *flags)
{
	static struct makeflags m;
	char *made = makeflags_with(flags, "-j5 --jobserver-auth=8,9");
	if (!made)
		return false;
	makeflags_parse(made, &m);
	free(made);
	return m.server == MAKEFLAGS_NAMED && !strcmp(m.auth, "8,9") && m.jobs == 5;
}

static void odd(void)
{
	static struct makeflags m;
	static char flags[12000];
	unsigned named = 0;
	unsigned wrong = 0;
	unsigned lost = 0;
	for (int i = 0; i < 30000; i++) {
		make_odd(flags, sizeof(flags));
		/* Of its own size, so that a sanitizer sees who reads beyond. */
		char *copy = strdup(flags);
		makeflags_parse(copy, &m);
		named += m.server == MAKEFLAGS_NAMED;
		if (m.server == MAKEFLAGS_NAMED && !is_reachable(&m) && !wrong++)
			printf("# taken for a jobserver: %s\n", copy);
		if (!comes_back(copy) && !lost++)
			printf("# does not come back: '%s'\n", copy);
		free(copy);
	}
	ok(!wrong, "of 30000 odd texts only what is a jobserver is taken for one");
	ok(named > 100 && named < 29900, "some of them are, some not");
	ok(!lost, "one that is put in is found again in each");
}

int main(void)
{
	forms();
	too_long();
	replaced();
	odd();
	return tap_end();
}
