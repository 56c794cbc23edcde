/* What busybox cannot show: a shell opens descriptors, changes signals and remembers its own idea of the directory. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
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

/* The program of inode $INODE, while a process that we see executes it: opened for reading, then for writing again and
   again, after an attempt to make its mount writable. Ends when the file /stop is there. */
static int overwrite(void)
{
    enum { MANY = 512 };
    int fds[MANY], found = 0, opened = 0;
    unsigned reasons = 0;
    unsigned long wanted = strtoul(getenv("INODE"), 0, 10);
    struct stat there;
    for (int last = 0; !last; ) {
        last = !access("/stop", F_OK);
        DIR *proc = opendir("/proc");
        for (struct dirent *entry; (entry = readdir(proc)); ) {
            char path[64];
            snprintf(path, sizeof path, "/proc/%.20s/exe", entry->d_name);
            if (found == MANY || stat(path, &there) || there.st_ino != wanted)
                continue;
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd >= 0)
                fds[found++] = fd;
        }
        closedir(proc);
        for (int i = 0; i < found; i++) {
            struct { unsigned long set, clear, propagation, userns; } attr = { 0, 1 /* MOUNT_ATTR_RDONLY */, 0, 0 };
            char path[64];
            snprintf(path, sizeof path, "/proc/self/fd/%d", fds[i]);
            syscall(442 /* mount_setattr */, fds[i], "", 0x1000 /* AT_EMPTY_PATH */, &attr, sizeof attr);
            int fd = open(path, O_WRONLY | O_CLOEXEC);
            if (fd >= 0) {
                opened += write(fd, "overwritten", 11) == 11;
                close(fd);
            } else if (errno != EROFS && errno != ETXTBSY) {
                reasons |= 1u << (errno & 31);
            }
        }
    }
    printf("found=%s opened=%d others=%x\n", found ? "yes" : "no", opened, reasons);
    return 0;
}

/* Every process that comes, as long as the file /stop is not there: its root, its directory and its open directories are
   followed up to the host's file $GUARD, and it is asked for its descriptors. Needs CAP_SYS_PTRACE, or who comes must be
   careless. Says what was found. */
static int spy(void)
{
    static char seen[256];
    unsigned found = 0, looks = 0;
    char up[4200], path[64], text[64];
    snprintf(up, sizeof up, "../../../../../../../../../..%s", getenv("GUARD"));
    dprintf(1, "ready\n");
    while (access("/stop", F_OK)) {
        DIR *proc = opendir("/proc");
        for (struct dirent *entry; (entry = readdir(proc)); ) {
            int pid = atoi(entry->d_name);
            if (pid < 2)
                continue;
            looks++;
            for (int i = -2; i < 32; i++) {
                if (i < 0)
                    snprintf(path, sizeof path, "/proc/%d/%s", pid, i == -1 ? "root" : "cwd");
                else
                    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, i);
                int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (dir < 0)
                    continue;
                /* The root has no way up: what lies below it is tried as well. */
                int file = openat(dir, up, O_RDONLY | O_CLOEXEC);
                if (file < 0)
                    file = openat(dir, getenv("GUARD") + 1, O_RDONLY | O_CLOEXEC);
                if (file >= 0 && read(file, text, sizeof text) > 0) {
                    snprintf(seen, sizeof seen, "%.63s", strrchr(path, '/'));
                    found++;
                }
                close(file);
                close(dir);
            }
        }
        closedir(proc);
    }
    dprintf(1, "looks=%s stolen=%u %s\n", looks ? "yes" : "no", found, seen);
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

static void *make_directory(void *path)
{
    mkdir(path, 0755);
    return 0;
}

/* A thread makes a directory; whether that ended the thread alone, or all of us, shows in what is said. */
static int threads(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, make_directory, "/dev/shm/made");
    /* A thread that the kernel has killed is never joined: its last word is missing. */
    struct timespec moment = { 0, 1000000 };
    for (int i = 0; i < 5000 && !access("/proc/self/task", F_OK); i++) {
        struct stat tasks;
        if (!stat("/proc/self/task", &tasks) && tasks.st_nlink == 3)
            break;
        nanosleep(&moment, 0);
    }
    dprintf(1, "alive\n");
    _exit(0);
}

/* A child makes a directory, and we, who trace it, say with which number its filter asks for us. */
static int trace(void)
{
    int status;
    unsigned long number = 0;
    pid_t child = fork();
    if (!child) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(mkdir("/dev/shm/made", 0755) ? errno : 0);
    }
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESECCOMP);
    ptrace(PTRACE_CONT, child, 0, 0);
    waitpid(child, &status, 0);
    if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
        ptrace(PTRACE_GETEVENTMSG, child, 0, &number);
        ptrace(PTRACE_CONT, child, 0, 0);
        waitpid(child, &status, 0);
    }
    printf("number=%lu exit=%d\n", number, WEXITSTATUS(status));
    return 0;
}

/* A line for a file: its text on one line, or why there is none. */
static void show_file(const char *name, const char *path)
{
    char text[8192];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n < 0) {
        printf("%s %s: errno %d\n", name, path, errno);
    } else {
        text[n] = 0;
        for (char *c = text; *c; c++)
            if (*c == '\n' || *c == '\t')
                *c = ' ';
        printf("%s %s: %s\n", name, path, text);
    }
    if (fd >= 0)
        close(fd);
}

/* For each path of a list, separated by colons, that a variable has. */
static void each_path(const char *variable, void (*show)(const char *))
{
    char list[4096] = "";
    const char *value = getenv(variable);
    if (value && strlen(value) < sizeof list)
        strcpy(list, value);
    for (char *path = strtok(list, ":"); path; path = strtok(0, ":"))
        show(path);
}

static void show_value(const char *path)
{
    show_file("value", path);
}

/* What is left of a path that may be masked or read-only: what can be read, and whether it can be written. */
static void show_access(const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), entries = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        entries++;
    int n = fd < 0 ? -errno : (int)read(fd, &byte, 1);
    int error = n < 0 ? errno : 0;
    int writable = access(path, W_OK) ? errno : 0;
    printf("access %s: read %d (%d) entries %d write %d\n", path, n, error, entries, writable);
    if (dir)
        closedir(dir);
    if (fd >= 0)
        close(fd);
}

/* The table of mounts without what is another number each time. */
static void show_mounts(void)
{
    char line[4096];
    FILE *table = fopen("/proc/self/mountinfo", "re");
    while (table && fgets(line, sizeof line, table)) {
        char *rest = line;
        for (int i = 0; i < 3; i++)
            rest = strchr(rest, ' ') + 1;
        for (char *peer; (peer = strstr(rest, "shared:")) || (peer = strstr(rest, "master:"));) {
            char *end = peer + 7 + strspn(peer + 7, "0123456789");
            peer[6] = '=';
            memmove(peer + 7, end, strlen(end) + 1);
        }
        printf("mount %s", rest);
    }
    if (table)
        fclose(table);
}

/* Namespaces: the host's, as HOST_NS has them, or others. */
static void show_namespaces(void)
{
    static const char *names[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };
    const char *host = getenv("HOST_NS");
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64], link[64] = "";
        snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
        if (readlink(path, link, sizeof link - 1) < 0)
            snprintf(link, sizeof link, "errno %d", errno);
        printf("namespace %s: %s\n", names[i], host && strstr(host, link) ? "the host's" : "another");
    }
}

static void show_directory(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, 0, alphasort);
    for (int i = 0; i < n; i++) {
        char name[512], link[256] = "";
        struct stat stat;
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && !lstat(name, &stat)) {
            if (S_ISLNK(stat.st_mode) && readlink(name, link, sizeof link - 1) < 0)
                link[0] = 0;
            printf("entry %s: %o %lx %d:%d %s\n", name, stat.st_mode, stat.st_rdev, stat.st_uid, stat.st_gid, link);
        }
        free(entries[i]);
    }
}

/* Who asks to be told hears that we are ready. */
static void show_supervisor(const char *path)
{
    static const char ready[] = "READY=1";
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!path || strlen(path) >= sizeof address.sun_path)
        return;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int sent = sendto(fd, ready, sizeof ready - 1, 0, (void *)&address, sizeof address);
    printf("supervisor %d\n", sent < 0 ? -errno : sent);
    close(fd);
    /* Who ends at once may have ended before anybody has read it. */
    usleep(50000);
}

/* Everything about this process that a config asks for, a line each; lists of paths come by the environment. */
static int report(char **argv, char **environment)
{
    static const char *status[] = {
        "Umask", "Uid", "Gid", "Groups", "Threads", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff",
        "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Cpus_allowed_list", "Mems_allowed_list",
    };
    static char buffer[1 << 18];
    char line[4096] = "";
    int open_now[64], count = 0;
    for (int fd = 0; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && count < 64)
            open_now[count++] = fd;
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    show_supervisor(getenv("NOTIFY_SOCKET"));
    for (int i = 0; i < count; i++)
        printf("descriptor %d%s\n", open_now[i], isatty(open_now[i]) ? " (a terminal)" : "");
    for (; *argv; argv++)
        printf("word %s\n", *argv);
    for (; *environment; environment++)
        if (strncmp(*environment, "HOST_NS=", 8))
            printf("variable %s\n", *environment);
    FILE *own = fopen("/proc/self/status", "re");
    while (own && fgets(line, sizeof line, own))
        for (unsigned i = 0; i < sizeof status / sizeof *status; i++)
            if (!strncmp(line, status[i], strlen(status[i])) && line[strlen(status[i])] == ':')
                printf("status %s", line);
    if (own)
        fclose(own);
    for (int resource = 0; resource < 16; resource++) {
        unsigned long limit[2] = { 0 };
        syscall(SYS_prlimit64, 0, resource, 0, limit);
        printf("limit %d: %lu %lu\n", resource, limit[0], limit[1]);
    }
    line[0] = 0;
    syscall(SYS_getcwd, line, sizeof line);
    printf("directory %s\n", line);
    char host[2][65] = { "", "" };
    gethostname(host[0], 64);
    if (getdomainname(host[1], 64))
        host[1][0] = 0;
    printf("names %s %s\n", host[0], host[1]);
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct { unsigned short rows, columns, x, y; } size = { 0 };
    ioctl(0, TIOCGWINSZ, &size);
    printf("first %d session own %d group own %d terminal %d size %d %d\n", getpid() == 1, getsid(0) == getpid() || getsid(0) == 0,
           getpgrp() == getpid(), tty >= 0, size.rows, size.columns);
    if (tty >= 0)
        close(tty);
    printf("scheduling %ld %ld ioprio %ld personality %lx\n", syscall(SYS_sched_getscheduler, 0),
           syscall(SYS_getpriority, 0, 0), syscall(SYS_ioprio_get, 1, 0), syscall(SYS_personality, 0xffffffff));
    int death = 0;
    prctl(PR_GET_PDEATHSIG, &death);
    printf("prctl keepcaps %d securebits %d dumpable %d death %d slack %d\n", prctl(PR_GET_KEEPCAPS),
           prctl(PR_GET_SECUREBITS), prctl(PR_GET_DUMPABLE), death, prctl(PR_GET_TIMERSLACK));
    char key[256] = "";
    long described = syscall(SYS_keyctl, 6 /* KEYCTL_DESCRIBE */, -3 /* the session's */, key, sizeof key);
    printf("keyring %ld %s\n", described < 0 ? (long)-errno : 0, key);
    rmdir("/dev/shm/report");
    printf("filtered mkdirat %d, umask %o\n", mkdirat(AT_FDCWD, "/dev/shm/report", 0755) ? errno : 0, umask(0));
    rmdir("/dev/shm/report");
    int net = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct { char name[16]; short flags; char rest[22]; } request = { "lo", 0, "" };
    int asked = ioctl(net, 0x8913 /* SIOCGIFFLAGS */, &request);
    printf("loopback %d flags %x\n", asked, request.flags);
    close(net);
    show_namespaces();
    show_mounts();
    show_directory("/dev");
    show_directory("/");
    show_file("file", "/proc/self/cgroup");
    show_file("file", "/proc/self/oom_score_adj");
    show_file("file", "/proc/self/uid_map");
    show_file("file", "/proc/self/gid_map");
    show_file("file", "/proc/self/setgroups");
    show_file("file", "/proc/self/timens_offsets");
    each_path("VALUES", show_value);
    each_path("ACCESS", show_access);
    puts("end");
    fflush(stdout);
    return 0;
}

/* deny NUMBER FIRST ERRNO PROGRAM [ARGUMENT...]: becomes a program that gets the error from this system call, if its
   first argument is FIRST or that is -1. */
static int deny(char **words)
{
    unsigned first = atoi(words[1]);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, atoi(words[0]), 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 0, first != -1u),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(words[2])),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return 98;
    execv(words[3], words + 3);
    return 97;
}

static void *is_filtered(void *mode)
{
    *(int *)mode = prctl(PR_GET_SECCOMP);
    return 0;
}

/* Whether the filter is in force for a thread and for whoever made it. */
static int filtered(void)
{
    int mode[2] = { -1, prctl(PR_GET_SECCOMP) };
    pthread_t thread;
    if (pthread_create(&thread, 0, is_filtered, mode) || pthread_join(thread, 0))
        return 98;
    printf("%d %d\n", mode[0], mode[1]);
    return 0;
}

/* keep NAME SECRET PROGRAM [ARGUMENT...]: becomes a program whose session keyring, a new one, has a key. */
static int keep(char **words)
{
    if (syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, 0) < 0 ||
        syscall(SYS_add_key, "user", words[0], words[1], strlen(words[1]), -3 /* the session's */) < 0)
        return 98;
    execv(words[2], words + 2);
    return 97;
}

/* key NAME: what it says, if our session keyring has it. */
static int key(const char *name)
{
    char secret[64] = "";
    long found = syscall(SYS_keyctl, 10 /* KEYCTL_SEARCH */, -3, "user", name, 0);
    long length = found < 0 ? -1 : syscall(SYS_keyctl, 11 /* KEYCTL_READ */, found, secret, sizeof secret - 1);
    puts(length < 0 ? "none" : secret);
    return 0;
}

int main(int argc, char **argv, char **environment)
{
    static const struct { const char *name; int (*run)(void); } verbs[] = {
        { "fds", fds }, { "cwd", cwd }, { "signals", signals }, { "tiocsti", tiocsti }, { "session", session },
        { "await", await }, { "notify", notify }, { "overwrite", overwrite },
        { "spy", spy }, { "threads", threads }, { "trace", trace },
        { "filtered", filtered },
    };
    if (argc > 5 && !strcmp(argv[1], "deny"))
        return deny(argv + 2);
    if (argc > 4 && !strcmp(argv[1], "keep"))
        return keep(argv + 2);
    if (argc > 2 && !strcmp(argv[1], "key"))
        return key(argv[2]);
    if (argc > 1 && !strcmp(argv[1], "report"))
        return report(argv, environment);
    for (unsigned i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(argv[1], verbs[i].name))
            return verbs[i].run();
    return 99;
}
