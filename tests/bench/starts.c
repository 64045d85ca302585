/* SPDX-License-Identifier: MIT */
/*
 * Time whole commands side by side, each once a round and in another order each round: a machine whose
 * speed drifts is fair to all, and nobody always runs behind one that has warmed the same pages.
 * Usage: starts RUNS, and on stdin a line for each: NAME, a tab, the command's words; and perhaps a tab
 * and EVERY, for what is so slow that it is started only every so many rounds.
 * Prints NAME, a tab, and the median, 10th and 90th percentile in microseconds.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

struct command {
	char *name;
	char *argv[16];
	size_t every;
	double *usec;
	size_t runs; /* entries of usec */
};

static double run(const struct command *c)
{
	struct timespec a;
	struct timespec b;
	pid_t pid;
	int status;
	clock_gettime(CLOCK_MONOTONIC, &a);
	int err = posix_spawn(&pid, c->argv[0], NULL, NULL, c->argv, environ);
	if (err || waitpid(pid, &status, 0) != pid || status) {
		fprintf(stderr, "starts: %s failed: %s\n", c->argv[0],
			err ? strerror(err) : "status");
		exit(1);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
}

static int compare(const void *va, const void *vb)
{
	double a = *(const double *)va;
	double b = *(const double *)vb;
	return a < b ? -1 : a > b;
}

static size_t read_commands(struct command *list, size_t max)
{
	static char line[4096];
	size_t n = 0;
	while (n < max && fgets(line, sizeof(line), stdin)) {
		char *save;
		struct command *c = &list[n];
		char *text = strdup(line);
		c->name = text ? strtok_r(text, "\t\n", &save) : NULL;
		char *words = c->name ? strtok_r(NULL, "\t\n", &save) : NULL;
		if (!words)
			continue;
		char *every = strtok_r(NULL, "\t\n", &save);
		c->every = every ? strtoul(every, NULL, 10) : 1;
		for (size_t i = 0; i < 15; i++, words = NULL)
			if (!(c->argv[i] = strtok_r(words, " ", &save)))
				break;
		n += c->argv[0] != NULL;
	}
	return n;
}

static void shuffle(size_t *order, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = (size_t)random() % i;
		size_t t = order[k];
		order[k] = order[i - 1];
		order[i - 1] = t;
	}
}

int main(int argc, char **argv)
{
	static struct command list[32];
	size_t order[32];
	size_t runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
	size_t n = read_commands(list, 32);
	for (size_t i = 0; i < n; i++) {
		order[i] = i;
		list[i].usec = calloc(runs + 1, sizeof(double));
		if (!list[i].usec)
			return 1;
		for (int warm = 0; warm < 5; warm++)
			run(&list[i]);
	}
	for (size_t k = 0; k < runs; k++) {
		shuffle(order, n);
		for (size_t i = 0; i < n; i++) {
			struct command *c = &list[order[i]];
			if (k % c->every == 0)
				c->usec[c->runs++] = run(c);
		}
	}
	for (size_t i = 0; i < n; i++) {
		double *u = list[i].usec;
		size_t count = list[i].runs;
		qsort(u, count, sizeof(double), compare);
		printf("%s\t%.1f\t%.1f\t%.1f\n", list[i].name, u[count / 2], u[count / 10],
		       u[count * 9 / 10]);
	}
	return 0;
}
