/* SPDX-License-Identifier: MIT */
/*
 * Messages through a D-Bus: the session's, or else the system's. The library is looked for when it is wanted, so
 * that nobody has to have it.
 *
 * The bus would keep what the receiver is late with, up to a limit, and then drop it. So the sender has credit
 * for DEPTH messages, and the receiver gives half of that back in a message of its own, as with UDP.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport.h"

enum { DEPTH = 64, SESSION = 0, SYSTEM = 1 };

/* The names of both, in shared memory. */
typedef char names[2][64];

/* What is used of libdbus-1, whose interface has been the same since 2006. */
struct error {
	const char *name, *message;
	unsigned flags;
	void *padding;
};
typedef struct connection connection;
typedef struct message message;

static struct {
	void (*error_init)(struct error *e);
	connection *(*bus_get_private)(int bus, struct error *e);
	const char *(*bus_get_unique_name)(connection *c);
	void (*connection_set_exit_on_disconnect)(connection *c, unsigned yes);
	void (*connection_close)(connection *c);
	void (*connection_unref)(connection *c);
	unsigned (*connection_send)(connection *c, message *m, uint32_t *serial);
	void (*connection_flush)(connection *c);
	unsigned (*connection_read_write)(connection *c, int milliseconds);
	message *(*connection_pop_message)(connection *c);
	message *(*message_new_method_call)(const char *to, const char *path, const char *interface,
					    const char *method);
	void (*message_set_no_reply)(message *m, unsigned yes);
	unsigned (*message_append_args)(message *m, int first, ...);
	unsigned (*message_get_args)(message *m, struct error *e, int first, ...);
	unsigned (*message_is_method_call)(message *m, const char *interface, const char *method);
	void (*message_unref)(message *m);
} dbus;

#define INTERFACE "org.syncbox.Bench"

static int load(void)
{
#define FUNCTION(name)                                                                             \
	{                                                                                          \
		"dbus_" #name, &dbus.name                                                          \
	}
	const struct {
		const char *name;
		void *at;
	} list[] = {
		FUNCTION(error_init),
		FUNCTION(bus_get_private),
		FUNCTION(bus_get_unique_name),
		FUNCTION(connection_set_exit_on_disconnect),
		FUNCTION(connection_close),
		FUNCTION(connection_unref),
		FUNCTION(connection_send),
		FUNCTION(connection_flush),
		FUNCTION(connection_read_write),
		FUNCTION(connection_pop_message),
		FUNCTION(message_new_method_call),
		FUNCTION(message_set_no_reply),
		FUNCTION(message_append_args),
		FUNCTION(message_get_args),
		FUNCTION(message_is_method_call),
		FUNCTION(message_unref),
	};
	void *library = dlopen("libdbus-1.so.3", RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; library && i < sizeof(list) / sizeof(list[0]); i++) {
		void *found = dlsym(library, list[i].name);
		if (!found)
			return -1;
		memcpy(list[i].at, &found, sizeof(found));
	}
	return library ? 0 : -1;
}

static connection *connect_to_bus(struct error *e)
{
	dbus.error_init(e);
	connection *c =
		dbus.bus_get_private(getenv("DBUS_SESSION_BUS_ADDRESS") ? SESSION : SYSTEM, e);
	if (c)
		dbus.connection_set_exit_on_disconnect(c, 0);
	return c;
}

/* A connection does not survive a fork: this one only shows that there is a bus. */
static int open_dbus(struct channel *c)
{
	struct error e;
	if (load())
		return refuse(c, "cannot load libdbus-1.so.3: a static build cannot; otherwise "
				 "apt-get install libdbus-1-3");
	connection *bus = connect_to_bus(&e);
	if (!bus)
		return refuse(c, "no bus: %.200s: try dbus-run-session ipcbench", e.message);
	dbus.connection_close(bus);
	dbus.connection_unref(bus);
	c->depth = DEPTH;
	return share_memory(c, sizeof(names));
}

/* Who the sides are is known once both have joined. */
static int join(struct channel *c, enum side side)
{
	struct error e;
	c->id = side;
	c->extra = connect_to_bus(&e);
	if (!c->extra)
		return -ECONNREFUSED;
	names *n = c->mem;
	snprintf((*n)[side], sizeof((*n)[side]), "%s", dbus.bus_get_unique_name(c->extra));
	return 0;
}

static int post(struct channel *c, const char *method, const char *block, size_t n)
{
	const int array = 'a';
	const int byte = 'y';
	const char *to = (*(names *)c->mem)[!c->id];
	message *m = dbus.message_new_method_call(to, "/", INTERFACE, method);
	if (!m || !dbus.message_append_args(m, array, byte, &block, (int)n, 0))
		return -ENOMEM;
	dbus.message_set_no_reply(m, 1);
	unsigned sent = dbus.connection_send(c->extra, m, NULL);
	dbus.connection_flush(c->extra);
	dbus.message_unref(m);
	return sent ? 0 : -ENOMEM;
}

/* What else a bus has to say is not for us. */
static int next(struct channel *c, const char *method, message **out)
{
	for (;;) {
		message *m = dbus.connection_pop_message(c->extra);
		if (m && dbus.message_is_method_call(m, INTERFACE, method)) {
			*out = m;
			return 0;
		}
		if (m)
			dbus.message_unref(m);
		else if (!dbus.connection_read_write(c->extra, -1))
			return -ECONNRESET;
	}
}

static int send_dbus(struct channel *c, char *block, size_t n)
{
	message *credit;
	if (c->sent - c->received >= DEPTH) {
		int r = next(c, "Credit", &credit);
		if (r)
			return r;
		dbus.message_unref(credit);
		c->received += DEPTH / 2;
	}
	c->sent++;
	return post(c, "Block", block, n);
}

static int recv_dbus(struct channel *c, char *block, size_t n)
{
	message *m;
	struct error e;
	const char *data = NULL;
	int len = 0;
	int r = next(c, "Block", &m);
	if (r)
		return r;
	dbus.error_init(&e);
	if (!dbus.message_get_args(m, &e, 'a', 'y', &data, &len, 0) || (size_t)len != n)
		return -EBADMSG;
	memcpy(block, data, n);
	dbus.message_unref(m);
	return ++c->received % (DEPTH / 2) == 0 ? post(c, "Credit", block, 0) : 0;
}

const struct transport transport_dbus = {
	.about = "messages through a D-Bus",
	.caps = CARRIES | BOUNDARIES,
	.open = open_dbus,
	.join = join,
	.send = send_dbus,
	.recv = recv_dbus,
};
