/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stop.c - SIGINT, SIGTERM and SIGHUP end a sync or a verify soon, and in order */
#include "config.h"

#include "tools/stop.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught = number;
}

void stop_catch(void)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = (int)(SA_RESTART | SA_RESETHAND) };

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct sigaction old;

		/* nohup, and a shell's background jobs, ignore some: leave it at that */
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

int stop_signal(void)
{
	return (int)caught;
}

/* Blocked between the look and the wait, or one that comes there would be slept over. */
void stop_wait(uint64_t ms)
{
	const struct timespec time = { .tv_sec = (time_t)(ms / 1000),
				       .tv_nsec = (long)(ms % 1000) * 1000000 };
	sigset_t stopping, before;

	sigemptyset(&stopping);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&stopping, numbers[i]);
	pthread_sigmask(SIG_BLOCK, &stopping, &before);
	if (!caught)
		ppoll(NULL, 0, &time, &before);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
