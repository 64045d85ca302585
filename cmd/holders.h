/* SPDX-License-Identifier: MIT */
/* Naming processes to people: who is in our way, and the table of holders and waiters. */
#ifndef CMD_HOLDERS_H
#define CMD_HOLDERS_H

#include "libsync.h"

/*
 * Into BUF: "held by pid 123 (backup.sh, bob) for 12m", for whoever keeps us from a lock in MODE;
 * when nobody does by now, or nobody can be seen, it says that. True if somebody was named.
 */
bool holders_describe(char *buf, size_t size, const struct sync_lock *lock, enum sync_mode mode);

/*
 * The same for a semaphore from which COUNT permits are wanted: how many are free of how many, and who
 * has them where that can be known. True unless enough are free by now.
 */
bool holders_describe_sem(char *buf, size_t size, struct sync_sem *sem, unsigned count);

/*
 * Those who keep us from a lock in MODE, as a JSON array with the objects that --who prints; as many as
 * there is room for.
 */
const char *holders_json(char *buf, size_t size, const struct sync_lock *lock, enum sync_mode mode);

/* Print all holders and waiters of the lock's file; 0 or -errno. */
int holders_print(const struct sync_lock *lock, bool json);

/* A user's name, or "uid 123"; escaped. Returns BUF. */
const char *holders_user(char *buf, size_t size, uid_t uid);
/* The time since then as people say it: 5s, 12m, 3h, 2d. Returns BUF. */
const char *holders_age(char *buf, size_t size, int64_t since);
const char *holders_mode(enum sync_mode mode);

#endif
