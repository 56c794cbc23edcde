/* How long a system call takes under a seccomp filter; for scripts/bench.
 *
 *   filtered FILE NUMBER [ARGUMENT]     prints the nanoseconds of a call, the least of some rounds
 *
 * FILE has the filter as the kernel takes it; an empty one stands for no filter. The call should be one that does next
 * to nothing.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 40, CALLS = 20000, LONGEST = 4096 };

int main(int argc, char **argv) {
    static struct sock_filter filter[LONGEST];
    int file = argc > 2 ? open(argv[1], O_RDONLY) : -1;
    long size = read(file, filter, sizeof filter), number = file < 0 ? 0 : atol(argv[2]);
    unsigned long argument = argc > 3 ? strtoul(argv[3], 0, 0) : 0;
    struct sock_fprog program = {(unsigned short)(size / (long)sizeof *filter), filter};
    double least = 1e9;

    if (size < 0 || (size > 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
                                  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)))) {
        perror("filtered");
        return 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (int call = 0; call < CALLS; call++)
            syscall(number, argument);
        clock_gettime(CLOCK_MONOTONIC, &end);
        double took = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
        if (took / CALLS < least)
            least = took / CALLS;
    }
    printf("%.1f\n", least);
    return 0;
}
