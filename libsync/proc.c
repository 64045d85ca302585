/* SPDX-License-Identifier: MIT */
/* Readers for what /proc says of a process and of locks. Every field may be hostile or gone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define PATH_SIZE 64

ssize_t sync_proc_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t used = 0;
	ssize_t n = 1;
	while (used < size - 1 && n > 0) {
		n = read(fd, buf + used, size - 1 - used);
		if (n > 0)
			used += (size_t)n;
	}
	int r = n < 0 ? -errno : 0;
	close(fd);
	buf[used] = '\0';
	return r ? r : (ssize_t)used;
}

static ssize_t read_of(pid_t pid, const char *file, char *buf, size_t size)
{
	char path[PATH_SIZE];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return sync_proc_read(path, buf, size);
}

/* proc_pid_stat(5): the command in parentheses may hold anything, so count from the last one. */
int sync_proc_stat(pid_t pid, struct sync_proc *out)
{
	char buf[1024];
	ssize_t n = read_of(pid, "stat", buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	const char *s = strrchr(buf, ')');
	char state;
	int parent;
	unsigned long long start;
	if (!s || sscanf(s,
			 ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			 "%*d %*d %llu",
			 &state, &parent, &start) != 3)
		return -EIO;
	out->parent = parent;
	out->stopped = state == 'T' || state == 't';
	out->ended = state == 'Z' || state == 'X';
	out->start = start;
	return 0;
}

bool sync_proc_is_ancestor(pid_t pid)
{
	struct sync_proc p = {.parent = getppid()};
	/* At the latest for the parent of the first one, which is 0, there is no file. */
	while (p.parent != pid)
		if (sync_proc_stat(p.parent, &p))
			return false;
	return true;
}

static bool shows_files(pid_t pid)
{
	char path[PATH_SIZE];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return false;
	for (struct dirent *d = readdir(dir); d && !found; d = readdir(dir))
		found = d->d_name[0] != '.';
	closedir(dir);
	return found;
}

pid_t sync_proc_thread(pid_t pid)
{
	char path[PATH_SIZE];
	struct stat st;
	struct sync_proc p;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	/* Links: its name, ".", and one for each thread */
	if (stat(path, &st) || st.st_nlink == 3 || sync_proc_stat(pid, &p) || !p.ended)
		return pid;
	DIR *dir = opendir(path);
	if (!dir)
		return pid;
	pid_t found = pid;
	for (struct dirent *d = readdir(dir); d && found == pid; d = readdir(dir)) {
		uint64_t tid;
		if (!sync_name_number(d->d_name, strlen(d->d_name), INT32_MAX, &tid) &&
		    shows_files((pid_t)tid))
			found = (pid_t)tid;
	}
	closedir(dir);
	return found;
}

static int64_t start_to_epoch(uint64_t ticks)
{
	struct timespec boot;
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age = (int64_t)boot.tv_sec - (int64_t)(ticks / (uint64_t)sysconf(_SC_CLK_TCK));
	return (int64_t)now.tv_sec - age;
}

static void read_command(struct sync_owner *o)
{
	ssize_t n = read_of(o->pid, "comm", o->name, sizeof(o->name));
	o->name[n > 0 ? strcspn(o->name, "\n") : 0] = '\0';
	n = read_of(o->pid, "cmdline", o->command, sizeof(o->command));
	if (!n)
		n = read_of(sync_proc_thread(o->pid), "cmdline", o->command, sizeof(o->command));
	while (n > 0 && !o->command[n - 1])
		n--;
	for (ssize_t i = 0; i < n; i++)
		if (!o->command[i])
			o->command[i] = ' ';
	if (n <= 0)
		memcpy(o->command, o->name, sizeof(o->name));
}

/* Not the owner of /proc/PID: that is root's for a process which may not be dumped. */
static uid_t read_uid(pid_t pid)
{
	char buf[2048];
	unsigned uid;
	if (read_of(pid, "status", buf, sizeof(buf)) < 0)
		return (uid_t)-1;
	const char *s = strstr(buf, "\nUid:");
	return s && sscanf(s, " Uid: %u", &uid) == 1 ? (uid_t)uid : (uid_t)-1;
}

void sync_proc_describe(struct sync_owner *o)
{
	struct sync_proc p;
	o->uid = read_uid(o->pid);
	if (!sync_proc_stat(o->pid, &p)) {
		o->stopped = p.stopped;
		o->since = start_to_epoch(p.start);
	}
	read_command(o);
}

static const char *lock_kind(const char *word)
{
	static const char *const kinds[][2] = {
		{"FLOCK", "flock"},
		{"OFDLCK", "ofd"},
		{"POSIX", "fcntl"},
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(word, kinds[i][0]))
			return kinds[i][1];
	return NULL;
}

/* "1: -> FLOCK  ADVISORY  WRITE 123 08:01:456 0 EOF"; fs/locks.c, lock_get_status() */
bool sync_proc_lock_parse(const char *s, struct sync_proc_lock *out)
{
	char kind[16];
	char mode[16];
	char last[24];
	int pid;
	unsigned long long ino;
	unsigned long long first;
	s = strchr(s, ':');
	if (!s)
		return false;
	s += 1 + strspn(s + 1, " ");
	out->waiting = !strncmp(s, "->", 2);
	s += out->waiting ? 2 : 0;
	if (sscanf(s, "%15s %*s %15s %d %x:%x:%llu %llu %23s", kind, mode, &pid, &out->major,
		   &out->minor, &ino, &first, last) != 8)
		return false;
	out->kind = lock_kind(kind);
	out->mode = !strcmp(mode, "READ") ? SYNC_SHARED : SYNC_EXCLUSIVE;
	out->pid = pid;
	out->ino = ino;
	out->range.first = first;
	out->range.last = !strcmp(last, "EOF") ? SYNC_RANGE_END : strtoull(last, NULL, 10);
	return out->kind != NULL;
}

int sync_proc_fd_locks(pid_t pid, int fd, sync_proc_lock_fn *each, void *arg)
{
	char path[PATH_SIZE];
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid, fd);
	FILE *file = fopen(path, "re");
	if (!file)
		return -errno;
	char *text = NULL;
	size_t size = 0;
	while (getline(&text, &size, file) > 0) {
		struct sync_proc_lock line;
		if (!strncmp(text, "lock:", 5) && sync_proc_lock_parse(text + 5, &line))
			each(&line, arg);
	}
	int r = feof(file) ? 0 : -errno;
	free(text);
	fclose(file);
	return r;
}
