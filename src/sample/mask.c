/* mask.c: masks by rules (masks.def) and from pictures.
 *
 * A picture smaller than the model's is one of the data before they were padded: the frame that padding adds is known.
 */
#include "sample/mask.h"

#include <stdio.h>
#include <string.h>

typedef struct ebb_mask_rule {
    int top, left, bottom, right;    /* a box, rows top .. bottom-1, columns left .. right-1 */
    bool inside;                     /* it is hidden; else all others are */
    double chance;                   /* of each pixel, instead of a box */
    int height, width;
} ebb_mask_rule;

static bool middle_box(ebb_mask_rule *m, const char *argument)
{
    int h, w, end = 0;
    if (sscanf(argument, "%dx%d%n", &h, &w, &end) != 2 || argument[end] != 0 || h < 1 || w < 1 || h > m->height || w > m->width)
        return false;
    m->top = (m->height - h) / 2;
    m->left = (m->width - w) / 2;
    m->bottom = m->top + h;
    m->right = m->left + w;
    return true;
}

static bool read_box(ebb_mask_rule *m, const char *argument)
{
    m->inside = true;
    return middle_box(m, argument);
}

static bool read_outside(ebb_mask_rule *m, const char *argument)
{
    m->inside = false;
    return middle_box(m, argument);
}

static bool read_half(ebb_mask_rule *m, const char *argument)
{
    *m = (ebb_mask_rule){.bottom = m->height, .right = m->width, .inside = true, .height = m->height, .width = m->width};
    if (strcmp(argument, "left") == 0)
        m->right = m->width / 2;
    else if (strcmp(argument, "right") == 0)
        m->left = m->width - m->width / 2;
    else if (strcmp(argument, "top") == 0)
        m->bottom = m->height / 2;
    else if (strcmp(argument, "bottom") == 0)
        m->top = m->height - m->height / 2;
    else
        return false;
    return true;
}

static bool read_random(ebb_mask_rule *m, const char *argument)
{
    int end = 0;
    return sscanf(argument, "%lf%n", &m->chance, &end) == 1 && argument[end] == 0 && m->chance > 0 && m->chance < 1;
}

static const struct {
    const char *name, *argument, *help;
    bool (*read)(ebb_mask_rule *m, const char *argument);
} rules[] = {
#define MASK(name, function, argument, help) {name, argument, help, function},
#include "sample/masks.def"
#undef MASK
};
enum { RULES = sizeof rules / sizeof rules[0] };

const char *ebb_mask_name(int i)
{
    return i >= 0 && i < RULES ? rules[i].name : NULL;
}

const char *ebb_mask_help(int i)
{
    return i >= 0 && i < RULES ? rules[i].help : NULL;
}

static bool hides(const ebb_mask_rule *m, uint64_t seed, int y, int x)
{
    ebb_rng_at at = {.seed = seed, .stream = EBB_STREAM_MASK};
    if (m->chance > 0)
        return ebb_rng_uniform(&at, (uint32_t)(y * m->width + x)) < m->chance;
    return (y >= m->top && y < m->bottom && x >= m->left && x < m->right) == m->inside;
}

static ebb_status by_rule(ebb_context *ctx, const char *text, int k, int height, int width, uint64_t seed, uint8_t *mask)
{
    const char *argument = strchr(text, ':');
    ebb_mask_rule m = {.height = height, .width = width};
    if (!rules[k].read(&m, argument != NULL ? argument + 1 : ""))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "mask '%.60s': give %s:%s, within pictures of %d x %d (%s)", text, rules[k].name,
                        rules[k].argument, height, width, rules[k].help);
    for (int i = 0; i < height * width; i++)
        mask[i] = !hides(&m, seed, i / width, i % width);
    return EBB_OK;
}

static ebb_status by_picture(ebb_context *ctx, const char *path, int height, int width, uint8_t *mask)
{
    ebb_dataset data;
    ebb_dataset_options o = {.kind = "png", .path = path};
    EBB_TRY(ebb_dataset_open(ctx, &o, &data));
    int h = data.height, w = data.width, c = data.channels, top = (height - h) / 2, left = (width - w) / 2;
    ebb_status status = EBB_OK;
    if (h > height || w > width)
        status = ebb_fail(ctx, EBB_E_SHAPE, "mask %s: %d x %d pixels, but pictures of this model have %d x %d", path, h, w, height,
                          width);
    memset(mask, 1, (size_t)(height * width));
    for (int i = 0; status == EBB_OK && i < h * w; i++)
        mask[(top + i / w) * width + left + i % w] = data.bytes[i * c] >= 128;
    ebb_dataset_free(&data);
    return status;
}

ebb_status ebb_mask_read(ebb_context *ctx, const char *text, int height, int width, uint64_t seed, uint8_t *mask)
{
    const char *names[RULES];
    char word[40], near[80];
    size_t n = strcspn(text, ":"), length = strlen(text);
    for (int k = 0; k < RULES; k++) {
        names[k] = rules[k].name;
        if (strlen(names[k]) == n && strncmp(text, names[k], n) == 0)
            return by_rule(ctx, text, k, height, width, seed, mask);
    }
    if (length > 4 && (strcmp(text + length - 4, ".png") == 0 || strcmp(text + length - 4, ".PNG") == 0))
        return by_picture(ctx, text, height, width, mask);
    snprintf(word, sizeof word, "%.*s", (int)(n < 39 ? n : 39), text);
    return ebb_fail(ctx, EBB_E_USAGE, "mask '%.60s' is no rule, as box:14x14, and no .png file%s", text,
                    ebb_suggest(word, names, RULES, near, sizeof near));
}
