/*
 * Waiting for many files: epoll and poll.
 *
 * An item is one file in one set. A program has a few dozen of them: they are in one list, which every call walks. What
 * was delivered goes to its end, so that all have their turn however few a call asks for.
 *
 * The signal masks of epoll_pwait are not heeded: libuv gives one only to be interrupted less often.
 */
#include "calls.h"
#include "kernel.h"

#define MAX_ITEMS  (4 * MAX_FILES)
#define ALWAYS     (EPOLLERR | EPOLLHUP)
#define EVENT_BITS 0xffffu

struct item {
	struct item *next;
	struct file *set, *file;
	int fd;
	u32 events;    /* ALWAYS included; 0: a one-shot that has been delivered */
	bool happened; /* the file had an event since it was delivered, or found not ready: for EPOLLET */
	u64 data;
};

static struct item *items, **items_end = &items;
static u32 item_count;
static char poll_event; /* channel of poll() */
static const struct file_operations epoll_operations = {.mode = 0600};

static struct item *unlink(struct item **link) {
	struct item *item = *link;
	*link = item->next;
	if (!*link) items_end = link;
	return item;
}

static void append(struct item *item) {
	item->next = NULL;
	*items_end = item;
	items_end = &item->next;
}

static void item_free(struct item **link) {
	kfree(unlink(link), sizeof(struct item));
	item_count--;
}

void epoll_forget(struct file *file) {
	for (struct item **link = &items; *link;) {
		if ((*link)->file == file || (*link)->set == file)
			item_free(link);
		else
			link = &(*link)->next;
	}
}

void file_event(struct file *file) {
	for (struct item *item = items; item; item = item->next) {
		if (item->file != file) continue;
		item->happened = true;
		wake(item->set);
	}
	wake(file);
	wake(&poll_event);
}

i64 sys_epoll_create1(const u64 *a) {
	return a[0] & ~(u64)O_CLOEXEC ? -EINVAL : file_install(file_new(&epoll_operations, O_RDWR, 0));
}

/* New terms: what is ready already will cause no event, so a waiting thread looks at once. */
static i64 item_change(struct item *item, const struct epoll_event *event) {
	item->events = event->events | ALWAYS;
	item->data = event->data;
	item->happened = true;
	wake(item->set);
	return 0;
}

static i64 item_add(struct file *set, struct file *file, int fd, const struct epoll_event *event) {
	if (!file->operations->poll) return -EPERM;
	if (item_count == MAX_ITEMS) return -ENOSPC;
	struct item *item = kmalloc(sizeof *item);
	if (!item) return -ENOMEM;
	*item = (struct item){.set = set, .file = file, .fd = fd};
	append(item);
	item_count++;
	return item_change(item, event);
}

i64 sys_epoll_ctl(const u64 *a) {
	struct file *set = file_get(a[0]), *file = file_get(a[2]);
	struct epoll_event event = {0};
	struct item **link = &items;
	if (!set || !file) return -EBADF;
	if (set->operations != &epoll_operations || file == set) return -EINVAL;
	if (a[1] != EPOLL_CTL_DEL && get_user(event, a[3]) < 0) return -EFAULT;
	while (*link && ((*link)->set != set || (*link)->file != file)) link = &(*link)->next;
	switch (a[1]) {
	case EPOLL_CTL_ADD: return *link ? -EEXIST : item_add(set, file, a[2], &event);
	case EPOLL_CTL_MOD: return *link ? item_change(*link, &event) : -ENOENT;
	case EPOLL_CTL_DEL:
		if (!*link) return -ENOENT;
		item_free(link);
		return 0;
	}
	return -EINVAL;
}

static u32 item_poll(struct item *item) {
	if (!item->events || (item->events & EPOLLET && !item->happened)) return 0;
	u32 ready = file_poll(item->file) & item->events & EVENT_BITS;
	if (!ready || item->events & EPOLLET) item->happened = false;
	return ready;
}

static i64 collect(const struct file *set, u64 to, int max) {
	struct item **link = &items;
	int n = 0;
	for (u32 left = item_count; left && n < max; left--) {
		struct item *item = *link;
		struct epoll_event event = {.events = item->set == set ? item_poll(item) : 0, .data = item->data};
		if (!event.events) {
			link = &item->next;
			continue;
		}
		if (put_user(event, to + n * sizeof event) < 0) return n ? n : -EFAULT;
		n++;
		if (item->events & EPOLLONESHOT) item->events = 0;
		append(unlink(link));
	}
	return n;
}

/* 0: do not wait. */
static u64 deadline_of(i32 milliseconds) {
	if (milliseconds <= 0) return milliseconds ? FOREVER : 0;
	return deadline_after(milliseconds * (NANOSECONDS / 1000));
}

i64 sys_epoll_pwait(const u64 *a) {
	struct file *set = file_get(a[0]);
	u64 deadline = deadline_of(a[3]);
	i64 result;
	if (!set) return -EBADF;
	if (set->operations != &epoll_operations || (int)a[2] <= 0) return -EINVAL;
	set->references++;
	while (!(result = collect(set, a[1], a[2])) && deadline && !block_on(set, deadline)) {
		if (!current->interrupted) continue;
		result = -EINTR;
		break;
	}
	file_release(set);
	return result;
}

i64 sys_epoll_wait(const u64 *a) { return sys_epoll_pwait(a); }

static i64 poll_once(u64 fds, u32 count) {
	i64 ready = 0;
	for (u64 at = fds; at < fds + count * sizeof(struct pollfd); at += sizeof(struct pollfd)) {
		struct pollfd entry;
		if (get_user(entry, at) < 0) return -EFAULT;
		struct file *file = file_get(entry.fd);
		entry.revents = entry.fd < 0 ? 0 : POLLNVAL;
		if (file) entry.revents = file_poll(file) & (entry.events | ALWAYS);
		if (put_user(entry, at) < 0) return -EFAULT;
		ready += entry.revents != 0;
	}
	return ready;
}

i64 sys_poll(const u64 *a) {
	u64 deadline = deadline_of(a[2]);
	i64 result;
	if ((u32)a[1] > MAX_FILES) return -EINVAL;
	while (!(result = poll_once(a[0], a[1])) && deadline && !block_on(&poll_event, deadline))
		if (current->interrupted) return -EINTR;
	return result;
}
