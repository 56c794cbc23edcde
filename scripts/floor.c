/* The floor: what the isolation of the default bundle costs in kernel calls, and nothing else.
 *
 * No runtime that makes these calls can be faster, so scripts/bench divides by its time. It is not a runtime: it
 * parses no config, checks nothing but that the calls worked, and can make this one container only. What it leaves
 * out although runtimes do it is no isolation: the loopback interface, the ambient capabilities, the terminal.
 *
 *   floor ROOTFS HIERARCHIES PROGRAM [ARG...]
 *
 * HIERARCHIES is where cgroups are mounted, separated by commas: /sys/fs/cgroup alone is v2, more are v1, with
 * /sys/fs/cgroup/unified among them a hybrid layout. With MEMORY=BYTES in the environment the container has that memory limit. ROOTFS needs the
 * directories proc, dev and sys. Built by scripts/bench: musl-gcc (or gcc) -O2 -static.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf.h>

#define NAME "floor"
#define STATE "/run/isopod-floor"
#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
#define TRY(call) do { if ((call) < 0) { perror("floor: " #call); _exit(125); } } while (0)

/* Of linux/sched.h and linux/mount.h, which do not go together with the C library's own. */
#define INTO_CGROUP 0x200000000ULL
#define NEW_CGROUP 0x02000000ULL
struct clone_args { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup; };
struct attributes { uint64_t set, clear, propagation, userns; };
enum { RDONLY = 1, NOSUID = 2, NODEV = 4, NOEXEC = 8, RECURSIVE = 0x8000 };

enum { SAFE = MS_NOSUID | MS_NOEXEC | MS_NODEV };

static const char *hierarchies[32]; /* where they are mounted */
static int hierarchy_count;
static int unified = -1; /* the one that is v2, if any */

static int open_in(const char *dir, const char *file, int flags) {
    char path[PATH_MAX];
    TRY(snprintf(path, sizeof path, "%s/%s", dir, file) < PATH_MAX ? 0 : -1);
    int fd = openat(AT_FDCWD, path, flags | O_CLOEXEC, 0600); /* musl's open() makes a second call */
    TRY(fd);
    return fd;
}

static void put(const char *dir, const char *file, const char *text) {
    int fd = open_in(dir, file, O_WRONLY | O_CREAT);
    TRY(write(fd, text, strlen(text)));
    close(fd);
}

/* ---- the child: mounts, then privileges, then the program ---------------------------------------------------- */

/* The default bundle's mounts. All of them are made before the root is entered, so that it need not hold sources. */
static void mount_all(void) {
    TRY(mount("proc", "proc", "proc", 0, 0));
    TRY(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
    TRY(mkdir("dev/pts", 0755));
    TRY(mkdir("dev/shm", 0755));
    TRY(mkdir("dev/mqueue", 0755));
    TRY(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
    TRY(mount("shm", "dev/shm", "tmpfs", SAFE, "mode=1777,size=65536k"));
    TRY(mount("mqueue", "dev/mqueue", "mqueue", SAFE, 0));
    TRY(mount("sysfs", "sys", "sysfs", SAFE | MS_RDONLY, 0));
}

static void make_devices(void) {
    static const struct { const char *path; int major, minor; } nodes[] = {
        {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7}, {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
    };
    static const char *links[][2] = {
        {"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
        {"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"},
    };
    umask(0);
    for (int i = 0; i < COUNT(nodes); i++) TRY(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
    for (int i = 0; i < COUNT(links); i++) TRY(symlink(links[i][0], links[i][1]));
    umask(022);
}

/* A single thread that moves itself (pid 0) by the file "tasks" is spared the lock that every other way into a v1
 * cgroup takes, and with it a wait of milliseconds for RCU. The v2 cgroup of a hybrid layout it was born in. */
static void join_cgroups(void) {
    char dir[PATH_MAX];
    for (int i = 0; i < hierarchy_count; i++) {
        if (i == unified) continue;
        snprintf(dir, sizeof dir, "%s/" NAME, hierarchies[i]);
        TRY(write(open_in(dir, "tasks", O_WRONLY), "0", 1));
    }
}

/* On v1 the container sees its own cgroup of each hierarchy; one call makes all of these mounts read-only. */
static void mount_cgroups(void) {
    char from[PATH_MAX], to[PATH_MAX];
    if (hierarchy_count == 1) {
        TRY(mount("cgroup", "sys/fs/cgroup", "cgroup2", SAFE | MS_RDONLY, 0));
        return;
    }
    TRY(mount("tmpfs", "sys/fs/cgroup", "tmpfs", SAFE, "mode=755"));
    for (int i = 0; i < hierarchy_count; i++) {
        snprintf(from, sizeof from, "%s/" NAME, hierarchies[i]);
        snprintf(to, sizeof to, "sys/fs/cgroup%s", strrchr(hierarchies[i], '/'));
        TRY(mkdir(to, 0755));
        TRY(mount(from, to, 0, MS_BIND, 0));
    }
    struct attributes read_only = {.set = RDONLY | NOSUID | NODEV | NOEXEC};
    TRY(syscall(SYS_mount_setattr, AT_FDCWD, "sys/fs/cgroup", RECURSIVE, &read_only, sizeof read_only));
}

/* What is masked may not exist, so these calls may fail. A bind mount has the flags of the mount it is taken from:
 * with /proc read-only for a moment, each read-only path takes one call instead of two. */
static void mask(void) {
    static const char *dirs[] = {"proc/acpi", "proc/asound", "proc/scsi", "sys/firmware"};
    static const char *files[] = {"proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list", "proc/timer_stats", "proc/sched_debug"};
    static const char *read_only[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
    TRY(mount(0, "proc", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    for (int i = 0; i < COUNT(read_only); i++) mount(read_only[i], read_only[i], 0, MS_BIND | MS_REC, 0);
    TRY(mount(0, "proc", 0, MS_REMOUNT | MS_BIND, 0));
    for (int i = 0; i < COUNT(files); i++) mount("dev/null", files[i], 0, MS_BIND, 0);
    const char *empty = 0; /* the first masked directory; the others show the same one */
    for (int i = 0; i < COUNT(dirs); i++) {
        if (empty) mount(empty, dirs[i], 0, MS_BIND, 0);
        else if (!mount("tmpfs", dirs[i], "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1")) empty = dirs[i];
    }
}

static void drop_privileges(void) {
    const uint64_t keep = 1 << 29 | 1 << 10 | 1 << 5; /* audit_write, net_bind_service, kill */
    struct { uint32_t version; int pid; } header = {0x20080522, 0};
    struct { uint32_t effective, permitted, inheritable; } sets[2] = {{keep, keep, 0}, {0, 0, 0}};
    struct rlimit files = {1024, 1024};
    TRY(setrlimit(RLIMIT_NOFILE, &files));
    TRY(syscall(SYS_setgroups, 0, 0));
    for (int cap = 0; cap <= 40; cap++)
        if (!(keep >> cap & 1)) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    TRY(syscall(SYS_capset, &header, sets));
    TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void child(const char *rootfs, char **program, int go) {
    char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", 0}, byte;
    TRY(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)); /* a bench that is interrupted leaves nothing */
    TRY(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
    TRY(mount(rootfs, rootfs, 0, MS_BIND | MS_REC, 0));
    TRY(chdir(rootfs));
    mount_all();
    make_devices();
    mask();
    if (hierarchy_count > 1) {
        TRY(read(go, &byte, 1));
        join_cgroups();
    }
    mount_cgroups();
    TRY(mount(0, ".", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    TRY(syscall(SYS_pivot_root, ".", "."));
    TRY(umount2(".", MNT_DETACH));
    TRY(sethostname(NAME, strlen(NAME)));
    TRY(setsid());
    TRY(syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, 0));
    TRY(syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */));
    drop_privileges();
    execve(program[0], program, environment);
    perror("floor: execve");
    _exit(127);
}

/* ---- the parent: cgroups and a state file --------------------------------------------------------------------- */

/* One may be left by a floor that was killed. */
static int make_dir(const char *dir) { return mkdir(dir, 0700) && errno != EEXIST ? -1 : 0; }

/* The devices that every container may use, as (major, minor): -1 is any. */
static const int allowed[][2] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}, {136, -1}};

static void allow_devices_v1(const char *dir) {
    char rule[32];
    put(dir, "devices.deny", "a");
    int fd = open_in(dir, "devices.allow", O_WRONLY);
    TRY(write(fd, "c *:* m", 7));
    TRY(write(fd, "b *:* m", 7));
    for (int i = 0; i < COUNT(allowed); i++) {
        int n = snprintf(rule, sizeof rule, allowed[i][1] < 0 ? "c %d:* rwm" : "c %d:%d rwm", allowed[i][0], allowed[i][1]);
        TRY(write(fd, rule, n));
    }
    close(fd);
}

/* The same rules as a program for the cgroup v2 device hook: its context is (access << 16 | type, major, minor). */
static void allow_devices_v2(int cgroup) {
    struct bpf_insn code[64];
    int n = 0;
#define EMIT(op, dst, src, offset, value) code[n++] = (struct bpf_insn){op, dst, src, offset, value}
    enum { LOAD = BPF_LDX | BPF_MEM | BPF_W, SET = BPF_ALU64 | BPF_MOV | BPF_K, NOT_EQUAL = BPF_JMP | BPF_JNE | BPF_K };
    EMIT(LOAD, 2, 1, 0, 0);
    EMIT(LOAD, 3, 1, 4, 0);
    EMIT(LOAD, 4, 1, 8, 0);
    EMIT(SET, 0, 0, 0, 1);
    EMIT(BPF_ALU64 | BPF_MOV | BPF_X, 5, 2, 0, 0);
    EMIT(BPF_ALU64 | BPF_RSH | BPF_K, 5, 0, 0, 16);
    EMIT(NOT_EQUAL, 5, 0, 1, BPF_DEVCG_ACC_MKNOD); /* mknod alone: any device */
    EMIT(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    EMIT(BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
    EMIT(NOT_EQUAL, 2, 0, 3 * COUNT(allowed) - 1, BPF_DEVCG_DEV_CHAR); /* no block device: to the end */
    for (int i = 0; i < COUNT(allowed); i++) {
        int any = allowed[i][1] < 0;
        EMIT(NOT_EQUAL, 3, 0, any ? 1 : 2, allowed[i][0]);
        if (!any) EMIT(NOT_EQUAL, 4, 0, 1, allowed[i][1]);
        EMIT(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    }
    EMIT(SET, 0, 0, 0, 0);
    EMIT(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insn_cnt = n, .insns = (uintptr_t)code, .license = (uintptr_t)""};
    int program = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    TRY(program);
    union bpf_attr attach = {.target_fd = cgroup, .attach_bpf_fd = program, .attach_type = BPF_CGROUP_DEVICE, .attach_flags = BPF_F_ALLOW_MULTI};
    TRY(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach));
}

/* The container's cgroup of one v1 hierarchy. A cpuset starts empty. */
static void make_cgroup_v1(const char *hierarchy) {
    char dir[PATH_MAX], cpus[PATH_MAX];
    const char *kind = strrchr(hierarchy, '/') + 1, *memory = getenv("MEMORY");
    snprintf(dir, sizeof dir, "%s/" NAME, hierarchy);
    TRY(make_dir(dir));
    if (!strcmp(kind, "cpuset")) {
        int fd = open_in(hierarchy, "cpuset.cpus", O_RDONLY);
        ssize_t n = read(fd, cpus, sizeof cpus - 1);
        TRY(n);
        close(fd);
        cpus[n] = 0;
        put(dir, "cpuset.cpus", cpus);
        put(dir, "cpuset.mems", "0");
    }
    if (!strcmp(kind, "devices")) allow_devices_v1(dir);
    if (!strcmp(kind, "memory") && memory) put(dir, "memory.limit_in_bytes", memory);
}

/* The v2 cgroup, for the child to be born in; on a hybrid layout it has no controllers and so no limits. */
static int make_cgroup_v2(const char *hierarchy) {
    char dir[PATH_MAX];
    const char *memory = getenv("MEMORY");
    snprintf(dir, sizeof dir, "%s/" NAME, hierarchy);
    TRY(make_dir(dir));
    int cgroup = open_in(dir, ".", O_RDONLY | O_DIRECTORY);
    if (hierarchy_count == 1) {
        if (memory) put(dir, "memory.max", memory);
        allow_devices_v2(cgroup);
    }
    return cgroup;
}

int main(int argc, char **argv) {
    char pid[32], dir[PATH_MAX];
    int go[2] = {-1, -1}, status;
    if (argc < 4) return fprintf(stderr, "usage: floor ROOTFS HIERARCHIES PROGRAM [ARG...]\n"), 2;
    for (char *word = strtok(argv[2], ","); word && hierarchy_count < COUNT(hierarchies); word = strtok(0, ",")) {
        if (!strcmp(word, "/sys/fs/cgroup") || !strcmp(word, "/sys/fs/cgroup/unified")) unified = hierarchy_count;
        hierarchies[hierarchy_count++] = word;
    }

    struct clone_args clone = {.flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET, .exit_signal = SIGCHLD};
    if (unified >= 0) {
        clone.cgroup = make_cgroup_v2(hierarchies[unified]);
        clone.flags |= INTO_CGROUP;
    }
    if (hierarchy_count == 1) clone.flags |= NEW_CGROUP;
    else TRY(pipe2(go, O_CLOEXEC));
    pid_t process = syscall(SYS_clone3, &clone, sizeof clone);
    TRY(process);
    if (!process) child(argv[1], argv + 3, go[0]);

    if (hierarchy_count > 1) {
        for (int i = 0; i < hierarchy_count; i++)
            if (i != unified) make_cgroup_v1(hierarchies[i]);
        TRY(write(go[1], "x", 1));
    }
    snprintf(pid, sizeof pid, "%d", process);
    TRY(make_dir(STATE));
    put(STATE, "state", pid);

    TRY(waitpid(process, &status, 0));
    for (int i = 0; i < hierarchy_count; i++) {
        snprintf(dir, sizeof dir, "%s/" NAME, hierarchies[i]);
        for (int tries = 0; rmdir(dir) && errno == EBUSY && tries < 1000; tries++) usleep(100);
    }
    unlink(STATE "/state");
    rmdir(STATE);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
