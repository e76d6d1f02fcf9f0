/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * killpriv.h - asks the kernel for FUSE_HANDLE_KILLPRIV_V2, also where libfuse doesn't know it
 *
 * Without it the kernel asks for a file's security.capability before each write that goes
 * through its cache: two requests for each.  Taking privileges away is then the daemon's: see
 * mfs_creds_drop_privileges().
 */
#ifndef FS_KILLPRIV_H
#define FS_KILLPRIV_H

struct fuse_session;

/*
 * Between the mount and INIT.  A failure only costs time.  Does nothing where libfuse can be asked
 * for it (mfs_op_init()), or lets nobody see its messages.
 */
void mfs_killpriv_prepare(struct fuse_session *session);

#endif
