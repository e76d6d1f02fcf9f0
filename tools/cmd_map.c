/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_map.c - mirrorctl map: shows which parts of an image have changed, and how often */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/map.h"
#include "tools/map_show.h"
#include "tools/output.h"
#include "tools/picture_file.h"

#include <stdlib.h>
#include <string.h>

static bool is_stdout(const char *path)
{
	return path && strcmp(path, "-") == 0;
}

static int show_svg(const void *arg, FILE *file)
{
	return map_show_svg(arg, file);
}

static int show_png(const void *arg, FILE *file)
{
	return map_show_png(arg, file);
}

static int write_pictures(const struct map *map, const struct options *options,
			  struct bmf_error *err)
{
	const struct picture svg = { .magic = MAP_SVG_BEGIN, .show = show_svg, .arg = map };
	const struct picture png = { .magic = MAP_PNG_BEGIN, .show = show_png, .arg = map };
	int r = 0;

	if (options->svg)
		r = picture_file_write(options->svg, &svg, err);
	if (r == 0 && options->png)
		r = picture_file_write(options->png, &png, err);
	return r;
}

static int print_map(const struct map *map, bool json, struct bmf_error *err)
{
	const struct map_screen screen = map_screen_find();
	int r = json ? map_show_json(map, stdout) : map_show_text(map, &screen, stdout);

	if (r < 0)
		return fail_errno(err, r, "map", map->path, NULL);
	r = output_finish();
	return r < 0 ? bmf_error_set(err, r, "write to standard output: %s", fail_reason(r)) : 0;
}

int cmd_map(const struct command *command, char *const args[], const struct options *options)
{
	bool json = options->given & OPTION_JSON;
	int to_stdout = json + is_stdout(options->svg) + is_stdout(options->png);
	struct bmf_error err = { 0 };
	struct map map;
	int r;

	if (to_stdout > 1) {
		output_error("%s: only one of --json, --svg - and --png - can have standard "
			     "output; see mirrorctl help %s",
			     command->name, command->name);
		return EXIT_USAGE;
	}
	r = map_read(args[0], args[1], options->since, &map, &err);
	if (r == 0) {
		r = write_pictures(&map, options, &err);
		if (r == 0 && (json || to_stdout == 0))
			r = print_map(&map, json, &err);
		map_destroy(&map);
	}
	if (r < 0)
		output_error("%s", err.text);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
