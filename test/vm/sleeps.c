/* Sleeps five hundred times for a hundredth of a second. */
#include <stdio.h>
#include <time.h>

int main(void)
{
	const struct timespec moment = {.tv_nsec = 10000000};
	puts("sleeping");
	fflush(stdout);
	for (int i = 0; i < 500; i++)
		nanosleep(&moment, NULL);
	puts("awake");
	return 0;
}
