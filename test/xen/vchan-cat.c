/*
 * Both ways between standard input and output and a vchan, by Xen's own library: what a C program in dom0 does.
 *   vchan-cat client DOMAIN PATH | vchan-cat server DOMAIN PATH
 * It ends when the other domain closes, or COUNT bytes have come: vchan-cat client DOMAIN PATH COUNT
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libxenvchan.h, as far as it is used; its package is not needed to run this. */
struct libxenvchan;
struct libxenvchan *libxenvchan_server_init(void *logger, int domain, const char *path, size_t read_min, size_t write_min);
struct libxenvchan *libxenvchan_client_init(void *logger, int domain, const char *path);
int libxenvchan_read(struct libxenvchan *vchan, void *data, size_t size);
int libxenvchan_write(struct libxenvchan *vchan, const void *data, size_t size);
int libxenvchan_wait(struct libxenvchan *vchan);
int libxenvchan_fd_for_select(struct libxenvchan *vchan);
int libxenvchan_is_open(struct libxenvchan *vchan);
void libxenvchan_close(struct libxenvchan *vchan);

static char to[65536], from[65536];

int main(int argc, char **argv) {
	if (argc < 4) return 2;
	int server = !strcmp(argv[1], "server");
	long left = argc > 4 ? atol(argv[4]) : -1;
	struct libxenvchan *vchan = server ? libxenvchan_server_init(NULL, atoi(argv[2]), argv[3], 16384, 16384)
	                                   : libxenvchan_client_init(NULL, atoi(argv[2]), argv[3]);
	if (!vchan) return perror("vchan"), 1;
	int input = 1, size = 0, done = 0;
	while (left) {
		int idle = 1;
		int got = libxenvchan_read(vchan, from, sizeof from);
		if (got > 0) {
			for (int at = 0, n; at < got; at += n)
				if ((n = write(1, from + at, got - at)) < 0) return perror("write"), 1;
			if (left > 0 && (left -= got) < 0) left = 0;
			idle = 0;
		} else if (got < 0) break;
		if (done == size && input) {
			struct pollfd ready = {0, POLLIN, 0};
			if (poll(&ready, 1, 0) > 0) {
				size = read(0, to, sizeof to);
				done = 0;
				if (size <= 0) size = input = 0;
				idle = 0;
			}
		}
		if (done < size) {
			int put = libxenvchan_write(vchan, to + done, size - done);
			if (put < 0) break;
			done += put;
			if (put > 0) idle = 0;
		}
		if (!idle) continue;
		if (!libxenvchan_is_open(vchan)) break; /* 2 while a server's client has not come */
		struct pollfd ready[] = {{libxenvchan_fd_for_select(vchan), POLLIN, 0}, {0, POLLIN, 0}};
		if (poll(ready, input && done == size ? 2 : 1, -1) > 0 && ready[0].revents) libxenvchan_wait(vchan);
	}
	libxenvchan_close(vchan);
	return left > 0;
}
