/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mounts.c - which mirrorfs mounts there are */
#include "config.h"

#include "fs/mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define FSTYPE "fuse.mirrorfs"

/* One line of /proc/self/mountinfo. */
struct mount_line {
	dev_t dev;
	char *mountpoint, *fsname; /* escaped: \040 and the like */
	bool is_mirrorfs;
};

/* Takes a line of mountinfo apart, in place.  False if it is none. */
static bool parse_mount_line(char *line, struct mount_line *ret)
{
	unsigned int major_number, minor_number;
	char *rest, *word, *save = NULL;

	rest = strstr(line, " - ");
	if (!rest || sscanf(line, "%*u %*u %u:%u", &major_number, &minor_number) != 2)
		return false;
	*rest = '\0';
	word = strtok_r(rest + 3, " ", &save);
	if (!word)
		return false;
	ret->is_mirrorfs = strcmp(word, FSTYPE) == 0;
	ret->fsname = strtok_r(NULL, " ", &save);

	word = strtok_r(line, " ", &save);
	for (int field = 1; word && field < 5; field++)
		word = strtok_r(NULL, " ", &save);
	ret->mountpoint = word;
	ret->dev = makedev(major_number, minor_number);
	return ret->fsname && ret->mountpoint;
}

/* Calls found for each mount, the last one last, until it returns true, and returns that. */
static bool find_mount(bool (*found)(const struct mount_line *, void *), void *arg)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct mount_line mount;
	char *line = NULL;
	size_t size = 0;
	bool result = false;

	while (!result && f && getline(&line, &size, f) >= 0)
		result = parse_mount_line(line, &mount) && found(&mount, arg);
	free(line);
	if (f)
		fclose(f);
	return result;
}

/* Undoes mountinfo's octal escapes in place. */
static char *unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3') {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return text;
}

static bool is_escaped(const char *escaped, const char *text)
{
	char *copy = strdup(escaped);
	bool same = copy && strcmp(unescape(copy), text) == 0;

	free(copy);
	return same;
}

static bool has_fsname(const struct mount_line *mount, void *fsname)
{
	return mount->is_mirrorfs && is_escaped(mount->fsname, *(const char **)fsname);
}

bool mfs_mounts_has_fsname(const char *fsname)
{
	return find_mount(has_fsname, &fsname);
}

static bool has_dev(const struct mount_line *mount, void *dev)
{
	return mount->is_mirrorfs && mount->dev == *(dev_t *)dev;
}

bool mfs_mounts_has_dev(dev_t dev)
{
	return find_mount(has_dev, &dev);
}

struct place {
	const char *path;
	bool is_mirrorfs;
};

/* Later ones cover earlier ones. */
static bool see_mount(const struct mount_line *mount, void *arg)
{
	struct place *place = arg;

	if (is_escaped(mount->mountpoint, place->path))
		place->is_mirrorfs = mount->is_mirrorfs;
	return false;
}

bool mfs_mounts_is_seen_at(const char *path)
{
	struct place place = { .path = path };

	find_mount(see_mount, &place);
	return place.is_mirrorfs;
}
