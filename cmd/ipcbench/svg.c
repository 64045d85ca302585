/* SPDX-License-Identifier: MIT */
/*
 * The chart: a row for each facility, a column for each placement, a dot for each size on a scale of tens, and
 * through the dot a line from the worst repetition to the best. Its colours follow the reader's choice of
 * light or dark.
 */
#include <errno.h>
#include <stdio.h>

#include "bench.h"

enum { LEFT = 118, TOP = 74, ROW = 19, PANEL = 226, GAP = 14, MARGIN = 8, COLOURS = 6 };

struct chart {
	FILE *f;
	const struct row *rows;
	size_t n;
	size_t size[COLOURS]; /* those beyond are not drawn */
	int sizes;
	enum place place[PLACES];
	int places;
	const struct facility *facility[64];
	int facilities;
	int low, high; /* powers of ten */
	bool latency;
};

static struct spread value_of(const struct row *r)
{
	return r->plan.latency ? row_trip(r) : row_rate(r);
}

static int colour_of(const struct chart *c, size_t size)
{
	for (int i = 0; i < c->sizes; i++)
		if (c->size[i] == size)
			return i;
	return -1;
}

static int column_of(const struct chart *c, enum place p)
{
	for (int i = 0; i < c->places; i++)
		if (c->place[i] == p)
			return i;
	return -1;
}

static int line_of(const struct chart *c, const struct facility *f)
{
	for (int i = 0; i < c->facilities; i++)
		if (c->facility[i] == f)
			return i;
	return -1;
}

static int floor_of(double x)
{
	int n = 0;
	while (x >= 10) {
		x /= 10;
		n++;
	}
	while (x < 1) {
		x *= 10;
		n--;
	}
	return n;
}

static void take_row(struct chart *c, const struct row *r)
{
	struct spread v = value_of(r);
	bool first = !c->facilities;
	if (colour_of(c, r->plan.size) < 0 && c->sizes < COLOURS)
		c->size[c->sizes++] = r->plan.size;
	if (column_of(c, r->plan.place) < 0)
		c->place[c->places++] = r->plan.place;
	if (line_of(c, r->plan.facility) < 0 && c->facilities < 64)
		c->facility[c->facilities++] = r->plan.facility;
	if (first || floor_of(v.min) < c->low)
		c->low = floor_of(v.min);
	if (first || floor_of(v.max) + 1 > c->high)
		c->high = floor_of(v.max) + 1;
	c->latency = r->plan.latency;
}

/* A logarithm to the base of ten that needs no libm. */
static double log_of(double x)
{
	int whole = floor_of(x);
	double part = x;
	for (int i = 0; i < whole; i++)
		part /= 10;
	for (int i = 0; i > whole; i--)
		part *= 10;
	double sum = whole;
	double bit = 1;
	for (int i = 0; i < 13; i++) { /* to 1e-4 */
		bit /= 2;
		part *= part;
		if (part >= 10) {
			part /= 10;
			sum += bit;
		}
	}
	return sum;
}

static double x_of(const struct chart *c, int column, double value)
{
	double share = (log_of(value) - c->low) / (c->high - c->low);
	return LEFT + column * (PANEL + GAP) + share * PANEL;
}

static void put_size(FILE *f, size_t n)
{
	static const char *const units[] = {"B", "KiB", "MiB"};
	int unit = 0;
	for (; unit < 2 && n >= 1024 && n % 1024 == 0; n /= 1024)
		unit++;
	fprintf(f, "%zu %s", n, units[unit]);
}

static void put_text(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '<' || *s == '>' || *s == '&' || *s < ' ' || *s > '~')
			fprintf(f, "&#%d;", *s < ' ' || *s > '~' ? '?' : *s);
		else
			putc(*s, f);
	}
}

static void put_top(const struct chart *c, const struct machine *m, int width, int height)
{
	fprintf(c->f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 "
		"0 %d %d\" "
		"font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n<title>ipcbench: ",
		width, height, width, height);
	put_text(c->f, m->date);
	fputs("</title>\n<style>\n"
	      ".b{fill:#fff}.t{fill:#1a1a1a}.s{fill:#555}.g{stroke:#ddd}"
	      ".d{stroke-width:2}"
	      ".c0{fill:#0072b2;stroke:#0072b2}.c1{fill:#d55e00;stroke:#d55e00}.c2{fill:#00805c;"
	      "stroke:#00805c}"
	      ".c3{fill:#a8438a;stroke:#a8438a}.c4{fill:#8a6d00;stroke:#8a6d00}.c5{fill:#444;"
	      "stroke:#444}\n"
	      "@media "
	      "(prefers-color-scheme:dark){.b{fill:#14171a}.t{fill:#eee}.s{fill:#aaa}.g{stroke:#"
	      "3a3f44}"
	      ".c0{fill:#56b4e9;stroke:#56b4e9}.c1{fill:#ff9a4d;stroke:#ff9a4d}.c2{fill:#2fd3a0;"
	      "stroke:#2fd3a0}"
	      ".c3{fill:#e68ac9;stroke:#e68ac9}.c4{fill:#e6c33c;stroke:#e6c33c}.c5{fill:#ccc;"
	      "stroke:#ccc}}\n"
	      "</style>\n",
	      c->f);
	fprintf(c->f, "<rect class=\"b\" width=\"%d\" height=\"%d\"/>\n", width, height);
}

static void put_legend(const struct chart *c, const struct machine *m)
{
	fprintf(c->f,
		"<text class=\"t\" x=\"%d\" y=\"20\" font-size=\"14\" "
		"font-weight=\"bold\">%s</text>\n",
		MARGIN,
		c->latency ? "There and back: less is better" : "Bytes per second: more is better");
	fprintf(c->f, "<text class=\"s\" x=\"%d\" y=\"37\" font-size=\"11\">", MARGIN);
	put_text(c->f, m->cpu);
	fprintf(c->f, ", %d CPU%s, ", m->cpus, m->cpus == 1 ? "" : "s");
	put_text(c->f, m->kernel);
	fputs(", ", c->f);
	put_text(c->f, m->date);
	fputs("</text>\n", c->f);
	for (int i = 0; i < c->sizes; i++) {
		int x = LEFT + 270 + i * 66;
		fprintf(c->f,
			"<circle class=\"d c%d\" cx=\"%d\" cy=\"16\" r=\"3\"/><text class=\"t\" "
			"x=\"%d\" "
			"y=\"20\">",
			i, x, x + 8);
		put_size(c->f, c->size[i]);
		fputs("</text>\n", c->f);
	}
}

static void put_tick(const struct chart *c, int power)
{
	static const char *const rates[] = {"B", "kB", "MB", "GB", "TB"};
	static const char *const times[] = {"ns", "&#181;s", "ms", "s"};
	int n = c->latency ? power + 3 : power;
	static const int tens[] = {1, 10, 100};
	if (n < 0 || n > (c->latency ? 11 : 14))
		return;
	fprintf(c->f, "%d %s%s", tens[n % 3], c->latency ? times[n / 3] : rates[n / 3],
		c->latency ? "" : "/s");
}

static const char *place_title(enum place p)
{
	static const char *const titles[] = {"same: one CPU", "cross: two CPUs",
					     "none: where the kernel likes"};
	return titles[p];
}

static void put_axes(const struct chart *c, int bottom)
{
	for (int p = 0; p < c->places; p++) {
		int left = LEFT + p * (PANEL + GAP);
		fprintf(c->f, "<text class=\"t\" x=\"%d\" y=\"%d\">%s</text>\n", left, TOP - 14,
			place_title(c->place[p]));
		for (int k = c->low; k <= c->high; k++) {
			double x = left + (double)(k - c->low) / (c->high - c->low) * PANEL;
			const char *anchor = k == c->low    ? "start"
					     : k == c->high ? "end"
							    : "middle";
			fprintf(c->f, "<path class=\"g\" d=\"M%.1f %dV%d\"/>\n", x, TOP - 6,
				bottom);
			if (c->high - c->low > 3 && (c->high - k) % 2)
				continue; /* labels would run into each other */
			fprintf(c->f,
				"<text class=\"s\" font-size=\"10\" text-anchor=\"%s\" x=\"%.1f\" "
				"y=\"%d\">",
				anchor, x, bottom + 14);
			put_tick(c, k);
			fputs("</text>\n", c->f);
		}
	}
	for (int i = 0; i < c->facilities; i++)
		fprintf(c->f, "<text class=\"t\" text-anchor=\"end\" x=\"%d\" y=\"%d\">%s</text>\n",
			LEFT - 10, TOP + i * ROW + 13, c->facility[i]->name);
}

static void put_dot(const struct chart *c, const struct row *r)
{
	struct spread v = value_of(r);
	int colour = colour_of(c, r->plan.size);
	int column = column_of(c, r->plan.place);
	int line = line_of(c, r->plan.facility);
	if (colour < 0 || line < 0)
		return;
	/* Sizes lie a little below each other, so that spreads that overlap can be told apart. */
	double y = TOP + line * ROW + 9 + (colour - (c->sizes - 1) / 2.0) * 3;
	fprintf(c->f,
		"<path class=\"d c%d\" d=\"M%.1f %.1fH%.1f\"/><circle class=\"d c%d\" cx=\"%.1f\" "
		"cy=\"%.1f\" "
		"r=\"2.5\"/>\n",
		colour, x_of(c, column, v.min), y, x_of(c, column, v.max), colour,
		x_of(c, column, v.median), y);
}

int write_svg(FILE *f, const struct machine *m, const struct row *rows, size_t n)
{
	struct chart c = {.f = f, .rows = rows, .n = n};
	for (size_t i = 0; i < n; i++)
		if (rows[i].done)
			take_row(&c, &rows[i]);
	int legend = LEFT + 270 + c.sizes * 66;
	int bottom = TOP + c.facilities * ROW + 4;
	int width = LEFT + c.places * (PANEL + GAP) - GAP + MARGIN;
	width = width > legend ? width : legend;
	put_top(&c, m, width, bottom + 22);
	put_legend(&c, m);
	put_axes(&c, bottom);
	for (size_t i = 0; i < n; i++)
		if (rows[i].done)
			put_dot(&c, &rows[i]);
	fputs("</svg>\n", f);
	return fflush(f) || ferror(f) ? -errno : 0;
}
