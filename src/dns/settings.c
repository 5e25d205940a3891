/* settings.c - the dns_* parameters, taken apart and looked at */
#include "dns/dns_private.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        SERVERS_MAX = 64,
        STUBS_MAX = 256,
        ANCHORS_MAX = 1000,
        ANCHOR_FILE_BYTES_MAX = 1024 * 1024,
        DNS_PORT = 53,
};

/* The root's keys of 2017 and 2024, as IANA publishes them (https://data.iana.org/root-anchors/). */
static const char *const root_anchors[] = {
        ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
        ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

/* "192.0.2.1", "192.0.2.1@5353", "[2001:db8::1]" become what libunbound takes. */
static int server_parse(struct str text, struct arena *arena, const char **out, struct why *why,
                        const char *parameter)
{
        struct str port_text = text;
        struct str address = str_cut(&port_text, '@');
        int64_t port = DNS_PORT;
        if (str_starts(address, STR("[")) && str_ends(address, STR("]")))
                address = str_part(address, 1, address.len - 2);
        const char *z = arena_str(arena, address).ptr;
        unsigned char bits[16];
        bool is_address = inet_pton(AF_INET, z, bits) == 1 || inet_pton(AF_INET6, z, bits) == 1;
        if (!is_address || (port_text.len && str_to_int64(port_text, 1, 65535, &port)))
                return why_set(why, -EINVAL,
                               "%s: \"%.*s\" is no address; write it as 192.0.2.1 or "
                               "2001:db8::1, with @PORT behind it where it is not 53",
                               parameter, STR_ARG(text));
        *out = arena_printf(arena, "%s@%lld", z, (long long)port).ptr;
        return 0;
}

static int server_add(struct stub *stub, struct str text, struct arena *arena,
                      const char *parameter, struct why *why)
{
        if (!stub->servers)
                stub->servers = arena_array(arena, const char *, SERVERS_MAX);
        if (stub->server_count == SERVERS_MAX)
                return why_set(why, -EINVAL, "%s: more than %d servers", parameter,
                               (int)SERVERS_MAX);
        return server_parse(text, arena, &stub->servers[stub->server_count++], why, parameter);
}

static int forward_parse(struct str text, struct arena *arena, struct settings *out,
                         struct why *why)
{
        struct str word;
        while (str_next_word(&text, ", \t\r\n", &word)) {
                int rc = server_add(&out->forward, word, arena, "dns_forward", why);
                if (rc)
                        return rc;
        }
        out->forward.zone = STR("");
        out->forward.label = STR("(forwarded)");
        return 0;
}

static int zone_parse(struct str text, struct arena *arena, const char *parameter, struct str *out,
                      struct why *why)
{
        char name[DNS_NAME_BYTES_MAX];
        size_t len;
        if (!name_normalize(text, name, &len))
                return why_set(why, -EINVAL, "%s: \"%.*s\" is no zone", parameter, STR_ARG(text));
        *out = arena_str(arena, str_make(name, len));
        return 0;
}

/* "zone address address": one item of dns_stub */
static int stub_parse(struct str item, struct arena *arena, struct settings *out, struct why *why)
{
        struct str word;
        if (!str_next_word(&item, " \t\r\n", &word))
                return 0;
        if (out->stub_count == STUBS_MAX)
                return why_set(why, -EINVAL, "dns_stub: more than %d zones", (int)STUBS_MAX);
        struct stub *stub = &out->stubs[out->stub_count++];
        int rc = zone_parse(word, arena, "dns_stub", &stub->zone, why);
        while (rc == 0 && str_next_word(&item, " \t\r\n", &word))
                rc = server_add(stub, word, arena, "dns_stub", why);
        if (rc == 0 && stub->server_count == 0)
                rc = why_set(why, -EINVAL,
                             "dns_stub: no server for %.*s; write \"zone address\", with commas "
                             "between zones",
                             STR_ARG(stub->zone));
        stub->label = arena_printf(arena, "%.*s (stub)", STR_ARG(stub->zone));
        return rc;
}

static int insecure_parse(struct str text, struct arena *arena, struct settings *out,
                          struct why *why)
{
        struct str word;
        out->insecure_zones = arena_array(arena, const char *, STUBS_MAX);
        while (str_next_word(&text, ", \t\r\n", &word)) {
                struct str zone;
                if (out->insecure_count == STUBS_MAX)
                        return why_set(why, -EINVAL, "dns_insecure_zones: more than %d zones",
                                       (int)STUBS_MAX);
                int rc = zone_parse(word, arena, "dns_insecure_zones", &zone, why);
                if (rc)
                        return rc;
                out->insecure_zones[out->insecure_count++] =
                        arena_printf(arena, "%.*s.", STR_ARG(zone)).ptr;
        }
        return 0;
}

/* ---- trust anchors ---- */

static bool is_anchor(struct str line)
{
        struct str word;
        for (int i = 0; i < 5 && str_next_word(&line, " \t", &word); i++)
                if (i && (str_eq_nocase(word, STR("DS")) || str_eq_nocase(word, STR("DNSKEY"))))
                        return line.len > 0;
        return false;
}

static int anchors_parse(struct str text, const char *path, struct arena *arena,
                         struct settings *out, struct why *why)
{
        for (unsigned number = 1; text.len; number++) {
                struct str line = str_cut(&text, '\n');
                line = str_trim(str_cut(&line, ';'));
                if (str_is_empty(line))
                        continue;
                if (!is_anchor(line) || out->anchor_count == ANCHORS_MAX)
                        return why_set(why, -EINVAL,
                                       "dns_trust_anchor_file: %s:%u: no trust anchor; write "
                                       "\"zone. IN DS tag algorithm type digest\" or a DNSKEY "
                                       "record, one a line",
                                       path, number);
                out->anchors[out->anchor_count++] = arena_str(arena, line).ptr;
        }
        return out->anchor_count
                       ? 0
                       : why_set(why, -EINVAL,
                                 "dns_trust_anchor_file: %s has no trust anchor in it", path);
}

/* Read once, here: the loops run as a user who may not be able to. */
static int anchor_file_read(struct str path_text, struct arena *arena, struct settings *out,
                            struct why *why)
{
        const char *path = arena_str(arena, path_text).ptr;
        FILE *file = fopen(path, "re");
        if (!file)
                return why_set(why, -errno, "dns_trust_anchor_file: cannot open %s: %s", path,
                               why_errno(errno));
        char *bytes = arena_alloc(arena, ANCHOR_FILE_BYTES_MAX);
        size_t len = fread(bytes, 1, ANCHOR_FILE_BYTES_MAX, file);
        bool is_bad = ferror(file) || len == ANCHOR_FILE_BYTES_MAX;
        fclose(file);
        if (is_bad)
                return why_set(why, -EIO,
                               "dns_trust_anchor_file: cannot read %s, or it is over "
                               "1 MiB long",
                               path);
        return anchors_parse(str_make(bytes, len), path, arena, out, why);
}

static int anchors_find(const struct dns_settings *text, struct arena *arena, struct settings *out,
                        struct why *why)
{
        out->anchors = arena_array(arena, const char *, ANCHORS_MAX);
        if (!text->wants_validation)
                return 0;
        if (text->trust_anchor_file.len) {
                struct arena scratch;
                arena_init(&scratch, 0);
                int rc = anchor_file_read(text->trust_anchor_file, &scratch, out, why);
                for (size_t i = 0; i < out->anchor_count; i++)
                        out->anchors[i] = arena_str(arena, str_from(out->anchors[i])).ptr;
                arena_done(&scratch);
                return rc;
        }
        for (size_t i = 0; i < sizeof(root_anchors) / sizeof(*root_anchors); i++)
                out->anchors[out->anchor_count++] = root_anchors[i];
        return 0;
}

int settings_parse(const struct dns_settings *text, struct arena *arena, struct settings *out,
                   struct why *why)
{
        *out = (struct settings){.wants_validation = text->wants_validation,
                                 .timeout_ms = text->timeout_ms,
                                 .cache_bytes_max = text->cache_bytes_max};
        out->stubs = arena_array(arena, struct stub, STUBS_MAX);
        int rc = forward_parse(text->forward, arena, out, why);
        for (struct str rest = text->stub; rc == 0 && rest.len;)
                rc = stub_parse(str_cut(&rest, ','), arena, out, why);
        if (rc == 0)
                rc = insecure_parse(text->insecure_zones, arena, out, why);
        if (rc == 0)
                rc = anchors_find(text, arena, out, why);
        return rc;
}

static bool is_in_zone(struct str name, struct str zone)
{
        return str_is_empty(zone) || str_eq(name, zone) ||
               (str_ends(name, zone) && name.ptr[name.len - zone.len - 1] == '.');
}

const struct stub *settings_stub_of(const struct settings *s, struct str name)
{
        const struct stub *best = s->forward.server_count ? &s->forward : NULL;
        for (size_t i = 0; i < s->stub_count; i++)
                if (is_in_zone(name, s->stubs[i].zone) &&
                    (!best || best == &s->forward || s->stubs[i].zone.len > best->zone.len))
                        best = &s->stubs[i];
        return best;
}
