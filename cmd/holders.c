/* SPDX-License-Identifier: MIT */
/* Naming processes to people. What is shown is a picture of the past and decides nothing. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "holders.h"
#include "json.h"
#include "mark.h"
#include "say.h"

const char *holders_user(char *buf, size_t size, uid_t uid)
{
	/* Most are the same as the one before, and each look-up reads the file of users. */
	static const struct passwd *pw;
	static uid_t known;
	if (!pw || known != uid)
		pw = getpwuid(uid);
	known = uid;
	if (pw)
		escape(buf, size, pw->pw_name);
	else
		snprintf(buf, size, "uid %u", (unsigned)uid);
	return buf;
}

const char *holders_age(char *buf, size_t size, int64_t since)
{
	int64_t age = (int64_t)time(NULL) - since;
	if (age < 0)
		age = 0;
	if (age < 120)
		snprintf(buf, size, "%" PRId64 "s", age);
	else if (age < 7200)
		snprintf(buf, size, "%" PRId64 "m", age / 60);
	else if (age < 172800)
		snprintf(buf, size, "%" PRId64 "h", age / 3600);
	else
		snprintf(buf, size, "%" PRId64 "d", age / 86400);
	return buf;
}

static void describe_one(char *buf, size_t size, const struct sync_owner *o)
{
	char name[64];
	char user[64];
	char age[24];
	snprintf(buf, size, "pid %d (%s, %s) for %s%s", (int)o->pid,
		 escape(name, sizeof(name), o->name), holders_user(user, sizeof(user), o->uid),
		 holders_age(age, sizeof(age), o->since), o->stopped ? ", which is stopped" : "");
}

static bool describe_none(char *buf, size_t size, size_t hidden)
{
	if (hidden)
		snprintf(buf, size,
			 "held by one of %zu processes that cannot be looked into: "
			 "see as root who it is",
			 hidden);
	else
		snprintf(buf, size,
			 "held by a process that has let go meanwhile, or of another "
			 "container or host");
	return false;
}

/* Us, and who started us with a descriptor that has the lock: that is no obstacle to a conversion. */
static bool is_ours(const struct sync_lock *lock, const struct sync_owner *o)
{
	if (o->pid == getpid())
		return true;
	int fd = sync_lock_fd(lock);
	return fd >= 0 && sync_lock_held_at(lock, 0, fd, NULL) > 0 &&
	       sync_lock_held_at(lock, o->pid, fd, NULL) > 0;
}

/*
 * The one to name is the job, not the lockrun above it: the oldest heir of whoever asked. With
 * several (shared) holders, the count tells how many more processes asked.
 */
bool holders_describe(char *buf, size_t size, const struct sync_lock *lock, enum sync_mode mode)
{
	struct sync_owner *list;
	const struct sync_owner *best = NULL;
	size_t count;
	size_t hidden;
	size_t askers = 0;
	bool ours = false;
	if (sync_lock_owners(lock, &list, &count, &hidden))
		return describe_none(buf, size, 0);
	for (size_t i = 0; i < count; i++) {
		const struct sync_owner *o = &list[i];
		if (o->waiting || !o->pid || !sync_lock_conflicts(lock, mode, o))
			continue;
		if (is_ours(lock, o)) {
			ours = true;
			continue;
		}
		askers += !o->inherited;
		if (!best || (o->inherited && !best->inherited))
			best = o;
	}
	if (!best) {
		free(list);
		if (!ours)
			return describe_none(buf, size, hidden);
		snprintf(buf, size, "held by a descriptor that this command was started with");
		return true;
	}
	char one[256];
	describe_one(one, sizeof(one), best);
	if (askers > 1)
		snprintf(buf, size, "held by %s, and %zu more", one, askers - 1);
	else
		snprintf(buf, size, "held by %s", one);
	free(list);
	return true;
}

/*
 * Of a semaphore that can name its holders: the oldest, and how many others took permits. If a
 * semwait stands above the job (SUPERVISED), its heir is the one to name.
 */
static const struct sync_owner *oldest(const struct sync_owner *list, size_t count, bool supervised,
				       size_t *others)
{
	const struct sync_owner *best = NULL;
	size_t askers = 0;
	for (size_t i = 0; i < count; i++) {
		if (list[i].waiting || !list[i].pid)
			continue;
		askers += !list[i].inherited;
		if (list[i].inherited ? supervised && (!best || !best->inherited) : !best)
			best = &list[i];
	}
	*others = askers ? askers - 1 : 0;
	return best;
}

bool holders_describe_sem(char *buf, size_t size, struct sync_sem *sem, unsigned count)
{
	struct sync_sem_state state;
	struct sync_owner *list;
	size_t n;
	size_t others;
	size_t hidden;
	int r = sync_sem_state(sem, &state);
	if (r) {
		snprintf(buf, size, "%s", r == -EIDRM ? "removed" : strerror(-r));
		return true;
	}
	bool closed = sync_sem_caps(sem) & SYNC_CAP_RESIZE && !state.capacity;
	size_t used = (size_t)snprintf(buf, size, "%s%u", closed ? "closed, " : "", state.value);
	/* Permits that were posted count beyond what sysv: was made with. */
	if (state.capacity >= state.value && state.capacity && used < size)
		used += (size_t)snprintf(buf + used, size - used, " of %u", state.capacity);
	if (used < size)
		used += (size_t)snprintf(buf + used, size - used, " permits free");
	if (state.waiters && used < size)
		used += (size_t)snprintf(buf + used, size - used, ", %u waiting", state.waiters);
	if (state.last && used < size)
		used += (size_t)snprintf(buf + used, size - used, ", last used by pid %d",
					 (int)state.last);
	if (sync_sem_owners(sem, &list, &n, &hidden))
		return state.value < count;
	const struct sync_owner *best =
		oldest(list, n, !(sync_sem_caps(sem) & SYNC_CAP_EXEC), &others);
	if (best && used < size) {
		char one[256];
		describe_one(one, sizeof(one), best);
		used += (size_t)snprintf(buf + used, size - used, "; held by %s", one);
	}
	if (best && others && used < size)
		snprintf(buf + used, size - used, ", and %zu more", others);
	free(list);
	return state.value < count;
}

/* ---- the table ---- */

const char *holders_mode(enum sync_mode mode)
{
	static const char *const text[] = {
		[SYNC_UNLOCKED] = "unknown",
		[SYNC_SHARED] = "shared",
		[SYNC_EXCLUSIVE] = "exclusive",
	};
	return text[mode];
}

static void print_row(const struct sync_owner *o)
{
	char range[48] = "all";
	char age[24] = "-";
	char pid[16] = "?";
	char user[64] = "?";
	char command[sizeof(o->command) * 4] = "(cannot be seen from here)";
	if (o->len)
		snprintf(range, sizeof(range), "%" PRIu64 "+%" PRIu64, o->start, o->len);
	else if (o->start)
		snprintf(range, sizeof(range), "%" PRIu64, o->start);
	if (o->pid) {
		snprintf(pid, sizeof(pid), "%d", (int)o->pid);
		holders_age(age, sizeof(age), o->since);
		holders_user(user, sizeof(user), o->uid);
		escape(command, sizeof(command), o->command);
	}
	printf("%-6s %7s %-10s %-6s %-10s %-12s %6s %s%s\n", o->waiting ? "waits" : "holds", pid,
	       user, o->kind, holders_mode(o->mode), range, age, command,
	       o->stopped ? " (stopped)" : "");
}

static void print_json(FILE *f, const struct sync_owner *o)
{
	char user[64];
	fprintf(f,
		"{\"state\":\"%s\",\"kind\":\"%s\",\"mode\":\"%s\",\"start\":%" PRIu64
		",\"length\":%" PRIu64,
		o->waiting ? "waits" : "holds", o->kind, holders_mode(o->mode), o->start, o->len);
	if (!o->pid) {
		fprintf(f, ",\"pid\":null,\"user\":null,\"command\":null,\"since\":null,"
			   "\"inherited\":false,\"stopped\":false}");
		return;
	}
	fprintf(f, ",\"pid\":%d,\"user\":", (int)o->pid);
	json_write(f, holders_user(user, sizeof(user), o->uid));
	fprintf(f, ",\"command\":");
	json_write(f, o->command);
	fprintf(f, ",\"since\":%" PRId64 ",\"inherited\":%s,\"stopped\":%s}", o->since,
		o->inherited ? "true" : "false", o->stopped ? "true" : "false");
}

/* Append O to the list in BUF, if there is room; true if there was. */
static bool append_json(char *buf, size_t size, const struct sync_owner *o)
{
	char *text = NULL;
	size_t length = 0;
	FILE *f = open_memstream(&text, &length);
	if (!f)
		return false;
	print_json(f, o);
	fclose(f);
	size_t used = strlen(buf);
	bool fits = text && used + length + 2 <= size;
	if (fits)
		snprintf(buf + used, size - used, "%s%s", used > 1 ? "," : "", text);
	free(text);
	return fits;
}

const char *holders_json(char *buf, size_t size, const struct sync_lock *lock, enum sync_mode mode)
{
	struct sync_owner *list;
	size_t count;
	size_t hidden;
	snprintf(buf, size, "[");
	if (!sync_lock_owners(lock, &list, &count, &hidden)) {
		for (size_t i = 0; i < count; i++)
			if (!list[i].waiting && list[i].pid != getpid() &&
			    sync_lock_conflicts(lock, mode, &list[i]) &&
			    !append_json(buf, size - 1, &list[i]))
				break;
		free(list);
	}
	size_t used = strlen(buf); /* append_json() has left room */
	snprintf(buf + used, size - used, "]");
	return buf;
}

static void print_list(const struct sync_owner *list, size_t count, bool json)
{
	if (json)
		putchar('[');
	else if (count)
		printf("%-6s %7s %-10s %-6s %-10s %-12s %6s %s\n", "STATE", "PID", "USER", "KIND",
		       "MODE", "RANGE", "SINCE", "COMMAND");
	for (size_t i = 0; i < count; i++) {
		if (!json) {
			print_row(&list[i]);
			continue;
		}
		fputs(i ? ",\n " : "", stdout);
		print_json(stdout, &list[i]);
	}
	if (json)
		puts("]");
}

/*
 * Run under the lock, we have its descriptor ourselves; nobody asked for that. Nor for the marks of those who wait,
 * and who are listed as that.
 */
static size_t without_us(struct sync_owner *list, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (list[i].pid != getpid() && !mark_is(&list[i]))
			list[kept++] = list[i];
	return kept;
}

int holders_print(const struct sync_lock *lock, bool json)
{
	struct sync_owner *list;
	size_t count;
	size_t hidden;
	int r = sync_lock_owners(lock, &list, &count, &hidden);
	if (r)
		return r;
	print_list(list, without_us(list, count), json);
	free(list);
	if (hidden)
		warn("%zu processes of other users could not be looked into: root sees them all",
		     hidden);
	return 0;
}
