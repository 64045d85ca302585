/* SPDX-License-Identifier: MIT */
/* Which exit status stands for which errno: the one table of it. */
#include <errno.h>

#include "exitcode.h"

int exit_status_of(int err)
{
	switch (-err) {
	case ETIMEDOUT:
	case EAGAIN:
		return EXIT_BUSY;
	case EINVAL:
	case EOVERFLOW:
	case EOPNOTSUPP:
	case ENAMETOOLONG:
		return EXIT_BAD_USAGE;
	case EMEDIUMTYPE:
	case ELOOP:
	case EISDIR:
	case ENOTDIR:
	case ETXTBSY:
		return EXIT_BAD_DATA;
	case ENOENT:
	case EBADF:
	case ENXIO:
	case ENODEV:
		return EXIT_NO_OBJECT;
	case EIDRM:
	case EOWNERDEAD:
	case ESTALE:
		return EXIT_GONE;
	case EROFS:
	case ENOSPC:
	case EDQUOT:
	case EEXIST:
		return EXIT_NO_CREATE;
	case EIO:
	case EPIPE:
		return EXIT_IO;
	case EACCES:
	case EPERM:
		return EXIT_DENIED;
	default:
		return EXIT_SYSTEM;
	}
}
