/* SPDX-License-Identifier: MIT */
/* Signals between lockruns, and to those who are asked to end: always to a process that is pinned by a pidfd. */
#ifndef CMD_PEER_H
#define CMD_PEER_H

#include <stdbool.h>

/* May the process of this pidfd be signalled by us? 0 or -errno; -ESRCH: it has ended. */
int peer_try(int pidfd);
/* Send SIGNO, and wake it if it is stopped. 0 or -errno. */
int peer_ask(int pidfd, int signo);
/* Tell a lockrun that listens to give way. 0 or -errno. */
int peer_tell(int pidfd);

/* From here on SIGTERM is heard through the descriptor that is returned; or die. */
int peer_listen(void);
/*
 * One that has come: true if it is peer_tell()'s. Any other has its usual effect. False if there is none. To be
 * called by one thread at a time.
 */
bool peer_hear(int listening);
/* SIGTERM is again as we were started with it. */
void peer_stop_listening(int listening);

#endif
