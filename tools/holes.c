/* SPDX-License-Identifier: GPL-2.0-or-later */
/* holes.c - where a file has data, and where it has holes */
#include "config.h"

#include "tools/holes.h"

#include <errno.h>
#include <unistd.h>

int holes_next_data(int fd, uint64_t offset, uint64_t end, uint64_t *ret_first, uint64_t *ret_end)
{
	off_t data, hole;

	if (offset >= end)
		return 0;
	data = lseek(fd, (off_t)offset, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		return 0;
	if (data < 0 && errno != EINVAL && errno != EOPNOTSUPP)
		return -errno;
	if (data < 0) {
		*ret_first = offset;
		*ret_end = end;
		return 1;
	}
	if ((uint64_t)data >= end)
		return 0;
	hole = lseek(fd, data, SEEK_HOLE);
	*ret_first = (uint64_t)data;
	/* ENXIO: it has just been cut off; reading finds out */
	*ret_end = hole < 0 || (uint64_t)hole > end ? end : (uint64_t)hole;
	return 1;
}

int holes_next_data_of_two(int a_fd, int b_fd, size_t block, uint64_t offset, uint64_t size,
			   uint64_t *ret_first, uint64_t *ret_end, bool *ret_at_b)
{
	uint64_t a = size, a_end = size, b = size, b_end = size, first, end;
	int r = holes_next_data(a_fd, offset, size, &a, &a_end);
	bool at_b = r >= 0;

	if (at_b)
		r = holes_next_data(b_fd, offset, size, &b, &b_end);
	if (r < 0) {
		*ret_at_b = at_b;
		return r;
	}
	if (a == size && b == size)
		return 0;
	first = a <= b ? a : b;
	end = a <= b ? a_end : b_end;
	*ret_first = first - first % block;
	*ret_end = size - end < block ? size : (end + block - 1) / block * block;
	return 1;
}
