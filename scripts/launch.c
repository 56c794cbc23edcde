/* Runs a program and measures it without being part of what is measured; for scripts/bench.
 *
 *   launch time PROGRAM [ARG...]      prints NANOSECONDS from vfork to wait, and the exit status
 *   launch memory PROGRAM [ARG...]    prints the peak in KiB of its largest process, and the exit status
 *
 * The program's stdin and stdout are /dev/null. The memory is VmHWM of /proc/PID/status, read for every process when
 * it executes something and when it ends. (ru_maxrss of wait4 would not do: it begins with the memory of whoever
 * forked, and the kernel rounds it by up to some hundred KiB, which is more than a small program has.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Of linux/ptrace.h, which does not go together with sys/ptrace.h. */
struct syscall_info { unsigned char op, pad[3]; unsigned arch; unsigned long long ip, sp, nr, args[6]; };
enum { GET_SYSCALL_INFO = 0x420e, ENTRY = 1 };

static void execute(char **program, int null) {
    dup2(null, 0);
    dup2(null, 1);
    execvp(program[0], program);
    perror(program[0]);
    _exit(127);
}

static int exit_status(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

static int take_time(char **program, int null) {
    struct timespec start, end;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t pid = vfork();
    if (!pid) execute(program, null);
    waitpid(pid, &status, 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld %d\n", (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec, exit_status(status));
    return 0;
}

static long peak(pid_t pid) {
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    while (fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %ld", &kib) != 1) {}
    fclose(file);
    return kib;
}

/* Is this stop the entry to an execve, after which the memory until now would be forgotten? */
static int before_exec(pid_t pid) {
    struct syscall_info info;
    long size = ptrace(GET_SYSCALL_INFO, pid, (void *)sizeof info, &info);
    return size > 0 && info.op == ENTRY && (info.nr == SYS_execve || info.nr == SYS_execveat);
}

static int take_memory(char **program, int null) {
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                         PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
    int status, result = 0, begun = 0;
    long most = 0;
    pid_t first = fork(), pid;
    if (!first) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execute(program, null);
    }
    waitpid(first, &status, 0);
    ptrace(PTRACE_SETOPTIONS, first, 0, options);
    ptrace(PTRACE_SYSCALL, first, 0, 0);
    while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == first) result = exit_status(status);
            continue;
        }
        int event = status >> 16, signal = WSTOPSIG(status);
        if (event == PTRACE_EVENT_EXEC) begun = 1; /* until here it is this program's memory */
        if (begun && (event == PTRACE_EVENT_EXIT || (signal == (SIGTRAP | 0x80) && before_exec(pid)))) {
            long kib = peak(pid);
            if (kib > most) most = kib;
        }
        /* Events, system calls and the stop that every new process begins with are ours; other signals are not. */
        int ours = event || signal == (SIGTRAP | 0x80) || signal == SIGSTOP;
        ptrace(PTRACE_SYSCALL, pid, 0, ours ? 0 : signal);
    }
    printf("%ld %d\n", most, result);
    return 0;
}

int main(int argc, char **argv) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (argc > 2 && !strcmp(argv[1], "time")) return take_time(argv + 2, null);
    if (argc > 2 && !strcmp(argv[1], "memory")) return take_memory(argv + 2, null);
    fprintf(stderr, "usage: launch time|memory PROGRAM [ARG...]\n");
    return 2;
}
