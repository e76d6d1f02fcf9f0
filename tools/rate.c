/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rate.c - how fast something has been going of late */
#include "config.h"

#include "tools/rate.h"

void rate_begin(struct rate *rate, int64_t now_ns)
{
	*rate = (struct rate){ .n = 1 };
	rate->samples[0].ns = now_ns;
}

void rate_note(struct rate *rate, int64_t now_ns, uint64_t done)
{
	unsigned int next = (rate->oldest + rate->n) % RATE_SLOTS;
	unsigned int last = (rate->oldest + rate->n - 1) % RATE_SLOTS;

	if (now_ns - rate->samples[last].ns < RATE_STEP_NS)
		return;
	if (rate->n == RATE_SLOTS)
		rate->oldest = (rate->oldest + 1) % RATE_SLOTS;
	else
		rate->n++;
	rate->samples[next] = (struct rate_sample){ now_ns, done };
}

/* After a pause all samples are old; then the last one counts. */
static const struct rate_sample *begin_of(const struct rate *rate, int64_t now_ns)
{
	const struct rate_sample *sample = &rate->samples[rate->oldest];

	for (unsigned int i = 0; i < rate->n; i++) {
		sample = &rate->samples[(rate->oldest + i) % RATE_SLOTS];
		if (now_ns - sample->ns <= RATE_SLOTS * RATE_STEP_NS)
			break;
	}
	return sample;
}

double rate_get(const struct rate *rate, int64_t now_ns, uint64_t done)
{
	const struct rate_sample *from = begin_of(rate, now_ns);

	if (now_ns <= from->ns || done < from->done)
		return 0;
	return (double)(done - from->done) * 1e9 / (double)(now_ns - from->ns);
}
