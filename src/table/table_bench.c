/*
 * table_bench.c - how long a table takes to load, how much memory it takes, how fast it answers
 *
 *     table_bench [ENTRIES] [THREADS] [TYPE]
 *
 * Writes a text of ENTRIES (default 1,000,000) addresses into a temporary file; for cdb and lmdb makes the
 * mapped file from it. Not a test: it promises nothing.
 */
#include "base/clock.h"
#include "table/build.h"
#include "table/table.h"

#include <pthread.h>
#include <unistd.h>

enum { LOOKUPS = 2000000 };

struct job {
        struct table *table;
        int64_t entries;
        const char *domain;
        int64_t found;
};

/* Resident memory in MB, from the kernel. */
static double resident_mb(void)
{
        char line[100] = "";
        FILE *f = fopen("/proc/self/statm", "r");
        if (!f || !fgets(line, sizeof(line), f))
                return -1;
        fclose(f);
        struct str rest = str_from(line);
        str_cut(&rest, ' ');
        int64_t pages = 0;
        str_to_int64(str_cut(&rest, ' '), 0, INT64_MAX, &pages);
        return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* Of this process: on a machine that does other things too, what a look-up costs. */
static double cpu_seconds(void)
{
        struct timespec now;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *look_up(void *context)
{
        struct job *job = context;
        struct arena arena;
        struct why why;
        struct str value;
        arena_init(&arena, 0);
        uint64_t n = (uintptr_t)job;
        for (int i = 0; i < LOOKUPS; i++) {
                char key[64];
                n = n * 6364136223846793005u + 1442695040888963407u;
                int len = snprintf(key, sizeof(key), "User%lld@%s",
                                   (long long)((n >> 20) % (uint64_t)job->entries), job->domain);
                job->found += await_table_find(job->table, str_make(key, (size_t)len), &arena,
                                               &value, &why) == TABLE_FOUND;
                if ((i & 1023) == 0)
                        arena_clear(&arena);
        }
        arena_done(&arena);
        return NULL;
}

static void measure(struct table *table, int64_t entries, int threads, const char *domain)
{
        struct job jobs[16];
        pthread_t ids[16];
        int64_t start = clock_mono_us();
        double cpu_start = cpu_seconds();
        for (int i = 0; i < threads; i++) {
                jobs[i] = (struct job){table, entries, domain, 0};
                pthread_create(&ids[i], NULL, look_up, &jobs[i]);
        }
        int64_t found = 0;
        for (int i = 0; i < threads; i++) {
                pthread_join(ids[i], NULL);
                found += jobs[i].found;
        }
        double seconds = (double)(clock_mono_us() - start) / 1e6;
        printf("%d threads, *@%s: %.2f million look-ups/s, %.2f us of CPU each, %lld of %d found\n",
               threads, domain, threads * LOOKUPS / seconds / 1e6,
               (cpu_seconds() - cpu_start) * 1e6 / (threads * LOOKUPS), (long long)found,
               threads * LOOKUPS);
}

int main(int argc, char **argv)
{
        int64_t entries = 1000000;
        int64_t threads = 1;
        if ((argc > 1 && str_to_int64(str_from(argv[1]), 1, 100000000, &entries)) ||
            (argc > 2 && str_to_int64(str_from(argv[2]), 1, 16, &threads))) {
                fprintf(stderr, "usage: table_bench [ENTRIES] [THREADS] [TYPE]\n");
                return 2;
        }
        char path[] = "/tmp/forepost-table-bench-XXXXXX";
        int fd = mkstemp(path);
        FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
        if (!f) {
                perror(path);
                return 1;
        }
        for (int64_t i = 0; i < entries; i++)
                fprintf(f, "user%lld@example.com OK\n", (long long)i);
        long long bytes = ftell(f);
        fclose(f);

        struct why why;
        struct table_set *set = table_set_new("/tmp");
        char spec[100];
        const char *type = argc > 3 ? argv[3] : "hash";
        snprintf(spec, sizeof(spec), "%s:%s", type, path);
        size_t built;
        int64_t build_start = clock_mono_us();
        if (table_build(str_from(spec), "/tmp", TABLE_TEXT_MAP, NULL, &built, &why) < 0) {
                fprintf(stderr, "%s\n", why.text);
                return 1;
        }
        printf("%s: %zu entries built in %.2f s\n", type, built,
               (double)(clock_mono_us() - build_start) / 1e6);
        double before = resident_mb();
        int64_t start = clock_mono_us();
        struct table *table = table_open(set, str_from(spec), (struct place){0}, NULL, &why);
        double seconds = (double)(clock_mono_us() - start) / 1e6;
        unlink(path);
        char mapped[100];
        snprintf(mapped, sizeof(mapped), "%s.%s", path, type);
        unlink(mapped);
        if (!table) {
                fprintf(stderr, "%s\n", why.text);
                return 1;
        }
        printf("%lld entries, %.1f MB of text: loaded in %.3f s, %.1f MB of memory\n",
               (long long)entries, (double)bytes / 1e6, seconds, resident_mb() - before);
        measure(table, entries, (int)threads, "example.com");
        measure(table, entries, (int)threads, "example.org");
        table_set_free(&set);
        return 0;
}
