/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops.h - the requests of the kernel: one function each, in ops_*.c
 *
 * Called by the threads of loop.c, any number at a time; each answers its request
 * exactly once.  The userdata of the session is a struct mfs.
 *
 * They are those on the live tree, but for init and the two of forget, which see to all nodes.
 * Snapshots have a table of their own (ops_snapshot.h), and dispatch.c tells one from the other.
 */
#ifndef FS_OPS_H
#define FS_OPS_H

#include "fs/fs.h"

#include <fuse_lowlevel.h>

/* Seconds for which the kernel may rely on a name or on attributes. */
#define MFS_TIMEOUT 1.0

extern const struct fuse_lowlevel_ops mfs_ops;

static inline struct mfs *mfs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct mfs_node *mfs_node_of(struct mfs *fs, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &fs->nodes.root : (struct mfs_node *)(uintptr_t)ino;
}

static inline struct mfs_handle *mfs_handle_of(const struct fuse_file_info *fi)
{
	return (struct mfs_handle *)(uintptr_t)fi->fh;
}

/*
 * Is that the state directory?  It exists for nobody who comes through the mount; who looks
 * it up gets another one, which leads to the snapshots.
 */
bool mfs_is_hidden(const struct mfs *fs, const struct mfs_node *parent, const char *name);

/* What the kernel is to know of a node with these attributes. */
struct fuse_entry_param mfs_entry(struct mfs *fs, struct mfs_node *node, const struct stat *st);

/* Answers with a node that one lookup was taken of. */
void mfs_reply_node(fuse_req_t req, struct mfs_node *node, const struct stat *st);

/* Answers 0, or an error when r is a negative errno. */
void mfs_reply(fuse_req_t req, int r);

/*
 * Answers getxattr or listxattr, of whom size bytes were asked (0: only how many there are):
 * n bytes of buf, or an error when n is a negative errno.
 */
void mfs_reply_xattr(fuse_req_t req, const char *buf, ssize_t n, size_t size);

/* Attributes as seen through the mount. */
struct stat mfs_attributes(const struct mfs *fs, const struct stat *st);

void mfs_op_init(void *userdata, struct fuse_conn_info *conn);

/* ops_lookup.c */
void mfs_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void mfs_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void mfs_op_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *forgets);

/* ops_attr.c */
void mfs_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mfs_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid,
		    struct fuse_file_info *fi);
void mfs_op_statfs(fuse_req_t req, fuse_ino_t ino);
void mfs_op_readlink(fuse_req_t req, fuse_ino_t ino);

/* ops_xattr.c */
void mfs_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void mfs_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void mfs_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		     size_t size, int flags);
void mfs_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* ops_dir.c */
void mfs_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mfs_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi);
void mfs_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			struct fuse_file_info *fi);
void mfs_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mfs_op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

/* ops_name.c */
void mfs_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void mfs_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void mfs_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void mfs_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void mfs_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void mfs_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void mfs_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		   const char *newname, unsigned int flags);

/* ops_file.c */
void mfs_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi);
void mfs_op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi);
void mfs_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mfs_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mfs_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mfs_op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

/* ops_io.c */
void mfs_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi);
void mfs_op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
		  struct fuse_file_info *fi);
void mfs_op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		      struct fuse_file_info *fi);
void mfs_op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		  struct fuse_file_info *fi);
void mfs_op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t offset_in,
			    struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t offset_out,
			    struct fuse_file_info *fi_out, size_t size, int flags);

/* ops_control.c */
void mfs_op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		  struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
		  size_t in_nbytes, size_t out_nbytes);

#endif
