/* SPDX-License-Identifier: MIT */
/*
 * syncls --facilities: what Linux has for processes to talk and to wait; in the shape of tables 43-1 and 43-2 of "The
 * Linux Programming Interface", with the limits in force here, and how much of them is used.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "json.h"
#include "objects.h"
#include "syncls.h"

#define PROCESS "process"
#define KERNEL "kernel"
#define MASK "permissions mask"
#define RELATED "only by related processes"

struct facility {
	const char *group, *name;
	const char *identified; /* the name by which a process finds it */
	const char *handle;     /* what a program has of it then */
	const char *access, *persistence;
	const char *applet; /* that uses it; "-" none */
	/* Writes the limits here, and what is used of them; NULL there are none of its own. */
	void (*limits)(FILE *f);
};

/* ---- limits ---- */

/* The numbers of a file in /proc; those that are not there are 0. */
static void numbers(const char *path, uint64_t out[4])
{
	FILE *f = fopen(path, "re");
	memset(out, 0, 4 * sizeof(*out));
	for (int i = 0; f && i < 4; i++)
		if (fscanf(f, "%" SCNu64, &out[i]) != 1)
			break;
	if (f)
		fclose(f);
}

static uint64_t number(const char *path)
{
	uint64_t n[4];
	numbers(path, n);
	return n[0];
}

/* Lines of a table in /proc, without its heading */
static uint64_t lines(const char *path)
{
	FILE *f = fopen(path, "re");
	uint64_t n = 0;
	int c;
	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n ? n - 1 : 0;
}

static void put_rlimit(FILE *f, const char *name, int which)
{
	struct rlimit limit;
	if (getrlimit(which, &limit))
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		fprintf(f, "%s unlimited", name);
	else
		fprintf(f, "%s %" PRIu64, name, (uint64_t)limit.rlim_cur);
}

static void pipe_limits(FILE *f)
{
	fprintf(f, "pipe-max-size %" PRIu64 ", pipe-user-pages-soft %" PRIu64,
		number("/proc/sys/fs/pipe-max-size"), number("/proc/sys/fs/pipe-user-pages-soft"));
}

static void socket_limits(FILE *f)
{
	fprintf(f, "wmem_max %" PRIu64 ", somaxconn %" PRIu64,
		number("/proc/sys/net/core/wmem_max"), number("/proc/sys/net/core/somaxconn"));
}

static void unix_limits(FILE *f)
{
	fprintf(f, "max_dgram_qlen %" PRIu64, number("/proc/sys/net/unix/max_dgram_qlen"));
}

static void sysv_sem_limits(FILE *f)
{
	uint64_t n[4];
	numbers("/proc/sys/kernel/sem", n);
	fprintf(f,
		"%" PRIu64 " of %" PRIu64 " sets, %" PRIu64 " in a set, %" PRIu64
		" in all, %" PRIu64 " operations",
		lines("/proc/sysvipc/sem"), n[3], n[0], n[1], n[2]);
}

static void sysv_msg_limits(FILE *f)
{
	fprintf(f,
		"%" PRIu64 " of %" PRIu64 " queues, %" PRIu64 " B a queue, %" PRIu64 " B a message",
		lines("/proc/sysvipc/msg"), number("/proc/sys/kernel/msgmni"),
		number("/proc/sys/kernel/msgmnb"), number("/proc/sys/kernel/msgmax"));
}

static void sysv_shm_limits(FILE *f)
{
	fprintf(f,
		"%" PRIu64 " of %" PRIu64 " segments, %" PRIu64 " B each, %" PRIu64 " pages in all",
		lines("/proc/sysvipc/shm"), number("/proc/sys/kernel/shmmni"),
		number("/proc/sys/kernel/shmmax"), number("/proc/sys/kernel/shmall"));
}

/* How many of a type there are that have POSIX names; -1 if not all could be seen. */
static int64_t count_posix(enum sync_type type, unsigned blind)
{
	struct sync_survey *survey = objects_look(type, NULL);
	const struct sync_object *const *list;
	unsigned missing;
	int64_t n = 0;
	size_t count = sync_survey_objects(survey, &list);
	(void)sync_survey_hidden(survey, &missing);
	for (size_t i = 0; i < count; i++)
		n += list[i]->name[0] == 'p' && !list[i]->flags;
	sync_survey_close(survey);
	return missing & blind ? -1 : n;
}

static void mq_limits(FILE *f)
{
	int64_t n = count_posix(SYNC_TYPE_MQ, SYNC_BLIND_QUEUES);
	if (n >= 0)
		fprintf(f, "%" PRId64 " of ", n);
	fprintf(f, "%" PRIu64 " queues, %" PRIu64 " messages, %" PRIu64 " B a message, ",
		number("/proc/sys/fs/mqueue/queues_max"), number("/proc/sys/fs/mqueue/msg_max"),
		number("/proc/sys/fs/mqueue/msgsize_max"));
	put_rlimit(f, "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE);
}

static void sem_limits(FILE *f)
{
	int64_t n = count_posix(SYNC_TYPE_SEM, SYNC_BLIND_SHM);
	if (n >= 0)
		fprintf(f, "%" PRId64 " there; ", n);
	fprintf(f, "value to 2147483647, room in /dev/shm");
}

static void shm_limits(FILE *f)
{
	int64_t n = count_posix(SYNC_TYPE_SHM, SYNC_BLIND_SHM);
	if (n >= 0)
		fprintf(f, "%" PRId64 " there; ", n);
	fprintf(f, "room in /dev/shm");
}

static void file_limits(FILE *f)
{
	uint64_t n[4];
	numbers("/proc/sys/fs/file-nr", n);
	fprintf(f, "%" PRIu64 " of %" PRIu64 " open files, ", n[0], n[2]);
	put_rlimit(f, "RLIMIT_NOFILE", RLIMIT_NOFILE);
}

static void map_limits(FILE *f)
{
	fprintf(f, "max_map_count %" PRIu64, number("/proc/sys/vm/max_map_count"));
}

static void signal_limits(FILE *f)
{
	put_rlimit(f, "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING);
}

static void inotify_limits(FILE *f)
{
	fprintf(f, "max_user_instances %" PRIu64 ", max_user_watches %" PRIu64,
		number("/proc/sys/fs/inotify/max_user_instances"),
		number("/proc/sys/fs/inotify/max_user_watches"));
}

static void lock_limits(FILE *f)
{
	put_rlimit(f, "RLIMIT_LOCKS", RLIMIT_LOCKS);
}

static void pool_limits(FILE *f)
{
	fprintf(f, "%u permits", sync_sem_max_of("pool:any"));
}

static const struct facility facilities[] = {
	{"data", "pipe", "no name", "file descriptor", RELATED, PROCESS, "-", pipe_limits},
	{"data", "FIFO", "pathname", "file descriptor", MASK, PROCESS, "-", pipe_limits},
	{"data", "UNIX socket", "pathname", "file descriptor", MASK, PROCESS, "-", unix_limits},
	{"data", "Internet socket", "IP address, port", "file descriptor", "by any process",
	 PROCESS, "-", socket_limits},
	{"data", "System V queue", "System V IPC key", "IPC identifier", MASK, KERNEL, "mqpipe",
	 sysv_msg_limits},
	{"data", "POSIX queue", "POSIX IPC pathname", "mqd_t (descriptor)", MASK, KERNEL, "mqpipe",
	 mq_limits},
	{"memory", "System V memory", "System V IPC key", "IPC identifier", MASK, KERNEL, "-",
	 sysv_shm_limits},
	{"memory", "POSIX memory", "POSIX IPC pathname", "file descriptor", MASK, KERNEL, "-",
	 shm_limits},
	{"memory", "anonymous mapping", "no name", "none", RELATED, PROCESS, "-", map_limits},
	{"memory", "file mapping", "pathname", "file descriptor", MASK, "file system", "-",
	 map_limits},
	{"memory", "memfd", "no name", "file descriptor", "who is given it", PROCESS, "-",
	 file_limits},
	{"wait", "System V semaphore", "System V IPC key", "IPC identifier", MASK, KERNEL,
	 "semwait", sysv_sem_limits},
	{"wait", "POSIX named semaphore", "POSIX IPC pathname", "sem_t *", MASK, KERNEL, "semwait",
	 sem_limits},
	{"wait", "POSIX unnamed sem.", "no name", "sem_t *", "of its memory", "of its memory", "-",
	 NULL},
	{"wait", "pool of permits", "pathname", "file descriptor", MASK, "file system", "semwait",
	 pool_limits},
	{"wait", "flock lock", "pathname", "file descriptor", "open() of file", PROCESS, "lockrun",
	 file_limits},
	{"wait", "fcntl lock", "pathname", "file descriptor", "open() of file", PROCESS, "lockrun",
	 lock_limits},
	{"wait", "ofd lock", "pathname", "file descriptor", "open() of file", PROCESS, "lockrun",
	 file_limits},
	{"wait", "eventfd", "no name; or evfd's", "file descriptor", "who is given it", PROCESS,
	 "evfd", file_limits},
	{"wait", "futex", "no name", "address", "of its memory", "of its memory", "-", NULL},
	{"wait", "inotify", "pathname", "file descriptor", "read of file", PROCESS, "-",
	 inotify_limits},
	{"signal", "signal", "process ID", "none", "same user", PROCESS, "lockrun", signal_limits},
	{"signal", "pidfd", "process ID", "file descriptor", "same user", PROCESS, "lockrun",
	 file_limits},
};
#define FACILITIES (sizeof(facilities) / sizeof(facilities[0]))

static char *limits_of(const struct facility *x)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	if (x->limits)
		x->limits(f);
	return fclose(f) ? NULL : text;
}

static void put_json(const struct facility *x, const char *limits)
{
	const char *const fields[][2] = {
		{"facility", x->name}, {"purpose", x->group},     {"identified_by", x->identified},
		{"handle", x->handle}, {"accessible", x->access}, {"persistence", x->persistence},
		{"limits", limits},    {"applet", x->applet},
	};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		printf("%c\"%s\":", i ? ',' : '{', fields[i][0]);
		json_string(fields[i][1]);
	}
	putchar('}');
}

void print_facilities(bool json)
{
	if (json) {
		putchar('[');
		for (size_t i = 0; i < FACILITIES; i++) {
			char *limits = limits_of(&facilities[i]);
			fputs(i ? ",\n " : "", stdout);
			put_json(&facilities[i], limits ? limits : "");
			free(limits);
		}
		puts("]");
		return;
	}
	puts("Identifiers and handles, accessibility and persistence\n");
	printf("%-22s %-20s %-19s %-26s %-14s %s\n", "FACILITY", "IDENTIFIED BY", "HANDLE",
	       "ACCESSIBLE", "PERSISTENCE", "APPLET");
	for (size_t i = 0; i < FACILITIES; i++) {
		const struct facility *x = &facilities[i];
		printf("%-22s %-20s %-19s %-26s %-14s %s\n", x->name, x->identified, x->handle,
		       x->access, x->persistence, x->applet);
	}
	puts("\nLimits here, and what is used of them\n");
	for (size_t i = 0; i < FACILITIES; i++) {
		char *limits = facilities[i].limits ? limits_of(&facilities[i]) : NULL;
		if (limits)
			printf("%-22s %s\n", facilities[i].name, limits);
		free(limits);
	}
}
