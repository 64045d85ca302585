/* SPDX-License-Identifier: MIT */
/*
 * ipcbench: which facility is fast here? Exercises 43-1 and 43-2 of "The Linux Programming Interface", for
 * every facility.
 *
 * All that is asked for becomes a list of measurements, those of one size and one placement together; they are
 * made one after the other, and shown when all of a size and placement are there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "applet.h"
#include "bench.h"
#include "exitcode.h"
#include "parse.h"
#include "say.h"
#include "stop.h"

enum { OPT_CSV = 256, OPT_JSON, OPT_SVG, OPT_LIST, OPT_NO_CHECK, SIZES_MOST = 32 };

struct opts {
	uint64_t blocks;
	int64_t nsec;
	size_t size[SIZES_MOST];
	size_t sizes;
	uint64_t repetitions;
	bool place[PLACES];
	bool placed, latency, no_check, csv, json, list, quiet;
	const char *svg;
	char **words;
	size_t count;
};

static const struct argp_option options[] = {
	{"blocks", 'n', "N", 0, "Send so many blocks in a repetition", 0},
	{"size", 's', "SIZES", 0, "Bytes of a block: 64, or several, 64,4K,1M", 0},
	{"latency", 'l', NULL, 0, "Measure trips there and back", 0},
	{"pin", 'p', "WHERE", 0,
	 "Run both sides: same, on one CPU; cross, on two; none, where the kernel likes", 0},
	{"repetitions", 'r', "N", 0, "Measure each so often", 0},
	{"time", 't', "DURATION", 0, "Without -n: about how long a repetition takes", 0},
	{"no-check", OPT_NO_CHECK, NULL, 0, "Do not check what arrives", 0},
	{"list", OPT_LIST, NULL, 0, "List the facilities", 0},
	{"csv", OPT_CSV, NULL, 0, "Print comma-separated values", 0},
	{"json", OPT_JSON, NULL, 0, "Print JSON", 0},
	{"svg", OPT_SVG, "FILE", 0, "Draw a chart into FILE besides", 0},
	{"quiet", 'q', NULL, 0, "Show no progress, nor what cannot be measured", 0},
	{0},
};

static void add_sizes(struct opts *o, char *arg, struct argp_state *state)
{
	char *rest = arg;
	for (char *one; (one = strsep(&rest, ","));) {
		uint64_t n;
		if (!parse_size(one, CHANNEL_LARGEST, &n) || !n)
			argp_error(state,
				   "invalid size '%s': expected 1 to 64M, such as 64, 4K, 1M", one);
		if (o->sizes == SIZES_MOST)
			argp_error(state, "too many sizes: expected %d at the most", SIZES_MOST);
		o->size[o->sizes++] = (size_t)n;
	}
}

static void add_places(struct opts *o, char *arg, struct argp_state *state)
{
	char *rest = arg;
	for (char *one; (one = strsep(&rest, ","));) {
		bool found = false;
		for (int p = 0; p < PLACES; p++) {
			if (!strcmp(one, place_name((enum place)p)))
				o->place[p] = found = true;
		}
		if (!found)
			argp_error(state,
				   "invalid argument '%s' of --pin: expected same, cross or none",
				   one);
		o->placed = true;
	}
}

static void set_count(uint64_t *out, const char *arg, uint64_t most, const char *what,
		      struct argp_state *state)
{
	if (!parse_count(arg, most, out) || !*out)
		argp_error(state, "invalid number of %s '%s': expected 1 to %llu", what, arg,
			   (unsigned long long)most);
}

static void set_output(bool *one, const struct opts *o, struct argp_state *state)
{
	*one = true;
	if (o->csv && o->json)
		argp_error(state, "--csv and --json cannot both be printed");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		*o = (struct opts){.nsec = 100000000, .repetitions = 5};
		return 0;
	case 'n':
		set_count(&o->blocks, arg, UINT64_C(1) << 40, "blocks", state);
		return 0;
	case 's':
		add_sizes(o, arg, state);
		return 0;
	case 'l':
		o->latency = true;
		return 0;
	case 'p':
		add_places(o, arg, state);
		return 0;
	case 'r':
		set_count(&o->repetitions, arg, REPETITIONS_MOST, "repetitions", state);
		return 0;
	case 't':
		if (!parse_duration(arg, &o->nsec) || o->nsec < 1 ||
		    o->nsec > INT64_C(3600000000000))
			argp_error(state,
				   "invalid time '%s': expected a duration up to 1h, such as 100ms",
				   arg);
		return 0;
	case OPT_NO_CHECK:
		o->no_check = true;
		return 0;
	case OPT_LIST:
		o->list = true;
		return 0;
	case OPT_CSV:
		set_output(&o->csv, o, state);
		return 0;
	case OPT_JSON:
		set_output(&o->json, o, state);
		return 0;
	case OPT_SVG:
		o->svg = arg;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case ARGP_KEY_ARGS:
		o->words = state->argv + state->next;
		o->count = (size_t)(state->argc - state->next);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[FACILITY...]",
	.doc = "Measure how fast facilities carry blocks of data from one process to another, or, "
	       "with "
	       "-l, how long it takes there and back. Without a FACILITY: all of them.",
};

static void put_list(void)
{
	for (const struct facility *f = facilities(); f->name; f++) {
		unsigned caps = f->is->caps;
		const char *data = caps & BOUNDARIES ? "messages" : "stream";
		printf("%-14s %-8s ", f->name, caps & CARRIES ? data : "latency");
		if (caps & CARRIES)
			printf("%9zu  ", facility_largest(f));
		else
			printf("%9s  ", "-");
		puts(f->is->about);
	}
}

/* The facilities that were asked for; NULL ends them. */
static const struct facility **chosen(const struct opts *o)
{
	const struct facility *all = facilities();
	size_t n = 0;
	while (all[n].name)
		n++;
	const struct facility **list = calloc(n + o->count + 1, sizeof(const struct facility *));
	if (!list)
		die(EXIT_SYSTEM, "cannot hold the list: out of memory");
	size_t used = 0;
	for (size_t i = 0; i < o->count; i++) {
		const struct facility *f = facility_named(o->words[i]);
		if (!f)
			die(EXIT_BAD_USAGE, "no facility %s: see ipcbench --list",
			    quote(o->words[i]));
		if (!o->latency && !(f->is->caps & CARRIES))
			die(EXIT_BAD_USAGE, "%s carries no data: measure it with --latency",
			    f->name);
		list[used++] = f;
	}
	for (size_t i = 0; !o->count && i < n; i++)
		if (o->latency || all[i].is->caps & CARRIES)
			list[used++] = &all[i];
	return list;
}

/* What was not said has its default. */
static void complete(struct opts *o)
{
	static const size_t usual[] = {64, 1024, 65536};
	if (!o->sizes && o->latency)
		o->size[o->sizes++] = 8;
	for (size_t i = 0; !o->sizes && i < 3; i++)
		o->size[i] = usual[i];
	o->sizes = o->sizes ? o->sizes : 3;
	place_init();
	for (int p = 0; p < PLACES; p++) {
		bool wanted = o->place[p] || !o->placed;
		o->place[p] = wanted && place_possible((enum place)p);
		if (wanted && !o->place[p] && (o->placed || !o->quiet))
			warn("cannot measure --pin=%s: there is one CPU for us",
			     place_name((enum place)p));
	}
}

struct work {
	const struct opts *opts;
	const struct facility **facility;
	size_t facilities, total;
	struct row *rows;
	size_t done;
	bool status_line;
	FILE *svg;
};

static size_t current, out_of; /* of the progress line */

static void progress(const struct plan *p, unsigned done)
{
	say_status("%zu of %zu: %s, %zu bytes, %s: repetition %u of %u", current, out_of,
		   p->facility->name, p->size, place_name(p->place), done + 1, p->repetitions);
}

static void measure_one(struct work *w, const struct facility *f, size_t size, enum place place)
{
	const struct opts *o = w->opts;
	struct row *row = &w->rows[w->done++];
	const struct plan p = {
		.facility = f,
		.place = place,
		.size = size,
		.blocks = o->blocks,
		.nsec = o->nsec,
		.repetitions = (unsigned)o->repetitions,
		.latency = o->latency,
		.check = !o->no_check,
	};
	size_t most = facility_largest(f);
	current = w->done;
	out_of = w->total;
	if (w->status_line)
		progress(&p, 0);
	if (size > most && f->is->caps & CARRIES) {
		*row = (struct row){.plan = p, .outcome = REFUSED, .status = EXIT_SYSTEM};
		snprintf(row->why, sizeof(row->why), "a block may have %zu bytes here", most);
	} else {
		measure(&p, row, w->status_line ? progress : NULL);
	}
	if (w->status_line)
		say_wipe_status();
	if (row->outcome == FAILED || (row->outcome == REFUSED && !o->quiet))
		warn("%s, %zu bytes, %s: %s", f->name, size, place_name(place), row->why);
}

static void measure_group(struct work *w, size_t size, enum place place)
{
	struct row *first = &w->rows[w->done];
	for (size_t i = 0; i < w->facilities && !stop_wanted(); i++) {
		measure_one(w, w->facility[i], size, place);
		if (w->rows[w->done - 1].outcome == STOPPED)
			break;
	}
	size_t n = (size_t)(&w->rows[w->done] - first);
	if (!n)
		return;
	rank_rows(first, n);
	if (!w->opts->csv && !w->opts->json)
		put_group(first, n);
}

static bool is_stopped(const struct work *w)
{
	return stop_wanted() || (w->done && w->rows[w->done - 1].outcome == STOPPED);
}

/*
 * The first failure counts. What cannot be here is only an error if it was asked for by name and could not be
 * measured at all.
 */
static int status_of(const struct work *w)
{
	for (size_t i = 0; i < w->done; i++)
		if (w->rows[i].outcome == FAILED)
			return w->rows[i].status;
	for (size_t f = 0; w->opts->count && f < w->facilities; f++) {
		int refused = 0;
		bool measured = false;
		for (size_t i = 0; i < w->done; i++) {
			if (w->rows[i].plan.facility != w->facility[f])
				continue;
			measured = measured || w->rows[i].done;
			if (w->rows[i].outcome == REFUSED)
				refused = w->rows[i].status;
		}
		if (refused && !measured)
			return refused;
	}
	return EXIT_DONE;
}

static void show(const struct work *w, const struct machine *m)
{
	const struct opts *o = w->opts;
	if (o->csv)
		put_csv(w->rows, w->done);
	if (o->json)
		put_json(m, w->rows, w->done);
	if (!w->svg)
		return;
	/* What was there before stays until there is a new one. */
	int r = ftruncate(fileno(w->svg), 0) && errno != EINVAL ? -errno : 0;
	if (!r)
		r = write_svg(w->svg, m, w->rows, w->done);
	if (r)
		die(EXIT_IO, "cannot write %s: %s", quote(o->svg), strerror(-r));
}

/* Before anything is measured: it would be a pity to fail afterwards. */
static FILE *open_svg(const char *file)
{
	FILE *f = fopen(file, "ae");
	if (!f)
		die(exit_status_of(-errno), "cannot write %s: %s", quote(file), strerror(errno));
	return f;
}

static int run(int argc, char **argv)
{
	struct opts o;
	struct machine m = {.date = ""};
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	if (o.list) {
		put_list();
		return EXIT_DONE;
	}
	struct work w = {.opts = &o, .facility = chosen(&o)};
	complete(&o);
	while (w.facility[w.facilities])
		w.facilities++;
	w.total = w.facilities * o.sizes * ((size_t)o.place[0] + o.place[1] + o.place[2]);
	w.rows = calloc(w.total + 1, sizeof(*w.rows));
	w.status_line = say_on_terminal() && !o.quiet;
	if (!w.rows)
		die(EXIT_SYSTEM, "cannot hold the results: out of memory");
	if (!w.total)
		exit(EXIT_SYSTEM);
	w.svg = o.svg ? open_svg(o.svg) : NULL;
	stop_catch();
	machine_look(&m);
	if (!o.csv && !o.json)
		put_heading(&m);
	for (size_t s = 0; s < o.sizes && !is_stopped(&w); s++)
		for (int p = 0; p < PLACES && !is_stopped(&w); p++)
			if (o.place[p])
				measure_group(&w, o.size[s], (enum place)p);
	show(&w, &m);
	fflush(stdout);
	stop_end();
	int status = status_of(&w);
	free(w.rows);
	free(w.facility);
	return status;
}

const struct applet applet_ipcbench = {
	.name = "ipcbench",
	.summary = "how fast is each kind of interprocess communication here",
	.argp = &argp,
	.run = run,
};
