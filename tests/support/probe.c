/* What busybox cannot show: a shell opens descriptors, changes signals and remembers its own idea of the directory. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every open descriptor, found by asking for each number and not by trusting /proc. */
static int fds(void)
{
    for (int fd = 0; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("%d ", fd);
    return 0;
}

/* The directory as the kernel knows it: outside of the root it begins with "(unreachable)". */
static int cwd(void)
{
    char path[4096] = "";
    if (syscall(SYS_getcwd, path, sizeof path) < 0)
        return errno;
    puts(path);
    return 0;
}

/* Signals that are ignored or blocked; those from 32 on belong to C libraries, which play tricks with them. */
static int signals(void)
{
    for (int sig = 1; sig < 32; sig++) {
        struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } old = { 0 };
        if (syscall(SYS_rt_sigaction, sig, 0, &old, 8) == 0 && old.handler)
            printf("ignored:%d ", sig);
    }
    unsigned long blocked = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, &blocked, 8);
    printf("blocked:%lx\n", blocked);
    return 0;
}

/* Types a character into the terminal of whoever started the container, if it is reachable. */
static int tiocsti(void)
{
    int done = 0;
    for (int fd = 0; fd < 3; fd++)
        done += ioctl(fd, TIOCSTI, "x") == 0;
    printf("%d\n", done);
    return 0;
}

/* Session, process group, and whether there is a controlling terminal. */
static int session(void)
{
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY);
    printf("pid=%d sid=%d pgrp=%d tty=%s\n", getpid(), getsid(0), getpgrp(), tty < 0 ? "none" : "yes");
    return 0;
}

/* Writes a line to stdout for each signal of the list that arrives; SIGTERM is the last. */
static int await(void)
{
    sigset_t all;
    int sig;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, 0);
    dprintf(1, "ready\n");
    do {
        sigwait(&all, &sig);
        dprintf(1, "signal:%d\n", sig);
    } while (sig != SIGTERM);
    return 7;
}

/* Three messages to the supervisor, the second of which says that it is ready; waits for a byte before that one. */
static int notify(void)
{
    static const char *messages[] = { "STATUS=READY=1 comes", "STATUS=x\nREADY=1\nMAINPID=4711\n", "STOPPING=1" };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *path = getenv("NOTIFY_SOCKET");
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    char byte;
    if (!path || strlen(path) >= sizeof address.sun_path)
        return 98;
    strcpy(address.sun_path, path);
    for (unsigned i = 0; i < 3; i++) {
        if (i == 1 && read(0, &byte, 1) < 0)
            return 97;
        if (sendto(fd, messages[i], strlen(messages[i]), 0, (void *)&address, sizeof address) < 0 && i < 2)
            return errno;
    }
    dprintf(1, "%s\n", path);
    sleep(600);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct { const char *name; int (*run)(void); } verbs[] = {
        { "fds", fds }, { "cwd", cwd }, { "signals", signals }, { "tiocsti", tiocsti }, { "session", session },
        { "await", await }, { "notify", notify },
    };
    for (unsigned i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(argv[1], verbs[i].name))
            return verbs[i].run();
    return 99;
}
