/* What can be known about a file: stat in its several forms, statfs. */
#include "calls.h"
#include "kernel.h"

#define DEVICE 1
#define SECTOR 512
#define RAMFS_MAGIC 0x858458f6
#define NAME_MAX 255

struct attributes {
	struct node *node; /* NULL: a special file */
	u32 mode;
	u64 size;
};

/*
 * The image carries no times. All files are as old as the machine, so that a validator made of time and size is never
 * that of another image's file.
 */
static u64 boot_second(void)
{
	static u64 second;

	if (!second)
		second = (wall_clock() - now()) / NANOSECONDS;
	return second;
}

static i64 of_descriptor(int fd, struct attributes *of)
{
	struct file *file = file_get(fd);

	if (!file)
		return -EBADF;
	of->node = file->node;
	of->mode = file_mode(file);
	of->size = file_size(file);
	return 0;
}

static i64 of_path(int directory, u64 path, u32 flags, struct attributes *of)
{
	struct place place;
	char first;
	i64 result;

	if (flags & AT_EMPTY_PATH && get_user(first, path) == 0 && first == 0)
		return of_descriptor(directory, of);
	result = path_find(directory, path, !(flags & AT_SYMLINK_NOFOLLOW), &place);
	if (result < 0)
		return result;
	of->node = place.node;
	of->mode = place.mode;
	of->size = place.node ? place.node->size : 0;
	return 0;
}

static u64 blocks(const struct attributes *of)
{
	return ALIGN_UP(of->node ? of->node->stored : 0, SECTOR) / SECTOR;
}

static i64 put_stat(u64 to, i64 result, const struct attributes *of)
{
	struct stat stat;

	if (result < 0)
		return result;
	stat = (struct stat){
		.dev = DEVICE,
		.ino = of->node ? of->node->inode : 0,
		.nlink = 1,
		.mode = of->mode,
		.size = of->size,
		.blksize = PAGE,
		.blocks = blocks(of),
		.atime = boot_second(),
		.mtime = boot_second(),
		.ctime = boot_second(),
	};
	return copy_to_user(to, &stat, sizeof stat);
}

i64 sys_stat(const u64 *a)
{
	struct attributes of;

	return put_stat(a[1], of_path(AT_FDCWD, a[0], 0, &of), &of);
}

i64 sys_lstat(const u64 *a)
{
	struct attributes of;

	return put_stat(a[1], of_path(AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW, &of), &of);
}

i64 sys_fstat(const u64 *a)
{
	struct attributes of;

	return put_stat(a[1], of_descriptor(a[0], &of), &of);
}

i64 sys_newfstatat(const u64 *a)
{
	struct attributes of;

	return put_stat(a[2], of_path(a[0], a[1], a[3], &of), &of);
}

i64 sys_statx(const u64 *a)
{
	const struct statx_timestamp boot = { .seconds = boot_second() };
	struct attributes of;
	struct statx statx;
	i64 result = of_path(a[0], a[1], a[2], &of);

	if (result < 0)
		return result;
	statx = (struct statx){
		.mask = STATX_BASIC_STATS,
		.blksize = PAGE,
		.nlink = 1,
		.mode = of.mode,
		.ino = of.node ? of.node->inode : 0,
		.size = of.size,
		.blocks = blocks(&of),
		.atime = boot,
		.btime = boot,
		.ctime = boot,
		.mtime = boot,
		.dev_minor = DEVICE,
	};
	return copy_to_user(a[4], &statx, sizeof statx);
}

static i64 put_statfs(u64 to)
{
	const struct statfs statfs = {
		.type = RAMFS_MAGIC,
		.bsize = PAGE,
		.frsize = PAGE,
		.blocks = boot_info.image_size / PAGE,
		.namelen = NAME_MAX,
	};

	return copy_to_user(to, &statfs, sizeof statfs);
}

i64 sys_statfs(const u64 *a)
{
	struct attributes of;
	i64 result = of_path(AT_FDCWD, a[0], 0, &of);

	return result < 0 ? result : put_statfs(a[1]);
}

i64 sys_fstatfs(const u64 *a)
{
	return file_get(a[0]) ? put_statfs(a[1]) : -EBADF;
}
