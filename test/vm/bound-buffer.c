/* Binds memory for devices behind a buffer, and gives the buffer back: prints what the buffer and the memory hold. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define SIZE (5 * PAGE)

int main(void)
{
	unsigned char *buffer = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct { unsigned long offset, physical, length; } binding;
	unsigned char device[PAGE];
	int dma = open("/dev/window/dma", O_RDWR), memory = open("/dev/window/memory", O_RDWR);
	memset(buffer, 1, SIZE);
	printf("bound: %d\n", read(dma, buffer, SIZE) > 0);
	memcpy(&binding, buffer, sizeof binding);
	unsigned char *bytes = buffer + binding.offset;
	printf("length %lu, first byte %d\n", binding.length, bytes[0]);
	memset(bytes, 2, binding.length);
	printf("in front %d\n", buffer[PAGE - 1]);
	printf("given back: %zd\n", write(dma, buffer, SIZE));
	printf("in front %d, first byte %d\n", buffer[PAGE - 1], bytes[0]);
	memset(bytes, 3, binding.length);
	printf("read: %zd\n", pread(memory, device, PAGE, (off_t)binding.physical));
	printf("the device's first byte %d\n", device[0]);
	printf("unmapped: %d\n", munmap(buffer, SIZE));
	printf("too short: %zd\n", write(dma, device, 16));
	return 0;
}
