// Lets Xen's own xenstore servers (C xenstored, oxenstored) run on a machine without Xen, loaded with LD_PRELOAD: the
// functions of libxenctrl, libxenevtchn and libxengnttab that they call answer as a hypervisor would whose domains are
// all there, with rings in which nothing ever moves. Only their sockets are of use then, which is what is measured.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int handle;
static int silent = -1;
static int last_port;

static void *page(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void *xc_interface_open(void *logger, void *other, unsigned flags) { return &handle; }
int xc_interface_close(void *xch) { return 0; }

// The first word of xc_dominfo_t is the number; everything else at 0 is a domain that runs.
int xc_domain_getinfo(void *xch, uint32_t first, unsigned count, uint32_t *info)
{
    if (count < 1) return 0;
    memset(info, 0, 64);
    *info = first;
    return 1;
}

void *xc_map_foreign_range(void *xch, uint32_t domain, int size, int protection, unsigned long frame) { return page(); }

void *xengnttab_open(void *logger, unsigned flags) { return &handle; }
int xengnttab_close(void *xgt) { return 0; }
int xengnttab_set_max_grants(void *xgt, uint32_t count) { return 0; }
void *xengnttab_map_grant_ref(void *xgt, uint32_t domain, uint32_t reference, int protection) { return page(); }
int xengnttab_unmap(void *xgt, void *start, uint32_t count) { return munmap(start, count * 4096UL); }

void *xenevtchn_open(void *logger, unsigned flags) { return &handle; }
void *xenevtchn_fdopen(void *logger, int fd, unsigned flags) { return &handle; }
int xenevtchn_close(void *xce) { return 0; }
int xenevtchn_fd(void *xce)
{
    if (silent < 0) silent = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return silent;
}
int xenevtchn_bind_interdomain(void *xce, uint32_t domain, uint32_t port) { return ++last_port; }
int xenevtchn_bind_virq(void *xce, unsigned virq) { return ++last_port; }
int xenevtchn_unbind(void *xce, uint32_t port) { return 0; }
int xenevtchn_notify(void *xce, uint32_t port) { return 0; }
int xenevtchn_pending(void *xce) { return -1; }
int xenevtchn_unmask(void *xce, uint32_t port) { return 0; }

// Domain 0's port and page.
static int special(const char *path)
{
    int fd;
    if (strcmp(path, "/proc/xen/xsd_port") == 0) {
        fd = memfd_create("port", 0);
        if (write(fd, "1", 1) != 1) abort();
        lseek(fd, 0, SEEK_SET);
        return fd;
    }
    if (strcmp(path, "/proc/xen/xsd_kva") != 0) return -1;
    fd = memfd_create("page", 0);
    if (ftruncate(fd, 4096) != 0) abort();
    return fd;
}

#define OPEN(name)                                                                             \
    int name(const char *path, int flags, ...)                                                 \
    {                                                                                          \
        static int (*real)(const char *, int, ...);                                            \
        va_list arguments;                                                                     \
        int fd = special(path);                                                                \
        mode_t mode = 0;                                                                       \
        if (fd >= 0) return fd;                                                                \
        if (flags & O_CREAT) {                                                                 \
            va_start(arguments, flags);                                                        \
            mode = va_arg(arguments, mode_t);                                                  \
            va_end(arguments);                                                                 \
        }                                                                                      \
        if (real == NULL) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name);      \
        return real(path, flags, mode);                                                        \
    }
OPEN(open)
OPEN(open64)

// oxenstored's socket has one place only; here it is where XENSTORED_PATH says.
int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    static int (*real)(int, const struct sockaddr *, socklen_t);
    const char *path = getenv("XENSTORED_PATH");
    struct sockaddr_un own = { .sun_family = AF_UNIX };
    if (real == NULL) real = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
    if (address->sa_family != AF_UNIX || path == NULL || strlen(path) >= sizeof own.sun_path) return real(fd, address, length);
    strcpy(own.sun_path, path);
    return real(fd, (struct sockaddr *)&own, sizeof own);
}

// oxenstored wants more open files than a container may have.
int setrlimit(int resource, const void *limit) { return 0; }
int setrlimit64(int resource, const void *limit) { return 0; }
