/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_daemon.c - what a service manager is told: sd_notify(3), by a socket with or without a name
 */
#include "config.h"

#include "fs/daemon.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STATE "READY=1\nSTATUS=serving"

/* A socket of that name; a zero at its start makes an abstract one. */
static int listen_at(const char *name, size_t n)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, name, n);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
			 0);
	return fd;
}

static void hears(int fd, const char *expected)
{
	char text[200] = "";
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	if (!expected) {
		ck_assert(n < 0 && errno == EAGAIN);
		return;
	}
	ck_assert_str_eq(text, expected);
}

START_TEST(a_named_socket_hears)
{
	char name[108];
	int fd;

	ck_assert_int_eq(fchdir(scratch_fd), 0);
	snprintf(name, sizeof(name), "/proc/%d/cwd/notify", getpid());
	fd = listen_at(name, strlen(name));
	setenv("NOTIFY_SOCKET", name, 1);
	mfs_daemon_notify(STATE);
	hears(fd, STATE);
	hears(fd, NULL);
	close(fd);
	mfs_daemon_notify(STATE); /* nobody listens any more */
}
END_TEST

START_TEST(an_abstract_socket_hears)
{
	char name[108];
	int fd;

	snprintf(name, sizeof(name), "@mirrorfs-test-%d", getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	name[0] = '\0';
	fd = listen_at(name, 1 + strlen(name + 1));
	mfs_daemon_notify(STATE);
	hears(fd, STATE);
	unsetenv("NOTIFY_SOCKET");
	mfs_daemon_notify(STATE);
	hears(fd, NULL);
	close(fd);
}
END_TEST

START_TEST(a_name_that_is_too_long_does_no_harm)
{
	char name[200];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	mfs_daemon_notify(STATE);
	setenv("NOTIFY_SOCKET", "", 1);
	mfs_daemon_notify(STATE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("daemon");
	TCase *tcase = tcase_create("daemon");

	tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
	tcase_add_test(tcase, a_named_socket_hears);
	tcase_add_test(tcase, an_abstract_socket_hears);
	tcase_add_test(tcase, a_name_that_is_too_long_does_no_harm);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
