/* hide_fuzz.c - words of a hidden server: whatever they are, its name and its address do not come through */
#include "fuzz.h"

#include "delivery/hide.h"

static bool is_part_of_name(char c)
{
        return char_is_alnum(c) || strchr(".-_", c) || (unsigned char)c >= 0x80;
}

/* Does the word stand in the text, letters folded, with something else at both sides? */
static bool has_word(struct str text, struct str word)
{
        for (size_t i = 0; i + word.len <= text.len; i++) {
                if (!str_eq_nocase(str_part(text, i, word.len), word))
                        continue;
                bool begins = i == 0 || !is_part_of_name(text.ptr[i - 1]);
                size_t end = i + word.len;
                bool ends = end == text.len || !is_part_of_name(text.ptr[end]);
                if (begins && ends)
                        return true;
        }
        return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct str names[] = {STR_INIT("core1.inside.example"), STR_INIT("10.1.2.3")};
        static const struct str kept[] = {STR_INIT("o3.example")};
        struct hide h = {names, 2, kept, 1};
        struct str text = fuzz_str(data, size);
        struct arena arena;
        arena_init(&arena, 0);
        struct str shown = hide_names(text, &h, &arena);
        check(!has_word(shown, names[0]));
        check(!has_word(shown, names[1]));
        check(!has_word(shown, STR("core1")));
        check(!has_word(shown, STR("mx2.inside.example")));
        if (str_eq(shown, text))
                check(shown.ptr == text.ptr);
        arena_done(&arena);
        return 0;
}
