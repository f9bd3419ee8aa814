/*
 * Paths: what a name stands for, and the calls that ask or open by name. "." and ".." are resolved in the text of the
 * path, before links are followed. Nothing can be created, so a missing file that was to be made is EROFS.
 */
#include "calls.h"
#include "kernel.h"

static struct node *working_directory; /* NULL: / */

static bool is_directory(const struct node *node) { return node && (node->mode & S_IFMT) == S_IFDIR; }
static const char *working_path(void) { return working_directory ? working_directory->path : "/"; }

/* Appends the components of a path to the `length` bytes of `to`, which is not terminated. False: too long. */
static bool append_components(const char *path, char *to, size_t *length, size_t size) {
	while (*path) {
		size_t n = 0;
		while (path[n] && path[n] != '/') n++;
		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (*length && to[--*length] != '/')
				;
		} else if (n && !(n == 1 && path[0] == '.')) {
			if (*length + n + 2 > size) return false;
			to[(*length)++] = '/';
			memcpy(to + *length, path, n);
			*length += n;
		}
		path += path[n] ? n + 1 : n;
	}
	return true;
}

bool path_normalize(const char *directory, const char *path, char *to, size_t size) {
	size_t length = 0;
	if (*path != '/' && !append_components(directory, to, &length, size)) return false;
	if (!append_components(path, to, &length, size)) return false;
	if (!length) to[length++] = '/';
	to[length] = 0;
	return true;
}

/* The file that the program was started from. */
static struct node *program_node(void) {
	static struct node *program;
	char path[256];
	struct node *arguments = program ? NULL : image_lookup("/boot/argv");
	i64 length = arguments ? image_read(arguments, 0, path, sizeof path - 1) : 0;
	if (length <= 0) return program;
	path[length] = 0;
	program = image_lookup(path);
	return program;
}

/* Turns a path argument into an absolute path. Positive when it has to be a directory. */
static i64 path_from_user(int directory, u64 address, char *to) {
	char path[MAX_PATH];
	const char *start = working_path();
	i64 length = string_from_user(path, address, sizeof path);
	if (length <= 0) return length ? length : -ENOENT;
	if (path[0] != '/' && directory != AT_FDCWD) {
		struct file *file = file_get(directory);
		if (!file) return -EBADF;
		if (!is_directory(file->node)) return -ENOTDIR;
		start = file->node->path;
	}
	return path_normalize(start, path, to, MAX_PATH) ? path[length - 1] == '/' : -ENAMETOOLONG;
}

i64 path_find(int directory, u64 path_address, bool follow, struct place *place) {
	i64 result = path_from_user(directory, path_address, place->path);
	if (result < 0) return result;
	if (follow && strcmp(place->path, "/proc/self/exe") == 0)
		place->node = program_node();
	else
		place->node = follow ? image_lookup(place->path) : image_lookup_link(place->path);
	if (place->node)
		place->mode = place->node->mode;
	else if (!special_exists(place->path, &place->mode))
		return -ENOENT;
	return result && (place->mode & S_IFMT) != S_IFDIR ? -ENOTDIR : 0;
}

static i64 open_path(int directory, u64 path, u32 flags) {
	const u32 exclusive = O_CREAT | O_EXCL;
	struct place place;
	i64 result = path_find(directory, path, !(flags & O_NOFOLLOW), &place);
	if (result == -ENOENT && flags & O_CREAT) return -EROFS;
	if (result < 0) return result;
	if ((flags & exclusive) == exclusive) return -EEXIST;
	if ((place.mode & S_IFMT) == S_IFLNK) return -ELOOP;
	if (flags & O_DIRECTORY && !is_directory(place.node)) return -ENOTDIR;
	if (place.node && flags & (O_ACCMODE | O_TRUNC)) return is_directory(place.node) ? -EISDIR : -EROFS;
	result = -ENOMEM;
	struct file *file = place.node ? file_new(&image_operations, flags) : special_open(place.path, flags, &result);
	if (!file) return result;
	file->node = place.node;
	return file_install(file, 0, flags & O_CLOEXEC);
}

i64 sys_open(const u64 *a) { return open_path(AT_FDCWD, a[0], a[1]); }
i64 sys_openat(const u64 *a) { return open_path(a[0], a[1], a[2]); }

static i64 check_access(int directory, u64 path, u32 wanted, bool follow) {
	struct place place;
	i64 result = path_find(directory, path, follow, &place);
	if (result < 0) return result;
	if (wanted & W_OK && (place.node || !(place.mode & 0222))) return -EROFS;
	return wanted & X_OK && !(place.mode & 0111) ? -EACCES : 0;
}

i64 sys_access(const u64 *a) { return check_access(AT_FDCWD, a[0], a[1], true); }
i64 sys_faccessat(const u64 *a) { return check_access(a[0], a[1], a[2], true); }
i64 sys_faccessat2(const u64 *a) { return check_access(a[0], a[1], a[2], !(a[3] & AT_SYMLINK_NOFOLLOW)); }

static i64 read_link(int directory, u64 path, u64 to, i64 size) {
	struct place place;
	struct node *program = program_node();
	i64 length = path_find(directory, path, false, &place);
	if (length < 0) return length;
	if (size <= 0 || (place.mode & S_IFMT) != S_IFLNK) return -EINVAL;
	if (place.node)
		length = image_read(place.node, 0, place.path, MAX_PATH);
	else if (program)
		length = format(place.path, MAX_PATH, "%s", program->path);
	length = MIN(length, size);
	return length > 0 && copy_to_user(to, place.path, length) < 0 ? -EFAULT : length;
}

i64 sys_readlink(const u64 *a) { return read_link(AT_FDCWD, a[0], a[1], (i32)a[2]); }
i64 sys_readlinkat(const u64 *a) { return read_link(a[0], a[1], a[2], (i32)a[3]); }

i64 sys_getcwd(const u64 *a) {
	u64 size = strlen(working_path()) + 1;
	if (a[1] < size) return -ERANGE;
	return copy_to_user(a[0], working_path(), size) < 0 ? -EFAULT : (i64)size;
}

static i64 change_directory(struct node *node) {
	if (!is_directory(node)) return -ENOTDIR;
	working_directory = node;
	return 0;
}

i64 sys_chdir(const u64 *a) {
	struct place place;
	i64 result = path_find(AT_FDCWD, a[0], true, &place);
	return result < 0 ? result : change_directory(place.node);
}

i64 sys_fchdir(const u64 *a) {
	struct file *file = file_get(a[0]);
	return file ? change_directory(file->node) : -EBADF;
}
