/*
 * edit.c - a header that filters change; pure
 *
 * A filter's value is put into lines of ours: whatever it contains, it makes one field and no more.
 */
#include "message/header.h"
#include "milter/milter_private.h"

#include <errno.h>

static bool make_room(struct milter_header *h)
{
        if (h->count >= MILTER_FIELDS_MAX)
                return false;
        if (h->count < h->room)
                return true;
        size_t room = h->room ? 2 * h->room : 64;
        struct milter_field *more = arena_array(h->arena, struct milter_field, room);
        if (h->count)
                memcpy(more, h->fields, h->count * sizeof(*more));
        h->fields = more;
        h->room = room;
        return true;
}

int milter_header_init(struct milter_header *h, struct str text, size_t ours_bytes,
                       struct arena *arena)
{
        *h = (struct milter_header){.arena = arena};
        struct str rest = text;
        struct header_field field;
        while (header_next(&rest, &field)) {
                if (!make_room(h))
                        return -E2BIG;
                h->fields[h->count++] = (struct milter_field){
                        .raw = field.raw,
                        .is_hidden = (size_t)(field.raw.ptr - text.ptr) < ours_bytes &&
                                     str_eq_nocase(field.name, STR("Received")),
                };
        }
        return 0;
}

int milter_header_copy(const struct milter_header *h, struct milter_header *out)
{
        *out = *h;
        out->fields = arena_array(h->arena, struct milter_field, h->room + 1);
        if (h->count)
                memcpy(out->fields, h->fields, h->count * sizeof(*h->fields));
        return arena_is_over(h->arena) ? -E2BIG : 0;
}

int milter_header_put(const struct milter_header *h, struct buf *out)
{
        for (size_t i = 0; i < h->count; i++)
                if (buf_append_str(out, h->fields[i].raw) || buf_append(out, "\r\n", 2))
                        return -ENOBUFS;
        return 0;
}

bool milter_field_name_is_valid(struct str name)
{
        for (size_t i = 0; i < name.len; i++)
                if (name.ptr[i] <= ' ' || name.ptr[i] > '~' || name.ptr[i] == ':')
                        return false;
        return name.len > 0 && name.len < 1000;
}

/* "Name: value" with CR LF and a blank wherever the value has a line end; empty lines are left out. */
struct str milter_field_make(struct arena *arena, struct str name, struct str value, bool has_space)
{
        size_t breaks = 0;
        for (size_t i = 0; i < value.len; i++)
                breaks += value.ptr[i] == '\n' || value.ptr[i] == '\r';
        char *out = arena_array(arena, char, name.len + value.len + 3 * breaks + 4);
        size_t len = 0;
        memcpy(out, name.ptr, name.len);
        len += name.len;
        out[len++] = ':';
        if (!has_space)
                out[len++] = ' ';
        bool is_first = true;
        while (value.len) {
                size_t end = 0;
                while (end < value.len && value.ptr[end] != '\n' && value.ptr[end] != '\r')
                        end++;
                struct str line = str_part(value, 0, end);
                value = str_tail(value, end + 1);
                if (!is_first && str_trim(line).len == 0)
                        continue;
                if (!is_first) {
                        out[len++] = '\r';
                        out[len++] = '\n';
                        if (line.ptr[0] != ' ' && line.ptr[0] != '\t')
                                out[len++] = '\t';
                }
                for (size_t i = 0; i < line.len; i++)
                        out[len++] = line.ptr[i] ? line.ptr[i] : '?';
                is_first = false;
        }
        return str_make(out, len);
}

static bool insert_one(struct milter_header *h, size_t at, struct str field)
{
        if (!make_room(h))
                return false;
        memmove(h->fields + at + 1, h->fields + at, (h->count - at) * sizeof(*h->fields));
        h->fields[at] = (struct milter_field){.raw = field};
        h->count++;
        h->is_changed = true;
        return true;
}

static bool insert_at(struct milter_header *h, size_t at, const struct milter_made *made)
{
        return insert_one(h, at, made->field) &&
               (made->before.len == 0 || insert_one(h, at, made->before));
}

bool milter_header_add(struct milter_header *h, const struct milter_made *made)
{
        return insert_at(h, h->count, made);
}

/* Index 0 is in front of all, our own Received included; 1 is behind the first. */
bool milter_header_insert(struct milter_header *h, uint32_t index, const struct milter_made *made)
{
        return insert_at(h, index < h->count ? index : h->count, made);
}

static bool has_name(struct str field, struct str name)
{
        ptrdiff_t colon = str_find(field, ':');
        return colon > 0 && str_eq_nocase(str_trim(str_part(field, 0, (size_t)colon)), name);
}

bool milter_header_change(struct milter_header *h, uint32_t index, struct str name,
                          const struct milter_made *made)
{
        uint32_t seen = 0;
        if (index == 0)
                index = 1;
        for (size_t i = 0; i < h->count; i++) {
                if (h->fields[i].is_hidden || !has_name(h->fields[i].raw, name) || ++seen < index)
                        continue;
                h->is_changed = true;
                if (made->field.len) {
                        h->fields[i].raw = made->field;
                        return made->before.len == 0 || insert_one(h, i, made->before);
                }
                memmove(h->fields + i, h->fields + i + 1, (h->count - i - 1) * sizeof(*h->fields));
                h->count--;
                return true;
        }
        return made->field.len == 0 || milter_header_add(h, made);
}
