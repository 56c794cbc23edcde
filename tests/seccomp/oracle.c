/* Compiles profiles with libseccomp: what the tests compare isopod's compiler with.
 *
 * Standard input, a line each:        Standard output, for each profile:
 *   begin DEFAULT-ACTION                unknown NAME       for each name that libseccomp does not know
 *   arch NAME                           refused WHAT ERRNO if a rule or the profile was refused
 *   rule ACTION NAME [INDEX OP A B]...  program N, and then N lines of CODE JT JF K
 *   end
 * Numbers are as strtoull(3) reads them, OP is that of `enum scmp_compare`. */
#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/filter.h>

static scmp_filter_ctx context;

static uint64_t number(const char *word) { return strtoull(word, NULL, 0); }

static void rule(void) {
    uint32_t action = number(strtok(NULL, " \n"));
    const char *name = strtok(NULL, " \n"), *word;
    struct scmp_arg_cmp args[6];
    unsigned count = 0;
    while ((word = strtok(NULL, " \n")) && count < 6) {
        struct scmp_arg_cmp *arg = &args[count++];
        arg->arg = number(word);
        arg->op = number(strtok(NULL, " \n"));
        arg->datum_a = number(strtok(NULL, " \n"));
        arg->datum_b = number(strtok(NULL, " \n"));
    }
    int syscall = seccomp_syscall_resolve_name(name);
    if (syscall == __NR_SCMP_ERROR) {
        printf("unknown %s\n", name);
        return;
    }
    int result = seccomp_rule_add_array(context, action, syscall, count, args);
    if (result < 0) printf("refused %s %d\n", name, -result);
}

static void end(void) {
    FILE *file = tmpfile();
    int result = seccomp_export_bpf(context, fileno(file));
    if (result < 0) printf("refused export %d\n", -result);
    long size = lseek(fileno(file), 0, SEEK_END);
    struct sock_filter *program = malloc(size + 1);
    if (pread(fileno(file), program, size, 0) != size) abort();
    size /= sizeof *program;
    printf("program %ld\n", size);
    for (long i = 0; i < size; i++)
        printf("%u %u %u %u\n", program[i].code, program[i].jt, program[i].jf, program[i].k);
    fflush(stdout);
    free(program);
    fclose(file);
    seccomp_release(context);
}

int main(void) {
    static char line[65536];
    while (fgets(line, sizeof line, stdin)) {
        const char *verb = strtok(line, " \n");
        if (!verb) continue;
        if (!strcmp(verb, "begin")) context = seccomp_init(number(strtok(NULL, " \n")));
        else if (!strcmp(verb, "arch")) seccomp_arch_add(context, seccomp_arch_resolve_name(strtok(NULL, " \n")));
        else if (!strcmp(verb, "rule")) rule();
        else if (!strcmp(verb, "end")) end();
        else abort();
    }
    return 0;
}
