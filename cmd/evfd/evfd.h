/* SPDX-License-Identifier: MIT */
/* Every action of evfd. */
#ifndef CMD_EVFD_H
#define CMD_EVFD_H

#include "applet.h"

#define ACTION(name) extern const struct applet evfd_##name;
#include "actions.def"
#undef ACTION

#endif
