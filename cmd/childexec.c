/* SPDX-License-Identifier: MIT */
/* Becoming COMMAND, in our place or in a child: what is kept over exec, scripts without a first line, why it cannot be run. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child_parts.h"
#include "exitcode.h"
#include "say.h"

/*
 * The system call, because the libcs keep signals for themselves and hide them here: with musl's
 * sigprocmask() a mask that has signal 34 in it would not come out as it went in.
 */
void child_set_mask(int how, const sigset_t *set, sigset_t *old)
{
	syscall(SYS_rt_sigprocmask, how, set, old, _NSIG / 8);
}

void child_keep_over_exec(const struct child_plan *plan)
{
	for (size_t i = 0; i < plan->keep_count; i++)
		fcntl(plan->keep[i], F_SETFD, 0);
}

int child_cannot_run(const char *word, int err)
{
	const char *name = quote(word);
	if (err == ENOENT && strchr(word, '/') && !access(word, F_OK)) {
		warn("cannot run %s: the interpreter in its first line does not exist", name);
		return EXIT_NOT_FOUND;
	}
	if (err == ENOENT) {
		warn("cannot run %s: no such command: check the name and PATH", name);
		return EXIT_NOT_FOUND;
	}
	if (err == EACCES)
		warn("cannot run %s: not executable, or not by this user: see chmod +x", name);
	else
		warn("cannot run %s: %s", name, strerror(err));
	return EXIT_CANNOT_RUN;
}

/* Apart, for the sake of the stack that it takes. It may be on the far side of vfork, so nothing is allocated. */
__attribute__((noinline)) static void become_script(char *const *argv)
{
	static char sh[] = "/bin/sh";
	char *words[1024];
	size_t n = 0;
	const char *path = argv[0];
	while (*path && *path != '/')
		path++;
	if (!*path)
		return;
	/* NOLINTBEGIN(clang-analyzer-unix.Vfork) */
	words[0] = sh;
	while (n < 1022 && argv[n]) {
		words[n + 1] = argv[n];
		n++;
	}
	words[n + 1] = NULL;
	if (!argv[n])
		execv(sh, words);
	errno = ENOEXEC;
	/* NOLINTEND(clang-analyzer-unix.Vfork) */
}

/*
 * execvp(3), of which POSIX wants that sh reads a script without a #! line: musl's does not. Only if its path
 * is given: which of PATH it was nobody tells.
 */
void child_replace_us(char *const *argv)
{
	execvp(argv[0], argv);
	if (errno == ENOEXEC)
		become_script(argv);
}

int child_exec(const struct child_plan *plan)
{
	child_keep_over_exec(plan);
	child_replace_us(plan->argv);
	return child_cannot_run(plan->argv[0], errno);
}
