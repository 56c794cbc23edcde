/* Runs a filter in the kernel itself: what the tests check their interpreter with.
 *
 * Standard input: the number of instructions, each as CODE JT JF K; the number of calls, each as ABI NUMBER A0 ... A5,
 * where ABI 0 is `syscall` and 1 is `int 0x80`. The filter must answer every call with an errno, except for
 * exit_group(GOODBYE). Standard output: the errno of each call. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GOODBYE 77

struct call { uint64_t abi, number, a[6]; int32_t answer; };

static int32_t by_syscall(const struct call *call) {
    register uint64_t d __asm__("r10") = call->a[3], e __asm__("r8") = call->a[4], f __asm__("r9") = call->a[5];
    int64_t result;
    __asm__ volatile("syscall" : "=a"(result)
                     : "a"(call->number), "D"(call->a[0]), "S"(call->a[1]), "d"(call->a[2]), "r"(d), "r"(e), "r"(f)
                     : "rcx", "r11", "memory");
    return -result;
}

static int32_t by_interrupt(const struct call *call) {
    int32_t result;
    register uint64_t a __asm__("r8") = call->a[0], f __asm__("r9") = call->a[5];
    __asm__ volatile("push %%rbx\n push %%rbp\n mov %%r8, %%rbx\n mov %%r9, %%rbp\n int $0x80\n"
                     "pop %%rbp\n pop %%rbx"
                     : "=a"(result), "+r"(a), "+r"(f)
                     : "a"(call->number), "c"(call->a[1]), "d"(call->a[2]), "S"(call->a[3]), "D"(call->a[4])
                     : "memory", "r10", "r11");
    return -result;
}

static uint64_t number(void) {
    char word[32];
    if (scanf("%31s", word) != 1) abort();
    return strtoull(word, NULL, 0);
}

int main(void) {
    struct sock_fprog program = { .len = number() };
    program.filter = calloc(program.len, sizeof *program.filter);
    for (int i = 0; i < program.len; i++) {
        program.filter[i].code = number();
        program.filter[i].jt = number();
        program.filter[i].jf = number();
        program.filter[i].k = number();
    }
    size_t count = number();
    struct call *calls = mmap(NULL, (count + 1) * sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < count; i++) {
        calls[i].abi = number();
        calls[i].number = number();
        for (int j = 0; j < 6; j++) calls[i].a[j] = number();
    }
    if (fork() == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) {
            perror("seccomp");
            _exit(1);
        }
        for (size_t i = 0; i < count; i++)
            calls[i].answer = calls[i].abi ? by_interrupt(&calls[i]) : by_syscall(&calls[i]);
        syscall(SYS_exit_group, GOODBYE);
    }
    int status = 0;
    wait(&status);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != GOODBYE) {
        fprintf(stderr, "the filtered process ended with status %#x\n", status);
        return 1;
    }
    for (size_t i = 0; i < count; i++) printf("%d\n", calls[i].answer);
    return 0;
}
