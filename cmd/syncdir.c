/* SPDX-License-Identifier: MIT */
/*
 * Where things live that are named without a path. It must be the same for a login shell and a cron job,
 * so no variable of a session decides; and it must outlive the session, whose end takes $XDG_RUNTIME_DIR
 * and, by logind's RemoveIPC, the user's files in /dev/shm.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exitcode.h"
#include "say.h"
#include "syncdir.h"

const char *syncdir(bool make)
{
	static char path[64];
	const char *given = secure_getenv("SYNC_DIR");
	uid_t uid = geteuid();
	if (given && *given)
		return given;
	if (uid == 0)
		snprintf(path, sizeof(path), "/run/sync");
	else
		snprintf(path, sizeof(path), "/var/tmp/sync-%u", (unsigned)uid);
	if (make)
		mkdir(path, uid == 0 ? 0755 : 0700);
	/* Anybody may have made it in /var/tmp. */
	struct stat st;
	if (lstat(path, &st) && !make)
		return path; /* so there is nothing in it */
	if (lstat(path, &st))
		die(EXIT_NO_CREATE, "cannot create the directory %s: %s: set SYNC_DIR", quote(path),
		    strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != uid || st.st_mode & 022)
		die(EXIT_DENIED,
		    "%s is not a directory that only you can write to: remove it, or set "
		    "SYNC_DIR to one",
		    quote(path));
	return path;
}
