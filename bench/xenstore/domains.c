// Domains for a real dom0's xenstore servers to introduce: each has a grant table with the page of a ring in its usual
// place, an event channel for the server, and nothing that runs.
//   domains make FIRST COUNT STORE   domains from number FIRST on, whose server is in domain STORE. A line for each:
//                                    its number, its ring's frame, its port
//   domains destroy FIRST COUNT
//   domains time NUMBER…             nanoseconds that each of the domains has run so far, a line each
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* xenctrl.h and xenguest.h of Xen 4.17, as far as they are used; their package is not needed to run this. */
struct domain_options {
    uint32_t ssidref;
    uint8_t handle[16];
    uint32_t flags;
    uint32_t iommu_options;
    uint32_t max_vcpus;
    uint32_t max_event_channel_port;
    int32_t max_grant_frames;
    int32_t max_maptrack_frames;
    uint32_t grant_options;
    uint32_t trace_size;
    uint32_t cpupool;
    uint32_t emulation_flags;
    uint32_t more_flags;
};
struct domain_info {
    uint32_t domain;
    uint32_t ssidref;
    unsigned flags;
    unsigned shutdown_reason;
    unsigned long pages[4];
    unsigned long shared_info_frame;
    uint64_t nanoseconds;
    uint64_t more[16];
};
void *xc_interface_open(void *logger, void *other, unsigned flags);
int xc_domain_create(void *xch, uint32_t *domain, struct domain_options *options);
int xc_domain_max_vcpus(void *xch, uint32_t domain, unsigned count);
int xc_domain_setmaxmem(void *xch, uint32_t domain, uint64_t kibibytes);
int xc_domain_populate_physmap_exact(void *xch, uint32_t domain, unsigned long count, unsigned order, unsigned flags,
                                     unsigned long *frames);
int xc_domain_destroy(void *xch, uint32_t domain);
void *xc_map_foreign_range(void *xch, uint32_t domain, int size, int protection, unsigned long frame);
int xc_evtchn_alloc_unbound(void *xch, uint32_t domain, uint32_t remote);
int xc_dom_gnttab_seed(void *xch, uint32_t domain, bool is_hvm, unsigned long console_frame, unsigned long store_frame,
                       uint32_t console_domain, uint32_t store_domain);
int xc_domain_getinfo(void *xch, uint32_t first, unsigned count, struct domain_info *info);

static void check(bool is_well, const char *what)
{
    if (is_well) return;
    perror(what);
    exit(1);
}

static void make(void *xch, uint32_t domain, uint32_t store)
{
    struct domain_options options = {
        .max_vcpus = 1,
        .max_event_channel_port = 1023,
        .max_grant_frames = 4,
        .max_maptrack_frames = 1,
        .grant_options = 1,
    };
    unsigned long frame = 0;
    memcpy(options.handle, &domain, sizeof domain);
    check(xc_domain_create(xch, &domain, &options) == 0, "a domain");
    check(xc_domain_max_vcpus(xch, domain, 1) == 0, "its processor");
    check(xc_domain_setmaxmem(xch, domain, 64) == 0, "its memory");
    check(xc_domain_populate_physmap_exact(xch, domain, 1, 0, 0, &frame) == 0, "its page");
    void *ring = xc_map_foreign_range(xch, domain, 4096, PROT_READ | PROT_WRITE, frame);
    check(ring != NULL, "the ring");
    memset(ring, 0, 4096);
    munmap(ring, 4096);
    int port = xc_evtchn_alloc_unbound(xch, domain, store);
    check(port > 0, "its event channel");
    check(xc_dom_gnttab_seed(xch, domain, false, -1UL, frame, 0, store) == 0, "its grants");
    printf("%u %lu %d\n", domain, frame, port);
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    void *xch = xc_interface_open(NULL, NULL, 0);
    check(xch != NULL, "Xen");
    if (strcmp(argv[1], "time") == 0) {
        for (int each = 2; each < argc; each++) {
            struct domain_info info;
            uint32_t domain = atoi(argv[each]);
            check(xc_domain_getinfo(xch, domain, 1, &info) == 1 && info.domain == domain, argv[each]);
            printf("%llu\n", (unsigned long long)info.nanoseconds);
        }
        return 0;
    }
    bool is_made = strcmp(argv[1], "make") == 0;
    if (argc < (is_made ? 5 : 4)) return 2;
    for (int each = 0; each < atoi(argv[3]); each++) {
        uint32_t domain = atoi(argv[2]) + each;
        if (is_made) make(xch, domain, atoi(argv[4]));
        else check(xc_domain_destroy(xch, domain) == 0, "the end of a domain");
    }
    return 0;
}
